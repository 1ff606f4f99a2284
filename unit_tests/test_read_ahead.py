"""Pages that are fetched ahead: in which order, how many, and what becomes of the rest."""

import threading
import time
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from itertools import count, islice

import pytest

from source_kustomer import read_ahead
from source_kustomer.client import Answer
from source_kustomer.rate_limit import CancelledError
from source_kustomer.read_ahead import MOST_AHEAD, MOST_WASTED, ReadAhead

Wanted = Callable[[], bool]


class _Pages:
    """A server whose answers take as long, and are as large, as a test says."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.wanted: list[Wanted] = []
        self.takes = 0.01
        self.body = b"x"
        self.status = 200
        self.raises: Exception | None = None

    def __call__(self, url: str, wanted: Wanted) -> Answer:
        self.asked.append(url)
        self.wanted.append(wanted)
        if self.raises:
            raise self.raises
        answer = Answer()
        answer.url, answer.status_code, answer._content = url, self.status, self.body
        answer.asked_at, answer.arrived_at = 100.0, 100.0 + self.takes
        return answer


class _Late(Future[Answer]):
    """An answer that somebody waits for, however fast it comes."""

    def done(self) -> bool:
        return False


class _Early(Future[Answer]):
    """An answer that is there before somebody takes it."""

    def done(self) -> bool:
        return True


def following(first: int, *, sure: bool = True) -> Iterator[tuple[str, bool]]:
    return ((str(number), sure) for number in count(first))


def run(pages: _Pages, ahead: ReadAhead, numbers: range) -> list[int]:
    """Take these pages, each followed by a plan; return how many pages each plan left ahead."""
    windows = []
    for number in numbers:
        answer = ahead.take(str(number))
        assert answer is None or answer.result().url == str(number)
        ahead.plan(following(number + 1))
        windows.append(len(ahead._running))
    return windows


@pytest.fixture
def pages() -> _Pages:
    return _Pages()


@pytest.fixture(autouse=True)
def used(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Set the share of the time for which the processor is in use: none, unless a test says so."""

    def use(share: float) -> None:
        monkeypatch.setattr(time, "process_time", lambda: share * time.monotonic())

    use(0.0)
    return use


@pytest.fixture
def ahead(pages: _Pages, monkeypatch: pytest.MonkeyPatch) -> ReadAhead:
    monkeypatch.setattr(read_ahead, "Future", _Late)
    return ReadAhead(pages)


def settle(ahead: ReadAhead) -> None:
    """Wait for all that is on its way."""
    for answer in ahead._running.values():
        answer.exception(10)


def grown(pages: _Pages, ahead: ReadAhead) -> int:
    """Let the window grow to its largest and return the next page."""
    assert run(pages, ahead, range(1, 10))[-1] == MOST_AHEAD
    settle(ahead)
    return 10


def test_what_was_not_planned_must_be_asked_for(pages: _Pages, ahead: ReadAhead) -> None:
    assert ahead.take("1") is None
    assert pages.asked == []


def test_the_window_doubles_while_answers_are_waited_for(pages: _Pages, ahead: ReadAhead) -> None:
    assert run(pages, ahead, range(1, 9)) == [1, 2, 4, 8, 16, 24, 24, 24]


def test_the_window_stays_while_answers_are_there_in_time(
    pages: _Pages, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(read_ahead, "Future", _Early)
    assert run(pages, ReadAhead(pages), range(1, 9)) == [1] * 8


@pytest.mark.parametrize(("share", "windows"), [(0.5, [1, 2, 4, 8, 16]), (1.5, [1] * 5)])
def test_the_window_stays_where_the_processor_is_what_is_waited_for(
    pages: _Pages,
    ahead: ReadAhead,
    used: Callable[[float], None],
    share: float,
    windows: list[int],
) -> None:
    used(share)
    assert run(pages, ahead, range(1, 6)) == windows


def test_each_page_is_asked_for_once_and_in_order(pages: _Pages, ahead: ReadAhead) -> None:
    run(pages, ahead, range(1, 60))
    for fetch in ahead._running.values():
        fetch.result(10)
    assert sorted(pages.asked, key=int) == [str(n) for n in range(2, 60 + MOST_AHEAD)]
    # Threads may be scheduled a little differently than they were started.
    assert all(abs(int(url) - place) < MOST_AHEAD for place, url in enumerate(pages.asked, 2))


def test_pages_that_arrive_in_another_order_are_handed_over_as_asked_for() -> None:
    arrived = {str(n): threading.Event() for n in range(2, 8)}

    def fetch(url: str, _: Wanted) -> Answer:
        arrived[url].wait(10)
        answer = Answer()
        answer.url, answer.status_code, answer._content = url, 200, b"x"
        return answer

    ahead = ReadAhead(fetch)
    ahead._most = 6
    ahead.plan(islice(following(2), 6))
    for url in reversed(arrived):
        arrived[url].set()
        ahead._running[url].result(10)
    taken = [ahead.take(url) for url in arrived]
    assert [answer.result().url for answer in taken if answer] == list(arrived)


def test_answers_that_get_slower_narrow_the_window(pages: _Pages, ahead: ReadAhead) -> None:
    number = grown(pages, ahead)
    pages.takes = 0.0501
    windows = run(pages, ahead, range(number, number + 60))
    assert windows[MOST_AHEAD : MOST_AHEAD + 5] == [23, 22, 21, 20, 19]
    assert windows[-1] == 1


@pytest.mark.parametrize(("fast", "slow"), [(0.01, 0.0499), (0.4, 0.799)])
def test_answers_that_are_hardly_slower_do_not_narrow_it(
    pages: _Pages, ahead: ReadAhead, fast: float, slow: float
) -> None:
    pages.takes = fast
    number = grown(pages, ahead)
    pages.takes = slow
    assert run(pages, ahead, range(number, number + 60)) == [MOST_AHEAD] * 60


def test_twice_as_slow_as_the_fastest_is_slow(pages: _Pages, ahead: ReadAhead) -> None:
    pages.takes = 0.4
    number = grown(pages, ahead)
    pages.takes = 0.81
    assert run(pages, ahead, range(number, number + 60))[-1] == 1


def test_large_pages_narrow_the_window_to_what_memory_holds(
    pages: _Pages, ahead: ReadAhead, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(read_ahead, "_MOST_BYTES_AHEAD", 1000)
    pages.body = b"x" * 200
    assert run(pages, ahead, range(1, 20))[-10:] == [5] * 10
    settle(ahead)
    pages.body = b"x" * 2000
    assert run(pages, ahead, range(20, 40))[-10:] == [1] * 10


@pytest.mark.parametrize("error", [OSError("lost"), CancelledError()], ids=["lost", "cancelled"])
def test_a_page_that_did_not_arrive_is_handed_over_as_such_and_others_come_one_by_one(
    pages: _Pages, ahead: ReadAhead, error: Exception
) -> None:
    number = grown(pages, ahead)
    pages.raises = error
    ahead._running.clear()
    ahead.plan([(str(number + 100), True)])
    settle(ahead)
    pages.raises = None
    taken = ahead.take(str(number + 100))
    assert taken
    assert taken.exception() is error
    ahead.plan(following(number + 101))
    assert len(ahead._running) == 1


def test_a_page_that_arrived_with_an_error_is_handed_over_and_others_come_one_by_one(
    pages: _Pages, ahead: ReadAhead
) -> None:
    number = grown(pages, ahead)
    pages.status = 500
    ahead._running.clear()
    ahead.plan([(str(number + 100), True)])
    settle(ahead)
    pages.status = 200
    taken = ahead.take(str(number + 100))
    assert taken
    assert taken.result().status_code == 500
    ahead.plan(following(number + 101))
    assert len(ahead._running) == 1


def test_what_failed_with_a_page_is_asked_for_again_after_it(
    pages: _Pages, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(read_ahead, "Future", _Early)
    ahead = ReadAhead(pages)
    ahead._most = 4
    pages.status = 500
    ahead.plan([("1", True), ("2", True)])
    settle(ahead)
    pages.status = 200
    ahead.plan([("1", True), ("2", True), ("3", True)])
    settle(ahead)
    ahead.take("1")
    assert list(ahead._running) == ["3"]


@pytest.mark.parametrize("pages_so_far", [1, 18, 19, 39, 100, 400, 2000])
def test_pages_that_may_not_exist_are_at_most_a_twentieth_of_the_requests(
    pages: _Pages, ahead: ReadAhead, pages_so_far: int
) -> None:
    for number in range(1, pages_so_far + 1):
        ahead.take(str(number))
    ahead._most = MOST_AHEAD
    ahead.plan(following(pages_so_far + 1, sure=False))
    guesses = len(ahead._running)
    assert guesses <= MOST_WASTED * (pages_so_far + guesses)
    one_more = MOST_WASTED * (pages_so_far + guesses + 1)
    assert guesses == MOST_AHEAD or guesses + 1 > one_more


def test_pages_that_are_sure_are_not_held_back_by_the_bound_on_guesses(
    pages: _Pages, ahead: ReadAhead
) -> None:
    ahead.take("1")
    ahead._most = MOST_AHEAD
    ahead.plan([("2", True), ("3", True), ("4", False), ("5", True)])
    assert list(ahead._running) == ["2", "3"]


def test_guesses_of_a_list_without_totals_waste_little_until_its_end(
    pages: _Pages, ahead: ReadAhead
) -> None:
    last = 500
    for number in range(1, last + 1):
        ahead.take(str(number))
        follow = [(str(number + 1), True)] if number < last else []
        guesses = ((str(n), False) for n in count(number + 2)) if number < last else ()
        ahead.plan([*follow, *islice(guesses, 60)])
    for fetch in ahead._running.values():
        fetch.result(10)
    wasted = [url for url in pages.asked if int(url) > last]
    assert 0 < len(wasted) <= MOST_WASTED * last


def test_after_closing_nothing_is_wanted_or_handed_over(pages: _Pages, ahead: ReadAhead) -> None:
    ahead.plan(following(1))
    ahead._running["1"].result(10)
    (wanted,) = pages.wanted
    assert wanted()
    ahead.close()
    assert not wanted()
    assert ahead.take("1") is None


def test_a_page_that_was_handed_over_is_not_kept(pages: _Pages, ahead: ReadAhead) -> None:
    ahead.plan(following(1))
    taken = ahead.take("1")
    assert taken
    kept = weakref.ref(taken.result())
    del taken
    # The thread gives it up a moment after it has handed it over.
    deadline = time.monotonic() + 10
    while kept() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert kept() is None


def of_read_ahead(before: set[threading.Thread]) -> set[threading.Thread]:
    return {t for t in threading.enumerate() if t.name == "read-ahead"} - before


def test_threads_are_no_more_than_pages_ahead_and_end_with_the_list(
    pages: _Pages, ahead: ReadAhead
) -> None:
    before = of_read_ahead(set())
    run(pages, ahead, range(1, 100))
    threads = of_read_ahead(before)
    assert len(threads) <= MOST_AHEAD
    ahead.close()
    for thread in threads:
        thread.join(10)
    assert not of_read_ahead(before)


def test_a_process_that_ends_does_not_wait_for_an_answer_that_hangs() -> None:
    threads: list[threading.Thread] = []
    asked = threading.Event()

    def fetch(_: str, __: Wanted) -> Answer:
        threads.append(threading.current_thread())
        asked.set()
        return Answer()

    ReadAhead(fetch).plan(following(1))
    assert asked.wait(10)
    assert threads[0].daemon
