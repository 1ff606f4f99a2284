"""The budget, in virtual time, against a server that counts as Kustomer's may."""

import threading
from collections import deque
from collections.abc import Iterator

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
    ],
)
def test_when_a_limit_ends_is_read_from_any_of_its_forms(
    headers: dict[str, str], seconds: float | None
) -> None:
    assert seconds_until_reset(headers, now=1767225600.0) == seconds
