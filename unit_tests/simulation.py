"""Servers that count requests, others who use them up, and connectors, in virtual time."""

import math
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from heapq import heappop, heappush
from itertools import count
from random import Random
from typing import Protocol

from source_kustomer.api.headers import RateHeaders
from source_kustomer.api.pace import Pace
from source_kustomer.timing import DEFAULT_TIMING

MINUTES = ("fixed", "sliding", "after the last")

# Rounding must not let time stand still.
_INSTANT = 1e-9


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


class Bucket:
    """Tokens that are refilled steadily, behind headers that speak of a limit a minute."""

    def __init__(self, size: int, per_second: float, limit: int) -> None:
        self._size = size
        self._per_second = per_second
        self._limit = limit
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


class Connector:
    """Lets requests leave at the pace of the rule, the first one alone, then several at once."""

    def __init__(
        self, share: int = 80, *, latency: float = 0.5, at_once: int = 24, pages: float = math.inf
    ) -> None:
        self.pace = Pace(share, DEFAULT_TIMING.window, jitter=Random(3).random)
        self.latency = latency
        self._at_once = at_once
        self._pages = pages
        self.left: list[float] = []
        self.ended: list[float] = []
        self.refused: list[float] = []

    @property
    def received(self) -> int:
        return len(self.ended) - len(self.refused)

    @property
    def is_done(self) -> bool:
        return self.received >= self._pages

    @property
    def may_send(self) -> bool:
        in_flight = len(self.left) - len(self.ended)
        most = self._at_once if self.received else 1
        return in_flight < min(most, self._pages - self.received)

    def received_per_minute(self, begin: float, end: float) -> float:
        ended, refused = per_minute(self.ended, begin, end), per_minute(self.refused, begin, end)
        return ended - refused

    def most_in_a_minute(self) -> int:
        """Count a request from when it leaves until a minute after it ended."""
        most = expired = 0
        for number, moment in enumerate(self.left, 1):
            while expired < len(self.ended) and self.ended[expired] <= moment - 60:
                expired += 1
            most = max(most, number - expired)
        return most


def per_minute(moments: Sequence[float], begin: float, end: float) -> float:
    return sum(begin <= moment < end for moment in moments) * 60 / (end - begin)


def as_they_are(_: int, headers: RateHeaders) -> RateHeaders:
    return headers


@dataclass
class Simulation:
    """Runs connectors and others against a server, from moment 0.

    `said` is what a good response says, by its number from 1; `changes` happen at their moments.
    """

    server: Server
    connectors: Sequence[Connector]
    others: Sequence[Others] = ()
    said: Callable[[int, RateHeaders], RateHeaders] = as_they_are
    changes: Sequence[tuple[float, Callable[[float], None]]] = ()
    others_refused: list[float] = field(default_factory=list)
    _has_news: bool = False
    _chance: Random = field(default_factory=lambda: Random(5))
    _events: list[tuple[float, int, Callable[[float], None]]] = field(default_factory=list)
    _number: Iterator[int] = field(default_factory=count)
    _good: Iterator[int] = field(default_factory=lambda: count(1))

    def run(self, seconds: float) -> float:
        """Return the moment at which all pages are received, or `seconds`."""
        for others in self.others:
            self._at_next(others.times())
        for moment, change in self.changes:
            self._at(moment, change)
        events = self._events
        while events and events[0][0] < 0:
            moment, _, happen = heappop(events)
            happen(moment)
        now = 0.0
        while now < seconds and not all(connector.is_done for connector in self.connectors):
            wake = min(seconds, self._send(now))
            self._has_news = False
            while not self._has_news and events and events[0][0] <= wake:
                now, _, happen = heappop(events)
                happen(now)
            if not self._has_news:
                now = wake + _INSTANT
        return min(now, seconds)

    def _at(self, moment: float, happen: Callable[[float], None]) -> None:
        heappush(self._events, (moment, next(self._number), happen))

    def _at_next(self, times: Iterator[float]) -> None:
        def happen(now: float) -> None:
            if not self.server.take(now) and now >= 0:
                self.others_refused.append(now)
            self._at_next(times)

        self._at(next(times, math.inf), happen)

    def _send(self, now: float) -> float:
        """Send what may leave, and return when more may."""
        wake = math.inf
        for connector in self.connectors:
            while connector.may_send:
                delay = connector.pace.delay(now)
                if delay > 0:
                    wake = min(wake, now + delay)
                    break
                self._request(connector, now)
        return wake

    def _request(self, connector: Connector, now: float) -> None:
        left_at = now
        connector.pace.leave(now)
        connector.left.append(now)
        there = connector.latency * self._chance.uniform(0.3, 0.6)
        back = connector.latency * self._chance.uniform(0.4, 0.6)

        def arrive(now: float) -> None:
            is_good = self.server.take(now)
            headers = self.server.headers(now)
            if is_good:
                headers = self.said(next(self._good), headers)
            self._at(now + back, lambda now: receive(headers, now, is_good=is_good))

        def receive(headers: RateHeaders, now: float, *, is_good: bool) -> None:
            connector.pace.observe(headers, now, left_at=left_at, exceeded=not is_good)
            connector.pace.end(now)
            self._has_news = True
            connector.ended.append(now)
            if not is_good:
                connector.refused.append(now)

        self._at(now + there, arrive)
