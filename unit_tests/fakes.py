"""The clock, the transport and the client that unit tests share, without time and network."""

import json
import math
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from typing_extensions import override

from source_kustomer.api.client import Client
from source_kustomer.api.transport import LARGEST_BODY, Response
from source_kustomer.config import Config
from source_kustomer.errors import Fault
from source_kustomer.timing import DEFAULT_TIMING, Clock, Timing

KEY = "key-that-nobody-may-see"
BASE = "https://acme.api.kustomerapp.com/v1/"
PROBE = "auth/tokens/current"

# A wait for less must not let time stand still.
_INSTANT = 1e-6


class VirtualClock(Clock):
    """Time that passes only when somebody waits, for all that take a clock; threads share it."""

    def __init__(self, now: float = 1000.0) -> None:
        self._now = now
        self._lock = threading.Lock()
        self.slept: list[float] = []
        self.waited: list[float] = []

    @override
    def monotonic(self) -> float:
        return self._now

    @override
    def time(self) -> float:
        return 1_767_225_600.0 + self._now

    @override
    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.advance(seconds)

    @override
    def wait(self, condition: threading.Condition, seconds: float) -> None:
        self.waited.append(seconds)
        self.advance(max(seconds, _INSTANT))
        # Lets other threads in, as a real wait does.
        condition.wait(0)

    def advance(self, seconds: float) -> None:
        """Let time pass for which nobody waited, as a response does that takes its time."""
        with self._lock:
            self._now += seconds


@dataclass(frozen=True)
class Reply:
    """What comes back for a request after `takes` seconds: a response, or an exception."""

    status: int = 200
    body: object = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    raises: Exception | None = None
    takes: float = 0.0

    @property
    def content(self) -> bytes:
        """The body's bytes."""
        return self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()


Script = Callable[[str], Reply]


def in_turn(*replies: Reply) -> Script:
    """Answer with one after the other, and with the last one from then on."""
    remaining = list(replies)
    return lambda _: remaining.pop(0) if len(remaining) > 1 else remaining[0]


def by_path(replies: Mapping[str, Reply | Script], otherwise: Reply | None = None) -> Script:
    """Answer by the path below the base, without its query."""

    def answer(url: str) -> Reply:
        reply = replies.get(_path(url), otherwise)
        assert reply is not None, f"nothing is scripted for {url}"
        return reply if isinstance(reply, Reply) else reply(url)

    return answer


def page(*ids: str, following: str | None = None, **meta: object) -> dict[str, Any]:
    """Make the document of a list's page."""
    return {"data": [{"id": i} for i in ids], "meta": meta, "links": {"next": following}}


def error(status: int, words: str = "no", **headers: str) -> Reply:
    """Make an error as the API words it; `_` stands for `-` in names of headers."""
    named = {name.replace("_", "-").lower(): value for name, value in headers.items()}
    return Reply(status, {"errors": [{"message": words}]}, named)


class ScriptedTransport:
    """Answers by a script instead of a server, and keeps the addresses that were asked for."""

    def __init__(self, clock: VirtualClock, script: Script | None = None) -> None:
        self.clock = clock
        self.script = script or in_turn(Reply(body={}))
        self.sent: list[str] = []

    def get(self, url: str, largest_body: int = LARGEST_BODY) -> Response:
        self.sent.append(url)
        sent_at = self.clock.monotonic()
        reply = self.script(url)
        self.clock.advance(reply.takes)
        if reply.raises:
            raise reply.raises
        content = reply.content
        if len(content) > largest_body:
            raise Fault("large_body", megabytes=largest_body // 2**20)
        headers = {name.lower(): value for name, value in reply.headers.items()}
        return Response(reply.status, headers, content, sent_at)

    def asked(self, path: str) -> list[str]:
        """Return the addresses asked for with a path below the base, whatever their query."""
        return [url for url in self.sent if _path(url) == path]


def connected(
    transport: ScriptedTransport,
    *,
    share: int = 80,
    timing: Timing = DEFAULT_TIMING,
    seconds: float = math.inf,
) -> Client:
    """Make a client whose requests end in the transport and whose waits pass in virtual time."""
    config = Config.parse({"org_name": "acme", "api_key": KEY, "rate_limit_share": share}, {})
    clock = transport.clock
    return Client(config, timing=timing, transport=transport, clock=clock, seconds=seconds)


def _path(url: str) -> str:
    return url.removeprefix(BASE).partition("?")[0]
