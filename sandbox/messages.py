"""What goes over the wire: requests, responses with their flaws, and keys."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

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


@dataclass(frozen=True)
class Key:
    """A key, and what is wrong with it."""

    roles: tuple[str, ...] = EVERY_ROLE
    # None where the sandbox's switch decides.
    missing_role_status: int | None = None
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
    """A response, and how it fails to arrive; times are in seconds.

    `truncate_at` sends so many bytes of the body and closes, `reset` closes with RST, `hang` is
    silent before the headers.
    """

    status: int = 200
    body: Any = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    hang: float = 0.0
    truncate_at: int | None = None
    reset: bool = False

    @property
    def content(self) -> bytes:
        """The body's bytes."""
        if isinstance(self.body, bytes):
            return self.body
        return (self.body if isinstance(self.body, str) else json.dumps(self.body)).encode()


Before = Callable[[Request], Reply | None]


def error(form: str, status: int, code: str, text: str) -> Reply:
    """Make an error in one of the forms that `Switches.error_form` names."""
    if form == "html":
        page = f"<!DOCTYPE html><title>{status}</title><h1>{text}</h1>"
        return Reply(status, page, {"Content-Type": "text/html"})
    if form == "short":
        return Reply(status, {"errors": [{"code": code, "message": text, "meta": {}}]})
    shown = str(status) if form == "long_text" else status
    document: dict[str, Any] = {
        "status": shown,
        "code": code,
        "title": text,
        "detail": text,
        "source": {},
    }
    return Reply(status, {"errors": [document]})
