"""The organization's requests a minute, which others use too, and our share of them."""

import logging
import math
import re
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime

# Kustomer counts requests over 60 s.
WINDOW = 60.0

# The smallest plan's limit: it holds until an answer names the organization's own.
SMALLEST_LIMIT = 300

# A server that counts in whole seconds counts a request for up to so much longer.
_WHOLE_SECONDS = 1.0

# What is left free of the organization's limit beside all that others were seen to use, because
# their use is an estimate: enough for two requests in flight, and 3 % of a large limit.
_RESERVE_SHARE = 0.03
_LEAST_RESERVE = 2

# Half of the share may be used at once; for the other half others are watched for so long first,
# or a burst at the start would take what they use evenly over the minute. What others did in less
# time than this is not thought to go on at that pace.
_WATCH_OTHERS = 3.0

# Others' pace is measured over this long, so that it follows what people do now.
_MEASURE_OTHERS = 20.0

# Where the minute slides, a count goes up and down by one or two while it stays the same.
_UNSTEADY = 2

# A reset this large is a moment and not a number of seconds, or even a moment in milliseconds.
_EPOCHS = 1e8
_MILLISECONDS = 1e11

# The shortest wait.
_MOMENT = 0.001

# Without news, others are thought to go on for so long, and then to be unknown. It is longer than
# it takes until one request a minute brings news.
_KNOW_OTHERS = 300.0

# A wait worth telling a person about.
LONG_WAIT = 10.0

logger = logging.getLogger("airbyte.source_kustomer.rate_limit")


class CancelledError(Exception):
    """The request is no longer wanted and did not leave; `is_exceeded` if a 429 held it back."""

    def __init__(self, *, is_exceeded: bool = False) -> None:
        super().__init__()
        self.is_exceeded = is_exceeded


@dataclass(frozen=True)
class Ticket:
    """One request that may leave: how many of ours had left and ended before.

    `own` are ours that the server may still have counted when it left, itself included.
    """

    left_before: int
    ended_before: int
    own: int


class _Sent:
    """Our own requests: those in flight, and those that count for a minute more."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self.left = 0
        self.ended = 0
        self.last_left_at = -math.inf
        # When answers came: the server counted each request before, so a place that is free 60 s
        # after the answer is free on the server too.
        self.answered: deque[float] = deque()
        self._expired: deque[float] = deque()

    def leave(self) -> Ticket:
        self.left += 1
        self.last_left_at = self._clock()
        return Ticket(self.left - 1, self.ended, self.on_server())

    def end(self) -> None:
        self.ended += 1
        self.answered.append(self._clock())

    @property
    def in_flight(self) -> int:
        return self.left - self.ended

    def in_minute(self) -> int:
        """Those of the last 60 s, those in flight included."""
        oldest = self._clock() - WINDOW
        while self.answered and self.answered[0] <= oldest:
            self._expired.append(self.answered.popleft())
        while self._expired and self._expired[0] <= oldest - _WHOLE_SECONDS:
            self._expired.popleft()
        return self.in_flight + len(self.answered)

    def on_server(self) -> int:
        """Those that the server may still count."""
        return self.in_minute() + len(self._expired)


@dataclass
class _Observation:
    """How far the organization's count went on since an answer, and which places in it are ours."""

    started: float
    start: int
    # How many of ours had left when it was known, and ended before it was taken.
    left_before_start: int
    ended_before: int
    highest: int = field(init=False)
    left_before_highest: int = field(init=False)
    places: set[int] = field(default_factory=set)
    # Answers that told no place; the server will have counted them too.
    silent: int = 0

    def __post_init__(self) -> None:
        self.highest, self.left_before_highest = self.start, self.left_before_start


class _Others:
    """What others use of the organization's requests a minute, as far as its counts prove it.

    `at_least` is since they are watched, `at_most` now.
    """

    def __init__(self, sent: _Sent, clock: Callable[[], float]) -> None:
        self._sent = sent
        self._clock = clock
        self.at_least = 0.0
        self.at_most = 0.0
        self._learned_at = self._known_at = -math.inf
        self._watched_since = -math.inf
        self._in_minute = 0
        self._own_when_learned = 0
        self._observation: _Observation | None = None
        # The counts in the last answers, any of which may be the newest, each with how many of our
        # requests had left when it came.
        self._newest: deque[tuple[int, int]] = deque()

    @property
    def are_known(self) -> bool:
        """Whether an answer, or that the limit is exceeded, told of them not too long ago."""
        return self._clock() - self._known_at < _KNOW_OTHERS

    @property
    def are_new(self) -> bool:
        """Whether they have been watched for a short time only."""
        return self._clock() - self._watched_since < _WATCH_OTHERS

    @property
    def count(self) -> int | None:
        """The organization's requests in this minute; None where it is not known.

        It may lack those of ours that are in flight, and what others used since.
        """
        if not self._newest or self._clock() - self._learned_at >= WINDOW:
            return None
        return self._highest_count()

    def exceed(self) -> None:
        """Do without the count until the next answer, because the limit is exceeded."""
        self._newest.clear()
        if self.are_known:
            self._known_at = self._clock()

    def learn(self, count: int, limit: int, reserve: int, ticket: Ticket) -> None:
        """Narrow them down by the organization's count in an answer."""
        now, sent = self._clock(), self._sent
        if not self.are_known:
            self._watched_since = now
            self.at_least, self.at_most = 0.0, float(limit)
        if now - self._learned_at > _MEASURE_OTHERS:
            # In a long silence the count may have begun anew without showing it.
            self._observation = None
        self._learned_at = self._known_at = now
        self._own_when_learned = sent.on_server()
        while self._newest and self._newest[0][0] <= ticket.left_before:
            self._newest.popleft()
        self._newest.append((sent.left, count))
        seen = self._observation = self._observed(count, ticket)
        at_least = max(
            0.0,
            self._surely_in(seen) * WINDOW / max(now - seen.started, _WATCH_OTHERS),
            # All of ours that the server may have counted in this minute: if it counts another one,
            # that began later, there are fewer.
            count - ticket.own - (sent.left - 1 - ticket.left_before),
        )
        # Nobody uses more than all of it, however fast a burst seemed.
        at_least = min(at_least, float(limit))
        self.at_least = max(self.at_least, at_least)
        self.at_most = max(self.at_most, at_least)
        seconds = sent.last_left_at - seen.started
        if seconds >= _WATCH_OTHERS:
            # Of those in flight it is not known which places are ours. One more may be about to be
            # taken, for which there is the reserve when they have been watched for a while.
            theirs = self._possibly_in(seen)
            pace = max(theirs * WINDOW, (theirs + 1) * WINDOW - reserve * seconds) / seconds
            answered = sent.in_minute() - sent.in_flight + 1
            self._in_minute = self._highest_count() - answered
            self.at_most = min(self.at_most, max(pace, self._in_minute))
        if now - seen.started > _MEASURE_OTHERS:
            self._observation = _Observation(now, seen.highest, sent.left, sent.ended + 1)

    def learn_nothing(self) -> None:
        """Take note of an answer that does not tell the count."""
        if self._observation:
            self._observation.silent += 1

    def next_look(self, *, used_up: bool, is_within_reserve: bool) -> float:
        """When one request more may see whether they use less than is thought."""
        seen = self._observation
        if used_up or seen is None:
            # What left the minute may have been in the count.
            fell = self._sent.in_minute() < self._own_when_learned
            return self._learned_at + _WHOLE_SECONDS if fell else math.inf
        watched = self._sent.last_left_at - seen.started
        if watched < _WATCH_OTHERS:
            return seen.started + _WATCH_OTHERS
        is_sure = self._in_minute >= self.at_most or watched >= _MEASURE_OTHERS
        if is_sure or not (is_within_reserve or self._possibly_in(seen) == 0):
            return math.inf
        return seen.started + 2 * watched

    def _highest_count(self) -> int:
        # All of ours that left before the one that was counted last are in the highest count.
        return max(count for _, count in self._newest)

    def _surely_in(self, seen: _Observation) -> int:
        """Places in the count that are theirs, if each of ours since its start has one."""
        return seen.highest - seen.start - (self._sent.left - seen.ended_before)

    def _possibly_in(self, seen: _Observation) -> int:
        """Places in the count that are theirs, unless they are of ours that did not tell."""
        told = sum(place <= seen.highest for place in seen.places)
        return max(0, seen.highest - seen.start - told - seen.silent)

    def _observed(self, count: int, ticket: Ticket) -> _Observation:
        """Take a place in the count into the observation, or begin another if the count fell."""
        seen, counts = self._observation, [count]
        left = self._sent.left
        if seen is None or (
            count < seen.highest - _UNSTEADY and ticket.left_before >= seen.left_before_highest
        ):
            seen = _Observation(self._clock(), count, left, ticket.ended_before)
            # With those that came while this one was on its way.
            counts = [count for _, count in self._newest]
        for place in counts:
            if place <= seen.start:
                # It ends without a place in the span.
                seen.ended_before += 1
            else:
                seen.places.add(place)
        if count > seen.highest and ticket.left_before >= seen.left_before_start:
            # A place of which it is sure that it was taken after the start.
            seen.highest, seen.left_before_highest = count, left
        return seen


class Budget:
    """Lets requests leave so that the share, and what others leave free, are never exceeded."""

    def __init__(self, share: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._share = share
        self._clock = clock
        self._changed = threading.Condition()
        self._queue: deque[object] = deque()
        self._sent = _Sent(clock)
        self._others = _Others(self._sent, clock)
        self._limit: int | None = None
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
                self._sent.end()
                self._changed.notify_all()

    def learn(self, headers: Mapping[str, str], ticket: Ticket) -> None:
        """Take in the rate-limit headers of an answer; others than whole numbers are ignored."""
        limit = _whole(headers.get("x-ratelimit-limit"))
        remaining = _whole(headers.get("x-ratelimit-remaining"))
        with self._changed:
            if limit:
                self._limit = limit
            if remaining is not None and self._limit is not None:
                self._others.learn(self._limit - remaining, self._limit, self._reserve, ticket)
            else:
                self._others.learn_nothing()
            self._changed.notify_all()

    def pause(self, seconds: float) -> None:
        """Let nothing leave for a while: the organization's limit is exceeded."""
        with self._changed:
            self._paused_until = max(self._paused_until, self._clock() + seconds)
            # When it ends, the count before it says nothing any more.
            self._others.exceed()

    @property
    def waited(self) -> float:
        """Seconds during which at least one request had to wait for the limit."""
        with self._changed:
            now = self._clock()
            return self._waited + (now - self._waiting_since if self._waiting_since else 0.0)

    @property
    def requests_a_minute(self) -> int:
        """The requests that may leave in any 60 s, if others use no more than was seen."""
        with self._changed:
            return self._allowed(min(self._others.at_least, self._others.at_most))

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
            return self._sent.leave()

    @property
    def _limit_in_force(self) -> int:
        return self._limit or SMALLEST_LIMIT

    @property
    def _share_of_limit(self) -> int:
        return max(1, self._limit_in_force * self._share // 100)

    @property
    def _reserve(self) -> int:
        return max(_LEAST_RESERVE, math.ceil(self._limit_in_force * _RESERVE_SHARE))

    def _allowed(self, others: float) -> int:
        """Requests a minute that may leave if others use so many."""
        if not self._others.are_known:
            return self._share_of_limit
        # Requests that come by chance are more in one minute than in another, by their square root.
        most = math.ceil(others + math.sqrt(others)) + self._reserve
        return min(self._share_of_limit, self._limit_in_force - most)

    def _allowed_now(self) -> int:
        allowed = self._allowed(self._others.at_most)
        if self._others.are_new:
            half = max(1, self._share_of_limit // 2)
            allowed = max(allowed, min(half, self._allowed(self._others.at_least)))
        return allowed

    @property
    def _is_hanging(self) -> bool:
        """Whether what is in flight may be long in coming."""
        return self._clock() - self._sent.last_left_at >= _WATCH_OTHERS

    def _left_of_limit(self) -> float:
        """The requests that the organization has left at least, but for what others used since."""
        count = self._others.count
        return math.inf if count is None else self._limit_in_force - count - self._sent.in_flight

    def _wait(self) -> float:
        """Seconds until the next request may leave, as far as is known now."""
        now, answered = self._clock(), self._sent.answered
        if now < self._paused_until:
            return self._paused_until - now
        others = self._others
        is_silent = others.are_known and others.count is None
        if is_silent and self._sent.in_flight and not self._is_hanging:
            # The first answer after a silence tells whether there is room for more.
            return 1.0
        own, allowed, left = self._sent.in_minute(), self._allowed_now(), self._left_of_limit()
        used_up = left <= self._reserve // 2
        # Where others use everything, one a minute sees when they stop.
        if own == 0 or (own < allowed and not used_up):
            return 0.0
        is_held_back = own < self._share_of_limit
        if self._sent.in_flight and (not answered or (is_held_back and not self._is_hanging)):
            # The next answer wakes this wait, and tells more of others.
            return 1.0
        # Rounding must not let one leave as long as these are counted.
        free = max(_MOMENT, answered[-1 if left < 1 else 0] + WINDOW - now)
        if left < 1 or not is_held_back:
            return free
        look = others.next_look(
            used_up=used_up, is_within_reserve=own < allowed + self._reserve // 2
        )
        return min(free, look - now)

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
                else f"{self._sent.in_minute()} requests in the last minute are what this "
                f"connector may use of the organization's {self._limit_in_force}",
            )


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
