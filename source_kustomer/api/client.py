"""Gets documents from one organization's API: a success is returned, a failure raised."""

import logging
import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, TypeVar
from urllib.parse import urlsplit

from airbyte_cdk.models import FailureType

from source_kustomer.api.decode import decode
from source_kustomer.api.headers import RateHeaders
from source_kustomer.api.rate_limit import CancelledError, LimitError, RateLimiter
from source_kustomer.api.retry import Attempts, Patience
from source_kustomer.api.transport import LARGEST_BODY, HttpTransport, Response, Transport
from source_kustomer.config import Config
from source_kustomer.errors import Failure, Fault, Outcome, failure
from source_kustomer.timing import DEFAULT_TIMING, SYSTEM_CLOCK, Clock, Timing

_SUCCESS = frozenset({200, 203})
_TOO_MANY = 429
_UNAVAILABLE = 503

# A wait worth a warning, in seconds.
_LONG_WAIT = 10.0

logger = logging.getLogger("airbyte.source_kustomer")

Value = TypeVar("Value")
Accept = Callable[[Any], Value]


@dataclass
class Traffic:
    """What left and arrived for one stream; threads share it."""

    requests: int = 0
    retries: int = 0
    received_bytes: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def add(self, *, requests: int = 0, retries: int = 0, received_bytes: int = 0) -> None:
        """Count what left or arrived."""
        with self._lock:
            self.requests += requests
            self.retries += retries
            self.received_bytes += received_bytes


@dataclass(frozen=True)
class Target:
    """What is asked for, the role that it takes, and the traffic that it caused so far."""

    name: str = "the API"
    role: str = ""
    is_list: bool = False
    traffic: Traffic = field(default_factory=Traffic)


class Client:
    """Sends requests within the rate limit, and retries them where that may help.

    Threads share it. `host_was_reached` and `key_was_accepted` only ever turn true; `is_outage`
    is true after a page failed for good that others may fail for too.
    """

    def __init__(
        self,
        config: Config,
        *,
        timing: Timing = DEFAULT_TIMING,
        transport: Transport | None = None,
        limiter: RateLimiter | None = None,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self.base_url = config.base_url
        self.host = urlsplit(config.base_url).netloc
        self.timing = timing
        self.clock = clock
        self.limiter = limiter or RateLimiter(config.share, timing, clock)
        self.host_was_reached = self.key_was_accepted = self.is_outage = False
        self._config = config
        self._transport = transport or HttpTransport(config, timing, clock)

    def send(
        self,
        url: str,
        traffic: Traffic,
        *,
        attempts: Attempts | None = None,
        wanted: Callable[[], bool] = lambda: True,
        largest_body: int = LARGEST_BODY,
    ) -> Response:
        """Send one request when the limit allows it and return its response, whatever it is.

        Raises `CancelledError` and `LimitError` if it did not leave, and what the transport raises.
        """
        began = self.clock.monotonic()
        with self.limiter.request(wanted, attempts.limit_left if attempts else None) as observe:
            if attempts:
                attempts.limit_waited += self.clock.monotonic() - began
            traffic.add(requests=1)
            response = self._transport.get(url, largest_body)
            headers = RateHeaders.parse(response.headers, self.clock.time())
            asks_to_wait = response.status == _UNAVAILABLE and headers.wait is not None
            is_short = asks_to_wait and not self._asks_too_long(headers)
            exceeded = response.status == _TOO_MANY or is_short
            observe(headers, exceeded=exceeded)
        self.host_was_reached = True
        traffic.add(received_bytes=len(response.content))
        return response

    def get(
        self,
        url: str,
        accept: Accept[Value],
        *,
        target: Target,
        explain: Callable[[Outcome], Outcome] = lambda outcome: outcome,
        patience: Patience | None = None,
        is_reading: bool = False,
        ahead: Future[Response] | None = None,
    ) -> Value:
        """Return what `accept` makes of the JSON at `url`; raises `Failure` after all attempts.

        `accept` raises `Fault` for a document that will not do. `explain` adds to an outcome what
        it takes to find its cause. `ahead` is the first attempt, where it was begun before.
        """
        attempts = Attempts(patience or Patience.reading(self.timing), self.timing, self.clock)
        while True:
            send = (
                ahead.result
                if ahead
                else partial(self.send, url, target.traffic, attempts=attempts)
            )
            ahead = None
            try:
                value = self._attempt(send, accept, target, is_reading=is_reading)
            except LimitError as e:
                raise self._failure(Outcome(exception=_fault(e)), target) from None
            except _UnsuccessfulError as e:
                failed = self._failure(explain(e.outcome), target)
            else:
                self.is_outage, self.key_was_accepted = False, True
                return value
            wait = attempts.wait(failed.cause)
            if attempts.are_over(failed.cause, wait, is_outage=self.is_outage):
                self.is_outage = self.is_outage or _may_be_an_outage(failed)
                raise failed
            target.traffic.add(retries=1)
            logger.log(
                logging.WARNING if wait > _LONG_WAIT else logging.INFO,
                "%s: %s%s; attempt %d %s.",
                target.name,
                failed.cause.name.replace("_", " "),
                f" (status {failed.outcome.status})" if failed.outcome.status else "",
                attempts.number + 1,
                f"in {wait:.1f} s" if wait else "when the limit allows it",
            )
            self.clock.sleep(wait)
            attempts.number += 1

    def _attempt(
        self,
        send: Callable[[], Response],
        accept: Accept[Value],
        target: Target,
        *,
        is_reading: bool,
    ) -> Value:
        known = partial(
            Outcome,
            is_list=target.is_list,
            is_reading=is_reading,
            host_was_reached=self.host_was_reached,
        )
        try:
            response = send()
        except (LimitError, CancelledError):
            raise
        except Exception as e:  # noqa: BLE001
            # Which of requests', urllib3's and the socket's many exceptions it is, the table tells.
            raise _UnsuccessfulError(known(exception=e)) from None
        refused = known(status=response.status, body=response.content, host_was_reached=True)
        if response.status not in _SUCCESS:
            headers = RateHeaders.parse(response.headers, self.clock.time())
            asks_too_long = self._asks_too_long(headers)
            raise _UnsuccessfulError(replace(refused, asks_too_long=asks_too_long))
        try:
            return accept(decode(response.content))
        except Fault as e:
            raise _UnsuccessfulError(known(exception=e)) from None
        except ValueError:
            raise _UnsuccessfulError(refused) from None

    def _asks_too_long(self, headers: RateHeaders) -> bool:
        return (headers.wait or 0.0) > self.timing.limit

    def _failure(self, outcome: Outcome, target: Target) -> Failure:
        return failure(
            outcome,
            secret=self._config.api_key,
            organization=self._config.organization,
            host=self.host,
            stream=target.name,
            role=target.role,
        )


class _UnsuccessfulError(Exception):
    """An attempt did not succeed."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__()
        self.outcome = outcome


def _may_be_an_outage(failed: Failure) -> bool:
    """Whether other lists may fail for it too: it passes, and is no fault of this document."""
    is_transient = failed.failure_type is FailureType.transient_error
    return is_transient and not isinstance(failed.outcome.exception, Fault)


def _fault(error: LimitError) -> Fault:
    return Fault("rate_limit" if error.is_exceeded else "used_up_share")
