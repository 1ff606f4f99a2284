"""From a key to answers: `python -m sandbox.tour`, which is what `make try` runs."""
