"""Read an account into a database, and answer a few questions from it: `make try`.

Reads from a sandbox, or from your own account where its configuration is there.
"""

import argparse
import fcntl
import os
import sys
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import duckdb
from rich.console import Console

from tools.tour.account import PROJECT, Account, open_account
from tools.tour.answers import QUESTIONS, ask
from tools.tour.connector import Connector, Stream, TourError
from tools.tour.database import Database, Table
from tools.tour.progress import Progress
from tools.tour.reading import Reading
from tools.tour.report import write_report
from tools.tour.screen import Screen
from tools.tour.survey import Survey, survey

SECRETS = PROJECT / "secrets" / "config.json"
TARGET = PROJECT / ".try"


def main() -> int:
    """Run the tour; returns 1 if something failed, 130 after Ctrl-C."""
    parser = argparse.ArgumentParser(prog="python -m tools.tour", description=__doc__)
    parser.add_argument("--config", type=Path, default=SECRETS, help="whose account to read")
    parser.add_argument("--into", type=Path, default=TARGET, help="the folder to write into")
    options = parser.parse_args()
    # Customers' data is nobody else's.
    os.umask(0o077)
    screen = Screen(Console(highlight=False))
    try:
        options.into.mkdir(parents=True, exist_ok=True)
        with _alone_in(options.into), open_account(options.config) as account:
            return tour(screen, account, options.into)
    except (TourError, duckdb.Error) as e:
        screen.say(str(e), "red")
        return 1
    except OSError as e:
        screen.say(f"{e.filename} cannot be used: {e.strerror}.", "red")
        return 1
    except KeyboardInterrupt:
        screen.say("\nStopped.")
        return 130


@contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """Keep a second tour out of the folder; raises `TourError` if one is there."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise TourError(f"Another `make try` writes to {folder}: wait for its end.") from None
        yield
    finally:
        os.close(descriptor)


def tour(screen: Screen, account: Account, folder: Path) -> int:
    """Read what there is to read, and answer from it."""
    began = time.monotonic()
    connector = Connector(account.path, account.environment)
    screen.whose(account)
    unfinished, file = folder / "unfinished.json", folder / "kustomer.duckdb"
    progress = Progress.load(unfinished, account.url) if file.exists() else None
    if progress:
        screen.say("The last read was not finished: this goes on from there.")
    found, streams = plan(screen, account, connector, progress)
    refusals = [*connector.warnings]
    if not progress:
        progress = Progress(account.url, streams)
        for old in (*folder.glob("kustomer.duckdb*"), folder / "report.html"):
            old.unlink(missing_ok=True)

    with Database(file) as database:
        database.prepare(streams)
        with screen.reading(account.path.name, found) as bars:
            reading = Reading(database, progress, unfinished, bars)
            reading.run(connector)
        tables = database.tables()
        answers = [ask(database.connection, question) for question in QUESTIONS]
    records = sum(table.records for table in tables)
    if connector.stopped:
        kept = f"{records:,} records are kept, the next `make try` reads the rest"
        screen.say("Stopped." if account.is_sandbox else f"Stopped: {kept}.")
        return 130

    screen.tables(tables)
    for answer in answers:
        screen.answer(answer)
    failures = [*reading.failures, *_missing(account, tables)]
    for failure in failures:
        screen.say(failure, "red")
    if unfinished.exists():
        screen.say("The next `make try` reads what is missing.")
    write_report(
        folder / "report.html",
        account,
        streams,
        tables,
        answers,
        failures=failures,
        refusals=refusals,
        warnings=connector.warnings[len(refusals) :],
    )
    screen.say(f"\n{records:,} records in {time.monotonic() - began:.1f} s.")
    screen.files(folder.relative_to(PROJECT) if folder.is_relative_to(PROJECT) else folder)
    return 1 if failures else 0


def plan(
    screen: Screen, account: Account, connector: Connector, progress: Progress | None
) -> tuple[Survey, list[Stream]]:
    """Find out what is to be read, and how long that takes; known streams are not discovered."""
    # Most of a command's time is the import of the CDK, so two run at once.
    with screen.command("check", account.path.name) as says, ThreadPoolExecutor() as threads:
        discovered = None if progress else threads.submit(connector.discover)
        connector.check()
        says("counting the pages of each list ...")
        found = survey(account)
    if progress:
        found = found.without(progress.stored, progress.complete)
    screen.survey(account, found, connector.warnings, is_rest=progress is not None)
    if progress or not discovered:
        return found, progress.streams if progress else []
    streams = [stream for stream in discovered.result() if stream["name"] not in found.closed]
    screen.discovered(account.path.name, streams)
    return found, streams


def _missing(account: Account, tables: Iterable[Table]) -> Iterator[str]:
    for table in tables:
        there = account.expected.get(table.name, table.records)
        if table.records != there:
            yield f"{table.name}: {there:,} records are in the sandbox, {table.records:,} came."


if __name__ == "__main__":
    sys.exit(main())
