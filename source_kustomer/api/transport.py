"""Sends one request and returns its whole response, within timeouts and up to a size."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from http.client import HTTPException
from typing import Any, Protocol
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from requests.utils import get_environ_proxies
from urllib3.exceptions import HTTPError

from source_kustomer import __version__
from source_kustomer.config import Config, is_loopback
from source_kustomer.errors import Fault
from source_kustomer.timing import DEFAULT_TIMING, SYSTEM_CLOCK, Clock, Timing

USER_AGENT = f"airbyte-source-kustomer/{__version__}"

# Statuses from here on are errors.
_BAD_REQUEST = 400

# A hundred records of the largest known size are far below; beyond, memory is at risk.
LARGEST_BODY = 256 * 1024 * 1024

# Of an error, only the beginning is read.
_LONGEST_ERROR = 64 * 1024

# As many as requests may be in flight, so that none has to be made anew.
_CONNECTIONS = 32

# Read in pieces no larger than what a socket holds, because memory is set aside for all of one.
_CHUNK = 64 * 1024

# In the order in which they apply.
_BUNDLE_VARIABLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE")


@dataclass(frozen=True)
class Response:
    """A whole response; `headers` are by lower-case name, `sent_at` is of a monotonic clock."""

    status: int
    headers: Mapping[str, str]
    content: bytes
    sent_at: float

    @property
    def is_error(self) -> bool:
        """Whether the status is a client's or a server's error."""
        return self.status >= _BAD_REQUEST


class Transport(Protocol):
    """Sends requests."""

    def get(self, url: str, largest_body: int = LARGEST_BODY) -> Response: ...


class HttpTransport:
    """Sends requests with the organization's key over a pool of connections."""

    def __init__(
        self, config: Config, timing: Timing = DEFAULT_TIMING, clock: Clock = SYSTEM_CLOCK
    ) -> None:
        self._config = config
        self._timing = timing
        self._clock = clock
        self._adapter = HTTPAdapter(pool_maxsize=_CONNECTIONS)

    def get(self, url: str, largest_body: int = LARGEST_BODY) -> Response:
        """Send a GET request and read the whole response, whatever its status.

        Raises what requests, urllib3 and sockets raise, and `Fault` for a body that is too large.
        """
        request = self._request.copy()
        request.prepare_url(url, None)
        timeout = (self._timing.connect, self._timing.silence)
        sent_at = self._clock.monotonic()
        with self._adapter.send(request, timeout=timeout, stream=True, **self._settings) as answer:
            body = _body(answer, largest_body)
        headers = {name.lower(): value for name, value in answer.headers.items()}
        return Response(answer.status_code, headers, body, sent_at)

    @cached_property
    def _request(self) -> requests.PreparedRequest:
        # What all requests have in common; preparing one takes requests half a millisecond.
        headers = {
            "Accept": "application/json",
            "Accept-Encoding": "gzip, deflate",
            "Authorization": f"Bearer {self._config.api_key}",
            "User-Agent": USER_AGENT,
        }
        return requests.Request("GET", self._config.base_url, headers=headers).prepare()

    @cached_property
    def _settings(self) -> dict[str, Any]:
        # Proxies and certificates, as the environment names them.
        url = self._config.base_url
        # A key in plain text never leaves the machine.
        proxies = {} if is_loopback(urlsplit(url)) else get_environ_proxies(url)
        bundles = filter(None, map(os.environ.get, _BUNDLE_VARIABLES))
        return {"proxies": proxies, "verify": next(bundles, True)}


def _body(answer: requests.Response, largest: int) -> bytes:
    """Read a body; of an error, whose status and headers say what to do, as much as arrives."""
    body, is_error = bytearray(), answer.status_code >= _BAD_REQUEST
    try:
        while chunk := answer.raw.read1(_CHUNK, decode_content=True):
            body += chunk
            if is_error and len(body) > _LONGEST_ERROR:
                break
            if len(body) > largest:
                raise Fault("large_body", megabytes=largest // 2**20)
    except (OSError, HTTPError, HTTPException):
        if not is_error:
            raise
    return bytes(body)
