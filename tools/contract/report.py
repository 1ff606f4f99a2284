"""The report: a table for the terminal and one for an issue, without anything of the account."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from importlib.metadata import version

from rich.table import Table

from tools.contract.check import Check, Seen

WHERE_TO_SEND = (
    'Send this report with the form "Contract report" among the project\'s issues. It holds no '
    "record, no key and no name of your organization; read it before you send it."
)


@dataclass(frozen=True)
class Row:
    """A check and what it saw; None where there was nothing to look at."""

    check: Check
    seen: Seen | None

    @property
    def result(self) -> str:
        """The verdict in a word or two."""
        if self.seen is None:
            return "not observable"
        return "same" if self.seen.is_same else "different"

    @property
    def cells(self) -> tuple[str, ...]:
        """The row's cells."""
        seen = self.seen.text if self.seen else ""
        return str(self.check.quirk), self.check.title, self.check.documented, seen, self.result


_HEADINGS = ("Quirk", "What", "Documented, (?) guessed", "Seen", "Result")
_STYLES = {"same": "green", "different": "bold yellow", "not observable": "dim"}


def summary(rows: Sequence[Row]) -> str:
    """Count the verdicts in a sentence."""
    results = [row.result for row in rows]
    return (
        f"Of {len(rows)} checks, {results.count('different')} differ, "
        f"{results.count('same')} are the same, {results.count('not observable')} had nothing to "
        "look at."
    )


def table(rows: Sequence[Row]) -> Table:
    """Return the table for a terminal."""
    shown = Table(*_HEADINGS)
    for row in rows:
        shown.add_row(*row.cells, style=_STYLES[row.result])
    return shown


def markdown(rows: Sequence[Row], *, requests: int, is_kustomer: bool, is_complete: bool) -> str:
    """Return the report as Markdown."""
    address = "Kustomer's own address" if is_kustomer else "another address (KUSTOMER_API_URL)"
    today, release = datetime.now(timezone.utc).date(), version("airbyte-source-kustomer")
    lines = [
        "# What Kustomer's API does",
        "",
        f"Seen at {address} with {requests} requests on {today} by version {release}.",
        "",
        *(() if is_complete else ("It was stopped before all checks were made.", "")),
        summary(rows),
        "",
        f"| {' | '.join(_HEADINGS)} |",
        f"| {' | '.join('---' for _ in _HEADINGS)} |",
        *(f"| {' | '.join(row.cells)} |" for row in rows),
        "",
        WHERE_TO_SEND,
        "",
    ]
    return "\n".join(lines)
