"""What a long read reports while it runs, in virtual time."""

import io
import json
import logging
import sys
from collections.abc import Iterator

import pytest
from airbyte_cdk.models import AirbyteMessage, AirbyteMessageSerializer
from fakes import BASE, KEY, ScriptedTransport, VirtualClock, page
from typing_extensions import override

from source_kustomer.api.client import Client, Traffic
from source_kustomer.api.rate_limit import RateLimiter
from source_kustomer.config import Config
from source_kustomer.errors import Fault
from source_kustomer.paging.position import Position
from source_kustomer.paging.reader import Reader
from source_kustomer.progress import Progress

Lines = list[str]


class Limiter(RateLimiter):
    """A limiter that has waited as long as it is told."""

    seconds = 0.0

    @property
    @override
    def waited(self) -> float:
        return self.seconds


class Reading:
    """A list of full pages, read in virtual time, and its progress."""

    def __init__(self, clock: VirtualClock, pages: int, **meta: object) -> None:
        self.clock, self.pages, self.meta = clock, pages, meta
        config = Config.parse({"org_name": "acme", "api_key": KEY}, {})
        self.limiter = Limiter(config.share, clock=clock)
        transport = ScriptedTransport(clock)
        self.client = Client(config, transport=transport, limiter=self.limiter, clock=clock)
        self.traffic = Traffic()
        self.reader = Reader(f"{BASE}tags", Position.first(100))
        self.progress = Progress("tags", self.client, self.traffic)

    def page(self, seconds: float = 0.0, records: int = 100) -> list[AirbyteMessage]:
        """Take in the next page after so many seconds."""
        self.clock.advance(seconds)
        number = self.reader.pages + 1
        following = f"?page={number + 1}&pageSize=100" if number < self.pages else None
        ids = [f"t{number}-{n}" for n in range(records)]
        response = page(*ids, following=following, **self.meta)
        try:
            new = self.reader.take(response)
        except Fault:
            # An empty page is believed at the second look.
            new = self.reader.take(response)
        return [*self.progress.of_page(self.reader, len(new))]

    def finish(self) -> None:
        self.progress.finish(self.reader)


@pytest.fixture(autouse=True)
def no_terminal(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    stderr = io.StringIO()
    monkeypatch.setattr(sys, "__stderr__", stderr)
    return stderr


@pytest.fixture
def lines() -> Iterator[Lines]:
    """Collect the lines of the log, which go nowhere else."""
    collected: Lines = []

    class Collect(logging.Handler):
        @override
        def emit(self, record: logging.LogRecord) -> None:
            collected.append(record.getMessage())

    handler, logger = Collect(logging.INFO), logging.getLogger("airbyte.source_kustomer")
    before = logger.level
    logger.setLevel(logging.INFO)
    logger.addHandler(handler)
    logger.propagate = False
    yield collected
    logger.propagate = True
    logger.removeHandler(handler)
    logger.setLevel(before)


def test_a_first_page_brings_an_estimate_of_the_whole_list(
    clock: VirtualClock, lines: Lines
) -> None:
    (message,) = Reading(clock, 25, total=2450).page(1)
    trace = message.trace
    assert trace is not None
    assert trace.estimate is not None
    assert trace.type.value == "ESTIMATE"
    assert trace.emitted_at == clock.time() * 1000
    estimate = trace.estimate
    assert (estimate.name, estimate.type.value, estimate.row_estimate) == ("tags", "STREAM", 2450)
    assert lines == ["tags: about 2,450 records; 24 pages to come take about 6 s at this pace."]
    assert json.loads(json.dumps(AirbyteMessageSerializer.dump(message)))


@pytest.mark.parametrize(
    ("total", "seconds", "expected"),
    [
        # As fast as responses come, or as the limit of 240 requests a minute lets requests leave.
        (2_500, 24.0, "24 pages to come take about 24 s at this pace"),
        (23_950, 0.1, "239 pages to come take about 60 s at this pace"),
        (24_100, 0.1, "240 pages to come take about 60 s at this pace"),
        (240_100, 0.1, "2,400 pages to come take about 10 min at this pace"),
        (12_000_100, 0.1, "120,000 pages to come take about 8.3 h at this pace"),
        (150, 24.0, "records; 1 page to come "),
        (90, 1.0, "0 pages to come take about 0 s at this pace"),
    ],
)
def test_what_the_rest_takes_follows_from_the_pace_and_the_limit(
    clock: VirtualClock, lines: Lines, total: int, seconds: float, expected: str
) -> None:
    Reading(clock, 9, total=total).page(seconds)
    (line,) = lines
    assert expected in line


@pytest.mark.parametrize(
    ("pages", "meta"), [(2, {}), (1, {"total": 100})], ids=["no total", "one page"]
)
def test_what_is_not_known_or_not_worth_it_is_not_estimated(
    clock: VirtualClock, lines: Lines, pages: int, meta: dict[str, object]
) -> None:
    assert Reading(clock, pages, **meta).page() == []
    assert lines == []


def test_a_later_page_brings_no_estimate(clock: VirtualClock, lines: Lines) -> None:
    reading = Reading(clock, 9, total=900)
    assert len(reading.page()) == 1
    assert reading.page() == []
    assert len(lines) == 1


def test_a_line_a_minute_says_how_far_it_is_and_how_long_it_takes(
    clock: VirtualClock, lines: Lines
) -> None:
    reading = Reading(clock, 20, total=2000)
    reading.page()
    for _ in range(2, 14):
        reading.page(15)
    assert lines[1:] == [
        "tags: 500 records on 5 pages in 60 s, about 3 min to go at this pace.",
        "tags: 900 records on 9 pages in 2 min, about 2 min to go at this pace.",
        "tags: 1,300 records on 13 pages in 3 min, about 2 min to go at this pace.",
    ]


def test_without_a_total_a_line_does_not_say_how_long_it_takes(
    clock: VirtualClock, lines: Lines
) -> None:
    reading = Reading(clock, 9)
    reading.page()
    reading.page(59.9)
    assert lines == []
    reading.page(0.1)
    assert lines == ["tags: 300 records on 3 pages in 60 s."]


def test_without_any_new_record_a_line_does_not_say_how_long_it_takes(
    clock: VirtualClock, lines: Lines
) -> None:
    reading = Reading(clock, 9, total=500)
    reading.page(30, records=0)
    reading.page(30, records=0)
    assert lines[1:] == ["tags: 0 records on 2 pages in 60 s."]


def test_the_last_line_says_what_this_list_took_and_not_what_was_before_it(
    clock: VirtualClock, lines: Lines
) -> None:
    reading = Reading(clock, 15)
    reading.limiter.seconds = 50.0
    reading.progress = Progress("tags", reading.client, reading.traffic)
    for _ in range(15):
        reading.page(2)
    reading.traffic.add(requests=1_016, retries=3, received_bytes=7_340_000)
    reading.limiter.seconds = 62.0
    reading.finish()
    (line,) = lines
    assert line == (
        "tags: 1,500 records on 15 pages in 30 s: 1,016 requests, 3 retries, 12 s waited for the "
        "rate limit, 7.3 MB, 50 records a second."
    )


def test_the_last_line_of_a_list_that_took_no_time_is_a_number(
    clock: VirtualClock, lines: Lines
) -> None:
    reading = Reading(clock, 1)
    reading.page()
    reading.finish()
    (line,) = lines
    assert line.endswith(" 100,000 records a second.")


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0, "0 s"),
        (0.04, "0.04 s"),
        (0.456, "0.46 s"),
        (1, "1 s"),
        (9.6, "10 s"),
        (89, "89 s"),
        (90, "2 min"),
        (150, "2 min"),
        (89 * 60, "89 min"),
        (90 * 60, "1.5 h"),
        (36_000, "10.0 h"),
    ],
)
def test_a_duration_is_shown_in_the_unit_that_is_read_most_easily(
    clock: VirtualClock, lines: Lines, seconds: float, shown: str
) -> None:
    clock.advance(-clock.monotonic())
    reading = Reading(clock, 1)
    reading.page(seconds)
    reading.finish()
    assert lines[-1].startswith(f"tags: 100 records on 1 page in {shown}: ")


@pytest.mark.usefixtures("lines")
def test_without_a_terminal_there_is_no_bar(
    clock: VirtualClock, no_terminal: io.StringIO, capfd: pytest.CaptureFixture[str]
) -> None:
    reading = Reading(clock, 2, total=200)
    reading.page()
    reading.page()
    reading.finish()
    assert no_terminal.getvalue() == ""
    assert capfd.readouterr() == ("", "")


def test_without_a_standard_error_there_is_no_bar(
    clock: VirtualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "__stderr__", None)
    reading = Reading(clock, 2, total=200)
    assert len(reading.page()) == 1
    reading.finish()


class Terminal(io.StringIO):
    @override
    def isatty(self) -> bool:
        return True


@pytest.mark.usefixtures("lines")
@pytest.mark.parametrize("meta", [{"total": 300}, {}], ids=["total", "no total"])
def test_at_a_terminal_a_bar_is_drawn_beside_the_messages_and_taken_away(
    clock: VirtualClock,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    meta: dict[str, object],
) -> None:
    terminal, stdout = Terminal(), sys.stdout
    monkeypatch.setattr(sys, "__stderr__", terminal)
    monkeypatch.setenv("TERM", "xterm")
    reading = Reading(clock, 3, **meta)
    for _ in range(3):
        reading.page()
        assert sys.stdout is stdout
    reading.finish()
    drawn = terminal.getvalue()
    assert "tags" in drawn
    # The cursor is hidden while the bar is there, and shown again.
    assert drawn.count("\x1b[?25l") == drawn.count("\x1b[?25h") == 1
    assert capfd.readouterr() == ("", "")
