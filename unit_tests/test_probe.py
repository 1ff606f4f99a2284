"""What Kustomer says of the key itself, and what that says of a list."""

import threading

import pytest
import requests
from fakes import BASE, PROBE, Reply, ScriptedTransport, error, in_turn
from source_kustomer.api.probe import Probe

from source_kustomer.api import background
from source_kustomer.api.client import Client
from source_kustomer.errors import Evidence, Verdict, cause_of

GOOD = Reply(body={"data": {}})


def refused(status: int, words: str = "no") -> Evidence:
    """Make the evidence of a list that was refused."""
    return Evidence(status, error(status, words).content)


@pytest.fixture
def probe(client: Client) -> Probe:
    return Probe(client)


VERDICTS = {
    "good": (GOOD, Verdict.ACCEPTED),
    "401": (error(401), Verdict.REFUSED),
    "403": (error(403), Verdict.REFUSED),
    "404": (error(404), Verdict.UNKNOWN),
    "500": (error(500), Verdict.UNKNOWN),
    "429": (error(429), Verdict.UNKNOWN),
    "lost": (Reply(raises=requests.ConnectionError()), Verdict.UNKNOWN),
    "no JSON": (Reply(body=b"{"), Verdict.UNKNOWN),
    "web page": (Reply(401, b"<html>"), Verdict.UNKNOWN),
    "text": (Reply(403, b"blocked"), Verdict.UNKNOWN),
}


@pytest.mark.parametrize(("reply", "verdict"), VERDICTS.values(), ids=VERDICTS)
def test_a_refusal_is_explained_by_a_probe_that_is_asked_once(
    probe: Probe, transport: ScriptedTransport, reply: Reply, verdict: Verdict
) -> None:
    transport.script = in_turn(reply)
    failed = probe.failure()
    assert (failed is None) == (verdict is Verdict.ACCEPTED)
    assert {*transport.sent} == {f"{BASE}{PROBE}"}
    transport.sent.clear()
    transport.script = in_turn(GOOD)
    assert [probe.explain(refused(s)).verdict for s in (401, 403, 404)] == [verdict] * 3
    assert probe.failure() is failed
    assert transport.sent == []


@pytest.mark.parametrize(
    "evidence",
    [
        *(Evidence(status) for status in (400, 402, 500, 200)),
        Evidence(401, b"<html>session has expired</html>"),
        Evidence(403, b"error code: 1020"),
        Evidence(exception=requests.ConnectionError()),
    ],
    ids=["400", "402", "500", "200", "web page", "text", "lost"],
)
def test_what_the_key_has_no_part_in_asks_no_probe(
    probe: Probe, transport: ScriptedTransport, evidence: Evidence
) -> None:
    assert probe.explain(evidence) is evidence
    assert transport.sent == []


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
    probe: Probe, transport: ScriptedTransport, words: str, reply: Reply, cause: str
) -> None:
    transport.script = in_turn(reply)
    assert cause_of(probe.explain(refused(403, words))).name == cause


def test_several_refusals_at_a_time_ask_once(probe: Probe, transport: ScriptedTransport) -> None:
    asked, may_answer = threading.Event(), threading.Event()

    def answer(_: str) -> Reply:
        asked.set()
        may_answer.wait(10)
        return GOOD

    transport.script = answer
    explained = [background.start(lambda: probe.explain(refused(403))) for _ in range(4)]
    assert asked.wait(10)
    # What needs no probe does not wait for it either.
    assert probe.explain(Evidence(500)).status == 500
    may_answer.set()
    assert [e.result(10).verdict for e in explained] == [Verdict.ACCEPTED] * 4
    assert len(transport.sent) == 1
