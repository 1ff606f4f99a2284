"""Requests, their retries and waits, in virtual time."""

import logging
import math
import re
import socket
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import replace
from string import Formatter
from typing import Any

import pytest
import requests
from fakes import (
    BASE,
    KEY,
    Reply,
    ScriptedTransport,
    VirtualClock,
    connected,
    error,
    in_turn,
    page,
)

from source_kustomer.api.client import Client, Target
from source_kustomer.api.rate_limit import CancelledError
from source_kustomer.api.retry import Patience
from source_kustomer.api.transport import Response
from source_kustomer.config import Config
from source_kustomer.errors import CAUSES, Cause, Failure, Fault, Outcome, Verdict
from source_kustomer.timing import DEFAULT_TIMING

TAGS = f"{BASE}tags?page=1&pageSize=100"
ROLE = "org.permission.tag.read"
GOOD = Reply(body=page("a"))
OUTAGE = error(500, "Oops")
CHECKING = Patience.checking(DEFAULT_TIMING)


def document_of(document: Any) -> Any:
    return document


def get(
    client: Client,
    accept: Callable[[Any], Any] = document_of,
    target: Target | None = None,
    **options: Any,
) -> Any:
    target = target or Target("tags", ROLE, is_list=True)
    return client.get(TAGS, accept, target=target, **options)


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
    transport.script = in_turn(GOOD)

    def ids(document: Any) -> list[str]:
        return [resource["id"] for resource in document["data"]]

    assert not client.key_was_accepted
    assert not client.host_was_reached
    assert get(client, ids) == ["a"]
    assert transport.sent == [TAGS]
    assert client.key_was_accepted
    assert client.host_was_reached


def test_good_json_with_203_is_a_success(client: Client, transport: ScriptedTransport) -> None:
    transport.script = in_turn(replace(GOOD, status=203))
    assert get(client) == page("a")


FAILED = {
    "500": (OUTAGE, "server_failure"),
    "503 without a body": (Reply(503), "server_failure"),
    "maintenance page": (Reply(503, b"<html>We'll be back"), "maintenance_page"),
    "web page with 200": (Reply(200, b"<!DOCTYPE html>"), "maintenance_page"),
    "plain text with 403": (Reply(403, b"error code: 1020"), "maintenance_page"),
    "truncated JSON": (Reply(body=b'{"data": ['), "broken_body"),
    "empty body": (Reply(), "broken_body"),
    "JSON with 204": (Reply(204, {}), "broken_body"),
    "425": (error(425), "passing_refusal"),
    "reset": (raising(requests.ConnectionError(ConnectionResetError())), "connection_lost"),
    "refused": (raising(requests.ConnectionError(ConnectionRefusedError())), "connection_refused"),
    "a mistake of a library": (raising(KeyError("bad")), "connection_lost"),
}


@pytest.mark.parametrize(("failed", "cause"), FAILED.values(), ids=FAILED)
def test_what_passes_is_outlived_and_what_stays_is_tried_six_times(
    client: Client, transport: ScriptedTransport, clock: VirtualClock, failed: Reply, cause: str
) -> None:
    target = Target("tags", ROLE, is_list=True)
    transport.script = in_turn(failed, failed, GOOD)
    assert get(client, target=target) == page("a")
    first, second = clock.slept
    assert 0.5 <= first <= 1 <= second <= 2
    assert (target.traffic.requests, target.traffic.retries) == (3, 2)
    transport.script = in_turn(failed)
    assert failure_of(client, target=target).cause.name == cause
    assert len(clock.slept) == 2 + 5
    assert (target.traffic.requests, target.traffic.retries) == (3 + 6, 2 + 5)


def test_304_is_named(client: Client, transport: ScriptedTransport) -> None:
    transport.script = in_turn(Reply(304))
    assert failure_of(client).cause.name == "not_modified"


def fields(cause: Cause) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(cause.sentence) if name}


@pytest.mark.parametrize("cause", CAUSES, ids=lambda cause: cause.name)
def test_each_cause_is_tried_as_often_as_its_row_says_and_its_sentence_is_complete(
    client: Client, transport: ScriptedTransport, clock: VirtualClock, cause: Cause
) -> None:
    known = {
        "organization": "'acme'",
        "host": "acme.api.kustomerapp.com",
        "stream": "tags",
        "role": ROLE,
        "status": "None",
        "said": "",
    }
    own = {name: f"<{name}>" for name in fields(cause) - known.keys()}
    if math.isinf(cause.attempts):
        transport.script = in_turn(limited(429, 60))
    else:
        transport.script = in_turn(raising(Fault(cause.name, **own)))
    failure = failure_of(client)
    assert failure.cause is cause
    message = failure.message or ""
    details = {**known, **own}
    assert [name for name in fields(cause) if details[name] not in message] == []
    if math.isinf(cause.attempts):
        assert len(transport.sent) > 6
    else:
        assert len(transport.sent) == cause.attempts
    assert message.endswith(".")


def test_a_message_names_the_host_with_its_port() -> None:
    raw = {"org_name": "acme", "api_key": KEY}
    config = Config.parse(raw, {"KUSTOMER_API_URL": "https://example.test:8443/x"})
    assert Client(config).host == "example.test:8443"


def test_a_target_without_a_name_is_the_api(client: Client, transport: ScriptedTransport) -> None:
    transport.script = in_turn(error(400))
    message = failure_of(client, target=Target()).message or ""
    assert "a request for the API with status 400" in message


def test_a_document_that_will_not_do_is_asked_for_again(
    client: Client, transport: ScriptedTransport
) -> None:
    transport.script = in_turn(Reply(body={"message": "no"}), Reply(body=[]), GOOD)

    def resources(document: Any) -> Any:
        if "data" not in document:
            raise Fault("not_a_list")
        return document["data"]

    assert get(client, resources) == [{"id": "a"}]
    transport.script = in_turn(Reply(body={}))
    assert failure_of(client, resources).cause.name == "not_a_list"


def test_a_mistake_of_accept_is_no_failure_of_the_network(client: Client) -> None:
    def mistaken(document: Any) -> Any:
        return document["data"]

    with pytest.raises(KeyError):
        get(client, mistaken)


@pytest.mark.parametrize(
    ("reply", "options", "cause"),
    [
        (error(403), {}, "missing_role"),
        (error(403), {"target": Target()}, "refused_key"),
        (error(403), {"is_reading": True}, "lost_access"),
    ],
    ids=["list", "no list", "reading"],
)
def test_an_outcome_knows_what_was_asked_for(
    client: Client,
    transport: ScriptedTransport,
    reply: Reply,
    options: dict[str, Any],
    cause: str,
) -> None:
    transport.script = in_turn(reply)
    failure = failure_of(client, **options)
    assert failure.cause.name == cause
    assert failure.outcome.status == reply.status
    assert failure.outcome.body == reply.content
    assert failure.outcome.host_was_reached


def test_an_explanation_makes_the_cause(client: Client, transport: ScriptedTransport) -> None:
    def explain(outcome: Outcome) -> Outcome:
        assert outcome.is_list
        return replace(outcome, verdict=Verdict.ACCEPTED)

    transport.script = in_turn(error(404))
    assert failure_of(client, explain=explain).cause.name == "unavailable_list"


def test_a_name_that_does_not_exist_is_an_unknown_organization_before_the_first_response_alone(
    client: Client, transport: ScriptedTransport
) -> None:
    unknown = raising(requests.ConnectionError(socket.gaierror(socket.EAI_NONAME, "unknown")))
    transport.script = in_turn(unknown)
    assert failure_of(client).cause.name == "unknown_organization"
    transport.script = in_turn(unknown, GOOD)
    get(client)
    transport.script = in_turn(unknown)
    assert failure_of(client).cause.name == "name_lookup"


def test_a_page_that_hangs_is_given_up_after_its_time(
    client: Client, transport: ScriptedTransport, clock: VirtualClock
) -> None:
    transport.script = in_turn(replace(OUTAGE, takes=130))
    began = clock.monotonic()
    assert failure_of(client).cause.name == "server_failure"
    assert len(transport.sent) == 3
    # The last attempt begins within 300 s.
    assert clock.monotonic() - began < 300 + 130


def test_check_asks_twice(client: Client, transport: ScriptedTransport) -> None:
    transport.script = in_turn(OUTAGE)
    failure_of(client, patience=CHECKING)
    assert len(transport.sent) == 2


def test_a_limit_that_is_short_each_time_is_waited_for_and_no_longer(
    client: Client, transport: ScriptedTransport, clock: VirtualClock
) -> None:
    target = Target("tags")
    transport.script = in_turn(*[limited()] * 8, GOOD)
    began = clock.monotonic()
    assert get(client, target=target) == page("a")
    assert 8 * 3 <= clock.monotonic() - began <= 40
    assert target.traffic.retries == 8


@pytest.mark.parametrize("seconds", [20, 100])
def test_a_503_is_waited_for_as_it_asks_and_not_twice(
    client: Client, transport: ScriptedTransport, clock: VirtualClock, seconds: int
) -> None:
    transport.script = in_turn(*[limited(503, seconds)] * 5, GOOD)
    began = clock.monotonic()
    # 500 s of waits leave the page its attempts, which end after 300 s.
    assert get(client) == page("a")
    assert 5 * seconds <= clock.monotonic() - began <= 5 * (seconds + 1)
    transport.script = in_turn(limited(503, 20))
    assert failure_of(client).cause.name == "server_failure"


@pytest.mark.parametrize("headers", [{}, {"retry_after": "100"}, {"x_ratelimit_reset": "59"}])
def test_a_limit_that_never_frees_a_request_ends_in_its_sentence(
    client: Client,
    transport: ScriptedTransport,
    clock: VirtualClock,
    headers: dict[str, str],
) -> None:
    transport.script = in_turn(error(429, **headers))
    began = clock.monotonic()
    assert failure_of(client).cause.name == "rate_limit"
    assert len(transport.sent) > 5
    # A page takes 540 s of waits at most; no wait that ends later is begun.
    assert 420 < clock.monotonic() - began < 545


@pytest.mark.parametrize(
    "reply", [limited(429, 700), error(429, x_ratelimit_reset="3600")], ids=["wait", "reset"]
)
def test_a_wait_longer_than_a_sync_waits_is_begun_by_no_list(
    client: Client, transport: ScriptedTransport, clock: VirtualClock, reply: Reply
) -> None:
    transport.script = in_turn(reply)
    began = clock.monotonic()
    for _ in range(3):
        assert failure_of(client).cause.name == "rate_limit"
    assert clock.monotonic() - began < 2
    assert len(transport.sent) == 1


def test_a_server_that_is_unavailable_for_longer_is_asked_once_a_list_and_is_no_limit(
    client: Client, transport: ScriptedTransport, clock: VirtualClock
) -> None:
    transport.script = in_turn(limited(503, 700))
    began = clock.monotonic()
    for asked in (1, 2, 3):
        assert failure_of(client).cause.name == "unavailable"
        assert len(transport.sent) == asked
    assert clock.monotonic() - began < 2


def test_whoever_waits_for_check_is_not_made_to_wait_for_the_limit(
    client: Client, transport: ScriptedTransport, clock: VirtualClock
) -> None:
    transport.script = in_turn(limited(429, 40), GOOD)
    began = clock.monotonic()
    assert failure_of(client, patience=CHECKING).cause.name == "rate_limit"
    assert clock.monotonic() == began
    assert get(client) == page("a")


def test_a_share_that_is_used_up_has_a_sentence_of_its_own(transport: ScriptedTransport) -> None:
    client = connected(transport, share=1)
    transport.script = in_turn(GOOD)
    for _ in range(3):
        get(client, patience=CHECKING)
    assert failure_of(client, patience=CHECKING).cause.name == "used_up_share"
    assert len(transport.sent) == 3


def test_waits_for_a_small_share_leave_a_page_its_time_and_failed_requests_leave_the_share(
    transport: ScriptedTransport, clock: VirtualClock
) -> None:
    client = connected(transport, share=1, timing=replace(DEFAULT_TIMING, page=35))
    lost = raising(requests.ConnectionError())
    transport.script = in_turn(lost, OUTAGE, lost, OUTAGE, lost, GOOD)
    began = clock.monotonic()
    assert get(client) == page("a")
    # Three requests a minute may leave.
    assert clock.monotonic() - began > 60


@pytest.mark.parametrize(
    ("reply", "pause"),
    [
        (limited(429, 33), 33),
        (limited(503, 33), 33),
        (error(429), 9),
        (error(503), 0),
        (error(500, retry_after="33"), 0),
        (replace(GOOD, headers={"Retry-After": "33"}), 0),
    ],
    ids=lambda value: f"{value.status} {dict(value.headers)}" if isinstance(value, Reply) else "",
)
def test_a_refusal_for_the_limit_holds_back_every_other_request(
    client: Client, transport: ScriptedTransport, clock: VirtualClock, reply: Reply, pause: float
) -> None:
    transport.script = in_turn(reply, GOOD)
    target = Target()
    assert client.send(TAGS, target.traffic).status == reply.status
    before = clock.monotonic()
    client.send(TAGS, target.traffic)
    assert clock.monotonic() - before == pytest.approx(pause, abs=2 if pause else 0)


@pytest.mark.parametrize(
    "reply", [GOOD, OUTAGE, Reply(), limited()], ids=["200", "500", "no body", "429"]
)
def test_the_limiter_learns_from_every_response(
    client: Client, transport: ScriptedTransport, reply: Reply
) -> None:
    headers = {**reply.headers, "X-RateLimit-Limit": "1000"}
    transport.script = in_turn(replace(reply, headers=headers))
    client.send(TAGS, Target().traffic)
    assert client.limiter.requests_per_minute == 800


def test_what_is_not_wanted_any_more_does_not_leave(
    client: Client, transport: ScriptedTransport
) -> None:
    target = Target()
    with pytest.raises(CancelledError):
        client.send(TAGS, target.traffic, wanted=lambda: False)
    assert transport.sent == []
    assert target.traffic.requests == 0


def test_a_request_has_its_own_largest_body(client: Client, transport: ScriptedTransport) -> None:
    transport.script = in_turn(Reply(body=b"x" * 1001))
    with pytest.raises(Fault):
        client.send(TAGS, Target().traffic, largest_body=1000)
    assert client.send(TAGS, Target().traffic, largest_body=1001).status == 200


def test_traffic_is_counted_for_each_target(client: Client, transport: ScriptedTransport) -> None:
    one, other = Target("tags"), Target("teams")
    transport.script = in_turn(raising(requests.ReadTimeout()), OUTAGE, GOOD)
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
    assert client.is_outage


@pytest.mark.parametrize(
    "reply",
    [error(400), error(404), error(403), raising(Fault("not_a_list"))],
    ids=["400", "404", "403", "not a list"],
)
def test_what_one_list_is_refused_is_no_outage(
    client: Client, transport: ScriptedTransport, reply: Reply
) -> None:
    transport.script = in_turn(reply)
    failure_of(client)
    assert not client.is_outage
    transport.script = in_turn(OUTAGE)
    transport.sent.clear()
    failure_of(client)
    assert len(transport.sent) == 6
    assert client.is_outage
    transport.script = in_turn(reply)
    failure_of(client)
    assert client.is_outage


def fetched(reply: Reply) -> Future[Response]:
    """Return what became of a first attempt that was begun before."""
    ahead = Future[Response]()
    if reply.raises:
        ahead.set_exception(reply.raises)
    else:
        ahead.set_result(Response(reply.status, reply.headers, reply.content, 1, 2))
    return ahead


def test_a_response_that_was_fetched_ahead_is_not_asked_for_again(
    client: Client, transport: ScriptedTransport
) -> None:
    assert get(client, ahead=fetched(GOOD)) == page("a")
    assert transport.sent == []


@pytest.mark.parametrize("reply", [Reply(body=b"{"), OUTAGE, raising(requests.ConnectionError())])
def test_a_failure_that_was_fetched_ahead_is_the_first_attempt(
    client: Client, transport: ScriptedTransport, clock: VirtualClock, reply: Reply
) -> None:
    target = Target("tags")
    transport.script = in_turn(reply)
    failure_of(client, target=target, ahead=fetched(reply))
    assert len(transport.sent) == target.traffic.retries == 5
    assert 0.5 <= clock.slept[0] <= 1


def test_a_refusal_that_was_fetched_ahead_is_not_asked_for_again(
    client: Client, transport: ScriptedTransport
) -> None:
    assert failure_of(client, ahead=fetched(error(401))).cause.name == "refused_key"
    assert transport.sent == []


@pytest.mark.parametrize(
    ("reply", "backoff", "line"),
    [
        (OUTAGE, 1, r"tags: server failure \(status 500\); attempt 2 in (\S+) s\."),
        (raising(requests.ReadTimeout()), 25, r"tags: timeout; attempt 2 in (\S+) s\."),
    ],
    ids=["short", "long"],
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
    logged = re.fullmatch(line, record.getMessage())
    assert logged
    assert float(logged[1]) == round(clock.slept[0], 1)


@pytest.mark.parametrize(
    "reply",
    [
        error(500, f"Bearer {KEY} is odd", x_echo=KEY),
        raising(requests.ConnectionError(f"Bearer {KEY}")),
        Reply(200, f"{KEY}".encode()),
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
    assert KEY not in repr(client.limiter)
