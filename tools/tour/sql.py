"""Ask the database of a tour: `make sql`, or `make sql < a file of SQL`."""

import argparse
import io
import re
import sys
from collections.abc import Iterator
from contextlib import redirect_stdout, suppress
from pathlib import Path

import duckdb
from rich.console import Console
from rich.table import Table
from rich.text import Text

from tools.tour.account import PROJECT
from tools.tour.answers import cell
from tools.tour.database import Database

# What DuckDB writes below a table that is too wide to be shown whole.
_HIDDEN = re.compile(r"\d+ columns \(\d+ shown\)")
_UNLIMITED = 100_000
_RECORDS = 20

# Without it, `input` has neither history nor arrow keys.
with suppress(ImportError):
    import readline  # noqa: F401


def main() -> int:
    """Answer statements until they end; returns 1 if the last one failed."""
    parser = argparse.ArgumentParser(prog="python -m tools.tour.sql", description=__doc__)
    parser.add_argument("--database", type=Path, default=PROJECT / ".try" / "kustomer.duckdb")
    path = parser.parse_args().database
    console, code = Console(highlight=False), 0
    try:
        with Database(path, read_only=True) as database:
            for text in _statements():
                code = _answer(database.connection, text, console)
    except duckdb.IOException as e:
        is_locked = "lock" in str(e)
        why = "`make try` is writing it" if is_locked else "`make try` writes it"
        console.print(f"{path} cannot be opened; {why}.", style="red", markup=False)
        return 1
    except duckdb.Error as e:
        console.print(
            f"{path} cannot be opened; `make try` writes it. {e}", style="red", markup=False
        )
        return 1
    except KeyboardInterrupt:
        return 130
    return code


def _statements() -> Iterator[str]:
    """Yield all of a file, or what is typed up to each semicolon."""
    if not sys.stdin.isatty():
        yield sys.stdin.read()
        return
    print("Tables: customers, conversations, users, teams, tags, brands. End a statement with ;")
    statement = ""
    with suppress(EOFError):
        while True:
            statement += input("      ...> " if statement else "kustomer> ") + "\n"
            if not statement.strip():
                statement = ""
            elif statement.rstrip().endswith(";"):
                yield statement
                statement = ""
    print()


def _answer(connection: duckdb.DuckDBPyConnection, text: str, console: Console) -> int:
    """Show what each statement of a text answers; returns 1 if one failed."""
    try:
        for statement in connection.extract_statements(text):
            relation = connection.sql(statement.query)
            if relation:
                _show(relation, console)
    except duckdb.Error as e:
        console.print(str(e), style="red", markup=False)
        return 1
    return 0


def _show(relation: duckdb.DuckDBPyRelation, console: Console) -> None:
    """Show all columns: side by side where they fit, else each record from top to bottom."""
    shown, width = io.StringIO(), console.width if console.is_terminal else _UNLIMITED
    with redirect_stdout(shown):
        relation.show(max_width=width)
    if not _HIDDEN.search(shown.getvalue()):
        console.out(shown.getvalue(), end="")
        return
    names = relation.columns
    for number, row in enumerate(relation.limit(_RECORDS).fetchall(), 1):
        console.rule(f"record {number}", align="left", style="dim")
        grid = Table.grid(padding=(0, 2))
        for name, value in zip(names, row, strict=True):
            grid.add_row(Text(name, style="dim"), Text(cell(value)))
        console.print(grid)


if __name__ == "__main__":
    sys.exit(main())
