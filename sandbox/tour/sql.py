"""Ask the database of a tour: `make sql`, or `make sql < a file of SQL`."""

import argparse
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import duckdb
from rich.console import Console

from sandbox.tour.account import PROJECT
from sandbox.tour.database import Database

# Without it, `input` has neither history nor arrow keys.
with suppress(ImportError):
    import readline  # noqa: F401


def main() -> int:
    """Answer statements until they end; returns 1 if the last one failed."""
    parser = argparse.ArgumentParser(prog="python -m sandbox.tour.sql", description=__doc__)
    parser.add_argument("--database", type=Path, default=PROJECT / ".try" / "kustomer.duckdb")
    path = parser.parse_args().database
    console, code = Console(highlight=False), 0
    try:
        with Database(path, read_only=True) as database:
            for statement in _statements():
                code = _answer(database.connection, statement, console)
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


def _answer(connection: duckdb.DuckDBPyConnection, statement: str, console: Console) -> int:
    try:
        relation = connection.sql(statement)
        if relation:
            relation.show(max_width=console.width)
    except duckdb.Error as e:
        console.print(str(e), style="red", markup=False)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
