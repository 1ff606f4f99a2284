"""The budget, in virtual time, against a server that counts as Kustomer's may."""

import logging
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from itertools import pairwise

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
    """Counts everybody's requests in a sliding minute or in minutes that start now and then."""

    def __init__(self, clock: Clock, limit: int, others: int, window: str) -> None:
        self.clock, self.limit, self.window = clock, limit, window
        self.others_pause = 60 / others if others else float("inf")
        self.next_other = clock.now - 60 + self.others_pause / 3
        self.counted: deque[float] = deque()
        self.ours: list[float] = []
        self.exceeded = 0

    def _forget(self, now: float) -> None:
        started = now - 60 if self.window == "sliding" else 977 + (now - 977) // 60 * 60
        while self.counted and self.counted[0] <= started:
            self.counted.popleft()

    def request(self) -> dict[str, str]:
        while self.next_other <= self.clock.now:
            self._forget(self.next_other)
            self.counted.append(self.next_other)
            self.next_other += self.others_pause
        self._forget(self.clock.now)
        self.counted.append(self.clock.now)
        self.ours.append(self.clock.now)
        self.exceeded += len(self.counted) > self.limit
        remaining = max(0, self.limit - len(self.counted))
        return {"x-ratelimit-limit": str(self.limit), "x-ratelimit-remaining": str(remaining)}

    def most_in_a_minute(self) -> int:
        return max(sum(start <= t < start + 60 for t in self.ours) for start in self.ours)


def budget(share: int, clock: Clock) -> Budget:
    it = Budget(share, clock)
    it._changed.wait = clock.wait  # type: ignore[method-assign, assignment]
    return it


def run(share: int, organization: Organization, seconds: float, answer_time: float) -> None:
    clock = organization.clock
    it, end = budget(share, clock), clock.now + seconds
    while clock.now < end:
        with it.request() as ticket:
            clock.now += answer_time / 2
            headers = organization.request()
            clock.now += answer_time / 2
            it.learn(headers, ticket)


WINDOWS = pytest.mark.parametrize("window", ["sliding", "fixed"])


@WINDOWS
@pytest.mark.parametrize("answer_time", [0.0, 0.01, 0.2])
@pytest.mark.parametrize(("limit", "share"), [(300, 80), (500, 50), (1000, 80), (300, 1)])
def test_alone_it_uses_its_share_whole_and_never_more(
    window: str, answer_time: float, limit: int, share: int
) -> None:
    clock = Clock()
    organization = Organization(clock, limit, 0, window)
    run(share, organization, 240, answer_time)
    assert organization.most_in_a_minute() <= limit * share // 100
    possible = min(limit * share // 100, 60 / answer_time if answer_time else limit)
    assert len(organization.ours) >= 0.95 * possible * 4 - 1
    assert not organization.exceeded


@WINDOWS
@pytest.mark.parametrize("answer_time", [0.0, 0.01, 0.2])
@pytest.mark.parametrize(("limit", "others"), [(300, 90), (300, 200), (1000, 500), (300, 270)])
def test_it_yields_to_others_so_that_the_limit_is_never_reached(
    window: str, answer_time: float, limit: int, others: int
) -> None:
    clock = Clock()
    organization = Organization(clock, limit, others, window)
    run(80, organization, 300, answer_time)
    assert not organization.exceeded
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
        with it.request() as ticket:
            it.learn({"x-ratelimit-limit": "300", "x-ratelimit-remaining": "0"}, ticket)
    assert 1010 < clock.now < 1200
    assert it.waited > 10


def learned(clock: Clock, share: int, limit: int, remaining: int, after: float = 10.0) -> Budget:
    """Make a budget that has learned of one answer, some seconds ago."""
    it = budget(share, clock)
    with it.request() as ticket:
        it.learn({"x-ratelimit-limit": str(limit), "x-ratelimit-remaining": str(remaining)}, ticket)
    clock.now += after
    return it


@pytest.mark.parametrize(
    ("share", "limit", "used", "allowed"),
    [
        # The share.
        (80, 1000, 1, 800),
        (50, 1000, 1, 500),
        (1, 300, 1, 3),
        (33, 500, 1, 165),
        (1, 50, 1, 1),
        # What must stay free: 3 %, and at least two.
        (100, 1000, 1, 970),
        (100, 300, 1, 291),
        (100, 20, 1, 18),
        (100, 67, 1, 64),
        # What others used, ours not counted.
        (80, 1000, 501, 470),
        (100, 300, 101, 191),
        (80, 1000, 971, 0),
        (80, 1000, 1000, -29),
    ],
)
def test_what_may_leave_is_the_share_and_what_others_and_the_reserve_leave(
    share: int, limit: int, used: int, allowed: int
) -> None:
    it = learned(Clock(), share, limit, limit - used)
    assert it.requests_a_minute == allowed


@pytest.mark.parametrize(
    ("seconds", "allowed"), [(0, 400), (0.75, 500), (1.5, 600), (2.25, 700), (3, 800), (60, 800)]
)
def test_half_of_the_share_comes_while_others_are_watched(seconds: float, allowed: int) -> None:
    assert learned(Clock(), 80, 1000, 999, after=seconds).requests_a_minute == allowed


@pytest.mark.parametrize("share", [1, 2])
def test_at_least_one_request_may_leave_from_the_first_moment(share: int) -> None:
    assert learned(Clock(), share, 100, 99, after=0).requests_a_minute == 1


def test_a_limit_of_zero_is_not_one() -> None:
    it = learned(Clock(), 80, 0, 0)
    assert it.requests_a_minute == 240


def test_a_limit_that_is_raised_is_followed() -> None:
    clock = Clock()
    it = learned(clock, 80, 300, 299)
    with it.request() as ticket:
        it.learn({"x-ratelimit-limit": "1000"}, ticket)
    clock.now += 10
    assert it.requests_a_minute == 800


def test_pace_of_others_is_measured_between_answers() -> None:
    """A server whose minute started anew counts little; what others do shows in the gaps."""
    clock, used = Clock(), 0
    it = budget(80, clock)
    for _ in range(10):
        with it.request() as ticket:
            # Two of others between each two of ours, a second apart: 120 a minute.
            used += 3
            headers = {"x-ratelimit-limit": "1000", "x-ratelimit-remaining": str(1000 - used)}
            it.learn(headers, ticket)
        clock.now += 1
    assert 100 <= it._others <= 125


def test_use_of_others_that_ends_is_forgotten() -> None:
    clock = Clock()
    it = learned(clock, 80, 1000, 400)
    assert it._others == 599
    for used in range(1, 60):
        with it.request() as ticket:
            headers = {"x-ratelimit-limit": "1000", "x-ratelimit-remaining": str(1000 - used)}
            it.learn(headers, ticket)
        clock.now += 0.5
    assert it._others == 0


def answered(it: Budget, used: int) -> None:
    with it.request() as ticket:
        it.learn({"x-ratelimit-limit": "1000", "x-ratelimit-remaining": f"{1000 - used}"}, ticket)


def test_an_estimate_of_others_stands_for_three_seconds_after_the_count_began_anew() -> None:
    clock = Clock()
    it = budget(80, clock)
    answered(it, 600)
    clock.now += 30
    for used, seconds, others in ((1, 1.5, 599), (2, 1.4, 599), (3, 0.2, 599), (4, 1, 0)):
        answered(it, used)
        assert it._others == others
        clock.now += seconds


def test_an_estimate_of_others_follows_what_they_do_after_twenty_seconds() -> None:
    clock, used, estimates = Clock(), 0, list[float]()
    it = budget(80, clock)
    for second in range(27):
        used += 3 if second < 10 else 1
        answered(it, used)
        estimates.append(it._others)
        clock.now += 1
    # The others used 18 in all, as far as is known, and nothing any more.
    assert min(estimates[2:21]) > 50
    assert estimates[24:] == [20, 20, 20]


@pytest.mark.parametrize(("used", "start"), [(8, 10), (7, 10), (6, 6)])
def test_a_count_that_falls_far_is_a_new_one(used: int, start: int) -> None:
    it = budget(80, Clock())
    answered(it, 10)
    answered(it, used)
    assert it._observation is not None
    assert it._observation.start == start


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
        it.learn({"x-ratelimit-limit": "1000", "x-ratelimit-remaining": "998"}, slow)
    for used in range(3 + ahead, 10 + ahead):
        answered(it, used)
    assert it._others == 0


def test_an_estimate_that_lets_nothing_leave_fades() -> None:
    clock = Clock()
    it = learned(clock, 80, 100, 0)
    assert it.requests_a_minute < 1
    for _ in range(8):
        clock.now += 61
        answered(it, 1)
    assert it.requests_a_minute >= 80


def test_what_others_use_shows_in_answers_that_overtake_each_other() -> None:
    clock = Clock()
    it = budget(80, clock)
    answered(it, 5)
    answered(it, 4)
    clock.now += 4
    answered(it, 7)
    # One of the four is not ours, in four seconds.
    assert it._others == pytest.approx(15)


def test_answers_that_tell_nothing_are_ours_all_the_same() -> None:
    clock = Clock()
    it = budget(80, clock)
    answered(it, 1)
    for _ in range(5):
        with it.request() as ticket:
            it.learn({}, ticket)
    with suppress(ConnectionError), it.request():
        raise ConnectionError
    clock.now += 4
    answered(it, 8)
    assert it._others == 0


def test_requests_that_are_on_their_way_may_be_in_the_count() -> None:
    clock = Clock()
    it = budget(80, clock)
    answered(it, 1)
    clock.now += 4
    with it.request(), it.request(), it.request() as ticket:
        it.learn({"x-ratelimit-limit": "1000", "x-ratelimit-remaining": "990"}, ticket)
        # Of ten, two are ours that are answered, and two ours that are not.
        assert it._others == pytest.approx(6 * 15)


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
    assert it._own() == 2
    clock.now += 59.9
    assert it._own() == 2
    clock.now += 0.1
    assert it._own() == 0


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
                it.learn(
                    {"x-ratelimit-limit": "300", "x-ratelimit-remaining": str(300 - used)}, ticket
                )
            if number == 99:
                clock.now += 30.01
        clock.now += 30.01
        # The first half no longer counts as ours, but no answer has told that it does not count.
        assert it._own() == 100 + on_their_way
        left = 0
        while clock.now < 1061:
            in_flight.enter_context(it.request())
            left += 1
    assert left == 100 - on_their_way + 1


def test_where_others_use_everything_it_tries_again_within_a_minute() -> None:
    clock = Clock()
    it = learned(clock, 80, 300, 0, after=60)
    left = []
    for _ in range(4):
        with it.request() as ticket:
            left.append(clock.now)
            it.learn({"x-ratelimit-limit": "300", "x-ratelimit-remaining": "0"}, ticket)
    assert all(10 <= later - earlier <= 61 for earlier, later in pairwise(left))


def test_what_was_left_before_a_pause_does_not_count_after_it() -> None:
    clock = Clock()
    it = learned(clock, 80, 300, 0, after=0)
    # So that there is room for one more, but for what was left.
    it._others = 0.0
    it.pause(5)
    began = clock.now
    with it.request():
        assert 5 <= clock.now - began < 6


def test_an_estimate_is_halved_for_each_minute_without_news() -> None:
    clock = Clock()
    it = learned(clock, 80, 300, 0, after=0)
    assert it.requests_a_minute < 0
    clock.now += 61
    assert it.requests_a_minute == 300 - 150 - 9
    clock.now += 60
    assert it.requests_a_minute == 300 - 75 - 9


def test_others_use_no_more_than_all_however_fast_a_burst_seems() -> None:
    clock = Clock()
    it = learned(clock, 80, 300, 299, after=1)
    with it.request() as ticket:
        it.learn({"x-ratelimit-limit": "300", "x-ratelimit-remaining": "20"}, ticket)
    clock.now += 121
    assert it.requests_a_minute == 300 - 75 - 9


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
    it = budget(1, clock) if limit is None else learned(clock, 1, limit, limit - 1, after=60)
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
