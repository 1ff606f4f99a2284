"""A Kustomer on loopback: six lists, roles, limits, metadata, and any fault that is wanted."""

import json
import re
import socket
import struct
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, quote, urlsplit

from sandbox.data import LISTS, METADATA, Resource, World

ROLES: Mapping[str, tuple[str, ...]] = {
    "customers": ("org.permission.customer.read", "org.user.customer.read"),
    "conversations": ("org.permission.conversation.read", "org.user.conversation.read"),
    "users": ("org.permission.user.read", "org.user.read"),
    "teams": ("org.permission.team.read",),
    "tags": ("org.permission.tag.read", "org.user.tag.read"),
    "brands": (
        "org.permission.brand.read",
        "org.admin.brand.read",
        "org.user.brand.read",
    ),
    "metadata": (
        "org.permission.metadata.read",
        "org.user.metadata.read",
        "org.admin.metadata.read",
    ),
}
EVERY_ROLE = tuple(roles[0] for roles in ROLES.values())

_LARGEST_PAGE = {"users": 500, "teams": 500}
_WINDOW = 60.0


@dataclass(frozen=True)
class Key:
    """A key, and what is wrong with it."""

    roles: tuple[str, ...] = EVERY_ROLE
    missing_role_status: int = 403
    expired: bool = False
    other_region: bool = False
    ip_restricted: bool = False


@dataclass(frozen=True)
class Request:
    """A request as it came; `time` is monotonic, in seconds."""

    time: float
    method: str
    path: str
    query: str
    params: dict[str, str]
    headers: dict[str, str]
    key: str

    @property
    def page(self) -> int:
        """The page that is asked for."""
        return int(self.params.get("page", "1"))


@dataclass(frozen=True)
class Reply:
    """An answer, and how it fails to arrive; times are in seconds.

    `truncate_at` sends so many bytes of the body and closes, `chunked_cut` does it in the middle of
    a chunk, `reset` closes with RST, `hang` is silent before the headers, `drip` sends the body
    byte by byte.
    """

    status: int = 200
    body: Any = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    hang: float = 0.0
    truncate_at: int | None = None
    chunked_cut: bool = False
    reset: bool = False
    drip: float = 0.0

    @property
    def content(self) -> bytes:
        """The body's bytes."""
        if isinstance(self.body, bytes):
            return self.body
        return (self.body if isinstance(self.body, str) else json.dumps(self.body)).encode()


Before = Callable[[Request], Reply | None]


class Sandbox:
    """An organization's API on loopback; a context manager that serves on threads meanwhile."""

    def __init__(
        self,
        *,
        customers: int = 1000,
        conversations: int = 600,
        users: int = 25,
        teams: int = 6,
        tags: int = 40,
        brands: int = 3,
        seed: int = 7,
        latency: float = 0.0,
        limit: int | None = 1000,
        window: str = "sliding",
        others_per_minute: float = 0.0,
        rate_headers: bool = True,
        totals: bool = True,
        numbers_as_text: bool = False,
        cursors: tuple[str, ...] = (),
        probe: bool = True,
        error_form: str = "long",
        port: int = 0,
    ) -> None:
        self.world = World(seed)
        self.world.fill(
            customers=customers,
            conversations=conversations,
            users=users,
            teams=teams,
            tags=tags,
            brands=brands,
        )
        self.lists = self.world.lists
        self.metadata = json.loads(json.dumps(METADATA))
        self.key = "sandbox-key-5f1e-not-a-secret-anywhere"
        self.keys = {self.key: Key()}
        self.requests: list[Request] = []
        self.statuses: list[int] = []
        self.lock = threading.RLock()
        self.latency = latency
        self.probe = probe
        self._limit, self._window, self._rate_headers = limit, window, rate_headers
        self._others_pause = 1 / others_per_minute * _WINDOW if others_per_minute else float("inf")
        self._next_other = time.monotonic() - _WINDOW
        self._counted: deque[float] = deque()
        self._started = time.monotonic() - 7
        self._totals, self._numbers_as_text, self._cursors = totals, numbers_as_text, cursors
        self._error_form = error_form
        self._generation = 0
        self._before: list[Before] = []
        self._pages: dict[tuple[str, int, int], bytes] = {}
        self._server = _Server(("127.0.0.1", port), _Handler)
        self._server.sandbox = self
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> "Sandbox":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Serve on threads until `stop`."""
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def stop(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()

    def counts(self) -> dict[str, int]:
        """The number of records of each list now."""
        return {name: len(self.lists[name]) for name in LISTS}

    def add_key(self, **key: Any) -> str:
        """Add a key with its roles and flaws and return it."""
        name = f"sandbox-key-{len(self.keys)}-of-somebody-else"
        self.keys[name] = Key(**key)
        return name

    def before(self, hook: Before) -> Before:
        """Call `hook` with each request before it is answered; its reply takes precedence."""
        self._before.append(hook)
        return hook

    def remove(self, name: str, count: int, at: int = 0) -> None:
        """Let records vanish from a list, as merges and deletions do."""
        with self.lock:
            del self.lists[name][at : at + count]
            self._pages.clear()

    def insert(self, name: str, count: int, at: int = 0) -> None:
        """Add new records to a list, in front by default."""
        with self.lock:
            self.lists[name][at:at] = self.world.make(name, count)
            self._pages.clear()

    def touch(self) -> None:
        """Forget rendered pages after a list was changed in place."""
        with self.lock:
            self._pages.clear()

    def expire_cursors(self) -> None:
        """Know no cursor any more that was given out."""
        self._generation += 1

    def of(self, name: str) -> list[Request]:
        """The requests for a list so far."""
        return [r for r in self.requests if r.path == f"/v1/{name}"]

    def answer(self, request: Request) -> Reply:
        """Answer a request: a hook's reply, the limit's, or the API's."""
        with self.lock:
            self.requests.append(request)
        if self.latency:
            time.sleep(self.latency)
        for hook in self._before:
            reply = hook(request)
            if reply:
                return reply
        exceeded, headers = self._count()
        if exceeded:
            return self.error(429, "rate_limit", "Too many requests", headers)
        reply = self._route(request)
        return Reply(reply.status, reply.body, {**headers, **reply.headers})

    def error(
        self, status: int, code: str, text: str, headers: Mapping[str, str] | None = None
    ) -> Reply:
        """Make an error in one of the two forms that Kustomer documents."""
        error: dict[str, Any] = {"code": code, "message": text, "meta": {}}
        if self._error_form == "long":
            error = {"status": status, "code": code, "title": text, "detail": text, "source": {}}
        return Reply(status, {"errors": [error]}, headers or {})

    def _count(self) -> tuple[bool, dict[str, str]]:
        """Count a request against the organization's limit, and the others' in between."""
        if self._limit is None:
            return False, {}
        with self.lock:
            now = time.monotonic()
            while self._next_other <= now:
                self._counted.append(self._next_other)
                self._next_other += self._others_pause
            begun = now - _WINDOW
            if self._window == "fixed":
                begun = self._started + (now - self._started) // _WINDOW * _WINDOW
            while self._counted and self._counted[0] <= begun:
                self._counted.popleft()
            exceeded = len(self._counted) >= self._limit
            if not exceeded:
                self._counted.append(now)
            oldest = self._counted[0] if self._window == "sliding" else begun
            reset = time.time() + oldest + _WINDOW - now
        headers = {
            "x-ratelimit-limit": str(self._limit),
            "x-ratelimit-remaining": str(max(0, self._limit - len(self._counted))),
        }
        if exceeded:
            headers["x-ratelimit-reset"] = str(int(reset) + 1)
        return exceeded, headers if self._rate_headers else {}

    def _route(self, request: Request) -> Reply:
        key = self.keys.get(request.key)
        if key is None:
            return self.error(401, "unauthorized", "Unauthorized")
        if key.expired:
            return self.error(401, "unauthorized", "Expired token")
        if key.other_region:
            words = "Auth token associated with pod prod2 but request is being handled by prod1"
            return self.error(401, "unauthorized", words)
        if key.ip_restricted:
            return self.error(403, "forbidden", "IP address not allowed for this API key")
        name = request.path.removeprefix("/v1/")
        if name == "auth/tokens/current" and self.probe:
            attributes = {"roles": list(key.roles), "name": "sandbox"}
            return Reply(200, {"data": {"type": "token", "id": "1", "attributes": attributes}})
        metadata = re.fullmatch(r"metadata/(customer|conversation|user)", name)
        if name not in LISTS and not metadata:
            return self.error(404, "not_found", "Not found")
        if not set(ROLES["metadata" if metadata else name]) & set(key.roles):
            return self.error(key.missing_role_status, "forbidden", "Insufficient permissions")
        if metadata:
            properties = {"properties": self.metadata[metadata[1]]}
            return Reply(200, {"data": {"type": "metadata", "id": "1", "attributes": properties}})
        if name in self._cursors:
            return self._by_cursor(name, request.params)
        return self._by_number(name, request.params)

    def _by_number(self, name: str, params: Mapping[str, str]) -> Reply:
        try:
            page = max(1, int(params.get("page", "1")))
            size = int(params.get("pageSize", "30" if name == "customers" else "100"))
        except ValueError:
            return self.error(400, "bad_request", "Invalid page")
        size = max(1, min(size, _LARGEST_PAGE.get(name, 100)))
        with self.lock:
            cached = self._pages.get((name, page, size))
            if cached is None:
                cached = self._page(name, page, size)
                self._pages[name, page, size] = cached
        return Reply(200, cached)

    def _page(self, name: str, page: int, size: int) -> bytes:
        resources, pages = self.lists[name], -(-len(self.lists[name]) // size)
        meta: dict[str, Any] = {"pageSize": size, "page": page}
        links: dict[str, str | None] = {
            "self": self._link(name, page, size),
            "first": self._link(name, 1, size),
            "prev": self._link(name, page - 1, size) if page > 1 else None,
            "next": self._link(name, page + 1, size) if page < pages else None,
        }
        if name == "customers" and self._totals:
            meta |= {"total": len(resources), "totalPages": pages}
            links["last"] = self._link(name, max(1, pages), size)
        if self._numbers_as_text:
            meta = {key: str(value) for key, value in meta.items()}
        return _json(meta, resources[(page - 1) * size : page * size], links)

    def _by_cursor(self, name: str, params: Mapping[str, str]) -> Reply:
        size = max(1, min(int(params.get("pageSize", "100")), _LARGEST_PAGE.get(name, 100)))
        after = params.get("page[after]", f"{self._generation}.0")
        generation, _, start = after.partition(".")
        if generation != str(self._generation):
            return self.error(400, "bad_request", "Unknown cursor")
        end = int(start) + size
        with self.lock:
            resources, more = self.lists[name][int(start) : end], end < len(self.lists[name])
        cursor = quote(f"{self._generation}.{end}")
        following = f"/v1/{name}?page%5Bafter%5D={cursor}&pageSize={size}" if more else None
        return Reply(200, _json({"pageSize": size}, resources, {"next": following}))

    @staticmethod
    def _link(name: str, page: int, size: int) -> str:
        return f"/v1/{name}?page={page}&pageSize={size}"


def _json(meta: object, data: list[Resource], links: object) -> bytes:
    document = {"meta": meta, "data": data, "links": links}
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128
    sandbox: Sandbox

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of clients that went away."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    server: _Server

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Log nothing: `Sandbox.requests` has it all."""

    def do_GET(self) -> None:
        address = urlsplit(self.path)
        headers = {name.lower(): value for name, value in self.headers.items()}
        request = Request(
            time=time.monotonic(),
            method=self.command,
            path=address.path,
            query=address.query,
            params=dict(parse_qsl(address.query)),
            headers=headers,
            key=headers.get("authorization", "").removeprefix("Bearer "),
        )
        reply = self.server.sandbox.answer(request)
        self.server.sandbox.statuses.append(reply.status)
        self._send(reply)

    def _send(self, reply: Reply) -> None:
        content = reply.content
        if reply.hang:
            time.sleep(reply.hang)
        if reply.reset:
            linger = struct.pack("ii", 1, 0)
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            self.close_connection = True
            self.connection.close()
            return
        self.send_response(reply.status)
        headers = {"Content-Type": "application/json; charset=utf-8", **reply.headers}
        if reply.chunked_cut:
            headers["Transfer-Encoding"] = "chunked"
        else:
            headers["Content-Length"] = str(len(content))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if reply.chunked_cut:
            self.wfile.write(f"{len(content):x}\r\n".encode() + content[: len(content) // 2])
            self.close_connection = True
        elif reply.drip:
            for byte in content:
                self.wfile.write(bytes([byte]))
                self.wfile.flush()
                time.sleep(reply.drip)
        else:
            self.wfile.write(content[: reply.truncate_at])
            self.close_connection = self.close_connection or reply.truncate_at is not None
        self.wfile.flush()
