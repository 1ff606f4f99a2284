"""How requests wait for the rule of the pace, and for one another."""

import logging
import threading
from collections.abc import Callable
from concurrent.futures import CancelledError
from contextlib import ExitStack, suppress

import pytest
from fakes import VirtualClock
from sockets import FOR_EVER
from typing_extensions import override

from source_kustomer.api.headers import RateHeaders
from source_kustomer.api.rate_limit import RateLimiter
from source_kustomer.errors import Fault
from source_kustomer.timing import Timing

SILENT = RateHeaders()


@pytest.fixture
def limiter(clock: VirtualClock) -> RateLimiter:
    return limiter_of(clock)


def limiter_of(clock: VirtualClock, share: int = 80) -> RateLimiter:
    return RateLimiter(share, Timing(), clock, jitter=lambda: 0.5)


def refuse(limiter: RateLimiter, wait: float) -> None:
    with limiter.request() as observe:
        observe(RateHeaders(wait=wait), exceeded=True)


def send(limiter: RateLimiter, headers: RateHeaders = SILENT) -> None:
    with limiter.request() as observe:
        observe(headers)


def test_a_pause_is_waited_for_and_counted_and_what_ends_in_it_ends_it_not(
    limiter: RateLimiter, clock: VirtualClock
) -> None:
    with limiter.request() as earlier:
        for _ in range(2):
            refuse(limiter, 20)
        earlier(SILENT)
        send(limiter)
    assert clock.monotonic() == pytest.approx(1000 + 2 * 20.5)
    assert limiter.waited == pytest.approx(2 * 20.5)


def test_responses_that_say_nothing_hold_nothing_up(
    limiter: RateLimiter, clock: VirtualClock
) -> None:
    for _ in range(50):
        send(limiter)
    with suppress(ConnectionError), limiter.request():
        raise ConnectionError
    assert not clock.waited
    assert limiter.pace.own(clock.monotonic() + 60) == 0, "none is in flight"


@pytest.mark.parametrize("seconds", [0.0, 10.0, 30.4])
def test_a_pause_that_lasts_too_long_ends_a_request_at_once(
    limiter: RateLimiter, clock: VirtualClock, seconds: float
) -> None:
    refuse(limiter, 30)
    deadline = clock.monotonic() + seconds
    with pytest.raises(Fault, match="rate_limit"), limiter.request(deadline=deadline):
        pass
    assert not clock.waited
    # A little later it is short enough.
    with limiter.request(deadline=clock.monotonic() + 30.5):
        pass


def test_a_request_that_waited_long_enough_for_others_of_ours_ends(clock: VirtualClock) -> None:
    limiter = limiter_of(clock, 1)
    with limiter.request(), limiter.request(), limiter.request():
        deadline = clock.monotonic() + 90.5
        with pytest.raises(Fault, match="rate_limit"), limiter.request(deadline=deadline):
            pass
        assert clock.monotonic() == pytest.approx(deadline)
    # It holds nothing up that comes after it.
    send(limiter)
    assert clock.monotonic() == pytest.approx(deadline + 60, abs=0.01)


def test_what_is_no_longer_wanted_does_not_start(limiter: RateLimiter, clock: VirtualClock) -> None:
    refuse(limiter, 30)
    with pytest.raises(CancelledError), limiter.request(lambda: clock.monotonic() < 1002.5):
        pass
    assert clock.monotonic() == 1003
    send(limiter)
    assert clock.monotonic() == pytest.approx(1030.5)


def test_a_long_wait_is_logged_once_with_its_reason(
    limiter: RateLimiter, clock: VirtualClock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    for wait in (9.5, 10.5):
        refuse(limiter, wait)
        send(limiter)
    clock.advance(60)
    for remaining in (8, 7, 6, 5):
        send(limiter, RateHeaders(300, remaining))
    used = "of the organization's 300 requests a minute, this connector uses 3 (its share is 240)"
    assert caplog.messages == [
        "Waiting 11 s for the rate limit: Kustomer refuses requests for now.",
        f"Waiting 12 s for the rate limit: {used}, others about 291.",
    ]


class SilentClock(VirtualClock):
    """Wakes nobody who waits for a second; time passes only as the test says."""

    def __init__(self) -> None:
        super().__init__()
        self.waiting = threading.Semaphore(0)

    @override
    def wait(self, condition: threading.Condition, seconds: float) -> None:
        if seconds >= 1:
            self.waiting.release()
        condition.wait(None if seconds >= 1 else 0.01)


def started(target: Callable[..., None], number: int) -> threading.Thread:
    thread = threading.Thread(target=target, args=(number,), daemon=True)
    thread.start()
    return thread


@pytest.mark.parametrize("news", ["a response", "the end of a request"])
def test_news_wake_all_that_may_start_in_the_order_in_which_they_came(news: str) -> None:
    clock, order, threads = SilentClock(), list[int](), []
    limiter = limiter_of(clock)

    def start(number: int) -> None:
        with limiter.request() as observe:
            order.append(number)
            observe(SILENT)

    with ExitStack() as request:
        observe = request.enter_context(limiter.request())
        observe(RateHeaders(wait=5), exceeded=True)
        for number in range(4):
            threads.append(started(start, number))
            assert clock.waiting.acquire(timeout=FOR_EVER)
        clock.advance(5.5)
        assert order == []
        if news == "a response":
            observe(SILENT)
        else:
            request.close()
        for thread in threads:
            thread.join(FOR_EVER)
            assert not thread.is_alive()
    assert order == [0, 1, 2, 3]


def test_one_that_starts_wakes_the_next() -> None:
    clock, has_started, done = SilentClock(), threading.Semaphore(0), threading.Event()
    limiter = limiter_of(clock)
    for _ in range(81):
        send(limiter)

    def start(_: int) -> None:
        with limiter.request():
            has_started.release()
            done.wait()

    started(start, 0)
    for number in (1, 2):
        # Only the first waits for less than a second.
        started(start, number)
        assert clock.waiting.acquire(timeout=FOR_EVER)
    for _ in range(3):
        clock.advance(0.25)
        assert has_started.acquire(timeout=FOR_EVER)
    done.set()
