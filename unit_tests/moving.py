"""Lists that move while they are read, or are told wrongly, and what reads them."""

import json
from collections.abc import Callable, Collection, Container
from dataclasses import dataclass, field
from itertools import islice
from math import inf
from random import Random
from typing import Any
from urllib.parse import parse_qsl, urlencode

from source_kustomer.errors import Evidence, Fault, cause_of
from source_kustomer.paging.position import Position, State
from source_kustomer.paging.reader import Reader

URL = "https://acme.api.kustomerapp.com/v1/customers"

# A document, or the status of a response that is no success.
Response = dict[str, Any] | int
Move = Callable[["MovingList"], None]
# What is told on a page of a list that has so many records.
Total = Callable[[int, int], object]
# Changes a response, or returns the status that comes instead.
Damage = Callable[[dict[str, Any]], int | None]
Served = Callable[[str], Response]


def document(ids: list[str], following: object, **meta: object) -> dict[str, Any]:
    """Return a response's JSON."""
    return {"data": [{"id": i} for i in ids], "meta": meta, "links": {"next": following}}


def true_total(_: int, total: int) -> object:
    """Tell the truth."""
    return total


def told(total: object) -> Total:
    """Tell this on every page."""
    return lambda *_: total


def half(response: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the first half of the resources."""
    resources: list[dict[str, Any]] = response["data"]
    return resources[: len(resources) // 2]


END = {"next": None}
DAMAGES: dict[str, Damage] = {
    "short": lambda it: it.update(data=half(it)),
    "ended": lambda it: it.update(links=END),
    "empty": lambda it: it.update(data=[]),
    "cut": lambda it: it.update(data=half(it), links=END),
    "emptied": lambda it: it.update(data=[], links=END),
    "misnumbered": lambda it: it["meta"].update(page=77),
    "unlinked": lambda it: it.update(links=None),
    "no list": lambda it: it.update(data=None),
}


@dataclass
class MovingList:
    """A list that is paged by numbers or cursors, and that moves before each request.

    No page has more than `clamp` records, and `past_end` is the status of one after the last. The
    key may not see what is `hidden`. The responses to the requests of the numbers `damaged` are
    damaged. A page of more than `largest` records that has the record `heavy` times out. A server
    that is behind does not know the `behind` newest records.
    """

    ids: list[str]
    clamp: int = 10_000
    is_newest_first: bool = False
    has_cursors: bool = False
    past_end: int = 200
    promises_one_more: bool = False
    link: dict[str, str] = field(default_factory=dict)
    link_has_size: bool = True
    move: Move = lambda _: None
    total: Total = true_total
    hidden: Collection[str] = ()
    damage: Damage = lambda _: None
    damaged: Container[int] = ()
    heavy: str = ""
    largest: int = 1
    behind: int = 0
    is_behind: Callable[["MovingList"], bool] = lambda _: False
    dice: Random = field(default_factory=lambda: Random(0))
    requests: list[str] = field(default_factory=list)
    made: int = 0

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

    def __call__(self, query: str) -> Response:
        """Return what comes of a query."""
        self.requests.append(query)
        self.move(self)
        asked, ids = dict(parse_qsl(query)), self._seen(is_behind=self.is_behind(self))
        size = min(int(asked.get("pageSize", 10)), self.clamp)
        page = int(asked.get("page", 1))
        # Cursors point behind a record; those of this list are its ids, which are not removed.
        start = ids.index(asked["cursor"]) + 1 if "cursor" in asked else (page - 1) * size
        here = ids[start : start + size]
        if self.heavy in here and size > self.largest:
            return 504
        if not here and start and self.past_end != 200:
            return self.past_end
        following = None
        if start + size < len(ids) or (here and self.promises_one_more):
            step = {"cursor": here[-1]} if self.has_cursors else {"page": page + 1}
            sized = {"pageSize": size} if self.link_has_size else {}
            following = f"?{urlencode(step | sized | self.link)}"
        meta = {} if self.has_cursors else {"page": page}
        shown = [i for i in here if i not in self.hidden]
        response = document(shown, following, total=self.total(page, len(ids)), **meta)
        status = self.damage(response) if len(self.requests) in self.damaged else None
        return status or response

    def _seen(self, *, is_behind: bool) -> list[str]:
        behind = self.behind if is_behind else 0
        return self.ids[behind:] if self.is_newest_first else self.ids[: len(self.ids) - behind]


class Reading:
    """A list, read as a stream does it: asked for, retried, recovered, and fetched ahead.

    It is read from a state or its start to its end, in pages of `size` records; after so many
    pages it may `stop`, and is resumed from its state. `ahead` pages are fetched before they are
    wanted, in any order. A request takes `latency` seconds of virtual time, and `look` is the
    longest pause before a second look. `cause` is what the read failed for, if it did, and
    `details` are its numbers.
    """

    def __init__(
        self, served: Served, state: State | None = None, *, size: int = 10, stop: float = inf,
        ahead: int = 0, dice: Random | None = None, latency: float = 0.2, look: float = 10.0,
    ) -> None:  # fmt: skip
        self.ids: list[str] = []
        self.states: list[State] = []
        self.warnings: list[tuple[str, dict[str, int]]] = []
        self.waits: list[float | None] = []
        self.requests = 0
        self.cause = ""
        self.details: dict[str, str | int] = {}
        self._served, self._ahead, self._latency = served, ahead, latency
        self._size, self._look = size, look
        self._dice = dice or Random(0)
        self._now = 0.0
        self._begin(state)
        while not (self._reader.is_finished or self.cause):
            self._read_page()
            if len(self.states) == stop and not self._reader.is_finished:
                stop = inf
                self._begin(self.states[-1])

    def _begin(self, state: State | None) -> None:
        resumed = Position.parse(json.loads(json.dumps(state))) if state else None
        self._fetched: dict[str, Response] = {}
        self._reader = Reader(URL, self._size, look=self._look, resumed=resumed)

    def _read_page(self) -> None:
        """Ask for a page until it is taken, or until it fails for good."""
        reader, attempt = self._reader, 1
        while True:
            query, wait = reader.query, None
            response = self._fetched.pop(query, None) or self._send(query)
            if isinstance(response, int):
                evidence = Evidence(status=response, is_reading=reader.pages > 0)
            else:
                try:
                    resources = reader.take(response, self._now)
                except Fault as e:
                    evidence, wait, self.details = Evidence(exception=e), e.wait, e.details
                    self.waits.append(wait)
                    if wait:
                        self._fetched.clear()
                else:
                    self.ids += [resource["id"] for resource in resources]
                    self.states.append(reader.position.state)
                    self._fetch_ahead()
                    break
            cause = cause_of(evidence)
            if attempt >= cause.attempts:
                self.cause = "" if reader.recover(cause) else cause.name
                break
            self._now += 2.0 ** (attempt - 1) if wait is None else wait
            attempt += 1
        self.warnings += reader.warnings
        reader.warnings.clear()

    def _fetch_ahead(self) -> None:
        following = [q for q, is_sure in islice(self._reader.ahead(), self._ahead) if is_sure]
        self._dice.shuffle(following)
        for query in following:
            if query not in self._fetched:
                self._fetched[query] = self._send(query)

    def _send(self, query: str) -> Response:
        self.requests += 1
        assert self.requests < 10_000, "a read without an end"
        self._now += self._latency
        return self._served(query)
