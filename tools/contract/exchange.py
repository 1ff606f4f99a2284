"""A request and what came back, as the checks read it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urljoin, urlsplit

from tools.contract.reading import NotObservable

Record = dict[str, Any]

_REFUSALS = frozenset({401, 403})

# Kustomer's own parameters; whatever else a link holds may be a value.
_PARAMETER = re.compile(r"[A-Za-z_]{1,20}(\[[A-Za-z_]{1,20}\])?", re.ASCII)


@dataclass(frozen=True)
class Exchange:
    """The response to a request, or why there is none: `failure`, or `unasked` if none was sent.

    `sent_at` is monotonic; `kind` says what was asked for: `list`, `key`, `metadata` or `error`.
    """

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
        """Whether it is a success with a document."""
        return self.status == 200 and self.is_json

    @property
    def is_html(self) -> bool:
        """Whether the body is a web page."""
        return self.content.lstrip()[:1] == b"<"

    @property
    def is_disturbed(self) -> bool:
        """Whether something other than the API answered, or nothing, or a server that fails."""
        status = self.status or 0
        is_foreign = not self.is_json and bool(self.content.strip())
        return status >= 500 or status in range(300, 400) or status in {0, 407} or is_foreign

    @property
    def outcome(self) -> str:
        """The status, or why there is none."""
        if self.status is None:
            return self.unasked or self.failure
        return "200 without JSON" if self.status == 200 and not self.is_json else str(self.status)

    @property
    def unread(self) -> NotObservable:
        """Why there is no document to look at, and what would give one."""
        if self.unasked:
            return NotObservable(self.unasked, "another run")
        if self.status in _REFUSALS:
            return NotObservable(f"the key may not read it ({self.outcome})", "a key with its role")
        return NotObservable(f"it answers {self.outcome}", "another run")

    def member(self, *names: str) -> Any:
        """Return a nested member of the document, None where it is not there."""
        value = self.document
        for name in names:
            value = value.get(name) if isinstance(value, dict) else None
        return value

    @property
    def records(self) -> list[Record]:
        """The records of a page that are objects."""
        data = self.member("data")
        return [r for r in data if isinstance(r, dict)] if isinstance(data, list) else []

    @property
    def ids(self) -> list[str]:
        """The ids of a page's records."""
        return [str(record.get("id")) for record in self.records]

    @property
    def link(self) -> str | None:
        """The link to the next page as text, whatever its form; None where there is none."""
        link = self.member("links", "next")
        link = link.get("href") if isinstance(link, dict) else link
        return link if isinstance(link, str) and link else None

    def number(self, name: str) -> int | None:
        """Return a count in `meta`, or None."""
        return whole(self.member("meta", name))

    def header(self, name: str) -> int | None:
        """Return the number in a header, or None."""
        return whole(self.headers.get(name))


def query_of(link: str | None, list_url: str) -> str | None:
    """Return the query of a link that stays on its list, None for any other."""
    try:
        here, there = urlsplit(list_url), urlsplit(urljoin(list_url, link or "//nowhere"))
    except ValueError:
        return None
    stays = (here.scheme, here.netloc, here.path) == (there.scheme, there.netloc, there.path)
    return there.query if stays and there.query.isprintable() else None


def naming(query: str | None) -> str:
    """Say by which parameters a query names a page, beside the page size."""
    parameters = [name for name, _ in parse_qsl(query or "") if name != "pageSize"]
    known = [name for name in parameters if _PARAMETER.fullmatch(name)]
    others = len(parameters) - len(known)
    return " and ".join([*known, *([f"{others} others"] if others else [])]) or "nothing"


def whole(value: object) -> int | None:
    """Return a count that may come as text, None for anything else."""
    if isinstance(value, str) and re.fullmatch(r"[0-9]{1,18}", value, re.ASCII):
        return int(value)
    return value if type(value) is int and 0 <= value < 10**18 else None
