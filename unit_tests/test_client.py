"""Requests, their retries and waits, in virtual time."""

import logging
import re
import socket
import threading
from collections.abc import Callable
from concurrent.futures import CancelledError, Future
from dataclasses import replace
from itertools import product
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


def test_no_attempt_begins_after_the_time_of_a_page_beside_what_the_limit_takes(
    transport: ScriptedTransport,
) -> None:
    client = connected(transport, timing=replace(DEFAULT_TIMING, page=300, backoff=0))
    slow = replace(OUTAGE, takes=149)
    replies = in_turn(limited(429, 200), GOOD, slow, limited(429, 400), slow)

    def answer(url: str) -> Reply:
        # For other requests, which does not count; nor does what the page before took.
        client.limiter.waited += 100
        return replies(url)

    transport.script = answer
    get(client)
    assert failure_of(client).cause.name == "busy_server"
    assert len(transport.sent) == 2 + 4


def test_a_wait_that_ends_after_the_time_of_a_page_is_not_begun(
    transport: ScriptedTransport,
) -> None:
    client = connected(transport, timing=replace(DEFAULT_TIMING, page=20, backoff=16))
    transport.script = in_turn(replace(OUTAGE, takes=10))
    assert failure_of(client).cause.name == "busy_server"
    assert len(transport.sent) == 1


def test_no_attempt_begins_after_the_time_of_a_command(transport: ScriptedTransport) -> None:
    timing = replace(DEFAULT_TIMING, backoff=10, longest_backoff=10)
    transport.script = in_turn(replace(OUTAGE, takes=10.1))
    assert failure_of(connected(transport, timing=timing, seconds=50)).cause.name == "busy_server"
    assert len(transport.sent) == 3


def test_a_short_limit_is_waited_for_as_often_as_it_is_met(
    client: Client, transport: ScriptedTransport
) -> None:
    transport.script = in_turn(*[limited()] * 8, GOOD)
    assert get(client) == page("a")
    assert 8 * 3 <= client.traffic.waited <= 40


@pytest.mark.parametrize("seconds", [540, 50])
@pytest.mark.parametrize("headers", [{}, {"retry_after": "30"}, {"x_ratelimit_reset": "29"}])
def test_a_limit_that_never_frees_a_request_ends_in_its_sentence(
    transport: ScriptedTransport, headers: dict[str, str], seconds: int
) -> None:
    client = connected(transport, seconds=seconds)
    transport.script = in_turn(error(429, **headers))
    assert failure_of(client).cause.name == "rate_limit"
    assert len(transport.sent) > 1
    # No wait that ends later is begun.
    assert 0.4 * seconds <= client.traffic.waited <= seconds


def test_a_wait_longer_than_a_sync_waits_is_begun_by_no_list(
    client: Client, transport: ScriptedTransport
) -> None:
    transport.script = in_turn(limited(429, 700))
    for _ in range(3):
        assert failure_of(client).cause.name == "rate_limit"
    assert client.traffic == Traffic(1, 1, len(limited(429, 700).content), 0)


@pytest.mark.parametrize(
    ("asked", "seconds", "pauses"),
    [(20, 9999, 5), (100, 9999, 5), (200, 9999, 2), (700, 9999, 0), (60, 50, 0)],
)
def test_a_503_is_waited_for_as_it_asks_where_the_limit_may_take_as_long_and_is_no_rate_limit(
    transport: ScriptedTransport, clock: VirtualClock, asked: int, seconds: float, pauses: int
) -> None:
    client, began = connected(transport, seconds=seconds), clock.monotonic()
    transport.script = in_turn(limited(503, asked))
    assert failure_of(client).cause.name == "busy_server"
    # The backoff of the attempts comes in between.
    assert pauses * asked <= clock.monotonic() - began <= pauses * (asked + 1) + 31


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
    client.send(TAGS)
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


def test_what_one_list_is_refused_neither_begins_an_outage_nor_ends_it(
    client: Client, transport: ScriptedTransport
) -> None:
    odd = Reply(raises=Fault("unexpected_document"))
    for is_outage, is_reading, reply in product(
        (False, True), (False, True), (error(400), error(404), odd)
    ):
        client.is_outage = is_outage
        transport.script = in_turn(reply)
        failure_of(client, is_reading=is_reading)
        assert client.is_outage == is_outage


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
    ("reply", "backoff", "level", "words"),
    [
        (OUTAGE, 1, "INFO", r"in [01]\.\d s, attempt 2: busy server \(status 500\)"),
        (LOST, 25, "WARNING", r"in [12]\d\.\d s, attempt 2: connection"),
        (limited(), 1, "INFO", r"now, attempt 2: rate limit \(status 429\)"),
    ],
    ids=["short", "long", "limit"],
)
def test_a_retry_is_logged_with_its_reason_and_its_wait(
    transport: ScriptedTransport,
    caplog: pytest.LogCaptureFixture,
    reply: Reply,
    backoff: float,
    level: str,
    words: str,
) -> None:
    client = connected(transport, timing=replace(DEFAULT_TIMING, backoff=backoff))
    transport.script = in_turn(reply, GOOD)
    with caplog.at_level(logging.INFO, "airbyte"):
        get(client)
    (record,) = caplog.records
    assert record.levelname == level
    assert re.fullmatch(rf"Asking for the tags list again {words}\.", record.getMessage())


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


PROBED: dict[str, tuple[Reply, bool | None, str]] = {
    "good": (Reply(body={"data": {}}), True, "missing_role"),
    "401": (error(401), False, "refused_key"),
    "403": (error(403), False, "refused_key"),
    "403 with words": (error(403, "Associated with pod prod2"), False, "other_region"),
    "404": (error(404, "Expired token"), None, "missing_role"),
    "500": (error(500, "Expired token"), None, "missing_role"),
    "429": (error(429), None, "missing_role"),
    "lost": (LOST, None, "missing_role"),
    "no JSON": (Reply(body=b"{"), None, "missing_role"),
    "web page": (Reply(401, b"<html>"), None, "missing_role"),
}


@pytest.mark.parametrize(("reply", "is_accepted", "cause"), PROBED.values(), ids=PROBED)
def test_a_refusal_is_explained_by_a_probe_of_the_key_that_is_made_once(
    client: Client,
    transport: ScriptedTransport,
    reply: Reply,
    *,
    is_accepted: bool | None,
    cause: str,
) -> None:
    transport.script = by_path({PROBE: reply}, otherwise=error(403))
    assert failure_of(client).cause.name == cause
    probes = len(transport.asked(PROBE))
    for status in (401, 403, 404):
        transport.script = in_turn(error(status))
        assert failure_of(client).evidence.is_key_accepted is is_accepted
    assert (client.probe() is None) == (is_accepted is True)
    assert len(transport.asked(PROBE)) == probes


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
