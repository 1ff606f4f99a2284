"""How long a page is asked for: the rules of waiting and ending."""

import math

import pytest
from fakes import VirtualClock

from source_kustomer.api.retry import Attempts, Patience
from source_kustomer.errors import CAUSES, Cause
from source_kustomer.timing import Timing

TIMING = Timing(page=300, limit=540, check_page=60, check_limit=30, backoff=2, longest_backoff=30)
BY_NAME = {cause.name: cause for cause in CAUSES}
SIX_TIMES, ONCE, ENDLESS = (
    BY_NAME[name] for name in ("server_failure", "refused_key", "rate_limit")
)


def attempts(clock: VirtualClock, number: int = 1, patience: Patience | None = None) -> Attempts:
    made = Attempts(patience or Patience.reading(TIMING), TIMING, clock)
    made.number = number
    return made


@pytest.mark.parametrize(
    ("number", "longest"), [(1, 2), (2, 4), (3, 8), (4, 16), (5, 30), (6, 30), (900, 30)]
)
def test_waits_double_up_to_the_longest_with_jitter_down_to_a_half(
    clock: VirtualClock, number: int, longest: float
) -> None:
    state = attempts(clock, number)
    waits = [state.wait(SIX_TIMES) for _ in range(1000)]
    assert all(longest / 2 <= wait <= longest for wait in waits)
    # A thousand fall everywhere between.
    assert min(waits) < 0.55 * longest
    assert max(waits) > 0.95 * longest


def test_only_the_limiter_waits_for_the_limit_and_ends_it(clock: VirtualClock) -> None:
    state = attempts(clock, 900)
    clock.advance(1e6)
    assert state.wait(ENDLESS) == 0
    assert not state.are_over(ENDLESS, 0, is_outage=True)


@pytest.mark.parametrize(
    ("cause", "most_of_patience", "is_outage", "most"),
    [
        (ONCE, math.inf, False, 1),
        (SIX_TIMES, math.inf, False, 6),
        (SIX_TIMES, math.inf, True, 2),
        (ONCE, math.inf, True, 1),
        (SIX_TIMES, 4, False, 4),
        (SIX_TIMES, 1, True, 1),
        (SIX_TIMES, 9, False, 6),
    ],
)
def test_the_cause_the_patience_and_an_outage_each_bound_the_attempts(
    clock: VirtualClock, cause: Cause, most_of_patience: float, *, is_outage: bool, most: int
) -> None:
    patience = Patience(most_of_patience, 1e9, 1e9)
    over = [
        number
        for number in range(1, 10)
        if attempts(clock, number, patience).are_over(cause, 1, is_outage=is_outage)
    ]
    assert over == [*range(most, 10)]


def test_no_attempt_begins_after_the_time_beside_what_the_limit_took(clock: VirtualClock) -> None:
    state = Attempts(Patience.reading(TIMING), TIMING, clock)
    assert state.number == 1
    clock.advance(290)
    assert not state.are_over(SIX_TIMES, 10, is_outage=False)
    assert state.are_over(SIX_TIMES, 10.5, is_outage=False)
    clock.advance(400)
    state.limit_waited += 400
    assert not state.are_over(SIX_TIMES, 10, is_outage=False)
    assert state.are_over(SIX_TIMES, 10.5, is_outage=False)


def test_waits_for_the_limit_share_what_the_patience_has_for_them(clock: VirtualClock) -> None:
    state = attempts(clock, patience=Patience(2, 60, 30))
    assert state.limit_left == 30
    state.limit_waited += 12
    assert state.limit_left == 18
    state.limit_waited += 20
    assert state.limit_left == 0


def test_a_sync_is_as_patient_as_its_causes_and_check_asks_twice_within_a_minute() -> None:
    assert Patience.reading(TIMING) == Patience(math.inf, 300, 540)
    assert Patience.checking(TIMING) == Patience(2, 60, 30)
