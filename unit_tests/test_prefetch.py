"""Pages that are fetched ahead: in which order, how many, and what becomes of the rest."""

import threading
import time
import weakref
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from itertools import count

import pytest
from fakes import VirtualClock

from source_kustomer.api import prefetch as module
from source_kustomer.api.prefetch import LARGEST_AHEAD, MOST_AHEAD, MOST_WASTED, Prefetch
from source_kustomer.api.rate_limit import CancelledError, LimitError
from source_kustomer.api.transport import Response
from source_kustomer.errors import Fault

Wanted = Callable[[], bool]
Outcome = int | Exception


class Body(bytes):
    """A body that says that it is large, and takes no memory."""

    def __new__(cls, content: bytes, size: int) -> "Body":
        body = super().__new__(cls, content)
        body.size = size
        return body

    size: int

    def __len__(self) -> int:
        return self.size


@dataclass
class Pages:
    """A server whose responses take as long, and are as large, as a test says, by their number.

    `waited_for` says whether they come after somebody began to wait for them. `fails` says which
    fail and how, once.
    """

    takes: Callable[[int], float] = lambda _: 0.01
    size: Callable[[int], int] = lambda _: 5
    waited_for: bool = True
    fails: Mapping[int, Outcome] = field(default_factory=dict)
    asked: list[int] = field(default_factory=list)

    def __call__(self, url: str, _: Wanted) -> Response:
        number = int(url)
        outcome = 200 if number in self.asked else self.fails.get(number, 200)
        self.asked.append(number)
        if isinstance(outcome, Exception):
            raise outcome
        # The clock of the tests stands still, at 1000.
        received_at = 1001.0 if self.waited_for else 999.0
        content = Body(url.encode(), self.size(number))
        return Response(outcome, {}, content, received_at - self.takes(number), received_at)


def following(first: int, *, sure: int = 10**6) -> Iterator[tuple[str, bool]]:
    """Name the pages from the first on, of which so many are sure to exist."""
    return ((str(number), number < first + sure) for number in count(first))


class Reading:
    """A list that is read from page 1, each page followed by a plan."""

    def __init__(self, pages: Pages, clock: VirtualClock) -> None:
        self.pages = pages
        self.prefetch = Prefetch(pages, clock)
        self._before = set(threading.enumerate())

    def read(self, last: int) -> "Reading":
        for number in range(1, last + 1):
            ahead = self.prefetch.take(str(number))
            if ahead and not ahead.exception():
                assert int(ahead.result().content) == number
            self.prefetch.plan(following(number + 1))
        return self

    @property
    def threads(self) -> set[threading.Thread]:
        return set(threading.enumerate()) - self._before

    def close(self) -> list[int]:
        """Return the pages that were asked for, in order of their numbers, when all is over."""
        threads = self.threads
        self.prefetch.close()
        for thread in threads:
            thread.join(10)
        return sorted(self.pages.asked)


@pytest.fixture(autouse=True)
def idle(monkeypatch: pytest.MonkeyPatch) -> None:
    """The processor is not in use, unless a test says so."""
    monkeypatch.setattr(time, "process_time", lambda: 0.0)


def windows(clock: VirtualClock, last_pages: range, **server: object) -> list[int]:
    """Return how many pages are ahead after each of these was read."""
    found = []
    for last in last_pages:
        asked = Reading(Pages(**server), clock).read(last).close()  # type: ignore[arg-type]
        # None is left out and none is asked for twice, whatever the threads did.
        assert asked == [*range(2, len(asked) + 2)]
        found.append(asked[-1] - last)
    return found


def test_what_was_not_planned_must_be_asked_for(clock: VirtualClock) -> None:
    reading = Reading(Pages(), clock)
    assert reading.prefetch.take("1") is None
    assert reading.close() == []


def test_the_window_doubles_while_responses_are_waited_for(clock: VirtualClock) -> None:
    assert windows(clock, range(1, 9)) == [1, 2, 4, 8, 16, 24, 24, 24]


def test_the_window_stays_while_responses_are_there_in_time(clock: VirtualClock) -> None:
    assert windows(clock, range(1, 9), waited_for=False) == [1] * 8


@pytest.mark.parametrize(("share", "window"), [(0.89, 16), (0.91, 1)], ids=["idle", "busy"])
def test_the_window_stays_where_the_processor_is_what_is_waited_for(
    clock: VirtualClock, monkeypatch: pytest.MonkeyPatch, share: float, window: int
) -> None:
    monkeypatch.setattr(time, "process_time", lambda: 5 + share * clock.monotonic())
    pages = Pages()
    reading = Reading(pages, clock)
    for number in range(1, 6):
        reading.prefetch.take(str(number))
        reading.prefetch.plan(following(number + 1))
        # Far less than a response is late.
        clock.advance(0.01)
    assert reading.close()[-1] == 5 + window


def test_pages_that_arrive_in_another_order_are_handed_over_as_asked_for(
    clock: VirtualClock,
) -> None:
    pages, fourth = Pages(), threading.Event()

    def fetch(url: str, wanted: Wanted) -> Response:
        assert url != "3" or fourth.wait(10)
        response = pages(url, wanted)
        if url == "4":
            fourth.set()
        return response

    reading = Reading(pages, clock)
    reading.prefetch = Prefetch(fetch, clock)
    reading.read(4)
    assert pages.asked[:3] == [2, 4, 3]


@pytest.mark.parametrize(
    ("fast", "slow", "narrowest"),
    [(0.01, 0.0499, 24), (0.01, 0.0501, 1), (0.4, 0.799, 24), (0.4, 0.801, 1)],
)
def test_responses_that_get_twice_as_slow_narrow_the_window(
    clock: VirtualClock, fast: float, slow: float, narrowest: int
) -> None:
    def takes(number: int) -> float:
        return fast if number <= 40 else slow

    at_first = windows(clock, range(40, 44), takes=takes)
    assert at_first == [24, *((24, 24, 24) if narrowest == 24 else (23, 22, 21))]
    assert windows(clock, range(90, 91), takes=takes) == [narrowest]


def test_large_pages_narrow_the_window_to_what_memory_holds(clock: VirtualClock) -> None:
    (window,) = windows(clock, range(9, 10), size=lambda _: LARGEST_AHEAD)
    assert window * LARGEST_AHEAD <= 64 * 2**20 < (window + 1) * LARGEST_AHEAD
    # One that is large is enough, and however large pages are, one may be ahead.
    assert windows(clock, range(60, 61), size=lambda n: 2**25 if n == 2 else 5) == [2]
    assert windows(clock, range(3, 4), size=lambda n: 2**27 if n == 2 else 5) == [1]


FAILURES = {"lost": OSError("lost"), "500": 500, "400": 400}


@pytest.mark.parametrize("outcome", FAILURES.values(), ids=FAILURES)
def test_a_failure_is_handed_over_as_such_and_others_come_one_by_one(
    clock: VirtualClock, outcome: Outcome
) -> None:
    ends = []
    for last in range(19, 26):
        reading = Reading(Pages(fails={20: outcome}), clock)
        reading.read(min(last, 19))
        if last >= 20:
            ahead = reading.prefetch.take("20")
            assert ahead
            failed = ahead.exception() or ahead.result().status
            assert failed == outcome
        for number in range(20, last + 1):
            assert number == 20 or reading.prefetch.take(str(number))
            reading.prefetch.plan(following(number + 1))
        ends.append(reading.close()[-1])
    # What is ahead is enough until the window has grown again from one page.
    assert ends == [43, 43, 43, 43, 43, 43, 49]


@pytest.mark.parametrize(
    "error",
    [CancelledError(), LimitError(5, is_exceeded=True), Fault("large_body", megabytes=10)],
    ids=["cancelled", "limit", "too large"],
)
def test_what_did_not_leave_or_is_too_large_must_be_asked_for(
    clock: VirtualClock, error: Exception
) -> None:
    reading = Reading(Pages(fails={5: error}), clock).read(4)
    assert reading.prefetch.take("5") is None
    assert reading.prefetch.take("6")


def test_where_pages_are_too_large_no_other_is_fetched_in_vain(clock: VirtualClock) -> None:
    too_large = Fault("large_body", megabytes=10)
    all_are = Pages(fails=dict.fromkeys(range(5, 50), too_large))
    assert Reading(all_are, clock).read(40).close() == [*range(2, 13)]
    one_is = Pages(fails={5: too_large})
    assert Reading(one_is, clock).read(40).close()[-1] == 40 + MOST_AHEAD


def test_what_failed_beside_a_page_is_asked_for_again_after_it(
    clock: VirtualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[Future[Response]] = []

    class Recorded(Future[Response]):
        def __init__(self) -> None:
            super().__init__()
            begun.append(self)

    monkeypatch.setattr(module, "Future", Recorded)
    reading = Reading(Pages(fails={5: 500, 6: OSError("lost"), 8: 503}), clock).read(4)
    for ahead in begun:
        ahead.exception(10)
    assert reading.prefetch.take("5")
    reading.prefetch.plan(following(6))
    again = reading.prefetch.take("6")
    assert again
    assert again.result().status == 200
    reading.prefetch.plan(following(7))
    assert reading.close().count(7) == 1
    assert reading.pages.asked.count(6) == reading.pages.asked.count(8) == 2


@pytest.mark.parametrize("last", [1, 18, 19, 39, 100, 500])
def test_pages_that_may_not_exist_are_at_most_a_twentieth_of_the_requests(
    clock: VirtualClock, last: int
) -> None:
    reading = Reading(Pages(), clock)
    for number in range(1, last + 1):
        reading.prefetch.take(str(number))
        reading.prefetch.plan(following(number + 1, sure=int(number < last)))
    asked = reading.close()
    wasted = [number for number in asked if number > last]
    requests = last + len(wasted)
    assert len(wasted) <= MOST_WASTED * requests
    # One more would have been too many, or too far ahead.
    assert len(wasted) == MOST_AHEAD or len(wasted) + 1 > MOST_WASTED * (requests + 1)


def test_pages_that_are_x(clock: VirtualClock) -> None:
    reading = Reading(Pages(), clock).read(3)
    reading.prefetch.take("4")
    reading.prefetch.plan([("100", True), ("101", True), ("102", False), ("103", True)])
    asked = reading.close()
    assert {100, 101} <= {*asked}
    assert not {102, 103} & {*asked}


def test_after_closing_nothing_is_wanted_or_handed_over(clock: VirtualClock) -> None:
    asked, closed = threading.Event(), threading.Event()
    wants: list[bool] = []

    def fetch(_: str, wanted: Wanted) -> Response:
        wants.append(wanted())
        asked.set()
        assert closed.wait(10)
        wants.append(wanted())
        raise CancelledError

    reading = Reading(Pages(), clock)
    reading.prefetch = Prefetch(fetch, clock)
    reading.prefetch.plan(following(1))
    assert asked.wait(10)
    threads = reading.threads
    reading.prefetch.close()
    assert reading.prefetch.take("1") is None
    closed.set()
    for thread in threads:
        thread.join(10)
    assert wants == [True, False]


def test_a_page_that_was_handed_over_is_not_kept(clock: VirtualClock) -> None:
    reading = Reading(Pages(), clock)
    reading.prefetch.plan(following(1))
    taken = reading.prefetch.take("1")
    assert taken
    released = threading.Event()
    weakref.finalize(taken.result(), released.set)
    del taken
    # The thread gives it up a moment after it has handed it over.
    assert released.wait(10)


def test_threads_are_no_more_than_pages_ahead_keep_no_process_and_end_with_the_list(
    clock: VirtualClock,
) -> None:
    reading = Reading(Pages(), clock).read(100)
    threads = reading.threads
    assert 1 <= len(threads) <= MOST_AHEAD
    assert all(thread.daemon for thread in threads)
    reading.close()
    assert not any(thread.is_alive() for thread in threads)
    assert len(reading.pages.asked) == 99 + MOST_AHEAD
