"""A server that counts requests, others who use them up, and connectors, in virtual time."""

import math
from bisect import bisect_left
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from heapq import heappop, heappush
from itertools import count
from random import Random

from source_kustomer.api.headers import RateHeaders
from source_kustomer.api.pace import Pace

MINUTES = ("fixed", "sliding", "after the last")

# When a limit changes that does.
CHANGE = 200

# Rounding must not let time stand still.
_INSTANT = 1e-9

Event = Callable[[float], None]


class Minute:
    """Counts the requests of a minute that slides, is fixed, or starts after the last one.

    Those that are too many are refused without being counted.
    """

    def __init__(self, limit: int, kind: str, later: int | None = None) -> None:
        self._limits = (limit, later or limit)
        self._kind = kind
        self._begins = -97.0
        self._taken = deque[float]()

    def take(self, now: float) -> RateHeaders:
        """Return what the response to a request says: a wait if it is refused."""
        limit = self._limits[now >= CHANGE]
        if self._kind == "sliding":
            while self._taken and self._taken[0] <= now - 60:
                self._taken.popleft()
        elif now >= self._begins + 60:
            self._taken.clear()
            fixed = self._begins + (now - self._begins) // 60 * 60
            self._begins = fixed if self._kind == "fixed" else now
        if len(self._taken) >= limit:
            begins = self._taken[0] if self._kind == "sliding" else self._begins
            return RateHeaders(limit, 0, begins + 60 - now)
        self._taken.append(now)
        return RateHeaders(limit, limit - len(self._taken))


def others(
    per_minute: float, begin: float, end: float, chance: Random | None = None
) -> Iterator[float]:
    """Yield the moments of others' requests, evenly, or as Poisson arrivals."""
    gap = 60 / per_minute if per_minute else math.inf
    now = begin + gap / 3
    while now < end:
        yield now
        now += chance.expovariate(1 / gap) if chance else gap


class Connector:
    """Starts requests at the pace of the rule, the first one alone, then several at once."""

    def __init__(self, latency: float, begin: float, end: float) -> None:
        self.latency, self.begin, self.end = latency, begin, end
        self.pace = Pace(80, 60.0, jitter=Random(3).random)
        self.attempts = self.in_flight = 0
        self.started: list[float] = []
        self.received: list[float] = []
        self.refused = 0

    def may_send(self, now: float) -> bool:
        return now < self.end and self.in_flight < (24 if self.received else 1)

    @property
    def most_in_a_minute(self) -> int:
        moments = self.started
        return max(bisect_left(moments, begin + 60) - n for n, begin in enumerate(moments))


class Simulation:
    """Runs connectors and others against servers, from moment 0."""

    def __init__(
        self, servers: Sequence[Minute], connectors: Sequence[Connector], others: Iterable[float]
    ) -> None:
        self.others_refused = 0
        self._servers = servers
        self._chance = Random(5)
        self._events: list[tuple[float, int, Event]] = []
        self._number = count()
        self._at_next(iter(others))
        for connector in connectors:
            self._at(connector.begin, partial(self._send, connector, 0))

    def run(self, seconds: float) -> None:
        while self._events[0][0] < seconds:
            now, _, happen = heappop(self._events)
            happen(now)

    def _at(self, moment: float, happen: Event) -> None:
        heappush(self._events, (moment, next(self._number), happen))

    def _take(self, now: float) -> RateHeaders:
        return self._chance.choice(self._servers).take(now)

    def _at_next(self, times: Iterator[float]) -> None:
        def happen(now: float) -> None:
            self.others_refused += self._take(now).wait is not None and now >= 0
            self._at_next(times)

        self._at(next(times, math.inf), happen)

    def _send(self, connector: Connector, attempt: int, now: float) -> None:
        """Send what may start, and try again when more may, unless a response comes first."""
        if attempt != connector.attempts:
            return
        connector.attempts += 1
        while connector.may_send(now):
            delay = connector.pace.delay(now)
            if delay > 0:
                again = partial(self._send, connector, connector.attempts)
                self._at(now + delay + _INSTANT, again)
                return
            self._request(connector, now)

    def _request(self, connector: Connector, now: float) -> None:
        number = connector.pace.acquire(now)
        connector.started.append(now)
        connector.in_flight += 1
        there = connector.latency * self._chance.uniform(0.3, 0.6)
        back = connector.latency * self._chance.uniform(0.4, 0.6)

        def arrive(now: float) -> None:
            self._at(now + back, partial(receive, self._take(now)))

        def receive(headers: RateHeaders, now: float) -> None:
            exceeded = headers.wait is not None
            connector.pace.observe(headers, now, number=number, exceeded=exceeded)
            connector.pace.release(now)
            connector.in_flight -= 1
            if exceeded:
                connector.refused += 1
            else:
                connector.received.append(now)
            self._send(connector, connector.attempts, now)

        self._at(now + there, arrive)
