"""Requests, sent through the connector's client within bounds, and what came back."""

import contextlib
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, NamedTuple
from urllib.parse import parse_qsl, urljoin, urlsplit

from source_kustomer.api.client import Client
from source_kustomer.api.decode import decode
from source_kustomer.api.headers import RateHeaders
from source_kustomer.api.rate_limit import RateLimiter
from source_kustomer.config import Config
from source_kustomer.errors import Evidence, failure
from source_kustomer.timing import SYSTEM_CLOCK, Timing

# A person waits for the report, and the smallest plan has 300 requests a minute.
MOST_REQUESTS: Final = 60
LONGEST_RUN: Final = 240.0
# What the server may ask to wait, in all.
LONGEST_WAIT: Final = 60.0
TIMING: Final = Timing(silence=30.0, response=30.0, limit=LONGEST_WAIT)
# One list may fail, and a proxy may lose a request; three requests in a row are an outage.
_OUTAGE, _REFUSALS = 3, 5
# What took longer is not worth a second attempt.
_QUICK = 5.0
# Kustomer's own parameters; whatever else a link holds may be a value.
_PARAMETER = re.compile(r"[A-Za-z_]{1,20}(\[[A-Za-z_]{1,20}\])?", re.ASCII)

Record = dict[str, Any]


class Seen(NamedTuple):
    """A value, in words of ours and of Kustomer's only, and the sample that it was seen in."""

    value: str
    sample: str


class NotObservable(NamedTuple):
    """Why there was nothing to see, and what would show it."""

    reason: str
    needed: str


Reading = Seen | NotObservable

# By list or by kind of response.
Readings = Mapping[str, Reading]


@dataclass(frozen=True)
class Exchange:
    """The response to a request, or why there is none: `failure`, or `unasked` if none was sent."""

    # What was asked for: `list`, `key` or `metadata`.
    kind: str = ""
    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    content: bytes = b""
    document: Any = None
    is_json: bool = False
    failure: str = ""
    unasked: str = ""
    exception: Exception | None = None
    sent_at: float = 0.0

    @property
    def is_ok(self) -> bool:
        return self.status == 200 and self.is_json

    @property
    def is_refused(self) -> bool:
        return self.status in {401, 403}

    @property
    def is_disturbed(self) -> bool:
        """Whether a server that fails, or something other than the API, or nothing answered."""
        status = self.status or 0
        is_foreign = not self.is_json and self.content.strip()
        is_no_answer = status >= 500 or status in range(300, 400) or status in {0, 407}
        return not self.unasked and bool(is_no_answer or is_foreign)

    @property
    def outcome(self) -> str:
        without = " without JSON" * (self.status == 200 and not self.is_json)
        return self.unasked or self.failure or f"{self.status}{without}"

    @property
    def unread(self) -> NotObservable:
        """Why there is no document to look at, and what would give one."""
        if self.is_refused:
            return NotObservable(f"the key may not read it ({self.outcome})", "a key with its role")
        return NotObservable(self.unasked or f"it answers {self.outcome}", "another run")

    @property
    def records(self) -> list[Record]:
        data = self.member("data")
        return [r for r in data if isinstance(r, dict)] if isinstance(data, list) else []

    @property
    def ids(self) -> list[str]:
        return [str(record.get("id")) for record in self.records]

    @property
    def link(self) -> str | None:
        """The link to the next page as text, whatever its form; None where there is none."""
        link = self.member("links", "next")
        link = link.get("href") if isinstance(link, dict) else link
        return link if isinstance(link, str) and link else None

    def member(self, *names: str) -> Any:
        value = self.document
        for name in names:
            value = value.get(name) if isinstance(value, dict) else None
        return value

    def number(self, name: str) -> int | None:
        return _whole(self.member("meta", name))

    def header(self, name: str) -> int | None:
        return _whole(self.headers.get(name))


def object_in(value: Mapping[str, Any], member: str) -> dict[str, Any]:
    found = value.get(member)
    return found if isinstance(found, dict) else {}


def query_of(link: str | None, list_url: str) -> str | None:
    """Return the query of a link that stays on its list, None for any other."""
    try:
        here, there = urlsplit(list_url), urlsplit(urljoin(list_url, link or "//nowhere"))
    except ValueError:
        return None
    stays = (here.scheme, here.netloc, here.path) == (there.scheme, there.netloc, there.path)
    return there.query if stays and there.query.isprintable() else None


def naming(query: str) -> str:
    """Say by which parameters a query names a page, beside the page size."""
    names = [name for name, _ in parse_qsl(query) if name != "pageSize"]
    known = [name if _PARAMETER.fullmatch(name) else "another" for name in names]
    return " and ".join(known) or "nothing"


def _whole(value: object) -> int | None:
    if isinstance(value, str) and re.fullmatch(r"[0-9]{1,18}", value, re.ASCII):
        return int(value)
    return value if type(value) is int and 0 <= value < 10**18 else None


class OutageError(Exception):
    """The API cannot be asked now; the text says why, and may name the account."""


class Asker:
    """Sends requests as the limit allows, while `say` tells a person what is waited for."""

    def __init__(self, config: Config, say: Callable[[str], object], timing: Timing) -> None:
        self.config, self.timing, self.say = config, timing, say
        self.exchanges: list[Exchange] = []
        self._limiter = RateLimiter(config.share, timing, SYSTEM_CLOCK)
        self._ends_at = time.monotonic() + LONGEST_RUN
        self._disturbed, self._waited = 0, 0.0
        self._clients: dict[Config, Client] = {}

    def get(self, path: str, config: Config | None = None, *, may_fail: bool = False) -> Exchange:
        """Get a path under `/v1/`, again where that is disturbed; raises `OutageError`."""
        began, config = time.monotonic(), config or self.config
        exchange = self._patiently(path, config)
        if exchange.is_disturbed and time.monotonic() - began < _QUICK:
            time.sleep(self.timing.backoff)
            exchange = self._patiently(path, config)
        if not may_fail:
            self._disturbed = self._disturbed + 1 if exchange.is_disturbed else 0
            nothing_came = not any(e.status for e in self.exchanges)
            if self._disturbed == _OUTAGE or (exchange.is_disturbed and nothing_came):
                raise OutageError(explain(exchange, config)[1])
        return exchange

    def _patiently(self, path: str, config: Config) -> Exchange:
        """Send a request until the limit lets it through, for as long as that may take."""
        for _ in range(_REFUSALS):
            exchange = self._send(path, config)
            wait = RateHeaders.parse(exchange.headers, time.time()).wait or 0.0
            if exchange.status != 429 and not (exchange.status == 503 and wait):
                return exchange
            self._waited += wait
            if self._waited > LONGEST_WAIT:
                break
            self.say(f"Kustomer asks to wait: {f'{wait:.0f} s' if wait else 'no time is told'}")
        raise OutageError(explain(exchange, config)[1])

    def _send(self, path: str, config: Config) -> Exchange:
        kind = {"auth": "key", "metadata": "metadata"}.get(path.partition("/")[0], "list")
        began = time.monotonic()
        if len(self.exchanges) >= MOST_REQUESTS:
            return Exchange(unasked="the requests were used up")
        if began > self._ends_at:
            return Exchange(unasked="the time was used up")
        if config not in self._clients:
            self._clients[config] = Client(config, timing=self.timing, limiter=self._limiter)
        try:
            came = self._clients[config].send(config.base_url + path)
        except Exception as e:  # noqa: BLE001
            # Whatever is raised, the table of causes tells what it is.
            exchange = Exchange(kind, exception=e, sent_at=began)
            name, sentence = explain(exchange, config)
            if name == "rate limit":
                if self._limiter.pace.pause_ends > time.monotonic():
                    raise OutageError(sentence) from None
                return Exchange(unasked="the share of the rate limit was used up")
            exchange = replace(exchange, failure=name)
        else:
            exchange = Exchange(kind, came.status, came.headers, came.content, sent_at=came.sent_at)
            with contextlib.suppress(ValueError):
                exchange = replace(exchange, document=decode(came.content), is_json=True)
        self.exchanges.append(exchange)
        return exchange


def explain(exchange: Exchange, config: Config) -> tuple[str, str]:
    """Return what the connector takes an error for: a name, and a sentence with the account's."""
    evidence = Evidence(
        status=exchange.status,
        body=exchange.content,
        exception=exchange.exception,
        is_list=False,
        host_was_reached=exchange.status is not None,
    )
    known = {"organization": config.organization, "host": config.base_url.split("/")[2]}
    failed = failure(evidence, secret=config.api_key, what="the API", role="", **known)
    return failed.cause.name.replace("_", " "), str(failed.message)
