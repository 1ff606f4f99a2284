"""Pages that are fetched ahead: in which order, how many, and what becomes of the rest."""

import threading
import weakref
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import CancelledError
from dataclasses import dataclass, field
from itertools import count

import pytest

from source_kustomer.api.prefetch import LARGEST_AHEAD, MOST_AHEAD, Prefetch
from source_kustomer.api.transport import Response
from source_kustomer.errors import Fault

Wanted = Callable[[], bool]


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
    """A server whose pages, by their numbers, have a size, or fail once."""

    size: Callable[[int], int] = lambda _: 5
    fails: Mapping[int, int | Exception] = field(default_factory=dict)
    asked: list[int] = field(default_factory=list)

    def __call__(self, url: str, _: Wanted) -> Response:
        number = int(url)
        outcome = 200 if number in self.asked else self.fails.get(number, 200)
        self.asked.append(number)
        if isinstance(outcome, Exception):
            raise outcome
        return Response(outcome, {}, Body(url.encode(), self.size(number)), 0)


def following(first: int, *, sure: int = 10**6) -> Iterator[tuple[str, bool]]:
    """Name the pages from the first on, of which so many are sure to exist."""
    return ((str(number), number < first + sure) for number in count(first))


class Reading:
    """A list that is read from page 1, each page followed by a plan."""

    def __init__(self, pages: Callable[[str, Wanted], Response], last: int = 0) -> None:
        self._before = {*threading.enumerate()}
        self.pages = pages
        self.prefetch = Prefetch(pages, 30)
        for number in range(1, last + 1):
            self.read(number)

    def read(self, number: int) -> int | BaseException | None:
        """Return the page's status, its error, or None where it must be asked for."""
        ahead = self.prefetch.take(str(number))
        self.prefetch.plan(following(number + 1))
        if ahead is None or ahead.exception():
            return ahead.exception() if ahead else None
        assert int(ahead.result().content) == number
        return ahead.result().status

    @property
    def threads(self) -> list[threading.Thread]:
        return [*{*threading.enumerate()} - self._before]

    def close(self) -> list[int]:
        """Return the pages that were asked for, in order of their numbers, when all is over."""
        self.join()
        self.prefetch.close()
        assert isinstance(self.pages, Pages)
        return sorted(self.pages.asked)

    def join(self) -> None:
        for thread in self.threads:
            thread.join(10)


def test_pages_are_handed_over_in_order_each_asked_for_once() -> None:
    fourth = threading.Event()
    pages = Pages()

    def fetch(url: str, wanted: Wanted) -> Response:
        assert url != "3" or fourth.wait(10)
        response = pages(url, wanted)
        if url == "4":
            fourth.set()
        return response

    reading = Reading(fetch)
    assert [reading.read(number) for number in range(1, 41)] == [None] + [200] * 39
    reading.join()
    assert sorted(pages.asked) == [*range(2, max(pages.asked) + 1)]


def test_pages_in_time_are_fetched_fewer_ahead_and_one_that_is_waited_for_more() -> None:
    gate = threading.Event()
    gate.set()

    def fetch(url: str, wanted: Wanted) -> Response:
        gate.wait(10)
        return pages(url, wanted)

    pages = Pages()
    reading = Reading(fetch)
    for number in range(1, 41):
        reading.join()
        reading.read(number)
    reading.join()
    gate.clear()
    # In time too, but the page after it is held.
    reading.read(41)
    threading.Timer(1.0, gate.set).start()
    reading.read(42)
    reading.join()
    assert sorted(pages.asked) == [*range(2, 42 + 2 + 1)]


@pytest.mark.parametrize(
    ("size", "ahead"),
    [(5, 24), (LARGEST_AHEAD, 6), (2**26, 1), (2**25, 2), (2**22, 16)],
)
def test_large_pages_narrow_the_window_to_what_memory_holds(size: int, ahead: int) -> None:
    # One that is large is enough.
    pages = Pages(size=lambda number: size if number == 2 else 5)
    reading = Reading(pages, 2)
    reading.join()
    assert max(pages.asked) <= 1 + MOST_AHEAD
    for number in range(3, 61):
        reading.join()
        asked = len(pages.asked)
        reading.read(number)
        assert len(pages.asked) <= max(asked, number - 1 + ahead)


@pytest.mark.parametrize("outcome", [OSError("lost"), 500, 400], ids=["lost", "500", "400"])
def test_a_failure_is_handed_over_and_the_pages_after_it_are_fetched_anew_few_at_first(
    outcome: int | Exception,
) -> None:
    pages = Pages(fails={20: outcome, 21: 503})
    reading = Reading(pages, 19)
    reading.join()
    assert reading.read(20) == outcome
    reached = []
    for number in range(21, 26):
        reading.join()
        reached.append(max(n for n in pages.asked if pages.asked.count(n) == 2))
        assert reading.read(number) == 200
    assert reached == [21, 22, 23, 24, 25]
    assert [reading.read(number) for number in range(26, 30)] == [200] * 4
    assert max(map(reading.close().count, range(2, 30))) == 2


@pytest.mark.parametrize(
    "error", [CancelledError(), Fault("rate_limit")], ids=["cancelled", "limit"]
)
def test_what_was_not_sent_must_be_asked_for(error: Exception) -> None:
    reading = Reading(Pages(fails={5: error}), 4)
    assert reading.read(5) is None
    assert reading.read(6) == 200


def test_where_a_page_is_too_large_no_other_is_fetched_in_vain() -> None:
    too_large = Fault("large_body", megabytes=10)
    reading = Reading(Pages(fails=dict.fromkeys(range(5, 50), too_large)), 4)
    assert [reading.read(number) for number in range(5, 40)] == [None] * 35
    asked = reading.close()
    assert asked == [*range(2, len(asked) + 2)]
    assert len(asked) < 4 + MOST_AHEAD


def test_what_is_given_up_is_not_wanted_or_handed_over_any_more() -> None:
    all_asked, given_up = threading.Barrier(MOST_AHEAD + 1), threading.Event()
    wants: list[tuple[str, bool]] = []

    def fetch(url: str, wanted: Wanted) -> Response:
        assert wanted()
        all_asked.wait(10)
        assert given_up.wait(10)
        wants.append((url, wanted()))
        raise CancelledError

    reading = Reading(fetch)
    reading.prefetch.plan(following(1))
    all_asked.wait(10)
    threads = reading.threads
    assert len(threads) == MOST_AHEAD
    assert all(thread.daemon for thread in threads)
    reading.prefetch.forget()
    assert reading.prefetch.take("1") is None
    given_up.set()
    reading.join()
    assert sorted(wants) == sorted((str(n), False) for n in range(1, MOST_AHEAD + 1))


@pytest.mark.parametrize("last", [1, 18, 19, 39, 100, 500])
def test_pages_that_may_not_exist_are_at_most_a_twentieth_of_the_requests(last: int) -> None:
    reading = Reading(Pages())
    for number in range(1, last + 1):
        reading.prefetch.take(str(number))
        reading.prefetch.plan(following(number + 1, sure=int(number < last)))
    wasted = [number for number in reading.close() if number > last]
    requests = last + len(wasted)
    assert len(wasted) <= requests / 20


def test_a_page_that_was_handed_over_is_not_kept() -> None:
    reading = Reading(Pages())
    reading.prefetch.plan(following(1))
    taken = reading.prefetch.take("1")
    assert taken
    released = threading.Event()
    weakref.finalize(taken.result(), released.set)
    del taken
    # The thread gives it up a moment after it has handed it over.
    assert released.wait(10)


def test_a_machine_that_lets_few_threads_start_fetches_fewer_pages_ahead(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    start, allowed = threading.Thread.start, iter(range(3))

    def refuse(thread: threading.Thread) -> None:
        if next(allowed, None) is None:
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", refuse)
    reading = Reading(Pages())
    assert [reading.read(number) for number in range(1, 7)] == [None, 200, 200, 200, None, None]
    assert reading.close() == [2, 3, 4]
