"""What a person sees in a terminal."""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from tools.tour.account import Account
from tools.tour.answers import Answer, cell
from tools.tour.connector import Stream
from tools.tour.database import Table as Filled
from tools.tour.reading import Bars
from tools.tour.survey import Survey

_ROWS = 8
_BAR = 20
_COLORS = ("cyan", "yellow", "green")
_WIDEST = 28


class Screen:
    """Writes to a console, at whatever width it has."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def say(self, sentence: str = "", style: str = "") -> None:
        """Write a sentence, which may hold anything."""
        self._console.print(Text(sentence, style=style))

    def whose(self, account: Account) -> None:
        """Say whose data is read."""
        if account.is_sandbox:
            self.say(f"A sandbox of Kustomer answers at {account.url}.")
            self.say("To read your own account, put org_name and api_key into secrets/config.json.")
        else:
            self.say(f"The account of {account.config.organization}, at {account.url}.")

    @contextmanager
    def command(self, name: str, config: str) -> Iterator[Callable[[str], None]]:
        """Show a command of the connector, and on a terminal that it or what follows runs."""
        self._prompt(f"{name} --config {config}")
        with self._console.status(f"{name} ...") as status:
            yield status.update

    def survey(
        self, account: Account, found: Survey, warnings: Iterable[str], *, is_rest: bool
    ) -> None:
        """Say what the key may read, and how long that takes."""
        if not is_rest:
            self.say(f"The key may read {', '.join(found.pages)}.", "green")
        for warning in warnings:
            self.say(warning, "yellow")
        what = "What is left" if is_rest else "All of it"
        takes = f"{what} takes about {found.requests:,} requests"
        if found.limit:
            share = account.config.share
            takes += f": {_duration(found.requests / (found.limit * share / 100))} at {share} %"
            takes += f" of the organization's limit of {found.limit:,} a minute"
        self.say(f"{takes}.")
        if unknown := [name for name, pages in found.pages.items() if pages is None]:
            self.say(f"How long {', '.join(unknown)} will be shows when they are read.")

    def discovered(self, config: str, streams: Iterable[Stream]) -> None:
        """Show the command, and the tables that it declares."""
        self._prompt(f"discover --config {config}")
        counts = {s["name"]: len(s["json_schema"]["properties"]) for s in streams}
        self.say(", ".join(f"{name} ({columns} columns)" for name, columns in counts.items()))

    @contextmanager
    def reading(self, config: str, found: Survey) -> Iterator[Bars]:
        """Show the command, and on a terminal how many records of each stream have arrived."""
        progress = Progress(
            TextColumn("{task.description:<13}"),
            BarColumn(28),
            TextColumn("{task.completed:>11,.0f} records"),
            TimeRemainingColumn(elapsed_when_finished=True),
            console=self._console,
            transient=True,
            disable=not self._console.is_terminal,
        )
        self._prompt(f"read --config {config} --catalog catalog.json")
        with progress:
            yield _Bars(progress, found)

    def tables(self, tables: Iterable[Filled]) -> None:
        """Show what arrived."""
        shown = _table()
        shown.add_column("table", no_wrap=True)
        shown.add_column("records", justify="right")
        shown.add_column("columns filled", justify="right")
        shown.add_column("created")
        for each in tables:
            days = [f"{day:%Y-%m-%d}" for day in (each.first, each.last) if day]
            filled = f"{each.filled} of {each.columns}"
            shown.add_row(each.name, f"{each.records:,}", filled, " to ".join(days))
        self._console.print(shown)

    def answer(self, answer: Answer) -> None:
        """Show an answer with its bars, or why there is none."""
        self.say(f"\n{answer.title}", "bold")
        if answer.unanswered:
            self.say(answer.unanswered, "yellow")
        else:
            self._console.print(_answer(answer))
        hidden = answer.hidden(_ROWS)
        more = f", {hidden:,} more rows" if hidden else ""
        self.say(f"docs/queries/{answer.question.file}{more}", "dim")

    def files(self, folder: Path) -> None:
        """Say where all of it is."""
        grid = Table.grid(padding=(0, 2))
        grid.add_row("to look at", Text(f"{folder}/report.html", style="bold"))
        grid.add_row("to ask more", Text("make sql", style="bold"))
        grid.add_row("to keep", Text(f"{folder}/kustomer.duckdb", style="bold"))
        self._console.print(grid)

    def _prompt(self, command: str) -> None:
        self.say(f"\n$ source-kustomer {command}", "bold cyan")


class _Bars:
    """A bar for each stream from the start, so that a person sees what is waited for."""

    def __init__(self, progress: Progress, found: Survey) -> None:
        self._progress = progress
        self._tasks = {
            name: progress.add_task(name, total=found.records(name)) for name in found.pages
        }

    def advance(self, stream: str, records: int) -> None:
        if stream in self._tasks:
            self._progress.advance(self._tasks[stream], records)

    def finish(self, stream: str) -> None:
        # A stream that was complete before has no bar.
        if stream in self._tasks:
            task = self._tasks[stream]
            self._progress.update(task, total=self._progress.tasks[task].completed)


def _table() -> Table:
    return Table(box=None, header_style="dim", padding=(0, 2, 0, 0))


def _answer(answer: Answer) -> Table:
    table = _table()
    drawn = answer.question.bars
    for number, name in enumerate(answer.columns):
        header = Text(answer.heading(name).replace(" ", "\n"))
        if len(drawn) > 1 and name in drawn:
            header.stylize(_COLORS[drawn.index(name)])
        if number in answer.numbers:
            table.add_column(header, justify="right", no_wrap=True)
        else:
            # Where it is narrow, names are cut and numbers are not.
            table.add_column(header, max_width=_WIDEST)
    table.add_column(width=_BAR, no_wrap=True)
    for row in answer.rows[:_ROWS]:
        cells = (Text(cell(value), no_wrap=True, overflow="ellipsis") for value in row)
        table.add_row(*cells, _bar(answer.bars(row), answer.longest))
    return table


def _bar(lengths: Sequence[float], longest: float) -> Text:
    """Draw lengths one after another, each in its colour; ends are rounded, not lengths."""
    bar, end = Text(), 0.0
    for length, color in zip(lengths, _COLORS, strict=False):
        begin, end = end, end + length
        cells = round(_BAR * end / longest) - round(_BAR * begin / longest) if longest else 0
        bar.append("\u2588" * cells, style=color)
    return bar


def _duration(minutes: float) -> str:
    if minutes * 60 < 90:
        return f"{math.ceil(minutes * 60)} s"
    return f"{math.ceil(minutes)} min" if minutes < 120 else f"{minutes / 60:.1f} h"
