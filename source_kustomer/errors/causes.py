"""The table of causes: everything that can go wrong, and which row explains it."""

import http.client
import math
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import requests
import urllib3
from airbyte_cdk.models import FailureType

from source_kustomer.errors.evidence import Evidence, Fault

_CONFIG: Final = FailureType.config_error
_TRANSIENT: Final = FailureType.transient_error
_SYSTEM: Final = FailureType.system_error

# What cannot help is not tried again.
_ONCE: Final = 1
# A second look, because the first response may come from a server that is being replaced.
_TWICE: Final = 2
# Outlasts a hiccup of a few seconds without losing the person who waits for `check`.
_SOME: Final = 4
# A server restarts meanwhile; the platform starts a failed sync again anyway.
_MANY: Final = 6


@dataclass(frozen=True)
class Cause:
    """How evidence is recognized, how often a page is tried, and what the user reads.

    `closes_list` says that the list is not for this key, while others may be; `ends_list`, that an
    API may answer so past a list's end; `is_size`, that a smaller page may succeed.
    """

    name: str
    recognized_by: str
    attempts: float
    failure_type: FailureType
    sentence: str
    recognizes: Callable[[Evidence], bool] = lambda _: False
    closes_list: bool = False
    ends_list: bool = False
    is_size: bool = False


NEW_KEY: Final = (
    "the roles of a key cannot be changed after it is made, so make a new key under "
    "Settings > Security > API Keys"
)

# Sentences name what was asked for: "the customers list", "the metadata of customers".
# The first row that recognizes the evidence applies; faults are found by their name.
CAUSES: Final = (
    Cause(
        "proxy", "407, or a proxy that cannot be used", _SOME, _CONFIG,
        "The proxy between this connector and {host} does not let requests through: check "
        "HTTPS_PROXY, HTTP_PROXY, ALL_PROXY and NO_PROXY where the connector runs (addresses "
        "begin with http or https), and the user name and password in them if the proxy asks for "
        "these.",
        # The address of the API is valid, so an invalid one is a proxy's.
        lambda e: e.status == 407
        or e.raised(
            requests.exceptions.ProxyError,
            requests.exceptions.InvalidURL,
            requests.exceptions.InvalidSchema,
            urllib3.exceptions.ProxyError,
        ),
    ),
    Cause(
        "rate_limit", "429, or a rate limit that leaves no room in time", math.inf, _TRANSIENT,
        "Kustomer's rate limit left no capacity to request {what} in time: run the sync again "
        "later, change the share of the rate limit, or find what else is using the API.",
        lambda e: e.status == 429,
    ),
    Cause(
        "large_page", "413, or 400 or 422 that mentions the size of a page", _TWICE, _SYSTEM,
        "Kustomer rejected even the smallest page of {what} as too large (status {status}): please "
        "report this to the connector's maintainers.{said}",
        lambda e: e.status == 413
        or (e.status in {400, 422} and e.says(r"page ?size|too (large|big|many)|size of|payload")),
        is_size=True,
    ),
    Cause(
        "gateway_timeout", "504", _MANY, _TRANSIENT,
        "Kustomer's server took too long for {what} on every attempt (status {status}): run the "
        "sync again later, and check Kustomer's status page if the problem persists.{said}",
        lambda e: e.status == 504,
        is_size=True,
    ),
    Cause(
        "timeout", "a connection on which no whole response came in time", _TWICE, _TRANSIENT,
        "The server {host} did not return {what} in time on any attempt: check the network where "
        "the connector runs, and run the sync again later.",
        lambda e: e.raised(requests.exceptions.ReadTimeout, urllib3.exceptions.ReadTimeoutError),
        is_size=True,
    ),
    Cause(
        "no_api", "3xx, a web page, or text with 401, 403 or 404", _MANY, _TRANSIENT,
        "The server {host} returned a redirect, a web page or plain text instead of data (status "
        "{status}): "
        "check the organization name '{organization}', and whether a firewall or proxy intercepts "
        "the connection; Kustomer may also be under maintenance, so run the sync again later.",
        lambda e: e.status in range(300, 400)
        or (
            e.is_foreign
            and (e.status in {401, 403, 404} or (e.is_html and e.status not in range(402, 500)))
        ),
    ),
    Cause(
        "other_region", "an error that mentions another pod", _TWICE, _CONFIG,
        "The API key belongs to an organization in another Kustomer region: check that the "
        "organization name '{organization}' and the key belong together.{said}",
        lambda e: e.says(r"associated with pod|handled by prod"),
    ),
    Cause(
        "expired_key", "401 or 403 with `Expired token`, from the list or from the probe", _TWICE,
        _CONFIG,
        "The API key has expired: make a new key under Settings > Security > API Keys and enter "
        "it in the source's settings.",
        lambda e: e.status in {401, 403} and e.says(r"expired"),
    ),
    Cause(
        "ip_restricted", "401 or 403 that mentions an IP address, a CIDR or an allow-list",
        _TWICE, _CONFIG,
        "Kustomer rejects this API key from the connector's IP address: add the address to the "
        "key's IP restriction under Settings > Security > API Keys, or use a key without a "
        "restriction.{said}",
        lambda e: e.status in {401, 403}
        and e.says(r"\bIPs?\b|\bip[ _-]?address|\bcidr|allow-?list|whitelist"),
    ),
    Cause(
        "lost_access", "401 or 403 in the middle of a list", _MANY, _TRANSIENT,
        "Kustomer stopped accepting the API key while {what} was read (status {status}): check "
        "that the key is still valid, and run the sync again.{said}",
        lambda e: e.status in {401, 403} and e.is_reading,
    ),
    Cause(
        "missing_role",
        "401 or 403 from a list while the probe accepts the key, or 403 with no probe to ask",
        _TWICE, _CONFIG,
        "The API key may not read {what}: it lacks the role {role}; " + NEW_KEY + " with it.",
        lambda e: e.is_list
        and (
            (e.status in {401, 403} and e.is_key_accepted)
            or (e.status == 403 and e.is_key_accepted is not False)
        ),
        closes_list=True,
    ),
    Cause(
        "refused_key", "401 or 403 otherwise", _TWICE, _CONFIG,
        "Kustomer does not accept the API key for the organization '{organization}': copy the "
        "whole key again from Settings > Security > API Keys, and check the organization name.",
        lambda e: e.status in {401, 403},
    ),
    Cause(
        "busy_server", "408, 421, 423, 425 or 499, or any other 5xx", _MANY, _TRANSIENT,
        "Kustomer's server could not answer for {what} on any attempt (status {status}): run the "
        "sync again later, and check Kustomer's status page if the problem persists.{said}",
        lambda e: e.status in {408, 421, 423, 425, 499}
        or (e.status is not None and e.status >= 500),
    ),
    Cause(
        "lost_page", "any other 4xx in the middle of a list", _SOME, _TRANSIENT,
        "Kustomer refused a page in the middle of {what} (status {status}): run the sync again "
        "later, and tell Kustomer's support if the problem persists.{said}",
        lambda e: e.is_reading and e.status in range(400, 500),
        ends_list=True,
    ),
    Cause(
        "unavailable_list", "404 from a list while the probe accepts the key", _SOME, _CONFIG,
        "Kustomer does not offer {what} to the organization '{organization}' or to this API key "
        "(404 not found): remove the stream from the connection, or ask Kustomer for access.",
        lambda e: e.status == 404 and e.is_list and e.is_key_accepted is True,
        closes_list=True,
        ends_list=True,
    ),
    Cause(
        "unknown_organization", "404 otherwise, or a host name that does not exist", _SOME, _CONFIG,
        "Kustomer knows no organization '{organization}' ({host} was not found): check the "
        "organization name, and that this machine can resolve public host names.",
        lambda e: e.status == 404 or (e.is_unknown_name and not e.host_was_reached),
        ends_list=True,
    ),
    Cause(
        "rejected_request", "any other 4xx", _SOME, _SYSTEM,
        "Kustomer rejected a request for {what} (status {status}): please report this to the "
        "connector's maintainers.{said}",
        lambda e: e.status in range(400, 500),
        ends_list=True,
    ),
    Cause(
        "broken_body", "a body that is cut off, wrongly encoded or not JSON", _MANY, _TRANSIENT,
        "The server {host} returned truncated or invalid JSON for {what}: run the sync again "
        "later.",
        lambda e: e.status is not None
        or e.raised(
            requests.exceptions.ChunkedEncodingError,
            requests.exceptions.ContentDecodingError,
            http.client.IncompleteRead,
            urllib3.exceptions.IncompleteRead,
            urllib3.exceptions.DecodeError,
            urllib3.exceptions.InvalidChunkLength,
        ),
    ),
    Cause(
        "name_lookup", "a host name that cannot be looked up", _MANY, _TRANSIENT,
        "The name {host} could not be resolved: check the network and the DNS server where the "
        "connector runs, and run the sync again later.",
        lambda e: e.raised(urllib3.exceptions.NameResolutionError, socket.gaierror),
    ),
    Cause(
        "tls", "a TLS handshake or certificate that fails, or certificates that are not there",
        _SOME, _CONFIG,
        "The TLS connection to {host} failed: check the clock of this machine and the certificates "
        "where the connector runs; if a corporate proxy uses its own certificates, "
        "REQUESTS_CA_BUNDLE, CURL_CA_BUNDLE or SSL_CERT_FILE must name their file.",
        # For a file that is not there, requests raises an OSError that no system call made.
        lambda e: e.raised(
            requests.exceptions.SSLError, urllib3.exceptions.SSLError, ssl.SSLError
        )
        or (type(e.exception) is OSError and e.exception.errno is None),
    ),
    Cause(
        "connection", "any other failure of the network: refused, reset, no connection in time",
        _MANY, _TRANSIENT,
        "Every attempt to connect to {host} failed or was interrupted: check the network and the "
        "firewall where the connector runs, and run the sync again later.",
        lambda e: e.exception is not None,
    ),
    Cause(
        "large_body", "a body that is too large to be held in memory", _ONCE, _TRANSIENT,
        "A response for {what} is larger than {megabytes} MB, too large for a page of records: run "
        "the sync again later, and tell Kustomer's support if the problem persists.",
    ),
    Cause(
        "unexpected_document", "JSON that is not what the API documents", _MANY, _TRANSIENT,
        "The JSON that {host} returned for {what} does not match Kustomer's API documentation: "
        "check the organization name '{organization}', and run the sync again later.",
    ),
    Cause(
        "foreign_link", "`links.next` that leaves the list's own address", _TWICE, _SYSTEM,
        "The link to the next page of {what} leads to another address and was not followed: please "
        "report this to the connector's maintainers.",
    ),
    Cause(
        "wrong_page", "a page, or a link to one, that is not the next", _MANY, _TRANSIENT,
        "The pages of {what} arrived out of order ({detail}): run the sync again later, and tell "
        "Kustomer's support if the problem persists.",
    ),
    Cause(
        "fallen_total", "`meta.total` that falls by far while the list is read", _MANY, _TRANSIENT,
        "The total of {what} fell from {before} to {total} while it was read and did not recover: "
        "run the sync again, which reads the list from its start.",
    ),
    Cause(
        "cut_off", "a list that ends before its total", _MANY, _TRANSIENT,
        "Kustomer ended {what} after {records} of {total} records on every attempt: run the sync "
        "again later; if the problem persists, Kustomer is truncating the list: ask its support to "
        "lift the limit.",
    ),
    Cause(
        "second_look",
        "a surprising page that no second response confirms, or a list that changes faster than "
        "it can be read", _MANY, _TRANSIENT,
        "Kustomer's responses for {what} keep contradicting one another: run the sync again at a "
        "quieter time.",
    ),
)  # fmt: skip

_BY_NAME: Final = {cause.name: cause for cause in CAUSES}


def cause_of(evidence: Evidence) -> Cause:
    """Return the row that explains an attempt that did not succeed."""
    if isinstance(evidence.exception, Fault):
        return _BY_NAME[evidence.exception.name]
    return next(cause for cause in CAUSES if cause.recognizes(evidence))
