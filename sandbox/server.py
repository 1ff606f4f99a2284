"""A Kustomer on loopback: six lists, roles, limits, metadata, and any fault that is wanted."""

import json
import re
import threading
import time
from collections.abc import Sequence
from datetime import date
from typing import Any

from sandbox.data import LISTS, World
from sandbox.limit import WINDOW, Limit, Standing
from sandbox.messages import ROLES, Before, Key, Reply, Request, error
from sandbox.metadata import METADATA
from sandbox.pages import Pages
from sandbox.switches import Switches
from sandbox.wire import Server


class Sandbox:
    """An organization's API on loopback; a context manager that serves on threads meanwhile.

    The data is of the year up to `today`. `switches` are those of `Switches`, by name.
    """

    def __init__(
        self,
        *,
        customers: int = 1000,
        conversations: int = 600,
        users: int = 25,
        teams: int = 6,
        tags: int = 40,
        brands: int = 3,
        today: date | None = None,
        latency: float = 0.0,
        limit: int | None = 1000,
        window: str = "sliding",
        window_seconds: float = WINDOW,
        others_per_minute: float = 0.0,
        port: int = 0,
        closed: Sequence[str] = (),
        **switches: Any,
    ) -> None:
        self.switches = Switches(**switches)
        self.world = World(seed=7, today=today)
        self.world.fill(
            customers=customers,
            conversations=conversations,
            users=users,
            teams=teams,
            tags=tags,
            brands=brands,
        )
        self.lists = self.world.lists
        if self.switches.order == "newest_first":
            for resources in self.lists.values():
                resources.reverse()
        self.metadata = json.loads(json.dumps(METADATA))
        self.key = "sandbox-key-5f1e-not-a-secret-anywhere"
        # The key lacks the roles of `closed`, which are names of lists.
        open_to_it = (roles[0] for name, roles in ROLES.items() if name not in closed)
        self.keys = {self.key: Key(roles=tuple(open_to_it))}
        self.requests: list[Request] = []
        self.statuses: list[int] = []
        self.latency = latency
        self.probe = self.switches.probe
        others = others_per_minute
        self._limit = None if limit is None else Limit(limit, window, others, window_seconds)
        self._before: list[Before] = []
        self._server = Server(port, self._answer)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._pages = Pages(self.lists, self.switches, self.url)
        self.lock = self._pages.lock

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
            self.touch()

    def insert(self, name: str, count: int, at: int = 0) -> None:
        """Add new records to a list, in front by default."""
        with self.lock:
            self.lists[name][at:at] = self.world.make(name, count)
            self.touch()

    def touch(self) -> None:
        """Forget rendered pages after a list was changed in place."""
        self._pages.forget()

    def of(self, name: str) -> list[Request]:
        """The requests for a list so far."""
        return [r for r in self.requests if r.path == f"/v1/{name}"]

    def count(self) -> Standing | None:
        """Count a request against the limit, None where there is none; a hook's reply is not."""
        return self._limit.count() if self._limit else None

    def error(self, status: int, code: str, text: str) -> Reply:
        """Make an error in the form that the switch says."""
        return error(self.switches.error_form, status, code, text)

    def refusal(self, seconds: float) -> Reply:
        """Make the 429 of an exceeded limit that is free again after so many seconds."""
        return self._refusal(Standing(1000, 0, time.time() + seconds, exceeded=True))

    def _refusal(self, standing: Standing) -> Reply:
        reply = self.error(429, "rate_limit", "Too many requests")
        return _with_headers(reply, standing.headers(self.switches, 429))

    def _answer(self, request: Request) -> Reply:
        with self.lock:
            self.requests.append(request)
        if self.latency:
            time.sleep(self.latency)
        reply = self._reply(request)
        self.statuses.append(reply.status)
        return reply

    def _reply(self, request: Request) -> Reply:
        for hook in self._before:
            reply = hook(request)
            if reply:
                return reply
        standing = self.count()
        if standing and standing.exceeded:
            return self._refusal(standing)
        reply = self.respond(request)
        if standing is None:
            return reply
        return _with_headers(reply, standing.headers(self.switches, reply.status))

    def respond(self, request: Request) -> Reply:
        """Respond as the API does, without hooks and without counting."""
        if re.fullmatch(r"/[a-z0-9-]+/v1/.*", request.path):
            # Another organization's path, as its own host name would be.
            return self.error(self.switches.unknown_organization, "not_found", "No organization")
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
            roles = {"roles": list(key.roles)} if self.switches.probe_roles else {}
            attributes = {**roles, "name": "sandbox"}
            return Reply(200, {"data": {"type": "token", "id": "1", "attributes": attributes}})
        metadata = re.fullmatch(r"metadata/(customer|conversation|user)", name)
        is_there = self.switches.metadata != "404" if metadata else name in LISTS
        if not is_there:
            return self.error(404, "not_found", "Not found")
        is_closed = metadata is not None and self.switches.metadata == "closed"
        if is_closed or not set(ROLES["metadata" if metadata else name]) & set(key.roles):
            status = key.missing_role_status or self.switches.missing_role
            return self.error(status, "forbidden", "Insufficient permissions")
        if metadata:
            properties = {"properties": self.metadata[metadata[1]]}
            return Reply(200, {"data": {"type": "metadata", "id": "1", "attributes": properties}})
        return self._pages.answer(name, request.params)


def _with_headers(reply: Reply, headers: dict[str, str]) -> Reply:
    return Reply(reply.status, reply.body, {**headers, **reply.headers})
