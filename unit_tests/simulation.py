"""Servers that count requests, others who use them up, and connectors, in virtual time."""

import math
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from heapq import heappop, heappush
from itertools import count
from random import Random
from typing import Protocol

from source_kustomer.api.headers import RateHeaders
from source_kustomer.api.pace import Pace

MINUTES = ("fixed", "sliding", "after the last")

# Rounding must not let time stand still.
_INSTANT = 1e-9

Event = Callable[[float], None]


class Server(Protocol):
    """What counts requests, and refuses those that are too many without counting them."""

    def take(self, now: float) -> bool:
        """Return whether a request is accepted."""

    def headers(self, now: float) -> RateHeaders:
        """Return what a response says now."""


class Minute:
    """Counts the requests of a minute that slides, is fixed, or starts after the last one."""

    def __init__(self, limit: int, kind: str = "sliding", begins: float = -37.0) -> None:
        self.limit = limit
        self._kind = kind
        self._begins = begins - 60
        self._taken = deque[float]()

    def _expire(self, now: float) -> None:
        taken = self._taken
        if self._kind == "sliding":
            while taken and taken[0] <= now - 60:
                taken.popleft()
        elif now >= self._begins + 60:
            taken.clear()
            fixed = self._begins + (now - self._begins) // 60 * 60
            self._begins = fixed if self._kind == "fixed" else now

    def take(self, now: float) -> bool:
        self._expire(now)
        if len(self._taken) >= self.limit:
            return False
        self._taken.append(now)
        return True

    def headers(self, now: float) -> RateHeaders:
        self._expire(now)
        remaining = max(0, self.limit - len(self._taken))
        begins = self._taken[0] if self._kind == "sliding" and self._taken else self._begins
        return RateHeaders(self.limit, remaining, None if remaining else begins + 60 - now)


class Replicas:
    """Servers that each count their own requests, of which any one answers."""

    def __init__(self, *servers: Minute) -> None:
        self._servers = servers
        self._chance = Random(1)
        self._answers = servers[0]

    def take(self, now: float) -> bool:
        self._answers = self._chance.choice(self._servers)
        return self._answers.take(now)

    def headers(self, now: float) -> RateHeaders:
        return self._answers.headers(now)


class Bucket:
    """Tokens that are refilled steadily, behind headers that speak of a limit a minute."""

    def __init__(self, size: int, per_second: float, limit: int) -> None:
        self._size, self._per_second, self._limit = size, per_second, limit
        self._tokens, self._at = float(size), 0.0

    def take(self, now: float) -> bool:
        gained = (now - self._at) * self._per_second
        self._tokens, self._at = min(self._size, self._tokens + gained), now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True

    def headers(self, now: float) -> RateHeaders:
        wait = max(0.0, 1 - self._tokens) / self._per_second
        return RateHeaders(self._limit, int(self._tokens), wait or None)


@dataclass(frozen=True)
class Others:
    """Requests of others between two moments, evenly, or as Poisson arrivals."""

    per_minute: float
    begin: float = -60.0
    end: float = math.inf
    chance: Random | None = None

    def times(self) -> Iterator[float]:
        gap = 60 / self.per_minute
        now = self.begin + gap / 3
        while now < self.end:
            yield now
            now += self.chance.expovariate(1 / gap) if self.chance else gap


@dataclass
class Connector:
    """Starts requests at the pace of the rule, the first one alone, then several at once."""

    share: int = 80
    latency: float = 0.5
    pages: float = math.inf
    begin: float = 0.0
    end: float = math.inf
    started: list[float] = field(default_factory=list)
    ended: list[float] = field(default_factory=list)
    refused: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.pace = Pace(self.share, 60.0, jitter=Random(3).random)
        self.attempts = 0

    @property
    def received(self) -> int:
        return len(self.ended) - len(self.refused)

    def may_send(self, now: float) -> bool:
        most = min(24 if self.received else 1, self.pages - self.received)
        return len(self.started) - len(self.ended) < most and now < self.end

    def received_per_minute(self, begin: float, end: float) -> float:
        return per_minute(self.ended, begin, end) - per_minute(self.refused, begin, end)

    def most_in_a_minute(self) -> int:
        """Count a request from when it starts until a minute after it ended."""
        most = expired = 0
        for number, moment in enumerate(self.started, 1):
            while expired < len(self.ended) and self.ended[expired] <= moment - 60:
                expired += 1
            most = max(most, number - expired)
        return most


def per_minute(moments: Sequence[float], begin: float, end: float) -> float:
    return sum(begin <= moment < end for moment in moments) * 60 / (end - begin)


@dataclass
class Simulation:
    """Runs connectors and others against a server, from moment 0.

    `said` is what a good response says, by its number from 1; `changes` happen at their moments.
    """

    server: Server
    connectors: Sequence[Connector]
    others: Sequence[Others] = ()
    said: Callable[[int, RateHeaders], RateHeaders] = lambda _, headers: headers
    changes: Sequence[tuple[float, Event]] = ()
    others_refused: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._chance = Random(5)
        self._events: list[tuple[float, int, Event]] = []
        self._number, self._good = count(), count(1)

    def run(self, seconds: float) -> float:
        """Return the moment at which all pages are received, or `seconds`."""
        for others in self.others:
            self._at_next(others.times())
        for moment, change in self.changes:
            self._at(moment, change)
        for connector in self.connectors:
            self._at(connector.begin, partial(self._send, connector, 0))
        while self._events[0][0] < seconds:
            now, _, happen = heappop(self._events)
            happen(now)
            if all(connector.received >= connector.pages for connector in self.connectors):
                return now
        return seconds

    def _at(self, moment: float, happen: Event) -> None:
        heappush(self._events, (moment, next(self._number), happen))

    def _at_next(self, times: Iterator[float]) -> None:
        def happen(now: float) -> None:
            if not self.server.take(now) and now >= 0:
                self.others_refused.append(now)
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
        there = connector.latency * self._chance.uniform(0.3, 0.6)
        back = connector.latency * self._chance.uniform(0.4, 0.6)

        def arrive(now: float) -> None:
            is_good = self.server.take(now)
            headers = self.server.headers(now)
            if is_good:
                headers = self.said(next(self._good), headers)
            self._at(now + back, partial(receive, headers, is_good))

        def receive(headers: RateHeaders, is_good: bool, now: float) -> None:
            connector.pace.observe(headers, now, number=number, exceeded=not is_good)
            connector.pace.release(now)
            connector.ended.append(now)
            if not is_good:
                connector.refused.append(now)
            self._send(connector, connector.attempts, now)

        self._at(now + there, arrive)
