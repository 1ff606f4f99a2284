"""Every answer and every failure of the network: what it is, what is done, what the user reads.

`CAUSES` is the one place that decides; the first row that recognizes an outcome applies.
"""

import http.client
import re
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

import requests
import urllib3
from airbyte_cdk.models import FailureType
from airbyte_cdk.utils.traced_exception import AirbyteTracedException

CONFIG: Final = FailureType.config_error
TRANSIENT: Final = FailureType.transient_error
SYSTEM: Final = FailureType.system_error

# Words of a server worth showing to a user fit into a line of a log.
LONGEST_QUOTE = 200

# A key, or a part of one, has no blank in it; no word of a language is as long.
_LIKE_A_SECRET = re.compile(r"\S{24,}")


class Action(Enum):
    """What is done about an outcome."""

    FAIL = "fail"
    RETRY = "retry"
    WAIT = "wait for the limit, then retry"


class Probe(Enum):
    """What `/v1/auth/tokens/current` says of the key."""

    ACCEPTED = "accepted"
    REFUSED = "refused"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Outcome:
    """What came of one request: an answer with a status, or an exception instead of one."""

    status: int | None = None
    text: str = ""
    html: bool = False
    broken: bool = False
    exception: BaseException | None = None
    is_list: bool = True
    probe: Probe | None = None
    host_was_reached: bool = False
    held_back: bool = False

    @property
    def refusal(self) -> bool:
        """Whether the probe is needed to tell why the answer is a refusal."""
        return self.status in {401, 403, 404}

    def says(self, pattern: str) -> bool:
        """Whether an error answer contains the pattern, in any case."""
        failed = self.status is not None and self.status >= 400
        return failed and re.search(pattern, self.text, re.IGNORECASE) is not None

    def raised(self, *kinds: type[BaseException]) -> bool:
        """Whether the exception, or one that it was made from, is of these kinds."""
        return any(isinstance(e, kinds) for e in _chain(self.exception))


def _chain(exception: BaseException | None) -> Iterator[BaseException]:
    """Yield an exception and those inside it: requests and urllib3 wrap them in four ways."""
    waiting, seen = [exception], set[int]()
    while waiting:
        current = waiting.pop()
        if not isinstance(current, BaseException) or id(current) in seen:
            continue
        seen.add(id(current))
        yield current
        inner = (getattr(current, "reason", None), current.__cause__, current.__context__)
        waiting.extend((*inner, *current.args))


@dataclass(frozen=True)
class Cause:
    """A row of the table: a cause, how it is recognized, what is done, what the user reads."""

    name: str
    recognized_by: str
    recognizes: Callable[[Outcome], bool]
    action: Action
    failure_type: FailureType
    sentence: str


class Failure(AirbyteTracedException):
    """A cause that ends a stream or a check, with the sentence that the user reads."""

    def __init__(self, cause: Cause, message: str) -> None:
        super().__init__(
            internal_message=cause.name, message=message, failure_type=cause.failure_type
        )
        self.cause = cause


def _never(_: Outcome) -> bool:
    """Recognize nothing: the row is named by the code that finds it."""
    return False


NEW_KEY = (
    "the roles of a key cannot be changed after it is made, so make a new key under "
    "Settings > Security > API Keys"
)

CAUSES: Final = (
    Cause(
        "proxy",
        "a proxy that cannot be used",
        lambda o: o.raised(requests.exceptions.ProxyError, urllib3.exceptions.ProxyError),
        Action.RETRY,
        CONFIG,
        "The proxy between this connector and {host} does not work: check HTTPS_PROXY, HTTP_PROXY "
        "and NO_PROXY where the connector runs.",
    ),
    Cause(
        "proxy_login",
        "407",
        lambda o: o.status == 407,
        Action.FAIL,
        CONFIG,
        "The proxy between this connector and {host} asks for a user name and a password: put them "
        "into HTTPS_PROXY or HTTP_PROXY where the connector runs.",
    ),
    Cause(
        "other_region",
        "an error that speaks of another pod",
        lambda o: o.says(r"associated with pod|handled by prod"),
        Action.FAIL,
        CONFIG,
        "The API key belongs to an organization in another Kustomer region: check that the "
        "organization name '{organization}' and the key belong together.{said}",
    ),
    Cause(
        "expired_key",
        "401 or 403 with `Expired token`, from the list or from the probe",
        lambda o: o.status in {401, 403} and o.says(r"expired|has expired"),
        Action.FAIL,
        CONFIG,
        "The API key has expired: make a new key under Settings > Security > API Keys and enter "
        "it here.",
    ),
    Cause(
        "ip_restricted",
        "401 or 403 that speaks of an IP address, a CIDR or an allow-list",
        lambda o: o.status in {401, 403}
        and o.says(r"\bIPs?\b|\bip[ _-]?address|\bcidr|allow-?list|whitelist"),
        Action.FAIL,
        CONFIG,
        "Kustomer refuses this API key from the network address of this connector: add the address "
        "to the key's IP restriction under Settings > Security > API Keys, or use a key without "
        "one.{said}",
    ),
    Cause(
        "missing_role",
        "401 or 403 from a list while the probe accepts the key, or 403 with no probe to ask",
        lambda o: o.is_list
        and (
            (o.status in {401, 403} and o.probe is Probe.ACCEPTED)
            or (o.status == 403 and o.probe is not Probe.REFUSED)
        ),
        Action.FAIL,
        CONFIG,
        "The API key may not read {stream}: it lacks the role {role}; " + NEW_KEY + " with it.",
    ),
    Cause(
        "refused_key",
        "401 or 403 otherwise",
        lambda o: o.status in {401, 403},
        Action.FAIL,
        CONFIG,
        "Kustomer does not accept the API key for the organization '{organization}': copy the "
        "whole key once more from Settings > Security > API Keys, and check the organization name.",
    ),
    Cause(
        "unavailable_list",
        "404 from a list while the probe accepts the key",
        lambda o: o.status == 404 and o.is_list and o.probe is Probe.ACCEPTED,
        Action.FAIL,
        CONFIG,
        "Kustomer does not offer {stream} to the organization '{organization}' or to this API key "
        "(404 not found): leave the stream {stream} out, or ask Kustomer for access.",
    ),
    Cause(
        "unknown_organization",
        "404 otherwise, or a host name that does not exist",
        lambda o: o.status == 404
        or (
            o.raised(urllib3.exceptions.NameResolutionError, socket.gaierror)
            and not o.host_was_reached
        ),
        Action.FAIL,
        CONFIG,
        "Kustomer knows no organization '{organization}' ({host} was not found): check the "
        "organization name, and that this machine can look up names on the internet.",
    ),
    Cause(
        "used_up_share",
        "the share of the rate limit, which let no request leave while `check` could wait",
        lambda o: o.held_back,
        Action.FAIL,
        TRANSIENT,
        "What this connector may use of the organization's rate limit is used up, so that {stream} "
        "could not be asked for: run it again later, or raise the share of the rate limit.",
    ),
    Cause(
        "rate_limit",
        "429",
        lambda o: o.status == 429,
        Action.WAIT,
        TRANSIENT,
        "Kustomer's rate limit for the organization stayed exceeded: run the sync again later, "
        "lower the share of the rate limit, or find what else uses the API.",
    ),
    Cause(
        "redirect",
        "3xx",
        lambda o: o.status is not None and 300 <= o.status < 400,
        Action.FAIL,
        CONFIG,
        "{host} redirects to another address, which is not followed because the API key would go "
        "there: check the organization name '{organization}'.",
    ),
    Cause(
        "rejected_request",
        "any other 4xx",
        lambda o: o.status is not None and 400 <= o.status < 500,
        Action.FAIL,
        SYSTEM,
        "Kustomer rejected a request for {stream} with status {status}: please report this to the "
        "connector's maintainers.{said}",
    ),
    Cause(
        "maintenance_page",
        "HTML instead of JSON, with any other status",
        lambda o: o.html,
        Action.RETRY,
        TRANSIENT,
        "{host} answers with a web page instead of data (status {status}): Kustomer may be under "
        "maintenance, or something on the way intercepts the connection; run it again later.",
    ),
    Cause(
        "server_failure",
        "5xx",
        lambda o: o.status is not None and o.status >= 500,
        Action.RETRY,
        TRANSIENT,
        "Kustomer's server failed with status {status} again and again: run it again later, and "
        "look at Kustomer's status page if it lasts.{said}",
    ),
    Cause(
        "broken_body",
        "a body that is cut off, wrongly encoded or not JSON",
        lambda o: o.broken
        or o.raised(
            requests.exceptions.ChunkedEncodingError,
            requests.exceptions.ContentDecodingError,
            http.client.IncompleteRead,
            urllib3.exceptions.IncompleteRead,
            urllib3.exceptions.DecodeError,
            urllib3.exceptions.InvalidChunkLength,
        ),
        Action.RETRY,
        TRANSIENT,
        "{host} sent an answer that is cut off or is not JSON, again and again: run it again "
        "later.",
    ),
    Cause(
        "tls",
        "a TLS handshake or certificate that fails",
        lambda o: o.raised(requests.exceptions.SSLError, urllib3.exceptions.SSLError),
        Action.RETRY,
        CONFIG,
        "No secure (TLS) connection to {host} could be made: check the clock of this machine and "
        "the certificates (a company's proxy may need its own) where the connector runs.",
    ),
    Cause(
        "connection_refused",
        "a connection that is refused",
        lambda o: o.raised(ConnectionRefusedError),
        Action.RETRY,
        TRANSIENT,
        "{host} refuses connections: check that a firewall lets the connector through, and run it "
        "again later.",
    ),
    Cause(
        "timeout",
        "no connection, or no complete answer, in time",
        lambda o: o.raised(
            requests.exceptions.Timeout, urllib3.exceptions.ReadTimeoutError, TimeoutError
        ),
        Action.RETRY,
        TRANSIENT,
        "{host} did not answer in time, again and again: check the network where the connector "
        "runs, and run it again later.",
    ),
    Cause(
        "connection_lost",
        "any other failure of the network: reset, closed, unreachable",
        lambda o: o.exception is not None,
        Action.RETRY,
        TRANSIENT,
        "The connection to {host} was lost, again and again: check the network where the connector "
        "runs, and run it again later.",
    ),
    Cause(
        "not_a_list",
        "JSON without a list of resources in `data`",
        _never,
        Action.FAIL,
        TRANSIENT,
        "{host} answered for {stream} with JSON that is not a list of records: check the "
        "organization name, and run it again later.",
    ),
    Cause(
        "no_links",
        "a full page without `links`",
        _never,
        Action.FAIL,
        TRANSIENT,
        "A full page of {records} {stream} came without the links that say whether more follow, so "
        "the list might be short: run it again later.",
    ),
    Cause(
        "foreign_link",
        "`links.next` that leaves the list's own address",
        _never,
        Action.FAIL,
        SYSTEM,
        "The link to the next page of {stream} leads away from {host}/v1/{stream} and was not "
        "followed: please report this to the connector's maintainers.",
    ),
    Cause(
        "circling_link",
        "`links.next` that leads to a page already read",
        _never,
        Action.FAIL,
        TRANSIENT,
        "The link to the next page of {stream} leads back to a page already read, so the list has "
        "no end: run it again later, and tell Kustomer's support if it lasts.",
    ),
    Cause(
        "wrong_page",
        "`meta.page` that is not the page asked for",
        _never,
        Action.FAIL,
        TRANSIENT,
        "Kustomer was asked for page {asked} of {stream} and sent page {got}, so records might be "
        "missed: run it again later.",
    ),
    Cause(
        "empty_pages",
        "many empty pages in a row that each promise another",
        _never,
        Action.FAIL,
        TRANSIENT,
        "{pages} pages of {stream} in a row were empty and each promised another: run it again "
        "later, and tell Kustomer's support if it lasts.",
    ),
    Cause(
        "moving_list",
        "a list that moves faster than its moved pages can be read again",
        _never,
        Action.FAIL,
        TRANSIENT,
        "{stream} change faster than they can be read, {pages} pages were read again in vain: run "
        "it again at a quieter time.",
    ),
    Cause(
        "cut_off",
        "a list that ends on a full page while its total promises more",
        _never,
        Action.FAIL,
        SYSTEM,
        "Kustomer ended the list of {stream} after {records} of {total} records, although its last "
        "page was full: a limit on Kustomer's side cuts it off, so ask Kustomer's support to lift "
        "it.",
    ),
)  # fmt: skip

WARNINGS: Final = {
    "short_list": "The list of {stream} ended after {records} of {total} records: the API key may "
    "not see the others, or they were removed while the list was read.",
    "suspected_cap": "The list of {stream} ended on exactly {records} records: if there are more, "
    "Kustomer cut it off; ask Kustomer's support.",
    "expired_cursor": "Kustomer does not know the page of {stream} any more at which the last sync "
    "stopped: the list is read from its start.",
    "foreign_state": "The state of {stream} is not one that this connector wrote: the list is read "
    "from its start.",
}

_BY_NAME: Final = {cause.name: cause for cause in CAUSES}


def cause_of(outcome: Outcome) -> Cause:
    """Return the row that explains an outcome that is no success."""
    return next(cause for cause in CAUSES if cause.recognizes(outcome))


def failure(name: str, **details: object) -> Failure:
    """Make the failure of a named row; `details` fill its sentence."""
    cause = _BY_NAME[name]
    return Failure(cause, cause.sentence.format_map(_Details(details)))


class _Details(dict[str, object]):
    def __missing__(self, key: str) -> str:
        return "" if key == "said" else "the list"


def said(document: Any, secret: str) -> str:
    """Quote the server's own words from either error body, where they are short and harmless."""
    errors = document.get("errors") if isinstance(document, dict) else None
    first = errors[0] if isinstance(errors, list) and errors else None
    if not isinstance(first, dict):
        return ""
    words = first.get("detail") or first.get("message") or first.get("title")
    if not isinstance(words, str):
        return ""
    quote = " ".join(words.split())
    harmless = secret not in quote and not _LIKE_A_SECRET.search(quote) and "@" not in quote
    if not quote.isprintable() or not harmless or not 0 < len(quote) <= LONGEST_QUOTE:
        return ""
    return f" Kustomer said: '{quote}'."
