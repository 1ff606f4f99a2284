"""Gets documents from one organization's API: a success is returned, a failure raised."""

import logging
import math
import random
import threading
from collections.abc import Callable
from concurrent.futures import Future, wait
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, TypeVar
from urllib.parse import urlsplit

import requests
from airbyte_cdk.models import FailureType

from source_kustomer.api import background
from source_kustomer.api.decode import decode
from source_kustomer.api.headers import RateHeaders
from source_kustomer.api.rate_limit import LimitError, RateLimiter
from source_kustomer.api.transport import LARGEST_BODY, HttpTransport, Response, Transport
from source_kustomer.config import Config
from source_kustomer.errors import Cause, Evidence, Failure, Fault, failure
from source_kustomer.timing import DEFAULT_TIMING, SYSTEM_CLOCK, Clock, Timing

_SUCCESS = frozenset({200, 203})
_TOO_MANY = 429
_UNAVAILABLE = 503

# A wait worth a warning, in seconds.
_LONG_WAIT = 10.0

# After a page has failed for good, other lists give up sooner, because every attempt may cost a
# timeout.
_OUTAGE_ATTEMPTS = 2

logger = logging.getLogger("airbyte.source_kustomer")

Value = TypeVar("Value")
Accept = Callable[[Any], Value]
Explain = Callable[[Evidence], Evidence]


@dataclass
class Traffic:
    """What was sent and received for one stream; threads share it."""

    requests: int = 0
    retries: int = 0
    received_bytes: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def add(self, *, requests: int = 0, retries: int = 0, received_bytes: int = 0) -> None:
        """Count what was sent or received."""
        with self._lock:
            self.requests += requests
            self.retries += retries
            self.received_bytes += received_bytes


@dataclass(frozen=True)
class Target:
    """What is asked for, in words, the role that it takes, and the traffic that it caused."""

    what: str = "the API"
    role: str = ""
    is_list: bool = False
    traffic: Traffic = field(default_factory=Traffic)

    @classmethod
    def of_list(cls, name: str, role: str) -> "Target":
        """Return the target of a list."""
        return cls(f"the {name} list", role, is_list=True)


class _Attempts:
    """The attempts at one page so far, and when they end."""

    def __init__(self, timing: Timing, clock: Clock, ends_at: float) -> None:
        self.number = 1
        # Seconds waited for the rate limit, which are counted apart.
        self.limited = 0.0
        self._timing = timing
        self._clock = clock
        self._ends_at = ends_at
        self._started_at = clock.monotonic()

    @property
    def limit_left(self) -> float:
        """The seconds for which the next attempt may wait for the rate limit."""
        left = min(self._timing.limit - self.limited, self._ends_at - self._clock.monotonic())
        return max(0.0, left)

    def wait(self, failed: Failure) -> float:
        """Return the seconds to wait before the next attempt, with jitter against lockstep."""
        exception = failed.evidence.exception
        if isinstance(exception, Fault) and exception.wait is not None:
            return exception.wait
        if math.isinf(failed.cause.attempts):
            # The limiter waits, and ends the attempts.
            return 0.0
        longest = self._timing.backoff * 2.0 ** (self.number - 1)
        return min(longest, self._timing.longest_backoff) * random.uniform(0.75, 1)  # noqa: S311

    def should_stop(self, cause: Cause, wait: float, *, is_outage: bool) -> bool:
        """Whether no attempt follows this one, which failed for `cause`."""
        if math.isinf(cause.attempts):
            return False
        most = min(cause.attempts, _OUTAGE_ATTEMPTS) if is_outage else cause.attempts
        now = self._clock.monotonic()
        elapsed = now - self._started_at - self.limited
        is_late = elapsed + wait > self._timing.page or now + wait >= self._ends_at
        return self.number >= most or is_late


class Client:
    """Sends requests within the rate limit, and retries them where that may help.

    Threads share it. No response is waited for after `seconds`. `is_outage` is true after a page
    failed for good for a reason that others may share.
    """

    def __init__(
        self,
        config: Config,
        *,
        timing: Timing = DEFAULT_TIMING,
        transport: Transport | None = None,
        limiter: RateLimiter | None = None,
        clock: Clock = SYSTEM_CLOCK,
        seconds: float = math.inf,
    ) -> None:
        self.base_url = config.base_url
        self.timing = timing
        self.clock = clock
        self.limiter = limiter or RateLimiter(config.share, timing, clock)
        self.is_outage = False
        self._host_was_reached = False
        self._ends_at = clock.monotonic() + seconds
        self._config = config
        self._transport = transport or HttpTransport(config, timing, clock)

    def send(
        self,
        url: str,
        traffic: Traffic,
        *,
        attempts: _Attempts | None = None,
        wanted: Callable[[], bool] = lambda: True,
        largest_body: int = LARGEST_BODY,
        is_ahead: bool = False,
    ) -> Response:
        """Send one request when the limit allows it and return its response, whatever it is.

        One that `is_ahead` has no deadline here, because whoever takes its response has one.
        Raises `CancelledError` and `LimitError` if it was not sent, and what the transport raises.
        """
        attempts = attempts or _Attempts(self.timing, self.clock, self._ends_at)
        began = self.clock.monotonic()
        with self.limiter.request(wanted, attempts.limit_left) as observe:
            attempts.limited += self.clock.monotonic() - began
            traffic.add(requests=1)
            get = partial(self._transport.get, url, largest_body)
            response = get() if is_ahead else self._in_time(get)
            headers = RateHeaders.parse(response.headers, self.clock.time())
            # A server that is unavailable for longer is no rate limit, and is retried.
            pause = headers.wait if response.status == _UNAVAILABLE else None
            is_pause = pause is not None and pause <= attempts.limit_left
            observe(headers, exceeded=response.status == _TOO_MANY or is_pause)
        self._host_was_reached = True
        traffic.add(received_bytes=len(response.content))
        return response

    def get(
        self,
        url: str,
        accept: Accept[Value],
        *,
        target: Target,
        explain: Explain = lambda evidence: evidence,
        is_reading: bool = False,
        ahead: Future[Response] | None = None,
    ) -> Value:
        """Return what `accept` makes of the JSON at `url`; raises `Failure` after all attempts.

        `accept` raises `Fault` for a document that it refuses. `explain` adds to evidence what it
        takes to find its cause. `ahead` is the first attempt, if it has been started already.
        """
        attempts = _Attempts(self.timing, self.clock, self._ends_at)
        while True:
            send = partial(self.send, url, target.traffic, attempts=attempts)
            known = Evidence(
                is_list=target.is_list,
                is_reading=is_reading,
                host_was_reached=self._host_was_reached,
            )
            try:
                value = _attempt(ahead.result if ahead else send, accept, known)
            except LimitError:
                limited = replace(known, exception=Fault("rate_limit"))
                raise self._failure(limited, target) from None
            except _UnsuccessfulError as e:
                failed = self._failure(explain(e.evidence), target)
            else:
                self.is_outage = False
                return value
            ahead = None
            seconds = attempts.wait(failed)
            if attempts.should_stop(failed.cause, seconds, is_outage=self.is_outage):
                self.is_outage = self.is_outage or _may_be_an_outage(failed)
                raise failed
            target.traffic.add(retries=1)
            logger.log(
                logging.WARNING if seconds > _LONG_WAIT else logging.INFO,
                "Asking for %s again %s, attempt %d: %s%s.",
                target.what,
                f"in {seconds:.1f} s" if seconds else "now",
                attempts.number + 1,
                failed.cause.name.replace("_", " "),
                f" (status {failed.evidence.status})" if failed.evidence.status else "",
            )
            self.clock.sleep(seconds)
            attempts.number += 1

    def _in_time(self, request: Callable[[], Response]) -> Response:
        """Wait for a response, which may trickle or hang anywhere, until its deadline."""
        seconds = min(self.timing.response, self._ends_at - self.clock.monotonic())
        response = background.start(request)
        wait([response], max(0.0, seconds))
        if not response.done():
            raise requests.exceptions.ReadTimeout("the whole response took too long")
        return response.result()

    def _failure(self, evidence: Evidence, target: Target) -> Failure:
        return failure(
            evidence,
            secret=self._config.api_key,
            organization=self._config.organization,
            host=urlsplit(self.base_url).netloc,
            what=target.what,
            role=target.role,
        )


class _UnsuccessfulError(Exception):
    """An attempt did not succeed."""

    def __init__(self, evidence: Evidence) -> None:
        super().__init__()
        self.evidence = evidence


def _attempt(send: Callable[[], Response], accept: Accept[Value], known: Evidence) -> Value:
    try:
        response = send()
    except LimitError:
        raise
    except Exception as e:  # noqa: BLE001
        # Which of requests', urllib3's and the socket's many exceptions it is, the table tells.
        raise _UnsuccessfulError(replace(known, exception=e)) from None
    refused = replace(known, status=response.status, body=response.content)
    if response.status not in _SUCCESS:
        raise _UnsuccessfulError(refused)
    try:
        return accept(decode(response.content))
    except Fault as e:
        raise _UnsuccessfulError(replace(known, exception=e)) from None
    except ValueError:
        raise _UnsuccessfulError(refused) from None


def _may_be_an_outage(failed: Failure) -> bool:
    """Whether other lists may fail for it too: it passes, and is not specific to a document."""
    is_transient = failed.failure_type is FailureType.transient_error
    is_of_document = isinstance(failed.evidence.exception, Fault) or failed.cause.ends_list
    return is_transient and not is_of_document
