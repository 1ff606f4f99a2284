"""What requests would get from a network, in virtual time and without one."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any

import requests
from urllib3 import HTTPResponse

from source_kustomer.client import Answer, Client, _Adapter
from source_kustomer.config import Config
from source_kustomer.rate_limit import Budget

KEY = "key-that-nobody-may-see"
BASE = "https://acme.api.kustomerapp.com/v1/"
PROBE = f"{BASE}auth/tokens/current"


class Clock:
    """Time that goes on only when somebody waits; it stands in for the module `time` too."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.slept: list[float] = []

    def monotonic(self) -> float:
        return self.now

    def time(self) -> float:
        return 1767225600.0 + self.now

    def time_ns(self) -> int:
        return int(self.time() * 1e9)

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds

    def wait(self, seconds: float | None = None) -> bool:
        self.now += max(seconds or 0.0, 1e-6)
        return False


@dataclass(frozen=True)
class Reply:
    """What comes back for a request: an answer or, instead of one, an exception."""

    status: int = 200
    body: object = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    raises: Exception | None = None
    takes: float = 0.0
    trickles: float = 0.0

    @property
    def encoded(self) -> bytes:
        return self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()


@dataclass(frozen=True)
class Sent:
    """A request that left."""

    url: str
    headers: Mapping[str, str]
    settings: Mapping[str, Any]


Script = Callable[[str], Reply]


def in_turn(*replies: Reply) -> Script:
    """Answer with one after the other, and with the last one from then on."""
    left = list(replies)
    return lambda _: left.pop(0) if len(left) > 1 else left[0]


def by_path(replies: Mapping[str, Reply | Script], otherwise: Reply | None = None) -> Script:
    """Answer by the path below the base, without its query."""

    def answer(url: str) -> Reply:
        reply = replies.get(url.removeprefix(BASE).partition("?")[0], otherwise)
        assert reply is not None, url
        return reply if isinstance(reply, Reply) else reply(url)

    return answer


def page(*ids: str, following: str | None = None, **meta: object) -> dict[str, Any]:
    """Make a list document."""
    return {"data": [{"id": i} for i in ids], "meta": meta, "links": {"next": following}}


class _Trickle(BytesIO):
    """A body whose bytes come one by one."""

    def __init__(self, body: bytes, clock: Clock, pause: float) -> None:
        super().__init__(body)
        self._clock, self._pause = clock, pause

    def read1(self, size: int | None = -1, /) -> bytes:
        self._clock.now += self._pause
        return super().read1(1 if size else 0)


class Wire(_Adapter):
    """Answers by a script instead of a server, and keeps what was sent."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self.clock = clock
        self.script: Script = in_turn(Reply(body={}))
        self.sent: list[Sent] = []

    def send(self, request: requests.PreparedRequest, *_: Any, **settings: Any) -> Answer:
        url = request.url or ""
        self.sent.append(Sent(url, dict(request.headers), settings))
        reply = self.script(url)
        self.clock.now += reply.takes
        if reply.raises:
            raise reply.raises
        body: BytesIO = BytesIO(reply.encoded)
        if reply.trickles:
            body = _Trickle(reply.encoded, self.clock, reply.trickles)
        raw = HTTPResponse(
            body, headers=dict(reply.headers), status=reply.status, preload_content=False
        )
        return self.build_response(request, raw)

    def asked(self, path: str) -> list[Sent]:
        """Return the requests for a path below the base."""
        return [s for s in self.sent if s.url.removeprefix(BASE).partition("?")[0] == path]


def connected(wire: Wire, config: Config | None = None) -> Client:
    """Make a client whose requests end in the wire and whose waits end at once."""
    clock = wire.clock
    config = config or Config.parse({"org_name": "acme", "api_key": KEY}, {})
    budget = Budget(config.share, clock.monotonic)
    budget._changed.wait = clock.wait  # type: ignore[method-assign, assignment]
    client = Client(config, budget, clock.sleep)
    client._session.mount("https://", wire)
    return client


def sharing(wire: Wire, percent: int) -> Client:
    """Make a client that may use so much of the limit."""
    settings = {"org_name": "acme", "api_key": KEY, "rate_limit_share": percent}
    return connected(wire, Config.parse(settings, {}))
