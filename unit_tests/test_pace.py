"""The rule that says when a request may start: its parts, and its promises in simulations."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise, product
from random import Random

import pytest
from simulation import MINUTES, Connector, Minute, Simulation, others

from source_kustomer.api.headers import RateHeaders
from source_kustomer.api.pace import Pace

SILENT = RateHeaders()


def pace_of(share: int = 80) -> Pace:
    return Pace(share, 60.0, jitter=lambda: 0.5)


def told(pace: Pace, now: float, headers: RateHeaders, *, exceeded: bool = False) -> None:
    """Send a request, whose response says so."""
    number = pace.acquire(now)
    pace.observe(headers, now, number=number, exceeded=exceeded)
    pace.release(now)


def used(number: int, limit: int = 1000) -> RateHeaders:
    """Return headers that say how much of the limit is used."""
    return RateHeaders(limit, limit - number)


def starts(pace: Pace, now: float, headers: Sequence[RateHeaders]) -> list[float]:
    """Return after how many seconds requests start that are answered so."""
    moments, began = [], now
    for answer in headers:
        while (delay := pace.delay(now)) > 0:
            now += max(delay, 1e-9)
        moments.append(now - began)
        told(pace, now, answer)
    return moments


RATES = {
    "the share": (80, 1000, [(0, 1)], 800),
    "an odd share": (33, 500, [(0, 1)], 165),
    "at least one": (1, 40, [(0, 1)], 1),
    "5 % stay free": (100, 1000, [(0, 1)], 950),
    "what others use stays free": (80, 1000, [(0, 501)], 450),
    "nothing remains": (80, 300, [(0, 300)], 1),
    "more remains than can be": (80, 1000, [(0, 0)], 800),
    "growth in less than two seconds is chance": (100, 1000, [(0, 21), (1.9, 32)], 920),
    "growth goes on for a minute": (100, 1000, [(0, 21), (6, 32)], 850),
    "it is that of the last minute": (100, 1000, [(0, 21), (20, 322), (70, 333), (90, 200)], 752),
    "a count below half began anew": (100, 1000, [(0, 201), (20, 251), (40, 124)], 692),
    "one of half did not": (100, 1000, [(0, 201), (20, 251), (40, 125)], 828),
    "several servers": (100, 1000, [(0, 500), (1, 100), (20, 190), (21, 40), (50, 50)], 905),
    "no more": (100, 1000, [(0, 500), (1, 100), (20, 190), (21, 40), (52, 50)], 678),
}


@pytest.mark.parametrize(("share", "limit", "counts", "rate"), RATES.values(), ids=RATES)
def test_requests_a_minute_are_the_share_or_what_others_leave_free(
    share: int, limit: int, counts: list[tuple[float, int]], rate: float
) -> None:
    pace = pace_of(share)
    for moment, count in counts:
        told(pace, moment, used(count, limit))
    assert round(pace.rate(moment)) == rate


def test_the_smallest_limit_holds_until_a_response_or_a_refusal_names_another() -> None:
    pace = pace_of()
    assert pace.share == 240
    told(pace, 0, RateHeaders(500))
    assert pace.share == 400
    told(pace, 0, RateHeaders(200), exceeded=True)
    told(pace, 0, SILENT)
    assert pace.share == 160


def test_what_the_last_response_said_holds_for_a_minute() -> None:
    pace = pace_of()
    told(pace, 0, used(501))
    told(pace, 10, used(302))
    assert [int(pace.rate(moment)) for moment in (10, 69.9, 70)] == [650, 650, 800]
    told(pace, 80, used(1000))
    assert starts(pace, 140, [SILENT] * 3) == [0, 0, 0]


def test_responses_to_older_requests_and_from_before_a_new_beginning_are_no_news() -> None:
    pace = pace_of(100)
    told(pace, 0, used(501))
    older = [pace.acquire(0) for _ in range(4)]
    rates = []
    for number, count in ((1, 400), (0, 9), (2, 3), (3, 504)):
        pace.observe(used(count), 30, number=older[number], exceeded=False)
        rates.append(int(pace.rate(30)))
    assert rates == [555, 555, 950, 950]
    told(pace, 30, used(200))
    assert pace.rate(30) < 800


def test_what_is_counted_in_another_order_than_it_started_is_no_new_beginning() -> None:
    pace = pace_of(100)
    numbers = [pace.acquire(0) for _ in range(8)]
    for number, count in zip(numbers, (8, 1, 2, 3, 4, 5, 6, 7), strict=True):
        pace.observe(used(count), 0, number=number, exceeded=False)
    told(pace, 3, used(9))
    assert pace.rate(3) == 950


@pytest.mark.parametrize("idle", [0, 30])
def test_a_third_of_a_minute_starts_at_once_and_then_the_share_evenly(idle: int) -> None:
    pace = pace_of()
    for moment in range(idle):
        told(pace, moment, used(0, 300))
    moments = starts(pace, idle, [SILENT] * 84)
    assert moments.count(0) == 240 / 3 + 1
    assert moments[81:] == pytest.approx([0.25, 0.5, 0.75])


def test_where_others_are_seen_two_seconds_are_made_up_for() -> None:
    pace = pace_of()
    told(pace, 0, used(401))
    moments = starts(pace, 10, [SILENT] * 20)
    assert moments.count(0) == 550 // 30
    assert moments[19] - moments[18] == pytest.approx(60 / 550)


def test_a_request_is_of_the_share_until_a_minute_after_it_ended() -> None:
    pace = pace_of(1)
    for moment in (0, 10, 20):
        pace.acquire(moment)
        pace.release(moment + 10)
    assert starts(pace, 30, [SILENT] * 2) == pytest.approx([40, 50])


def test_near_the_limit_probes_back_off_where_they_find_less_and_else_speed_up() -> None:
    def waits(now: float, remaining: Sequence[int]) -> list[float]:
        answers = [RateHeaders(300, number) for number in remaining]
        return [
            later - earlier for earlier, later in pairwise(starts(pace, now, [*answers, SILENT]))
        ]

    pace = pace_of()
    slower = waits(0, [9, 8, 7, 6, 5])
    assert slower == pytest.approx([min(slower[0] * 2**n, 20) for n in range(5)])
    faster = waits(100, [5] * 20)
    assert faster[0] < 20
    assert all(later <= earlier for earlier, later in pairwise(faster))
    assert faster[-1] == pytest.approx(60 / 240), "the even pace of the share"
    # Above that, the first wait counts again.
    told(pace, 300, used(300, 300))
    told(pace, 361, used(100, 300))
    assert waits(381, [4]) == pytest.approx(slower[:1])


def test_where_three_in_a_hundred_remain_there_are_probes() -> None:
    pace, delays = pace_of(100), []
    for count in range(1, 98):
        told(pace, count / 2, used(count, 100))
        delays.append(pace.delay(count / 2))
    assert max(delays[:-1]) < 1 < delays[-1]


def test_of_several_in_flight_one_response_adapts_the_probes() -> None:
    alone, together = pace_of(), pace_of()
    told(alone, 0, RateHeaders(300, 8))
    numbers = [together.acquire(0) for _ in range(5)]
    for number, remaining in zip(numbers, (8, 7, 6, 5, 4), strict=True):
        together.observe(RateHeaders(300, remaining), 0, number=number, exceeded=False)
        together.release(0)
    assert together.delay(0) == alone.delay(0) > 0


def test_where_the_even_pace_is_slower_than_a_probe_there_are_probes() -> None:
    pace = pace_of()
    told(pace, 0, used(236, 300))
    # 50 a minute, of which two seconds are made up for.
    moments = starts(pace, 0, [SILENT] * 4)
    assert moments == pytest.approx([0, 0.4, 1.6, 2.8])
    told(pace, 10, used(270, 300))
    assert pace.delay(10) > 60 / 24


@pytest.mark.parametrize(("wait", "pause"), [(1, 1.5), (20, 20.5), (None, 20), (0, 20), (0.9, 20)])
def test_a_pause_takes_what_is_named_or_20_seconds_and_ends_with_a_probe(
    wait: float | None, pause: float
) -> None:
    pace = pace_of()
    earlier, refused = pace.acquire(0), pace.acquire(0)
    pace.observe(RateHeaders(wait=wait), 0, number=refused, exceeded=True)
    # What started before the pause says nothing of it.
    pace.observe(SILENT, 0, number=earlier, exceeded=False)
    pace.observe(RateHeaders(wait=1), 0, number=earlier, exceeded=True)
    assert pace.delay(0) == max(pause, 1.5)
    assert pace.delay(pause + 0.1) == 0
    probe = pace.acquire(pause + 0.1)
    assert pace.delay(pause + 0.1) > 0
    pace.observe(SILENT, pause + 0.2, number=probe, exceeded=False)
    assert starts(pace, pause + 0.2, [SILENT] * 3) == [0, 0, 0]


@dataclass(frozen=True)
class Scenario:
    """Connectors, others who use so many requests a minute, servers, and what must come of it."""

    # The requests a minute of all connectors together while they are watched.
    least: float
    theirs: float = 0
    begin: float = -60
    end: float = math.inf
    chance: int | None = None
    ours: Sequence[tuple[float, float]] = ((0, math.inf),)
    limit: int = 300
    later: int | None = None
    servers: int = 1
    watched: tuple[float, float] = (0, 300)
    # Our requests and others' in nine simulations, at most.
    refused: tuple[float, float] = (0, 0)


FREE = 0.95 * 300
SCENARIOS = {
    "nobody else": Scenario(0.95 * 240),
    "others, few": Scenario(0.95 * (FREE - 90), theirs=90),
    "others, as many": Scenario(0.95 * (FREE - 150), theirs=150),
    "others, many": Scenario(0.95 * (FREE - 240), theirs=240),
    "others of a large plan": Scenario(0.95 * 450, theirs=500, limit=1000),
    "few by chance": Scenario(0.9 * (FREE - 90), theirs=90, chance=1),
    "as many by chance": Scenario(0.9 * (FREE - 150), theirs=150, chance=1, refused=(3, 40)),
    "many by chance": Scenario(0.8 * (FREE - 240), theirs=240, chance=3, refused=(20, 200)),
    "others stop": Scenario(0.9 * 240, theirs=240, end=200, watched=(255, 315)),
    "others begin": Scenario(0.9 * 190, theirs=150, begin=200, watched=(0, 400), refused=(15, 200)),
    "others use all": Scenario(4, theirs=300, refused=(100, 2000)),
    "others ask for more": Scenario(2, theirs=600, refused=(130, math.inf)),
    "two connectors": Scenario(0.9 * FREE, ours=[(0, math.inf)] * 2, watched=(60, 300)),
    # Those of the one before count as somebody else's while the server counts them.
    "begun again": Scenario(100, ours=[(0, 25), (25, math.inf)], watched=(25, 65)),
    "begun again, later": Scenario(0.9 * 240, ours=[(0, 25), (25, math.inf)], watched=(65, 125)),
    "several servers": Scenario(0.95 * 240, servers=3),
    "several servers and others": Scenario(190, servers=3, theirs=150),
    "a limit that grows": Scenario(0.9 * 400, later=500, watched=(200, 300)),
    "a limit that falls": Scenario(
        0.9 * 240, limit=1000, later=300, watched=(260, 400), refused=(99, 0)
    ),
}


@pytest.mark.parametrize("it", SCENARIOS.values(), ids=SCENARIOS)
def test_what_is_left_is_used_within_the_share_and_few_requests_are_refused(it: Scenario) -> None:
    begin, end = it.watched
    rates, ours, theirs = [], 0, 0
    for minute, latency in product(MINUTES, (0.05, 0.5, 3.0)):
        chance = None if it.chance is None else Random(it.chance)
        servers = [Minute(it.limit, minute, it.later) for _ in range(it.servers)]
        connectors = [Connector(latency, *times) for times in it.ours]
        simulation = Simulation(servers, connectors, others(it.theirs, it.begin, it.end, chance))
        simulation.run(end)
        received = [moment for connector in connectors for moment in connector.received]
        rates.append(sum(begin <= moment for moment in received) * 60 / (end - begin))
        ours += sum(connector.refused for connector in connectors)
        theirs += simulation.others_refused
        share = 0.8 * max(it.limit, it.later or 0)
        assert max(connector.most_in_a_minute for connector in connectors) <= share
    assert min(rates) >= it.least, rates
    assert ours <= it.refused[0]
    assert theirs <= it.refused[1]
