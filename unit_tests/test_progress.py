"""What a long read tells while it runs, in virtual time."""

import io
import json
import logging
import re
import sys
from collections.abc import Iterator

import pytest
from airbyte_cdk.models import AirbyteMessage
from wire import BASE, Clock, page

from source_kustomer.client import Client
from source_kustomer.pagination import Position, Walk
from source_kustomer.progress import Progress, _duration

URL = f"{BASE}tags"


@pytest.fixture(autouse=True)
def no_terminal(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    stderr = io.StringIO()
    monkeypatch.setattr(sys, "__stderr__", stderr)
    return stderr


@pytest.fixture
def told(caplog: pytest.LogCaptureFixture) -> Iterator[list[str]]:
    """Collect the lines of the log while they come."""
    with caplog.at_level(logging.INFO, "airbyte"):
        yield _Lines(caplog)


class _Lines(list[str]):
    def __init__(self, caplog: pytest.LogCaptureFixture) -> None:
        super().__init__()
        self._caplog = caplog

    def __iter__(self) -> Iterator[str]:
        return iter([r.getMessage() for r in self._caplog.records])


def start(client: Client, size: int = 100) -> tuple[Walk, Progress]:
    return Walk(URL, Position.first(size)), Progress("tags", client)


def read_page(
    walk: Walk, progress: Progress, number: int, pages: int, **meta: object
) -> list[AirbyteMessage]:
    """Take in a full page of a list of so many pages."""
    ids = [f"t{number}-{n}" for n in range(walk.position.size)]
    following = f"?page={number + 1}&pageSize={walk.position.size}" if number < pages else None
    records = walk.take(page(*ids, following=following, **meta))
    return list(progress.of_page(walk, len(records)))


def test_a_first_page_brings_an_estimate_of_the_whole_list(
    client: Client, clock: Clock, told: list[str]
) -> None:
    walk, progress = start(client)
    clock.now += 1
    (message,) = read_page(walk, progress, 1, 25, total=2450)
    trace = message.trace
    assert trace is not None
    assert trace.estimate is not None
    assert trace.type.value == "ESTIMATE"
    assert trace.emitted_at == clock.time() * 1000
    estimate = trace.estimate
    assert (estimate.name, estimate.type.value, estimate.row_estimate) == ("tags", "STREAM", 2450)
    assert [*told] == ["tags: about 2,450 records; 24 pages to come take about 1 s at this pace."]


@pytest.mark.parametrize(
    ("total", "seconds", "expected"),
    [
        # As fast as answers come, or as the limit of 240 requests a minute lets them leave.
        (2_500, 24.0, "24 pages to come take about 24 s at this pace"),
        (23_950, 0.1, "239 pages to come take about 1 s at this pace"),
        (24_100, 0.1, "240 pages to come take about 60 s at this pace"),
        (240_100, 0.1, "2,400 pages to come take about 10 min at this pace"),
        (12_000_100, 0.1, "120,000 pages to come take about 8.3 h at this pace"),
        (150, 24.0, "records; 1 page to come "),
        (90, 1.0, "0 pages to come take about 0 s at this pace"),
    ],
)
def test_what_the_rest_takes_follows_from_the_pace_and_the_limit(
    client: Client, clock: Clock, told: list[str], total: int, seconds: float, expected: str
) -> None:
    walk, progress = start(client)
    clock.now += seconds
    read_page(walk, progress, 1, 9, total=total)
    (line,) = told
    assert expected in line


def test_without_a_total_nothing_is_estimated(client: Client, told: list[str]) -> None:
    walk, progress = start(client)
    assert read_page(walk, progress, 1, 2) == []
    assert [*told] == []


def test_a_list_of_one_page_is_not_worth_an_estimate(client: Client, told: list[str]) -> None:
    walk, progress = start(client)
    assert read_page(walk, progress, 1, 1, total=100) == []
    assert [*told] == []


def test_a_later_page_brings_no_estimate(client: Client, told: list[str]) -> None:
    walk, progress = start(client)
    read_page(walk, progress, 1, 9, total=900)
    assert read_page(walk, progress, 2, 9, total=900) == []
    assert len([*told]) == 1


def test_a_line_a_minute_says_how_far_it_is_and_how_long_it_takes(
    client: Client, clock: Clock, told: list[str]
) -> None:
    walk, progress = start(client)
    read_page(walk, progress, 1, 20, total=2000)
    for number in range(2, 14):
        clock.now += 15
        read_page(walk, progress, number, 20, total=2000)
    assert [*told][1:] == [
        "tags: 500 records on 5 pages in 60 s, about 3 min to go at this pace.",
        "tags: 900 records on 9 pages in 2 min, about 2 min to go at this pace.",
        "tags: 1,300 records on 13 pages in 3 min, about 2 min to go at this pace.",
    ]


def test_without_a_total_a_line_does_not_say_how_long_it_takes(
    client: Client, clock: Clock, told: list[str]
) -> None:
    walk, progress = start(client)
    read_page(walk, progress, 1, 9)
    clock.now += 59.9
    read_page(walk, progress, 2, 9)
    assert [*told] == []
    clock.now += 0.1
    read_page(walk, progress, 3, 9)
    assert [*told] == ["tags: 300 records on 3 pages in 60 s."]


def test_without_any_new_record_a_line_does_not_say_how_long_it_takes(
    client: Client, clock: Clock, told: list[str]
) -> None:
    walk, progress = start(client)
    clock.now += 30
    walk.take(page(following="?page=2&pageSize=100", total=500))
    assert [*progress.of_page(walk, 0)]
    clock.now += 30
    walk.take(page(following="?page=3&pageSize=100", total=500))
    assert [*progress.of_page(walk, 0)] == []
    assert [*told][1] == "tags: 0 records on 2 pages in 60 s."


def test_the_end_line_says_what_this_list_took_and_not_what_was_before_it(
    client: Client, clock: Clock, told: list[str]
) -> None:
    client.traffic.requests, client.traffic.retries = 100, 7
    client.traffic.received_bytes = 5_000_000
    client.budget._waited = 50.0
    walk, progress = start(client)
    for number in range(1, 16):
        clock.now += 2
        read_page(walk, progress, number, 15)
    client.traffic.requests, client.traffic.retries = 1_116, 10
    client.traffic.received_bytes = 12_340_000
    client.budget._waited = 62.0
    progress.finish(walk)
    (line,) = told
    assert line == (
        "tags: 1,500 records on 15 pages in 30 s: 1,016 requests, 3 retries, 12 s waited for the "
        "rate limit, 7.3 MB, 50 records a second."
    )


def test_the_end_line_of_a_list_that_took_no_time_is_a_number(
    client: Client, told: list[str]
) -> None:
    walk, progress = start(client)
    read_page(walk, progress, 1, 1)
    progress.finish(walk)
    (line,) = told
    assert line.endswith("100,000 records a second.")


def test_where_nobody_looks_there_is_no_bar(
    client: Client, no_terminal: io.StringIO, capsys: pytest.CaptureFixture[str]
) -> None:
    walk, progress = start(client)
    read_page(walk, progress, 1, 2, total=200)
    read_page(walk, progress, 2, 2, total=200)
    progress.finish(walk)
    assert no_terminal.getvalue() == ""
    assert capsys.readouterr() == ("", "")


def test_without_a_standard_error_there_is_no_bar(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "__stderr__", None)
    walk, progress = start(client)
    assert len(read_page(walk, progress, 1, 2, total=200)) == 1
    progress.finish(walk)


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("total", [300, None])
def test_at_a_terminal_a_bar_is_drawn_beside_the_messages_and_taken_away(
    client: Client,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    total: int | None,
) -> None:
    terminal = _Terminal()
    monkeypatch.setattr(sys, "__stderr__", terminal)
    monkeypatch.setenv("TERM", "xterm")
    walk, progress = start(client)
    meta = {} if total is None else {"total": total}
    for number in (1, 2, 3):
        read_page(walk, progress, number, 3, **meta)
    bar = progress._bar
    assert bar is not None
    (task,) = bar.tasks
    assert (task.description, task.completed, task.total) == ("tags", 300, total)
    progress.finish(walk)
    assert "tags" in terminal.getvalue()
    assert capsys.readouterr() == ("", "")
    assert not bar.live.is_started


@pytest.mark.parametrize(
    ("seconds", "said"),
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
def test_a_duration_is_said_in_the_unit_that_is_read_with_ease(seconds: float, said: str) -> None:
    assert _duration(seconds) == said


def test_an_estimate_is_a_message_that_can_be_written(client: Client) -> None:
    from airbyte_cdk.models import AirbyteMessageSerializer

    walk, progress = start(client)
    (message,) = read_page(walk, progress, 1, 2, total=200)
    written = json.dumps(AirbyteMessageSerializer.dump(message))
    assert re.search(r'"row_estimate": 200\b', written)
