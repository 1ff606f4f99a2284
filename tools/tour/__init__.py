"""From a key to answers: `python -m tools.tour`, which is what `make try` runs."""
