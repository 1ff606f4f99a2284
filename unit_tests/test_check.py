"""What check says of a key, list by list."""

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass

import pytest
import requests
from airbyte_cdk.models import FailureType
from fakes import (
    BASE,
    PROBE,
    Reply,
    ScriptedTransport,
    by_path,
    connected,
    error,
    in_turn,
    page,
)

from source_kustomer.api.client import Client
from source_kustomer.check import check_access
from source_kustomer.errors import Failure
from source_kustomer.timing import DEFAULT_TIMING


@dataclass(frozen=True)
class Named:
    name: str
    role: str


LISTS = [Named(name, f"org.permission.{name}.read") for name in ("users", "teams", "tags")]
OPEN = Reply(body=page("a", following="?page=2&pageSize=1"))
ACCEPTED = Reply(body={"data": {"id": "key"}})
HANGS = Reply(raises=requests.ReadTimeout(), takes=DEFAULT_TIMING.silence)

Check = Callable[..., list[str]]


@pytest.fixture
def check(client: Client, transport: ScriptedTransport, caplog: pytest.LogCaptureFixture) -> Check:
    """Check the lists, which answer as they are told to, and return the warnings."""

    def run(*, probe: object = ACCEPTED, otherwise: Reply = OPEN, **lists: object) -> list[str]:
        transport.script = by_path({PROBE: probe, **lists}, otherwise=otherwise)  # type: ignore[dict-item]
        caplog.clear()
        with caplog.at_level(logging.WARNING, "airbyte"):
            check_access(client, LISTS)
        return warnings(caplog)

    return run


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    own = [record for record in caplog.records if record.name == "airbyte.source_kustomer"]
    return [record.getMessage() for record in own if record.levelname == "WARNING"]


def failure_of(check: Check, **replies: object) -> Failure:
    with pytest.raises(Failure) as raised:
        check(**replies)
    assert "{" not in (raised.value.message or "")
    return raised.value


def test_a_key_that_may_read_all_is_asked_for_one_record_of_each(
    check: Check, transport: ScriptedTransport
) -> None:
    assert check() == []
    first, *others = transport.sent
    assert first == f"{BASE}{PROBE}"
    assert sorted(others) == sorted(f"{BASE}{each.name}?page=1&pageSize=1" for each in LISTS)


def test_an_empty_list_is_open(check: Check) -> None:
    assert check(otherwise=Reply(body=page())) == []


def test_the_lists_are_asked_at_once(client: Client, transport: ScriptedTransport) -> None:
    together = threading.Barrier(len(LISTS))

    def answer(url: str) -> Reply:
        if not url.endswith(PROBE):
            together.wait(60)
        return OPEN

    transport.script = answer
    check_access(client, LISTS)
    assert not together.broken


@pytest.mark.parametrize("status", [401, 403])
def test_a_closed_list_is_one_warning_with_its_name_and_role(check: Check, status: int) -> None:
    (warning,) = check(teams=error(status))
    assert "may not read teams: it lacks the role org.permission.teams.read" in warning
    assert "make a new key" in warning


def test_a_list_that_is_not_offered_is_a_warning(check: Check) -> None:
    (warning,) = check(tags=error(404))
    assert "does not offer tags" in warning


BROKEN = {
    "402": error(402),
    "410": error(410),
    "500": Reply(500),
    "501": Reply(501),
    "504": Reply(504),
    "hangs": HANGS,
    "reset": Reply(raises=requests.ConnectionError(ConnectionResetError())),
    "HTML": Reply(200, b"<html>"),
    "firewall": Reply(403, b"error code: 1020"),
    "not JSON": Reply(200, b"{"),
    "null": Reply(body=None),
    "no list": Reply(body={"data": {}}),
    "foreign link": Reply(body=page("a", following="https://evil.example/?page=2")),
    "no links": Reply(body={"data": [{"id": "a"}]}),
    "too large": error(413),
}


@pytest.mark.parametrize("broken", BROKEN.values(), ids=BROKEN)
def test_one_list_that_is_broken_is_a_warning_and_no_failed_check(
    check: Check, broken: Reply
) -> None:
    (warning,) = check(tags=broken)
    assert warning.startswith("tags: ")
    assert "{" not in warning
    assert "role" not in warning


@pytest.mark.parametrize("broken", [error(400), Reply(body={}), Reply(500)], ids=repr)
def test_what_passes_once_is_no_warning(check: Check, broken: Reply) -> None:
    assert check(tags=in_turn(broken, OPEN)) == []


def test_a_key_that_may_read_nothing_fails_and_names_every_role(check: Check) -> None:
    failure = failure_of(check, otherwise=error(403))
    assert failure.failure_type is FailureType.config_error
    assert failure.cause.name == "missing_role"
    assert failure.message == (
        "The API key may read none of the six lists: it lacks the roles "
        "org.permission.users.read (users), org.permission.teams.read (teams), "
        "org.permission.tags.read (tags); the roles of a key cannot be changed after it is made, "
        "so make a new key under Settings > Security > API Keys with those that you need."
    )


@pytest.mark.parametrize(
    ("lists", "cause"),
    [
        ({"otherwise": error(404)}, "unavailable_list"),
        ({"otherwise": Reply(500)}, "server_failure"),
        ({"otherwise": error(403), "teams": Reply(500)}, "server_failure"),
        ({"otherwise": error(401, "Expired token")}, "expired_key"),
        ({"otherwise": error(429, retry_after="700")}, "rate_limit"),
    ],
    ids=["not offered", "server failure", "one broken, others closed", "expired", "limit"],
)
def test_where_no_list_is_open_check_fails_with_the_worst_reason(
    check: Check, lists: dict[str, Reply], cause: str
) -> None:
    failure = failure_of(check, **lists)
    assert failure.cause.name == cause
    assert "lacks the role" not in (failure.message or "")


def test_without_a_probe_check_works_all_the_same(check: Check) -> None:
    assert check(probe=error(404)) == []
    (warning,) = check(probe=error(404), users=error(403))
    assert "may not read users" in warning


@pytest.mark.parametrize(
    ("status", "told"), [(401, "may not read teams"), (404, "does not offer teams")]
)
def test_without_a_probe_an_open_list_says_that_the_key_is_good(
    check: Check, status: int, told: str
) -> None:
    (warning,) = check(probe=error(404), teams=error(status))
    assert told in warning


def test_without_a_probe_a_list_that_opens_meanwhile_is_no_warning(check: Check) -> None:
    assert check(probe=error(404), teams=in_turn(error(401), OPEN)) == []


@pytest.mark.parametrize(("status", "cause"), [(401, "refused_key"), (404, "unknown_organization")])
def test_without_a_probe_and_any_open_list_the_key_or_the_name_is_wrong(
    check: Check, status: int, cause: str
) -> None:
    assert failure_of(check, otherwise=error(status), probe=error(404)).cause.name == cause


PROBED = {
    "refused": (error(401), "refused_key"),
    "expired": (error(401, "Expired token"), "expired_key"),
    "other region": (error(401, "Associated with pod prod2"), "other_region"),
    "address": (error(403, "IP not allowed"), "ip_restricted"),
    "limit": (error(429, retry_after="700"), "rate_limit"),
    "reset": (Reply(raises=requests.ConnectionError(ConnectionResetError())), "connection_lost"),
}


@pytest.mark.parametrize(("probe", "cause"), PROBED.values(), ids=PROBED)
def test_a_probe_that_is_not_answered_well_ends_check(
    check: Check, transport: ScriptedTransport, probe: Reply, cause: str
) -> None:
    assert failure_of(check, probe=probe).cause.name == cause
    assert {*transport.sent} == {f"{BASE}{PROBE}"}


NO_PROBE = {
    "server failure": (Reply(500), "server_failure"),
    "HTML": (Reply(200, b"<html>"), "maintenance_page"),
    "not JSON": (Reply(200, b"{"), "broken_body"),
    "redirect": (Reply(301), "redirect"),
}


@pytest.mark.parametrize(("broken", "cause"), NO_PROBE.values(), ids=NO_PROBE)
def test_a_probe_that_does_not_work_by_itself_is_nothing_against_the_key(
    check: Check, broken: Reply, cause: str
) -> None:
    assert check(probe=broken) == []
    everything = dict.fromkeys([each.name for each in LISTS], broken)
    assert failure_of(check, probe=broken, **everything).cause.name == cause


def test_a_list_that_a_small_share_leaves_no_time_for_is_a_warning(
    transport: ScriptedTransport, caplog: pytest.LogCaptureFixture
) -> None:
    transport.script = in_turn(OPEN)
    check_access(connected(transport, share=1), LISTS)
    told = warnings(caplog)
    assert len(told) == len(LISTS) + 1 - len(transport.sent) > 0
    assert all("could not be asked for" in warning for warning in told)


def limited(reply: Reply, limit: int) -> Reply:
    headers = {"x-ratelimit-limit": f"{limit}", "x-ratelimit-remaining": f"{limit - 1}"}
    return Reply(reply.status, reply.body, headers)


def test_a_share_without_room_for_any_list_fails_no_check_of_a_key_that_is_accepted(
    transport: ScriptedTransport, caplog: pytest.LogCaptureFixture
) -> None:
    transport.script = by_path({PROBE: limited(ACCEPTED, 100)}, otherwise=OPEN)
    # One list, because each that waits lets virtual time pass for all.
    check_access(connected(transport, share=1), LISTS[:1])
    assert transport.sent == [f"{BASE}{PROBE}"]
    (warning,) = warnings(caplog)
    assert warning.startswith("users: ")


def test_a_share_without_room_for_any_list_fails_the_check_of_a_key_that_nobody_vouches_for(
    transport: ScriptedTransport,
) -> None:
    # The probe is asked twice.
    transport.script = by_path({PROBE: limited(error(404), 200)}, otherwise=OPEN)
    with pytest.raises(Failure) as raised:
        check_access(connected(transport, share=1), LISTS[:1])
    assert raised.value.cause.name == "used_up_share"
    assert {*transport.sent} == {f"{BASE}{PROBE}"}


def test_a_slow_list_is_waited_for_as_long_as_a_read_does(check: Check) -> None:
    slow = Reply(body=page("a"), takes=DEFAULT_TIMING.silence - 1)
    assert check(otherwise=slow) == []


def test_what_hangs_is_asked_for_once(check: Check, transport: ScriptedTransport) -> None:
    (warning,) = check(tags=HANGS)
    assert "did not answer in time for tags" in warning
    assert len(transport.asked("tags")) == 1
    transport.sent.clear()
    assert check(probe=HANGS) == []
    assert len(transport.asked(PROBE)) == 1
