"""The road to Kustomer: each request leaves here, counted, timed, retried where it may help."""

import json
import logging
import math
import random
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, replace
from functools import cached_property, partial
from importlib.metadata import PackageNotFoundError, version
from typing import Any
from urllib.parse import urlsplit

import orjson
import requests
from requests.adapters import HTTPAdapter

from source_kustomer.config import Config
from source_kustomer.errors import Action, Cause, Failure, Outcome, Probe, cause_of, failure, said
from source_kustomer.rate_limit import LONG_WAIT, Budget, CancelledError, seconds_until_reset

PROBE_PATH = "auth/tokens/current"

_DISTRIBUTION = "airbyte-source-kustomer"

# A connection is made in well under a second everywhere; a full page was never seen to take 30 s.
_CONNECT_TIMEOUT = 10.0
_READ_TIMEOUT = 30.0

# The read timeout starts anew with every byte; an answer that trickles ends here.
_ANSWER_TIMEOUT = 120.0

# A hundred records of the largest known size are far below; beyond, memory is at risk.
_LARGEST_BODY = 256 * 1024 * 1024

# Read in pieces no larger than what a socket holds, because memory is set aside for all of one.
_CHUNK = 64 * 1024

# Only the beginning of an error's body is looked at.
_LONGEST_ERROR = 64 * 1024

_LONGEST_BACKOFF = 30.0

# Tried once more, because a connection that is lost says nothing of the key.
_PROBE_TRIES = 2

# Several threads that see the same refusal ask the probe once.
_PROBE_HOLDS = 30.0

logger = logging.getLogger("airbyte.source_kustomer")


@dataclass(frozen=True)
class Patience:
    """How long one page may take, in tries and seconds, and whether the limit may take longer."""

    tries: int
    seconds: float
    read_timeout: float = _READ_TIMEOUT
    outwaits_limit: bool = False


# Long enough to outlast a restart of the server; the platform starts a failed sync again anyway.
READING = Patience(tries=6, seconds=120, outwaits_limit=True)

# A wait that the server asks for, or for the rate limit, is sure to come to an end.
_LONGEST_ASKED_WAIT = 540.0

# What one page may take in all, beside waits for the budget.
_LONGEST_PAGE = 600.0

# How long nothing leaves after a 429 that does not say when it ends.
_UNKNOWN_RESET = 5.0

# After a page has failed for good, other lists find out quickly whether the outage is theirs too.
_OUTAGE_TRIES = 2


class Answer(requests.Response):
    """A response whose body has been read; `document` is its JSON; the times are of one clock."""

    document: Any = None
    asked_at: float = 0.0
    arrived_at: float = 0.0


class _Adapter(HTTPAdapter):
    """Makes `Answer`s, and never a retry or a redirect of its own."""

    def build_response(self, req: requests.PreparedRequest, resp: Any) -> Answer:
        answer = Answer()
        answer.__dict__.update(super().build_response(req, resp).__dict__)
        return answer


@dataclass
class Traffic:
    """What left and arrived so far."""

    requests: int = 0
    retries: int = 0
    received_bytes: int = 0


class Client:
    """Sends requests with the key to one organization's API."""

    def __init__(
        self,
        config: Config,
        budget: Budget | None = None,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        self.base_url = config.base_url
        self.budget = budget or Budget(config.share)
        self.traffic = Traffic()
        self._config = config
        self._sleep = sleep
        self._lock = threading.Lock()
        self._probe_lock = threading.Lock()
        self._probed: tuple[float, Outcome] | None = None
        self._host_was_reached = False
        self._outage = False
        self._key_was_accepted = False
        self._session = requests.Session()
        self._session.headers.update(
            {"Accept": "application/json", "User-Agent": f"{_DISTRIBUTION}/{_version()}"}
        )
        # Without it, requests looks for credentials of the host in the user's .netrc.
        self._session.auth = self._authorize
        for scheme in ("https://", "http://"):
            self._session.mount(scheme, _Adapter(pool_maxsize=32))

    def _authorize(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self._config.api_key}"
        return request

    @cached_property
    def host(self) -> str:
        """The host that is asked, as a user may read it."""
        return urlsplit(self.base_url).netloc

    @cached_property
    def _request(self) -> requests.PreparedRequest:
        """What all requests have in common; preparing one takes requests half a millisecond."""
        return self._session.prepare_request(requests.Request("GET", self.base_url))

    @cached_property
    def _settings(self) -> dict[str, Any]:
        """Proxies and certificates, as the environment of the process names them."""
        return {
            **self._session.merge_environment_settings(
                self.base_url, {}, stream=True, verify=None, cert=None
            )
        }

    def send(
        self,
        url: str,
        wanted: Callable[[], bool] = lambda: True,
        read_timeout: float = _READ_TIMEOUT,
    ) -> Answer:
        """Send one request within the budget and read its whole answer, whatever it is.

        Raises what requests and urllib3 raise, and `CancelledError` if it did not leave.
        """
        request = self._request.copy()
        request.prepare_url(url, None)
        timeout = (min(_CONNECT_TIMEOUT, read_timeout), read_timeout)
        with self.budget.request(wanted) as ticket:
            asked_at = time.monotonic()
            with self._lock:
                self.traffic.requests += 1
            answer = self._session.get_adapter(url).send(request, timeout=timeout, **self._settings)
            assert isinstance(answer, Answer)  # noqa: S101
            is_exceeded = answer.status_code == requests.codes.too_many_requests
            try:
                self._read_body(answer, asked_at + min(_ANSWER_TIMEOUT, 4 * read_timeout))
            finally:
                # A refusal is not counted as others' answers are: it says when to go on, not what
                # others will use then.
                if not is_exceeded:
                    self.budget.learn(answer.headers, ticket)
                answer.close()
            answer.asked_at, answer.arrived_at = asked_at, time.monotonic()
            if is_exceeded:
                asked = _reset(answer)
                pause = _UNKNOWN_RESET if asked is None else min(asked, _LONGEST_ASKED_WAIT)
                self.budget.pause(pause)
        self._host_was_reached = True
        with self._lock:
            self.traffic.received_bytes += len(answer.content)
        return answer

    def _read_body(self, answer: Answer, deadline: float) -> None:
        body = bytearray()
        while chunk := answer.raw.read1(_CHUNK, decode_content=True):
            body += chunk
            if time.monotonic() > deadline:
                raise requests.exceptions.ReadTimeout("the answer took too long")
            if len(body) > _LARGEST_BODY:
                raise requests.exceptions.ContentDecodingError("the answer is too large")
        answer._content = bytes(body)  # noqa: SLF001
        answer._content_consumed = True  # type: ignore[attr-defined]  # noqa: SLF001

    def get(
        self,
        url: str,
        *,
        stream: str = "",
        role: str = "",
        is_list: bool = True,
        patience: Patience = READING,
        ahead: Future[Answer] | None = None,
    ) -> Answer:
        """Get a JSON document, retrying where it may help; raises `Failure`.

        `ahead` is what came of the page's first try if it was fetched ahead.
        """
        answer, outcome = self._persist(url, patience, stream, is_list=is_list, ahead=ahead)
        if outcome is None:
            self._outage, self._key_was_accepted = False, True
            return answer
        cause = cause_of(outcome)
        self._outage = self._outage or cause.action is Action.RETRY
        raise self._failure(cause, answer, stream, role)

    def _persist(
        self,
        url: str,
        patience: Patience,
        stream: str,
        *,
        is_list: bool,
        ahead: Future[Answer] | None,
    ) -> tuple[Answer, Outcome | None]:
        """Try until it succeeds, with None for the outcome, or until trying on cannot help."""
        began, tries = time.monotonic(), 0
        while True:
            tries += 1
            answer, outcome, waited = self._try(url, patience, began, is_list=is_list, ahead=ahead)
            ahead = None
            if patience.outwaits_limit:
                # At a small share a request may wait for a minute, which says nothing of the page.
                began += waited
            if outcome is None:
                return answer, None
            cause = cause_of(outcome)
            asked = _reset(answer)
            wait = self._wait(cause, asked, tries)
            elapsed = time.monotonic() - began
            longest = patience.seconds
            if patience.outwaits_limit and (cause.action is Action.WAIT or asked is not None):
                longest = _LONGEST_ASKED_WAIT
            most = min(patience.tries, _OUTAGE_TRIES) if self._outage else patience.tries
            out_of_tries = cause.action is Action.RETRY and tries >= most
            if cause.action is Action.FAIL or out_of_tries or elapsed + wait > longest:
                return answer, outcome
            with self._lock:
                self.traffic.retries += 1
            logger.log(
                logging.WARNING if wait > LONG_WAIT else logging.INFO,
                "%s: %s%s; waiting %.1f s before try %d.",
                stream or "Kustomer",
                cause.name.replace("_", " "),
                f" (status {outcome.status})" if outcome.status else "",
                wait,
                tries + 1,
            )
            self._sleep(wait)

    def _try(
        self,
        url: str,
        patience: Patience,
        began: float,
        *,
        is_list: bool,
        ahead: Future[Answer] | None,
    ) -> tuple[Answer, Outcome | None, float]:
        """Try once; the outcome is None for a success, which has its document.

        The last is for how many seconds the budget was waited for.
        """
        unlimited = patience.outwaits_limit
        asked_at = left_at = time.monotonic()
        elapsed = asked_at - began
        # However long the limit was waited for, an answer has its time: up to four timeouts.
        left = max(1.0, (_LONGEST_PAGE - elapsed) / 4 if unlimited else patience.seconds - elapsed)

        def wanted() -> bool:
            # Asked last when the request leaves.
            nonlocal left_at
            left_at = time.monotonic()
            return unlimited or left_at < asked_at + left

        send = partial(self.send, url, wanted, min(patience.read_timeout, left))
        answer, outcome = self._settle(ahead.result if ahead else send, is_list=is_list)
        if outcome and outcome.refusal and not url.endswith(PROBE_PATH):
            outcome = self._ask_probe(outcome, patience)
        return answer, outcome, left_at - asked_at

    def _settle(
        self, receive: Callable[[], Answer], *, is_list: bool
    ) -> tuple[Answer, Outcome | None]:
        """Return what is received and its outcome, also where it is an exception."""
        try:
            answer = receive()
        except CancelledError as e:
            status = requests.codes.too_many_requests if e.is_exceeded else None
            return Answer(), Outcome(status=status, is_list=is_list, held_back=not e.is_exceeded)
        except Exception as e:  # noqa: BLE001
            # Which of requests', urllib3's and the socket's many exceptions it is, the table tells.
            return Answer(), Outcome(
                exception=e, is_list=is_list, host_was_reached=self._host_was_reached
            )
        return answer, self._outcome(answer, is_list=is_list)

    def _outcome(self, answer: Answer, *, is_list: bool) -> Outcome | None:
        try:
            answer.document = parse(answer.content)
        except ValueError:
            broken = True
        else:
            broken = False
        if not broken and answer.status_code == requests.codes.ok:
            return None
        beginning = answer.content[:_LONGEST_ERROR].decode("utf-8", "replace")
        return Outcome(
            status=answer.status_code,
            text=beginning,
            html=broken and beginning.lstrip().startswith("<"),
            broken=True,
            is_list=is_list,
            host_was_reached=True,
        )

    def probe(self, patience: Patience = READING) -> Outcome | None:
        """Ask what Kustomer says of the key itself; None if it is accepted."""
        with self._probe_lock:
            now = time.monotonic()
            if self._probed and now - self._probed[0] < _PROBE_HOLDS:
                outcome = self._probed[1]
            else:
                url = self.base_url + PROBE_PATH
                twice = replace(patience, tries=_PROBE_TRIES)
                answer, tried = self._persist(url, twice, "", is_list=False, ahead=None)
                outcome = tried or Outcome(status=answer.status_code, probe=Probe.ACCEPTED)
                self._probed = (now, outcome)
        return None if outcome.probe is Probe.ACCEPTED else outcome

    def _ask_probe(self, refused: Outcome, patience: Patience) -> Outcome:
        probed = self.probe(patience)
        if probed is None:
            return replace(refused, probe=Probe.ACCEPTED)
        if probed.status in {401, 403}:
            # The probe's words may tell more than the list's.
            words = f"{refused.text}\n{probed.text}"
            return replace(refused, probe=Probe.REFUSED, text=words)
        # Without a probe, another list that is open tells as much of the key.
        return replace(refused, probe=Probe.ACCEPTED if self._key_was_accepted else Probe.UNKNOWN)

    def failure_of(self, outcome: Outcome, stream: str = "", role: str = "") -> Failure:
        """Return the failure that an outcome ends in."""
        return self._failure(cause_of(outcome), None, stream, role, outcome.status)

    def _failure(
        self,
        cause: Cause,
        answer: Answer | None,
        stream: str,
        role: str,
        status: int | None = None,
    ) -> Failure:
        return failure(
            cause.name,
            organization=self._config.organization,
            host=self.host,
            stream=stream or "the API",
            role=role,
            status=status or (answer.status_code if answer is not None else ""),
            said=said(answer.document, self._config.api_key) if answer is not None else "",
        )

    @staticmethod
    def _wait(cause: Cause, asked: float | None, tries: int) -> float:
        """Seconds to wait before the next try, with jitter, so that clients do not come in step."""
        backoff = min(2.0 ** (tries - 1), _LONGEST_BACKOFF) * random.uniform(0.5, 1)  # noqa: S311
        if asked is not None:
            # Never all at the very moment, and not at once again where a reset lies in the past.
            return max(asked + min(backoff, 1.0), backoff)
        return _UNKNOWN_RESET * backoff if cause.action is Action.WAIT else backoff


def _reset(answer: Answer) -> float | None:
    """Seconds that an answer asks to wait, None where it does not."""
    return seconds_until_reset(answer.headers, time.time()) if answer.status_code else None


def parse(body: bytes) -> Any:
    """Parse JSON; raises `ValueError`."""
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        # A text that was cut in the middle of an emoji is valid to most servers, not to orjson, and
        # so is a number that no float holds.
        try:
            lenient = json.loads(body, parse_float=_finite)
            return orjson.loads(json.dumps(lenient, ensure_ascii=False).encode("utf-8", "replace"))
        except RecursionError as e:
            raise ValueError("nested too deeply") from e


def _finite(number: str) -> float | str:
    """Return a number as it was sent if it is beyond all floats."""
    value = float(number)
    return value if math.isfinite(value) else number


def _version() -> str:
    try:
        return version(_DISTRIBUTION)
    except PackageNotFoundError:
        return "unknown"
