"""The page to look at and to send: the facts, the answers as charts, and what they come from."""

import csv
import re
from collections.abc import Sequence
from datetime import datetime, timezone
from decimal import Decimal
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from tools.tour.account import Account
from tools.tour.answers import Answer, cell
from tools.tour.charts import draw
from tools.tour.connector import Stream
from tools.tour.database import Table

# What is shown of a table without a chart, and of any in a fold; longer ones get a file.
_ROWS = 8
_FOLDED = 1000

_JOIN = re.compile(r"\b[Jj]oins ([a-z]+)\.id\b")
_MINUTES = "_minutes"


def write_report(
    path: Path,
    account: Account,
    streams: Sequence[Stream],
    tables: Sequence[Table],
    answers: Sequence[Answer],
    *,
    failures: Sequence[str],
    refusals: Sequence[str],
    warnings: Sequence[str],
) -> None:
    """Write the page; whatever the data holds is shown as text.

    `failures` are why not everything arrived, `refusals` what the key may not read, and `warnings`
    what the read warned of.
    """
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"cell": cell, "draw": draw, "fact": _fact, "fact_name": _fact_name}
    answered = [answer for answer in answers if not answer.unanswered]
    for answer in answered:
        if len(answer.rows) > _FOLDED:
            with path.with_name(_csv_name(answer)).open("w", encoding="utf-8", newline="") as file:
                csv.writer(file).writerows([answer.columns, *answer.rows])
    page = environment.get_template("report.html").render(
        account=account,
        now=datetime.now(timezone.utc),
        tables={table.name: table for table in tables},
        joins=_joins(streams),
        facts=[answer for answer in answered if answer.question.chart == "number"],
        answers=[answer for answer in answered if answer.question.chart != "number"],
        unanswered=[answer for answer in answers if answer.unanswered],
        failures=failures,
        refusals=refusals,
        warnings=warnings,
        shown=_ROWS,
        folded=_FOLDED,
        csv_name=_csv_name,
    )
    path.write_text(page, "utf-8")


def _fact(value: object, column: str) -> str:
    if value is None:
        return "–"
    if not column.endswith(_MINUTES) or not isinstance(value, (int, float, Decimal)):
        return cell(value)
    for minutes, unit in ((1440, "days"), (60, "h")):
        if value >= 2 * minutes:
            return f"{float(value) / minutes:.1f} {unit}"
    return f"{value:.0f} min"


def _fact_name(column: str) -> str:
    return column.removesuffix(_MINUTES).replace("_", " ")


def _csv_name(answer: Answer) -> str:
    return f"{Path(answer.question.file).stem}.csv"


def _joins(streams: Sequence[Stream]) -> list[tuple[str, str]]:
    """Return columns with the table that they join, as discover's descriptions tell."""
    names = {stream["name"] for stream in streams}
    return [
        (f"{stream['name']}.{column}", target[1])
        for stream in streams
        for column, schema in stream["json_schema"]["properties"].items()
        if (target := _JOIN.search(schema.get("description", ""))) and target[1] in names
    ]
