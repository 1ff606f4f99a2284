"""What check tells of a key, list by list."""

import logging
import threading
from dataclasses import dataclass, replace

import pytest
import requests
from airbyte_cdk.models import FailureType
from wire import BASE, Clock, Reply, Wire, by_path, page, sharing

from source_kustomer.access import check_access
from source_kustomer.client import PROBE_PATH, Client
from source_kustomer.errors import Failure


@dataclass(frozen=True)
class Named:
    name: str
    role: str


LISTS = [Named(name, f"org.permission.{name}.read") for name in ("users", "teams", "tags")]
OPEN = Reply(body=page("a", following="?page=2&pageSize=1"))
ACCEPTED = Reply(body={"data": {"id": "key"}})


def error(status: int, words: str = "no") -> Reply:
    return Reply(status, {"errors": [{"message": words}]})


def check(
    client: Client, wire: Wire, *, probe: Reply = ACCEPTED, otherwise: Reply = OPEN, **lists: Reply
) -> None:
    wire.script = by_path({PROBE_PATH: probe, **lists}, otherwise=otherwise)
    check_access(client, LISTS)


def failure_of(client: Client, wire: Wire, **replies: Reply) -> Failure:
    with pytest.raises(Failure) as raised:
        check(client, wire, **replies)
    return raised.value


def test_a_key_that_may_read_all_is_asked_for_one_record_of_each(
    client: Client, wire: Wire, caplog: pytest.LogCaptureFixture
) -> None:
    check(client, wire)
    assert wire.sent[0].url == f"{BASE}{PROBE_PATH}"
    assert {s.url for s in wire.sent[1:]} == {
        f"{BASE}{each.name}?page=1&pageSize=1" for each in LISTS
    }
    assert len(wire.sent) == 4
    assert not caplog.records


def test_the_lists_are_asked_at_once(client: Client, wire: Wire) -> None:
    together = threading.Barrier(len(LISTS))

    def answer(url: str) -> Reply:
        if not url.endswith(PROBE_PATH):
            together.wait(10)
        return OPEN

    wire.script = answer
    check_access(client, LISTS)
    assert not together.broken


@pytest.mark.parametrize("closed", [error(401), error(403)], ids=["401", "403"])
def test_a_closed_list_is_one_warning_with_its_name_and_role(
    client: Client, wire: Wire, caplog: pytest.LogCaptureFixture, closed: Reply
) -> None:
    with caplog.at_level(logging.INFO, "airbyte"):
        check(client, wire, teams=closed)
    (warning,) = caplog.records
    assert warning.levelname == "WARNING"
    assert "may not read teams: it lacks the role org.permission.teams.read" in warning.getMessage()
    assert "make a new key" in warning.getMessage()


def test_a_list_that_is_not_offered_is_a_warning(
    client: Client, wire: Wire, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "airbyte"):
        check(client, wire, tags=error(404))
    (warning,) = caplog.records
    assert "does not offer tags" in warning.getMessage()


def test_a_key_that_may_read_nothing_fails_and_names_every_role(
    client: Client, wire: Wire, caplog: pytest.LogCaptureFixture
) -> None:
    failure = failure_of(client, wire, otherwise=error(403))
    assert failure.failure_type is FailureType.config_error
    assert failure.cause.name == "missing_role"
    message = failure.message or ""
    assert message.startswith("The API key may read none of the six lists")
    for each in LISTS:
        assert f"{each.role} ({each.name})" in message
    assert "make a new key" in message
    assert message.endswith(".")
    assert not caplog.records


def test_without_a_probe_check_works_all_the_same(
    client: Client, wire: Wire, caplog: pytest.LogCaptureFixture
) -> None:
    check(client, wire, probe=error(404))
    assert not caplog.records
    with caplog.at_level(logging.INFO, "airbyte"):
        check(client, wire, probe=error(404), users=error(403))
    assert len(caplog.records) == 1


@pytest.mark.parametrize(
    ("status", "told"), [(401, "may not read teams"), (404, "does not offer teams")]
)
def test_without_a_probe_an_open_list_tells_that_the_key_is_good(
    client: Client, wire: Wire, caplog: pytest.LogCaptureFixture, status: int, told: str
) -> None:
    with caplog.at_level(logging.INFO, "airbyte"):
        check(client, wire, probe=error(404), teams=error(status))
    (warning,) = caplog.records
    assert told in warning.getMessage()


def test_a_list_that_a_small_share_leaves_no_time_for_is_a_warning(
    wire: Wire, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "airbyte"):
        check(sharing(wire, 1), wire)
    (warning,) = caplog.records
    assert "could not be asked for" in warning.getMessage()
    assert len(wire.sent) == 3


PROBED = {
    "refused": (error(401), "refused_key"),
    "expired": (error(401, "Expired token"), "expired_key"),
    "other region": (error(401, "Associated with pod prod2"), "other_region"),
    "address": (error(403, "IP not allowed"), "ip_restricted"),
    "server failure": (Reply(500), "server_failure"),
    "HTML": (Reply(200, b"<html>"), "maintenance_page"),
    "not JSON": (Reply(200, b"{"), "broken_body"),
    "limit": (error(429), "rate_limit"),
    "reset": (Reply(raises=requests.ConnectionError(ConnectionResetError())), "connection_lost"),
    "redirect": (Reply(301), "redirect"),
}


@pytest.mark.parametrize(("probe", "cause"), PROBED.values(), ids=PROBED)
def test_a_probe_that_is_not_answered_well_ends_check(
    client: Client, wire: Wire, probe: Reply, cause: str
) -> None:
    assert failure_of(client, wire, probe=probe).cause.name == cause
    assert not wire.asked("tags")


LISTED = {
    "expired meanwhile": (error(401, "Expired token"), "expired_key"),
    "server failure": (Reply(500), "server_failure"),
    "HTML": (Reply(200, b"<html>"), "maintenance_page"),
    "not JSON": (Reply(200, b"{"), "broken_body"),
    "rejected": (error(400), "rejected_request"),
    "no list": (Reply(body={"data": {}}), "not_a_list"),
    "null": (Reply(body=None), "not_a_list"),
    "foreign link": (
        Reply(body=page("a", following="https://evil.example/?page=2")),
        "foreign_link",
    ),
    "no links": (Reply(body={"data": [{"id": "a"}]}), "no_links"),
}


@pytest.mark.parametrize(("answer", "cause"), LISTED.values(), ids=LISTED)
def test_a_list_that_is_not_answered_well_ends_check(
    client: Client, wire: Wire, answer: Reply, cause: str
) -> None:
    failure = failure_of(client, wire, tags=answer)
    assert failure.cause.name == cause
    assert "{" not in (failure.message or "")


def test_a_list_whose_answer_is_no_list_is_named(client: Client, wire: Wire) -> None:
    message = failure_of(client, wire, tags=Reply(body={})).message or ""
    assert message.startswith("acme.api.kustomerapp.com answered for tags with JSON")
    message = failure_of(client, wire, tags=Reply(body={"data": [{"id": "a"}]})).message or ""
    assert message.startswith("A full page of 1 tags came")


def test_an_empty_list_is_open(client: Client, wire: Wire) -> None:
    check(client, wire, otherwise=Reply(body=page()))


@pytest.mark.parametrize(
    "hang", [{"probe": True}, {"tags": True}], ids=["the probe hangs", "a list hangs"]
)
def test_check_ends_within_a_minute(
    client: Client, wire: Wire, clock: Clock, hang: dict[str, bool]
) -> None:
    def answer(url: str) -> Reply:
        path = url.removeprefix(BASE).partition("?")[0]
        connect, read = wire.sent[-1].settings["timeout"]
        if (path == PROBE_PATH and "probe" in hang) or path in hang:
            return Reply(raises=requests.ReadTimeout(), takes=connect + read)
        return replace(OPEN, takes=8)

    wire.script = answer
    began = clock.now
    with pytest.raises(Failure) as raised:
        check_access(client, LISTS[2:])
    assert raised.value.cause.name == "timeout"
    assert clock.now - began < 60
