"""Gets documents from one organization's API: a success is returned, a failure raised."""

import logging
import math
import random
import threading
from collections.abc import Callable
from concurrent.futures import Future, wait
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeVar
from urllib.parse import urlsplit

import requests
from airbyte_cdk.models import FailureType

from source_kustomer.api import background
from source_kustomer.api.decode import decode
from source_kustomer.api.headers import RateHeaders
from source_kustomer.api.rate_limit import LONG_WAIT, RateLimiter
from source_kustomer.api.transport import LARGEST_BODY, HttpTransport, Response, Transport
from source_kustomer.config import Config
from source_kustomer.errors import Evidence, Failure, Fault, failure
from source_kustomer.timing import DEFAULT_TIMING, SYSTEM_CLOCK, Clock, Timing

_SUCCESS = frozenset({200, 203})
_TOO_MANY = 429
_UNAVAILABLE = 503

# After a page has failed for good, other lists give up sooner, because every attempt may cost a
# timeout.
_OUTAGE_ATTEMPTS = 2

logger = logging.getLogger("airbyte.source_kustomer")

Value = TypeVar("Value")


@dataclass(frozen=True)
class Traffic:
    """What was sent and received, and the seconds that requests waited for the rate limit."""

    requests: int
    retries: int
    received_bytes: int
    waited: float


@dataclass
class _Waits:
    """The seconds that the attempts at one page waited for the rate limit."""

    seconds: float = 0.0


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
        self._counting = threading.Lock()
        self._retries = self._received_bytes = 0
        self._ends_at = clock.monotonic() + seconds
        self._config = config
        self._transport = transport or HttpTransport(config, timing, clock)
        self._probing = threading.Lock()
        self._is_probed = False
        self._refusal: Failure | None = None

    @property
    def traffic(self) -> Traffic:
        """What was sent and received so far."""
        requests, waited = self.limiter.pace.started, self.limiter.waited
        return Traffic(requests, self._retries, self._received_bytes, waited)

    def send(
        self,
        url: str,
        *,
        waits: _Waits | None = None,
        wanted: Callable[[], bool] = lambda: True,
        largest_body: int = LARGEST_BODY,
        is_ahead: bool = False,
    ) -> Response:
        """Send one request when the limit allows it and return its response, whatever it is.

        One that `is_ahead` has no deadline here, because whoever takes its response has one.
        Raises `CancelledError` if it is not `wanted` any more, `Fault` if the limit does not allow
        it in time, and what the transport raises.
        """
        waits, began = waits or _Waits(), self.clock.monotonic()
        limit_ends = min(began + self.timing.limit - waits.seconds, self._ends_at)
        with self.limiter.request(wanted, limit_ends) as observe:
            waits.seconds += self.clock.monotonic() - began
            get = partial(self._transport.get, url, largest_body)
            response = get() if is_ahead else self._in_time(get)
            headers = RateHeaders.parse(response.headers, self.clock.time())
            # A 503 with a wait that fits is a pause; one with a longer wait is retried.
            pause = headers.wait if response.status == _UNAVAILABLE else None
            is_pause = pause is not None and self.clock.monotonic() + pause <= limit_ends
            observe(headers, exceeded=response.status == _TOO_MANY or is_pause)
        self._host_was_reached = True
        with self._counting:
            self._received_bytes += len(response.content)
        return response

    def get(
        self,
        url: str,
        accept: Callable[[Any], Value],
        *,
        what: str,
        role: str = "",
        is_reading: bool = False,
        ahead: Future[Response] | None = None,
    ) -> Value:
        """Return what `accept` makes of the JSON at `url`; raises `Failure` after all attempts.

        `accept` raises `Fault` for a document that it refuses. `what` names the document in
        messages; `role` is the role that it takes, empty for the probe. `ahead` is the first
        attempt, if it has been started already.
        """
        number, began, waits = 1, self.clock.monotonic(), _Waits()
        while True:
            known = evidence = Evidence(
                is_list=bool(role), is_reading=is_reading, host_was_reached=self._host_was_reached
            )
            try:
                response = ahead.result() if ahead else self.send(url, waits=waits)
                evidence = replace(known, status=response.status, body=response.content)
            except Exception as e:  # noqa: BLE001
                # Which of requests', urllib3's and the socket's many exceptions, the table tells.
                evidence = replace(known, exception=e)
            if evidence.status in _SUCCESS:
                try:
                    value = accept(decode(evidence.body))
                except Fault as e:
                    evidence = replace(known, exception=e)
                except ValueError:
                    # It is not JSON, and told by its status and body.
                    pass
                else:
                    self.is_outage = False
                    return value
            failed = self._failure(self._with_probe(evidence), what, role)
            elapsed = self.clock.monotonic() - began - waits.seconds
            seconds = self._next_wait(failed, number, elapsed)
            if seconds is None:
                self.is_outage = self.is_outage or _may_be_an_outage(failed)
                raise failed
            logger.log(
                logging.WARNING if seconds > LONG_WAIT else logging.INFO,
                "Asking for %s again %s, attempt %d: %s%s.",
                what,
                f"in {seconds:.1f} s" if seconds else "now",
                number + 1,
                failed.cause.name.replace("_", " "),
                f" (status {failed.evidence.status})" if failed.evidence.status else "",
            )
            self.clock.sleep(seconds)
            self._retries += 1
            number, ahead = number + 1, None

    def probe(self) -> Failure | None:
        """Return why the key is refused or cannot be probed, None if the API accepts it.

        `GET /v1/auth/tokens/current`, which answers any valid key, is asked once.
        """
        with self._probing:
            if not self._is_probed:
                try:
                    self.get(f"{self.base_url}auth/tokens/current", lambda _: None, what="the key")
                except Failure as e:
                    self._refusal = e
                self._is_probed = True
            return self._refusal

    def _with_probe(self, evidence: Evidence) -> Evidence:
        """Add to evidence what the probe says, where it takes that to find its cause."""
        if not (evidence.is_list and evidence.is_denial) or evidence.is_foreign:
            return evidence
        refusal = self.probe()
        if refusal and refusal.evidence.is_refusal:
            # The probe's words may tell more than the list's.
            words = refusal.evidence.words
            return replace(evidence, is_key_accepted=False, probe_words=words)
        return replace(evidence, is_key_accepted=None if refusal else True)

    def _next_wait(self, failed: Failure, number: int, elapsed: float) -> float | None:
        """Return the seconds until the next attempt at a page, None if there is none.

        `elapsed` are the seconds since the first one, without those for the rate limit.
        """
        cause, exception = failed.cause, failed.evidence.exception
        if math.isinf(cause.attempts):
            # After a 429, the limiter waits; its own fault ends the attempts.
            return None if exception else 0.0
        seconds = exception.wait if isinstance(exception, Fault) else None
        if seconds is None:
            # With jitter against lockstep.
            longest = min(self.timing.backoff * 2.0 ** (number - 1), self.timing.longest_backoff)
            seconds = longest * random.uniform(0.75, 1)  # noqa: S311
        most = min(cause.attempts, _OUTAGE_ATTEMPTS) if self.is_outage else cause.attempts
        is_late = self.clock.monotonic() + seconds >= self._ends_at
        if number >= most or is_late or elapsed + seconds > self.timing.page:
            return None
        return seconds

    def _in_time(self, request: Callable[[], Response]) -> Response:
        """Wait for a response, which may trickle or hang anywhere, until its deadline."""
        seconds = min(self.timing.response, self._ends_at - self.clock.monotonic())
        response = background.start(request)
        wait([response], max(0.0, seconds))
        if not response.done():
            raise requests.exceptions.ReadTimeout("the whole response took too long")
        return response.result()

    def _failure(self, evidence: Evidence, what: str, role: str) -> Failure:
        return failure(
            evidence,
            secret=self._config.api_key,
            organization=self._config.organization,
            host=urlsplit(self.base_url).netloc,
            what=what,
            role=role,
        )


def _may_be_an_outage(failed: Failure) -> bool:
    """Whether other lists may fail for it too: it passes, and is not specific to a document."""
    is_transient = failed.failure_type is FailureType.transient_error
    is_of_document = isinstance(failed.evidence.exception, Fault) or failed.cause.ends_list
    return is_transient and not is_of_document
