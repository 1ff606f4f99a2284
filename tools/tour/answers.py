"""A few of the documented questions, asked of the database."""

import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import duckdb

from tools.tour.account import PROJECT

QUERIES = PROJECT / "docs" / "queries"

# Line breaks would tear a table, and marks of direction turn it round.
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]")

_MISSING = re.compile(r'column "([^"]+)"[^"]*not found|Table with name (\S+) does not exist')


@dataclass(frozen=True)
class Question:
    """A file of SQL, and the columns of its answer that are drawn, one after another as a bar.

    `only` is a column that is not shown, and the value that the shown rows have in it.
    """

    file: str
    bars: tuple[str, ...]
    only: tuple[str, str] | None = None


QUESTIONS = (
    Question(
        "01_open_conversations_by_team_and_tag.sql", ("open_conversations",), only=("tag", "(all)")
    ),
    Question("02_first_response_time_by_brand.sql", ("median_minutes",)),
    Question("03_customers_by_loyalty_tier.sql", ("customers",)),
    Question(
        "04_load_of_agents.sql",
        ("open_conversations", "snoozed_conversations", "done_conversations"),
    ),
)


@dataclass(frozen=True)
class Answer:
    """What the database says, or why it cannot."""

    question: Question
    sql: str
    columns: tuple[str, ...] = ()
    rows: tuple[tuple[Any, ...], ...] = ()
    # How many more the query has.
    others: int = 0
    unanswered: str = ""

    @property
    def title(self) -> str:
        """The question in words."""
        return self._comments[0]

    @property
    def note(self) -> str:
        """What to know about the answer."""
        return " ".join(self._comments[1:])

    @property
    def _comments(self) -> list[str]:
        lines = self.sql.splitlines()
        return [line.removeprefix("-- ") for line in lines if line.startswith("-- ")]

    @property
    def longest(self) -> float:
        """The length of the longest row of bars."""
        return max((sum(self.bars(row)) for row in self.rows), default=0)

    def hidden(self, shown: int) -> int:
        """Return how many rows the query has beside the first ones that are shown."""
        return max(0, len(self.rows) - shown) + self.others

    def bars(self, row: tuple[Any, ...]) -> list[float]:
        """Return the lengths of a row's bars."""
        return [float(row[self.columns.index(name)] or 0) for name in self.question.bars]

    def heading(self, column: str) -> str:
        """Return a column's name in words, those drawn side by side without what they share."""
        words = column.split("_")
        if len(self.question.bars) > 1 and column in self.question.bars:
            return words[0]
        return " ".join(words)

    @property
    def numbers(self) -> list[int]:
        """The places of the columns that hold numbers."""
        return [
            place
            for place in range(len(self.columns))
            if all(isinstance(row[place], (int, float, Decimal, type(None))) for row in self.rows)
        ]

    @property
    def texts(self) -> list[int]:
        """The places of the others."""
        numbers = self.numbers
        return [place for place in range(len(self.columns)) if place not in numbers]


def cell(value: object) -> str:
    """Write a value of an answer as a person reads it."""
    if isinstance(value, (int, float, Decimal)) and not isinstance(value, bool):
        return f"{value:,}"
    return "" if value is None else _UNPRINTABLE.sub(" ", str(value))


def ask(connection: duckdb.DuckDBPyConnection, question: Question) -> Answer:
    """Ask one question; an account may lack a column or a table that it is about."""
    sql = (QUERIES / question.file).read_text("utf-8")
    try:
        result = connection.execute(sql)
        columns = tuple(name for name, *_ in result.description or ())
        rows = tuple(result.fetchall())
    except (duckdb.BinderException, duckdb.CatalogException) as e:
        return Answer(question, sql, unanswered=_reason(str(e)))
    except duckdb.Error as e:
        return Answer(question, sql, unanswered=str(e).splitlines()[0])
    shown = rows
    if question.only and question.only[0] in columns:
        place = columns.index(question.only[0])
        shown = tuple(
            (*row[:place], *row[place + 1 :]) for row in rows if row[place] == question.only[1]
        )
        columns = (*columns[:place], *columns[place + 1 :])
    unanswered = "" if shown else "There is nothing to count."
    return Answer(question, sql, columns, shown, len(rows) - len(shown), unanswered)


def _reason(error: str) -> str:
    if not (missing := _MISSING.search(error)):
        return error.splitlines()[0]
    column, table = missing.groups()
    if table:
        return f"There is no table {table}: this key may not read it."
    return f"There is no column {column} here: put one of your own into the query."
