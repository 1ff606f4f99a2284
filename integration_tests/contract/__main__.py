"""Hold an account to what is documented: `make contract`.

Reads at most 60 pages with the configuration in secrets/config.json and changes nothing.
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from rich.console import Console

from integration_tests.contract import pages, report
from integration_tests.contract.api import Api
from integration_tests.contract.checks import CHECKS
from integration_tests.contract.report import Row
from integration_tests.contract.responses import PROBE
from sandbox import LISTS
from source_kustomer.config import Config, InvalidConfigError

PROJECT = Path(__file__).parents[2]
SECRETS = PROJECT / "secrets" / "config.json"
REPORT = PROJECT / ".try" / "contract.md"


def main(arguments: Sequence[str], sleep: Callable[[float], object] = time.sleep) -> int:
    """Run the checks and write the report; a difference is no failure."""
    parser = argparse.ArgumentParser(prog="make contract", description=__doc__)
    parser.add_argument("--config", type=Path, default=SECRETS)
    parser.add_argument("--report", type=Path, default=REPORT)
    options = parser.parse_args(arguments)
    console = Console(highlight=False)
    try:
        config = _configuration(options.config)
    except InvalidConfigError as e:
        console.print(str(e), markup=False)
        return 2
    api = Api(config, sleep=sleep)
    rows: list[Row] = []
    try:
        with console.status("Reading a few pages of each list"):
            if api.get(PROBE).status is None:
                console.print(f"The API does not answer: {api.get(PROBE).failure}.")
                return 1
            for check in CHECKS:
                rows.append(Row(check, check.observe(api)))  # noqa: PERF401
    except KeyboardInterrupt:
        console.print("Stopped.")
    is_complete = len(rows) == len(CHECKS)
    options.report.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    options.report.write_text(
        report.markdown(
            rows, requests=api.sent, is_kustomer=api.is_kustomer, is_complete=is_complete
        ),
        encoding="utf-8",
    )
    console.print(report.table(rows))
    console.print(f"{api.sent} requests. {report.summary(rows)}")
    console.print(f"The report is in {_shown(options.report)}. {report.WHERE_TO_SEND}")
    if not is_complete:
        return 130
    if not any(pages.first(api, name).is_ok for name in LISTS):
        console.print("No list could be read: run `make try` to see why.")
        return 1
    return 0


def _configuration(path: Path) -> Config:
    """Read the configuration; raises `InvalidConfigError`."""
    try:
        raw = json.loads(path.read_text("utf-8"))
    except OSError:
        raise InvalidConfigError("Put org_name and api_key into secrets/config.json.") from None
    except ValueError:
        raise InvalidConfigError("The configuration is not JSON.") from None
    if not isinstance(raw, dict):
        raise InvalidConfigError("The configuration is not a JSON object.")
    return Config.parse(raw, os.environ)


def _shown(path: Path) -> Path:
    return path.relative_to(PROJECT) if path.is_relative_to(PROJECT) else path


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
