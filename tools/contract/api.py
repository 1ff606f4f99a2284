"""The API as the checks see it: each request is sent once, at a pace within the share."""

import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import requests

from source_kustomer.config import Config

# A person waits for the report, and an organization's minute has 300 requests at least.
MOST_REQUESTS = 60

# Kustomer's smallest plan, until a response names the limit.
_SMALLEST_LIMIT = 300

_TIMEOUT = (10.0, 30.0)
_ATTEMPTS = 3
_BACKOFF = 1.0

# A minute is the limit's window; without a word of the server, a few looks fit into it.
_LONGEST_PAUSE = 60.0
_UNKNOWN_PAUSE = 15.0

# Larger numbers of `x-ratelimit-reset` can only be epoch seconds.
_EPOCHS = 1_000_000_000

# Neither is anybody's.
MADE_UP_KEY = "made-up-key-of-the-contract-checks"
MADE_UP_ORGANIZATION = "no-such-organization-27d1c2"

_DOMAIN = ".api.kustomerapp.com"


@dataclass(frozen=True)
class Response:
    """A response, or in `failure` why there is none."""

    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    document: Any = None
    is_json: bool = False
    is_html: bool = False
    failure: str = ""

    @property
    def is_ok(self) -> bool:
        """Whether it is a success with a document."""
        return self.status == requests.codes.ok and self.is_json

    @property
    def outcome(self) -> str:
        """The status, or why there is none."""
        if self.status is None:
            return self.failure
        is_odd = self.status == requests.codes.ok and not self.is_json
        return f"{self.status} without JSON" if is_odd else str(self.status)

    def member(self, *names: str) -> Any:
        """Return a nested member of the document, None where it is not there."""
        value = self.document
        for name in names:
            value = value.get(name) if isinstance(value, dict) else None
        return value


class Api:
    """Sends requests with the key, remembers their responses and counts them."""

    def __init__(
        self,
        config: Config,
        *,
        sleep: Callable[[float], object] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.sent = 0
        self.refusals: list[Response] = []
        self.successes: list[Response] = []
        self._config, self._sleep, self._clock = config, sleep, clock
        self._limit = _SMALLEST_LIMIT
        self._next_at = clock()
        self._remembered: dict[tuple[str, str, int], Response] = {}
        self._session = requests.Session()
        self._session.headers["Accept"] = "application/json"

    @property
    def base_url(self) -> str:
        """The address that paths are relative to; it ends with a slash."""
        return self._config.base_url

    @property
    def is_kustomer(self) -> bool:
        """Whether the API is at Kustomer's own address."""
        return (urlsplit(self.base_url).hostname or "").endswith(_DOMAIN)

    def get(self, path: str, *, key: str | None = None, reading: int = 1) -> Response:
        """Get a path under `/v1/`; another `reading` asks for it once more."""
        return self._get(self.base_url + path, key or self._config.api_key, reading)

    def get_elsewhere(self, path: str) -> Response:
        """Get a path of an organization that does not exist, without the user's key."""
        address = urlsplit(self.base_url)
        if self.is_kustomer:
            address = address._replace(netloc=MADE_UP_ORGANIZATION + _DOMAIN)
        else:
            # Without subdomains, as in the sandbox, the path names the organization.
            address = address._replace(path=f"/{MADE_UP_ORGANIZATION}{address.path}")
        return self._get(urlunsplit(address) + path, MADE_UP_KEY, 1)

    def _get(self, url: str, key: str, reading: int) -> Response:
        asked = (url, key, reading)
        if asked not in self._remembered:
            self._remembered[asked] = self._persist(url, key)
        return self._remembered[asked]

    def _persist(self, url: str, key: str) -> Response:
        response = Response(failure="not asked: the requests are used up")
        for attempt in range(_ATTEMPTS):
            if self.sent >= MOST_REQUESTS:
                break
            response = self._send(url, key)
            if response.status == requests.codes.too_many_requests:
                self.refusals.append(response)
                self._sleep(_pause(response.headers))
            elif response.status is None or response.status >= requests.codes.server_error:
                self._sleep(_BACKOFF * 2**attempt)
            else:
                break
        return response

    def _send(self, url: str, key: str) -> Response:
        now = self._clock()
        if now < self._next_at:
            self._sleep(self._next_at - now)
        self._next_at = max(now, self._next_at) + 6000 / (self._limit * self._config.share)
        self.sent += 1
        try:
            # A callable, because requests prefers a user's .netrc to a header. A redirect would
            # lead the key elsewhere.
            came = self._session.get(
                url, auth=_Bearer(key), timeout=_TIMEOUT, allow_redirects=False
            )
        except requests.exceptions.Timeout:
            return Response(failure="no response in time")
        except requests.exceptions.SSLError:
            return Response(failure="no TLS connection")
        except requests.exceptions.RequestException as e:
            # Only DNS failures say so, and only in their text.
            is_unknown = "resolve" in str(e).lower() or "getaddrinfo" in str(e).lower()
            return Response(failure="no such host" if is_unknown else "no connection")
        response = _read(came)
        self._limit = number(response.headers.get("x-ratelimit-limit")) or self._limit
        if response.is_ok:
            self.successes.append(response)
        return response


class _Bearer(requests.auth.AuthBase):
    def __init__(self, key: str) -> None:
        self._key = key

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self._key}"
        return request


def number(value: object) -> int | None:
    """Return a whole number that may be written as text."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    return int(value) if isinstance(value, str) and re.fullmatch(r"[0-9]{1,18}", value) else None


def _read(came: requests.Response) -> Response:
    headers = {name.lower(): value for name, value in came.headers.items()}
    is_html = "html" in headers.get("content-type", "") or came.text.lstrip().startswith("<")
    try:
        document = came.json()
    except ValueError:
        return Response(came.status_code, headers, is_html=is_html)
    return Response(came.status_code, headers, document, is_json=True)


def _pause(headers: Mapping[str, str]) -> float:
    """Return the seconds until a limit that was exceeded is free again."""
    for name in ("retry-after", "x-ratelimit-reset"):
        value = headers.get(name, "")
        if value.isascii() and value.isdigit():
            seconds = float(value) - (time.time() if float(value) > _EPOCHS else 0)
            return min(max(seconds, 1.0), _LONGEST_PAUSE)
    return _UNKNOWN_PAUSE
