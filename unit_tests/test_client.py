"""Requests, their retries and waits, in virtual time."""

import logging
import re
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
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
from source_kustomer.api.probe import Probe

from source_kustomer.api.client import Client, Target
from source_kustomer.api.rate_limit import CancelledError, Observe, RateLimiter
from source_kustomer.api.transport import Response
from source_kustomer.config import Config
from source_kustomer.errors import Failure, Fault
from source_kustomer.timing import DEFAULT_TIMING, Timing

TAGS = f"{BASE}tags?page=1&pageSize=100"
ROLE = "org.permission.tag.read"
GOOD = Reply(body=page("a"))
OUTAGE = error(500, "Oops")


def get(
    client: Client,
    accept: Callable[[Any], Any] = lambda document: document,
    target: Target | None = None,
    **options: Any,
) -> Any:
    return client.get(TAGS, accept, target=target or Target.of_list("tags", ROLE), **options)


def failure_of(client: Client, *of: Any, **options: Any) -> Failure:
    with pytest.raises(Failure) as raised:
        get(client, *of, **options)
    return raised.value


def raising(exception: Exception) -> Reply:
    return Reply(raises=exception)


def limited(status: int = 429, seconds: float = 3) -> Reply:
    return error(status, retry_after=str(seconds))


def test_a_success_is_what_accept_makes_of_it_after_one_request(
    client: Client, transport: ScriptedTransport
) -> None:
    transport.script = in_turn(GOOD, replace(GOOD, status=203))
    assert get(client, lambda document: document["data"]) == [{"id": "a"}]
    assert transport.sent == [TAGS]
    assert get(client) == page("a")


ODD = {
    **{str(status): error(status) for status in [*range(400, 418), 421, 422, 425, 429, 451, 499]},
    **{str(status): Reply(status) for status in (101, 199, 202, 204, 205, 206, 226)},
    **{str(s): Reply(s, b"<html>", {"Location": "https://x/"}) for s in (300, 301, 302, 304, 308)},
    **{str(status): Reply(status, b"oops") for status in (500, 501, 502, 503, 504, 520, 599, 999)},
    "web page": Reply(200, b"<html>"),
    "cut": Reply(200, b'{"data": ['),
    "reset": raising(requests.ConnectionError(ConnectionResetError())),
    "timeout": raising(requests.ReadTimeout()),
    "no name": raising(requests.ConnectionError(socket.gaierror(socket.EAI_NONAME, "unknown"))),
    "not understood": raising(Fault("unexpected_document")),
}


@pytest.mark.parametrize("asked", ["tags", "metadata/customer", PROBE])
@pytest.mark.parametrize("odd", ODD.values(), ids=ODD)
def test_one_odd_response_is_outlived_whatever_is_asked_for(
    client: Client, transport: ScriptedTransport, odd: Reply, asked: str
) -> None:
    accepted = Reply(body={"data": {}})
    transport.script = by_path({PROBE: accepted, asked: in_turn(odd, GOOD)})
    probe = Probe(client)
    if asked == PROBE:
        assert probe.failure() is None
        return
    for is_reading in (False, True):
        target = Target("what is asked for", is_list=True)
        url = f"{BASE}{asked}"
        read = client.get(
            url, lambda d: d, target=target, explain=probe.explain, is_reading=is_reading
        )
        assert read == page("a")
        transport.script = by_path({PROBE: accepted, asked: in_turn(odd, GOOD)})
    assert {*transport.sent} <= {url, f"{BASE}{PROBE}"}


def test_waits_double_up_to_the_longest_and_differ(
    transport: ScriptedTransport, clock: VirtualClock
) -> None:
    timing = replace(DEFAULT_TIMING, backoff=2, longest_backoff=10)
    client = connected(transport, timing=timing)
    transport.script = in_turn(OUTAGE)
    for _ in range(8):
        client.is_outage = False
        failure_of(client)
    by_attempt = [clock.slept[number::5] for number in range(5)]
    for waits, longest in zip(by_attempt, [2, 4, 8, 10, 10], strict=True):
        assert all(0.75 * longest <= wait <= longest for wait in waits)
        assert len({*waits}) > 1


def test_a_fault_says_how_long_to_wait(
    client: Client, transport: ScriptedTransport, clock: VirtualClock
) -> None:
    transport.script = in_turn(
        raising(Fault("second_look", wait=0.0)),
        raising(Fault("cut_off", wait=7, records=1, total=2)),
        GOOD,
    )
    get(client)
    assert clock.slept == [0, 7]


def test_no_attempt_begins_after_the_time_of_a_page_beside_what_the_limit_took(
    transport: ScriptedTransport, clock: VirtualClock
) -> None:
    client = connected(transport, timing=replace(DEFAULT_TIMING, page=300, backoff=0))
    transport.script = in_turn(
        replace(OUTAGE, takes=149), limited(429, 400), replace(OUTAGE, takes=149)
    )
    began = clock.monotonic()
    assert failure_of(client).cause.name == "busy_server"
    assert len(transport.sent) == 4
    assert 400 < clock.monotonic() - began < 400 + 300 + 150


def test_no_attempt_begins_after_the_time_of_a_command(
    transport: ScriptedTransport, clock: VirtualClock
) -> None:
    timing = replace(DEFAULT_TIMING, backoff=10, longest_backoff=10)
    client = connected(transport, timing=timing, seconds=50)
    transport.script = in_turn(replace(OUTAGE, takes=10.1))
    began = clock.monotonic()
    assert failure_of(client).cause.name == "busy_server"
    assert 40 < clock.monotonic() - began <= 50
    assert len(transport.sent) == 3


def test_a_short_limit_is_waited_for_as_often_as_it_is_met(
    client: Client, transport: ScriptedTransport, clock: VirtualClock
) -> None:
    target = Target("tags")
    transport.script = in_turn(*[limited()] * 8, GOOD)
    began = clock.monotonic()
    assert get(client, target=target) == page("a")
    assert 8 * 3 <= clock.monotonic() - began <= 40
    assert target.traffic.retries == 8


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
    client.send(TAGS, Target().traffic)
    assert client.limiter.requests_per_minute == 800
    before = clock.monotonic()
    client.send(TAGS, Target().traffic)
    assert clock.monotonic() - before == pytest.approx(pause, abs=2 if pause else 0)


def test_what_is_not_wanted_or_too_large_is_not_returned(
    client: Client, transport: ScriptedTransport
) -> None:
    target = Target()
    with pytest.raises(CancelledError):
        client.send(TAGS, target.traffic, wanted=lambda: False)
    assert (transport.sent, target.traffic.requests) == ([], 0)
    transport.script = in_turn(Reply(body=b"x" * 1001))
    with pytest.raises(Fault):
        client.send(TAGS, target.traffic, largest_body=1000)
    assert client.send(TAGS, target.traffic, largest_body=1001).status == 200


def test_traffic_is_counted_for_each_target(client: Client, transport: ScriptedTransport) -> None:
    one, other = Target("tags"), Target("teams")
    transport.script = in_turn(raising(requests.ConnectionError()), OUTAGE, GOOD)
    get(client, target=one)
    get(client, target=other)
    received = len(GOOD.content)
    counted = [
        (t.traffic.requests, t.traffic.retries, t.traffic.received_bytes) for t in (one, other)
    ]
    assert counted == [(3, 2, len(OUTAGE.content) + received), (1, 0, received)]


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
        (raising(Fault("unexpected_document")), False),
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
    transport.script = in_turn(ODD["no name"])
    assert failure_of(client).cause.name == "unknown_organization"
    transport.script = in_turn(GOOD, ODD["no name"])
    get(client)
    assert failure_of(client).cause.name == "name_lookup"


def test_a_document_that_is_refused_is_asked_for_again(
    client: Client, transport: ScriptedTransport
) -> None:
    def accept(document: Any) -> Any:
        if "data" not in document:
            raise Fault("unexpected_document")
        return document["data"]

    transport.script = in_turn(Reply(body={}), GOOD, Reply(body={}))
    assert get(client, accept) == [{"id": "a"}]
    assert failure_of(client, accept).cause.name == "unexpected_document"


def test_a_mistake_of_accept_is_no_failure_of_the_network(client: Client) -> None:
    with pytest.raises(KeyError):
        get(client, lambda document: document["data"])


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
    [(GOOD, 0), (OUTAGE, 5), (Reply(body=b"{"), 5), (raising(requests.ConnectionError()), 5)],
)
def test_what_was_fetched_ahead_is_the_first_attempt(
    client: Client, transport: ScriptedTransport, reply: Reply, sent: int
) -> None:
    target = Target("tags")
    transport.script = in_turn(reply)
    if sent:
        failure_of(client, target=target, ahead=fetched(reply))
    else:
        assert get(client, target=target, ahead=fetched(reply)) == page("a")
    assert len(transport.sent) == target.traffic.retries == sent


class Hanging:
    """A transport that does not return while a test runs."""

    def __init__(self) -> None:
        self.may_end = threading.Event()

    def get(self, url: str, largest_body: int = 0) -> Response:
        self.may_end.wait(FOR_EVER)
        raise requests.ConnectionError(url, largest_body)


class Counted(RateLimiter):
    """A limiter that counts the requests in flight."""

    in_flight = 0

    @contextmanager
    def request(
        self, wanted: Callable[[], bool] = lambda: True, max_wait: float | None = None
    ) -> Iterator[Observe]:
        with super().request(wanted, max_wait) as observe:
            self.in_flight += 1
            try:
                yield observe
            finally:
                self.in_flight -= 1


@pytest.mark.parametrize(
    ("timing", "seconds"),
    [(Timing(response=0.05, backoff=0), FOR_EVER), (Timing(response=FOR_EVER), 0.05)],
    ids=["response", "command"],
)
def test_a_response_that_hangs_is_given_up_and_leaves_the_limit_to_others(
    timing: Timing, seconds: float
) -> None:
    transport, limiter = Hanging(), Counted(80)
    client = Client(
        Config("acme", KEY, 80, BASE),
        timing=timing,
        transport=transport,
        limiter=limiter,
        seconds=seconds,
    )
    assert failure_of(client).cause.name == "timeout"
    assert not transport.may_end.is_set()
    assert limiter.in_flight == 0
    transport.may_end.set()


@pytest.mark.parametrize(
    ("reply", "backoff", "line"),
    [
        (OUTAGE, 1, r"the tags list again in (\S+) s, attempt 2: busy server \(status 500\)\."),
        (
            raising(requests.ReadTimeout()),
            25,
            r"the tags list again in (\S+) s, attempt 2: timeout\.",
        ),
        (limited(), 1, r"the tags list again now, attempt 2: rate limit (\(status 429\))\."),
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
    logged = re.fullmatch(f"Asking for {line}", record.getMessage())
    assert logged
    assert logged[1] in {f"{clock.slept[0]:.1f}", "(status 429)"}


@pytest.mark.parametrize(
    "reply",
    [
        error(500, f"Bearer {KEY} is odd", x_echo=KEY),
        raising(requests.ConnectionError(f"Bearer {KEY}")),
        Reply(200, KEY.encode()),
    ],
    ids=["error", "exception", "body"],
)
def test_a_key_that_comes_back_is_in_no_message(
    client: Client,
    transport: ScriptedTransport,
    caplog: pytest.LogCaptureFixture,
    reply: Reply,
) -> None:
    transport.script = in_turn(reply)
    with caplog.at_level(logging.DEBUG):
        failure = failure_of(client)
    assert KEY not in repr(failure.as_airbyte_message())
    assert KEY not in caplog.text
