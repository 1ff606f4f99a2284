"""What check says of a key, list by list, and how long check and discover make a person wait."""

import logging
import socket
import threading
from collections.abc import Callable
from typing import Any

import pytest
import requests
from airbyte_cdk.models import FailureType
from fakes import (
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
from sockets import FOR_EVER, Server, hangs

from source_kustomer import SourceKustomer
from source_kustomer.api.client import Client
from source_kustomer.check import check_access
from source_kustomer.errors import Failure
from source_kustomer.streams import STREAMS, Tags, Teams, Users
from source_kustomer.timing import DEFAULT_TIMING, Timing

LISTS = (Users, Teams, Tags)
OPEN = Reply(body=page("a", following="?page=2&pageSize=1"))
ACCEPTED = Reply(body={"data": {"id": "key"}})
LOST = Reply(raises=requests.ConnectionError(ConnectionResetError()))
NO_NAME = Reply(raises=requests.ConnectionError(socket.gaierror(socket.EAI_NONAME, "unknown")))
NO_ROOM = error(429, retry_after="700")

Check = Callable[..., list[str]]


@pytest.fixture
def check(client: Client, transport: ScriptedTransport, caplog: pytest.LogCaptureFixture) -> Check:
    """Check the lists, which answer as they are told to, and return the warnings."""

    def run(*, probe: Reply = ACCEPTED, otherwise: Reply = OPEN, **lists: Reply) -> list[str]:
        transport.script = by_path({PROBE: probe, **lists}, otherwise=otherwise)
        caplog.clear()
        check_all(client)
        return warnings(caplog)

    return run


def check_all(client: Client) -> None:
    check_access(client, [stream(client) for stream in LISTS])


def discover(client: Client) -> None:
    for stream in STREAMS:
        stream(client).as_airbyte_stream()


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return the warnings, without those of a long wait for an attempt."""
    told = [r.getMessage() for r in caplog.records if r.levelname == "WARNING"]
    return [message for message in told if not message.startswith("Asking for ")]


def failure_of(command: Callable[..., object], *args: Any, **options: Any) -> Failure:
    with pytest.raises(Failure) as raised:
        command(*args, **options)
    return raised.value


def test_the_key_and_one_record_of_each_list_are_asked_for_at_once(
    client: Client, transport: ScriptedTransport
) -> None:
    together = threading.Barrier(1 + len(LISTS))

    def answer(_: str) -> Reply:
        together.wait(FOR_EVER)
        return OPEN

    transport.script = answer
    check_all(client)
    assert not together.broken
    assert [len(transport.asked(path)) for path in (PROBE, "users", "teams", "tags")] == [1] * 4
    assert sum("pageSize=1" in url.partition("?")[2].split("&") for url in transport.sent) == 3


CLOSED = {
    "401": (error(401), "may not read the tags list: it lacks the role org.permission.tag.read"),
    "404": (error(404), "does not offer the tags list"),
    "500": (Reply(500), "status 500"),
    "no list": (Reply(body={"data": {}}), "does not match Kustomer's API documentation"),
    "no room": (NO_ROOM, "rate limit left no capacity"),
}


@pytest.mark.parametrize(("closed", "words"), CLOSED.values(), ids=CLOSED)
def test_a_list_that_cannot_be_read_is_one_warning_with_its_name_and_reason(
    check: Check, closed: Reply, words: str
) -> None:
    (warning,) = check(tags=closed)
    assert warning.startswith("tags: ")
    assert words in warning


def test_a_key_that_may_read_nothing_fails_and_names_every_role(check: Check) -> None:
    failure = failure_of(check, otherwise=error(403))
    assert failure.failure_type is FailureType.config_error
    assert failure.cause.name == "missing_role"
    assert failure.message == (
        "The API key may read none of the six lists: it lacks the roles "
        "org.permission.user.read (users), org.permission.team.read (teams), "
        "org.permission.tag.read (tags); the roles of a key cannot be changed after it is made, "
        "so make a new key under Settings > Security > API Keys with those that you need."
    )


SHUT: dict[str, tuple[dict[str, Reply], str]] = {
    "not offered": ({"otherwise": error(404)}, "unavailable_list"),
    "one broken, others closed": ({"otherwise": error(403), "teams": Reply(500)}, "busy_server"),
    "everything refused": ({"otherwise": error(401), "probe": error(401)}, "refused_key"),
    "key refused, lists not found": ({"otherwise": error(404), "probe": error(401)}, "refused_key"),
    "expired": ({"otherwise": error(401), "probe": error(401, "Expired token")}, "expired_key"),
    "nothing found": ({"otherwise": error(404), "probe": error(404)}, "unknown_organization"),
    "no probe, lists closed": ({"otherwise": error(403), "probe": error(404)}, "missing_role"),
    "no probe, key refused": ({"otherwise": error(401), "probe": Reply(500)}, "refused_key"),
    "no room": ({"otherwise": NO_ROOM, "probe": NO_ROOM}, "rate_limit"),
}


@pytest.mark.parametrize(("replies", "cause"), SHUT.values(), ids=SHUT)
def test_where_no_list_is_open_check_fails_with_the_reason(
    check: Check, replies: dict[str, Reply], cause: str
) -> None:
    assert failure_of(check, **replies).cause.name == cause


@pytest.mark.parametrize("broken", [Reply(500), error(404)], ids=["500", "404"])
def test_a_probe_that_does_not_work_is_nothing_against_a_key_that_reads_lists(
    check: Check, broken: Reply
) -> None:
    assert check(probe=broken) == []
    (warning,) = check(probe=broken, users=error(403))
    assert "may not read the users list" in warning


@pytest.fixture
def one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """No thread can start, which makes virtual time pass once."""

    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)


@pytest.mark.usefixtures("one_by_one")
@pytest.mark.parametrize(("probe", "is_good"), [(ACCEPTED, True), (error(404), False)])
def test_a_share_without_room_for_any_list_is_a_warning_if_the_key_is_accepted(
    transport: ScriptedTransport, caplog: pytest.LogCaptureFixture, *, probe: Reply, is_good: bool
) -> None:
    # One request a minute.
    headers = {"x-ratelimit-limit": "100", "x-ratelimit-remaining": "99"}
    replies = {PROBE: Reply(probe.status, probe.body, headers)}
    transport.script = by_path(replies, otherwise=OPEN)
    client = connected(transport, share=1, seconds=50)
    if is_good:
        check_all(client)
        assert "users: Kustomer's rate limit left no capacity" in caplog.text
    else:
        assert failure_of(check_all, client).cause.name == "rate_limit"


COMMANDS = pytest.mark.parametrize("command", [check_all, discover])


@COMMANDS
@pytest.mark.usefixtures("one_by_one")
@pytest.mark.parametrize(
    ("trouble", "cause"),
    [(error(429), "rate_limit"), (NO_NAME, "unknown_organization"), (Reply(503), "busy_server")],
    ids=["limit", "no name", "503"],
)
def test_a_person_waits_for_as_long_as_a_command_takes_and_no_longer(
    transport: ScriptedTransport,
    clock: VirtualClock,
    command: Callable[[Client], object],
    trouble: Reply,
    cause: str,
) -> None:
    transport.script = in_turn(trouble)
    ends_at = clock.monotonic() + DEFAULT_TIMING.command
    client = connected(transport, seconds=DEFAULT_TIMING.command)
    assert failure_of(command, client).cause.name == cause
    assert clock.monotonic() <= ends_at


@COMMANDS
@pytest.mark.usefixtures("one_by_one")
@pytest.mark.parametrize("trouble", [NO_NAME, LOST, Reply(503)], ids=["no name", "reset", "503"])
def test_a_hiccup_of_a_few_seconds_is_outlived(
    transport: ScriptedTransport,
    clock: VirtualClock,
    caplog: pytest.LogCaptureFixture,
    command: Callable[[Client], object],
    trouble: Reply,
) -> None:
    metadata = Reply(body={"data": {"attributes": {"properties": {"tierStr": {}}}}})
    ends_at = clock.monotonic() + 5

    def answer(url: str) -> Reply:
        healthy = metadata if "/metadata/" in url else OPEN
        return trouble if clock.monotonic() < ends_at else healthy

    transport.script = answer
    command(connected(transport, seconds=DEFAULT_TIMING.command))
    assert warnings(caplog) == []
    assert clock.monotonic() >= ends_at


@pytest.mark.parametrize("command", [SourceKustomer.check_connection, SourceKustomer.discover])
def test_where_nothing_responds_a_command_ends_all_the_same(
    monkeypatch: pytest.MonkeyPatch, command: Callable[..., object]
) -> None:
    server = Server(hangs)
    monkeypatch.setenv("KUSTOMER_API_URL", server.url)
    source, config = SourceKustomer(Timing(command=0.2)), {"org_name": "acme", "api_key": KEY}
    failure = failure_of(command, source, logging.getLogger("airbyte"), config)
    assert failure.cause.name == "timeout"
    server.close()
