"""The organization's requests a minute, which others use too, and our share of them."""

import logging
import math
import re
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

# Kustomer counts requests over 60 s.
WINDOW = 60.0

# The smallest plan's limit: it holds until an answer names the organization's own.
SMALLEST_LIMIT = 300

# What is left free of the organization's limit beside all that others were seen to use, because
# their use is an estimate: enough for two requests in flight, and 3 % of a large limit.
_RESERVE_SHARE = 0.03
_LEAST_RESERVE = 2

# Half of the share may be used at once; for the other half others must have been watched for this
# long, or a burst at the start would take what they use evenly over the minute.
_WATCH_OTHERS = 3.0

# Others' pace is measured over this long, so that it follows what people do now.
_MEASURE_OTHERS = 20.0

# A reset this large is a moment and not a number of seconds, or even a moment in milliseconds.
_EPOCHS = 1e8
_MILLISECONDS = 1e11

# A wait worth telling a person about.
LONG_WAIT = 10.0

logger = logging.getLogger("airbyte.source_kustomer.rate_limit")


class CancelledError(Exception):
    """The request is no longer wanted and did not leave; `is_exceeded` if a 429 held it back."""

    def __init__(self, *, is_exceeded: bool = False) -> None:
        super().__init__()
        self.is_exceeded = is_exceeded


@dataclass
class _Observation:
    """What answers since `started` say of others: the count's span against our own requests."""

    started: float
    start: int
    highest: int
    highest_at: float
    ended: int = 0


@dataclass(frozen=True)
class Ticket:
    """One request that may leave: when, and our own in the window then, itself included."""

    own: int
    left_at: float


class Budget:
    """Lets requests leave so that the share, and what others leave free, are never exceeded."""

    def __init__(self, share: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._share = share
        self._clock = clock
        self._changed = threading.Condition()
        self._queue: deque[object] = deque()
        self._in_flight = 0
        # When answers came: the server counted each request before, so a place that is free 60 s
        # after the answer is free on the server too.
        self._answered: deque[float] = deque()
        self._limit: int | None = None
        self._remaining: int | None = None
        self._sent_since_remaining = 0
        self._learned_at = -math.inf
        self._first_learned_at: float | None = None
        self._observation: _Observation | None = None
        self._others = 0.0
        self._paused_until = -math.inf
        self._told_until = -math.inf
        self._waiting_since: float | None = None
        self._waited = 0.0

    @contextmanager
    def request(self, wanted: Callable[[], bool] = lambda: True) -> Iterator[Ticket]:
        """Wait until a request may leave and count it; raises `CancelledError` if not wanted."""
        ticket = self._leave(wanted)
        try:
            yield ticket
        finally:
            with self._changed:
                self._in_flight -= 1
                if self._observation:
                    self._observation.ended += 1
                self._answered.append(self._clock())
                self._changed.notify_all()

    def learn(self, headers: Mapping[str, str], ticket: Ticket) -> None:
        """Take in the rate-limit headers of an answer; others than whole numbers are ignored."""
        limit = _whole(headers.get("x-ratelimit-limit"))
        remaining = _whole(headers.get("x-ratelimit-remaining"))
        with self._changed:
            if limit:
                self._limit = limit
            if remaining is not None and self._limit is not None:
                self._watch(remaining, self._limit, ticket)
            self._changed.notify_all()

    def pause(self, seconds: float) -> None:
        """Let nothing leave for a while: the organization's limit is exceeded."""
        with self._changed:
            self._paused_until = max(self._paused_until, self._clock() + seconds)
            # When it ends, what was left before it says nothing any more.
            self._remaining = None

    @property
    def waited(self) -> float:
        """Seconds during which at least one request had to wait for the limit."""
        with self._changed:
            now = self._clock()
            return self._waited + (now - self._waiting_since if self._waiting_since else 0.0)

    @property
    def requests_a_minute(self) -> int:
        """The number of requests that may leave in any 60 s, as far as is known now."""
        with self._changed:
            return self._allowed()

    def _leave(self, wanted: Callable[[], bool]) -> Ticket:
        mine = object()
        with self._changed:
            self._queue.append(mine)
            try:
                while True:
                    if not wanted():
                        raise CancelledError(is_exceeded=self._clock() < self._paused_until)
                    wait = self._wait() if self._queue[0] is mine else LONG_WAIT
                    if wait <= 0:
                        break
                    if self._queue[0] is mine:
                        self._tell(wait)
                    # Woken at least every second to see whether it is still wanted.
                    self._changed.wait(min(wait, 1.0))
            finally:
                self._queue.remove(mine)
                if not self._queue and self._waiting_since is not None:
                    self._waited += self._clock() - self._waiting_since
                    self._waiting_since = None
                self._changed.notify_all()
            self._in_flight += 1
            self._sent_since_remaining += 1
            return Ticket(own=self._own(), left_at=self._clock())

    def _own(self) -> int:
        """Our own requests in the last 60 s, those in flight included."""
        oldest = self._clock() - WINDOW
        while self._answered and self._answered[0] <= oldest:
            self._answered.popleft()
        return self._in_flight + len(self._answered)

    def _allowed(self) -> int:
        limit = self._limit or SMALLEST_LIMIT
        share = max(1, limit * self._share // 100)
        if self._first_learned_at is None:
            return share
        watched = min(1.0, (self._clock() - self._first_learned_at) / _WATCH_OTHERS)
        gained = share // 2 + math.floor((share - share // 2) * watched)
        reserve = max(_LEAST_RESERVE, math.ceil(limit * _RESERVE_SHARE))
        return min(max(1, gained), limit - math.ceil(self._estimate()) - reserve)

    def _estimate(self) -> float:
        """Others' requests a minute, halved for each minute without news of them.

        Otherwise an estimate that lets nothing leave would never end.
        """
        # Before the first news the silence is without end, and after an hour there is nothing left.
        minutes = int(min((self._clock() - self._learned_at) / WINDOW, 60))
        return self._others / 2.0**minutes

    def _wait(self) -> float:
        """Seconds until the next request may leave, as far as is known now."""
        now = self._clock()
        if now < self._paused_until:
            return self._paused_until - now
        own = self._own()
        exhausted = (
            self._remaining is not None
            and now - self._learned_at < WINDOW
            and self._remaining - self._sent_since_remaining < 1
        )
        if own < self._allowed() and not exhausted:
            return 0.0
        if own == 0:
            # Where others use everything, one a minute sees when they stop.
            return 0.0
        if self._first_learned_at is not None and now < self._first_learned_at + _WATCH_OTHERS:
            return 0.05
        if self._in_flight and (exhausted or not self._answered):
            # The next answer wakes this wait.
            return 1.0
        free = self._answered[-1] if exhausted else self._answered[0]
        return free + WINDOW - now

    def _tell(self, wait: float) -> None:
        now = self._clock()
        if self._waiting_since is None:
            self._waiting_since = now
        if wait > LONG_WAIT and now >= self._told_until:
            self._told_until = now + wait
            logger.info(
                "Waiting %d s for the rate limit: %s.",
                math.ceil(wait),
                "Kustomer says that it is exceeded"
                if now < self._paused_until
                else f"{self._own()} requests in the last minute are what this connector may use "
                f"of the organization's {self._limit or SMALLEST_LIMIT}",
            )

    def _watch(self, remaining: int, limit: int, ticket: Ticket) -> None:
        """Estimate others' requests a minute from how far the organization's count went on."""
        now, used = self._clock(), limit - remaining
        if self._first_learned_at is None:
            self._first_learned_at = now
        before = self._estimate()
        self._remaining, self._learned_at = remaining, now
        # Those in flight left after, or are counted in, this answer: the careful reading is that
        # all of them are still to be counted.
        self._sent_since_remaining = max(0, self._in_flight - 1)
        seen = self._observation
        # A request that left before the highest place was known may only have been overtaken.
        started_anew = seen is None or (
            used < seen.highest - self._in_flight - 2 and ticket.left_at >= seen.highest_at
        )
        if seen is None or started_anew or now - seen.started > _MEASURE_OTHERS:
            # From the highest place so far, because all above it are of requests still to end.
            start = used if seen is None or started_anew else max(used, seen.highest)
            self._observation = seen = _Observation(now, start, start, now)
        if used > seen.highest:
            seen.highest, seen.highest_at = used, now
        if used <= seen.start:
            # It ends without a place in the span.
            seen.ended -= 1
        # Each answer names its place in the count: places between that are not ours are others'.
        theirs = seen.highest - seen.start - seen.ended - self._in_flight
        elapsed = now - seen.started
        pace = max(0, theirs) * WINDOW / max(elapsed, _WATCH_OTHERS)
        if elapsed < _WATCH_OTHERS or started_anew:
            # Too short to measure: the last estimate stands until there is a better one.
            pace = max(pace, before)
        # A server that counts a sliding minute tells others' use at once. Nobody uses more than all
        # of it, however fast a burst seemed.
        self._others = min(max(pace, float(used - ticket.own), 0.0), float(limit))


def _whole(value: str | None) -> int | None:
    if value is None or not re.fullmatch(r"[0-9]{1,9}", value.strip(), re.ASCII):
        return None
    return int(value)


def seconds_until_reset(headers: Mapping[str, str], now: float) -> float | None:
    """Read when to ask again, in seconds from `now` (UTC epoch seconds), None where it is not said.

    `Retry-After` is seconds or an HTTP date (RFC 9110). `x-ratelimit-reset` is UTC epoch seconds,
    and a small number can only be seconds from now; it counts where the limit is used up.
    """
    # The server's own clock, where it tells, because this machine's may be wrong.
    now = _moment(headers.get("date")) or now
    waits = []
    after = headers.get("retry-after")
    if after is not None:
        seconds = _decimal(after)
        moment = _moment(after) if seconds is None else None
        if moment is not None:
            seconds = moment - now
        if seconds is not None:
            waits.append(seconds)
    reset = _decimal(headers.get("x-ratelimit-reset"))
    if reset is not None and not _whole(headers.get("x-ratelimit-remaining")):
        in_milliseconds = reset > _MILLISECONDS
        an_epoch = reset > _EPOCHS
        epoch = reset / 1000 if in_milliseconds else reset
        waits.append(epoch - now if an_epoch else reset)
    return max(0.0, *waits) if waits else None


def _moment(date: str | None) -> float | None:
    """Return the UTC epoch seconds of an HTTP date, None where it is none."""
    try:
        return parsedate_to_datetime(date or "").timestamp()
    except (ValueError, TypeError, OverflowError):
        return None


def _decimal(value: str | None) -> float | None:
    if value is None or not re.fullmatch(r"[0-9]{1,15}(\.[0-9]{1,9})?", value.strip(), re.ASCII):
        return None
    return float(value)
