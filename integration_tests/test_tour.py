"""`make try` without make: what a person sees, and the files that it leaves."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from sandbox import LISTS, tour

README = Path(__file__).parents[1] / "README.md"


@pytest.fixture
def screen() -> str:
    if tour.SECRETS.exists():
        pytest.skip("left out: secrets/config.json is filled in, so the tour reads that account")
    done = subprocess.run(
        [sys.executable, "-m", "sandbox.tour"],
        cwd=README.parent,
        env={**os.environ, "COLUMNS": "100", "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert not done.stderr
    return done.stdout


def test_the_tour_shows_and_keeps_what_arrived(screen: str) -> None:
    for command in ("spec", "check", "discover", "read"):
        assert f"$ source-kustomer {command}" in screen
    kept = {
        name: [json.loads(line) for line in (tour.TARGET / f"{name}.jsonl").open()]
        for name in LISTS
    }
    for name, records in kept.items():
        assert f"{name}: {len(records):,} records" in screen
        assert all(record["id"] for record in records)
    # The folder holds customers' data.
    assert tour.TARGET.stat().st_mode & 0o077 == 0
    picture = README.read_text().partition("<!-- begin tour")[2].partition("```text\n")[2]
    assert picture.partition("```")[0] in screen
