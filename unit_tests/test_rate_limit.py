"""How requests wait for the limiter's rule, and the rule against simulated servers."""

import logging
import threading
from collections.abc import Callable
from concurrent.futures import CancelledError
from contextlib import ExitStack, suppress
from itertools import pairwise, product
from operator import ge
from random import Random
from statistics import mean

import pytest
from fakes import VirtualClock
from simulation import MINUTES, Connector, Minute, Simulation, others
from typing_extensions import override

from source_kustomer.api.headers import RateHeaders
from source_kustomer.api.rate_limit import RateLimiter
from source_kustomer.errors import Fault
from source_kustomer.timing import Timing

SILENT = RateHeaders()
LATENCIES = (0.05, 0.5, 3.0)

ANY_MINUTE = pytest.mark.parametrize("minute", MINUTES)
ANY_LATENCY = pytest.mark.parametrize("latency", LATENCIES)


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture
def limiter(clock: VirtualClock) -> RateLimiter:
    return limiter_of(clock)


def limiter_of(clock: VirtualClock, share: int = 80) -> RateLimiter:
    return RateLimiter(share, Timing(), clock, jitter=lambda: 0.5)


def use(limiter: RateLimiter, used: int, limit: int = 1000) -> None:
    """Send a request, whose response says how much of the limit is used."""
    with limiter.request() as observe:
        observe(RateHeaders(limit, limit - used))


def per_minute(limiter: RateLimiter, clock: VirtualClock) -> int:
    return int(limiter.pace.rate(clock.monotonic()))


def refuse(limiter: RateLimiter, wait: float | None) -> None:
    with limiter.request() as observe:
        observe(RateHeaders(wait=wait), exceeded=True)


def moments(limiter: RateLimiter, clock: VirtualClock, count: int) -> list[float]:
    """Return after how many seconds each of so many requests starts."""
    begin, started = clock.monotonic(), []
    for _ in range(count):
        with limiter.request() as observe:
            started.append(clock.monotonic() - begin)
            observe(SILENT)
    return started


@pytest.mark.parametrize(
    ("share", "limit", "used", "rate"),
    [
        pytest.param(80, 1000, 1, 800, id="share"),
        pytest.param(33, 500, 1, 165, id="odd share"),
        pytest.param(1, 40, 1, 1, id="at least one"),
        pytest.param(100, 1000, 1, 950, id="5 % stay free"),
        pytest.param(80, 1000, 501, 450, id="others' use stays free"),
        pytest.param(80, 300, 300, 1, id="nothing remains"),
        pytest.param(80, 1000, 0, 800, id="more remains than can be"),
    ],
)
def test_requests_a_minute_are_the_share_or_what_others_leave_free(
    clock: VirtualClock, share: int, limit: int, used: int, rate: int
) -> None:
    limiter = limiter_of(clock, share)
    use(limiter, used, limit)
    assert per_minute(limiter, clock) == rate


def test_the_smallest_limit_holds_until_a_response_or_a_refusal_names_another(
    limiter: RateLimiter, clock: VirtualClock
) -> None:
    assert per_minute(limiter, clock) == 240
    for limit, remaining, exceeded, rate in (
        (None, 200, False, 285 - 99),
        (500, None, False, 475 - 99),
        (200, 150, True, 190 - 99),
    ):
        with limiter.request() as observe:
            observe(RateHeaders(limit, remaining), exceeded=exceeded)
        assert per_minute(limiter, clock) == rate


def test_what_the_last_response_said_holds_for_a_minute(
    limiter: RateLimiter, clock: VirtualClock
) -> None:
    use(limiter, 501)
    clock.advance(10)
    use(limiter, 302)
    assert per_minute(limiter, clock) == 650
    clock.advance(59.9)
    assert per_minute(limiter, clock) == 650
    clock.advance(0.1)
    assert per_minute(limiter, clock) == 800
    use(limiter, 1000)
    clock.advance(60)
    assert moments(limiter, clock, 3) == [0, 0, 0]


def after(clock: VirtualClock, *responses: tuple[float, int]) -> int:
    """Return the requests a minute of all of 1,000, after responses at these moments."""
    limiter, begin = limiter_of(clock, 100), clock.monotonic()
    for moment, used in responses:
        clock.advance(begin + moment - clock.monotonic())
        use(limiter, used)
    return per_minute(limiter, clock)


@pytest.mark.parametrize(
    ("moment", "rate"), [(1.9, 920), (2.0, 650), (6, 850), (59, 920), (60, 919)]
)
def test_growth_beside_our_own_requests_counts_as_if_it_went_on_for_a_minute(
    clock: VirtualClock, moment: float, rate: int
) -> None:
    # Ten more, and one of ours.
    assert after(clock, (0, 21), (moment, 32)) == pytest.approx(rate, abs=1)


def test_growth_is_that_of_the_last_minute(clock: VirtualClock) -> None:
    assert after(clock, (0, 21), (20, 322), (70, 333), (90, 200)) == 950 - 198


@pytest.mark.parametrize(
    ("count", "rate"),
    [
        pytest.param(124, 950 - (49 + 123) * 60 / 40, id="less than half"),
        pytest.param(125, 950 - 122, id="half of the last one, but for those in flight"),
    ],
)
def test_growth_goes_on_where_the_count_begins_anew(
    clock: VirtualClock, count: int, rate: float
) -> None:
    assert after(clock, (0, 201), (20, 251), (40, count)) == pytest.approx(rate, abs=1)


@pytest.mark.parametrize(("apart", "until"), [(29.9, 30), (30.1, 0)])
def test_growth_is_ignored_while_the_count_begins_anew_twice_in_half_a_minute(
    clock: VirtualClock, apart: float, until: float
) -> None:
    anew = ((0, 500), (1, 100), (apart, 190), (1 + apart, 40))
    for moment in (5.0, 29.9, 30.1):
        rate = after(clock, *anew, (1 + apart + moment, 50))
        assert (rate < 900) == (moment > until)


def test_responses_to_older_requests_and_from_before_a_new_beginning_are_no_news(
    clock: VirtualClock,
) -> None:
    limiter = limiter_of(clock, 100)
    use(limiter, 501)
    with ExitStack() as requests:
        older = [requests.enter_context(limiter.request()) for _ in range(4)]
        clock.advance(30)
        for number, used, rate in ((1, 400, 555), (0, 9, 555), (2, 3, 950), (3, 504, 950)):
            older[number](RateHeaders(1000, 1000 - used))
            assert per_minute(limiter, clock) == rate
        use(limiter, 200)
        assert per_minute(limiter, clock) < 800


def test_what_is_counted_in_another_order_than_it_started_is_no_new_beginning(
    clock: VirtualClock,
) -> None:
    limiter = limiter_of(clock, 100)
    with ExitStack() as requests:
        observers = [requests.enter_context(limiter.request()) for _ in range(8)]
        for observe, used in zip(observers, (8, 1, 2, 3, 4, 5, 6, 7), strict=True):
            observe(RateHeaders(1000, 1000 - used))
    clock.advance(3)
    use(limiter, 9)
    assert per_minute(limiter, clock) == 950


@pytest.mark.parametrize("idle", [0, 30])
def test_a_first_burst_starts_at_once_and_then_the_share_evenly(
    limiter: RateLimiter, clock: VirtualClock, idle: int
) -> None:
    for _ in range(idle):
        use(limiter, 0, 300)
        clock.advance(1)
    started = moments(limiter, clock, 84)
    assert started[80] == 0
    assert started[81:84] == pytest.approx([0.25, 0.5, 0.75])


def test_a_request_is_of_the_share_until_a_minute_after_it_ended(clock: VirtualClock) -> None:
    limiter = limiter_of(clock, 1)
    for _ in range(3):
        with limiter.request():
            clock.advance(10)
    assert moments(limiter, clock, 2) == pytest.approx([40, 50])


def test_where_others_are_seen_two_seconds_are_made_up_for(
    limiter: RateLimiter, clock: VirtualClock
) -> None:
    use(limiter, 401)
    clock.advance(10)
    started = moments(limiter, clock, 20)
    # 550 a minute.
    assert started[17] == 0
    assert started[19] - started[18] == pytest.approx(60 / 550)


def probes(limiter: RateLimiter, clock: VirtualClock, remaining: list[int]) -> list[float]:
    """Return the waits after probes that find so many remaining."""
    started = []
    for number in [*remaining, 0]:
        with limiter.request() as observe:
            started.append(clock.monotonic())
            observe(RateHeaders(300, number))
    return [later - earlier for earlier, later in pairwise(started)]


def test_near_the_limit_probes_back_off_where_they_find_less_and_else_speed_up(
    limiter: RateLimiter, clock: VirtualClock
) -> None:
    assert probes(limiter, clock, [9, 8, 7, 6]) == pytest.approx([2.8, 5.6, 11.2, 20])
    waits = probes(limiter, clock, 20 * [6])
    assert waits[:2] == pytest.approx([14.5, 10.5125])
    assert waits[-2:] == pytest.approx([0.25, 0.25]), "the even pace of the share"
    # Above that, the first wait counts again.
    clock.advance(60)
    use(limiter, 100, 300)
    clock.advance(20)
    assert probes(limiter, clock, [9]) == pytest.approx([2.8])


def test_where_the_even_pace_is_slower_than_a_probe_there_are_probes(
    limiter: RateLimiter, clock: VirtualClock
) -> None:
    assert probes(limiter, clock, [30, 20]) == pytest.approx([2.8, 5.6])
    # 50 a minute.
    limiter = limiter_of(clock)
    use(limiter, 236, 300)
    assert moments(limiter, clock, 4) == pytest.approx([0, 0.4, 1.6, 2.8])


def test_of_several_in_flight_one_response_adapts_the_probes(
    limiter: RateLimiter, clock: VirtualClock
) -> None:
    with ExitStack() as requests:
        observers = [requests.enter_context(limiter.request()) for _ in range(5)]
        for observe, remaining in zip(observers, (8, 7, 6, 5, 4), strict=True):
            observe(RateHeaders(300, remaining))
    assert moments(limiter, clock, 2) == pytest.approx([2.8, 5.6])


@pytest.mark.parametrize("wait", [1.0, 20.0])
def test_a_wait_that_is_named_is_waited_for_and_ends_with_a_probe(
    limiter: RateLimiter, clock: VirtualClock, wait: float
) -> None:
    with limiter.request() as earlier, limiter.request() as probe:
        for _ in range(2):
            refuse(limiter, wait)
        # What started before the pause says nothing of it.
        earlier(SILENT)
        probe(RateHeaders(wait=1), exceeded=True)
        with limiter.request():
            assert clock.monotonic() == pytest.approx(1000 + 2 * (wait + 0.5))
            assert limiter.waited == pytest.approx(2 * (wait + 0.5))
            with limiter.request():
                assert clock.monotonic() == pytest.approx(1000 + 2 * (wait + 0.5) + 1.4)
        probe(SILENT)
    assert moments(limiter, clock, 3) == [0, 0, 0]


@pytest.mark.parametrize("wait", [None, 0.0, 0.9])
def test_a_refusal_that_names_no_wait_is_followed_by_a_probe_after_20_seconds(
    limiter: RateLimiter, clock: VirtualClock, wait: float | None
) -> None:
    for _ in range(2):
        refuse(limiter, wait)
    with limiter.request():
        assert clock.monotonic() == pytest.approx(1000 + 2 * 20)


def test_responses_that_say_nothing_hold_nothing_up(
    limiter: RateLimiter, clock: VirtualClock
) -> None:
    moments(limiter, clock, 50)
    with suppress(ConnectionError), limiter.request():
        raise ConnectionError
    assert not clock.waited


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
    clock.advance(0.5)
    with limiter.request():
        pass


def test_a_request_that_waited_long_enough_for_others_of_ours_ends(clock: VirtualClock) -> None:
    limiter = limiter_of(clock, 1)
    with limiter.request(), limiter.request(), limiter.request():
        begin = clock.monotonic()
        with pytest.raises(Fault, match="rate_limit"), limiter.request(deadline=begin + 90.5):
            pass
        assert clock.monotonic() - begin == pytest.approx(90.5)
    # It holds nothing up that comes after it.
    assert moments(limiter, clock, 1) == pytest.approx([60], abs=0.01)


def test_what_is_no_longer_wanted_does_not_start(limiter: RateLimiter, clock: VirtualClock) -> None:
    refuse(limiter, 30)
    with pytest.raises(CancelledError), limiter.request(lambda: clock.monotonic() < 1002.5):
        pass
    assert clock.monotonic() == 1003
    assert moments(limiter, clock, 1) == pytest.approx([27.5])


def test_a_long_wait_is_logged_once_with_its_reason(
    limiter: RateLimiter, clock: VirtualClock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    for wait in (9.5, 10.5, 41.0):
        refuse(limiter, wait)
        moments(limiter, clock, 1)
    clock.advance(60)
    probes(limiter, clock, [8, 7, 6, 5])
    used = "of the organization's 300 requests a minute, this connector uses {}, others about 291"
    assert [record.getMessage() for record in caplog.records] == [
        f"Waiting {seconds} s for the rate limit: {reason}."
        for seconds, reason in (
            (11, "Kustomer refuses requests for now"),
            (42, "Kustomer refuses requests for now"),
            (12, used.format("3 (its share is 240)")),
            (20, used.format("4 (its share is 240)")),
        )
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
            assert clock.waiting.acquire(timeout=30)
        clock.advance(5.5)
        assert order == []
        if news == "a response":
            observe(SILENT)
        else:
            request.close()
        for thread in threads:
            thread.join(30)
            assert not thread.is_alive()
    assert order == [0, 1, 2, 3]


def test_one_that_starts_wakes_the_next() -> None:
    clock, has_started, done = SilentClock(), threading.Semaphore(0), threading.Event()
    limiter = limiter_of(clock)
    moments(limiter, clock, 81)

    def start(_: int) -> None:
        with limiter.request():
            has_started.release()
            done.wait()

    threads = [started(start, 0)]
    for number in (1, 2):
        # Only the first waits for less than a second.
        threads.append(started(start, number))
        assert clock.waiting.acquire(timeout=30)
    for _ in threads:
        clock.advance(0.25)
        assert has_started.acquire(timeout=30)
    done.set()


@pytest.mark.parametrize(
    ("seed", "most_ours", "most_others", "least_used"),
    [(None, 3, 20, 0.9), (1, 40, 350, 0.8), (3, 40, 350, 0.8)],
    ids=["evenly", "by chance", "by another chance"],
)
def test_whatever_others_use_few_requests_are_refused_and_what_is_left_is_used(
    seed: int | None, most_ours: int, most_others: int, least_used: float
) -> None:
    ours, refused, used = 0, 0, []
    limits = ((300, 0), (300, 90), (300, 150), (300, 240), (1000, 500))
    for (limit, theirs), minute, latency in product(limits, MINUTES, LATENCIES):
        connector = Connector(latency)
        chance = None if seed is None else Random(seed)
        simulation = Simulation(
            Minute(limit, minute, -57), [connector], others(theirs, chance=chance)
        )
        simulation.run(600)
        ours += len(connector.refused)
        refused += len(simulation.others_refused)
        used.append(connector.per_minute(0, 600) / min(0.8 * limit, 0.95 * limit - theirs))
    assert ours <= most_ours
    assert refused <= most_others
    assert mean(used) >= 0.95
    assert min(used) >= least_used


@ANY_MINUTE
def test_a_read_that_is_started_again_after_25_seconds_recovers_in_40(minute: str) -> None:
    """The requests of the one before count as somebody else's while the server counts them."""
    both = [Connector(0.3, end=25), Connector(0.3, begin=25)]
    Simulation(Minute(300, minute), both).run(95)
    received = [both[1].per_minute(t, t + 10) / 6 for t in range(25, 95, 10)]
    assert all(map(ge, received, (20, 16, 17, 22, 36, 33, 39))), received


@ANY_MINUTE
@ANY_LATENCY
def test_when_others_stop_their_requests_a_minute_are_used(minute: str, latency: float) -> None:
    connector = Connector(latency)
    Simulation(Minute(300, minute), [connector], others(240, end=200)).run(315)
    assert connector.per_minute(255, 315) >= 0.9 * 240


@ANY_MINUTE
@ANY_LATENCY
def test_others_that_begin_suddenly_are_made_room_for(minute: str, latency: float) -> None:
    connector = Connector(latency)
    simulation = Simulation(Minute(300, minute), [connector], others(150, begin=200))
    simulation.run(600)
    assert len(connector.refused) <= 2
    assert len(simulation.others_refused) <= 30


@ANY_MINUTE
@ANY_LATENCY
@pytest.mark.parametrize("used", [300, 600])
def test_where_others_use_everything_it_asks_seldom_and_gets_some(
    minute: str, latency: float, used: float
) -> None:
    connector = Connector(latency)
    Simulation(Minute(300, minute), [connector], others(used)).run(600)
    assert connector.per_minute(0, 600) >= 1.9
    assert len(connector.refused) <= 40


@ANY_MINUTE
@ANY_LATENCY
def test_two_connectors_share_the_limit(minute: str, latency: float) -> None:
    both = [Connector(latency), Connector(latency)]
    Simulation(Minute(300, minute), both).run(600)
    assert sum(connector.per_minute(60, 600) for connector in both) >= 0.9 * 285
    assert sum(len(connector.refused) for connector in both) <= 4
