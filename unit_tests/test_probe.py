"""What Kustomer says of the key itself, and what that says of a list."""

import threading
from concurrent.futures import Future
from dataclasses import replace

import pytest
import requests
from fakes import BASE, PROBE, Reply, ScriptedTransport, VirtualClock, error, in_turn, page

from source_kustomer.api import background
from source_kustomer.api.client import Client, Target
from source_kustomer.api.probe import Probe
from source_kustomer.api.retry import Patience
from source_kustomer.errors import Failure, Outcome, Verdict, cause_of
from source_kustomer.timing import DEFAULT_TIMING

GOOD = Reply(body={"data": {}})
LOST = Reply(raises=requests.ConnectionError())


def refused(status: int, words: str = "no") -> Outcome:
    """Make the outcome of a list that was refused."""
    return Outcome(status, error(status, words).content)


@pytest.fixture
def probe(client: Client) -> Probe:
    return Probe(client)


VERDICTS = {
    "good": (GOOD, Verdict.ACCEPTED, "missing_role", "unavailable_list"),
    "401": (error(401), Verdict.REFUSED, "refused_key", "unknown_organization"),
    "403": (error(403), Verdict.REFUSED, "refused_key", "unknown_organization"),
    "404": (error(404), Verdict.UNKNOWN, "missing_role", "unknown_organization"),
    "500": (error(500), Verdict.UNKNOWN, "missing_role", "unknown_organization"),
    "429": (error(429), Verdict.UNKNOWN, "missing_role", "unknown_organization"),
    "lost": (LOST, Verdict.UNKNOWN, "missing_role", "unknown_organization"),
    "no JSON": (Reply(body=b"{"), Verdict.UNKNOWN, "missing_role", "unknown_organization"),
    "web page": (Reply(401, b"<html>"), Verdict.UNKNOWN, "missing_role", "unknown_organization"),
    "text": (Reply(403, b"blocked"), Verdict.UNKNOWN, "missing_role", "unknown_organization"),
}


@pytest.mark.parametrize(("reply", "verdict", "of_403", "of_404"), VERDICTS.values(), ids=VERDICTS)
def test_a_refusal_is_explained_by_what_the_probe_says(
    probe: Probe,
    transport: ScriptedTransport,
    reply: Reply,
    verdict: Verdict,
    of_403: str,
    of_404: str,
) -> None:
    transport.script = in_turn(reply)
    explained = [probe.explain(refused(status)) for status in (401, 403, 404)]
    assert [outcome.verdict for outcome in explained] == [verdict] * 3
    is_accepted = verdict is Verdict.ACCEPTED
    causes = ["missing_role" if is_accepted else "refused_key", of_403, of_404]
    assert [cause_of(outcome).name for outcome in explained] == causes
    assert {*transport.sent} == {f"{BASE}{PROBE}"}


def test_without_a_probe_another_list_that_is_open_vouches_for_the_key(
    probe: Probe, client: Client, transport: ScriptedTransport
) -> None:
    transport.script = in_turn(error(404))
    assert probe.explain(refused(401)).verdict is Verdict.UNKNOWN
    transport.script = in_turn(Reply(body=page("a")))
    client.get(f"{BASE}teams", lambda _: None, target=Target("teams"))
    assert probe.explain(refused(401)).verdict is Verdict.ACCEPTED


@pytest.mark.parametrize(
    "outcome",
    [
        Outcome(400),
        Outcome(500),
        Outcome(200),
        Outcome(401, b"<html>session has expired</html>"),
        Outcome(403, b"error code: 1020"),
        Outcome(exception=requests.ConnectionError()),
    ],
    ids=["400", "500", "200", "web page", "text", "lost"],
)
def test_what_the_key_has_no_part_in_asks_no_probe(
    probe: Probe, transport: ScriptedTransport, outcome: Outcome
) -> None:
    assert probe.explain(outcome) is outcome
    assert transport.sent == []


@pytest.mark.parametrize(
    ("words", "reply", "cause"),
    [
        ("no", error(401, "Expired token"), "expired_key"),
        ("Expired token", error(401), "expired_key"),
        ("no", error(401, "Associated with pod prod2"), "other_region"),
        ("no", error(403, "IP not allowed"), "ip_restricted"),
        ("no", error(500, "Expired token"), "missing_role"),
    ],
    ids=["the probe's", "the list's", "region", "address", "no refusal"],
)
def test_the_words_of_the_list_and_of_the_probes_refusal_count(
    probe: Probe, transport: ScriptedTransport, words: str, reply: Reply, cause: str
) -> None:
    transport.script = in_turn(reply)
    assert cause_of(probe.explain(refused(403, words))).name == cause


def test_what_is_known_of_an_outcome_stays_known(
    probe: Probe, transport: ScriptedTransport
) -> None:
    for reply in (GOOD, error(401)):
        transport.script = in_turn(reply)
        outcome = replace(refused(401), is_reading=True, is_list=False)
        explained = probe.explain(outcome)
        assert (explained.is_reading, explained.is_list) == (True, False)
        assert explained.body == outcome.body


def test_a_probe_holds_for_half_a_minute(
    probe: Probe, transport: ScriptedTransport, clock: VirtualClock
) -> None:
    transport.script = in_turn(GOOD)
    assert probe.failure() is None
    clock.advance(29)
    transport.script = in_turn(error(401))
    assert probe.failure() is None
    assert len(transport.sent) == 1
    clock.advance(1.5)
    for _ in range(2):
        failed = probe.failure()
        assert failed
        assert failed.cause.name == "refused_key"
    assert len(transport.sent) == 2


@pytest.mark.parametrize("reply", [LOST, error(500)], ids=["lost", "500"])
def test_a_probe_that_fails_is_asked_once_more(
    probe: Probe, transport: ScriptedTransport, clock: VirtualClock, reply: Reply
) -> None:
    transport.script = in_turn(reply, GOOD)
    assert probe.failure() is None
    assert len(transport.sent) == 2
    clock.advance(60)
    transport.script = in_turn(reply)
    assert probe.failure() is not None
    assert len(transport.sent) == 4


def test_a_probe_is_no_more_patient_than_who_waits_for_it(
    client: Client, transport: ScriptedTransport
) -> None:
    transport.script = in_turn(error(500))
    Probe(client, Patience(1, 60, 30)).failure()
    assert len(transport.sent) == 1
    transport.script = in_turn(error(429, retry_after="40"))
    failed = Probe(client, Patience.checking(DEFAULT_TIMING)).failure()
    assert failed
    assert failed.cause.name == "rate_limit"


def in_flight(
    transport: ScriptedTransport, replies: Future[Reply], at_once: int
) -> threading.Barrier:
    """Let each request pass the barrier, and then wait for the reply."""
    left = threading.Barrier(at_once)

    def reply(_: str) -> Reply:
        left.wait(10)
        return replies.result(10)

    transport.script = reply
    return left


def test_several_refusals_at_a_time_ask_once(probe: Probe, transport: ScriptedTransport) -> None:
    replies = Future[Reply]()
    left = in_flight(transport, replies, at_once=2)
    together = threading.Barrier(5)

    def explain() -> Outcome:
        together.wait(10)
        return probe.explain(refused(403))

    explained = [background.start(explain) for _ in range(4)]
    together.wait(10)
    left.wait(10)
    # What needs no probe does not wait for it either.
    assert probe.explain(Outcome(500)).status == 500
    replies.set_result(GOOD)
    assert [e.result(10).verdict for e in explained] == [Verdict.ACCEPTED] * 4
    assert len(transport.sent) == 1


def test_no_lock_is_held_while_the_probe_is_asked(
    probe: Probe, transport: ScriptedTransport, clock: VirtualClock
) -> None:
    replies = Future[Reply]()
    left = in_flight(transport, replies, at_once=2)
    hanging = background.start(probe.failure)
    left.wait(10)
    clock.advance(31)
    # The one that hangs is old by now, and another is in flight beside it.
    other = background.start(probe.failure)
    left.wait(10)
    replies.set_result(GOOD)
    assert hanging.result(10) is None
    assert other.result(10) is None
    assert len(transport.sent) == 2


class MistakeError(Exception):
    """What no row explains, because the probe's own code raises it."""


def test_a_mistake_reaches_all_who_wait_for_the_probe(
    probe: Probe, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, raised = threading.Event(), threading.Event()

    def get(*_: object, **__: object) -> None:
        asked.set()
        raised.wait(10)
        raise MistakeError

    monkeypatch.setattr(client, "get", get)
    first = background.start(probe.failure)
    assert asked.wait(10)
    second = background.start(probe.failure)
    raised.set()
    assert isinstance(first.exception(10), MistakeError)
    assert isinstance(second.exception(10), MistakeError)


def test_a_refusal_of_the_key_is_a_failure_of_its_own(
    probe: Probe, transport: ScriptedTransport
) -> None:
    transport.script = in_turn(error(401, "Unauthorized"))
    failed = probe.failure()
    assert isinstance(failed, Failure)
    assert failed.cause.name == "refused_key"
    assert "for the organization 'acme'" in (failed.message or "")
