"""How threads wait for the limiter's rule, and the rule against simulated servers."""

import logging
import threading
from collections.abc import Callable
from contextlib import ExitStack, suppress
from itertools import pairwise
from random import Random
from statistics import mean

import pytest
from fakes import VirtualClock
from simulation import MINUTES, Bucket, Connector, Minute, Others, Replicas, Simulation, per_minute
from typing_extensions import override

from source_kustomer.api.headers import RateHeaders
from source_kustomer.api.rate_limit import CancelledError, LimitError, RateLimiter
from source_kustomer.timing import Timing

SILENT = RateHeaders()

ANY_MINUTE = pytest.mark.parametrize("minute", MINUTES)
ANY_LATENCY = pytest.mark.parametrize("latency", [0.05, 0.5, 3.0])


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


def limiter_of(clock: VirtualClock, share: int = 80, window: float = 60.0) -> RateLimiter:
    return RateLimiter(share, Timing(window=window), clock, jitter=lambda: 0.5)


def respond(limiter: RateLimiter, headers: RateHeaders = SILENT) -> None:
    with limiter.request() as observe:
        observe(headers)


def refuse(limiter: RateLimiter, wait: float | None) -> None:
    with limiter.request() as observe:
        observe(RateHeaders(wait=wait), exceeded=True)


def use(limiter: RateLimiter, used: int, limit: int = 1000) -> None:
    respond(limiter, RateHeaders(limit, limit - used))


def moments(limiter: RateLimiter, clock: VirtualClock, count: int) -> list[float]:
    """Return after how many seconds each of so many requests starts."""
    begin, started = clock.monotonic(), []
    for _ in range(count):
        with limiter.request():
            started.append(clock.monotonic() - begin)
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
    assert limiter.requests_per_minute == rate


def test_the_smallest_limit_holds_until_a_response_or_a_refusal_names_another(
    clock: VirtualClock,
) -> None:
    limiter = limiter_of(clock)
    assert limiter.requests_per_minute == 240
    respond(limiter, RateHeaders(None, 200))
    assert limiter.requests_per_minute == 285 - 99
    respond(limiter, RateHeaders(500, None))
    assert limiter.requests_per_minute == 475 - 99
    with limiter.request() as observe:
        observe(RateHeaders(100, 7), exceeded=True)
    assert limiter.requests_per_minute == 1


def test_what_the_last_response_said_holds_for_a_minute(clock: VirtualClock) -> None:
    limiter = limiter_of(clock)
    use(limiter, 501)
    clock.advance(10)
    use(limiter, 302)
    assert limiter.requests_per_minute == 650
    clock.advance(59.9)
    assert limiter.requests_per_minute == 650
    clock.advance(0.1)
    assert limiter.requests_per_minute == 800


@pytest.mark.parametrize(
    ("seconds", "rate"), [(1.9, 920), (2.0, 650), (6, 850), (59, 920), (61, 919)]
)
def test_growth_beside_our_own_requests_counts_as_if_it_went_on_for_a_minute(
    clock: VirtualClock, seconds: float, rate: int
) -> None:
    limiter = limiter_of(clock, 100)
    use(limiter, 21)
    clock.advance(seconds)
    # Ten more, and one of ours.
    use(limiter, 32)
    assert limiter.requests_per_minute == pytest.approx(rate, abs=1)


def test_growth_is_that_of_the_last_minute(clock: VirtualClock) -> None:
    limiter = limiter_of(clock, 100)
    for used in (21, 321, 342):
        use(limiter, used)
        clock.advance(40)
    use(limiter, 80)
    assert limiter.requests_per_minute == 950 - 77


def test_growth_goes_on_where_the_count_begins_anew(clock: VirtualClock) -> None:
    limiter = limiter_of(clock, 100)
    for used in (201, 252, 43):
        use(limiter, used)
        clock.advance(20)
    # 50 in 20 s, and 42 in the next.
    assert limiter.requests_per_minute == pytest.approx(950 - 92 * 60 / 40, abs=1)


@pytest.mark.parametrize(("apart", "is_ignored"), [(29, True), (31, False)])
def test_growth_is_ignored_while_the_count_begins_anew_twice_in_half_a_minute(
    clock: VirtualClock, apart: float, is_ignored: bool
) -> None:
    limiter = limiter_of(clock, 100)
    for used, seconds in ((500, 1.0), (100, apart), (10, 5.0), (40, 24.9), (40, 0.2)):
        use(limiter, used)
        clock.advance(seconds)
        if used == 40:
            is_seen = limiter.requests_per_minute < 900
            assert is_seen != (is_ignored and seconds > 1)
            is_ignored = False


def test_a_response_to_an_older_request_is_no_news(clock: VirtualClock) -> None:
    limiter = limiter_of(clock)
    with limiter.request() as older, limiter.request() as newer:
        newer(RateHeaders(1000, 498))
        older(RateHeaders(1000, 200))
    assert limiter.requests_per_minute == 450


def test_responses_that_were_in_flight_when_the_count_began_anew_are_no_news(
    clock: VirtualClock,
) -> None:
    limiter = limiter_of(clock, 100)
    use(limiter, 501)
    with ExitStack() as in_flight:
        observers = [in_flight.enter_context(limiter.request()) for _ in range(3)]
        clock.advance(30)
        for observe, used in zip(observers, (3, 504, 4), strict=True):
            observe(RateHeaders(1000, 1000 - used))
    assert limiter.requests_per_minute == 950


def test_what_servers_count_in_another_order_is_no_new_beginning(clock: VirtualClock) -> None:
    limiter = limiter_of(clock, 100)
    with ExitStack() as in_flight:
        observers = [in_flight.enter_context(limiter.request()) for _ in range(8)]
        for observe, used in zip(observers, (8, 1, 2, 3, 4, 5, 6, 7), strict=True):
            observe(RateHeaders(1000, 1000 - used))
    clock.advance(3)
    use(limiter, 9)
    assert limiter.requests_per_minute == 950


def test_a_first_burst_starts_at_once_and_the_rest_evenly(clock: VirtualClock) -> None:
    limiter = limiter_of(clock)
    for _ in range(30):
        # What is not used is kept.
        use(limiter, 0, 300)
        clock.advance(1)
    started = moments(limiter, clock, 110)
    assert started[80] == 0
    assert started[81:84] == pytest.approx([0.25, 0.5, 0.75])


def test_the_share_is_free_again_a_minute_after_requests_ended(clock: VirtualClock) -> None:
    limiter = limiter_of(clock)
    assert moments(limiter, clock, 241)[240] == pytest.approx(60, abs=0.01)
    limiter = limiter_of(clock, 1)
    with limiter.request():
        moments(limiter, clock, 2)
        clock.advance(70)
        assert moments(limiter, clock, 1) == [0]
    assert moments(limiter, clock, 2) == pytest.approx([0, 60], abs=0.01)


def test_where_others_are_seen_two_seconds_are_made_up_for(clock: VirtualClock) -> None:
    limiter = limiter_of(clock)
    use(limiter, 401)
    clock.advance(10)
    started = moments(limiter, clock, 20)
    # 550 a minute.
    assert started[17] == 0
    assert started[19] - started[18] == pytest.approx(60 / 550)


def probes(clock: VirtualClock, remaining: Callable[[int], int], count: int) -> list[float]:
    """Return the waits between probes after which so many remain."""
    limiter, started = limiter_of(clock), list[float]()
    for number in range(count):
        with limiter.request() as observe:
            started.append(clock.monotonic())
            observe(RateHeaders(300, remaining(number)))
    return [later - earlier for earlier, later in pairwise(started)]


def test_probes_back_off_where_they_find_less_and_speed_up_where_they_find_as_much(
    clock: VirtualClock,
) -> None:
    waits = probes(clock, lambda number: 9 - number, 8)
    assert waits == pytest.approx([2.8, 5.6, 11.2, 20, 20, 20, 20])
    waits = probes(clock, lambda _: 5, 20)
    assert waits[:3] == pytest.approx([2.8, 2.03, 1.472], abs=0.001)
    # The even pace of the share.
    assert min(waits) == waits[-1] == pytest.approx(0.25)


def test_where_more_than_almost_nothing_remains_there_are_no_probes(clock: VirtualClock) -> None:
    limiter = limiter_of(clock)
    for remaining in (12, 11, 10):
        clock.advance(70)
        use(limiter, 300 - remaining, 300)
    assert moments(limiter, clock, 1)[0] > 2


def test_of_several_in_flight_one_response_adapts_the_probes(clock: VirtualClock) -> None:
    limiter = limiter_of(clock)
    with ExitStack() as in_flight:
        observers = [in_flight.enter_context(limiter.request()) for _ in range(5)]
        for observe, remaining in zip(observers, (8, 7, 6, 5, 4), strict=True):
            observe(RateHeaders(300, remaining))
    assert moments(limiter, clock, 2) == pytest.approx([2.8, 5.6])


@pytest.mark.parametrize("wait", [1.0, 20.0])
def test_a_wait_that_is_named_is_waited_for_and_ends_with_a_probe(
    clock: VirtualClock, wait: float
) -> None:
    limiter, begin = limiter_of(clock), clock.monotonic()
    with limiter.request() as observe:
        for _ in range(3):
            refuse(limiter, wait)
        assert moments(limiter, clock, 1) == pytest.approx([wait + 0.5])
        assert clock.monotonic() - begin == pytest.approx(3 * (wait + 0.5))
        observe(RateHeaders(300, 250))
    assert moments(limiter, clock, 3) == [0, 0, 0]


@pytest.mark.parametrize("wait", [None, 0.0, 0.9])
def test_a_refusal_that_names_no_wait_is_followed_by_a_probe_each_20_seconds(
    clock: VirtualClock, wait: float | None
) -> None:
    """Less than a second is a reset that was rounded to whole seconds."""
    limiter = limiter_of(clock)
    refuse(limiter, wait)
    assert moments(limiter, clock, 3) == pytest.approx([20, 40, 60])


def test_the_longest_of_several_pauses_counts_whatever_requests_from_before_it_find(
    clock: VirtualClock,
) -> None:
    limiter = limiter_of(clock)
    with limiter.request() as first, limiter.request() as second:
        for observe, wait in ((first, 5.0), (second, 30.0), (first, 10.0)):
            observe(RateHeaders(wait=wait), exceeded=True)
        second(SILENT)
    assert moments(limiter, clock, 2) == pytest.approx([30.5, 31.9])
    respond(limiter)
    assert moments(limiter, clock, 3) == [0, 0, 0]


def test_a_response_without_headers_or_none_at_all_holds_nothing_up(clock: VirtualClock) -> None:
    limiter = limiter_of(clock)
    for _ in range(50):
        respond(limiter)
    with suppress(ConnectionError), limiter.request():
        raise ConnectionError
    assert not clock.waited


@pytest.mark.parametrize("max_wait", [0.0, 10.0, 30.4, None])
def test_a_pause_that_lasts_too_long_ends_a_request_at_once(
    clock: VirtualClock, max_wait: float | None
) -> None:
    limiter = limiter_of(clock)
    refuse(limiter, 540 if max_wait is None else 30)
    with pytest.raises(LimitError) as caught, limiter.request(max_wait=max_wait):
        pass
    assert caught.value.is_exceeded
    assert not clock.waited
    # A little later it is short enough.
    clock.advance(0.5)
    respond(limiter)


def test_a_pause_that_is_asked_for_meanwhile_ends_a_request_at_once(clock: VirtualClock) -> None:
    limiter, begin = limiter_of(clock), clock.monotonic()
    with limiter.request() as observe:
        observe(RateHeaders(wait=20), exceeded=True)

        def wanted() -> bool:
            if clock.monotonic() >= begin + 15:
                observe(RateHeaders(wait=20), exceeded=True)
            return True

        with pytest.raises(LimitError), limiter.request(wanted, max_wait=30):
            pass
    assert clock.monotonic() - begin == pytest.approx(15, abs=1)


def test_a_request_that_waited_long_enough_for_the_share_ends(clock: VirtualClock) -> None:
    limiter = limiter_of(clock, 1)
    with limiter.request(), limiter.request(), limiter.request():
        begin = clock.monotonic()
        with pytest.raises(LimitError) as caught, limiter.request(max_wait=20.5):
            pass
        assert not caught.value.is_exceeded
        assert clock.monotonic() - begin == pytest.approx(20.5, abs=0.01)
    # It holds nothing up that comes after it.
    respond(limiter)


def test_what_is_no_longer_wanted_does_not_start(clock: VirtualClock) -> None:
    limiter, begin = limiter_of(clock), clock.monotonic()
    refuse(limiter, 30)
    with pytest.raises(CancelledError), limiter.request(lambda: clock.monotonic() < begin + 3.2):
        pass
    assert clock.monotonic() == begin + 4
    assert moments(limiter, clock, 1) == pytest.approx([26.5])
    assert limiter.waited == pytest.approx(30.5)


def logged(caplog: pytest.LogCaptureFixture) -> list[str]:
    assert {record.name for record in caplog.records} <= {"airbyte.source_kustomer.rate_limit"}
    return [record.getMessage() for record in caplog.records]


def test_a_long_wait_is_logged_once_with_its_reason(
    clock: VirtualClock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    limiter = limiter_of(clock)
    for wait in (9.5, 10.5, 41.0):
        refuse(limiter, wait)
        respond(limiter)
    pause = "Waiting {} s for the rate limit: Kustomer refuses requests for now."
    assert logged(caplog) == [pause.format(11), pause.format(42)]
    caplog.clear()
    probes(clock, lambda number: 8 - number, 6)
    used = (
        "Waiting {} s for the rate limit: of the organization's 300 requests a minute, this "
        "connector uses {} (its share is 240), others about 291."
    )
    assert logged(caplog) == [used.format(12, 3), used.format(20, 4), used.format(20, 5)]


class SilentClock(VirtualClock):
    """Wakes no thread; time passes only as the test says."""

    def __init__(self) -> None:
        super().__init__()
        self.waiting = threading.Semaphore(0)

    @override
    def wait(self, condition: threading.Condition, seconds: float) -> None:
        self.waiting.release()
        condition.wait(60)


@pytest.mark.parametrize("news", ["a response", "the end of a request"])
def test_news_wake_all_that_may_start_in_the_order_in_which_they_came(news: str) -> None:
    clock, order = SilentClock(), list[int]()
    limiter = limiter_of(clock)

    def start(number: int) -> None:
        with limiter.request() as observe:
            order.append(number)
            observe(SILENT)

    threads = [threading.Thread(target=start, args=(n,), daemon=True) for n in range(4)]
    with ExitStack() as request:
        observe = request.enter_context(limiter.request())
        observe(RateHeaders(wait=5), exceeded=True)
        for thread in threads:
            thread.start()
            assert clock.waiting.acquire(timeout=30)
        clock.advance(5.5)
        assert order == []
        if news == "a response":
            observe(SILENT)
        else:
            request.close()
        for thread in threads:
            thread.join(30)
    assert order == [0, 1, 2, 3]


def totals(seed: int | None) -> tuple[int, int, dict[str, float]]:
    """Return how many of ours and of others' are refused in ten minutes, and what part is used."""
    ours, refused, used = 0, 0, {}
    for limit, others in ((300, 0), (300, 90), (300, 150), (300, 240), (1000, 500)):
        for minute in MINUTES:
            for latency in (0.05, 0.5, 3.0):
                chance = None if seed is None else Random(seed)
                connector = Connector(latency=latency)
                people = [Others(others, chance=chance)] if others else []
                simulation = Simulation(Minute(limit, minute, -57), [connector], people)
                simulation.run(600)
                ours += len(connector.refused)
                refused += len(simulation.others_refused)
                part = connector.received_per_minute(0, 600) / min(
                    0.8 * limit, 0.95 * limit - others
                )
                used[f"{limit}/{others}, {minute}, {latency} s"] = part
    return ours, refused, used


def test_with_even_others_few_are_refused_and_what_may_be_used_is_used() -> None:
    ours, others, used = totals(seed=None)
    assert ours <= 3
    assert others <= 20
    assert {name: part for name, part in used.items() if part < 0.9} == {}


@pytest.mark.parametrize("seed", [1, 3])
def test_with_others_by_chance_few_are_refused(seed: int) -> None:
    ours, others, used = totals(seed)
    assert ours <= 40
    assert others <= 350
    assert mean(used.values()) >= 0.95
    assert min(used.values()) >= 0.8


@pytest.mark.parametrize("share", [1, 33, 100])
@pytest.mark.parametrize("limit", [40, 300, 2000])
@ANY_LATENCY
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
@ANY_LATENCY
@pytest.mark.parametrize("others", [0, 60])
def test_a_read_that_follows_another_has_its_pace_after_a_minute(
    minute: str, latency: float, others: int
) -> None:
    """The requests of the one before count as somebody else's while the server counts them."""
    first = Connector(latency=latency, end=25)
    second = Connector(latency=latency, begin=25)
    people = [Others(others)] if others else []
    Simulation(Minute(300, minute), [first, second], people).run(145)
    assert second.received_per_minute(25, 85) >= 0.6 * 225
    assert second.received_per_minute(85, 145) >= 0.9 * 225


def test_started_again_after_25_seconds_a_read_recovers_in_40() -> None:
    first, second = Connector(latency=0.3, end=25), Connector(latency=0.3, begin=25)
    Simulation(Minute(300), [first, second]).run(95)
    started = [per_minute(second.started, begin, begin + 10) / 6 for begin in range(25, 95, 10)]
    at_least = (21, 18, 17, 24, 37, 40, 39)
    assert [max(pair) for pair in zip(started, at_least, strict=True)] == started


@ANY_MINUTE
@ANY_LATENCY
def test_when_others_stop_their_requests_a_minute_are_used(minute: str, latency: float) -> None:
    connector = Connector(latency=latency)
    Simulation(Minute(300, minute), [connector], [Others(240, end=200)]).run(320)
    assert connector.received_per_minute(255, 315) >= 0.9 * 240


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
    assert others <= 60


@ANY_MINUTE
@ANY_LATENCY
@pytest.mark.parametrize("others", [300, 330, 600])
def test_where_others_use_everything_it_asks_seldom_and_gets_some(
    minute: str, latency: float, others: float
) -> None:
    connector = Connector(latency=latency)
    Simulation(Minute(300, minute), [connector], [Others(others)]).run(600)
    assert connector.received_per_minute(0, 600) >= 1.9
    assert max(per_minute(connector.refused, t, t + 60) for t in range(0, 540, 10)) <= 6


@ANY_MINUTE
@ANY_LATENCY
@pytest.mark.parametrize("share", [50, 80])
def test_two_connectors_share_the_limit(minute: str, latency: float, share: int) -> None:
    both = [Connector(share, latency=latency), Connector(share, latency=latency)]
    Simulation(Minute(300, minute), both).run(600)
    assert sum(connector.received_per_minute(60, 600) for connector in both) >= 0.9 * 285
    assert sum(len(connector.refused) for connector in both) <= 4


@pytest.mark.parametrize("count", [2, 3])
@pytest.mark.parametrize("minute", ["fixed", "sliding"])
def test_where_several_servers_count_most_of_the_share_is_used(minute: str, count: int) -> None:
    replicas = Replicas(*(Minute(300, minute, -37 - 11 * n) for n in range(count)))
    connector = Connector()
    Simulation(replicas, [connector]).run(600)
    assert connector.received_per_minute(60, 600) >= 0.75 * 240


@pytest.mark.parametrize("size", [20, 50])
@ANY_LATENCY
def test_a_bucket_of_tokens_starves_nobody(size: int, latency: float) -> None:
    connector = Connector(latency=latency, pages=100)
    assert Simulation(Bucket(size, 5, 300), [connector]).run(600) <= 60
    assert not connector.refused


@ANY_LATENCY
def test_a_server_that_always_says_that_nothing_remains_starves_nobody(latency: float) -> None:
    connector = Connector(latency=latency, pages=200)
    simulation = Simulation(Minute(1000), [connector], said=lambda *_: RateHeaders(1000, 0))
    assert simulation.run(600) <= 60


@pytest.mark.parametrize("most", [1, 3])
def test_responses_without_headers_are_no_news(most: int) -> None:
    connector = Connector(latency=0.3, pages=1600)

    def said(number: int, headers: RateHeaders) -> RateHeaders:
        return headers if number <= most else SILENT

    assert Simulation(Minute(1000), [connector], said=said).run(600) <= 130


@ANY_MINUTE
@ANY_LATENCY
def test_a_limit_that_changes_is_followed(minute: str, latency: float) -> None:
    """What is in flight when the limit falls cannot be called back."""
    server, connector = Minute(300, minute), Connector(latency=latency)

    def change(limit: int) -> Callable[[float], None]:
        return lambda _: setattr(server, "limit", limit)

    changes = [(200.0, change(1000)), (400.0, change(60))]
    Simulation(server, [connector], changes=changes).run(600)
    assert connector.received_per_minute(260, 400) >= 0.95 * min(800, 24 / latency * 60)
    assert len(connector.refused) <= 24
    assert connector.received_per_minute(470, 600) >= 0.85 * 48


@ANY_MINUTE
def test_a_short_stream_does_not_wait_long_from_a_cold_start(minute: str) -> None:
    assert Simulation(Minute(300, minute), [Connector(pages=120)]).run(600) <= 15
