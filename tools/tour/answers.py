"""The documented questions, asked of the database."""

import json
import math
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb

from tools.tour.account import PROJECT
from tools.tour.database import column_types, quoted

QUERIES = PROJECT / "docs" / "queries"

# The kinds of charts, in the order of the page.
CHARTS = ("number", "line", "histogram", "heatmap", "bars", "table")

# Tables that only lend names to the others: without them there is less to read, but nothing false.
_LENDERS = ("brands", "tags", "teams", "users")
_SCHEMAS = PROJECT / "source_kustomer" / "schemas"

# Line breaks would tear a table, and marks of direction turn it round.
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]")

_MISSING = re.compile(r'column "([^"]+)"[^"]*not found|Table with name (\S+) does not exist')
_USED = re.compile(r"\b(?:FROM|JOIN)\s+(\w+)", re.IGNORECASE)
_HEAD = re.compile(r"(?:--[^\n]*\n+)*")
_SETTING = re.compile(r"^(chart|attribute): *(.*)")


@dataclass(frozen=True)
class Question:
    """A file of SQL: what it asks, what to note, and the columns of its answer that are drawn.

    `attribute` is the table and the column that stand for an attribute of the account's own.
    """

    file: str
    title: str
    note: str
    sql: str
    chart: str = "table"
    bars: tuple[str, ...] = ()
    attribute: tuple[str, str] | None = None


def questions(folder: Path = QUERIES) -> list[Question]:
    """Return the questions of a folder, in the order of the page."""
    found = [_parse(path.name, path.read_text("utf-8")) for path in sorted(folder.glob("*.sql"))]
    return sorted(found, key=lambda each: f"{(*CHARTS, each.chart).index(each.chart)} {each.file}")


def _parse(file: str, text: str) -> Question:
    head = _HEAD.match(text)
    end = head.end() if head else 0
    lines = [line.removeprefix("--").strip() for line in text[:end].splitlines() if line]
    settings = {s[1]: s[2].split() for line in lines if (s := _SETTING.match(line))}
    title, *note = [line for line in lines if not _SETTING.match(line)] or [file]
    chart, *bars = settings.get("chart") or ["table"]
    table, _, column = "".join(settings.get("attribute", ())).partition(".")
    attribute = (table, column) if column else None
    return Question(file, title, " ".join(note), text[end:].strip(), chart, (*bars,), attribute)


@dataclass(frozen=True)
class Answer:
    """What the database says, or why it cannot."""

    question: Question
    note: str
    sql: str
    columns: tuple[str, ...] = ()
    rows: tuple[tuple[Any, ...], ...] = ()
    unanswered: str = ""

    @property
    def title(self) -> str:
        return self.question.title

    def bars(self, row: tuple[Any, ...]) -> list[float]:
        """Return the lengths of a row's bars."""
        drawn = [float(row[self.columns.index(name)] or 0) for name in self.question.bars]
        return [length if math.isfinite(length) else 0 for length in drawn]

    def heading(self, column: str) -> str:
        """Return a column's name in words, without the last one that all drawn ones share."""
        words, drawn = column.split("_"), self.question.bars
        if column in drawn and len(drawn) > 1 and len({n.split("_")[-1] for n in drawn}) == 1:
            words = words[:-1] or words
        return " ".join(words)

    @property
    def numbers(self) -> list[int]:
        """The places of the columns that hold numbers."""
        return [
            place
            for place in range(len(self.columns))
            if all(isinstance(row[place], (int, float, Decimal, type(None))) for row in self.rows)
        ]


def cell(value: object) -> str:
    """Write a value of an answer as a person reads it."""
    if isinstance(value, (float, Decimal)):
        return f"{value:,.2f}".rstrip("0").rstrip(".")
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M}"
    return "" if value is None else _UNPRINTABLE.sub(" ", str(value))


def ask(connection: duckdb.DuckDBPyConnection, question: Question) -> Answer:
    """Ask one question; an account may lack a column or a table that it is about."""
    note, sql = question.note, question.sql
    try:
        missing = _lend(connection, sql)
        if missing:
            note = f"{note} The key may not read {', '.join(missing)}: ids stand for names.".strip()
        if question.attribute:
            table, named = question.attribute
            own = _own_attribute(connection, table, named)
            if own is None:
                needs = f"This needs a text attribute of {table} with 2 to 12 values: "
                needs += f"name one in the query in place of {named}."
                return Answer(question, note, sql, unanswered=needs)
            note = note.replace(named, own)
            sql = sql if own == named else sql.replace(named, quoted(own))
        result = connection.execute(sql)
        columns = tuple(name for name, *_ in result.description or ())
        answer = Answer(question, note, sql, columns, tuple(result.fetchall()))
    except duckdb.Error as e:
        return Answer(question, note, sql, unanswered=_reason(str(e)))
    return replace(answer, unanswered=_flaw(answer, missing))


def _lend(connection: duckdb.DuckDBPyConnection, sql: str) -> list[str]:
    """Make an empty table for each one that is missing and only lends names; return which."""
    there = connection.execute(
        "SELECT table_name FROM duckdb_tables() WHERE database_name = current_database()"
    )
    names = {name for (name,) in there.fetchall()}
    used = {name.lower() for name in _USED.findall(sql)}
    missing = [name for name in _LENDERS if name in used - names]
    for name in missing:
        properties = json.loads((_SCHEMAS / f"{name}.json").read_bytes())["properties"]
        columns = ", ".join(f"{quoted(c)} {kind}" for c, kind in column_types(properties).items())
        connection.execute(f"CREATE TEMP TABLE IF NOT EXISTS {name} ({columns})")
    return missing


def _own_attribute(connection: duckdb.DuckDBPyConnection, table: str, named: str) -> str | None:
    """Return a text attribute with 2 to 12 values: the named one, or the one that most have."""
    found = connection.execute(
        "SELECT column_name FROM "  # noqa: S608
        f"(SUMMARIZE SELECT COLUMNS('^id$|^custom_') FROM {quoted(table)}) "
        "WHERE column_name <> 'id' AND column_type = 'VARCHAR' AND approx_unique BETWEEN 2 AND 12 "
        "ORDER BY null_percentage, column_name"
    )
    names = [name for (name,) in found.fetchall()]
    return named if named in names else next(iter(names), None)


def _flaw(answer: Answer, missing: Iterable[str]) -> str:
    """Say why an answer cannot be shown as its question wants it."""
    if not answer.rows:
        return "".join(map(_no_table, missing)) or "There is nothing to count."
    chart, numbers = answer.question.chart, {answer.columns[place] for place in answer.numbers}
    if chart not in CHARTS:
        return f"There is no chart {chart}: {', '.join(CHARTS)} are known."
    if undrawable := [name for name in answer.question.bars if name not in numbers]:
        return f"There are no numbers {', '.join(undrawable)} in the answer to draw."
    return ""


def _no_table(name: str) -> str:
    return f"There is no table {name}: this key may not read it."


def _reason(error: str) -> str:
    if not (missing := _MISSING.search(error)):
        return error.splitlines()[0]
    column, table = missing.groups()
    if table:
        return _no_table(table)
    return f"There is no column {column} here: put one of your own into the query."
