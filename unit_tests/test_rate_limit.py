"""The budget, in virtual time, against a server that counts as Kustomer's may."""

import logging
import threading
from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from heapq import heappop, heappush
from itertools import count, pairwise
from random import Random

import pytest

from source_kustomer.rate_limit import Budget, CancelledError, seconds_until_reset


class Clock:
    """Time that goes on only when somebody waits."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now

    def wait(self, seconds: float | None = None) -> bool:
        self.now += max(seconds or 0.0, 1e-6)
        return False


class Organization:
    """Counts everybody's requests in minutes of one kind.

    They slide, or slide by whole seconds, start now and then, or start with the first request
    after the last one.
    """

    def __init__(self, clock: Clock, limit: int, others: float, window: str) -> None:
        self.clock, self.limit, self.window = clock, limit, window
        self.others_pause = 60 / others if others else float("inf")
        self.next_other = clock.now - 60 + self.others_pause / 3
        self.counted: deque[float] = deque()
        self.ours: list[float] = []
        self.refused = Counter[str]()

    def _count(self, now: float, whose: str) -> None:
        counted = self.counted
        if self.window == "after the last" and counted and counted[0] <= now - 60:
            counted.clear()
        started = {
            "sliding": now - 60,
            "whole seconds": int(now) - 60 - 1e-9,
            "now and then": 977 + (now - 977) // 60 * 60,
        }.get(self.window, 0)
        while counted and counted[0] <= started:
            counted.popleft()
        if len(counted) < self.limit:
            counted.append(now)
        else:
            self.refused[whose] += 1

    def request(self) -> dict[str, str]:
        while self.next_other <= self.clock.now:
            self._count(self.next_other, "others'")
            self.next_other += self.others_pause
        self._count(self.clock.now, "ours")
        self.ours.append(self.clock.now)
        return headers(self.limit, len(self.counted))

    def most_in_a_minute(self) -> int:
        return max(sum(start <= t < start + 60 for t in self.ours) for start in self.ours)


def headers(limit: int, used: int) -> dict[str, str]:
    return {"x-ratelimit-limit": str(limit), "x-ratelimit-remaining": str(limit - used)}


def budget(share: int, clock: Clock) -> Budget:
    it = Budget(share, clock)
    it._changed.wait = clock.wait  # type: ignore[method-assign, assignment]
    return it


def answered(it: Budget, used: int, limit: int = 1000) -> None:
    with it.request() as ticket:
        it.learn(headers(limit, used), ticket)


@dataclass(frozen=True)
class Answers:
    """So many requests at once, whose answers take about so long, and a few of them longer."""

    at_once: int
    seconds: float
    slow_ones: float = 0.0

    def way(self, chance: Random) -> float:
        is_slow = chance.random() < self.slow_ones
        return self.seconds * chance.random() + is_slow * 2 * chance.random()


ONE_BY_ONE = (Answers(1, 0.0), Answers(1, 0.01), Answers(1, 0.2))
AT_ONCE = (Answers(24, 0.02), Answers(24, 0.3), Answers(24, 0.05, slow_ones=0.02))


def run(share: int, organization: Organization, seconds: float, answers: Answers) -> None:
    """Send requests for a while; the first page is read alone."""
    clock, chance = organization.clock, Random(5)
    it, end = budget(share, clock), clock.now + seconds
    number, events = count(), list[tuple[float, int, Callable[[], None]]]()
    ended = 0

    def send() -> None:
        request = ExitStack()
        ticket = request.enter_context(it.request())
        learned = dict[str, str]()

        def arrive() -> None:
            learned.update(organization.request())

        def answer() -> None:
            nonlocal ended
            it.learn(learned, ticket)
            request.close()
            ended += 1

        arrived = clock.now + answers.way(chance)
        heappush(events, (arrived, next(number), arrive))
        heappush(events, (arrived + answers.way(chance), next(number), answer))

    while clock.now < end:
        in_flight = it._sent.in_flight
        wait = it._wait() if in_flight < (answers.at_once if ended else 1) else float("inf")
        if wait <= 0:
            send()
        elif events and events[0][0] <= clock.now + wait:
            clock.now, _, happen = heappop(events)
            happen()
        else:
            clock.wait(min(wait, 1.0))


WINDOWS = pytest.mark.parametrize(
    "window", ["sliding", "whole seconds", "now and then", "after the last"]
)
ALL_ANSWERS = pytest.mark.parametrize("answers", [*ONE_BY_ONE, *AT_ONCE])


@WINDOWS
@ALL_ANSWERS
@pytest.mark.parametrize(
    ("limit", "share"), [(300, 80), (500, 50), (1000, 80), (300, 1), (100, 80), (40, 80)]
)
def test_alone_it_uses_its_share_whole_and_never_more(
    window: str, answers: Answers, limit: int, share: int
) -> None:
    clock = Clock()
    organization = Organization(clock, limit, 0, window)
    run(share, organization, 240, answers)
    assert organization.most_in_a_minute() <= limit * share // 100
    possible = min(
        limit * share // 100, 60 * answers.at_once / answers.seconds if answers.seconds else limit
    )
    assert len(organization.ours) >= 0.95 * possible * 4 - 1
    assert not organization.refused


@WINDOWS
@ALL_ANSWERS
@pytest.mark.parametrize(
    ("limit", "others"), [(300, 90), (300, 150), (300, 240), (1000, 500), (100, 45)]
)
def test_it_yields_to_others_so_that_the_limit_is_never_reached(
    window: str, answers: Answers, limit: int, others: int
) -> None:
    clock = Clock()
    organization = Organization(clock, limit, others, window)
    run(80, organization, 300, answers)
    assert not organization.refused["ours"]
    # Half of the share leaves before it is known what others do.
    if others + 0.4 * limit < limit:
        assert not organization.refused
    assert len(organization.ours) > 5 * 0.5 * (limit - others - 10)


def test_without_headers_it_keeps_to_the_smallest_plan() -> None:
    clock = Clock()
    it, left = budget(80, clock), list[float]()
    for _ in range(500):
        with it.request() as ticket:
            left.append(clock.now)
            it.learn({}, ticket)
    assert all(later - earlier >= 60 for earlier, later in zip(left, left[240:], strict=False))
    assert left[479] - left[0] < 62


@pytest.mark.parametrize("value", ["", "x", "-1", "1.5", "1e9", "9" * 30, "nan", "٣"])
def test_headers_that_are_no_whole_numbers_are_ignored(value: str) -> None:
    clock = Clock()
    it = budget(80, clock)
    with it.request() as ticket:
        it.learn({"x-ratelimit-limit": value, "x-ratelimit-remaining": value}, ticket)
    assert it.requests_a_minute == 240


def test_a_remaining_of_zero_on_a_good_answer_waits_and_goes_on() -> None:
    clock = Clock()
    it = budget(80, clock)
    for _ in range(3):
        answered(it, 300, 300)
    assert 1010 < clock.now < 1200
    assert it.waited > 10


def learned(clock: Clock, share: int, limit: int, used: int) -> Budget:
    """Make a budget that has learned of two answers, ten seconds apart."""
    it = budget(share, clock)
    answered(it, used - 1, limit)
    clock.now += 10
    answered(it, used, limit)
    return it


@pytest.mark.parametrize(
    ("share", "limit", "used", "allowed"),
    [
        # The share.
        (80, 1000, 2, 800),
        (50, 1000, 2, 500),
        (1, 300, 2, 3),
        (33, 500, 2, 165),
        # What must stay free: 3 %, and at least two.
        (100, 1000, 2, 970),
        (100, 300, 2, 291),
        (100, 75, 2, 72),
        # What others used, ours not counted, and its square root.
        (80, 1000, 502, 1000 - 30 - 500 - 23),
        (100, 300, 102, 300 - 9 - 100 - 10),
        (80, 1000, 972, 1000 - 30 - 970 - 32),
    ],
)
def test_what_may_leave_is_the_share_and_what_others_and_the_reserve_leave(
    share: int, limit: int, used: int, allowed: int
) -> None:
    assert learned(Clock(), share, limit, used).requests_a_minute == allowed


@pytest.mark.parametrize(
    ("share", "seconds"),
    [(80, [0] * 400 + [3] * 400), (2, [0] * 10 + [3] * 10), (1, [0] * 5 + [3] * 5)],
)
def test_half_of_the_share_comes_after_others_were_watched(share: int, seconds: list[int]) -> None:
    clock, left = Clock(), list[float]()
    it = budget(share, clock)
    for used, _ in enumerate(seconds, 1):
        answered(it, used)
        left.append(clock.now)
    assert [round(time - left[0]) for time in left] == seconds


@pytest.mark.parametrize(("share", "seconds"), [(1, [0, 60]), (2, [0, 3])])
def test_at_least_one_request_may_leave_from_the_first_moment(
    share: int, seconds: list[int]
) -> None:
    clock, left = Clock(), list[float]()
    it = budget(share, clock)
    for used in (1, 2):
        answered(it, used, 100)
        left.append(clock.now)
    assert [round(time - left[0]) for time in left] == seconds


def test_a_limit_of_zero_is_not_one() -> None:
    it = budget(80, Clock())
    answered(it, 0, 0)
    assert it.requests_a_minute == 240


def test_a_limit_that_is_raised_is_followed() -> None:
    clock = Clock()
    it = learned(clock, 80, 300, 2)
    with it.request() as ticket:
        it.learn({"x-ratelimit-limit": "1000"}, ticket)
    assert it.requests_a_minute == 800


def test_pace_of_others_is_measured_between_answers() -> None:
    """A server whose minute started anew counts little; what others do shows in the gaps."""
    clock = Clock()
    it = budget(80, clock)
    for used in range(1, 30, 3):
        # Two of others between each two of ours, a second apart: 120 a minute.
        answered(it, used)
        clock.now += 1
    assert it._others.at_most == pytest.approx(120)


def test_use_of_others_that_ends_is_forgotten() -> None:
    clock = Clock()
    it = learned(clock, 80, 1000, 600)
    assert it._others.at_most == 598
    for used in range(1, 60):
        answered(it, used)
        clock.now += 0.5
    assert it._others.at_most == 0
    assert it.requests_a_minute == 800


def test_an_estimate_of_others_stands_for_three_seconds_after_the_count_began_anew() -> None:
    clock = Clock()
    it = learned(clock, 80, 1000, 600)
    clock.now += 30
    for used, seconds, others in ((1, 1.5, 598), (2, 1.4, 598), (3, 0.2, 598), (4, 1, 0)):
        answered(it, used)
        assert it._others.at_most == others
        clock.now += seconds


def test_an_estimate_of_others_follows_what_they_do_after_twenty_seconds() -> None:
    clock, used, estimates = Clock(), 0, list[float]()
    it = budget(80, clock)
    for second in range(27):
        used += 3 if second < 10 else 1
        answered(it, used)
        estimates.append(it._others.at_most)
        clock.now += 1
    assert min(estimates[:22]) > 50
    # They used twenty in this minute, and nothing any more.
    assert estimates[25:] == [20, 20]


@pytest.mark.parametrize(("used", "start"), [(9, 10), (8, 10), (7, 7)])
def test_a_count_that_falls_is_a_new_one(used: int, start: int) -> None:
    it = budget(80, Clock())
    answered(it, 10)
    answered(it, used)
    assert it._others._observation is not None
    assert it._others._observation.start == start


@pytest.mark.parametrize("ahead", [10, 24])
def test_an_answer_that_many_others_overtook_is_no_new_count_and_nobody_elses(ahead: int) -> None:
    clock = Clock()
    it = budget(80, clock)
    answered(it, 1)
    with it.request() as slow:
        clock.now += 1
        for used in range(3, 3 + ahead):
            answered(it, used)
        clock.now += 3
        it.learn(headers(1000, 2), slow)
    for used in range(3 + ahead, 10 + ahead):
        answered(it, used)
    assert it._others.at_least == it._others.at_most == 0


def test_a_place_that_was_taken_before_the_count_fell_is_none_after_it() -> None:
    it = budget(80, Clock())
    answered(it, 240)
    with it.request() as overtaken:
        # It was counted first, then the minute of many ended, then this one was counted.
        answered(it, 100)
        it.learn(headers(1000, 241), overtaken)
    answered(it, 101)
    assert it._others.at_least == 239


def test_a_silence_in_which_the_count_may_have_begun_anew_measures_nothing() -> None:
    clock = Clock()
    it = learned(clock, 80, 1000, 600)
    clock.now += 59
    answered(it, 600)
    assert it._others.at_most == 598


def test_after_minutes_without_news_others_are_watched_anew() -> None:
    clock = Clock()
    it = learned(clock, 80, 100, 100)
    clock.now += 299
    assert it.requests_a_minute < 1
    clock.now += 1
    assert it.requests_a_minute == 80
    answered(it, 1, 100)
    assert it.requests_a_minute == 80
    left = list[float]()
    for used in range(2, 42):
        answered(it, used, 100)
        left.append(clock.now)
    assert left[38] - left[0] < 1
    assert 2.9 < left[39] - left[0] < 3.1


def test_what_others_use_shows_in_answers_that_overtake_each_other() -> None:
    clock = Clock()
    it = budget(80, clock)
    answered(it, 5)
    answered(it, 4)
    clock.now += 4
    answered(it, 7)
    # One of the four is not ours, in four seconds.
    assert it._others.at_most == pytest.approx(15)


def test_answers_that_tell_nothing_are_ours_all_the_same() -> None:
    clock = Clock()
    it = budget(80, clock)
    answered(it, 1)
    for _ in range(5):
        with it.request() as ticket:
            it.learn({}, ticket)
    clock.now += 4
    answered(it, 7)
    assert it._others.at_most == 0


def test_places_of_requests_that_were_lost_may_be_others() -> None:
    clock = Clock()
    it = budget(80, clock)
    answered(it, 1)
    for _ in range(5):
        with suppress(ConnectionError), it.request():
            raise ConnectionError
    clock.now += 4
    answered(it, 7)
    assert it._others.at_least == 0
    assert it._others.at_most == pytest.approx(5 * 15)


def test_requests_that_are_on_their_way_may_be_in_the_count() -> None:
    clock = Clock()
    it = budget(80, clock)
    answered(it, 1)
    clock.now += 2
    with it.request(), it.request(), it.request() as ticket:
        it.learn(headers(1000, 10), ticket)
        # Of ten, two are ours that are answered, and two ours that are not.
        assert it._others.at_least == pytest.approx(6 * 20)


def test_a_remaining_without_a_limit_is_not_used() -> None:
    clock = Clock()
    it = budget(80, clock)
    with it.request() as ticket:
        it.learn({"x-ratelimit-remaining": "0"}, ticket)
    before = clock.now
    with it.request():
        assert clock.now - before < 0.01


def test_own_requests_are_counted_for_a_minute() -> None:
    clock = Clock()
    it = budget(80, clock)
    with it.request() as first:
        assert first.own == 1
        with it.request() as second:
            assert second.own == 2
    assert it._sent.in_minute() == 2
    clock.now += 59.9
    assert it._sent.in_minute() == 2
    clock.now += 0.1
    assert it._sent.in_minute() == 0


@pytest.mark.parametrize("on_their_way", [0, 1, 3])
def test_unanswered_requests_are_no_more_than_the_organization_had_left(on_their_way: int) -> None:
    clock, used = Clock(), 0
    it = budget(80, clock)
    with ExitStack() as in_flight:
        for number in range(200):
            if number == 199:
                for _ in range(on_their_way):
                    in_flight.enter_context(it.request())
            used += 1
            with it.request() as ticket:
                it.learn(headers(300, used), ticket)
            if number == 99:
                clock.now += 30.01
        clock.now += 30.01
        # The first half no longer counts as ours, but no answer has told that it does not count.
        assert it._sent.in_minute() == 100 + on_their_way
        left, end = 0, clock.now + 1
        while clock.now < end:
            in_flight.enter_context(it.request())
            left += 1
    # Half of the reserve of nine stays free.
    assert left == 96 - on_their_way + 1


def test_where_others_use_everything_it_tries_again_within_a_minute() -> None:
    clock = Clock()
    it = learned(clock, 80, 300, 300)
    left = []
    for _ in range(4):
        answered(it, 300, 300)
        left.append(clock.now)
    assert all(10 <= later - earlier <= 61 for earlier, later in pairwise(left))


def test_what_was_left_before_a_pause_does_not_count_after_it() -> None:
    clock = Clock()
    it = learned(clock, 80, 300, 300)
    # So that there is room for one more, but for what was left.
    it._others.at_most = 0.0
    it.pause(5)
    began = clock.now
    with it.request():
        assert 5 <= clock.now - began < 6


def test_others_use_no_more_than_all_however_fast_a_burst_seems() -> None:
    clock = Clock()
    it = learned(clock, 80, 300, 2)
    clock.now += 11
    answered(it, 3, 300)
    clock.now += 1
    answered(it, 280, 300)
    assert it._others.at_most == 300


def test_an_answer_that_hangs_holds_up_no_others() -> None:
    clock = Clock()
    it = budget(80, clock)
    answered(it, 1, 300)
    with it.request():
        for used in range(3, 200):
            answered(it, used, 300)
    assert clock.now < 1010


def test_where_the_limit_stays_exceeded_one_a_minute_asks_for_it() -> None:
    clock, left = Clock(), list[float]()
    it = learned(clock, 80, 300, 300)
    while clock.now < 1600:
        with it.request():
            left.append(clock.now)
            it.pause(5)
    assert 8 <= len(left) <= 11


def test_the_longest_of_several_pauses_counts() -> None:
    clock = Clock()
    it = budget(80, clock)
    it.pause(30)
    it.pause(5)
    with it.request():
        assert clock.now == pytest.approx(1030, abs=0.01)


def test_time_is_waited_while_anybody_waits() -> None:
    clock = Clock()
    it = budget(80, clock)
    with it.request():
        pass
    assert it.waited == 0
    it.pause(30)
    seen: list[float] = []

    def wanted() -> bool:
        seen.append(it.waited)
        return True

    with it.request(wanted):
        pass
    assert it.waited == pytest.approx(30, abs=0.01)
    assert seen[0] == 0
    assert max(seen) == pytest.approx(30, abs=1.01)
    clock.now += 100
    assert it.waited == pytest.approx(30, abs=0.01)


def test_a_wait_is_looked_at_every_second() -> None:
    clock = Clock()
    it = budget(80, clock)
    it.pause(30)
    looks: list[float] = []

    def wanted() -> bool:
        looks.append(clock.now)
        return True

    with it.request(wanted):
        pass
    assert all(later - earlier <= 1 for earlier, later in pairwise(looks))


def told(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records]


@pytest.mark.parametrize(("seconds", "said"), [(10.01, 11), (41.5, 42)])
def test_a_long_pause_is_told_once(
    caplog: pytest.LogCaptureFixture, seconds: float, said: int
) -> None:
    clock = Clock()
    it = budget(80, clock)
    it.pause(seconds)
    with caplog.at_level(logging.INFO), it.request():
        pass
    assert told(caplog) == [
        f"Waiting {said} s for the rate limit: Kustomer says that it is exceeded."
    ]
    assert caplog.records[0].name == "airbyte.source_kustomer.rate_limit"


def test_a_short_pause_is_not_told(caplog: pytest.LogCaptureFixture) -> None:
    it = budget(80, Clock())
    it.pause(10)
    with caplog.at_level(logging.INFO), it.request():
        pass
    assert told(caplog) == []


@pytest.mark.parametrize("limit", [None, 500])
def test_a_long_wait_for_the_share_is_told_with_its_numbers(
    caplog: pytest.LogCaptureFixture, limit: int | None
) -> None:
    clock = Clock()
    it = budget(1, clock) if limit is None else learned(clock, 1, limit, 2)
    clock.now += 60
    allowed = it.requests_a_minute
    with caplog.at_level(logging.INFO):
        for _ in range(2 * allowed + 1):
            with it.request():
                pass
    line = (
        f"Waiting 60 s for the rate limit: {allowed} requests in the last minute are what this "
        f"connector may use of the organization's {limit or 300}."
    )
    assert told(caplog) == [line] * 2


def test_a_long_wait_is_told_while_another_request_is_on_its_way(
    caplog: pytest.LogCaptureFixture,
) -> None:
    it = budget(1, Clock())
    with caplog.at_level(logging.INFO), it.request():
        for _ in range(3):
            with it.request():
                pass
    assert len(told(caplog)) == 1


def test_a_pause_holds_everything_back() -> None:
    clock = Clock()
    it = budget(80, clock)
    it.pause(42)
    with it.request():
        assert clock.now >= 1042


def test_what_is_not_wanted_does_not_leave() -> None:
    it = Budget(80)
    it.pause(60)
    wanted: Iterator[bool] = iter([True, False])
    with pytest.raises(CancelledError), it.request(lambda: next(wanted)):
        pass
    assert it.waited < 3


def test_requests_leave_in_the_order_in_which_they_came() -> None:
    it, order = Budget(100), list[int]()
    it.pause(0.3)
    started = threading.Event()

    def leave(number: int) -> None:
        started.set()
        with it.request():
            order.append(number)

    threads = []
    for number in range(20):
        threads.append(threading.Thread(target=leave, args=(number,)))
        started.clear()
        threads[-1].start()
        started.wait()
    for thread in threads:
        thread.join()
    assert order == sorted(order)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "7"}, 7),
        ({"retry-after": "1.5"}, 1.5),
        ({"retry-after": "Thu, 01 Jan 2026 00:01:40 GMT"}, 100),
        ({"retry-after": "soon"}, None),
        ({"x-ratelimit-reset": "1767225630"}, 30),
        ({"x-ratelimit-reset": "1767225630.5"}, 30.5),
        ({"x-ratelimit-reset": "1767225630500"}, 30.5),
        ({"x-ratelimit-reset": "20"}, 20),
        ({"x-ratelimit-reset": "1767225000"}, 0),
        ({"x-ratelimit-reset": "tomorrow"}, None),
        ({"x-ratelimit-reset": "1767225630", "retry-after": "40"}, 40),
        ({"x-ratelimit-reset": "1767225650", "retry-after": "40"}, 50),
        ({"x-ratelimit-reset": "30", "x-ratelimit-remaining": "0"}, 30),
        ({"x-ratelimit-reset": "30", "x-ratelimit-remaining": "7"}, None),
        ({"x-ratelimit-reset": "30", "x-ratelimit-remaining": "7", "retry-after": "4"}, 4),
        ({"x-ratelimit-reset": "30", "x-ratelimit-remaining": "x"}, 30),
        ({"x-ratelimit-reset": "100000000"}, 100000000),
        ({"x-ratelimit-reset": "100000001"}, 0),
        ({"x-ratelimit-reset": "100000000000"}, 100000000000 - 1767225600),
        ({"x-ratelimit-reset": "100000000001"}, 0),
        ({"x-ratelimit-reset": " 20 "}, 20),
        ({"x-ratelimit-reset": "-20"}, None),
        ({"x-ratelimit-reset": "1" * 16}, None),
        ({"x-ratelimit-reset": "٣"}, None),
        ({"retry-after": "20.1234567890"}, None),
        ({"retry-after": "Thu, 99 Jan 2026 00:01:40 GMT"}, None),
        ({"retry-after": "Wed, 31 Dec 2025 23:00:00 GMT"}, 0),
        ({"retry-after": "Thu, 01 Jan 2026 00:01:40 GMT", "x-ratelimit-reset": "7"}, 100),
        ({"retry-after": "soon", "x-ratelimit-reset": "7"}, 7),
        # The server's clock is an hour behind this one's.
        (
            {
                "date": "Wed, 31 Dec 2025 23:00:00 GMT",
                "retry-after": "Wed, 31 Dec 2025 23:00:30 GMT",
            },
            30,
        ),
        ({"date": "Wed, 31 Dec 2025 23:00:00 GMT", "x-ratelimit-reset": "1767222020"}, 20),
        ({"date": "Wed, 31 Dec 2025 23:00:00 GMT", "retry-after": "5"}, 5),
        ({"date": "today", "x-ratelimit-reset": "1767225630"}, 30),
    ],
)
def test_when_a_limit_ends_is_read_from_any_of_its_forms(
    headers: dict[str, str], seconds: float | None
) -> None:
    assert seconds_until_reset(headers, now=1767225600.0) == seconds
