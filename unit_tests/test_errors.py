"""The table of causes: what each row is recognized by, and what its user reads."""

import ast
import errno
import http.client
import json
import math
import re
import socket
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path
from string import Formatter

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
from source_kustomer.errors import (
    CAUSES,
    WARNINGS,
    Cause,
    Failure,
    Fault,
    Outcome,
    Verdict,
    cause_of,
    failure,
)

POOL = HTTPSConnectionPool("acme.api.kustomerapp.com")
CONNECTION = HTTPSConnection("acme.api.kustomerapp.com")
SOURCE = Path(source_kustomer.__file__).parent

# What the client tells of every failure; test_client.py holds it to that.
DETAILS = {
    "organization": "acme",
    "host": "acme.api.kustomerapp.com",
    "stream": "tags",
    "role": "org.permission.tag.read",
}

CONFIG, TRANSIENT, SYSTEM = (
    FailureType.config_error,
    FailureType.transient_error,
    FailureType.system_error,
)

EACH_CAUSE = pytest.mark.parametrize("cause", CAUSES, ids=lambda cause: cause.name)


def said(status: int, words: str, member: str = "message", **known: object) -> Outcome:
    """Make an outcome whose body is an error of the API."""
    body = json.dumps({"errors": [{member: words}]}).encode()
    return Outcome(status, body, **known)  # type: ignore[arg-type]


def html(status: int, words: str = "We'll be back") -> Outcome:
    return Outcome(status, f"\n <!DOCTYPE html><h1>{words}</h1>".encode())


def from_requests(kind: type[Exception], inner: BaseException) -> Outcome:
    """Wrap an exception as requests does one of urllib3's retries."""
    return Outcome(exception=kind(urllib3.exceptions.MaxRetryError(POOL, "/v1/tags", inner)))  # type: ignore[arg-type]


def caused(outer: Exception, inner: Exception) -> Exception:
    outer.__cause__ = inner
    return outer


def unresolved(number: int) -> Exception:
    inner = socket.gaierror(number, "it is not found")
    return caused(urllib3.exceptions.NameResolutionError("acme", CONNECTION, inner), inner)


LOST = requests.exceptions.ConnectionError
NO_TUNNEL = OSError("Tunnel connection failed: 407 Proxy Authentication Required")
OTHER_REGION = "Auth token associated with pod prod2"
ACCEPTED, REFUSED, UNKNOWN = Verdict.ACCEPTED, Verdict.REFUSED, Verdict.UNKNOWN

# One example of each row that an outcome tells; the others are raised as a `Fault` of their name.
EXAMPLES = {
    "proxy_login": from_requests(
        requests.exceptions.ProxyError, urllib3.exceptions.ProxyError("no tunnel", NO_TUNNEL)
    ),
    "rate_limit": said(429, "Too many requests"),
    "not_modified": Outcome(304),
    "redirect": Outcome(302),
    "large_page": said(400, "pageSize is too large"),
    "gateway_timeout": said(504, "Timeout"),
    "unavailable": said(503, "Maintenance", asks_too_long=True),
    "maintenance_page": html(503),
    "other_region": said(401, OTHER_REGION),
    "expired_key": said(401, "Expired token"),
    "ip_restricted": said(403, "IP address is not allowed"),
    "lost_access": said(403, "Forbidden", is_reading=True),
    "missing_role": said(401, "Forbidden", verdict=ACCEPTED),
    "refused_key": said(401, "Unauthorized"),
    "lost_page": said(404, "Gone", is_reading=True),
    "lost_list": said(451, "No", is_reading=True),
    "unavailable_list": said(404, "Not found", verdict=ACCEPTED),
    "unknown_organization": said(404, "Not found"),
    "passing_refusal": said(425, "Too early"),
    "rejected_request": said(400, "No such filter"),
    "server_failure": said(500, "Oops"),
    "broken_body": Outcome(200, b'{"data": ['),
    "proxy": from_requests(
        requests.exceptions.ProxyError,
        urllib3.exceptions.ProxyError("no tunnel", ConnectionRefusedError()),
    ),
    "name_lookup": from_requests(LOST, unresolved(socket.EAI_AGAIN)),
    "tls": from_requests(
        requests.exceptions.SSLError,
        urllib3.exceptions.SSLError(ssl.SSLCertVerificationError(1, "unknown issuer")),
    ),
    "connection_refused": from_requests(
        LOST,
        caused(
            urllib3.exceptions.NewConnectionError(CONNECTION, "refused"),
            ConnectionRefusedError(errno.ECONNREFUSED, "refused"),
        ),
    ),
    "timeout": Outcome(
        exception=urllib3.exceptions.ReadTimeoutError(POOL, "/v1/tags", "timed out")
    ),
    "connect_timeout": from_requests(
        requests.exceptions.ConnectTimeout,
        urllib3.exceptions.ConnectTimeoutError(CONNECTION, "timed out"),
    ),
    "full_machine": Outcome(exception=OSError(errno.ENOSPC, "no space")),
    "connection_lost": Outcome(exception=ConnectionResetError(errno.ECONNRESET, "reset")),
}


def raised_faults() -> Iterator[tuple[str, set[str]]]:
    """Find the name and the details of each `Fault` that the code raises."""
    for path in SOURCE.rglob("*.py"):
        for call in ast.walk(ast.parse(path.read_text())):
            if isinstance(call, ast.Call) and ast.unparse(call.func) == "Fault":
                # The name may depend on a condition.
                for name in ast.walk(call.args[0]):
                    if isinstance(name, ast.Constant):
                        yield str(name.value), {str(k.arg) for k in call.keywords}


RAISED = dict(raised_faults())


def fields(sentence: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(sentence) if name}


def message_of(outcome: Outcome, secret: str = KEY) -> str:
    made = failure(outcome, secret=secret, **DETAILS)
    assert made.message
    return made.message


@pytest.mark.parametrize("name", EXAMPLES)
def test_a_row_is_recognized(name: str) -> None:
    assert cause_of(EXAMPLES[name]).name == name


def test_every_row_has_an_example_or_is_raised_and_no_other_is() -> None:
    names = [cause.name for cause in CAUSES]
    assert len({*names}) == len(names)
    assert {*names} == {*EXAMPLES, *RAISED}


@pytest.mark.parametrize("name", RAISED)
def test_a_fault_is_explained_by_the_row_of_its_name_alone(name: str) -> None:
    fault = Fault(name, **dict.fromkeys(RAISED[name], "x"))
    assert cause_of(Outcome(exception=fault, host_was_reached=True)).name == name
    if name not in EXAMPLES:
        (row,) = (cause for cause in CAUSES if cause.name == name)
        assert not any(row.recognizes(outcome) for outcome in EXAMPLES.values())


def test_every_fault_is_raised_with_the_details_that_its_sentence_takes() -> None:
    sentences = {cause.name: cause.sentence for cause in CAUSES}
    known = {*DETAILS, "status", "said"}
    needed = {name: fields(sentences[name]) - known for name in RAISED}
    assert [(n, details) for n, details in raised_faults() if details != needed[n]] == []


@pytest.mark.parametrize(
    ("name", "outcome"),
    [
        # Statuses and words.
        ("proxy_login", said(407, f"IP {OTHER_REGION}")),
        ("large_page", Outcome(413)),
        ("large_page", said(422, "Payload size of 5 MB")),
        ("rejected_request", said(402, "too many")),
        ("other_region", said(400, "this request can only be HANDLED BY PROD4")),
        ("other_region", said(403, OTHER_REGION, verdict=ACCEPTED)),
        ("other_region", said(500, OTHER_REGION)),
        ("expired_key", said(403, "expired", "code", verdict=ACCEPTED)),
        ("expired_key", said(401, "no", verdict=REFUSED, probe_words="Expired token")),
        ("expired_key", said(403, "Token expired", "title", is_reading=True)),
        ("rejected_request", said(400, "expired")),
        ("ip_restricted", said(401, "your IP 1.2.3.4", "detail", verdict=ACCEPTED)),
        ("ip_restricted", said(403, "unknown ip_address")),
        ("ip_restricted", said(403, "not in CIDR")),
        ("ip_restricted", said(403, "not on the allow-list")),
        ("ip_restricted", said(403, "not on the allowlist")),
        ("ip_restricted", said(403, "not whitelisted")),
        ("missing_role", said(403, "no ship for this tip")),
        ("rejected_request", said(400, "IP address")),
        # Lists, and what the probe says of the key.
        ("missing_role", said(403, "no")),
        ("missing_role", said(403, "no", verdict=UNKNOWN)),
        ("missing_role", said(403, "no", verdict=ACCEPTED)),
        ("refused_key", said(403, "no", verdict=REFUSED)),
        ("refused_key", said(401, "no", verdict=REFUSED)),
        ("refused_key", said(401, "no", verdict=UNKNOWN)),
        ("refused_key", said(401, "no", verdict=ACCEPTED, is_list=False)),
        ("refused_key", said(403, "no", is_list=False)),
        ("lost_access", said(401, "no", verdict=ACCEPTED, is_reading=True)),
        ("lost_access", said(403, "no", verdict=REFUSED, is_reading=True)),
        ("rejected_request", said(402, "no", verdict=ACCEPTED)),
        ("lost_list", said(402, "no", verdict=ACCEPTED, is_reading=True)),
        ("passing_refusal", said(408, "no", is_reading=True)),
        ("unknown_organization", said(404, "no", verdict=REFUSED)),
        ("unknown_organization", said(404, "no", verdict=UNKNOWN)),
        ("unknown_organization", said(404, "no", verdict=ACCEPTED, is_list=False)),
        ("lost_page", said(404, "no", verdict=ACCEPTED, is_reading=True)),
        ("server_failure", said(500, "no", verdict=ACCEPTED)),
        # Something on the way: whatever it says, it is not the API that says it.
        ("maintenance_page", html(401, OTHER_REGION)),
        ("maintenance_page", html(403, "Your IP is 1.2.3.4")),
        ("maintenance_page", Outcome(403, b"error code: 1020")),
        ("maintenance_page", Outcome(401, b"Your session has expired", verdict=ACCEPTED)),
        ("maintenance_page", Outcome(404, b"default backend - 404", is_reading=True)),
        ("maintenance_page", html(200, OTHER_REGION)),
        ("maintenance_page", html(400, "too large")),
        ("rejected_request", html(402)),
        ("rejected_request", html(410)),
        ("rate_limit", html(429)),
        ("redirect", html(302)),
        ("gateway_timeout", html(504)),
        ("server_failure", Outcome(503, b"no healthy upstream")),
        ("refused_key", Outcome(401, b" \n")),
        ("refused_key", Outcome(401)),
        ("broken_body", Outcome(200, b"associated with pod")),
        # The borders of the classes of statuses.
        ("broken_body", Outcome(299)),
        ("redirect", Outcome(300)),
        ("redirect", Outcome(399)),
        ("rejected_request", Outcome(400)),
        ("server_failure", Outcome(599)),
        *(("passing_refusal", Outcome(status)) for status in (408, 421, 423, 499)),
        ("rejected_request", Outcome(498)),
    ],
    ids=lambda value: value if isinstance(value, str) else f"{value.status} {value.body[-40:]!r}",
)
def test_of_rows_that_recognize_a_response_the_first_applies(name: str, outcome: Outcome) -> None:
    assert cause_of(outcome).name == name


@pytest.mark.parametrize(
    ("name", "outcome"),
    [
        ("proxy", Outcome(exception=urllib3.exceptions.ProxyError("no", TimeoutError()))),
        ("proxy", from_requests(requests.exceptions.ProxyError, OSError("Tunnel failed: 403"))),
        (
            "proxy",
            from_requests(
                requests.exceptions.ProxyError,
                urllib3.exceptions.ProxyError("no", unresolved(socket.EAI_NONAME)),
            ),
        ),
        ("unknown_organization", from_requests(LOST, unresolved(socket.EAI_NONAME))),
        (
            "name_lookup",
            Outcome(exception=LOST(socket.gaierror(socket.EAI_NONAME, "")), host_was_reached=True),
        ),
        ("name_lookup", Outcome(exception=socket.gaierror(socket.EAI_FAIL, "failed"))),
        ("tls", from_requests(LOST, urllib3.exceptions.SSLError("wrong version number"))),
        ("tls", Outcome(exception=ssl.SSLError(1, "handshake"))),
        ("timeout", Outcome(exception=requests.exceptions.ReadTimeout("too long"))),
        ("connect_timeout", Outcome(exception=LOST(TimeoutError("timed out")))),
        ("full_machine", Outcome(exception=LOST(OSError(errno.ENOMEM, "no memory")))),
        (
            "connection_lost",
            Outcome(
                exception=LOST(
                    urllib3.exceptions.ProtocolError(
                        "aborted", http.client.RemoteDisconnected("closed without response")
                    )
                )
            ),
        ),
        ("connection_lost", Outcome(exception=OSError(errno.ENETUNREACH, "unreachable"))),
        ("connection_lost", Outcome(exception=ValueError("what nobody has thought of"))),
        ("broken_body", Outcome(exception=urllib3.exceptions.IncompleteRead(5, 10))),
        (
            "broken_body",
            Outcome(
                exception=urllib3.exceptions.ProtocolError(
                    "broken", http.client.IncompleteRead(b"x", 10)
                )
            ),
        ),
        (
            "broken_body",
            Outcome(
                exception=urllib3.exceptions.ProtocolError(
                    "broken",
                    urllib3.exceptions.InvalidChunkLength(urllib3.HTTPResponse(), b"x"),
                )
            ),
        ),
        ("broken_body", Outcome(exception=urllib3.exceptions.DecodeError("not gzip"))),
        ("broken_body", Outcome(exception=requests.exceptions.ContentDecodingError("bad"))),
        ("broken_body", Outcome(exception=requests.exceptions.ChunkedEncodingError("cut"))),
    ],
    ids=lambda value: value if isinstance(value, str) else repr(value.exception)[:60],
)
def test_of_rows_that_recognize_an_exception_the_first_applies(name: str, outcome: Outcome) -> None:
    assert cause_of(outcome).name == name


def in_args(inner: Exception) -> Exception:
    return ValueError("outer", inner)


def as_reason(inner: Exception) -> Exception:
    outer = ValueError("outer")
    outer.reason = inner  # type: ignore[attr-defined]
    return outer


def as_context(inner: Exception) -> Exception:
    outer = ValueError("outer")
    outer.__context__ = inner
    return outer


def as_cause(inner: Exception) -> Exception:
    return caused(ValueError("outer"), inner)


WRAPS = [in_args, as_reason, as_cause, as_context]


@pytest.mark.parametrize("wrap", WRAPS)
@pytest.mark.parametrize("again", WRAPS)
def test_an_exception_is_found_however_it_was_wrapped(
    wrap: Callable[[Exception], Exception], again: Callable[[Exception], Exception]
) -> None:
    outcome = Outcome(exception=again(wrap(KeyError("inner"))))
    assert outcome.raised(IndexError, KeyError)
    assert not outcome.raised(IndexError)


def test_exceptions_that_hold_each_other_are_looked_at_once() -> None:
    one, other = ValueError("one"), ValueError("other")
    one.__cause__, other.__context__, other.args = other, one, (one, other)
    assert not Outcome(exception=one).raised(KeyError)
    assert not Outcome(500).raised(BaseException)


@given(
    status=st.integers(100, 599),
    body=st.one_of(
        st.binary(max_size=30),
        st.text(max_size=30).map(lambda words: said(400, words).body),
        st.sampled_from([b"<html>", b"{}", b"[" * 10_000, b'{"errors": [5, {"code": 5}]}']),
    ),
    is_list=st.booleans(),
    is_reading=st.booleans(),
    verdict=st.sampled_from([None, *Verdict]),
)
def test_every_response_has_a_row_and_what_the_servers_fail_in_is_tried_again(
    *, status: int, body: bytes, is_list: bool, is_reading: bool, verdict: Verdict | None
) -> None:
    outcome = Outcome(status, body, None, is_list, is_reading, verdict=verdict)
    row = cause_of(outcome)
    if status == 429 or status >= 500:
        assert row.attempts > 2
        assert row.failure_type is TRANSIENT
    assert KEY not in message_of(outcome)


# What the user can mend is a config error, what the maintainers must a system error, and what may
# pass is transient; what cannot help is not tried again.
TYPES_AND_ATTEMPTS = {
    "proxy_login": (CONFIG, 1),
    "rate_limit": (TRANSIENT, math.inf),
    "not_modified": (TRANSIENT, 3),
    "redirect": (CONFIG, 1),
    "large_page": (SYSTEM, 1),
    "gateway_timeout": (TRANSIENT, 3),
    "unavailable": (TRANSIENT, 1),
    "maintenance_page": (TRANSIENT, 6),
    "other_region": (CONFIG, 1),
    "expired_key": (CONFIG, 1),
    "ip_restricted": (CONFIG, 1),
    "lost_access": (TRANSIENT, 6),
    "missing_role": (CONFIG, 1),
    "refused_key": (CONFIG, 1),
    "lost_page": (TRANSIENT, 3),
    "lost_list": (TRANSIENT, 3),
    "unavailable_list": (CONFIG, 2),
    "unknown_organization": (CONFIG, 3),
    "passing_refusal": (TRANSIENT, 6),
    "rejected_request": (SYSTEM, 3),
    "server_failure": (TRANSIENT, 6),
    "broken_body": (TRANSIENT, 6),
    "proxy": (CONFIG, 3),
    "name_lookup": (TRANSIENT, 6),
    "tls": (CONFIG, 3),
    "connection_refused": (TRANSIENT, 6),
    "timeout": (TRANSIENT, 2),
    "connect_timeout": (TRANSIENT, 6),
    "full_machine": (SYSTEM, 1),
    "connection_lost": (TRANSIENT, 6),
    "local_setting": (CONFIG, 1),
    "used_up_share": (TRANSIENT, 1),
    "large_body": (TRANSIENT, 1),
    "not_a_list": (TRANSIENT, 6),
    "not_metadata": (TRANSIENT, 6),
    "no_links": (TRANSIENT, 6),
    "foreign_link": (SYSTEM, 1),
    "circling_link": (TRANSIENT, 2),
    "skipped_pages": (TRANSIENT, 2),
    "wrong_page": (TRANSIENT, 6),
    "refused_page": (TRANSIENT, 1),
    "empty_pages": (TRANSIENT, 1),
    "moving_list": (TRANSIENT, 1),
    "lower_total": (TRANSIENT, 6),
    "short_page": (TRANSIENT, 6),
    "past_end": (TRANSIENT, 2),
    "cut_off": (TRANSIENT, 6),
}


def test_each_row_has_its_failure_type_and_its_attempts() -> None:
    assert {c.name: (c.failure_type, c.attempts) for c in CAUSES} == TYPES_AND_ATTEMPTS


def test_what_a_row_says_of_a_list_is_said_of_those_alone() -> None:
    def names(attribute: str) -> list[str]:
        return [cause.name for cause in CAUSES if getattr(cause, attribute)]

    assert names("closes_list") == ["missing_role", "unavailable_list"]
    ends = ["lost_page", "unavailable_list", "unknown_organization", "rejected_request", "past_end"]
    assert names("ends_list") == ends
    assert names("is_size") == ["large_page", "gateway_timeout", "timeout"]


@EACH_CAUSE
def test_a_sentence_says_what_is_wrong_and_what_to_do(cause: Cause) -> None:
    sentence = cause.sentence
    assert re.match(r"[A-Z]|\{(host|stream|pages)\} ", sentence)
    assert re.search(r"\.(\{said\})?$", sentence)
    assert len(re.findall(r"[.!?](?= |$)", sentence.removesuffix("{said}"))) == 1
    assert not re.search(r"\s{2}|\n|\"|!", sentence)
    assert 60 < len(sentence) < 300
    to_do = r"run|check|correct|copy|make|add|put|leave|free|please report"
    assert re.search(rf"[:;,] (so )?({to_do})\b", sentence)
    runs_again = re.search(r"run (it|the sync) again", sentence) is not None
    assert runs_again == (cause.failure_type is TRANSIENT)
    assert re.fullmatch(r"(JSON|[a-z`0-9])(?![A-Z]).{1,100}[^.]", cause.recognized_by)
    assert re.fullmatch(r"[a-z]+(_[a-z]+)*", cause.name)


@EACH_CAUSE
def test_a_failure_has_its_cause_and_a_sentence_filled_with_the_details(cause: Cause) -> None:
    own = {detail: f"<{detail}>" for detail in RAISED.get(cause.name, ())}
    fault = Outcome(exception=Fault(cause.name, **own)) if own else Outcome()
    outcome = EXAMPLES.get(cause.name, fault)
    if cause.name not in EXAMPLES and not own:
        outcome = Outcome(exception=Fault(cause.name))
    made = failure(outcome, secret=KEY, **DETAILS)
    assert isinstance(made, Failure)
    assert made.cause is cause
    assert made.outcome is outcome
    assert made.internal_message == cause.name
    assert made.failure_type is cause.failure_type
    assert made.message
    needed = fields(cause.sentence)
    shown = {**DETAILS, **own, "status": str(outcome.status)}
    assert all(value in made.message for name, value in shown.items() if name in needed)
    assert ("Kustomer said: " in made.message) == ("said" in needed)
    assert not re.search(r"[{}]", made.message)
    assert made.message.endswith(".")


def test_a_detail_that_is_missing_is_an_error() -> None:
    with pytest.raises(KeyError, match="role"):
        failure(said(403, "no"), secret=KEY, stream="tags")


def test_a_fault_knows_its_details_better_than_who_reports_it() -> None:
    fault = Fault("no_links", records=100, stream="customers")
    assert "A full page of 100 customers came" in message_of(Outcome(exception=fault))


@pytest.mark.parametrize("name", WARNINGS)
def test_a_warning_is_filled_with_its_details(name: str) -> None:
    details = {detail: f"<{detail}>" for detail in fields(WARNINGS[name])}
    assert details.keys() <= {"stream", "records", "total"}
    message = WARNINGS[name].format_map(details)
    assert all(detail in message for detail in details.values())
    assert re.fullmatch(r"(The|Kustomer) .{60,300}\.", message)


def quoted(*errors: object, secret: str = KEY) -> str:
    """Return what a message quotes of the API's errors."""
    body = json.dumps({"errors": errors}).encode()
    message = message_of(Outcome(400, body), secret)
    assert "{" not in message.partition(" Kustomer said")[0]
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
    ids=["short form", "JSON:API", "title only", "blanks", "first error"],
)
def test_the_servers_words_are_quoted_from_either_form_of_error(errors: list[object]) -> None:
    assert quoted(*errors) == "'No such filter'."


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b'"text"',
        b"{}",
        b'{"errors": null}',
        b'{"errors": {"title": "No"}}',
        b'{"errors": []}',
        b'{"errors": ["No", null]}',
        b'{"errors": [{"code": "bad"}]}',
        b'{"errors": [{"message": 5}]}',
        b'{"errors": [{"message": ["No"]}]}',
        b'{"errors": [{"message": " \\n "}]}',
        b'{"errors": [{"message": "No"}',
    ],
    ids=repr,
)
def test_without_words_nothing_is_quoted(body: bytes) -> None:
    assert message_of(Outcome(400, body)).endswith("maintainers.")


@pytest.mark.parametrize(
    "words",
    [
        "No such filter " * 14,
        "token eyJhbGciOiJIUzI1NiJ9.eyJ",
        "w" * 24,
        "Ask ann@mail.example",
        "No\0",
        "\x1b[31mNo",
        "\ud83d",
    ],
    ids=["long", "token", "long word", "address", "control", "colour", "half a character"],
)
def test_words_that_are_long_or_may_be_secret_are_not_quoted(words: str) -> None:
    assert quoted({"message": words}) == ""


def test_the_longest_words_that_are_quoted_have_200_characters() -> None:
    words = (("w" * 22 + " ") * 10)[:199] + "!"
    assert quoted({"message": words}) == f"'{words}'."
    assert quoted({"message": f"{words}!"}) == ""


@pytest.mark.parametrize(
    "shown",
    [
        "key-that-nobody",
        "dy-may-s",
        "nobodyma",
        "NOBODY MAY",
        "n o b o d y m a y",
        "n-o_b.o:d/y\u2026m\u00b7a",
        "that\nnobody",
    ],
)
def test_no_eight_characters_of_the_key_are_quoted_whatever_stands_between(
    shown: str,
) -> None:
    assert quoted({"message": f"The key '{shown}' is not known"}) == ""
    assert quoted({"message": f"key={shown}xyz"}) == ""


def test_words_that_share_fewer_characters_with_the_key_are_quoted() -> None:
    assert quoted({"message": "abcdefg and fghijkl"}, secret="abcdefghijkl") != ""
    assert quoted({"message": "efghijkl"}, secret="abcdefghijkl") == ""


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


def test_only_the_beginning_of_an_error_is_read() -> None:
    size = 64 * 1024
    assert said(401, "." * (size - 40) + "Expired").says("expired")
    assert said(401, "." * size + "Expired").document is None
