"""The table of causes: what recognizes each row, what is done about it, what its user reads."""

import ast
import errno
import http.client
import json
import math
import re
import socket
import ssl
from pathlib import Path
from string import Formatter
from typing import Any

import pytest
import requests
import urllib3
from airbyte_cdk.models import FailureType
from fakes import KEY
from hypothesis import given
from hypothesis import strategies as st
from urllib3 import HTTPSConnectionPool
from urllib3.connection import HTTPSConnection

import source_kustomer
from source_kustomer.errors import CAUSES, WARNINGS, Cause, Evidence, Fault, cause_of, failure

POOL = HTTPSConnectionPool("acme.api.kustomerapp.com")
CONNECTION = HTTPSConnection("acme.api.kustomerapp.com")

# What the client tells of every failure.
DETAILS = {
    "organization": "acme",
    "host": "acme.api.kustomerapp.com",
    "what": "the tags list",
    "role": "org.permission.tag.read",
}


def said(status: int, words: str = "no", member: str = "message", **known: Any) -> Evidence:
    """Make evidence whose body is an error of the API."""
    return Evidence(status, json.dumps({"errors": [{member: words}]}).encode(), **known)


def html(status: int, words: str = "We'll be back") -> Evidence:
    return Evidence(status, f"\n <!DOCTYPE html><h1>{words}</h1>".encode())


def raised(exception: Exception, **known: Any) -> Evidence:
    return Evidence(exception=exception, **known)


def from_requests(kind: type[Exception], inner: BaseException, **known: Any) -> Evidence:
    """Wrap an exception as requests does one of urllib3's retries."""
    wrapped = urllib3.exceptions.MaxRetryError(POOL, "/v1/tags", inner)  # type: ignore[arg-type]
    return raised(kind(wrapped), **known)


def unresolved(number: int) -> Exception:
    inner = socket.gaierror(number, "it is not found")
    error = urllib3.exceptions.NameResolutionError("acme", CONNECTION, inner)
    error.__cause__ = inner
    return error


def protocol(inner: Exception) -> Evidence:
    return raised(urllib3.exceptions.ProtocolError("broken", inner))


LOST = requests.exceptions.ConnectionError
PROXY = requests.exceptions.ProxyError
OTHER_REGION = "Auth token associated with pod prod2"
NO_TUNNEL = OSError("Tunnel connection failed: 407 Proxy Authentication Required")

# Rows that evidence tells, which is as the libraries raise it. The others are raised as a `Fault`
# of their name.
CASES = [
    # Statuses and words.
    ("proxy", said(407, f"IP {OTHER_REGION}")),
    ("large_page", said(400, "pageSize is too large")),
    ("large_page", Evidence(413)),
    *(("large_page", said(422, w)) for w in ("Payload", "size of it", "page size", "too big")),
    ("large_page", said(400, "too many")),
    ("rejected_request", said(402, "too many")),
    ("gateway_timeout", said(504, "Timeout")),
    ("rate_limit", said(429, "Too many requests")),
    ("other_region", said(401, OTHER_REGION)),
    ("other_region", said(400, "this request can only be HANDLED BY PROD4")),
    ("other_region", said(403, OTHER_REGION, is_key_accepted=True)),
    ("other_region", said(500, OTHER_REGION)),
    ("expired_key", said(403, "expired", "code", is_key_accepted=True)),
    ("expired_key", said(401, is_key_accepted=False, probe_words="Expired token")),
    ("expired_key", said(403, "Token expired", "title", is_reading=True)),
    ("rejected_request", said(400, "expired")),
    ("ip_restricted", said(401, "your IP 1.2.3.4", "detail", is_key_accepted=True)),
    *(("ip_restricted", said(403, w)) for w in ("unknown ip_address", "not in CIDR", "IPs")),
    *(("ip_restricted", said(403, w)) for w in ("no allow-list", "allowlist", "whitelisted")),
    ("missing_role", said(403, "no ship for this tip")),
    ("rejected_request", said(400, "IP address")),
    # Lists, and what the probe says of the key.
    *(("missing_role", said(403, is_key_accepted=known)) for known in (None, True)),
    ("missing_role", said(401, is_key_accepted=True)),
    *(("refused_key", said(401, is_key_accepted=known)) for known in (None, False)),
    ("refused_key", said(403, is_key_accepted=False)),
    ("refused_key", said(401, is_key_accepted=True, is_list=False)),
    ("refused_key", said(403, is_list=False)),
    ("lost_access", said(401, is_key_accepted=True, is_reading=True)),
    ("lost_access", said(403, is_key_accepted=False, is_reading=True)),
    *(("lost_page", said(status, is_reading=True)) for status in (400, 402, 451)),
    ("lost_page", said(404, is_key_accepted=True, is_reading=True)),
    ("busy_server", said(408, is_reading=True)),
    ("unavailable_list", said(404, is_key_accepted=True)),
    *(("unknown_organization", said(404, is_key_accepted=known)) for known in (None, False)),
    ("unknown_organization", said(404, is_key_accepted=True, is_list=False)),
    # Something on the way: whatever it says, it is not the API that says it.
    *(("no_api", html(status, OTHER_REGION)) for status in (200, 302, 400, 401, 500)),
    ("no_api", Evidence(403, b"error code: 1020")),
    ("no_api", Evidence(401, b"Your session has expired", is_key_accepted=True)),
    ("no_api", Evidence(404, b"default backend - 404", is_reading=True)),
    *(("rejected_request", html(status)) for status in (402, 498)),
    ("rate_limit", html(429)),
    ("gateway_timeout", html(504)),
    ("busy_server", Evidence(503, b"no healthy upstream")),
    ("refused_key", Evidence(401, b" \n")),
    ("broken_body", Evidence(200, b"associated with pod")),
    # The borders of the classes of statuses.
    *(("broken_body", Evidence(status)) for status in (101, 199, 202, 205, 299)),
    *(("no_api", Evidence(status)) for status in (300, 304, 399)),
    *(("rejected_request", said(status)) for status in (400, 409, 422, 424, 451, 498)),
    *(("busy_server", said(status)) for status in (408, 421, 423, 425, 499, 500, 501, 999)),
    # Exceptions.
    ("proxy", from_requests(PROXY, urllib3.exceptions.ProxyError("no", TimeoutError()))),
    ("proxy", raised(urllib3.exceptions.ProxyError("no", unresolved(socket.EAI_NONAME)))),
    ("proxy", raised(PROXY(NO_TUNNEL))),
    ("proxy", raised(requests.exceptions.InvalidURL("http://"))),
    ("proxy", raised(requests.exceptions.InvalidSchema("socks"))),
    ("unknown_organization", from_requests(LOST, unresolved(socket.EAI_NONAME))),
    ("name_lookup", from_requests(LOST, unresolved(socket.EAI_NONAME), host_was_reached=True)),
    ("name_lookup", from_requests(LOST, unresolved(socket.EAI_AGAIN))),
    ("name_lookup", raised(socket.gaierror(socket.EAI_FAIL, "failed"))),
    ("tls", from_requests(LOST, urllib3.exceptions.SSLError("wrong version number"))),
    ("tls", raised(ssl.SSLError(1, "handshake"))),
    ("tls", raised(requests.exceptions.SSLError("no"))),
    ("tls", raised(OSError("Could not find a suitable TLS CA certificate bundle"))),
    ("timeout", raised(urllib3.exceptions.ReadTimeoutError(POOL, "/v1/tags", "timed out"))),
    ("timeout", raised(requests.exceptions.ReadTimeout("too long"))),
    ("connection", from_requests(requests.exceptions.ConnectTimeout, TimeoutError("no"))),
    ("connection", protocol(http.client.RemoteDisconnected("closed without response"))),
    ("connection", raised(OSError(errno.ENETUNREACH, "unreachable"))),
    ("connection", raised(ConnectionResetError())),
    ("connection", raised(ValueError("what nobody has thought of"))),
    ("broken_body", raised(urllib3.exceptions.IncompleteRead(5, 10))),
    ("broken_body", protocol(http.client.IncompleteRead(b"x", 10))),
    ("broken_body", protocol(urllib3.exceptions.InvalidChunkLength(urllib3.HTTPResponse(), b"x"))),
    ("broken_body", raised(urllib3.exceptions.DecodeError("not gzip"))),
    ("broken_body", raised(requests.exceptions.ContentDecodingError("bad"))),
    ("broken_body", raised(requests.exceptions.ChunkedEncodingError("cut"))),
]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "evidence"), CASES, ids=[f"{name} {n}" for n, (name, _) in enumerate(CASES)]
)
def test_of_rows_that_recognize_the_evidence_the_first_applies(
    name: str, evidence: Evidence
) -> None:
    assert cause_of(evidence).name == name


def fields(sentence: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(sentence) if name}


def own_details(cause: Cause) -> set[str]:
    return fields(cause.sentence) - {*DETAILS, "status", "said"}


@pytest.mark.parametrize("cause", CAUSES, ids=lambda cause: cause.name)
def test_the_user_reads_what_went_wrong_with_all_details_and_what_to_do(cause: Cause) -> None:
    own: dict[str, Any] = {name: f"<{name}>" for name in own_details(cause)}
    evidence = dict(reversed(CASES)).get(cause.name, raised(Fault(cause.name, **own)))
    failed = failure(evidence, secret=KEY, **DETAILS)
    assert (failed.cause, failed.internal_message) == (cause, cause.name)
    assert failed.evidence is evidence
    assert failed.failure_type is cause.failure_type
    message, named = failed.message or "", fields(cause.sentence)
    shown = {**DETAILS, **own, "status": str(evidence.status), "said": " Kustomer said: '"}
    assert [name for name in named if shown[name] not in message] == []
    assert ("Kustomer said: " in message) == ("said" in named)
    assert re.fullmatch(r"[A-Z][^{}]{60,}\.", message)
    is_transient = failed.failure_type is FailureType.transient_error
    assert ("run the sync again" in message) == is_transient


def test_each_fault_is_raised_with_the_details_that_its_sentence_takes() -> None:
    needed = {cause.name: own_details(cause) for cause in CAUSES}
    by_fault = {*needed} - {name for name, _ in CASES}
    for path in Path(source_kustomer.__file__).parent.rglob("*.py"):
        for call in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(call, ast.Call) and ast.unparse(call.func) == "Fault":
                name = ast.literal_eval(call.args[0])
                assert {str(k.arg) for k in call.keywords} - {"wait"} == needed[name], name
                by_fault.discard(name)
    assert not by_fault, "nothing raises them"


FOR_THE_KEY = "other_region expired_key ip_restricted missing_role refused_key"


@pytest.mark.parametrize(
    ("what", "value", "names"),
    [
        ("attempts", 1, "large_body"),
        ("attempts", 2, f"large_page timeout {FOR_THE_KEY} foreign_link"),
        (
            "attempts",
            4,
            "proxy lost_page unavailable_list unknown_organization rejected_request tls",
        ),
        ("attempts", math.inf, "rate_limit"),
        ("failure_type", FailureType.system_error, "large_page rejected_request foreign_link"),
        ("closes_list", True, "missing_role unavailable_list"),
        ("ends_list", True, "lost_page unavailable_list unknown_organization rejected_request"),
        ("is_size", True, "large_page gateway_timeout timeout"),
    ],
)
def test_what_is_done_is_done_for_these_rows_alone(what: str, value: object, names: str) -> None:
    assert [cause.name for cause in CAUSES if getattr(cause, what) == value] == names.split()


def test_only_an_api_that_answers_in_json_refuses_a_key() -> None:
    assert [said(status).is_refusal for status in (401, 403, 404)] == [True, True, False]
    assert Evidence(401).is_refusal
    assert not html(401).is_refusal


def wrapped(attribute: str, inner: Exception) -> Exception:
    outer = ValueError("outer")
    setattr(outer, attribute, (inner, "other") if attribute == "args" else inner)
    return outer


WRAPS = ["args", "reason", "__cause__", "__context__"]


@pytest.mark.parametrize("wrap", WRAPS)
@pytest.mark.parametrize("again", WRAPS)
def test_an_exception_is_found_however_it_was_wrapped(wrap: str, again: str) -> None:
    evidence = raised(wrapped(again, wrapped(wrap, KeyError("inner"))))
    assert evidence.raised(IndexError, KeyError)
    assert not evidence.raised(IndexError)


def test_exceptions_that_hold_each_other_end_and_what_was_replaced_is_not_looked_at() -> None:
    one, other = ValueError("one"), ValueError("other")
    one.__cause__, other.__context__, other.args = other, one, (one, other)
    assert not raised(one).raised(KeyError)
    assert not Evidence(500).raised(BaseException)
    replaced = wrapped("__context__", KeyError("inner"))
    replaced.__suppress_context__ = True
    assert not raised(replaced).raised(KeyError)


def message_of(evidence: Evidence, secret: str = KEY) -> str:
    return failure(evidence, secret=secret, **DETAILS).message or ""


@given(
    status=st.integers(100, 599) | st.just(999),
    body=st.one_of(
        st.binary(max_size=30),
        st.text(max_size=30).map(lambda words: said(400, words).body),
        st.sampled_from([b"<html>", b"{}", b"[" * 100_000, b'{"errors": [5, {"code": 5}]}']),
    ),
    is_list=st.booleans(),
    is_reading=st.booleans(),
    is_key_accepted=st.none() | st.booleans(),
)
def test_every_response_has_a_row_and_no_odd_one_is_final(
    *, status: int, body: bytes, **known: bool | None
) -> None:
    evidence = Evidence(status, body, **known)  # type: ignore[arg-type]
    row = cause_of(evidence)
    assert row.attempts > 1
    if status == 429 or status >= 500:
        assert row.attempts > 4 or row.name == "other_region"
    assert KEY not in message_of(evidence)


@pytest.mark.parametrize("name", WARNINGS)
def test_a_warning_is_filled_with_its_details(name: str) -> None:
    details = {detail: f"<{detail}>" for detail in fields(WARNINGS[name])}
    assert details.keys() <= {"stream", "records", "total"}
    message = WARNINGS[name].format_map(details)
    assert all(detail in message for detail in details.values())


def quoted(body: bytes, secret: str = "abcdefghijkl") -> str:
    """Return what a message quotes of the API's errors."""
    sentence, _, quote = message_of(Evidence(400, body), secret).partition(" Kustomer said: ")
    assert sentence.endswith("maintainers.")
    return quote


@pytest.mark.parametrize(
    "errors",
    [
        [{"code": "bad", "message": "No {such} filter", "meta": {}}],
        [{"status": 400, "detail": "No {such} filter", "title": "Bad request", "message": "x"}],
        [{"title": "No {such} filter", "message": None, "detail": ""}],
        [{"message": " No \n {such}\tfilter ", "title": "x"}],
        ["text", {"title": "No {such} filter"}, {"title": "and more"}],
    ],
    ids=["short form", "JSON:API", "title only", "spaces", "first error"],
)
def test_the_servers_words_are_quoted_from_either_form_of_error(errors: list[object]) -> None:
    assert quoted(json.dumps({"errors": errors}).encode()) == "'No {such} filter'."


# The longest that are quoted, and those that share seven characters with the key.
LONGEST = ((("w" * 23) + " ") * 10)[:199] + "!"
SEVEN = "abcdefg and fghijkl"


def test_words_are_quoted_up_to_a_length_and_seven_characters_of_the_key() -> None:
    assert quoted(said(400, LONGEST).body) == f"'{LONGEST}'."
    assert quoted(said(400, SEVEN).body) == f"'{SEVEN}'."
    assert quoted(said(400, "abcdefg").body, secret="abcdefgh") == "'abcdefg'."


@pytest.mark.parametrize(
    "body",
    [
        *(b"", b"null", b"[]", b'"text"', b"{}", b'{"errors": null}', b'{"errors": []}'),
        *(b'{"errors": {"title": "No"}}', b'{"errors": ["No", null]}'),
        *(b'{"errors": [{"code": "bad"}]}', b'{"errors": [{"message": ["No"]}]}'),
        *(b'{"errors": [{"message": " \\n "}]}', b'{"errors": [{"message": "No"}'),
        *(said(400, odd).body for odd in ("No\0", "\x1b[31mNo", "\ud83d", f"{LONGEST}!")),
        *(
            said(400, word).body
            for word in ("eyJhbGciOiJIUzI1NiJ9.eyJ", "w" * 24, "ann@mail.example")
        ),
        *(said(400, part).body for part in ("abcdefgh", "cdefghij", "efghijkl", "EFGH IJKL")),
        said(400, "a-b_c.d:e/f\u2026g\u00b7h").body,
    ],
    ids=repr,
)
def test_nothing_is_quoted_that_is_no_text_or_long_or_may_hold_a_secret(body: bytes) -> None:
    assert quoted(body) == ""


@given(
    st.text(max_size=40),
    st.text(max_size=40),
    st.sampled_from(["", "-", "\u200b", ". ", "_"]),
    st.integers(0, len(KEY.replace("-", "")) - 8),
)
def test_a_part_of_the_key_is_never_quoted(before: str, after: str, glue: str, at: int) -> None:
    part = glue.join(KEY.replace("-", "")[at : at + 8])
    assert part not in message_of(said(400, f"{before}{part}{after}"))
