"""The table of causes: what recognizes each row, how often it is tried, what its user reads."""

import ast
import errno
import http.client
import json
import math
import re
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path
from string import Formatter
from typing import Any

import pytest
import requests
import urllib3
from airbyte_cdk.models import FailureType
from fakes import BASE, KEY, PROBE, Reply, ScriptedTransport, by_path, error
from hypothesis import given
from hypothesis import strategies as st
from urllib3 import HTTPSConnectionPool
from urllib3.connection import HTTPSConnection

import source_kustomer
from source_kustomer.api.client import Client
from source_kustomer.errors import (
    CAUSES,
    WARNINGS,
    Cause,
    Evidence,
    Failure,
    Fault,
    cause_of,
    failure,
)

POOL = HTTPSConnectionPool("acme.api.kustomerapp.com")
CONNECTION = HTTPSConnection("acme.api.kustomerapp.com")
SOURCE = Path(source_kustomer.__file__).parent

# What the client tells of every failure.
ROLE = "org.permission.tag.read"
DETAILS = {
    "organization": "acme",
    "host": "acme.api.kustomerapp.com",
    "what": "the tags list",
    "role": ROLE,
}

TRANSIENT = FailureType.transient_error

EACH_CAUSE = pytest.mark.parametrize("cause", CAUSES, ids=lambda cause: cause.name)


def said(status: int, words: str, member: str = "message", **known: Any) -> Evidence:
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


def caused(outer: Exception, inner: Exception) -> Exception:
    outer.__cause__ = inner
    return outer


def unresolved(number: int) -> Exception:
    inner = socket.gaierror(number, "it is not found")
    return caused(urllib3.exceptions.NameResolutionError("acme", CONNECTION, inner), inner)


def protocol(inner: Exception) -> Evidence:
    return raised(urllib3.exceptions.ProtocolError("broken", inner))


LOST = requests.exceptions.ConnectionError
PROXY = requests.exceptions.ProxyError
OTHER_REGION = "Auth token associated with pod prod2"

# An example of each row that evidence tells, as the libraries raise it. The others are raised as a
# `Fault` of their name.
EXAMPLES = {
    "proxy": from_requests(PROXY, urllib3.exceptions.ProxyError("no", ConnectionRefusedError())),
    "rate_limit": said(429, "Too many requests"),
    "large_page": said(400, "pageSize is too large"),
    "gateway_timeout": said(504, "Timeout"),
    "timeout": raised(urllib3.exceptions.ReadTimeoutError(POOL, "/v1/tags", "timed out")),
    "no_api": html(503),
    "other_region": said(401, OTHER_REGION),
    "expired_key": said(401, "Expired token"),
    "ip_restricted": said(403, "IP address is not allowed"),
    "lost_access": said(403, "Forbidden", is_reading=True),
    "missing_role": said(401, "Forbidden", is_key_accepted=True),
    "refused_key": said(401, "Unauthorized"),
    "busy_server": said(500, "Oops"),
    "lost_page": said(404, "Gone", is_reading=True),
    "unavailable_list": said(404, "Not found", is_key_accepted=True),
    "unknown_organization": said(404, "Not found"),
    "rejected_request": said(400, "No such filter"),
    "broken_body": Evidence(200, b'{"data": ['),
    "name_lookup": from_requests(LOST, unresolved(socket.EAI_AGAIN)),
    "tls": from_requests(
        requests.exceptions.SSLError,
        urllib3.exceptions.SSLError(ssl.SSLCertVerificationError(1, "unknown issuer")),
    ),
    "connection": from_requests(
        LOST,
        caused(
            urllib3.exceptions.NewConnectionError(CONNECTION, "refused"),
            ConnectionRefusedError(errno.ECONNREFUSED, "refused"),
        ),
    ),
}

# All others are tried six times.
ATTEMPTS = {
    1: "large_body",
    2: "large_page timeout other_region expired_key ip_restricted missing_role refused_key "
    "foreign_link",
    4: "proxy lost_page unavailable_list unknown_organization rejected_request tls",
    math.inf: "rate_limit",
}
SYSTEM = "large_page rejected_request foreign_link"


def fields(sentence: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(sentence) if name}


def details_of_faults() -> Iterator[tuple[str, set[str]]]:
    """Find the name and the details of each `Fault` that the code raises."""
    for path in SOURCE.rglob("*.py"):
        for call in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(call, ast.Call) and ast.unparse(call.func) == "Fault":
                names = {str(keyword.arg) for keyword in call.keywords}
                yield str(ast.literal_eval(call.args[0])), names - {"wait"}


def failure_of(client: Client, evidence: Evidence) -> Failure:
    """Return what a page ends in that is answered in this way on every attempt."""
    with pytest.raises(Failure) as caught:
        client.get(
            f"{BASE}tags",
            lambda _: None,
            what="the tags list",
            role=ROLE,
            is_reading=evidence.is_reading,
        )
    return caught.value


@EACH_CAUSE
def test_each_row_is_recognized_tried_as_often_as_it_says_and_explained_to_the_user(
    client: Client, transport: ScriptedTransport, cause: Cause
) -> None:
    sentence = fields(cause.sentence)
    own: dict[str, Any] = {name: f"<{name}>" for name in sentence - {*DETAILS, "status", "said"}}
    evidence = EXAMPLES.get(cause.name, raised(Fault(cause.name, **own)))
    reply = Reply(evidence.status or 200, evidence.body, raises=evidence.exception)
    probe = Reply(body={}) if evidence.is_key_accepted else error(401)
    transport.script = by_path({PROBE: probe}, otherwise=reply)
    failed = failure_of(client, evidence)
    assert failed.cause is cause
    assert failed.internal_message == cause.name
    assert failed.failure_type is cause.failure_type
    attempts = next((n for n, names in ATTEMPTS.items() if cause.name in names.split()), 6)
    assert cause.attempts == attempts
    assert len(transport.asked("tags")) == attempts or (
        len(transport.asked("tags")) > 6 and attempts == math.inf
    )
    message = failed.message or ""
    shown = {**DETAILS, **own, "status": str(evidence.status)}
    assert [
        name for name, value in shown.items() if name in sentence and value not in message
    ] == []
    assert ("Kustomer said: " in message) == ("said" in sentence)
    assert not re.search(r"[{}]", message)
    assert message.endswith(".")


def test_every_row_has_an_example_or_is_raised_with_the_details_that_its_sentence_takes() -> None:
    names = [cause.name for cause in CAUSES]
    assert len({*names}) == len(names)
    needed = {c.name: fields(c.sentence) - {*DETAILS, "status", "said"} for c in CAUSES}
    # The limiter's refusal has no response.
    found = [(name, details) for name, details in details_of_faults() if name != "rate_limit"]
    assert {*names} == {*EXAMPLES, *(name for name, _ in found)}
    assert [(name, details) for name, details in found if details != needed[name]] == []


@EACH_CAUSE
def test_a_sentence_says_what_is_wrong_and_what_to_do(cause: Cause) -> None:
    sentence = cause.sentence
    # A host in front would be written with a capital.
    assert re.match(r"[A-Z]", sentence)
    assert re.search(r"\.(\{said\})?$", sentence)
    assert len(re.findall(r"[.!?](?= |$)", sentence.removesuffix("{said}"))) == 1
    assert not re.search(r"\s{2}|\n|\"|!", sentence)
    assert 60 < len(sentence) < 300
    to_do = r"run|check|correct|copy|make|add|remove|please report"
    assert re.search(rf"[:;,] (so )?({to_do})\b", sentence)
    assert ("run the sync again" in sentence) == (cause.failure_type is TRANSIENT)
    assert (cause.failure_type is FailureType.system_error) == (cause.name in SYSTEM.split())
    assert re.fullmatch(r"(JSON|[a-z`0-9])(?![A-Z]).{1,120}[^.]", cause.recognized_by)


def test_no_two_rows_ask_the_same_of_the_user() -> None:
    asked = [
        re.split(r"[:;] ", cause.sentence.removesuffix("{said}"), maxsplit=1)[1] for cause in CAUSES
    ]
    # What lasts is told to Kustomer's support, wherever it was noticed.
    support = "run the sync again later, and tell Kustomer's support if the problem persists."
    report = "please report this to the connector's maintainers."
    status = "run the sync again later, and check Kustomer's status page if the problem persists."
    distinct = [words for words in asked if words not in {support, report, status}]
    assert len(distinct) == len({*distinct})


def test_what_a_row_says_of_a_list_is_said_of_those_alone() -> None:
    def names(attribute: str) -> list[str]:
        return [cause.name for cause in CAUSES if getattr(cause, attribute)]

    assert names("closes_list") == ["missing_role", "unavailable_list"]
    ends = ["lost_page", "unavailable_list", "unknown_organization", "rejected_request"]
    assert names("ends_list") == ends
    assert names("is_size") == ["large_page", "gateway_timeout", "timeout"]


RESPONSES = [
    # Statuses and words.
    ("proxy", said(407, f"IP {OTHER_REGION}")),
    ("large_page", Evidence(413)),
    *(("large_page", said(422, w)) for w in ("Payload", "size of it", "page size", "too big")),
    ("large_page", said(400, "too many")),
    ("rejected_request", said(402, "too many")),
    ("other_region", said(400, "this request can only be HANDLED BY PROD4")),
    ("other_region", said(403, OTHER_REGION, is_key_accepted=True)),
    ("other_region", said(500, OTHER_REGION)),
    ("expired_key", said(403, "expired", "code", is_key_accepted=True)),
    ("expired_key", said(401, "no", is_key_accepted=False, probe_words="Expired token")),
    ("expired_key", said(403, "Token expired", "title", is_reading=True)),
    ("rejected_request", said(400, "expired")),
    ("ip_restricted", said(401, "your IP 1.2.3.4", "detail", is_key_accepted=True)),
    *(("ip_restricted", said(403, w)) for w in ("unknown ip_address", "not in CIDR", "IPs")),
    *(("ip_restricted", said(403, w)) for w in ("no allow-list", "allowlist", "whitelisted")),
    ("missing_role", said(403, "no ship for this tip")),
    ("rejected_request", said(400, "IP address")),
    # Lists, and what the probe says of the key.
    *(("missing_role", said(403, "no", is_key_accepted=v)) for v in (None, True)),
    *(("refused_key", said(401, "no", is_key_accepted=v)) for v in (None, False)),
    ("refused_key", said(403, "no", is_key_accepted=False)),
    ("refused_key", said(401, "no", is_key_accepted=True, is_list=False)),
    ("refused_key", said(403, "no", is_list=False)),
    ("lost_access", said(401, "no", is_key_accepted=True, is_reading=True)),
    ("lost_access", said(403, "no", is_key_accepted=False, is_reading=True)),
    ("lost_page", said(402, "no", is_key_accepted=True, is_reading=True)),
    *(("lost_page", said(s, "no", is_reading=True)) for s in (400, 451)),
    ("busy_server", said(408, "no", is_reading=True)),
    *(("unknown_organization", said(404, "no", is_key_accepted=v)) for v in (None, False)),
    ("unknown_organization", said(404, "no", is_key_accepted=True, is_list=False)),
    ("lost_page", said(404, "no", is_key_accepted=True, is_reading=True)),
    # Something on the way: whatever it says, it is not the API that says it.
    *(("no_api", html(status, OTHER_REGION)) for status in (200, 302, 400, 401)),
    ("no_api", Evidence(403, b"error code: 1020")),
    ("no_api", Evidence(401, b"Your session has expired", is_key_accepted=True)),
    ("no_api", Evidence(404, b"default backend - 404", is_reading=True)),
    ("no_api", html(500)),
    ("rejected_request", html(402)),
    ("rejected_request", html(499 - 1)),
    ("rate_limit", html(429)),
    ("gateway_timeout", html(504)),
    ("busy_server", Evidence(503, b"no healthy upstream")),
    ("refused_key", Evidence(401, b" \n")),
    ("broken_body", Evidence(200, b"associated with pod")),
    # The borders of the classes of statuses.
    *(("broken_body", Evidence(status)) for status in (101, 199, 202, 205, 299)),
    *(("no_api", Evidence(status)) for status in (300, 304, 399)),
    *(("rejected_request", Evidence(status)) for status in (400, 409, 422, 424, 451, 498)),
    *(("busy_server", Evidence(status)) for status in (408, 421, 423, 425, 499, 501, 999)),
]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "evidence"),
    RESPONSES,
    ids=[f"{name} {e.status} {e.body[-30:]!r} {n}" for n, (name, e) in enumerate(RESPONSES)],
)
def test_of_rows_that_recognize_a_response_the_first_applies(name: str, evidence: Evidence) -> None:
    assert cause_of(evidence).name == name


NO_TUNNEL = OSError("Tunnel connection failed: 407 Proxy Authentication Required")
EXCEPTIONS = [
    ("proxy", raised(urllib3.exceptions.ProxyError("no", TimeoutError()))),
    ("proxy", raised(PROXY(NO_TUNNEL))),
    ("proxy", raised(urllib3.exceptions.ProxyError("no", unresolved(socket.EAI_NONAME)))),
    ("unknown_organization", from_requests(LOST, unresolved(socket.EAI_NONAME))),
    ("name_lookup", from_requests(LOST, unresolved(socket.EAI_NONAME), host_was_reached=True)),
    ("name_lookup", raised(socket.gaierror(socket.EAI_FAIL, "failed"))),
    ("tls", from_requests(LOST, urllib3.exceptions.SSLError("wrong version number"))),
    ("tls", raised(ssl.SSLError(1, "handshake"))),
    ("tls", raised(requests.exceptions.SSLError("no"))),
    ("timeout", raised(requests.exceptions.ReadTimeout("too long"))),
    ("connection", from_requests(requests.exceptions.ConnectTimeout, TimeoutError("no"))),
    ("connection", protocol(http.client.RemoteDisconnected("closed without response"))),
    ("connection", raised(OSError(errno.ENETUNREACH, "unreachable"))),
    ("connection", raised(ValueError("what nobody has thought of"))),
    ("broken_body", raised(urllib3.exceptions.IncompleteRead(5, 10))),
    ("broken_body", protocol(http.client.IncompleteRead(b"x", 10))),
    ("broken_body", protocol(urllib3.exceptions.InvalidChunkLength(urllib3.HTTPResponse(), b"x"))),
    ("broken_body", raised(urllib3.exceptions.DecodeError("not gzip"))),
    ("broken_body", raised(requests.exceptions.ContentDecodingError("bad"))),
    ("broken_body", raised(requests.exceptions.ChunkedEncodingError("cut"))),
]


@pytest.mark.parametrize(
    ("name", "evidence"),
    EXCEPTIONS,
    ids=[f"{name} {type(e.exception).__name__} {n}" for n, (name, e) in enumerate(EXCEPTIONS)],
)
def test_of_rows_that_recognize_an_exception_the_first_applies(
    name: str, evidence: Evidence
) -> None:
    assert cause_of(evidence).name == name


def test_only_an_api_that_answers_in_json_refuses_a_key() -> None:
    assert [said(status, "no").is_refusal for status in (401, 403, 404)] == [True, True, False]
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
    status=st.integers(100, 599),
    body=st.one_of(
        st.binary(max_size=30),
        st.text(max_size=30).map(lambda words: said(400, words).body),
        st.sampled_from([b"<html>", b"{}", b"[" * 100_000, b'{"errors": [5, {"code": 5}]}']),
    ),
    is_list=st.booleans(),
    is_reading=st.booleans(),
    is_key_accepted=st.sampled_from([None, True, False]),
)
def test_every_response_has_a_row_and_no_odd_one_is_final(
    *, status: int, body: bytes, is_list: bool, is_reading: bool, is_key_accepted: bool | None
) -> None:
    evidence = Evidence(status, body, None, is_list, is_reading, is_key_accepted=is_key_accepted)
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
    assert re.fullmatch(r"(The|Kustomer) .{60,300}\.", message)


def quoted(*errors: object, secret: str = KEY) -> str:
    """Return what a message quotes of the API's errors."""
    message = message_of(Evidence(400, json.dumps({"errors": errors}).encode()), secret)
    return message.partition(" Kustomer said: ")[2]


@pytest.mark.parametrize(
    "errors",
    [
        [{"code": "bad", "message": "No such filter", "meta": {}}],
        [{"status": 400, "detail": "No such filter", "title": "Bad request", "message": "x"}],
        [{"title": "No such filter", "message": None, "detail": ""}],
        [{"message": " No \n such\tfilter ", "title": "x"}],
        ["text", {"title": "No such filter"}, {"title": "and more"}],
    ],
    ids=["short form", "JSON:API", "title only", "spaces", "first error"],
)
def test_the_servers_words_are_quoted_from_either_form_of_error(errors: list[object]) -> None:
    assert quoted(*errors) == "'No such filter'."


@pytest.mark.parametrize(
    "body",
    [
        *(b"", b"null", b"[]", b'"text"', b"{}", b'{"errors": null}', b'{"errors": []}'),
        *(b'{"errors": {"title": "No"}}', b'{"errors": ["No", null]}'),
        *(b'{"errors": [{"code": "bad"}]}', b'{"errors": [{"message": ["No"]}]}'),
        *(b'{"errors": [{"message": " \\n "}]}', b'{"errors": [{"message": "No"}'),
    ],
    ids=repr,
)
def test_without_words_nothing_is_quoted(body: bytes) -> None:
    assert message_of(Evidence(400, body)).endswith("maintainers.")


@pytest.mark.parametrize(
    "words",
    [
        *("token eyJhbGciOiJIUzI1NiJ9.eyJ", "w" * 24, "Ask ann@mail.example"),
        *("No\0", "\x1b[31mNo", "\ud83d"),
    ],
    ids=["token", "long word", "address", "control", "color", "half a character"],
)
def test_words_that_may_be_secret_or_unprintable_are_not_quoted(words: str) -> None:
    assert quoted({"message": words}) == ""


def test_the_longest_words_that_are_quoted_have_200_characters() -> None:
    words = ((("w" * 23) + " ") * 10)[:199] + "!"
    assert quoted({"message": words}) == f"'{words}'."
    assert quoted({"message": f"{words}!"}) == ""


@pytest.mark.parametrize(
    "shown", ["key-that-nobody", "dy-may-s", "NOBODY MAY", "n-o_b.o:d/y\u2026m\u00b7a"]
)
def test_no_eight_characters_of_the_key_are_quoted_whatever_stands_between(shown: str) -> None:
    assert quoted({"message": f"The key '{shown}' is not known"}) == ""


def test_words_that_share_fewer_characters_with_the_key_are_quoted() -> None:
    assert quoted({"message": "abcdefg and fghijkl"}, secret="abcdefghijkl") != ""
    assert quoted({"message": "efghijkl"}, secret="abcdefghijkl") == ""
    assert quoted({"message": "abcdefg"}, secret="abcdefgh") != ""


@given(
    st.text(max_size=40),
    st.text(max_size=40),
    st.sampled_from(["", "-", "\u200b", ". ", "_"]),
    st.integers(0, len(KEY.replace("-", "")) - 8),
)
def test_a_part_of_the_key_is_never_quoted(before: str, after: str, glue: str, at: int) -> None:
    part = glue.join(KEY.replace("-", "")[at : at + 8])
    assert part not in message_of(said(400, f"{before}{part}{after}"))


def test_a_word_of_a_server_is_never_taken_for_a_template() -> None:
    assert quoted({"message": "no {organization} {0}"}) == "'no {organization} {0}'."
