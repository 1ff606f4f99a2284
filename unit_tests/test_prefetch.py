"""Pages that are fetched ahead: in which order, how many, and what becomes of the rest."""

import threading
import weakref
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import CancelledError
from dataclasses import dataclass, field
from itertools import count

import pytest
from sockets import FOR_EVER

from source_kustomer.api.prefetch import LARGEST_AHEAD, MOST_AHEAD, Prefetch
from source_kustomer.api.transport import Response
from source_kustomer.errors import Fault

Wanted = Callable[[], bool]


def following(first: int, *, sure: int = 10**6) -> Iterator[tuple[str, bool]]:
    """Name the pages from the first on, of which so many are sure to exist."""
    return ((str(number), number < first + sure) for number in count(first))


@dataclass
class Reading:
    """A list that is read page by page, each followed by a plan.

    Its pages, by their numbers, have a size, or fail once; `meanwhile` runs while one is fetched.
    """

    size: Callable[[int], int] = lambda _: 5
    fails: Mapping[int, int | Exception] = field(default_factory=dict)
    meanwhile: Callable[[int, Wanted], object] = lambda _number, _wanted: None
    seconds: float = FOR_EVER
    asked: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.prefetch = Prefetch(self._fetch, self.seconds)
        self._before = {*threading.enumerate()}

    def _fetch(self, url: str, wanted: Wanted) -> Response:
        number = int(url)
        outcome = 200 if number in self.asked else self.fails.get(number, 200)
        self.asked.append(number)
        self.meanwhile(number, wanted)
        if isinstance(outcome, Exception):
            raise outcome
        return Response(outcome, {"page": url}, bytes(self.size(number)), 0)

    def read(self, first: int, last: int | None = None) -> list[int | BaseException | None]:
        """Return the status of each page, its error, or None where it must be asked for."""
        outcomes: list[int | BaseException | None] = []
        for number in range(first, (last or first) + 1):
            ahead = self.prefetch.take(str(number))
            self.prefetch.plan(following(number + 1))
            error = ahead.exception() if ahead else None
            outcomes.append(error or (ahead.result().status if ahead else None))
            assert not ahead or error or ahead.result().headers["page"] == str(number)
        return outcomes

    @property
    def threads(self) -> list[threading.Thread]:
        return [*{*threading.enumerate()} - self._before]

    def settle(self) -> list[int]:
        """Return the pages that were asked for, by number, when nothing is fetched any more."""
        for thread in self.threads:
            thread.join(FOR_EVER)
        return sorted(self.asked)


def test_pages_are_handed_over_in_order_each_asked_for_once() -> None:
    fourth = threading.Event()

    def third_after_fourth(number: int, _: Wanted) -> None:
        if number == 4:
            fourth.set()
        assert number != 3 or fourth.wait(FOR_EVER)

    reading = Reading(meanwhile=third_after_fourth)
    assert reading.read(1, 40) == [None] + [200] * 39
    asked = reading.settle()
    assert asked == [*range(2, max(asked) + 1)]


def test_pages_long_in_time_are_fetched_fewer_ahead_and_one_that_is_waited_for_more() -> None:
    may_come, last_may_come = threading.Event(), threading.Event()
    may_come.set()

    def hold(number: int, _: Wanted) -> None:
        (last_may_come if number == 44 else may_come).wait(FOR_EVER)

    reading = Reading(meanwhile=hold)
    for number in range(1, 41):
        reading.read(number)
        reading.settle()
    assert max(reading.asked) == 41
    may_come.clear()
    reading.read(41)
    threading.Timer(1.0, may_come.set).start()
    reading.read(42)
    for thread in reading.threads:
        thread.join(0.5)
    assert max(reading.asked) == 42 + 2
    # One that is there while those after it are not leaves as many.
    reading.read(43)
    last_may_come.set()
    assert reading.settle() == [*range(2, 43 + 2 + 1)]


@pytest.mark.parametrize("size", [5, 2**22, LARGEST_AHEAD, 2**25, 2**26])
def test_as_many_pages_are_fetched_ahead_as_fit_into_memory_if_all_are_as_large_as_one_was(
    size: int,
) -> None:
    reading = Reading(size=lambda number: size if number == 1 else 5)
    most = min(MOST_AHEAD, 2**26 // size)
    reading.prefetch.plan([("1", True)])
    for number in (1, 2):
        assert reading.prefetch.take(str(number))
        reading.prefetch.plan(following(number + 1))
        # One that was there in time leaves one fewer.
        assert most - number <= max(reading.settle()) - number <= most


@pytest.mark.parametrize("outcome", [OSError("lost"), 500, 400], ids=["lost", "500", "400"])
def test_a_failure_is_handed_over_and_the_pages_after_it_are_fetched_anew_few_at_first(
    outcome: int | Exception,
) -> None:
    reading = Reading(fails={20: outcome, 21: 503})
    reading.read(1, 19)
    reading.settle()
    assert reading.read(20) == [outcome]
    for number in range(21, 26):
        anew = [n for n in reading.settle() if reading.asked.count(n) == 2]
        assert max(anew) == number
        assert reading.read(number) == [200]
    assert reading.read(26, 29) == [200] * 4
    assert max(map(reading.settle().count, range(2, 30))) == 2


@pytest.mark.parametrize("error", [CancelledError(), Fault("rate_limit")], ids=["cancel", "limit"])
def test_what_was_not_sent_must_be_asked_for(error: Exception) -> None:
    reading = Reading(fails={5: error})
    assert reading.read(1, 6) == [None, 200, 200, 200, None, 200]


def test_what_does_not_come_in_time_is_given_up_with_all_that_is_fetched_beside_it() -> None:
    may_end, wants = threading.Event(), list[tuple[int, bool]]()

    def hang(number: int, wanted: Wanted) -> None:
        may_end.wait(FOR_EVER)
        wants.append((number, wanted()))

    reading = Reading(meanwhile=hang, seconds=0.05)
    assert reading.read(1, 2) == [None, None]
    may_end.set()
    reading.settle()
    given_up = [(number, False) for number in range(2, 2 + MOST_AHEAD)]
    assert sorted(wants) == sorted([*given_up, (3, True)])
    assert reading.read(3) == [200]


def test_where_a_page_is_too_large_no_other_is_fetched_in_vain() -> None:
    too_large = Fault("large_body", megabytes=10)
    reading = Reading(fails=dict.fromkeys(range(5, 50), too_large))
    assert reading.read(1, 39) == [None, 200, 200, 200] + [None] * 35
    asked = reading.settle()
    assert asked == [*range(2, len(asked) + 2)]
    assert len(asked) < 4 + MOST_AHEAD


@pytest.mark.parametrize("last", [1, 18, 19, 39, 100, 500])
def test_pages_that_may_not_exist_are_at_most_a_twentieth_of_the_requests(last: int) -> None:
    reading = Reading()
    for number in range(1, last + 1):
        reading.prefetch.take(str(number))
        reading.prefetch.plan(following(number + 1, sure=int(number < last)))
    wasted = [number for number in reading.settle() if number > last]
    assert len(wasted) <= (last + len(wasted)) / 20
    assert bool(wasted) == (last >= 19)


def test_a_page_that_was_handed_over_is_not_kept() -> None:
    reading = Reading()
    reading.prefetch.plan(following(1))
    taken = reading.prefetch.take("1")
    assert taken
    released = threading.Event()
    weakref.finalize(taken.result(), released.set)
    del taken
    # The thread gives it up a moment after it has handed it over.
    assert released.wait(FOR_EVER)


def test_a_machine_that_lets_few_threads_start_fetches_fewer_pages_ahead(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    start, allowed = threading.Thread.start, iter(range(3))

    def refuse(thread: threading.Thread) -> None:
        if next(allowed, None) is None:
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", refuse)
    reading = Reading()
    assert reading.read(1, 6) == [None, 200, 200, 200, None, None]
    assert reading.settle() == [2, 3, 4]
