"""The organization's requests a minute, which others use too, and our share of them.

1. Never more than the share of the limit is ours in any minute; a request counts from when it leaves
   until a minute after it ended.
2. Others use `limit - remaining - own`: the highest of 75 s counts, and in the first minute also its
   growth, as if that went on.
3. Requests leave evenly, at the smaller of the share and what others leave free, less 5 %.
4. Where the limit is almost used up, or that pace is slower still, single requests look for room:
   more seldom after one that finds less, more often after one that finds as much.
5. What `remaining` said holds for a minute at most; a pause that the server asks for is waited for,
   and ends with a look.
"""

import math
import random
from collections import deque
from collections.abc import Callable

from source_kustomer.api.headers import RateHeaders

# Kustomer counts requests over 60 s; the smallest plan's limit holds until a response names one.
WINDOW = 60.0
SMALLEST_LIMIT = 300

_RESERVE = 0.05  # of the limit stays free, because others' use is an estimate.
_TIGHT = 0.03  # of the limit is almost nothing: less than a pace's delay can mistake.
# In windows: a fixed one shows all of others' use at its end only, so it is remembered for longer.
_MEMORY = 1.25
_WATCH = 1 / 20  # Growth over less than 3 s is chance.
_BURST, _QUIET_BURST = 1 / 30, 1 / 3  # May leave at once: 2 s' worth, 20 s' while nobody is seen.
_FIRST_LOOK, _LONGEST_LOOK = 1 / 40, 1 / 3  # 1.5 s are bearable; 20 s see soon that others stop.
_MORE_SELDOM, _MORE_OFTEN = 2.0, 0.7
# Seconds: a named wait below is a reset rounded to whole seconds, and names none.
_SHORTEST_PAUSE = 1.0
_LEAST_WAIT = 0.001  # Rounding must not let a request leave while another is still counted.


class Pace:
    """When the next request may leave: the rule alone, for one thread that tells it the time."""

    def __init__(
        self, share: int, window: float = WINDOW, jitter: Callable[[], float] = random.random
    ) -> None:
        self._share, self._window, self._jitter = share, window, jitter
        self.limit = SMALLEST_LIMIT
        self.pause_ends = -math.inf
        self._in_flight, self._ended = 0, deque[float]()
        self._others = deque[tuple[float, float]]()
        self._remaining, self._observed_at = math.inf, -math.inf
        self._watched_since, self._others_before = -math.inf, 0.0
        self._credit, self._credited_at = math.inf, 0.0
        self._left_at = self._look_at = -math.inf
        self._look = _FIRST_LOOK * window
        self._refused = False

    @property
    def share(self) -> int:
        """Our requests a window."""
        return max(1, self.limit * self._share // 100)

    def others(self, now: float) -> float:
        """Others' requests a window, as far as they were seen."""
        while self._others and self._others[0][0] <= now - _MEMORY * self._window:
            self._others.popleft()
        return self._others[0][1] if self._others else 0.0

    def rate(self, now: float) -> float:
        """Our requests a window that the share and others leave free."""
        return max(0.0, min(self.share, self.limit * (1 - _RESERVE) - self.others(now)))

    def delay(self, now: float) -> float:
        """Return the seconds until a request may leave, as far as is known now."""
        if now < self.pause_ends:
            return self.pause_ends - now
        if self.own(now) >= self.share:
            first = self._ended[0] if self._ended else now
            return max(_LEAST_WAIT, first + self._window - now)
        if self.is_looking(now):
            return self._look_at - now
        return (1 - self._refilled(now)) * self._window / self.rate(now)

    def leave(self, now: float) -> None:
        """Count a request that leaves."""
        self._credit, self._credited_at = max(0.0, self._refilled(now) - 1), now
        self._left_at, self._look_at = now, now + self._look
        self._in_flight += 1
        self._remaining -= 1

    def end(self, now: float) -> None:
        """Count a request as ended, with a response or without."""
        self._in_flight -= 1
        self._ended.append(now)

    def observe(self, headers: RateHeaders, now: float, *, exceeded: bool = False) -> None:
        """Learn from a response whose request has not ended."""
        self.limit = headers.limit or self.limit
        first, longest = _FIRST_LOOK * self._window, _LONGEST_LOOK * self._window
        if exceeded:
            self._look = min(longest, max(first, self._look * _MORE_SELDOM))
            wait, self._refused = headers.wait or 0.0, True
            pause = wait + self._jitter() if wait >= _SHORTEST_PAUSE else self._look
            self.pause_ends = self._look_at = max(self.pause_ends, now + pause)
            return
        if now >= self.pause_ends:
            self._refused = False
        if headers.remaining is None:
            return
        is_less = headers.remaining - self._in_flight < self._remaining
        self._remaining = headers.remaining - (self._in_flight - 1)
        self._see_others(self.limit - headers.remaining - self.own(now), now)
        self._observed_at = now
        if self.is_looking(now):
            self._look = min(longest, self._look * (_MORE_SELDOM if is_less else _MORE_OFTEN))
            self._look_at = self._left_at + self._look
        else:
            self._look = first

    def _see_others(self, others: float, now: float) -> None:
        if now - self._observed_at > self._window:
            self._watched_since, self._others_before = now, others
        watched = (now - self._watched_since) / self._window
        if _WATCH <= watched <= 1:
            others = max(others, (others - self._others_before) / watched)
        while self._others and self._others[-1][1] <= others:
            self._others.pop()
        self._others.append((now, max(0.0, others)))

    def own(self, now: float) -> int:
        while self._ended and self._ended[0] <= now - self._window:
            self._ended.popleft()
        return self._in_flight + len(self._ended)

    def is_looking(self, now: float) -> bool:
        is_tight = self._remaining <= _TIGHT * self.limit
        is_known = now < self._observed_at + self._window
        is_slow = self.rate(now) * self._look < self._window
        return self._refused or (is_tight and is_known) or is_slow

    def _refilled(self, now: float) -> float:
        """Requests that may leave at once."""
        gained = (now - self._credited_at) * self.rate(now) / self._window
        burst = self.rate(now) * (_BURST if self.others(now) else _QUIET_BURST)
        return min(max(1.0, burst), self._credit + gained)
