"""Lists that move while they are read, or are told wrongly, and what reads them."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import islice
from random import Random
from typing import Any
from urllib.parse import parse_qsl, urlencode

from source_kustomer.errors import Cause, Evidence, Fault, cause_of
from source_kustomer.paging.position import Position, State
from source_kustomer.paging.reader import Reader

URL = "https://acme.api.kustomerapp.com/v1/customers"


def document(ids: list[str], following: object, **meta: object) -> dict[str, Any]:
    """Return a response's JSON."""
    return {"data": [{"id": i} for i in ids], "meta": meta, "links": {"next": following}}


class RefusedError(Exception):
    """A response that is no success."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


class ReadError(Exception):
    """A read that failed for good."""

    def __init__(self, cause: Cause, error: Exception) -> None:
        super().__init__(cause.name)
        self.cause = cause
        self.details = error.details if isinstance(error, Fault) else {}


Move = Callable[["MovingList"], None]
Total = Callable[["MovingList", int, int], object]
Damage = Callable[[dict[str, Any]], None]


def true_total(_: "MovingList", __: int, total: int) -> object:
    """Tell the truth."""
    return total


@dataclass
class MovingList:
    """A list that is paged by numbers or cursors, and that moves before each request.

    `past_end` is the status of a page after the last, `total` what is told of a page of a list that
    has so many records. No page has more than `clamp`. Damage is done to the response of that
    request, and to all later ones too where `is_damaged_for_ever`. A page of more than `largest`
    records that has the record `heavy` times out. A server that is behind does not know the
    `behind` newest records.
    """

    ids: list[str]
    size: int = 10
    clamp: int = 500
    is_newest_first: bool = False
    has_cursors: bool = False
    past_end: int = 200
    promises_one_more: bool = False
    parameters: dict[str, str] = field(default_factory=dict)
    move: Move = lambda _: None
    total: Total = true_total
    damage: tuple[int, Damage] | None = None
    is_damaged_for_ever: bool = False
    heavy: str = ""
    largest: int = 1
    behind: int = 0
    is_behind: Callable[["MovingList"], bool] = lambda _: False
    most_requests: int = 10_000
    requests: list[str] = field(default_factory=list)
    made: int = 0
    now: float = 0.0

    def __post_init__(self) -> None:
        self.always = set(self._seen(is_behind=True))

    def remove(self, index: int, count: int = 1) -> None:
        """Remove records, which need not be read then."""
        self.always -= {*self.ids[index : index + count]}
        del self.ids[index : index + count]

    def add(self, index: int, count: int = 1) -> None:
        """Add new records."""
        self.ids[index:index] = [f"new{self.made + n}" for n in range(count)]
        self.made += count

    def respond(self, query: str) -> dict[str, Any]:
        """Return the JSON of a response; raises `RefusedError`."""
        self.requests.append(query)
        assert len(self.requests) <= self.most_requests
        self.move(self)
        asked, ids = dict(parse_qsl(query)), self._seen(is_behind=self.is_behind(self))
        size = min(int(asked.get("pageSize", self.size)), self.clamp)
        page = int(asked.get("page", 1))
        start = (page - 1) * size
        if "cursor" in asked:
            # Cursors point behind a record; those of this list are its ids, which are not removed.
            start = ids.index(asked["cursor"]) + 1
        here = ids[start : start + size]
        if self.heavy in here and size > self.largest:
            raise RefusedError(504)
        if not here and start and self.past_end != 200:
            raise RefusedError(self.past_end)
        following = None
        if start + size < len(ids) or (here and self.promises_one_more):
            step = {"cursor": here[-1]} if self.has_cursors else {"page": page + 1}
            following = f"?{urlencode(step | {'pageSize': size} | self.parameters)}"
        meta = {} if self.has_cursors else {"page": page, "pageSize": size}
        response = document(here, following, **meta)
        response["meta"]["total"] = self.total(self, page, len(ids))
        if self.damage:
            at, damage = self.damage
            if len(self.requests) == at or (len(self.requests) > at and self.is_damaged_for_ever):
                damage(response)
        return response

    def _seen(self, *, is_behind: bool) -> list[str]:
        behind = self.behind if is_behind else 0
        return self.ids[behind:] if self.is_newest_first else self.ids[: len(self.ids) - behind]


@dataclass
class Reading:
    """What came of a read."""

    ids: list[str] = field(default_factory=list)
    states: list[State] = field(default_factory=list)
    # How many of the ids had come when each state was left.
    came: list[int] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


class Driver:
    """Reads a list as a stream does: asks, retries, recovers, and fetches pages ahead.

    Up to `ahead` pages are fetched before they are wanted, in any order. A request takes `latency`
    seconds of virtual time, and `look` is the longest pause before a second look.
    """

    def __init__(
        self,
        served: MovingList,
        *,
        ahead: int = 0,
        dice: Random | None = None,
        latency: float = 0.2,
        look: float = 10.0,
    ) -> None:
        self.served = served
        self.now = 0.0
        self._ahead = ahead
        self._dice = dice or Random(0)
        self._latency = latency
        self._look = look
        self._fetched: dict[str, dict[str, Any] | RefusedError] = {}
        self.state: State = {}

    def read(self, state: State | None = None, *, pages: float = float("inf")) -> Reading:
        """Read from a state, or the start, so many pages or to the end; raises `ReadError`."""
        resumed = Position.parse(json.loads(json.dumps(state))) if state else None
        reader = Reader(URL, self.served.size, look=self._look, resumed=resumed)
        reading, self._fetched = Reading(), {}
        while not reader.is_finished and len(reading.states) < pages:
            try:
                resources = self._next_page(reader)
            except ReadError as e:
                if not reader.recover(e.cause):
                    raise
            else:
                reading.ids += [resource["id"] for resource in resources]
                reading.came.append(len(reading.ids))
                self.state = reader.position.state
                reading.states.append(self.state)
                self._plan(reader)
            reading.warnings += [name for name, _ in reader.warnings]
            reader.warnings.clear()
        return reading

    def _next_page(self, reader: Reader) -> list[dict[str, Any]]:
        number = 1
        while True:
            error: Exception
            wait = None
            try:
                return reader.take(self._get(reader.query), self.now)
            except Fault as e:
                error, cause, wait = e, cause_of(Evidence(exception=e)), e.wait
                if wait:
                    self._fetched.clear()
            except RefusedError as e:
                refused = Evidence(status=e.status, is_reading=reader.pages > 0)
                error, cause = e, cause_of(refused)
            if number >= cause.attempts:
                raise ReadError(cause, error) from None
            self.now += 2.0 ** (number - 1) if wait is None else wait
            number += 1

    def _plan(self, reader: Reader) -> None:
        following = [query for query, is_sure in islice(reader.ahead(), self._ahead) if is_sure]
        self._dice.shuffle(following)
        for query in following:
            if query not in self._fetched:
                self._fetched[query] = self._send(query)

    def _get(self, query: str) -> dict[str, Any]:
        response = self._fetched.pop(query, None) or self._send(query)
        if isinstance(response, RefusedError):
            raise response
        return response

    def _send(self, query: str) -> dict[str, Any] | RefusedError:
        self.now += self._latency
        self.served.now = self.now
        try:
            return self.served.respond(query)
        except RefusedError as e:
            return e
