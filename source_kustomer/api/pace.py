"""When the next request may leave: the organization's requests a minute, and our share of them.

1. Never more than the share of the limit is ours in any minute; a request counts from when it
   leaves until a minute after it ended.
2. Others use `limit - remaining - own`: the highest of the last 75 s counts, and in the first
   minute also its growth, as if that went on.
3. Requests leave evenly, at the smaller of the share and what others leave free, less 5 %.
4. Where the limit is almost used up, or that pace is slower still, single requests look for room:
   more seldom after one that is refused or finds less, more often after one that finds as much.
5. What `remaining` said holds for a minute at most; a pause that the server asks for is waited for,
   and ends with a look.
"""

import math
import random
from collections import deque
from collections.abc import Callable

from source_kustomer.api.headers import RateHeaders

# The smallest plan's limit holds until a response names the organization's own.
SMALLEST_LIMIT = 300

# What stays free of the limit, because others' use is an estimate, and what is almost nothing of
# it. More makes looks of what is the even pace, less lets Poisson arrivals exceed the limit.
_RESERVE = 0.05
_ALMOST_NOTHING = 0.03

# All below are parts of the window. A fixed window shows at its end only what others use.
_MEMORY = 75 / 60

# In less time, one request of another's looks like many a minute.
_WATCH = 3 / 60

# So long a part of the even pace may be made up for at once; at first, while nobody else is seen,
# so much that a short stream does not wait.
_BURST = 2 / 60
_FIRST_BURST = 20 / 60

# The wait for a look: at first a moment, after a refusal that names no wait a longer one; the
# longest sees within seconds that others stop, and the shortest is far from hammering. The numbers
# are those with which, in the simulation, others and this connector are refused least.
_FIRST_LOOK = 1.4 / 60
_REFUSED_LOOK = 9 / 60
_LONGEST_LOOK = 20 / 60
_SHORTEST_LOOK = 0.13 / 60
_MORE_SELDOM = 2.0
_MORE_OFTEN = 0.725

# In seconds. A reset less than this ahead was rounded to whole seconds, and names no wait.
_SHORTEST_PAUSE = 1.0

# In seconds. Rounding must not let a request leave while another is still counted.
_MOMENT = 0.001


class Pace:
    """The rule alone, for one thread, which says what time it is; `window` is the minute."""

    def __init__(
        self, share: int, window: float, jitter: Callable[[], float] = random.random
    ) -> None:
        self._share = share
        self._window = window
        self._jitter = jitter
        self.limit = SMALLEST_LIMIT
        self.pause_ends = -math.inf
        self._is_refused = False
        self._in_flight = 0
        self._left_at = -math.inf
        self._ended = deque[float]()
        self._credit = _FIRST_BURST * window
        self._remaining = math.inf
        self._observed_at = self._watched_since = -math.inf
        self._others_at_first = 0.0
        self._others = deque[tuple[float, float]]()
        self._look = _FIRST_LOOK * window
        self._adapted_at = -math.inf

    @property
    def share(self) -> int:
        """Our requests a window at most."""
        return max(1, self.limit * self._share // 100)

    def own(self, now: float) -> int:
        """Our requests in this window."""
        while self._ended and self._ended[0] <= now - self._window:
            self._ended.popleft()
        return self._in_flight + len(self._ended)

    def others(self, now: float) -> float:
        """Others' requests a window, as far as they are seen."""
        while self._others and self._others[0][0] <= now - _MEMORY * self._window:
            self._others.popleft()
        return self._others[0][1] if self._others else 0.0

    def rate(self, now: float) -> float:
        """Requests a window that may leave evenly."""
        return max(0.0, min(self.share, self.limit * (1 - _RESERVE) - self.others(now)))

    def delay(self, now: float) -> float:
        """Return the seconds until a request may leave, as far as is known now."""
        if now < self.pause_ends:
            return self.pause_ends - now
        if self.own(now) >= self.share:
            first = self._ended[0] if self._ended else now
            return max(_MOMENT, first + self._window - now)
        if not self._only_looks(now):
            return self._interval(now) - self._saved(now)
        return 0.0 if self._left_at < self.pause_ends else self._left_at + self._look - now

    def leave(self, now: float) -> None:
        """Count a request that leaves."""
        self._credit = max(0.0, self._saved(now) - self._interval(now))
        self._left_at = now
        self._in_flight += 1
        self._remaining -= 1

    def end(self, now: float) -> None:
        """Count a request that ended, with a response or without."""
        self._in_flight -= 1
        self._ended.append(now)

    def observe(self, headers: RateHeaders, now: float, *, left_at: float, exceeded: bool) -> None:
        """Learn from a response whose request left at `left_at` and has not ended."""
        self.limit = headers.limit or self.limit
        if exceeded:
            self._pause(headers.wait or 0.0, now)
            return
        self._is_refused = self._is_refused and now < self.pause_ends
        if headers.remaining is None:
            return
        found_less = headers.remaining - self._in_flight < self._remaining
        self._remaining = headers.remaining - (self._in_flight - 1)
        self._see_others(self.limit - headers.remaining - self.own(now), now)
        self._observed_at = now
        if not self._only_looks(now):
            self._look = _FIRST_LOOK * self._window
        elif left_at >= self._adapted_at:
            # Of several in flight, those that left before this adaptation do not repeat it.
            self._adapted_at = now
            look = self._look * (_MORE_SELDOM if found_less else _MORE_OFTEN)
            self._look = min(max(look, _SHORTEST_LOOK * self._window), _LONGEST_LOOK * self._window)

    def _pause(self, seconds: float, now: float) -> None:
        self._is_refused = True
        if seconds >= _SHORTEST_PAUSE:
            seconds += self._jitter()
        else:
            longer = max(_MORE_SELDOM * self._look, _REFUSED_LOOK * self._window)
            self._look = seconds = min(longer, _LONGEST_LOOK * self._window)
        self.pause_ends = max(self.pause_ends, now + seconds)

    def _see_others(self, count: int, now: float) -> None:
        others = max(0.0, float(count))
        if now - self._observed_at > self._window:
            self._watched_since, self._others_at_first = now, others
        watched = (now - self._watched_since) / self._window
        if _WATCH <= watched <= 1:
            others = max(others, (others - self._others_at_first) / watched)
        # What is no higher than a newer one never counts again.
        while self._others and self._others[-1][1] <= others:
            self._others.pop()
        self._others.append((now, others))

    def _only_looks(self, now: float) -> bool:
        is_known = now < self._observed_at + self._window
        is_used_up = is_known and self._remaining <= _ALMOST_NOTHING * self.limit
        is_slow = self.rate(now) * self._look < self._window
        return self._is_refused or is_used_up or is_slow

    def _interval(self, now: float) -> float:
        return self._window / max(1.0, self.rate(now))

    def _saved(self, now: float) -> float:
        """Seconds of the even pace in which nothing left, as far as they are made up for."""
        first_burst = 0.0 if self.others(now) else self._credit
        most = max(_BURST * self._window, first_burst + self._interval(now))
        return min(self._credit + now - self._left_at, most)
