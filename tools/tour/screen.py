"""What a person sees in a terminal."""

import math
import shlex
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from tools.tour.account import Account
from tools.tour.answers import Answer, cell
from tools.tour.database import Table as Filled
from tools.tour.survey import Survey

_ROWS = 5
_BAR = 20
_WIDEST = 28
# What a line needs that holds more than a name and a number.
_ROOMY = 72


class Screen:
    """Writes to a console, at whatever width it has."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self._is_roomy = console.width >= _ROOMY

    def say(self, sentence: str = "", style: str = "") -> None:
        """Write a sentence, which may hold anything."""
        self.console.print(Text(sentence, style=style))

    def command(self, account: Account, *arguments: str | Path) -> None:
        """Show a command of the connector as it can be typed; the sandbox ends with this run."""
        if account.is_sandbox:
            self.say(f"\nsource-kustomer {arguments[0]}", "bold cyan")
            return
        words = [Path(account.program[0]), arguments[0], "--config", account.path, *arguments[1:]]
        # What is wrapped by the terminal itself is copied as one line.
        line = shlex.join(relative(word) if isinstance(word, Path) else word for word in words)
        self.console.print(Text(f"\n{line}", style="bold cyan"), soft_wrap=True)

    def survey(self, account: Account, found: Survey, warnings: Iterable[str]) -> None:
        self.say(f"The key may read {', '.join(found.pages)}.", "green")
        for warning in warnings:
            self.say(warning, "yellow")
        takes = f"All of it takes about {found.requests:,} requests"
        if found.limit:
            share = account.config.share
            takes += f": {_duration(found.requests / (found.limit * share / 100))} at {share} %"
            takes += f" of the organization's limit of {found.limit:,} a minute"
        self.say(f"{takes}.")
        if unknown := [name for name, pages in found.pages.items() if pages is None]:
            self.say(f"How long {', '.join(unknown)} will be shows when they are read.")

    def tables(self, tables: Iterable[Filled]) -> None:
        shown = _table()
        shown.add_column("table", no_wrap=True)
        shown.add_column("records", justify="right", no_wrap=True)
        shown.add_column("columns filled", justify="right")
        if self._is_roomy:
            shown.add_column("created")
        for table in tables:
            filled = f"{table.filled} of {table.columns}"
            days = " to ".join(f"{day:%Y-%m-%d}" for day in (table.first, table.last) if day)
            row = [table.name, f"{table.records:,}", filled, days]
            shown.add_row(*row[: len(shown.columns)])
        self.console.print(shown)

    def answer(self, answer: Answer) -> None:
        self.say(f"\n{answer.title}", "bold")
        if answer.unanswered:
            self.say(answer.unanswered, "yellow")
        elif answer.question.chart == "heatmap":
            self.say("The page has a picture of it.", "dim")
        elif self._is_roomy and len(answer.rows) > 1:
            self.console.print(self._answer(answer))
        else:
            for row in _shown(answer):
                pairs = zip(map(answer.heading, answer.columns), map(cell, row), strict=True)
                self.say(", ".join(f"{heading}: {value}" for heading, value in pairs))
        hidden = len(answer.rows) - _ROWS
        more = f", {hidden:,} more rows" if hidden > 0 else ""
        self.say(f"docs/queries/{answer.question.file}{more}", "dim")

    def _answer(self, answer: Answer) -> Table:
        table, rows = _table(), _shown(answer)
        for number, name in enumerate(answer.columns):
            header = Text(answer.heading(name).replace(" ", "\n"))
            if number in answer.numbers:
                table.add_column(header, justify="right", no_wrap=True)
            else:
                table.add_column(header, max_width=_WIDEST)
        table.add_column(width=_BAR, no_wrap=True)
        lengths = [sum(answer.bars(row)) for row in rows]
        longest, full = max(lengths, default=0), "#" if self.console.options.ascii_only else "█"
        for row, length in zip(rows, lengths, strict=True):
            bar = Text(full * round(_BAR * length / (longest or 1)), style="cyan")
            table.add_row(*(Text(cell(value)) for value in row), bar)
        return table


class Bars(Progress):
    """A bar for each stream from the start, so that a person sees what is waited for."""

    def __init__(self, console: Console, found: Survey, stored: Mapping[str, int]) -> None:
        columns: list[ProgressColumn] = [
            TextColumn("{task.description:<13}"),
            TextColumn("{task.completed:>11,.0f}"),
        ]
        if console.width >= _ROOMY:
            columns.insert(1, BarColumn(28))
            columns += [TextColumn("records"), TimeRemainingColumn(elapsed_when_finished=True)]
        is_hidden = not console.is_terminal
        super().__init__(*columns, console=console, transient=True, disable=is_hidden)
        self._streams = {
            name: self.add_task(name, total=found.records(name), completed=stored.get(name, 0))
            for name in found.pages
        }

    def show(self, stream: str, records: int, *, is_all: bool) -> None:
        if (task := self._streams.get(stream)) is not None:
            self.advance(task, records)
            if is_all:
                self.update(task, total=self.tasks[task].completed)


def relative(path: Path) -> str:
    """Return a path as it is typed in the current folder."""
    # Not resolved: the environment's programs are often links.
    path = path.absolute()
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)


def _shown(answer: Answer) -> Sequence[tuple[Any, ...]]:
    """Return the rows that a terminal has room for: of a time series, the last ones."""
    return answer.rows[-_ROWS:] if answer.question.chart == "line" else answer.rows[:_ROWS]


def _table() -> Table:
    return Table(box=None, header_style="dim", padding=(0, 2, 0, 0))


def _duration(minutes: float) -> str:
    if minutes * 60 < 90:
        return f"{math.ceil(minutes * 60)} s"
    return f"{math.ceil(minutes)} min" if minutes < 120 else f"{minutes / 60:.1f} h"
