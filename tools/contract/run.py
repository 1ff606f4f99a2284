"""One run of `make contract`: from the configuration to the report."""

import os
from pathlib import Path

from rich.console import Console

from source_kustomer.timing import Timing
from tools.contract import report
from tools.contract.asking import TIMING, Asker, OutageError, explain
from tools.contract.checks import CHECKS, Row
from tools.contract.observations import Observations
from tools.tour.account import PROJECT, SECRETS, read_config
from tools.tour.connector import TourError

REPORT = PROJECT / ".try" / "contract.md"


def main(secrets: Path = SECRETS, path: Path = REPORT, *, timing: Timing = TIMING) -> int:
    """Compare the account of a configuration with the contract; a difference is no failure."""
    console = Console(highlight=False, markup=False, emoji=False)
    # An account's shape is nobody else's before its owner shares it.
    os.umask(0o077)
    try:
        config = read_config(secrets, os.environ)
        asker = Asker(config, lambda line: console.print(f"{line}."), timing)
        return _contract(asker, path, console)
    except TourError as e:
        console.print(str(e))
        return 2
    except OSError as e:
        console.print(f"{e.filename} cannot be used: {e.strerror}.")
        return 1


def _contract(asker: Asker, path: Path, console: Console) -> int:
    seen, unfinished, code = Observations(asker), "", 0
    try:
        with console.status("Reading a few pages of each list"):
            seen.observe()
    except OutageError as e:
        console.print(str(e))
        unfinished, code = "the API could not be asked any more", 1
    except KeyboardInterrupt:
        console.print("Stopped.")
        unfinished, code = "it was stopped", 130
    if not seen.is_open:
        if unfinished:
            return code
        no_role = "The key is accepted, but no list is open to it: make one with their roles."
        why = no_role if seen.key.is_ok else explain(seen.key, asker.config)[1]
        console.print(f"No list can be read. {why}")
        unfinished, code = "no list can be read", 1
    # The last whole report stays.
    path = path.with_stem(f"{path.stem}-unfinished") if unfinished else path
    rows = [Row(check, seen) for check in CHECKS]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(report.markdown(rows, seen, unfinished), encoding="utf-8")
    console.print(report.differences(rows))
    console.print(f"\n{len(asker.exchanges)} requests. {report.summary(rows)}")
    shown = path.relative_to(PROJECT) if path.is_relative_to(PROJECT) else path
    console.print(f"The report is in {shown}. {report.WHERE_TO_SEND}")
    return code
