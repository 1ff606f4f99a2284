"""What the read of a list reports, in virtual time."""

import io
import json
import logging
import sys

import pytest
from airbyte_cdk.entrypoint import AirbyteEntrypoint
from airbyte_cdk.models import AirbyteMessage
from fakes import BASE, KEY, ScriptedTransport, VirtualClock, page
from typing_extensions import override

from source_kustomer.api.client import Client, Traffic
from source_kustomer.config import Config
from source_kustomer.paging.reader import Reader
from source_kustomer.progress import Progress
from source_kustomer.timing import DEFAULT_TIMING


class Counted(Client):
    """A client that counts what it is told."""

    counts = Traffic(requests=900, retries=5, received_bytes=1_000_000, waited=50.0)

    @property
    @override
    def traffic(self) -> Traffic:
        return self.counts


class Reading:
    """A list of full pages, read in virtual time, and its progress."""

    def __init__(self, clock: VirtualClock, pages: int, **meta: object) -> None:
        self.clock, self.pages, self.meta = clock, pages, meta
        config = Config.parse({"org_name": "acme", "api_key": KEY}, {})
        self.client = Counted(config, transport=ScriptedTransport(clock), clock=clock)
        self.reader = Reader(f"{BASE}tags", 100, look=DEFAULT_TIMING.look)
        self.progress = Progress("tags", self.client)

    def page(self, seconds: float = 0.0) -> list[AirbyteMessage]:
        """Take in the next page after so many seconds."""
        self.clock.advance(seconds)
        number = self.reader.pages + 1
        following = f"?page={number + 1}&pageSize=100" if number < self.pages else None
        ids = [f"t{number}-{n}" for n in range(100)]
        response = page(*ids, following=following, **self.meta)
        new = self.reader.take(response, self.clock.monotonic())
        return [*self.progress.of_page(self.reader, len(new))]


@pytest.fixture(autouse=True)
def no_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "__stderr__", io.StringIO())


def test_only_a_first_page_of_several_brings_an_estimate_of_the_whole_list(
    clock: VirtualClock,
) -> None:
    reading = Reading(clock, 3, total=250)
    (message,) = reading.page(1)
    trace = {
        "type": "ESTIMATE",
        "emitted_at": clock.time() * 1000,
        "estimate": {"name": "tags", "type": "STREAM", "row_estimate": 250},
    }
    written = AirbyteEntrypoint.airbyte_message_to_string(message)
    assert json.loads(written) == {"type": "TRACE", "trace": trace}
    assert reading.page() == []
    assert Reading(clock, 2).page() == []
    assert Reading(clock, 1, total=100).page() == []


@pytest.mark.parametrize(
    ("seconds", "speed"),
    [(2, "3.0 s (100 records a second)"), (-1, "0.0 s (300000 records a second)")],
)
def test_the_last_line_says_what_this_list_took_and_not_what_was_before_it(
    clock: VirtualClock, caplog: pytest.LogCaptureFixture, seconds: float, speed: str
) -> None:
    reading = Reading(clock, 3, total=300)
    reading.clock.advance(seconds - 2)
    for _ in range(3):
        reading.page(1)
    reading.client.counts = Traffic(1_916, 8, 8_340_000, 62.0)
    with caplog.at_level(logging.INFO, "airbyte.source_kustomer"):
        reading.progress.finish(reading.reader)
    (record,) = caplog.records
    assert record.getMessage() == (
        f"tags: 300 records on 3 pages in {speed}: 1016 requests, 3 of them retries, 7.3 MB, "
        "12.0 s waited for the rate limit."
    )


class Terminal(io.StringIO):
    @override
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("meta", [{"total": 900}, {}], ids=["total", "no total"])
@pytest.mark.parametrize(
    ("terminal", "is_stdout_a_terminal", "bars"),
    [(None, False, 0), (io.StringIO, False, 0), (Terminal, True, 0), (Terminal, False, 1)],
    ids=["no stderr", "no terminal", "both", "stdout goes elsewhere"],
)
def test_only_at_a_terminal_is_a_bar_drawn_beside_messages_that_go_elsewhere(
    clock: VirtualClock,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    terminal: type[io.StringIO] | None,
    meta: dict[str, object],
    bars: int,
    *,
    is_stdout_a_terminal: bool,
) -> None:
    drawn, stdout = (terminal or io.StringIO)(), sys.stdout
    monkeypatch.setattr(sys, "__stderr__", drawn if terminal else None)
    monkeypatch.setattr("os.isatty", lambda fd: fd == 1 and is_stdout_a_terminal)
    monkeypatch.setenv("TERM", "xterm")
    reading = Reading(clock, 9, **meta)
    for _ in range(3):
        reading.page()
        # The bar of rich would take stdout away.
        assert sys.stdout is stdout
    assert capfd.readouterr() == ("", "")
    reading.progress.finish(reading.reader)
    assert (drawn.getvalue() != "") == ("tags" in drawn.getvalue()) == bool(bars)
    # The cursor is hidden while the bar is there, and shown again.
    assert drawn.getvalue().count("\x1b[?25l") == drawn.getvalue().count("\x1b[?25h") == bars
