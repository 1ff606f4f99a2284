"""What an attempt that did not succeed leaves, as far as a decision needs it."""

import json
import re
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from urllib3.exceptions import ProxyError

_UNKNOWN_NAME = (socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME))

_REFUSALS = frozenset({401, 403})

# What may be the key's fault, the list's or the organization's.
_DENIALS = frozenset({401, 403, 404})

_WORDS = ("code", "title", "message", "detail")


class Fault(Exception):  # noqa: N818
    """An error that the code recognizes by itself: `name` is a row of the table of causes.

    `wait` are the seconds until the next attempt, None where it is not special.
    """

    def __init__(self, name: str, *, wait: float | None = None, **details: str | int) -> None:
        super().__init__(name)
        self.name = name
        self.wait = wait
        self.details = details


@dataclass(frozen=True)
class Evidence:
    """An attempt that did not succeed: a response with a status, or an exception.

    `is_reading` is true where a page of the same list was read just before. `is_key_accepted` is
    what the probe of the key says, None where that is unknown; `probe_words` are its words when it
    refuses the key too.
    """

    status: int | None = None
    body: bytes = b""
    exception: Exception | None = None
    is_list: bool = True
    is_reading: bool = False
    host_was_reached: bool = False
    is_key_accepted: bool | None = None
    probe_words: str = ""

    @cached_property
    def document(self) -> Any:
        """The body's JSON, None where it is none."""
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError):
            return None

    @property
    def is_html(self) -> bool:
        """Whether the body is a web page."""
        return self.body.lstrip()[:1] == b"<"

    @property
    def is_foreign(self) -> bool:
        """Whether the body is text that is not the API's JSON."""
        return self.document is None and self.body.strip() != b""

    @property
    def is_denial(self) -> bool:
        """Whether the status says that the key may not read this, or that it is not there."""
        return self.status in _DENIALS

    @property
    def is_refusal(self) -> bool:
        """Whether the API itself refuses the key."""
        return self.status in _REFUSALS and not self.is_foreign

    @property
    def errors(self) -> list[dict[str, Any]]:
        """The errors of the body in either form that Kustomer documents."""
        errors = self.document.get("errors") if isinstance(self.document, dict) else None
        return [e for e in errors if isinstance(e, dict)] if isinstance(errors, list) else []

    @property
    def words(self) -> str:
        """The words of the API's errors, and of the probe's."""
        words = [error[name] for error in self.errors for name in _WORDS if name in error]
        return "\n".join([*(word for word in words if isinstance(word, str)), self.probe_words])

    def says(self, pattern: str) -> bool:
        """Whether the words of an error match a pattern, in any case."""
        return re.search(pattern, self.words, re.IGNORECASE) is not None

    @property
    def is_unknown_name(self) -> bool:
        """Whether the host's name does not exist, where other failures to look it up may pass."""
        errors = (e for e in self.chain if isinstance(e, socket.gaierror))
        is_unknown = any(e.errno in _UNKNOWN_NAME for e in errors)
        # The name that does not exist may be a proxy's.
        return is_unknown and not self.raised(ProxyError)

    def raised(self, *kinds: type[BaseException]) -> bool:
        """Whether the exception, or one that it was made from, is of these kinds."""
        return any(isinstance(e, kinds) for e in self.chain)

    @property
    def chain(self) -> Iterator[BaseException]:
        """The exception and those inside it: requests and urllib3 wrap them in four ways."""
        waiting: list[Any] = [self.exception]
        seen = set[int]()
        while waiting:
            current = waiting.pop()
            if not isinstance(current, BaseException) or id(current) in seen:
                continue
            seen.add(id(current))
            yield current
            context = None if current.__suppress_context__ else current.__context__
            inner = (getattr(current, "reason", None), current.__cause__, context)
            waiting.extend((*inner, *current.args))
