"""The page to look at: what arrived, how it joins, and the answers, in one file."""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from tools.tour.account import Account
from tools.tour.answers import Answer, cell
from tools.tour.connector import Stream
from tools.tour.database import Table

ROWS = 8

# Where each table stands in the picture: its column and row.
_PLACES: Mapping[str, tuple[int, int]] = {
    "customers": (0, 0),
    "conversations": (0, 1),
    "teams": (0, 2),
    "tags": (1, 0),
    "brands": (1, 1),
    "users": (1, 2),
}
_WIDTH, _HEIGHT = 132, 54
_ACROSS, _DOWN = 204, 118

_JOIN = re.compile(r"\b[Jj]oins ([a-z]+)\.id\b")


@dataclass(frozen=True)
class Node:
    """A table in the picture; `x` and `y` are its middle."""

    name: str
    records: int
    x: int
    y: int
    width: int = _WIDTH
    height: int = _HEIGHT


@dataclass(frozen=True)
class Join:
    """Columns by which a table joins another, and the line that shows it."""

    table: str
    target: str
    columns: tuple[str, ...]
    path: str

    @property
    def by_people(self) -> bool:
        """Whether it says no more than who made or changed a record."""
        return all(column.endswith("ById") for column in self.columns)


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
    environment.filters["cell"] = cell
    nodes = {
        table.name: Node(table.name, table.records, *_middle(*_PLACES[table.name]))
        for table in tables
        if table.name in _PLACES
    }
    page = environment.get_template("report.html").render(
        account=account,
        now=datetime.now(timezone.utc),
        tables=tables,
        records=sum(table.records for table in tables),
        custom=[
            column
            for stream in streams
            for column in stream["json_schema"]["properties"]
            if column.startswith("custom_")
        ],
        nodes=list(nodes.values()),
        joins=list(_joins(streams, nodes)),
        answers=answers,
        failures=failures,
        refusals=refusals,
        warnings=warnings,
        rows=ROWS,
    )
    path.write_text(page, "utf-8")


def _middle(column: int, row: int) -> tuple[int, int]:
    return 8 + _WIDTH // 2 + column * _ACROSS, 8 + _HEIGHT // 2 + row * _DOWN


def _joins(streams: Iterable[Stream], nodes: Mapping[str, Node]) -> Iterable[Join]:
    """Yield the joins that discover's descriptions tell of, the faint ones first."""
    found: dict[tuple[str, str], list[str]] = defaultdict(list)
    for stream in streams:
        for column, schema in stream["json_schema"]["properties"].items():
            target = _JOIN.search(schema.get("description", ""))
            if target and target[1] != stream["name"] and {target[1], stream["name"]} <= {*nodes}:
                found[stream["name"], target[1]].append(column)
    joins = [
        Join(table, target, tuple(columns), _line(nodes[table], nodes[target]))
        for (table, target), columns in found.items()
    ]
    return sorted(joins, key=lambda join: not join.by_people)


def _line(begin: Node, end: Node) -> str:
    """Draw a line to the border of the second table, around one that stands between them."""
    if begin.x == end.x and abs(begin.y - end.y) > _DOWN:
        right = begin.x + _WIDTH // 2
        return f"M{right} {begin.y} C{right + 26} {begin.y} {right + 26} {end.y} {right} {end.y}"
    across, down = begin.x - end.x, begin.y - end.y
    # As far from the middle as the nearer of the two borders.
    reach = min(
        end.width / 2 / abs(across) if across else 1, end.height / 2 / abs(down) if down else 1
    )
    return f"M{begin.x} {begin.y} L{end.x + across * reach:.1f} {end.y + down * reach:.1f}"
