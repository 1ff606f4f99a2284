"""The limiter's rule against simulated servers, and how threads wait for it."""

import logging
import threading
from collections.abc import Callable
from contextlib import ExitStack, suppress
from itertools import pairwise
from random import Random
from statistics import mean

import pytest
from fakes import VirtualClock
from simulation import MINUTES, Bucket, Connector, Minute, Others, Simulation, per_minute
from typing_extensions import override

from source_kustomer.api.headers import RateHeaders
from source_kustomer.api.rate_limit import CancelledError, LimitError, RateLimiter
from source_kustomer.timing import Timing

SILENT = RateHeaders()
LATENCIES = (0.05, 0.5, 3.0)
LIMITS_AND_OTHERS = ((300, 0), (300, 90), (300, 150), (300, 240), (1000, 500))

ANY_MINUTE = pytest.mark.parametrize("minute", MINUTES)
ANY_LATENCY = pytest.mark.parametrize("latency", LATENCIES)


class Totals:
    """What came of the documented scenarios, 10 minutes each."""

    def __init__(self, seed: int | None) -> None:
        self.ours = self.others = 0
        self.used: dict[str, float] = {}
        for limit, others in LIMITS_AND_OTHERS:
            for minute in MINUTES:
                for latency in LATENCIES:
                    chance = None if seed is None else Random(seed)
                    self._run(limit, others, minute, latency, chance)

    def _run(
        self, limit: int, others: int, minute: str, latency: float, chance: Random | None
    ) -> None:
        connector = Connector(latency=latency)
        people = [Others(others, chance=chance)] if others else []
        simulation = Simulation(Minute(limit, minute), [connector], people)
        simulation.run(600)
        self.ours += len(connector.refused)
        self.others += len(simulation.others_refused)
        may = min(0.8 * limit, 0.95 * limit - others)
        used = connector.received_per_minute(0, 600) / may
        self.used[f"{limit}/{others}, {minute}, {latency} s"] = used


def test_with_even_others_nobody_is_refused_and_what_may_be_used_is_used() -> None:
    totals = Totals(seed=None)
    assert len(totals.used) == 45
    assert totals.ours == 0
    assert totals.others <= 20
    assert {name: used for name, used in totals.used.items() if used < 0.9} == {}


@pytest.mark.parametrize("seed", [1, 3])
def test_with_others_by_chance_few_are_refused(seed: int) -> None:
    totals = Totals(seed)
    assert totals.ours <= 40
    assert totals.others <= 350
    assert mean(totals.used.values()) >= 0.95
    assert min(totals.used.values()) >= 0.7


@ANY_MINUTE
@pytest.mark.parametrize(("latency", "part"), [(0.05, 0.99), (0.5, 0.97), (3.0, 0.94)])
def test_alone_it_uses_its_share(minute: str, latency: float, part: float) -> None:
    """A request counts for its latency and a minute: of up to 63.6 s, 60 s are 94 %."""
    connector = Connector(latency=latency)
    Simulation(Minute(300, minute), [connector]).run(660)
    assert connector.received_per_minute(60, 660) >= part * 240


@pytest.mark.parametrize("share", [1, 2, 5, 20, 50, 80, 100])
@pytest.mark.parametrize("limit", [40, 60, 100, 300, 1000, 2000])
@pytest.mark.parametrize("latency", [0.05, 3.0])
def test_never_more_than_the_share_is_ours_in_a_minute(
    share: int, limit: int, latency: float
) -> None:
    connector = Connector(share, latency=latency)
    Simulation(Minute(limit), [connector]).run(200)
    allowed = max(1, limit * share // 100)
    assert connector.most_in_a_minute() <= allowed
    assert not connector.refused
    possible = min(allowed, 0.95 * limit, 24 / latency * 60)
    assert connector.received_per_minute(0, 180) >= 0.85 * possible


@ANY_MINUTE
@pytest.mark.parametrize("latency", [0.05, 0.5])
def test_a_short_stream_does_not_wait_long_from_a_cold_start(minute: str, latency: float) -> None:
    connector = Connector(latency=latency, pages=120)
    assert Simulation(Minute(300, minute), [connector]).run(600) <= 15


@pytest.mark.parametrize(
    ("size", "latency", "seconds"),
    [(20, 0.05, 32), (20, 0.5, 36), (20, 3.0, 49), (50, 0.05, 29), (50, 0.5, 36), (50, 3.0, 52)],
)
def test_a_bucket_of_tokens_starves_nobody(size: int, latency: float, seconds: float) -> None:
    connector = Connector(latency=latency, pages=100)
    assert Simulation(Bucket(size, 5, 300), [connector]).run(600) <= seconds
    assert not connector.refused


@pytest.mark.parametrize(("latency", "seconds"), [(0.05, 52), (0.5, 52), (3.0, 60)])
def test_a_server_that_always_says_that_nothing_remains_starves_nobody(
    latency: float, seconds: float
) -> None:
    connector = Connector(latency=latency, pages=200)
    simulation = Simulation(Minute(1000), [connector], said=lambda *_: RateHeaders(1000, 0))
    assert simulation.run(600) <= seconds


def each_tenth(number: int, headers: RateHeaders) -> RateHeaders:
    return headers if number % 10 == 0 else SILENT


def the_first_three(number: int, headers: RateHeaders) -> RateHeaders:
    return headers if number <= 3 else SILENT


@pytest.mark.parametrize("said", [each_tenth, the_first_three])
@pytest.mark.parametrize(("limit", "pages", "times"), [(300, 500, 1.05), (1000, 1600, 1.2)])
def test_responses_without_headers_are_no_news(
    said: Callable[[int, RateHeaders], RateHeaders], limit: int, pages: int, times: float
) -> None:
    connector = Connector(latency=0.3, pages=pages)
    with_all = Simulation(Minute(limit), [connector]).run(600)
    connector = Connector(latency=0.3, pages=pages)
    assert Simulation(Minute(limit), [connector], said=said).run(600) <= times * with_all


def test_without_headers_it_keeps_to_the_smallest_limit() -> None:
    connector = Connector(latency=0.3)
    Simulation(Minute(1000), [connector], said=lambda *_: SILENT).run(300)
    assert connector.most_in_a_minute() == 240
    assert connector.received_per_minute(60, 300) >= 0.97 * 240


@ANY_MINUTE
@pytest.mark.parametrize(("latency", "most"), [(0.05, 1), (0.5, 12), (3.0, 24)])
def test_a_limit_that_changes_is_followed(minute: str, latency: float, most: int) -> None:
    """What is in flight when the limit falls cannot be called back."""
    server, connector = Minute(300, minute), Connector(latency=latency)

    def change(limit: int) -> Callable[[float], None]:
        return lambda _: setattr(server, "limit", limit)

    changes = [(200.0, change(1000)), (400.0, change(60))]
    Simulation(server, [connector], changes=changes).run(600)
    assert connector.received_per_minute(260, 400) >= 0.95 * min(800, 24 / latency * 60)
    assert len(connector.refused) <= most
    assert connector.received_per_minute(470, 600) >= 0.85 * 48


@ANY_LATENCY
def test_others_that_begin_suddenly_are_made_room_for(latency: float) -> None:
    ours = others = 0
    for minute in MINUTES:
        connector = Connector(latency=latency)
        simulation = Simulation(Minute(300, minute), [connector], [Others(150, begin=200)])
        simulation.run(600)
        ours += len(connector.refused)
        others += len(simulation.others_refused)
    assert ours <= 5
    assert others <= 100


@ANY_MINUTE
@ANY_LATENCY
def test_when_others_stop_their_requests_a_minute_are_used(minute: str, latency: float) -> None:
    connector = Connector(latency=latency)
    Simulation(Minute(300, minute), [connector], [Others(240, end=200)]).run(400)
    assert connector.received_per_minute(315, 375) >= 0.9 * 240


@ANY_MINUTE
@ANY_LATENCY
@pytest.mark.parametrize("others", [300, 330, 600])
def test_where_others_use_everything_it_asks_seldom_and_gets_some(
    minute: str, latency: float, others: float
) -> None:
    connector = Connector(latency=latency)
    Simulation(Minute(300, minute), [connector], [Others(others)]).run(600)
    assert connector.received_per_minute(0, 600) >= 1.9
    counts = [per_minute(connector.refused, begin, begin + 60) for begin in range(0, 540, 10)]
    assert max(counts) <= 5


@ANY_MINUTE
@ANY_LATENCY
@pytest.mark.parametrize("share", [50, 80])
def test_two_connectors_share_the_limit(minute: str, latency: float, share: int) -> None:
    both = [Connector(share, latency=latency), Connector(share, latency=latency)]
    Simulation(Minute(300, minute), both).run(600)
    assert sum(connector.received_per_minute(60, 600) for connector in both) >= 0.9 * 285
    assert sum(len(connector.refused) for connector in both) <= 4


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


def limiter_of(clock: VirtualClock, share: int = 80, window: float = 60.0) -> RateLimiter:
    return RateLimiter(share, Timing(window=window), clock, jitter=lambda: 0.5)


def respond(limiter: RateLimiter, headers: RateHeaders = SILENT, *, exceeded: bool = False) -> None:
    with limiter.request() as observe:
        observe(headers, exceeded=exceeded)


def waits_for(wait: float) -> RateHeaders:
    return RateHeaders(wait=wait)


def use(limiter: RateLimiter, used: int, limit: int = 1000) -> None:
    respond(limiter, RateHeaders(limit, limit - used))


def moments(limiter: RateLimiter, clock: VirtualClock, count: int) -> list[float]:
    """Return after how many seconds each of so many requests leaves."""
    start, left = clock.monotonic(), []
    for _ in range(count):
        with limiter.request():
            left.append(clock.monotonic() - start)
    return left


@pytest.mark.parametrize(
    ("share", "limit", "used", "rate"),
    [
        pytest.param(80, 1000, 1, 800, id="share"),
        pytest.param(1, 300, 1, 3, id="small share"),
        pytest.param(33, 500, 1, 165, id="odd share"),
        pytest.param(1, 40, 1, 1, id="at least one"),
        pytest.param(100, 1000, 1, 950, id="5 % stay free"),
        pytest.param(80, 1000, 501, 450, id="others' use stays free"),
        pytest.param(100, 300, 101, 185, id="others' use and 5 % stay free"),
        pytest.param(80, 300, 300, 1, id="nothing remains"),
        pytest.param(80, 1000, 0, 800, id="more remains than can be"),
    ],
)
def test_requests_a_minute_are_the_share_or_what_others_leave_free(
    clock: VirtualClock, share: int, limit: int, used: int, rate: int
) -> None:
    limiter = limiter_of(clock, share)
    use(limiter, used, limit)
    assert limiter.requests_per_minute == rate


def test_until_a_limit_is_named_the_smallest_one_holds(clock: VirtualClock) -> None:
    limiter = limiter_of(clock)
    assert limiter.requests_per_minute == 240
    respond(limiter, RateHeaders(None, 200))
    assert limiter.requests_per_minute == 285 - 99
    respond(limiter, RateHeaders(500, None))
    assert limiter.requests_per_minute == 475 - 99
    respond(limiter, RateHeaders(100, 0, 5.0), exceeded=True)
    assert limiter.requests_per_minute == 1


def test_a_limit_that_a_refusal_names_holds(clock: VirtualClock) -> None:
    limiter = limiter_of(clock)
    respond(limiter, RateHeaders(100, 7), exceeded=True)
    assert limiter.requests_per_minute == 80


def test_the_highest_use_of_others_counts_for_75_seconds(clock: VirtualClock) -> None:
    limiter = limiter_of(clock)
    use(limiter, 501)
    clock.advance(10)
    use(limiter, 301)
    assert limiter.requests_per_minute == 450
    clock.advance(64)
    assert limiter.requests_per_minute == 450
    clock.advance(1.001)
    assert limiter.requests_per_minute == 651
    clock.advance(10)
    assert limiter.requests_per_minute == 800


@pytest.mark.parametrize(
    ("seconds", "rate"), [(2.9, 920), (3.1, 756), (6, 850), (59, 920), (60.5, 919)]
)
def test_growth_of_others_use_in_the_first_minute_counts_as_if_it_went_on(
    clock: VirtualClock, seconds: float, rate: int
) -> None:
    limiter = limiter_of(clock, 100)
    use(limiter, 21)
    clock.advance(seconds)
    use(limiter, 32)
    # Ten more, and one of ours; after a minute the first of ours has expired.
    assert limiter.requests_per_minute == pytest.approx(rate, abs=1)


def test_growth_of_others_use_is_measured_anew_after_a_silence(clock: VirtualClock) -> None:
    limiter = limiter_of(clock, 100)
    use(limiter, 21)
    clock.advance(100)
    use(limiter, 301)
    clock.advance(6)
    use(limiter, 312)
    assert limiter.requests_per_minute == 950 - 310


def test_a_refusal_that_passes_says_nothing_of_what_others_use_after_it(
    clock: VirtualClock,
) -> None:
    limiter = limiter_of(clock)
    respond(limiter)
    respond(limiter, RateHeaders(300, 0, 20.0), exceeded=True)
    respond(limiter, RateHeaders(300, 297, None))
    assert limiter.requests_per_minute == 240


def test_a_first_burst_leaves_at_once_and_the_rest_evenly(clock: VirtualClock) -> None:
    left = moments(limiter_of(clock), clock, 240)
    assert left[80] == 0
    assert left[81] == pytest.approx(0.25, abs=0.01)
    assert left[-1] == pytest.approx(159 * 0.25, abs=0.1)
    # Then the share is used up until the burst is a minute old.
    assert moments(limiter_of(clock), clock, 241)[-1] == pytest.approx(60, abs=0.01)


def test_a_first_burst_that_was_not_used_is_kept(clock: VirtualClock) -> None:
    limiter = limiter_of(clock)
    for _ in range(30):
        use(limiter, 0, 300)
        clock.advance(1)
    left = moments(limiter, clock, 82)
    assert left[80] == 0
    assert left[81] > 0


def test_where_others_are_seen_two_seconds_are_made_up_for(clock: VirtualClock) -> None:
    limiter = limiter_of(clock)
    use(limiter, 401)
    assert limiter.requests_per_minute == 550
    clock.advance(10)
    left = moments(limiter, clock, 40)
    # 550 a minute.
    assert left[17] == 0
    assert left[18] > 0
    assert left[-1] - left[20] == pytest.approx(19 * 60 / 550, abs=0.01)


def looks(clock: VirtualClock, remaining: Callable[[int], int], count: int = 9) -> list[float]:
    """Return the waits between single requests after which so many remain."""
    limiter, left = limiter_of(clock), list[float]()
    for number in range(count):
        with limiter.request() as observe:
            left.append(clock.monotonic())
            observe(RateHeaders(300, remaining(number)))
    return [later - earlier for earlier, later in pairwise(left)]


def test_looks_are_seldom_where_they_find_less_and_at_least_each_20_seconds(
    clock: VirtualClock,
) -> None:
    waits = looks(clock, lambda number: 8 - number, 9)
    assert waits == pytest.approx([2.8, 5.6, 11.2, 20, 20, 20, 20, 20])


def test_looks_are_frequent_where_they_find_as_much(clock: VirtualClock) -> None:
    waits = looks(clock, lambda _: 5, 20)
    assert waits[:5] == pytest.approx([2.8, 2.03, 1.472, 1.067, 0.774], abs=0.001)
    assert min(waits) == waits[-1] == pytest.approx(0.13)


def test_of_several_in_flight_one_response_adapts_the_looks(clock: VirtualClock) -> None:
    limiter = limiter_of(clock)
    with ExitStack() as in_flight:
        observers = [in_flight.enter_context(limiter.request()) for _ in range(5)]
        for observe, remaining in zip(observers, (8, 7, 6, 5, 4), strict=True):
            clock.advance(0.1)
            observe(RateHeaders(300, remaining))
    # 2.8 s after the last one left, half a second ago.
    assert moments(limiter, clock, 1) == pytest.approx([2.3])


@pytest.mark.parametrize("wait", [1.0, 3.0, 20.0])
@pytest.mark.parametrize("refusals", [1, 8])
def test_a_wait_that_is_named_is_waited_for_and_then_the_next_may_leave(
    clock: VirtualClock, wait: float, refusals: int
) -> None:
    limiter, start = limiter_of(clock), clock.monotonic()
    for _ in range(refusals):
        respond(limiter, waits_for(wait), exceeded=True)
    respond(limiter)
    assert clock.monotonic() - start == pytest.approx(refusals * (wait + 0.5))


@pytest.mark.parametrize("wait", [None, 0.0, 0.9])
def test_a_refusal_that_names_no_wait_is_looked_after_at_growing_intervals(
    clock: VirtualClock, wait: float | None
) -> None:
    """Less than a second is a reset that was rounded to whole seconds."""
    limiter, left = limiter_of(clock), list[float]()
    for _ in range(7):
        with limiter.request() as observe:
            left.append(clock.monotonic())
            observe(RateHeaders(wait=wait), exceeded=True)
    waits = [later - earlier for earlier, later in pairwise(left)]
    assert waits == pytest.approx([9, 18, 20, 20, 20, 20])


def test_a_refusal_after_frequent_looks_is_looked_after_as_after_the_first(
    clock: VirtualClock,
) -> None:
    limiter = limiter_of(clock)
    for _ in range(20):
        respond(limiter, RateHeaders(300, 0))
    respond(limiter, exceeded=True)
    assert moments(limiter, clock, 1) == pytest.approx([9])


def test_the_longest_of_several_pauses_counts(clock: VirtualClock) -> None:
    limiter = limiter_of(clock)
    with limiter.request() as first, limiter.request() as second:
        for observe, wait in ((first, 5.0), (second, 30.0), (first, 10.0)):
            observe(waits_for(wait), exceeded=True)
    assert moments(limiter, clock, 1) == pytest.approx([30.5])


def test_after_a_pause_one_request_looks_until_its_response_arrives(clock: VirtualClock) -> None:
    limiter = limiter_of(clock)
    with limiter.request() as observe:
        respond(limiter, waits_for(5), exceeded=True)
        # This one left before the pause.
        observe(RateHeaders(300, 250))
    assert moments(limiter, clock, 3) == pytest.approx([5.5, 8.3, 11.1])
    respond(limiter)
    assert moments(limiter, clock, 3) == [0, 0, 0]


def test_a_response_without_headers_holds_nothing_up(clock: VirtualClock) -> None:
    limiter = limiter_of(clock)
    use(limiter, 1)
    for _ in range(50):
        respond(limiter)
    with suppress(ConnectionError), limiter.request():
        raise ConnectionError
    assert not clock.waited


def test_a_request_counts_from_when_it_leaves_until_a_minute_after_it_ended(
    clock: VirtualClock,
) -> None:
    limiter = limiter_of(clock, 1)
    with limiter.request():
        use(limiter, 0, 200)
        clock.advance(70)
        assert moments(limiter, clock, 1) == [0]
    ended = clock.monotonic()
    respond(limiter)
    assert 60 <= clock.monotonic() - ended < 60.01


def test_while_all_are_in_flight_nothing_leaves(clock: VirtualClock) -> None:
    limiter = limiter_of(clock, 1)
    with limiter.request(), limiter.request(), limiter.request():
        clock.advance(1000)
        with pytest.raises(LimitError), limiter.request(max_wait=100):
            pass


def test_a_shorter_window_scales_the_rule(clock: VirtualClock) -> None:
    left = moments(limiter_of(clock, window=2), clock, 241)
    assert left[80] == 0
    assert left[81] == pytest.approx(2 / 240, abs=0.001)
    assert left[239] < 1.5
    assert left[240] == pytest.approx(2, abs=0.01)


@pytest.mark.parametrize("max_wait", [0.0, 10.0, 30.4])
def test_a_pause_that_lasts_too_long_ends_a_request_at_once(
    clock: VirtualClock, max_wait: float
) -> None:
    limiter = limiter_of(clock)
    respond(limiter, waits_for(30), exceeded=True)
    with pytest.raises(LimitError) as caught, limiter.request(max_wait=max_wait):
        pass
    assert caught.value.is_exceeded
    assert caught.value.seconds == pytest.approx(30.5)
    assert str(caught.value) == "the rate limit asks for a wait of 30 s"
    assert not clock.waited
    assert moments(limiter, clock, 1) == pytest.approx([30.5])


def test_a_pause_that_is_asked_for_meanwhile_ends_a_request_at_once(clock: VirtualClock) -> None:
    limiter, start = limiter_of(clock), clock.monotonic()
    with limiter.request() as observe:
        observe(waits_for(20), exceeded=True)

        def wanted() -> bool:
            if clock.monotonic() >= start + 15:
                observe(waits_for(20), exceeded=True)
            return True

        with pytest.raises(LimitError) as caught, limiter.request(wanted, max_wait=30):
            pass
    assert clock.monotonic() - start == pytest.approx(15, abs=1)
    assert caught.value.seconds == pytest.approx(20.5)


def test_a_pause_longer_than_can_be_waited_ends_every_request_while_it_lasts(
    clock: VirtualClock,
) -> None:
    limiter, start = limiter_of(clock), clock.monotonic()
    respond(limiter, waits_for(700), exceeded=True)
    for seconds in (0, 200, 700):
        clock.advance(start + seconds - clock.monotonic())
        with pytest.raises(LimitError) as caught, limiter.request():
            pass
        assert caught.value.seconds == pytest.approx(700.5 - seconds)
    clock.advance(start + 701 - clock.monotonic())
    respond(limiter)
    assert not clock.waited


def test_a_pause_that_can_just_be_waited_is_waited(clock: VirtualClock) -> None:
    limiter = limiter_of(clock)
    respond(limiter, waits_for(539.5), exceeded=True)
    assert moments(limiter, clock, 1) == pytest.approx([540])


def test_a_request_that_waited_long_enough_for_the_share_ends(clock: VirtualClock) -> None:
    limiter = limiter_of(clock, 1)
    moments(limiter, clock, 3)
    start = clock.monotonic()
    with pytest.raises(LimitError) as caught, limiter.request(max_wait=20.5):
        pass
    assert not caught.value.is_exceeded
    assert caught.value.seconds > 0
    assert clock.monotonic() - start == pytest.approx(20.5)
    assert moments(limiter, clock, 1)[0] > 0


def test_what_is_no_longer_wanted_does_not_leave(clock: VirtualClock) -> None:
    limiter, start = limiter_of(clock), clock.monotonic()
    respond(limiter, waits_for(30), exceeded=True)
    with pytest.raises(CancelledError), limiter.request(lambda: clock.monotonic() < start + 3.2):
        pass
    assert clock.monotonic() == start + 4
    # It holds nothing up that comes after it.
    assert moments(limiter, clock, 1) == pytest.approx([26.5])


def test_time_is_waited_while_anything_waits(clock: VirtualClock) -> None:
    limiter, seen = limiter_of(clock), list[float]()
    respond(limiter)
    assert limiter.waited == 0
    respond(limiter, waits_for(30), exceeded=True)

    def wanted() -> bool:
        seen.append(limiter.waited)
        return True

    for _ in range(2):
        with limiter.request(wanted):
            clock.advance(100)
    assert seen[:4] == [0, 1, 2, 3]
    assert limiter.waited == pytest.approx(30.5)


def logged(caplog: pytest.LogCaptureFixture) -> list[str]:
    assert {record.name for record in caplog.records} <= {"airbyte.source_kustomer.rate_limit"}
    return [record.getMessage() for record in caplog.records]


def test_a_long_pause_is_logged_once(clock: VirtualClock, caplog: pytest.LogCaptureFixture) -> None:
    limiter = limiter_of(clock)
    for wait in (9.5, 10.5, 41.0):
        respond(limiter, waits_for(wait), exceeded=True)
        with caplog.at_level(logging.INFO):
            respond(limiter)
    assert logged(caplog) == [
        "Waiting 11 s for the rate limit: Kustomer refuses requests for now.",
        "Waiting 42 s for the rate limit: Kustomer refuses requests for now.",
    ]


@pytest.mark.parametrize(
    ("share", "limit", "requests"),
    [
        (1, None, "3 requests a minute, of the organization's 300,"),
        (1, 100, "1 request a minute, of the organization's 100,"),
        (2, 500, "10 requests a minute, of the organization's 500,"),
    ],
)
def test_a_long_wait_for_the_share_is_logged_with_its_numbers(
    clock: VirtualClock,
    caplog: pytest.LogCaptureFixture,
    share: int,
    limit: int | None,
    requests: str,
) -> None:
    limiter = limiter_of(clock, share)
    with caplog.at_level(logging.INFO):
        for _ in range(2 * (limit or 300) * share // 100 + 1):
            respond(limiter, RateHeaders(limit))
    line = f"the share of {requests} is used up."
    assert [message.split(": ")[1] for message in logged(caplog)] == [line] * 2
    assert all(float(message.split()[1]) > 10 for message in logged(caplog))


def test_a_long_wait_for_others_is_logged_with_its_numbers(
    clock: VirtualClock, caplog: pytest.LogCaptureFixture
) -> None:
    limiter = limiter_of(clock)
    with caplog.at_level(logging.INFO):
        for remaining in (8, 7, 6, 5, 4):
            respond(limiter, RateHeaders(300, remaining))
    line = (
        "Waiting {} s for the rate limit: of the organization's 300 requests a minute, "
        "others use about 291 and this connector {}."
    )
    assert logged(caplog) == [line.format(12, 3), line.format(20, 4)]


class GateClock(VirtualClock):
    """Real threads wait, for a time that the test sets."""

    @override
    def wait(self, condition: threading.Condition, seconds: float) -> None:
        condition.wait(0.01)


def test_requests_of_many_threads_leave_in_the_order_in_which_they_came() -> None:
    clock, order, threads = GateClock(), list[int](), []
    limiter = limiter_of(clock, 100)
    respond(limiter, waits_for(5), exceeded=True)

    def leave(number: int, queued: threading.Event) -> None:
        def wanted() -> bool:
            queued.set()
            return True

        with limiter.request(wanted) as observe:
            observe(SILENT)
            order.append(number)

    for number in range(20):
        queued = threading.Event()
        threads.append(threading.Thread(target=leave, args=(number, queued), daemon=True))
        threads[-1].start()
        assert queued.wait(30)
    assert order == []
    for _ in range(200):
        clock.advance(1)
        for thread in threads:
            thread.join(0.002)
    assert order == list(range(20))


class SilentClock(GateClock):
    """Wakes nobody by itself."""

    def __init__(self) -> None:
        super().__init__()
        self.waiting = threading.Semaphore(0)

    @override
    def wait(self, condition: threading.Condition, seconds: float) -> None:
        self.waiting.release()
        condition.wait(60)


@pytest.mark.parametrize("news", ["a response", "the end of a request"])
def test_news_wake_all_that_may_leave(news: str) -> None:
    clock, left, done = SilentClock(), threading.Semaphore(0), threading.Event()
    limiter = limiter_of(clock)
    use(limiter, 0, 300)

    def leave() -> None:
        with limiter.request():
            left.release()
            done.wait(60)

    threads = [threading.Thread(target=leave, daemon=True) for _ in range(3)]
    with ExitStack() as request:
        observe = request.enter_context(limiter.request())
        observe(waits_for(5), exceeded=True)
        for thread in threads:
            thread.start()
            assert clock.waiting.acquire(timeout=30)
        clock.advance(5.5)
        if news == "a response":
            observe(SILENT)
        else:
            request.close()
        assert left.acquire(timeout=30)
        # The one that left looks; the pace is even again when it has found room.
        observe(SILENT)
        assert left.acquire(timeout=30)
        assert left.acquire(timeout=30)
        done.set()
    for thread in threads:
        thread.join(30)


class FirstOnlyClock(GateClock):
    """Wakes only the first one that waits, which waits for less than a second."""

    @override
    def wait(self, condition: threading.Condition, seconds: float) -> None:
        condition.wait(0.01 if seconds < 1 else 60)


def test_one_that_leaves_wakes_the_next() -> None:
    clock, left, done = FirstOnlyClock(), threading.Semaphore(0), threading.Event()
    limiter = limiter_of(clock)
    for _ in range(81):
        respond(limiter)

    def leave() -> None:
        with limiter.request():
            left.release()
            done.wait(60)

    threads = [threading.Thread(target=leave, daemon=True) for _ in range(4)]
    for thread in threads:
        thread.start()
    for _ in threads:
        clock.advance(0.26)
        assert left.acquire(timeout=30)
    done.set()
    for thread in threads:
        thread.join(30)
