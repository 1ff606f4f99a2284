"""A request and what came back, as the checks read it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, urljoin, urlsplit

Record = dict[str, Any]

# Kustomer's own parameters; whatever else a link holds may be a value.
_PARAMETER = re.compile(r"[A-Za-z_]{1,20}(\[[A-Za-z_]{1,20}\])?", re.ASCII)


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
