"""The causes that an exception tells, in the order in which they apply."""

import errno
import http.client
import socket
import ssl
from typing import Final

import requests
import urllib3

from source_kustomer.errors.cause import CONFIG, MANY, ONCE, SOME, SYSTEM, TRANSIENT, TWICE, Cause

NETWORK: Final = (
    Cause(
        "broken_body", "a body that is cut off, wrongly encoded or not JSON", MANY, TRANSIENT,
        "{host} sent a response that is cut off or is not JSON, again and again: run it again "
        "later.",
        lambda o: o.status is not None
        or o.raised(
            requests.exceptions.ChunkedEncodingError,
            requests.exceptions.ContentDecodingError,
            http.client.IncompleteRead,
            urllib3.exceptions.IncompleteRead,
            urllib3.exceptions.DecodeError,
            urllib3.exceptions.InvalidChunkLength,
        ),
    ),
    Cause(
        "proxy", "a proxy that cannot be used", SOME, CONFIG,
        "The proxy between this connector and {host} does not work: check HTTPS_PROXY, HTTP_PROXY "
        "and NO_PROXY where the connector runs.",
        lambda o: o.raised(requests.exceptions.ProxyError, urllib3.exceptions.ProxyError),
    ),
    Cause(
        "name_lookup", "a host name that cannot be looked up", MANY, TRANSIENT,
        "The name {host} could not be looked up, again and again: check the network and the name "
        "server (DNS) where the connector runs, and run it again later.",
        lambda o: o.raised(urllib3.exceptions.NameResolutionError, socket.gaierror),
    ),
    Cause(
        "tls", "a TLS handshake or certificate that fails", SOME, CONFIG,
        "No secure (TLS) connection to {host} could be made: check the clock of this machine and "
        "the certificates where the connector runs; if a company's proxy needs its own, name the "
        "file of them in REQUESTS_CA_BUNDLE.",
        lambda o: o.raised(
            requests.exceptions.SSLError, urllib3.exceptions.SSLError, ssl.SSLError
        ),
    ),
    Cause(
        "connection_refused", "a connection that is refused", MANY, TRANSIENT,
        "{host} refuses connections: check that a firewall lets the connector through, and run it "
        "again later.",
        lambda o: o.raised(ConnectionRefusedError),
    ),
    Cause(
        "timeout", "a connection on which no whole response came in time", TWICE, TRANSIENT,
        "{host} did not answer in time for {stream}, again and again: check the network where the "
        "connector runs, and run it again later.",
        lambda o: o.raised(requests.exceptions.ReadTimeout, urllib3.exceptions.ReadTimeoutError),
        is_size=True,
    ),
    Cause(
        "connect_timeout", "no connection in time", MANY, TRANSIENT,
        "No connection to {host} was made in time, again and again: check the network where the "
        "connector runs, and run it again later.",
        lambda o: o.raised(requests.exceptions.Timeout, TimeoutError),
    ),
    Cause(
        "full_machine", "a local disk or memory that is full", ONCE, SYSTEM,
        "The machine where the connector runs has no room left: free disk space or memory there.",
        lambda o: any(
            isinstance(e, OSError) and e.errno in {errno.ENOSPC, errno.ENOMEM} for e in o.chain
        ),
    ),
    Cause(
        "connection_lost", "any other failure of the network: reset, closed, unreachable", MANY,
        TRANSIENT,
        "The connection to {host} was lost, again and again: check the network where the connector "
        "runs, and run it again later.",
        lambda o: o.exception is not None,
    ),
)  # fmt: skip
