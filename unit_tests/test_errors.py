"""The table of failures: what each row is recognized by, and what its user reads."""

import http.client
import re
import socket
import ssl
from string import Formatter
from typing import Any

import pytest
import requests
import urllib3
from airbyte_cdk.models import FailureType
from hypothesis import given
from hypothesis import strategies as st
from urllib3 import HTTPSConnectionPool
from urllib3.connection import HTTPSConnection

from source_kustomer.errors import (
    CAUSES,
    LONGEST_QUOTE,
    WARNINGS,
    Action,
    Failure,
    Outcome,
    Probe,
    cause_of,
    failure,
    said,
)
from source_kustomer.pagination import ListFault

KEY = "key-that-nobody-may-see"
POOL = HTTPSConnectionPool("acme.api.kustomerapp.com")
CONNECTION = HTTPSConnection("acme.api.kustomerapp.com")
BY_NAME = {cause.name: cause for cause in CAUSES}
FIELDS = {
    cause.name: {f for _, f, _, _ in Formatter().parse(cause.sentence) if f} for cause in CAUSES
}

CONFIG, TRANSIENT, SYSTEM = (
    FailureType.config_error,
    FailureType.transient_error,
    FailureType.system_error,
)


def from_requests(kind: type[Exception], inner: BaseException) -> Exception:
    """Wrap an exception as requests does one of urllib3's retries."""
    return kind(urllib3.exceptions.MaxRetryError(POOL, "/v1/tags", inner))  # type: ignore[arg-type]


def caused(outer: BaseException, inner: BaseException) -> BaseException:
    outer.__cause__ = inner
    return outer


REFUSED = caused(
    urllib3.exceptions.NewConnectionError(CONNECTION, "refused"), ConnectionRefusedError(111, "no")
)
UNRESOLVED = urllib3.exceptions.NameResolutionError(
    "acme", CONNECTION, socket.gaierror(-2, "Name or service not known")
)
REQUESTS_CONNECTION_ERROR = requests.exceptions.ConnectionError

RECOGNIZED = {
    "proxy": Outcome(exception=urllib3.exceptions.ProxyError("no tunnel", TimeoutError())),
    "proxy_login": Outcome(status=407),
    "other_region": Outcome(status=401, text="Org associated with pod prod2"),
    "expired_key": Outcome(status=401, text="Expired token"),
    "ip_restricted": Outcome(status=403, text="IP address is not allowed"),
    "missing_role": Outcome(status=401, probe=Probe.ACCEPTED),
    "refused_key": Outcome(status=401),
    "unavailable_list": Outcome(status=404, probe=Probe.ACCEPTED),
    "unknown_organization": Outcome(status=404),
    "used_up_share": Outcome(held_back=True),
    "rate_limit": Outcome(status=429),
    "redirect": Outcome(status=302),
    "rejected_request": Outcome(status=400),
    "maintenance_page": Outcome(status=200, html=True),
    "server_failure": Outcome(status=500),
    "broken_body": Outcome(status=200, broken=True),
    "tls": Outcome(exception=requests.exceptions.SSLError("bad certificate")),
    "connection_refused": Outcome(exception=ConnectionRefusedError()),
    "timeout": Outcome(exception=requests.exceptions.ReadTimeout()),
    "connection_lost": Outcome(exception=ConnectionResetError()),
}


@pytest.mark.parametrize("name", RECOGNIZED)
def test_a_row_is_recognized_by_what_it_says(name: str) -> None:
    assert cause_of(RECOGNIZED[name]).name == name


def test_each_row_is_recognized_by_an_outcome_or_named_by_the_pages_that_find_it() -> None:
    faults = {fault.value for fault in ListFault}
    assert [cause.name for cause in CAUSES] == [
        *RECOGNIZED,
        *(cause.name for cause in CAUSES if cause.name in faults),
    ]
    assert faults | RECOGNIZED.keys() == BY_NAME.keys()
    assert len(CAUSES) == len(BY_NAME)


@pytest.mark.parametrize("fault", [fault.value for fault in ListFault])
@pytest.mark.parametrize("outcome", RECOGNIZED.values(), ids=RECOGNIZED)
def test_a_row_for_pages_takes_no_outcome(fault: str, outcome: Outcome) -> None:
    assert not BY_NAME[fault].recognizes(outcome)


@pytest.mark.parametrize(
    ("outcome", "name"),
    [
        # Statuses and words.
        (Outcome(status=407, text="IP pod prod2 associated with pod"), "proxy_login"),
        (Outcome(status=400, text="this request can only be HANDLED BY prod4"), "other_region"),
        (Outcome(status=403, text="Associated with pod", probe=Probe.ACCEPTED), "other_region"),
        (Outcome(status=404, text="associated with pod"), "other_region"),
        (Outcome(status=403, text="expired", probe=Probe.ACCEPTED), "expired_key"),
        (
            Outcome(status=401, text="Unauthorized\nExpired token", probe=Probe.REFUSED),
            "expired_key",
        ),
        (Outcome(status=400, text="expired"), "rejected_request"),
        (Outcome(status=401, text="your IP 1.2.3.4", probe=Probe.ACCEPTED), "ip_restricted"),
        (Outcome(status=403, text="ip_address 1.2.3.4"), "ip_restricted"),
        (Outcome(status=403, text="not in cidr"), "ip_restricted"),
        (Outcome(status=403, text="not on the allow-list"), "ip_restricted"),
        (Outcome(status=403, text="not on the allowlist"), "ip_restricted"),
        (Outcome(status=403, text="not whitelisted"), "ip_restricted"),
        (Outcome(status=403, text="no ship for this tip"), "missing_role"),
        (Outcome(status=400, text="IP address"), "rejected_request"),
        # Lists and the probe.
        (Outcome(status=403), "missing_role"),
        (Outcome(status=403, probe=Probe.UNKNOWN), "missing_role"),
        (Outcome(status=403, probe=Probe.ACCEPTED), "missing_role"),
        (Outcome(status=403, probe=Probe.REFUSED), "refused_key"),
        (Outcome(status=401, probe=Probe.REFUSED), "refused_key"),
        (Outcome(status=401, probe=Probe.UNKNOWN), "refused_key"),
        (Outcome(status=401, probe=Probe.ACCEPTED, is_list=False), "refused_key"),
        (Outcome(status=403, is_list=False), "refused_key"),
        (Outcome(status=402, probe=Probe.ACCEPTED), "rejected_request"),
        (Outcome(status=404, probe=Probe.REFUSED), "unknown_organization"),
        (Outcome(status=404, probe=Probe.UNKNOWN), "unknown_organization"),
        (Outcome(status=404, probe=Probe.ACCEPTED, is_list=False), "unknown_organization"),
        (Outcome(status=500, probe=Probe.ACCEPTED), "server_failure"),
        # Bodies.
        (Outcome(status=404, html=True, broken=True), "unknown_organization"),
        (Outcome(status=429, html=True, broken=True), "rate_limit"),
        (Outcome(status=403, html=True, broken=True, probe=Probe.REFUSED), "refused_key"),
        (Outcome(status=400, html=True, broken=True), "rejected_request"),
        (Outcome(status=302, html=True, broken=True), "redirect"),
        (Outcome(status=503, html=True, broken=True), "maintenance_page"),
        (Outcome(status=503, broken=True), "server_failure"),
        (Outcome(status=200, text="associated with pod", broken=True), "broken_body"),
        # The borders of the classes of statuses.
        (Outcome(status=300), "redirect"),
        (Outcome(status=399), "redirect"),
        (Outcome(status=299, broken=True), "broken_body"),
        (Outcome(status=499), "rejected_request"),
        (Outcome(status=599), "server_failure"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_the_first_row_that_recognizes_an_outcome_wins(outcome: Outcome, name: str) -> None:
    assert cause_of(outcome).name == name


@pytest.mark.parametrize(
    ("exception", "name"),
    [
        (from_requests(REQUESTS_CONNECTION_ERROR, REFUSED), "connection_refused"),
        (from_requests(REQUESTS_CONNECTION_ERROR, UNRESOLVED), "unknown_organization"),
        (REQUESTS_CONNECTION_ERROR(socket.gaierror(-2, "unknown")), "unknown_organization"),
        (
            from_requests(
                requests.exceptions.ProxyError,
                urllib3.exceptions.ProxyError("no tunnel", ConnectionRefusedError(111, "no")),
            ),
            "proxy",
        ),
        (
            from_requests(
                requests.exceptions.ProxyError,
                urllib3.exceptions.ProxyError("no tunnel", OSError("Tunnel failed: 403")),
            ),
            "proxy",
        ),
        (urllib3.exceptions.ProxyError("no tunnel", TimeoutError()), "proxy"),
        (
            from_requests(
                requests.exceptions.SSLError,
                urllib3.exceptions.SSLError(ssl.SSLCertVerificationError(1, "unknown issuer")),
            ),
            "tls",
        ),
        (
            from_requests(
                REQUESTS_CONNECTION_ERROR, urllib3.exceptions.SSLError("wrong version number")
            ),
            "tls",
        ),
        (
            from_requests(
                requests.exceptions.ConnectTimeout,
                urllib3.exceptions.ConnectTimeoutError(CONNECTION, "timed out"),
            ),
            "timeout",
        ),
        (urllib3.exceptions.ReadTimeoutError(POOL, "/v1/tags", "timed out"), "timeout"),
        (requests.exceptions.ReadTimeout("the answer took too long"), "timeout"),
        (REQUESTS_CONNECTION_ERROR(TimeoutError("timed out")), "timeout"),
        (
            REQUESTS_CONNECTION_ERROR(
                urllib3.exceptions.ProtocolError("aborted", ConnectionResetError(104, "reset"))
            ),
            "connection_lost",
        ),
        (
            REQUESTS_CONNECTION_ERROR(
                urllib3.exceptions.ProtocolError(
                    "aborted", http.client.RemoteDisconnected("closed without response")
                )
            ),
            "connection_lost",
        ),
        (OSError(101, "Network is unreachable"), "connection_lost"),
        (
            from_requests(
                REQUESTS_CONNECTION_ERROR,
                caused(
                    urllib3.exceptions.NewConnectionError(CONNECTION, "unreachable"),
                    OSError(101, "Network is unreachable"),
                ),
            ),
            "connection_lost",
        ),
        (ValueError("what nobody has thought of"), "connection_lost"),
        (urllib3.exceptions.IncompleteRead(5, 10), "broken_body"),
        (
            urllib3.exceptions.ProtocolError("broken", http.client.IncompleteRead(b"x", 10)),
            "broken_body",
        ),
        (
            urllib3.exceptions.ProtocolError(
                "broken",
                urllib3.exceptions.InvalidChunkLength(urllib3.HTTPResponse(), b"x"),
            ),
            "broken_body",
        ),
        (urllib3.exceptions.DecodeError("not gzip"), "broken_body"),
        (requests.exceptions.ContentDecodingError("the answer is too large"), "broken_body"),
        (requests.exceptions.ChunkedEncodingError("cut"), "broken_body"),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_an_exception_is_recognized_by_what_is_inside_it(exception: Exception, name: str) -> None:
    assert cause_of(Outcome(exception=exception)).name == name


def test_a_name_that_was_found_before_and_is_not_now_is_no_unknown_organization() -> None:
    exception = from_requests(REQUESTS_CONNECTION_ERROR, UNRESOLVED)
    cause = cause_of(Outcome(exception=exception, host_was_reached=True))
    assert cause.failure_type is TRANSIENT
    assert cause.action is Action.RETRY


def in_args(inner: Exception) -> Exception:
    return ValueError("outer", inner)


def as_reason(inner: Exception) -> Exception:
    outer = ValueError("outer")
    outer.reason = inner  # type: ignore[attr-defined]
    return outer


def as_cause(inner: Exception) -> Exception:
    outer = ValueError("outer")
    outer.__cause__ = inner
    return outer


def as_context(inner: Exception) -> Exception:
    outer = ValueError("outer")
    outer.__context__ = inner
    return outer


@pytest.mark.parametrize("wrap", [in_args, as_reason, as_cause, as_context])
@pytest.mark.parametrize("again", [in_args, as_reason, as_cause, as_context])
def test_an_exception_is_found_however_it_was_wrapped(wrap: Any, again: Any) -> None:
    outcome = Outcome(exception=again(wrap(KeyError("inner"))))
    assert outcome.raised(IndexError, KeyError)
    assert outcome.raised(ValueError)
    assert not outcome.raised(IndexError)


def test_exceptions_that_hold_each_other_are_looked_at_once() -> None:
    one, other = ValueError("one"), ValueError("other")
    one.__cause__, other.__context__, other.args = other, one, (one, other)
    assert not Outcome(exception=one).raised(KeyError)


def test_without_an_exception_nothing_was_raised() -> None:
    assert not Outcome(status=500).raised(BaseException)


@pytest.mark.parametrize(
    ("status", "is_one"), [(401, True), (403, True), (404, True), (400, False), (200, False)]
)
def test_the_probe_is_needed_for_a_refusal_only(*, status: int, is_one: bool) -> None:
    assert Outcome(status=status).refusal is is_one
    assert not Outcome().refusal


@pytest.mark.parametrize(("status", "listened_to"), [(399, False), (400, True), (None, False)])
def test_words_count_in_errors_only(*, status: int | None, listened_to: bool) -> None:
    assert Outcome(status=status, text="Some WORDS").says("some words") is listened_to
    assert not Outcome(status=status, text="Some WORDS").says("others")


@given(
    status=st.integers(300, 599),
    text=st.text(),
    html=st.booleans(),
    broken=st.booleans(),
    is_list=st.booleans(),
    probe=st.sampled_from([None, *Probe]),
)
def test_every_failed_answer_has_a_row_and_4xx_is_not_tried_again(
    *, status: int, text: str, html: bool, broken: bool, is_list: bool, probe: Probe | None
) -> None:
    cause = cause_of(Outcome(status, text, html, broken, None, is_list, probe))
    # The proxy's refusal is not Kustomer's.
    if status == 429 or status >= 500:
        assert cause.action is not Action.FAIL or cause.name == "other_region"
    else:
        assert cause.action is Action.FAIL


TYPES_AND_ACTIONS = {
    "proxy": (CONFIG, Action.RETRY),
    "proxy_login": (CONFIG, Action.FAIL),
    "other_region": (CONFIG, Action.FAIL),
    "expired_key": (CONFIG, Action.FAIL),
    "ip_restricted": (CONFIG, Action.FAIL),
    "missing_role": (CONFIG, Action.FAIL),
    "refused_key": (CONFIG, Action.FAIL),
    "unavailable_list": (CONFIG, Action.FAIL),
    "unknown_organization": (CONFIG, Action.FAIL),
    "used_up_share": (TRANSIENT, Action.FAIL),
    "rate_limit": (TRANSIENT, Action.WAIT),
    "redirect": (CONFIG, Action.FAIL),
    "rejected_request": (SYSTEM, Action.FAIL),
    "maintenance_page": (TRANSIENT, Action.RETRY),
    "server_failure": (TRANSIENT, Action.RETRY),
    "broken_body": (TRANSIENT, Action.RETRY),
    "tls": (CONFIG, Action.RETRY),
    "connection_refused": (TRANSIENT, Action.RETRY),
    "timeout": (TRANSIENT, Action.RETRY),
    "connection_lost": (TRANSIENT, Action.RETRY),
    "not_a_list": (TRANSIENT, Action.FAIL),
    "no_links": (TRANSIENT, Action.FAIL),
    "foreign_link": (SYSTEM, Action.FAIL),
    "circling_link": (TRANSIENT, Action.FAIL),
    "wrong_page": (TRANSIENT, Action.FAIL),
    "empty_pages": (TRANSIENT, Action.FAIL),
    "moving_list": (TRANSIENT, Action.FAIL),
    "cut_off": (SYSTEM, Action.FAIL),
}


def test_each_row_has_its_failure_type_and_action() -> None:
    assert {c.name: (c.failure_type, c.action) for c in CAUSES} == TYPES_AND_ACTIONS


@pytest.mark.parametrize("cause", CAUSES, ids=lambda cause: cause.name)
def test_only_where_waiting_helps_the_user_is_told_to_wait(cause: Any) -> None:
    waits = re.search(r"again later|again at a quieter time", cause.sentence) is not None
    assert waits == (cause.failure_type is TRANSIENT)


@pytest.mark.parametrize("cause", CAUSES, ids=lambda cause: cause.name)
def test_a_sentence_is_one_that_says_what_is_wrong_and_what_to_do(cause: Any) -> None:
    sentence = cause.sentence
    assert re.match(r"[A-Z][a-z']* |[A-Z][a-z]+'s |\{(host|stream|pages)\} ", sentence)
    assert re.search(r"\.(\{said\})?$", sentence)
    assert len(re.findall(r"[.!?](?= |$)", sentence.removesuffix("{said}"))) == 1
    assert sentence.count(": ") == 1 or "so " in sentence
    assert not re.search(r"\s{2}|\n|\"|!", sentence)
    assert 60 < len(sentence) < 300


@pytest.mark.parametrize("cause", CAUSES, ids=lambda cause: cause.name)
def test_a_row_says_in_a_phrase_what_it_is_recognized_by(cause: Any) -> None:
    assert re.fullmatch(r"(HTML|JSON|[a-z`0-9])(?![A-Z]).{1,100}[^.]", cause.recognized_by)
    assert re.fullmatch(r"[a-z]+(_[a-z]+)*", cause.name)


# What the client, and what the pages, tell of a failure.
OF_THE_CLIENT = {"organization", "host", "stream", "role", "status", "said"}
OF_PAGES = {
    "not_a_list": set[str](),
    "no_links": {"records"},
    "foreign_link": set[str](),
    "circling_link": set[str](),
    "wrong_page": {"asked", "got"},
    "empty_pages": {"pages"},
    "moving_list": {"pages"},
    "cut_off": {"records", "total"},
}


@pytest.mark.parametrize("name", BY_NAME)
def test_a_sentence_needs_no_more_details_than_it_gets(name: str) -> None:
    got = {"host", "stream", *OF_PAGES[name]} if name in OF_PAGES else OF_THE_CLIENT
    assert FIELDS[name] <= got
    assert OF_PAGES.get(name, set()) <= FIELDS[name]


@pytest.mark.parametrize("name", BY_NAME)
def test_a_sentence_is_filled_with_its_details(name: str) -> None:
    details = {detail: f"<{detail}>" for detail in FIELDS[name]}
    made = failure(name, **details)
    assert isinstance(made, Failure)
    assert made.cause is BY_NAME[name]
    assert made.internal_message == name
    assert made.failure_type is BY_NAME[name].failure_type
    assert made.message is not None
    for detail in details.values():
        assert detail in made.message
    assert not re.search(r"[{}]", made.message)


def test_a_detail_that_is_not_known_leaves_a_readable_sentence() -> None:
    assert failure("expired_key").message == BY_NAME["expired_key"].sentence
    assert "status the list: please" in (failure("rejected_request").message or "")
    assert (failure("rejected_request", stream="tags", status=400).message or "").endswith(
        "maintainers."
    )


def test_words_of_a_server_are_never_taken_for_a_template() -> None:
    quote = " Kustomer said: 'no {organization} {0}'."
    message = failure("server_failure", status=500, said=quote).message
    assert message is not None
    assert message.endswith(quote)


def test_the_warnings_are_those_that_a_read_gives() -> None:
    assert [*WARNINGS] == ["short_list", "suspected_cap", "expired_cursor", "foreign_state"]


@pytest.mark.parametrize("name", WARNINGS)
def test_a_warning_is_filled_with_its_details(name: str) -> None:
    details = {"records": "<records>"} | ({"total": "<total>"} if name == "short_list" else {})
    needed = details if name in {"short_list", "suspected_cap"} else {}
    told = WARNINGS[name].format(stream="<stream>", **needed)
    assert "<stream>" in told
    assert all(detail in told for detail in needed.values())
    assert re.fullmatch(r"(The|Kustomer) .{60,300}\.", told)


def of(error: object) -> dict[str, Any]:
    return {"errors": [error]}


@pytest.mark.parametrize(
    "document",
    [
        of({"code": "bad", "message": "No such filter", "meta": {}}),
        of({"status": 400, "detail": "No such filter", "title": "Bad request", "message": "x"}),
        of({"title": "No such filter"}),
        of({"detail": "", "message": None, "title": " No \n such\tfilter "}),
        {"errors": [{"title": "No such filter"}, {"title": "and more"}], "data": []},
    ],
    ids=["short form", "JSON:API", "title only", "first that is there", "first error"],
)
def test_the_servers_words_are_quoted_from_either_error_body(document: object) -> None:
    assert said(document, KEY) == " Kustomer said: 'No such filter'."


@pytest.mark.parametrize(
    "document",
    [
        None,
        [],
        "text",
        {},
        {"errors": None},
        {"errors": {"title": "No"}},
        {"errors": []},
        of("No"),
        of(None),
        of({}),
        of({"code": "bad"}),
        of({"message": 5}),
        of({"message": ["No"]}),
        of({"message": " \n "}),
        of({"message": "w" * 23 + " " + "w" * (LONGEST_QUOTE - 23)}),
        of({"message": "No " * 80}),
        of({"message": f"The key '{KEY}' is not known"}),
        of({"message": "token eyJhbGciOiJIUzI1NiJ9.eyJ"}),
        of({"message": "w" * 24}),
        of({"message": "Ask ann@mail.example"}),
        of({"message": "No\0"}),
        of({"message": "\x1b[31mNo"}),
        of({"message": "\ud83d"}),
    ],
    ids=repr,
)
def test_words_that_are_long_or_may_be_secret_are_not_quoted(document: object) -> None:
    assert said(document, KEY) == ""


def test_the_longest_harmless_words_are_quoted() -> None:
    words = ("w" * 23 + " ") * 20
    words = words[: LONGEST_QUOTE - 1] + "!"
    assert said(of({"message": words}), KEY) == f" Kustomer said: '{words}'."
    assert said(of({"message": f"{words}!"}), KEY) == ""


@given(st.text(max_size=40), st.text(max_size=40))
def test_a_key_is_never_quoted_whatever_stands_round_it(before: str, after: str) -> None:
    assert "short-key" not in said(of({"message": f"{before}short-key{after}"}), "short-key")
