"""When the next request may start, given the organization's limit and our share of it."""

import math
import random
from collections import deque
from collections.abc import Callable

from source_kustomer.api.headers import RateHeaders

# The smallest plan's limit holds until a response names the organization's own.
SMALLEST_LIMIT = 300

# What stays free of the limit, because others' use is an estimate, and what is almost nothing of
# it. More makes probes of what is the even pace, less lets Poisson arrivals exceed the limit.
_RESERVE = 0.05
_ALMOST_NOTHING = 0.03

# All below are parts of the window. So much of the even pace may be made up for at once; at first,
# while nobody else is seen, so much that a short stream does not wait. Growth is measured over no
# less, because in less time one request of another's looks like many a minute.
_BURST = 2 / 60
_FIRST_BURST = 20 / 60

# The wait for a probe. The first is short; the longest still sees within seconds that others stop.
# These are the numbers with which the simulation refuses fewest requests.
_FIRST_PROBE = 1.4 / 60
_LONGEST_PROBE = 20 / 60
_BACK_OFF = 2.0
_SPEED_UP = 0.725

# In seconds. A reset less than this ahead was rounded to whole seconds, and names no wait.
_SHORTEST_PAUSE = 1.0


class Pace:
    """Five rules, for one thread, which tells the time; a window is the minute.

    1. Never more than the share of the limit is ours in any minute; a request counts from its start
       until a minute after its end.
    2. Others use `limit - remaining - own`, or, if that is more, what the server's count grew by in
       the last minute beside our own requests; in the first minute, as if that growth went on. A
       count below half of the last one began anew; if that happens twice within half a minute,
       several servers are counting, and growth is ignored until it stops.
    3. Requests start evenly, at the smaller of the share and what others leave free, less 5 %.
    4. Where the limit is almost used up, or that pace is slower still, send one probe at a time:
       back off when it is refused or finds less remaining, speed up when it finds as much.
    5. What `remaining` said holds for a minute at most; a pause that the server asks for is waited
       for, and ends with a probe.
    """

    def __init__(
        self, share: int, window: float, jitter: Callable[[], float] = random.random
    ) -> None:
        self._share = share
        self._window = window
        self._jitter = jitter
        self.limit = SMALLEST_LIMIT
        self.pause_ends = -math.inf
        self._is_refused = False
        self.started = self._in_flight = 0
        self._ended = deque[float]()
        self._started_at = -math.inf
        self._credit = _FIRST_BURST * window
        # From responses, which are numbered in the order in which their requests started.
        self._newest = self._count = self._before = 0
        self._remaining = math.inf
        self._others = 0.0
        self._observed_at = self._began_anew_at = self._several_until = -math.inf
        self._growth = deque[tuple[float, int]]()
        self._probe = _FIRST_PROBE * window
        self._adapted = 0

    @property
    def share(self) -> int:
        """Our requests a window at most."""
        return max(1, self.limit * self._share // 100)

    def own(self, now: float) -> int:
        """Our requests in this window."""
        while self._ended and self._ended[0] + self._window - now <= 0:
            self._ended.popleft()
        return self._in_flight + len(self._ended)

    def others(self, now: float) -> float:
        """Others' requests a window, as far as they are seen."""
        return self._others if self._is_known(now) else 0.0

    def rate(self, now: float) -> float:
        """Requests a window that may start evenly; at least one."""
        return max(1.0, min(self.share, self.limit * (1 - _RESERVE) - self.others(now)))

    def delay(self, now: float) -> float:
        """Return the seconds until a request may start, as far as is known now."""
        if now < self.pause_ends:
            return self.pause_ends - now
        if self.own(now) >= self.share:
            return self._ended[0] + self._window - now if self._ended else self._window
        if not self._only_probes(now):
            return self._interval(now) - self._saved(now)
        return 0.0 if self._started_at < self.pause_ends else self._started_at + self._probe - now

    def acquire(self, now: float) -> int:
        """Count a request that starts, and return its number."""
        self._credit = max(0.0, self._saved(now) - self._interval(now))
        self._started_at = now
        self.started += 1
        self._in_flight += 1
        self._remaining -= 1
        return self.started

    def release(self, now: float) -> None:
        """Count a request that ended, with a response or without."""
        self._in_flight -= 1
        self._ended.append(now)

    def observe(self, headers: RateHeaders, now: float, *, number: int, exceeded: bool) -> None:
        """Learn from the response to a request, which has not ended."""
        self.limit = headers.limit or self.limit
        if exceeded:
            self._pause(headers.wait or 0.0, now)
            return
        self._is_refused = now < self.pause_ends
        if headers.remaining is None or number <= self._newest:
            return
        remaining = headers.remaining - (self.started - number)
        found_less = remaining <= self._remaining
        self._remaining = remaining
        self._see_others(self.limit - headers.remaining, number, now)
        self._observed_at = now
        if not self._only_probes(now):
            self._probe = _FIRST_PROBE * self._window
        elif number > self._adapted:
            # Of several in flight, those that started before this adaptation do not repeat it.
            self._adapted = self.started
            probe = self._probe * (_BACK_OFF if found_less else _SPEED_UP)
            fastest = self._window / self.share
            self._probe = max(fastest, min(probe, _LONGEST_PROBE * self._window))

    def _pause(self, seconds: float, now: float) -> None:
        self._is_refused = True
        if seconds >= _SHORTEST_PAUSE:
            seconds += self._jitter()
        else:
            self._probe = seconds = _LONGEST_PROBE * self._window
        self.pause_ends = max(self.pause_ends, now + seconds)

    def _see_others(self, count: int, number: int, now: float) -> None:
        self._newest = number
        # Those in flight may be counted in another order than they started.
        if count < (self._count - self._in_flight) / 2:
            # Those in flight may also have been counted before.
            self._newest = self.started
            self._before += self._count
            if now < self._began_anew_at + self._window / 2:
                self._several_until = now + self._window / 2
            self._began_anew_at = now
        self._count = count
        self._growth.append((now, self._before + count - number))
        while self._growth[0][0] <= now - self._window:
            self._growth.popleft()
        watched = (now - self._growth[0][0]) / self._window
        grown = 0.0
        if watched >= _BURST and now >= self._several_until:
            grown = (self._growth[-1][1] - self._growth[0][1]) / watched
        self._others = max(0.0, count - self.own(now), grown)

    def _is_known(self, now: float) -> bool:
        return now < self._observed_at + self._window

    def _only_probes(self, now: float) -> bool:
        is_used_up = self._is_known(now) and self._remaining <= _ALMOST_NOTHING * self.limit
        is_slow = self.rate(now) * self._probe < self._window
        return self._is_refused or is_used_up or is_slow

    def _interval(self, now: float) -> float:
        return self._window / self.rate(now)

    def _saved(self, now: float) -> float:
        """Seconds of the even pace in which nothing started, as far as they are made up for."""
        first_burst = 0.0 if self.others(now) else self._credit
        longest = max(_BURST * self._window, first_burst + self._interval(now))
        return min(self._credit + now - self._started_at, longest)
