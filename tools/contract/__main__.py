"""Hold an account to what is documented: `make contract`.

Reads at most 60 pages with the configuration in secrets/config.json and changes nothing.
"""

import argparse
import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from rich.console import Console

from sandbox import LISTS
from tools.contract import pages, report
from tools.contract.api import Api
from tools.contract.checks import CHECKS
from tools.contract.report import Row
from tools.contract.responses import PROBE
from tools.tour.account import read_config
from tools.tour.connector import TourError

PROJECT = Path(__file__).parents[2]
SECRETS = PROJECT / "secrets" / "config.json"
REPORT = PROJECT / ".try" / "contract.md"

_REFUSALS = frozenset({401, 403})


def main(arguments: Sequence[str], sleep: Callable[[float], object] = time.sleep) -> int:
    """Hold the account of a configuration to its contract; a difference is no failure."""
    parser = argparse.ArgumentParser(prog="make contract", description=__doc__)
    parser.add_argument("--config", type=Path, default=SECRETS)
    parser.add_argument("--report", type=Path, default=REPORT)
    options = parser.parse_args(arguments)
    console = Console(highlight=False)
    # An account's shape is nobody else's before its owner shares it.
    os.umask(0o077)
    try:
        api = Api(read_config(options.config, os.environ), sleep=sleep)
        return contract(api, options.report, console)
    except TourError as e:
        console.print(str(e), markup=False)
        return 2
    except OSError as e:
        console.print(f"{e.filename} cannot be used: {e.strerror}.", markup=False)
        return 1


def contract(api: Api, path: Path, console: Console) -> int:
    """Run the checks against an API, and write the report to a path."""
    rows: list[Row] = []
    try:
        with console.status("Reading a few pages of each list"):
            if api.get(PROBE).status is None:
                console.print(f"The API does not answer: {api.get(PROBE).failure}.")
                return 1
            if api.get(PROBE).status in _REFUSALS:
                console.print("Kustomer does not accept the key: run `make try` to see why.")
                return 1
            for check in CHECKS:
                rows.append(Row(check, check.observe(api)))  # noqa: PERF401
    except KeyboardInterrupt:
        console.print("Stopped.")
    is_complete = len(rows) == len(CHECKS)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        report.markdown(
            rows, requests=api.sent, is_kustomer=api.is_kustomer, is_complete=is_complete
        ),
        encoding="utf-8",
    )
    console.print(report.table(rows))
    console.print(f"{api.sent} requests. {report.summary(rows)}")
    console.print(f"The report is in {_shown(path)}. {report.WHERE_TO_SEND}")
    if not is_complete:
        return 130
    if not any(pages.first(api, name).is_ok for name in LISTS):
        console.print("No list could be read: run `make try` to see why.")
        return 1
    return 0


def _shown(path: Path) -> Path:
    return path.relative_to(PROJECT) if path.is_relative_to(PROJECT) else path


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
