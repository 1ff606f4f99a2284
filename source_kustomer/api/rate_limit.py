"""Requests of all threads wait here in turn, until the pace lets the next one start."""

import logging
import math
import random
import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError
from contextlib import contextmanager
from functools import partial
from typing import Protocol

from source_kustomer.api.headers import RateHeaders
from source_kustomer.api.pace import Pace
from source_kustomer.errors import Fault
from source_kustomer.timing import Clock, Timing

# In seconds. A wait that is worth a line in the log, or a warning.
LONG_WAIT = 10.0

# In seconds. How long until a waiting request notices that it is no longer wanted.
_POLL = 1.0

logger = logging.getLogger("airbyte.source_kustomer.rate_limit")


class Observe(Protocol):
    """Learns from the response to a request; `exceeded` if that refuses it."""

    def __call__(self, headers: RateHeaders, *, exceeded: bool = False) -> None: ...


class RateLimiter:
    """Lets the requests of all threads start in turn, at the pace of the rule."""

    def __init__(
        self,
        share: int,
        timing: Timing,
        clock: Clock,
        *,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._clock = clock
        self.pace = Pace(share, timing.window, jitter)
        self._changed = threading.Condition()
        self._queue = deque[object]()
        # Seconds during which at least one request had to wait for the limit.
        self.waited = 0.0
        self._logged_until = -math.inf

    @contextmanager
    def request(
        self, wanted: Callable[[], bool] = lambda: True, deadline: float = math.inf
    ) -> Iterator[Observe]:
        """Wait until a request may start, and count it until it has ended.

        Raises `CancelledError` if it is no longer wanted, and `Fault` at the deadline, or as soon
        as the server asks for a longer pause.
        """
        number = self._acquire(wanted, deadline)
        try:
            yield partial(self._observe, number)
        finally:
            with self._changed:
                self.pace.release(self._clock.monotonic())
                self._changed.notify_all()

    def _acquire(self, wanted: Callable[[], bool], deadline: float) -> int:
        """Return the number of the request, which starts now."""
        turn, clock, pace = object(), self._clock, self.pace
        with self._changed:
            self._queue.append(turn)
            try:
                while wanted():
                    now = clock.monotonic()
                    is_first, wait = self._queue[0] is turn, pace.delay(now)
                    if is_first and wait <= 0:
                        return pace.acquire(now)
                    if max(now, pace.pause_ends) > deadline:
                        raise Fault("rate_limit")
                    if is_first:
                        self._log(wait, now)
                    longest = min(_POLL, deadline - now)
                    clock.wait(self._changed, min(wait, longest) if is_first else longest)
                    if is_first:
                        self.waited += clock.monotonic() - now
                raise CancelledError
            finally:
                self._queue.remove(turn)
                self._changed.notify_all()

    def _observe(self, number: int, headers: RateHeaders, *, exceeded: bool = False) -> None:
        with self._changed:
            self.pace.observe(headers, self._clock.monotonic(), number=number, exceeded=exceeded)
            self._changed.notify_all()

    def _log(self, wait: float, now: float) -> None:
        if wait <= LONG_WAIT or now < self._logged_until:
            return
        self._logged_until = now + wait
        pace, reason = self.pace, "Kustomer refuses requests for now"
        if now >= pace.pause_ends:
            own, others = pace.own(now), math.ceil(pace.others(now))
            reason = (
                f"of the organization's {pace.limit} requests a minute, this connector uses {own} "
                f"(its share is {pace.share}), others about {others}"
            )
        logger.info("Waiting %d s for the rate limit: %s.", math.ceil(wait), reason)
