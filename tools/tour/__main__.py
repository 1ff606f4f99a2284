"""Read an account into a database, and answer questions from it: `make try`.

Reads from a sandbox, or from your own account where its configuration is there.
"""

import argparse
import fcntl
import importlib
import io
import json
import os
import shutil
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import duckdb
from rich.console import Console

from tools.tour.account import PROJECT, SECRETS, Account, open_account
from tools.tour.answers import ask, questions
from tools.tour.connector import Connector, Stream, TourError, merge
from tools.tour.database import Database
from tools.tour.reading import Progress, Reading
from tools.tour.report import write_report
from tools.tour.screen import Bars, Screen, relative
from tools.tour.survey import Survey, survey

TARGET = PROJECT / ".try"


def main() -> int:
    """Run the tour; returns 1 if something failed, 130 after Ctrl-C."""
    parser = argparse.ArgumentParser(prog="python -m tools.tour", description=__doc__)
    parser.add_argument("--config", type=Path, default=SECRETS, help="whose account to read")
    parser.add_argument("--into", type=Path, default=TARGET, help="the folder to write into")
    options = parser.parse_args()
    # Customers' data is nobody else's.
    os.umask(0o077)
    # A terminal may lack a character that a customer's name has.
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")
    screen = Screen(Console(highlight=False))
    try:
        with open_account(options.config) as account:
            return _tour(screen, account, options.config, options.into)
    except (TourError, duckdb.Error) as e:
        screen.say(str(e), "red")
        return 1
    except OSError as e:
        screen.say(f"{e.filename or options.into} cannot be used: {e.strerror}.", "red")
        return 1
    except KeyboardInterrupt:
        screen.say("\nStopped.")
        return 130


def _tour(screen: Screen, account: Account, config: Path, folder: Path) -> int:
    """Say whose data it is, and read it into a folder of its own where nobody else does."""
    if account.is_sandbox:
        folder /= "sandbox"
        screen.say(f"A sandbox of Kustomer answers at {account.url}.")
        example = '{"org_name": "acme", "api_key": "..."}'
        screen.say(f"For your own account, write {example} into {relative(config)}.")
        for path in config.parent.glob(f"{config.stem}*"):
            screen.say(f"{relative(path)} is not read: name it {config.name}.", "yellow")
    else:
        screen.say(f"The account of {account.name}, at {account.url}.")
    folder.mkdir(parents=True, exist_ok=True)
    try:
        # Until the process ends.
        fcntl.flock(os.open(folder, os.O_RDONLY), fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise TourError(f"Another `make try` writes to {folder}: wait for its end.") from None
    return Tour(screen, account, folder).run()


class Tour:
    """Reads one account into a folder, beside what an earlier read left there."""

    def __init__(self, screen: Screen, account: Account, folder: Path) -> None:
        self._screen, self._account = screen, account
        self._connector = Connector(account.program, account.path, account.environment, screen.say)
        self._catalog, self._kept = folder / "catalog.json", folder / "kustomer.duckdb"
        self._page, self._unfinished = folder / "report.html", folder / "unfinished"
        self._arrived = self._unfinished / "kustomer.duckdb"

    def run(self) -> int:
        """Read what there is to read, and answer from it."""
        began, say = time.monotonic(), self._screen.say
        progress = Progress.load(self._unfinished, self._account.url)
        if progress:
            say("The last read was not finished: this goes on from there.")
        found, streams = self._plan(progress)
        refusals = [*self._connector.warnings]
        progress = progress or Progress.begin(self._unfinished, self._account.url, streams)
        failures = self._read(progress, found)
        if self._connector.stopped:
            records = sum(progress.stored.values())
            kept = f": {records:,} records are kept, the next `make try` reads the rest"
            say(f"Stopped{'' if self._account.is_sandbox else kept}.")
            return 130
        for failure in failures:
            say(failure, "red")
        if not progress.finished:
            say("The next `make try` reads what is missing.")
            if self._kept.exists():
                say(f"{relative(self._kept)} and its page are as the last whole read left them.")
                return 1

        with closing(Database(self._kept, streams)) as database:
            database.replace_tables(self._arrived, found.closed)
            tables = [*database.tables()]
            answers = [ask(database.connection, question) for question in questions()]
        page = self._page.with_suffix(".part")
        write_report(
            *(page, self._account, streams, tables, answers),
            failures=failures,
            refusals=merge(refusals),
            warnings=merge(self._connector.warnings[len(refusals) :]),
        )
        page.replace(self._page)
        if progress.finished:
            shutil.rmtree(self._unfinished)

        self._screen.tables(tables)
        for answer in answers:
            self._screen.answer(answer)
        records = sum(table.records for table in tables)
        say(f"\n{records:,} records in {time.monotonic() - began:.1f} s.")
        say(f"to look at   {relative(self._page)}", "bold")
        say("to ask more  make sql, or in a browser: make sql ARGS=-ui", "bold")
        say(f"to keep      {relative(self._kept)}", "bold")
        return 1 if failures else 0

    def _plan(self, progress: Progress | None) -> tuple[Survey, list[Stream]]:
        """Find out what is to be read and how long that takes; known streams are not discovered."""
        self._screen.command(self._account, "check")
        # The other spinners are not ASCII.
        status = self._screen.console.status("check ...", spinner="line")
        # Most of a command's time is the import of the CDK, so all that need it begin at once.
        with status, ThreadPoolExecutor() as threads:
            threads.submit(importlib.import_module, "source_kustomer.api.client")
            discovered = None if progress else threads.submit(self._connector.discover)
            self._connector.check()
            self._screen.say("Counting the pages of each list, for half a minute at most.", "dim")
            found = survey(self._account)
        self._screen.survey(self._account, found, merge(self._connector.warnings))
        if progress or not discovered:
            return found, progress.streams if progress else []
        streams = [stream for stream in discovered.result() if stream["name"] not in found.closed]
        self._screen.command(self._account, "discover")
        counts = {stream["name"]: len(stream["json_schema"]["properties"]) for stream in streams}
        self._screen.say(", ".join(f"{name} ({count} columns)" for name, count in counts.items()))
        return found, streams

    def _read(self, progress: Progress, found: Survey) -> list[str]:
        """Read what is left into a database beside the kept one; return failures, in sentences."""
        self._catalog.write_text(json.dumps(progress.catalog))
        # It holds no customer's data, and a container reads it as another user.
        self._catalog.chmod(0o644)
        self._catalog.parent.chmod(0o711)
        if progress.finished:
            return []
        self._screen.command(self._account, "read", "--catalog", self._catalog)
        with closing(Database(self._arrived, progress.streams)) as database:
            database.prepare()
            with Bars(self._screen.console, found, progress.stored) as bars:
                reading = Reading(database, progress, self._unfinished, bars)
                reading.run(self._connector, self._catalog)
        return reading.failures


if __name__ == "__main__":
    sys.exit(main())
