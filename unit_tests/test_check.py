"""What check says of a key, list by list, and how long check and discover make a person wait."""

import logging
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import requests
from airbyte_cdk.models import FailureType
from fakes import (
    BASE,
    KEY,
    PROBE,
    Reply,
    Script,
    ScriptedTransport,
    VirtualClock,
    by_path,
    connected,
    error,
    in_turn,
    page,
)
from sockets import Server, hangs
from source_kustomer.api.probe import Probe

from source_kustomer import SourceKustomer
from source_kustomer.api.client import Client
from source_kustomer.check import check_access
from source_kustomer.errors import Failure
from source_kustomer.streams import STREAMS
from source_kustomer.timing import DEFAULT_TIMING, Timing

LOGGER = logging.getLogger("airbyte")


@dataclass(frozen=True)
class Named:
    name: str
    role: str


LISTS = [Named(name, f"org.permission.{name}.read") for name in ("users", "teams", "tags")]
OPEN = Reply(body=page("a", following="?page=2&pageSize=1"))
ACCEPTED = Reply(body={"data": {"id": "key"}})
LOST = Reply(raises=requests.ConnectionError(ConnectionResetError()))
NO_NAME = Reply(raises=requests.ConnectionError(socket.gaierror(socket.EAI_NONAME, "unknown")))

Check = Callable[..., list[str]]


@pytest.fixture
def check(client: Client, transport: ScriptedTransport, caplog: pytest.LogCaptureFixture) -> Check:
    """Check the lists, which answer as they are told to, and return the warnings."""

    def run(
        *, probe: Reply = ACCEPTED, otherwise: Reply = OPEN, **lists: Reply | Script
    ) -> list[str]:
        transport.script = by_path({PROBE: probe, **lists}, otherwise=otherwise)
        caplog.clear()
        with caplog.at_level(logging.WARNING, "airbyte.source_kustomer"):
            check_access(client, LISTS)
        return warnings(caplog)

    return run


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return the warnings, without those of a long wait for an attempt."""
    told = [r.getMessage() for r in caplog.records if r.levelname == "WARNING"]
    return [message for message in told if not message.startswith("Asking for ")]


def failure_of(command: Callable[..., object], *args: Any, **options: Any) -> Failure:
    with pytest.raises(Failure) as raised:
        command(*args, **options)
    return raised.value


def test_a_key_that_may_read_all_is_asked_for_one_record_of_each_list(
    check: Check, transport: ScriptedTransport
) -> None:
    assert check() == []
    asked = [f"{BASE}{PROBE}", *(f"{BASE}{entry.name}?page=1&pageSize=1" for entry in LISTS)]
    assert sorted(transport.sent) == sorted(asked)


def test_the_key_and_the_lists_are_asked_for_at_once(
    client: Client, transport: ScriptedTransport
) -> None:
    together = threading.Barrier(1 + len(LISTS))

    def answer(_: str) -> Reply:
        together.wait(10)
        return OPEN

    transport.script = answer
    check_access(client, LISTS)
    assert not together.broken


CLOSED = {
    "401": (error(401), "may not read the tags list: it lacks the role org.permission.tags.read"),
    "403": (error(403), "may not read the tags list: it lacks the role org.permission.tags.read"),
    "404": (error(404), "does not offer the tags list"),
    "402": (error(402), "status 402"),
    "500": (Reply(500), "status 500"),
    "reset": (LOST, "Every attempt to connect to acme"),
    "web page": (Reply(200, b"<html>"), "a web page"),
    "null": (Reply(body=None), "does not match Kustomer's API documentation"),
    "no list": (Reply(body={"data": {}}), "does not match Kustomer's API documentation"),
    "foreign link": (Reply(body=page("a", following="https://evil.example/")), "another address"),
    "no room": (error(429, retry_after="700"), "rate limit left no capacity"),
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
    assert failure.evidence.status is None
    assert failure.message == (
        "The API key may read none of the six lists: it lacks the roles "
        "org.permission.users.read (users), org.permission.teams.read (teams), "
        "org.permission.tags.read (tags); the roles of a key cannot be changed after it is made, "
        "so make a new key under Settings > Security > API Keys with those that you need."
    )


SHUT: dict[str, tuple[dict[str, Reply], str]] = {
    "not offered": ({"otherwise": error(404)}, "unavailable_list"),
    "outage": ({"otherwise": Reply(500)}, "busy_server"),
    "one broken, others closed": ({"otherwise": error(403), "teams": Reply(500)}, "busy_server"),
    "everything refused": ({"otherwise": error(401), "probe": error(401)}, "refused_key"),
    "key refused, lists not found": ({"otherwise": error(404), "probe": error(401)}, "refused_key"),
    "expired": ({"otherwise": error(401), "probe": error(401, "Expired token")}, "expired_key"),
    "address": ({"otherwise": error(403), "probe": error(403, "IP not allowed")}, "ip_restricted"),
    "no name": ({"otherwise": NO_NAME, "probe": NO_NAME}, "unknown_organization"),
    "nothing found": ({"otherwise": error(404), "probe": error(404)}, "unknown_organization"),
    "no probe, lists closed": ({"otherwise": error(403), "probe": error(404)}, "missing_role"),
    "no probe, key refused": ({"otherwise": error(401), "probe": Reply(500)}, "refused_key"),
    "no room": (dict.fromkeys(["otherwise", "probe"], error(429, retry_after="700")), "rate_limit"),
}


@pytest.mark.parametrize(("replies", "cause"), SHUT.values(), ids=SHUT)
def test_where_no_list_is_open_check_fails_with_the_reason(
    check: Check, replies: dict[str, Reply], cause: str
) -> None:
    assert failure_of(check, **replies).cause.name == cause


@pytest.mark.parametrize("broken", [Reply(500), Reply(200, b"{"), Reply(301), error(404), LOST])
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
        check_access(client, LISTS[:1])
        assert "users: Kustomer's rate limit left no capacity" in caplog.text
    else:
        assert failure_of(check_access, client, LISTS[:1]).cause.name == "rate_limit"


def discover(client: Client) -> list[set[str]]:
    """Return the names of the columns of each list."""
    streams = [stream(client, Probe(client)).as_airbyte_stream() for stream in STREAMS]
    return [{*stream.json_schema["properties"]} for stream in streams]


def check_all(client: Client) -> None:
    check_access(client, LISTS)


COMMANDS = pytest.mark.parametrize("command", [check_all, discover])
METADATA = Reply(body={"data": {"attributes": {"properties": {"tierStr": {}}}}})


def healthy(url: str) -> Reply:
    return METADATA if "/metadata/" in url else OPEN


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
    began = clock.monotonic()
    client = connected(transport, seconds=DEFAULT_TIMING.command)
    assert failure_of(command, client).cause.name == cause
    assert clock.monotonic() - began <= 60


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
    ends_at = clock.monotonic() + 5
    transport.script = lambda url: trouble if clock.monotonic() < ends_at else healthy(url)
    command(connected(transport, seconds=DEFAULT_TIMING.command))
    assert warnings(caplog) == []
    assert len(transport.sent) > 3


@pytest.mark.parametrize("command", [SourceKustomer.check_connection, SourceKustomer.discover])
def test_where_nothing_responds_a_command_ends_all_the_same(
    monkeypatch: pytest.MonkeyPatch, command: Callable[..., object]
) -> None:
    server = Server(hangs)
    monkeypatch.setenv("KUSTOMER_API_URL", server.url)
    source = SourceKustomer(Timing(command=0.2))
    config = {"org_name": "acme", "api_key": KEY}
    assert failure_of(command, source, LOGGER, config).cause.name == "timeout"
    server.close()


@pytest.mark.parametrize("closed", [error(401), error(403), error(404)], ids=["401", "403", "404"])
def test_where_the_metadata_are_closed_the_columns_are_those_of_the_first_page(
    client: Client, transport: ScriptedTransport, caplog: pytest.LogCaptureFixture, closed: Reply
) -> None:
    def answer(url: str) -> Reply:
        custom = {"attributes": {"custom": {"tierStr": "gold"}}}
        first = Reply(body={"data": [{"id": "a", **custom}], "links": {"next": None}})
        return closed if "/metadata/" in url else ACCEPTED if PROBE in url else first

    transport.script = answer
    with_custom = [columns for columns in discover(client) if "custom_tierStr" in columns]
    assert len(with_custom) == 3
    assert len(warnings(caplog)) == 3
    assert all("are those of its first page only" in told for told in warnings(caplog))
