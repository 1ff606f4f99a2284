"""Requests, their retries and waits, in virtual time."""

import logging
import re
import socket
import threading
from collections.abc import Callable
from concurrent.futures import CancelledError, Future
from dataclasses import replace
from typing import Any

import pytest
import requests
from fakes import (
    BASE,
    KEY,
    PROBE,
    Reply,
    ScriptedTransport,
    VirtualClock,
    by_path,
    connected,
    error,
    in_turn,
    page,
)
from sockets import FOR_EVER

from source_kustomer.api import background
from source_kustomer.api.client import Client, Traffic
from source_kustomer.api.transport import Response
from source_kustomer.config import Config
from source_kustomer.errors import Failure, Fault
from source_kustomer.timing import DEFAULT_TIMING, SYSTEM_CLOCK, Timing

TAGS = f"{BASE}tags?page=1&pageSize=100"
GOOD = Reply(body=page("a"))
OUTAGE = error(500, "Oops")
LOST = Reply(raises=requests.ConnectionError())
NO_NAME = Reply(raises=requests.ConnectionError(socket.gaierror(socket.EAI_NONAME, "unknown")))


def get(
    client: Client, accept: Callable[[Any], Any] = lambda document: document, **how: Any
) -> Any:
    how = {"what": "the tags list", "role": "org.permission.tag.read", **how}
    return client.get(TAGS, accept, **how)


def failure_of(
    client: Client, accept: Callable[[Any], Any] = lambda _: None, **how: Any
) -> Failure:
    with pytest.raises(Failure) as raised:
        get(client, accept, **how)
    return raised.value


def limited(status: int = 429, seconds: float = 3) -> Reply:
    return error(status, retry_after=str(seconds))


def test_only_200_and_203_are_successes_and_one_of_any_other_status_is_outlived(
    client: Client, transport: ScriptedTransport
) -> None:
    first = {}
    for status in [*range(100, 600), 999]:
        replies = in_turn(Reply(status, page("first")), Reply(body=page("second")))
        transport.script = by_path({PROBE: Reply(body={}), "tags": replies})
        first[status] = get(client, lambda document: document["data"][0]["id"])
    assert {status for status, read in first.items() if read == "first"} == {200, 203}


TRIED = {
    "once": (
        Reply(raises=Fault("large_body", megabytes=9)),
        1,
        "for the tags list is larger than 9",
    ),
    "twice": (error(403), 2, "the tags list: it lacks the role org.permission.tag.read"),
    "4 times": (error(404), 4, "does not offer the tags list to the organization 'acme'"),
    "6 times": (LOST, 6, "Every attempt to connect to acme.api.kustomerapp.com failed"),
}


@pytest.mark.parametrize(("reply", "attempts", "words"), TRIED.values(), ids=TRIED)
def test_a_page_is_tried_as_often_as_its_cause_says_and_then_explained(
    client: Client, transport: ScriptedTransport, reply: Reply, attempts: int, words: str
) -> None:
    transport.script = by_path({PROBE: Reply(body={})}, otherwise=reply)
    assert words in (failure_of(client).message or "")
    assert len(transport.asked("tags")) == attempts


def test_waits_double_up_to_the_longest_and_differ(
    transport: ScriptedTransport, clock: VirtualClock
) -> None:
    client = connected(transport, timing=replace(DEFAULT_TIMING, backoff=2, longest_backoff=10))
    transport.script = in_turn(OUTAGE)
    for _ in range(8):
        client.is_outage = False
        failure_of(client)
    by_attempt = [clock.slept[number::5] for number in range(5)]
    for waits, longest in zip(by_attempt, [2, 4, 8, 10, 10], strict=True):
        assert all(0.75 * longest <= wait <= longest for wait in waits)
        assert len({*waits}) > 1


def test_a_document_that_is_refused_is_asked_for_again_after_the_wait_of_the_fault(
    client: Client, transport: ScriptedTransport, clock: VirtualClock
) -> None:
    faults = [Fault("second_look", wait=0.0), Fault("cut_off", wait=7.0, records=1, total=2)]

    def accept(_: Any) -> str:
        if faults:
            raise faults.pop(0)
        return "accepted"

    assert get(client, accept) == "accepted"
    assert clock.slept == [0, 7]
    assert transport.sent == [TAGS] * 3


def test_a_mistake_of_accept_is_no_failure_of_the_network(client: Client) -> None:
    with pytest.raises(KeyError):
        get(client, lambda document: document["data"])


@pytest.mark.parametrize(
    ("timing", "seconds", "replies", "sent"),
    [
        ({"backoff": 0}, 9999, [(149, OUTAGE), (0, limited(429, 400)), (149, OUTAGE)], 4),
        ({"backoff": 10, "longest_backoff": 10}, 50, [(10.1, OUTAGE)], 3),
    ],
    ids=["page, beside what the limit took", "command"],
)
def test_no_attempt_begins_after_the_time_of_a_page_or_a_command(
    transport: ScriptedTransport,
    timing: dict[str, float],
    seconds: float,
    replies: list[tuple[float, Reply]],
    sent: int,
) -> None:
    client = connected(transport, timing=replace(DEFAULT_TIMING, **timing), seconds=seconds)
    transport.script = in_turn(*(replace(reply, takes=takes) for takes, reply in replies))
    assert failure_of(client).cause.name == "busy_server"
    assert len(transport.sent) == sent


def test_a_short_limit_is_waited_for_as_often_as_it_is_met(
    client: Client, transport: ScriptedTransport, clock: VirtualClock
) -> None:
    transport.script = in_turn(*[limited()] * 8, GOOD)
    began = clock.monotonic()
    assert get(client) == page("a")
    assert 8 * 3 <= clock.monotonic() - began <= 40


@pytest.mark.parametrize("seconds", [540, 50])
@pytest.mark.parametrize("headers", [{}, {"retry_after": "30"}, {"x_ratelimit_reset": "29"}])
def test_a_limit_that_never_frees_a_request_ends_in_its_sentence(
    transport: ScriptedTransport, clock: VirtualClock, headers: dict[str, str], seconds: int
) -> None:
    client = connected(transport, seconds=seconds)
    transport.script = in_turn(error(429, **headers))
    began = clock.monotonic()
    assert failure_of(client).cause.name == "rate_limit"
    assert len(transport.sent) > 1
    # No wait that ends later is begun.
    assert 0.4 * seconds <= clock.monotonic() - began <= seconds


def test_a_wait_longer_than_a_sync_waits_is_begun_by_no_list(
    client: Client, transport: ScriptedTransport, clock: VirtualClock
) -> None:
    transport.script = in_turn(limited(429, 700))
    began = clock.monotonic()
    for _ in range(3):
        assert failure_of(client).cause.name == "rate_limit"
    assert clock.monotonic() - began < 2
    assert len(transport.sent) == 1


@pytest.mark.parametrize("seconds", [20, 100, 200, 700])
def test_a_503_is_waited_for_as_it_asks_and_is_no_rate_limit(
    client: Client, transport: ScriptedTransport, clock: VirtualClock, seconds: int
) -> None:
    # What the limit may take in all, or else the backoff of the attempts.
    pauses = min(5, 540 // seconds)
    transport.script = in_turn(*[limited(503, seconds)] * 5, GOOD)
    began = clock.monotonic()
    assert get(client) == page("a")
    assert pauses * seconds <= clock.monotonic() - began <= pauses * (seconds + 1) + 31
    transport.script = in_turn(limited(503, seconds))
    assert failure_of(client).cause.name == "busy_server"


def test_a_503_that_asks_for_more_than_a_command_has_is_no_rate_limit(
    transport: ScriptedTransport,
) -> None:
    transport.script = in_turn(limited(503, 60))
    assert failure_of(connected(transport, seconds=50)).cause.name == "busy_server"


@pytest.mark.parametrize(
    ("reply", "pause"),
    [(limited(), 3), (limited(503), 3), (limited(500), 0), (Reply(503), 0), (GOOD, 0)],
    ids=["429", "503", "500", "503 without a wait", "200"],
)
def test_the_limiter_learns_from_every_response_and_a_wait_is_for_all(
    client: Client, transport: ScriptedTransport, clock: VirtualClock, reply: Reply, pause: float
) -> None:
    headers = {**reply.headers, "X-RateLimit-Limit": "1000"}
    transport.script = in_turn(replace(reply, headers=headers), GOOD)
    client.send(TAGS)
    assert client.limiter.pace.share == 800
    before = clock.monotonic()
    client.send(TAGS)
    assert clock.monotonic() - before == pytest.approx(pause, abs=2 if pause else 0)


def test_what_is_not_wanted_or_too_large_is_not_returned(
    client: Client, transport: ScriptedTransport
) -> None:
    with pytest.raises(CancelledError):
        client.send(TAGS, wanted=lambda: False)
    assert transport.sent == []
    transport.script = in_turn(Reply(body=b"x" * 1001))
    with pytest.raises(Fault, match="large_body"):
        client.send(TAGS, largest_body=1000)
    assert client.send(TAGS, largest_body=1001).status == 200


def test_traffic_is_what_was_sent_received_and_waited(
    client: Client, transport: ScriptedTransport
) -> None:
    assert client.traffic == Traffic(0, 0, 0, 0)
    transport.script = in_turn(LOST, OUTAGE, limited(429, 30), GOOD)
    get(client)
    received = len(OUTAGE.content + limited(429, 30).content + GOOD.content)
    waited = client.traffic.waited
    assert 30 <= waited <= 31
    assert client.traffic == Traffic(4, 3, received, waited)
    get(client)
    assert client.traffic == Traffic(5, 3, received + len(GOOD.content), waited)


def test_after_an_outage_other_lists_find_out_in_two_attempts_until_one_responds(
    client: Client, transport: ScriptedTransport
) -> None:
    transport.script = in_turn(OUTAGE)
    sent = []
    for script in (None, None, in_turn(GOOD, OUTAGE), None, None):
        transport.script = script or transport.script
        transport.sent.clear()
        try:
            get(client)
        except Failure:
            sent.append(len(transport.sent))
    assert sent == [6, 2, 6, 2]


@pytest.mark.parametrize(
    ("reply", "is_reading"),
    [
        *((error(status), False) for status in (400, 403, 404)),
        (error(400), True),
        (Reply(raises=Fault("unexpected_document")), False),
    ],
    ids=["400", "403", "404", "400 in the middle", "unexpected document"],
)
def test_what_one_list_is_refused_is_no_outage(
    client: Client, transport: ScriptedTransport, reply: Reply, *, is_reading: bool
) -> None:
    transport.script = in_turn(reply)
    failure_of(client, is_reading=is_reading)
    assert not client.is_outage
    transport.script = in_turn(OUTAGE)
    failure_of(client)
    assert client.is_outage
    transport.script = in_turn(reply)
    failure_of(client, is_reading=is_reading)
    assert client.is_outage


def test_a_name_that_does_not_exist_is_an_unknown_organization_before_the_first_response_alone(
    client: Client, transport: ScriptedTransport
) -> None:
    transport.script = in_turn(NO_NAME)
    assert failure_of(client).cause.name == "unknown_organization"
    transport.script = in_turn(GOOD, NO_NAME)
    get(client)
    assert failure_of(client).cause.name == "name_lookup"


def fetched(reply: Reply) -> Future[Response]:
    """Return what became of a first attempt that was begun before."""
    ahead = Future[Response]()
    if reply.raises:
        ahead.set_exception(reply.raises)
    else:
        ahead.set_result(Response(reply.status, reply.headers, reply.content, 1))
    return ahead


@pytest.mark.parametrize(
    ("reply", "sent"),
    [(GOOD, 0), (OUTAGE, 5), (Reply(body=b"{"), 5), (LOST, 5)],
    ids=["good", "500", "no JSON", "lost"],
)
def test_what_was_fetched_ahead_is_the_first_attempt(
    client: Client, transport: ScriptedTransport, reply: Reply, sent: int
) -> None:
    transport.script = in_turn(reply)
    if sent:
        failure_of(client, ahead=fetched(reply))
    else:
        assert get(client, ahead=fetched(reply)) == page("a")
    assert len(transport.sent) == client.traffic.retries == sent


class Hanging:
    """A transport that does not return while a test runs."""

    def __init__(self) -> None:
        self.may_end = threading.Event()

    def get(self, url: str, largest_body: int = 0) -> Response:
        self.may_end.wait(FOR_EVER)
        raise requests.ConnectionError(url, largest_body)


@pytest.mark.parametrize(
    ("timing", "seconds"),
    [(Timing(response=0.05, backoff=0), FOR_EVER), (Timing(response=FOR_EVER), 0.05)],
    ids=["response", "command"],
)
def test_a_response_that_hangs_is_given_up_and_leaves_the_limit_to_others(
    timing: Timing, seconds: float
) -> None:
    transport, config = Hanging(), Config("acme", KEY, 80, BASE)
    client = Client(config, timing=timing, transport=transport, seconds=seconds)
    assert failure_of(client).cause.name == "timeout"
    assert not transport.may_end.is_set()
    in_a_minute = SYSTEM_CLOCK.monotonic() + 60
    assert client.limiter.pace.own(in_a_minute) == 0, "none is in flight"
    transport.may_end.set()


@pytest.mark.parametrize(
    ("reply", "backoff", "line"),
    [
        (OUTAGE, 1, r"in (\S+) s, attempt 2: busy server \(status 500\)\."),
        (Reply(raises=requests.ReadTimeout()), 25, r"in (\S+) s, attempt 2: timeout\."),
        (limited(), 1, r"now, attempt 2: rate limit (\(status 429\))\."),
    ],
    ids=["short", "long", "limit"],
)
def test_a_retry_is_logged_with_its_reason_and_its_wait(
    transport: ScriptedTransport,
    clock: VirtualClock,
    caplog: pytest.LogCaptureFixture,
    reply: Reply,
    backoff: float,
    line: str,
) -> None:
    client = connected(transport, timing=replace(DEFAULT_TIMING, backoff=backoff))
    transport.script = in_turn(reply, GOOD)
    with caplog.at_level(logging.INFO, "airbyte"):
        get(client)
    (record,) = caplog.records
    assert record.levelname == ("WARNING" if backoff > 10 else "INFO")
    logged = re.fullmatch(f"Asking for the tags list again {line}", record.getMessage())
    assert logged
    assert logged[1] in {f"{clock.slept[0]:.1f}", "(status 429)"}


@pytest.mark.parametrize(
    "reply",
    [
        error(500, f"Bearer {KEY} is odd", x_echo=KEY),
        Reply(raises=requests.ConnectionError(f"Bearer {KEY}")),
        Reply(200, KEY.encode()),
    ],
    ids=["error", "exception", "body"],
)
def test_a_key_that_comes_back_is_in_no_message(
    client: Client, transport: ScriptedTransport, caplog: pytest.LogCaptureFixture, reply: Reply
) -> None:
    transport.script = in_turn(reply)
    with caplog.at_level(logging.DEBUG):
        failure = failure_of(client)
    assert KEY not in repr(failure.as_airbyte_message())
    assert KEY not in caplog.text


PROBED = {
    "good": (Reply(body={"data": {}}), True),
    "401": (error(401), False),
    "403": (error(403), False),
    "404": (error(404), None),
    "500": (error(500), None),
    "429": (error(429), None),
    "lost": (LOST, None),
    "no JSON": (Reply(body=b"{"), None),
    "web page": (Reply(401, b"<html>"), None),
    "text": (Reply(403, b"blocked"), None),
}


@pytest.mark.parametrize(("reply", "is_accepted"), PROBED.values(), ids=PROBED)
def test_a_refusal_is_explained_by_a_probe_of_the_key_that_is_made_once(
    client: Client, transport: ScriptedTransport, reply: Reply, *, is_accepted: bool | None
) -> None:
    probes = set[int]()
    for status in (401, 403, 404):
        transport.script = by_path({PROBE: reply}, otherwise=error(status))
        assert failure_of(client).evidence.is_key_accepted is is_accepted
        probes.add(len(transport.asked(PROBE)))
    assert (client.probe() is None) == (is_accepted is True)
    assert probes == {len(transport.asked(PROBE))}


@pytest.mark.parametrize(
    ("reply", "role"),
    [
        *((error(status), "a role") for status in (400, 402, 500)),
        (Reply(401, b"<html>session has expired</html>"), "a role"),
        (Reply(403, b"error code: 1020"), "a role"),
        (LOST, "a role"),
        (error(401), ""),
    ],
    ids=["400", "402", "500", "web page", "text", "lost", "no list"],
)
def test_what_the_key_has_no_part_in_makes_no_probe(
    client: Client, transport: ScriptedTransport, reply: Reply, role: str
) -> None:
    transport.script = in_turn(reply)
    assert failure_of(client, role=role).evidence.is_key_accepted is None
    assert transport.asked(PROBE) == []


@pytest.mark.parametrize(
    ("words", "reply", "cause"),
    [
        ("no", error(401, "Expired token"), "expired_key"),
        ("Expired token", error(401), "expired_key"),
        ("no", error(401, "Associated with pod prod2"), "other_region"),
        ("no", error(500, "Expired token"), "missing_role"),
    ],
    ids=["the probe's", "the list's", "region", "no refusal"],
)
def test_the_words_of_the_list_and_of_the_probes_refusal_count(
    client: Client, transport: ScriptedTransport, words: str, reply: Reply, cause: str
) -> None:
    transport.script = by_path({PROBE: reply}, otherwise=error(403, words))
    assert failure_of(client).cause.name == cause


def test_several_refusals_at_a_time_make_one_probe_for_which_nothing_else_waits(
    client: Client, transport: ScriptedTransport
) -> None:
    probed, may_answer = threading.Event(), threading.Event()

    def probe(_: str) -> Reply:
        probed.set()
        may_answer.wait(FOR_EVER)
        return Reply(body={})

    transport.script = by_path({PROBE: probe, "tags": error(403), "teams": GOOD})
    failures = [background.start(lambda: failure_of(client)) for _ in range(4)]
    assert probed.wait(FOR_EVER)
    assert client.get(f"{BASE}teams", lambda _: "open", what="teams") == "open"
    may_answer.set()
    assert {f.result(FOR_EVER).cause.name for f in failures} == {"missing_role"}
    assert len(transport.asked(PROBE)) == 1
