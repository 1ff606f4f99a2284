"""Requests of all threads wait here in turn, until the pace lets the next one leave."""

import logging
import math
import random
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Protocol

from source_kustomer.api.headers import RateHeaders
from source_kustomer.api.pace import Pace
from source_kustomer.timing import DEFAULT_TIMING, SYSTEM_CLOCK, Clock, Timing

# A wait that is worth a line in the log.
_LONG_WAIT = 10.0

# How long until a request that waits sees that it is no longer wanted.
_AWAKE = 1.0

logger = logging.getLogger("airbyte.source_kustomer.rate_limit")


class CancelledError(Exception):
    """The request is no longer wanted and did not leave."""


class LimitError(Exception):
    """The request may not leave in time; `is_exceeded` if the server asked for the wait."""

    def __init__(self, seconds: float, *, is_exceeded: bool) -> None:
        super().__init__(f"the rate limit asks for a wait of {seconds:.0f} s")
        self.seconds, self.is_exceeded = seconds, is_exceeded


class Observe(Protocol):
    """Learns from the response to a request; `exceeded` if that refuses it."""

    def __call__(self, headers: RateHeaders, *, exceeded: bool = False) -> None: ...


class RateLimiter:
    """Lets the requests of all threads leave in turn, at the pace of the rule."""

    def __init__(
        self,
        share: int,
        timing: Timing = DEFAULT_TIMING,
        clock: Clock = SYSTEM_CLOCK,
        *,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._clock = clock
        self._longest_wait = timing.limit
        self._pace = Pace(share, timing.window, jitter)
        self._changed = threading.Condition()
        self._queue = deque[object]()
        self._waited, self._waiting_since = 0.0, math.nan
        self._logged_until = self._hopeless_until = -math.inf

    @contextmanager
    def request(
        self, wanted: Callable[[], bool] = lambda: True, max_wait: float | None = None
    ) -> Iterator[Observe]:
        """Wait until a request may leave, and count it until it has ended.

        Raises `CancelledError` if it is no longer wanted, and `LimitError` if the server's pause
        lasts longer than `max_wait`, or as soon as that has passed.
        """
        left_at = self._acquire(wanted, self._longest_wait if max_wait is None else max_wait)
        try:
            yield partial(self._observe, left_at)
        finally:
            with self._changed:
                self._pace.end(self._clock.monotonic())
                self._changed.notify_all()

    @property
    def waited(self) -> float:
        """Seconds during which at least one request had to wait for the limit."""
        with self._changed:
            since = self._waiting_since
            return self._waited + (0.0 if math.isnan(since) else self._clock.monotonic() - since)

    @property
    def requests_per_minute(self) -> int:
        """What may leave in any minute, as far as is known now; at least one."""
        with self._changed:
            return max(1, int(self._pace.rate(self._clock.monotonic())))

    def _acquire(self, wanted: Callable[[], bool], max_wait: float) -> float:
        """Return the moment at which the request leaves."""
        mine, clock = object(), self._clock
        with self._changed:
            deadline = clock.monotonic() + max_wait
            self._queue.append(mine)
            try:
                while wanted():
                    now = clock.monotonic()
                    wait, is_first = self._pace.delay(now), self._queue[0] is mine
                    if is_first and wait <= 0:
                        self._pace.leave(now)
                        return now
                    pause_ends = self._pace.pause_ends
                    is_hopeless = now < self._hopeless_until or now < deadline < pause_ends
                    if is_hopeless or now >= deadline:
                        raise LimitError(max(0.0, wait), is_exceeded=now < pause_ends)
                    if math.isnan(self._waiting_since):
                        self._waiting_since = now
                    if is_first:
                        self._log(wait, now)
                    clock.wait(
                        self._changed, min(wait if is_first else _AWAKE, deadline - now, _AWAKE)
                    )
                raise CancelledError
            finally:
                self._queue.remove(mine)
                if not self._queue and not math.isnan(self._waiting_since):
                    self._waited += clock.monotonic() - self._waiting_since
                    self._waiting_since = math.nan
                self._changed.notify_all()

    def _observe(self, left_at: float, headers: RateHeaders, *, exceeded: bool = False) -> None:
        with self._changed:
            now = self._clock.monotonic()
            self._pace.observe(headers, now, left_at=left_at, exceeded=exceeded)
            if exceeded and (headers.wait or 0.0) > self._longest_wait:
                self._hopeless_until = self._pace.pause_ends
            self._changed.notify_all()

    def _log(self, wait: float, now: float) -> None:
        if wait <= _LONG_WAIT or now < self._logged_until:
            return
        self._logged_until = now + wait
        pace, limit = self._pace, self._pace.limit
        own, others = pace.own(now), math.ceil(pace.others(now))
        if now < pace.pause_ends:
            reason = "Kustomer refuses requests for now"
        elif own >= pace.share:
            requests = "1 request" if pace.share == 1 else f"{pace.share} requests"
            reason = f"the share of {requests} a minute, of the organization's {limit}, is used up"
        else:
            reason = (
                f"of the organization's {limit} requests a minute, others use about {others} "
                f"and this connector {own}"
            )
        logger.info("Waiting %d s for the rate limit: %s.", math.ceil(wait), reason)
