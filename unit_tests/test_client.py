"""Requests, their retries and waits, in virtual time."""

import gzip
import logging
import socket
import threading
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import replace
from http.client import RemoteDisconnected
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from typing import Any

import pytest
import requests
import urllib3
from wire import BASE, KEY, PROBE, Clock, Reply, Wire, by_path, connected, in_turn, page, sharing

from source_kustomer import client as client_module
from source_kustomer.client import PROBE_PATH, Answer, Client, Patience, _Adapter, parse
from source_kustomer.config import Config
from source_kustomer.errors import Action, Failure, Outcome
from source_kustomer.rate_limit import CancelledError

TAGS = f"{BASE}tags?page=1&pageSize=100"
ROLE = "org.permission.tag.read"
GOOD = Reply(body=page("a"))
HTML = Reply(503, b"<!DOCTYPE html><html>We'll be back</html>")
OUTAGE = Reply(500, {"errors": [{"title": "Oops"}]})
PATIENT = Patience(tries=40, seconds=1e6)
# Longer than this no page may take.
TEN_MINUTES = 600


def error(status: int, words: str = "no", **headers: str) -> Reply:
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    return Reply(status, {"errors": [{"message": words}]}, headers)


def get(client: Client, url: str = TAGS, **options: Any) -> Answer:
    return client.get(url, stream="tags", role=ROLE, **options)


def failure_of(client: Client, url: str = TAGS, **options: Any) -> Failure:
    with pytest.raises(Failure) as raised:
        get(client, url, **options)
    return raised.value


def test_a_good_answer_is_its_document_and_is_counted(client: Client, wire: Wire) -> None:
    wire.script = in_turn(replace(GOOD, takes=0.25))
    answer = get(client)
    assert answer.document == page("a")
    assert answer.arrived_at - answer.asked_at == 0.25
    assert [s.url for s in wire.sent] == [TAGS]
    assert client.traffic.requests == 1
    assert client.traffic.retries == 0
    assert client.traffic.received_bytes == len(GOOD.encoded)
    assert client.budget._sent.in_minute() == 1


def test_a_request_carries_the_key_and_says_who_asks_for_what(client: Client, wire: Wire) -> None:
    get(client)
    headers = wire.sent[0].headers
    assert headers["Authorization"] == f"Bearer {KEY}"
    assert headers["Accept"] == "application/json"
    assert headers["User-Agent"].startswith("airbyte-source-kustomer/")
    assert "gzip" in headers["Accept-Encoding"]


def test_without_its_metadata_the_connector_still_says_who_asks(
    monkeypatch: pytest.MonkeyPatch, wire: Wire
) -> None:
    def missing(_: str) -> str:
        raise PackageNotFoundError

    monkeypatch.setattr(client_module, "version", missing)
    get(connected(wire))
    assert wire.sent[0].headers["User-Agent"] == "airbyte-source-kustomer/unknown"


def test_credentials_of_the_user_for_the_host_are_not_sent(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, wire: Wire
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine acme.api.kustomerapp.com login ann password secret\n")
    monkeypatch.setenv("NETRC", str(netrc))
    get(connected(wire))
    assert wire.sent[0].headers["Authorization"] == f"Bearer {KEY}"


def test_proxies_and_certificates_of_the_environment_are_used(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, wire: Wire
) -> None:
    certificates = tmp_path / "company.pem"
    certificates.write_text("")
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.test:3128")
    monkeypatch.setenv("NO_PROXY", "")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificates))
    get(connected(wire))
    settings = wire.sent[0].settings
    assert settings["proxies"]["https"] == "http://proxy.test:3128"
    assert settings["verify"] == str(certificates)
    assert settings["stream"] is True


@pytest.mark.parametrize("scheme", ["https://", "http://"])
def test_the_library_neither_retries_nor_redirects_by_itself(scheme: str) -> None:
    client = Client(Config.parse({"org_name": "acme", "api_key": KEY}, {}))
    adapter = client._session.get_adapter(f"{scheme}acme.test")
    assert isinstance(adapter, _Adapter)
    assert adapter.max_retries.total == 0


def test_a_redirect_is_not_followed(client: Client, wire: Wire) -> None:
    wire.script = in_turn(Reply(302, b"", {"Location": "https://evil.example/"}))
    failure = failure_of(client)
    assert failure.cause.name == "redirect"
    assert len(wire.sent) == 1


def test_a_message_names_the_host_with_its_port(wire: Wire) -> None:
    config = Config.parse(
        {"org_name": "acme", "api_key": KEY}, {"KUSTOMER_API_URL": "https://example.test:8443/x"}
    )
    assert connected(wire, config).host == "example.test:8443"


FAULTS = {
    "500": (OUTAGE, "server_failure"),
    "503 without a body": (Reply(503), "server_failure"),
    "maintenance page": (HTML, "maintenance_page"),
    "HTML with 200": (replace(HTML, status=200), "maintenance_page"),
    "truncated JSON": (Reply(body=b'{"data": ['), "broken_body"),
    "empty body": (Reply(), "broken_body"),
    "JSON with 204": (Reply(204, {}), "broken_body"),
    "not the gzip it says": (Reply(body={}, headers={"Content-Encoding": "gzip"}), "broken_body"),
    "reset": (Reply(raises=requests.ConnectionError(ConnectionResetError(104))), "connection_lost"),
    "closed": (
        Reply(raises=requests.ConnectionError(RemoteDisconnected("closed"))),
        "connection_lost",
    ),
    "refused": (
        Reply(raises=requests.ConnectionError(ConnectionRefusedError(111))),
        "connection_refused",
    ),
    "timeout": (Reply(raises=requests.ReadTimeout(), takes=5), "timeout"),
    "TLS": (Reply(raises=requests.exceptions.SSLError("bad")), "tls"),
    "proxy": (Reply(raises=requests.exceptions.ProxyError("bad")), "proxy"),
    "a mistake of a library": (Reply(raises=KeyError("bad")), "connection_lost"),
}
EACH_FAULT = pytest.mark.parametrize(("fault", "cause"), FAULTS.values(), ids=FAULTS)


@EACH_FAULT
def test_a_fault_that_passes_is_retried(
    client: Client, wire: Wire, clock: Clock, fault: Reply, cause: str
) -> None:
    wire.script = in_turn(fault, fault, GOOD)
    assert get(client).document == page("a")
    assert len(wire.sent) == 3
    assert client.traffic.retries == 2
    first, second = clock.slept
    assert 0.5 <= first <= 1
    assert 1 <= second <= 2


@EACH_FAULT
def test_a_fault_that_stays_ends_in_its_sentence_after_six_tries(
    client: Client, wire: Wire, clock: Clock, fault: Reply, cause: str
) -> None:
    wire.script = in_turn(fault)
    began = clock.now
    failure = failure_of(client)
    assert failure.cause.name == cause
    assert len(wire.sent) == client.traffic.requests == 6
    assert client.traffic.retries == 5
    assert clock.now - began < 120


def test_backoff_doubles_with_jitter_up_to_half_a_minute(
    client: Client, wire: Wire, clock: Clock
) -> None:
    wire.script = in_turn(OUTAGE)
    failure_of(client, patience=PATIENT)
    assert len(clock.slept) == 39
    for number, slept in enumerate(clock.slept):
        full = min(2.0**number, 30)
        assert full / 2 <= slept <= full
    assert len(set(clock.slept[5:])) == 34


@pytest.mark.parametrize(
    "status", [400, 401, 402, 403, 404, 405, 409, 410, 413, 415, 422, 451, 499]
)
def test_a_refusal_is_not_retried(client: Client, wire: Wire, clock: Clock, status: int) -> None:
    wire.script = by_path({"tags": error(status)}, otherwise=Reply(body={}))
    failure = failure_of(client)
    assert failure.cause.action is Action.FAIL
    assert len(wire.asked("tags")) == 1
    assert len(wire.asked(PROBE_PATH)) == (status in {401, 403, 404})
    assert clock.slept == []


@pytest.mark.parametrize(
    ("reply", "asked"),
    [
        (error(429, retry_after="7"), 7),
        (error(429, retry_after="40"), 40),
        (error(429, **{"x-ratelimit-reset": "25"}), 25),
        (error(429, **{"x-ratelimit-reset": "3", "Retry-After": "9"}), 9),
        (error(429, retry_after="500"), 500),
        (error(503, retry_after="20"), 20),
        (error(503, retry_after="130"), 130),
        (replace(HTML, headers={"Retry-After": "12"}), 12),
    ],
    ids=lambda value: "" if isinstance(value, int) else f"{value.status} {dict(value.headers)}",
)
def test_a_wait_that_the_server_asks_for_is_kept_and_a_little_more(
    wire: Wire, clock: Clock, reply: Reply, asked: int
) -> None:
    waits = []
    for _ in range(8):
        wire.script, before = in_turn(reply, GOOD), clock.now
        get(connected(wire))
        waits.append(clock.now - before)
    assert all(asked + 0.5 <= wait <= asked + 1.1 for wait in waits)
    assert len(set(waits)) == 8


def test_a_reset_that_is_a_moment_is_waited_for(client: Client, wire: Wire, clock: Clock) -> None:
    wire.script = in_turn(error(429, **{"x-ratelimit-reset": str(clock.time() + 31)}), GOOD)
    before = clock.now
    get(client)
    assert 31.5 <= clock.now - before <= 32.1


def test_a_reset_in_the_past_does_not_ask_again_at_once(
    client: Client, wire: Wire, clock: Clock
) -> None:
    wire.script = in_turn(error(429, **{"x-ratelimit-reset": str(1767225600)}))
    failure_of(client, patience=Patience(tries=9, seconds=60))
    assert len(wire.sent) < 10
    for number, slept in enumerate(clock.slept):
        assert slept >= min(2.0**number, 30) / 2


def test_a_reset_of_a_limit_that_is_not_used_up_does_not_count(
    client: Client, wire: Wire, clock: Clock
) -> None:
    headers = {
        "x-ratelimit-reset": "50",
        "x-ratelimit-remaining": "200",
        "x-ratelimit-limit": "300",
    }
    wire.script = in_turn(replace(OUTAGE, headers=headers), GOOD)
    get(client)
    assert clock.slept[0] <= 1


@pytest.mark.parametrize("status", [429, 503])
def test_a_wait_of_ten_minutes_or_more_is_not_begun(
    client: Client, wire: Wire, clock: Clock, status: int
) -> None:
    wire.script = in_turn(error(status, retry_after="600"))
    failure = failure_of(client)
    assert failure.failure_type is not None
    assert failure.failure_type.value == "transient_error"
    assert clock.slept == []
    assert len(wire.sent) == 1


@pytest.mark.parametrize(
    "reply",
    [
        error(429),
        error(429, retry_after="1"),
        error(429, retry_after="60"),
        error(429, retry_after="200"),
        error(429, **{"x-ratelimit-reset": "59"}),
        error(503, retry_after="100"),
        replace(OUTAGE, takes=29),
        Reply(raises=requests.ReadTimeout(), takes=30),
    ],
    ids=["429", "429 for 1 s", "429 for 60 s", "429 for 200 s", "reset", "503", "slow 500", "hang"],
)
def test_a_page_that_never_comes_is_given_up_within_ten_minutes(
    client: Client, wire: Wire, clock: Clock, reply: Reply
) -> None:
    wire.script = in_turn(reply)
    began = clock.now
    failure_of(client)
    assert len(wire.sent) > 1
    assert clock.now - began < TEN_MINUTES


def test_a_limit_is_waited_for_longer_than_a_fault(
    client: Client, wire: Wire, clock: Clock
) -> None:
    wire.script = in_turn(*[error(429, retry_after="58")] * 8, GOOD)
    began = clock.now
    get(client)
    assert clock.now - began > 8 * 58


def test_a_limit_that_does_not_say_when_it_ends_is_waited_for_in_growing_steps(
    client: Client, wire: Wire, clock: Clock
) -> None:
    wire.script = in_turn(error(429))
    failure_of(client)
    for number, slept in enumerate(clock.slept):
        assert 2.5 * min(2.0**number, 30) <= slept <= 5 * min(2.0**number, 30)


@pytest.mark.parametrize("reply", [OUTAGE, error(429, retry_after="12")], ids=["500", "429"])
def test_whoever_waits_for_check_is_not_made_to_wait_longer_than_asked(
    client: Client, wire: Wire, clock: Clock, reply: Reply
) -> None:
    wire.script = in_turn(replace(reply, takes=1))
    began = clock.now
    failure_of(client, patience=Patience(tries=9, seconds=30, read_timeout=9))
    assert len(wire.sent) > 1
    assert clock.now - began <= 31


def test_the_timeouts_are_those_that_the_patience_leaves(
    client: Client, wire: Wire, clock: Clock
) -> None:
    get(client)
    get(client, patience=Patience(tries=2, seconds=30, read_timeout=9))
    get(client, patience=Patience(tries=2, seconds=4, read_timeout=9))
    get(client, patience=Patience(tries=2, seconds=0.1, read_timeout=9))
    assert [s.settings["timeout"] for s in wire.sent] == [(10, 30), (9, 9), (4, 4), (1, 1)]


def test_a_retry_has_the_time_that_is_left(client: Client, wire: Wire, clock: Clock) -> None:
    wire.script = in_turn(Reply(raises=requests.ReadTimeout(), takes=18), GOOD)
    get(client, patience=Patience(tries=2, seconds=30, read_timeout=18))
    assert 11 <= wire.sent[1].settings["timeout"][1] <= 11.5


@pytest.mark.parametrize("asked", [130, 300, 500])
def test_after_a_long_wait_for_the_limit_an_answer_still_has_its_time(
    client: Client, wire: Wire, asked: int
) -> None:
    wire.script = in_turn(error(429, retry_after=str(asked)), GOOD)
    get(client)
    connect, read = wire.sent[1].settings["timeout"]
    assert connect == 10
    assert read >= 15


def test_a_refusal_says_when_to_go_on_and_not_what_others_will_use_then(wire: Wire) -> None:
    client = connected(wire)
    exceeded = {"x_ratelimit_limit": "300", "x_ratelimit_remaining": "0", "retry_after": "5"}
    wire.script = in_turn(GOOD, error(429, **exceeded), GOOD)
    began = wire.clock.now
    for _ in range(60):
        get(client)
    assert 5 < wire.clock.now - began < 10


def test_waits_for_a_small_share_leave_a_page_all_its_tries(wire: Wire) -> None:
    client = sharing(wire, 1)
    began = wire.clock.now
    wire.script = in_turn(GOOD, GOOD, GOOD, *[OUTAGE] * 5, GOOD)
    for _ in range(4):
        get(client)
    assert wire.clock.now - began > 2 * 60


def test_after_an_outage_other_lists_find_out_in_two_tries_until_one_answers(
    client: Client, wire: Wire
) -> None:
    wire.script = in_turn(OUTAGE)
    failure_of(client)
    assert len(wire.sent) == 6
    failure_of(client)
    assert len(wire.sent) == 8
    wire.script = in_turn(GOOD, OUTAGE)
    get(client)
    failure_of(client)
    assert len(wire.sent) == 8 + 1 + 6


def test_a_refusal_is_no_outage(client: Client, wire: Wire) -> None:
    wire.script = in_turn(error(400), OUTAGE)
    failure_of(client)
    failure_of(client)
    assert len(wire.sent) == 1 + 6


def fetched(client: Client, wire: Wire, reply: Reply) -> Future[Answer]:
    wire.script = in_turn(reply)
    ahead = Future[Answer]()
    try:
        ahead.set_result(client.send(TAGS))
    except OSError as e:
        ahead.set_exception(e)
    wire.sent.clear()
    return ahead


def test_an_answer_that_was_fetched_ahead_is_not_asked_for_again(
    client: Client, wire: Wire
) -> None:
    ahead = fetched(client, wire, GOOD)
    assert get(client, ahead=ahead) is ahead.result()
    assert ahead.result().document == page("a")
    assert wire.sent == []


@pytest.mark.parametrize(
    ("reply", "wait"),
    [
        (Reply(body=b"{"), 0.5),
        (OUTAGE, 0.5),
        (error(503, retry_after="4"), 4),
        (Reply(raises=requests.ConnectionError("reset")), 0.5),
    ],
    ids=["broken", "500", "503", "reset"],
)
def test_a_failure_that_was_fetched_ahead_is_the_first_try(
    client: Client, wire: Wire, clock: Clock, reply: Reply, wait: float
) -> None:
    ahead = fetched(client, wire, reply)
    wire.script = in_turn(GOOD)
    assert get(client, ahead=ahead).document == page("a")
    assert len(wire.sent) == 1
    assert client.traffic.retries == 1
    assert clock.slept[0] >= wait


def test_a_refusal_that_was_fetched_ahead_is_not_asked_for_again(
    client: Client, wire: Wire
) -> None:
    ahead = fetched(client, wire, error(400))
    assert failure_of(client, ahead=ahead).cause.name == "rejected_request"
    assert wire.sent == []


def waits_told(caplog: pytest.LogCaptureFixture) -> list[tuple[str, str]]:
    return [(r.levelname, r.getMessage()) for r in caplog.records if "waiting" in r.getMessage()]


def test_a_long_wait_is_told_with_its_reason_and_length(
    client: Client, wire: Wire, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    wire.script = in_turn(error(429, retry_after="30"), error(503, retry_after="9"), GOOD)
    with caplog.at_level(logging.INFO, "airbyte"):
        get(client)
    long, short = waits_told(caplog)
    assert long == (
        "WARNING",
        f"tags: rate limit (status 429); waiting {clock.slept[0]:.1f} s before try 2.",
    )
    assert clock.slept[0] > 30
    assert short == (
        "INFO" if clock.slept[1] <= 10 else "WARNING",
        f"tags: server failure (status 503); waiting {clock.slept[1]:.1f} s before try 3.",
    )


def test_a_wait_without_a_stream_or_a_status_is_told_too(
    client: Client, wire: Wire, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    wire.script = in_turn(Reply(raises=requests.ReadTimeout()), GOOD)
    with caplog.at_level(logging.INFO, "airbyte"):
        client.get(TAGS)
    (told,) = waits_told(caplog)
    assert told == ("INFO", f"Kustomer: timeout; waiting {clock.slept[0]:.1f} s before try 2.")


PROBED = {
    "401 and the key is accepted": (401, Reply(body={}), "missing_role"),
    "403 and the key is accepted": (403, Reply(body={}), "missing_role"),
    "404 and the key is accepted": (404, Reply(body={}), "unavailable_list"),
    "401 and the key is refused": (401, error(401), "refused_key"),
    "403 and the key is refused": (403, error(403), "refused_key"),
    "404 and the key is refused": (404, error(401), "unknown_organization"),
    "401 and there is no probe": (401, error(404), "refused_key"),
    "403 and there is no probe": (403, error(404), "missing_role"),
    "404 and there is no probe": (404, error(404), "unknown_organization"),
    "401 and the probe fails": (401, OUTAGE, "refused_key"),
    "403 and the probe fails": (403, OUTAGE, "missing_role"),
    "403 and the probe is broken": (403, Reply(body=b"{"), "missing_role"),
    "401 and the key has expired": (401, error(401, "Expired token"), "expired_key"),
    "403 and the key is of another pod": (403, error(401, "Associated with pod"), "other_region"),
    "401 and the address is not allowed": (401, error(403, "IP not allowed"), "ip_restricted"),
}


@pytest.mark.parametrize(("status", "probe", "cause"), PROBED.values(), ids=PROBED)
def test_a_refusal_is_explained_by_what_the_probe_says(
    client: Client, wire: Wire, status: int, probe: Reply, cause: str
) -> None:
    wire.script = by_path({"tags": error(status), PROBE_PATH: probe})
    assert failure_of(client).cause.name == cause
    assert [*dict.fromkeys(s.url for s in wire.sent)] == [TAGS, PROBE]


def test_without_a_probe_what_was_answered_before_tells_that_the_key_is_good(
    client: Client, wire: Wire
) -> None:
    wire.script = by_path({"tags": error(401), PROBE_PATH: error(404)}, otherwise=GOOD)
    assert failure_of(client).cause.name == "refused_key"
    get(client, TAGS.replace("tags", "teams"))
    assert failure_of(client).cause.name == "missing_role"


def test_the_words_of_a_list_count_beside_the_probes(client: Client, wire: Wire) -> None:
    wire.script = by_path({"tags": error(401, "Expired token"), PROBE_PATH: error(401)})
    assert failure_of(client).cause.name == "expired_key"


def test_the_probe_holds_for_half_a_minute(client: Client, wire: Wire, clock: Clock) -> None:
    wire.script = by_path({"tags": error(403), PROBE_PATH: Reply(body={})})
    for _ in range(3):
        assert failure_of(client).cause.name == "missing_role"
    assert len(wire.asked(PROBE_PATH)) == 1
    clock.now += 30
    wire.script = by_path({"tags": error(403), PROBE_PATH: error(401, "Expired token")})
    for _ in range(3):
        assert failure_of(client).cause.name == "expired_key"
    assert len(wire.asked(PROBE_PATH)) == 2


def test_threads_that_are_refused_together_ask_the_probe_once(client: Client, wire: Wire) -> None:
    together = threading.Barrier(4)

    def refused(_: str) -> Reply:
        together.wait(10)
        return error(403)

    wire.script = by_path({"tags": refused, PROBE_PATH: Reply(body={})})
    causes: list[str] = []
    threads = [
        threading.Thread(target=lambda: causes.append(failure_of(client).cause.name))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert causes == ["missing_role"] * 4
    assert len(wire.asked(PROBE_PATH)) == 1


def test_a_probe_that_is_refused_asks_no_other_probe(client: Client, wire: Wire) -> None:
    wire.script = in_turn(error(401))
    refused = client.probe()
    assert refused is not None
    assert refused.status == 401
    assert client.failure_of(refused).cause.name == "refused_key"
    assert [s.url for s in wire.sent] == [PROBE]


def test_a_probe_that_accepts_the_key_has_nothing_to_say(client: Client, wire: Wire) -> None:
    assert client.probe() is None
    assert client.probe() is None
    assert len(wire.sent) == 1


def test_a_sentence_is_filled_with_what_the_client_knows(
    client: Client, wire: Wire, clock: Clock
) -> None:
    wire.script = in_turn(error(401))
    assert "for the organization 'acme'" in (failure_of(client).message or "")
    clock.now += 60
    wire.script = by_path({"tags": error(403), PROBE_PATH: Reply(body={})})
    message = failure_of(client).message or ""
    assert "may not read tags: it lacks the role org.permission.tag.read; the roles of" in message
    wire.script = in_turn(error(422, "No such filter"))
    message = failure_of(client).message or ""
    assert "request for tags with status 422: " in message
    assert message.endswith(" Kustomer said: 'No such filter'.")
    wire.script = in_turn(HTML)
    assert (failure_of(client).message or "").startswith("acme.api.kustomerapp.com answers")


def test_a_failure_without_a_stream_speaks_of_the_api(client: Client, wire: Wire) -> None:
    failure = client.failure_of(Outcome(status=400))
    assert "request for the API with status 400: " in (failure.message or "")


def test_a_key_that_an_error_echoes_is_in_no_message(
    client: Client, wire: Wire, caplog: pytest.LogCaptureFixture
) -> None:
    wire.script = in_turn(error(500, f"Bearer {KEY} is odd", X_Echo=KEY))
    with caplog.at_level(logging.DEBUG):
        failure = failure_of(client)
    trace = failure.as_airbyte_message().trace
    assert KEY not in repr(trace)
    assert KEY not in caplog.text


def test_only_the_beginning_of_an_error_is_searched_for_words(client: Client, wire: Wire) -> None:
    wire.script = in_turn(error(401, "." * 64 * 1024 + "Expired token"))
    assert failure_of(client).cause.name == "refused_key"
    wire.script = in_turn(error(401, "." * 60 * 1024 + "Expired token"))
    assert failure_of(client).cause.name == "expired_key"


def test_an_answer_that_trickles_is_cut_off(client: Client, wire: Wire, clock: Clock) -> None:
    wire.script = in_turn(replace(GOOD, trickles=20))
    began = clock.now
    with pytest.raises(requests.ReadTimeout):
        client.send(TAGS)
    assert 120 < clock.now - began <= 140
    began = clock.now
    with pytest.raises(requests.ReadTimeout):
        client.send(TAGS, read_timeout=13)
    assert 52 < clock.now - began <= 72


def test_an_answer_that_is_too_large_is_given_up(
    client: Client, wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_module, "_LARGEST_BODY", 1000)
    wire.script = in_turn(Reply(body=b"x" * 1000))
    assert len(client.send(TAGS).content) == 1000
    wire.script = in_turn(Reply(body=b"x" * 1001))
    with pytest.raises(requests.exceptions.ContentDecodingError):
        client.send(TAGS)
    assert failure_of(client).cause.name == "broken_body"


def test_a_compressed_answer_is_unpacked_and_counted_whole(client: Client, wire: Wire) -> None:
    document = page(*(f"customer-{n}" for n in range(500)))
    packed = gzip.compress(Reply(body=document).encoded)
    wire.script = in_turn(Reply(body=packed, headers={"Content-Encoding": "gzip"}))
    assert get(client).document == document
    assert client.traffic.received_bytes == len(Reply(body=document).encoded)


def test_a_failed_request_is_counted_and_leaves_the_budget(client: Client, wire: Wire) -> None:
    wire.script = in_turn(Reply(raises=requests.ReadTimeout()))
    with pytest.raises(requests.ReadTimeout):
        client.send(TAGS)
    assert client.traffic.requests == 1
    assert client.budget._sent.in_flight == 0


@pytest.mark.parametrize(
    "reply",
    [GOOD, OUTAGE, Reply(body={}, headers={"Content-Encoding": "gzip"})],
    ids=["good", "500", "broken"],
)
def test_the_budget_learns_from_every_answer(client: Client, wire: Wire, reply: Reply) -> None:
    limits = {"x-ratelimit-limit": "1000", "x-ratelimit-remaining": "900"}
    wire.script = in_turn(replace(reply, headers={**reply.headers, **limits}))
    with suppress(urllib3.exceptions.DecodeError):
        client.send(TAGS)
    assert client.budget._limit == 1000


@pytest.mark.parametrize(
    ("headers", "pause"),
    [({}, 5), ({"Retry-After": "33"}, 33), ({"Retry-After": "9000"}, 540)],
    ids=["unknown", "33 s", "9000 s"],
)
def test_a_429_holds_back_every_other_request(
    client: Client, wire: Wire, clock: Clock, headers: dict[str, str], pause: float
) -> None:
    wire.script = in_turn(replace(error(429), headers=headers), GOOD)
    client.send(TAGS)
    before = clock.now
    client.send(TAGS)
    assert clock.now - before == pytest.approx(pause, abs=0.01)


def test_what_is_not_wanted_any_more_does_not_leave(client: Client, wire: Wire) -> None:
    with pytest.raises(CancelledError):
        client.send(TAGS, lambda: False)
    assert wire.sent == []
    assert client.traffic.requests == 0


def test_a_limit_that_outlasts_the_patience_ends_in_the_sentence_of_the_limit(
    client: Client, wire: Wire, clock: Clock
) -> None:
    client.budget.pause(500)
    began = clock.now
    failure = failure_of(client, patience=Patience(tries=2, seconds=20, read_timeout=9))
    assert failure.cause.name == "rate_limit"
    assert clock.now - began <= 22
    assert wire.sent == []
    assert get(client).document == {}


def test_a_share_that_is_used_up_ends_in_a_sentence_of_its_own(wire: Wire) -> None:
    client = sharing(wire, 1)
    patience = Patience(tries=2, seconds=20, read_timeout=9)
    for _ in range(3):
        get(client, patience=patience)
    assert failure_of(client, patience=patience).cause.name == "used_up_share"
    assert len(wire.sent) == 3


def test_a_name_that_does_not_resolve_is_an_unknown_organization_only_at_first(
    client: Client, wire: Wire
) -> None:
    unresolved = Reply(raises=requests.ConnectionError(OSError(), socket.gaierror(-2, "unknown")))
    wire.script = in_turn(unresolved)
    assert failure_of(client).cause.name == "unknown_organization"
    assert len(wire.sent) == 1
    wire.script = in_turn(GOOD, unresolved, unresolved, GOOD)
    get(client)
    assert get(client).document == page("a")


@pytest.mark.parametrize(
    ("body", "document"),
    [
        (b"{}", {}),
        (b"null", None),
        (b'{"a": "\\ud83d"}', {"a": "?"}),
        (b'{"a": "\\ud83d\\ude00 \\ude00", "b": [1]}', {"a": "\U0001f600 ?", "b": [1]}),
        ('{"a": "caf\u00e9 \\ud83d"}'.encode(), {"a": "caf\u00e9 ?"}),
        (b'{"\\udc00": 1}', {"?": 1}),
        (b"[9223372036854775807, -9223372036854775808]", [2**63 - 1, -(2**63)]),
        (b"[18446744073709551615]", [2**64 - 1]),
        (b"[1e400, -2.5e400, 1.5]", ["1e400", "-2.5e400", 1.5]),
        (b"[" * 200 + b"]" * 200, None),
    ],
    ids=[
        "object",
        "null",
        "cut emoji",
        "half",
        "mixed",
        "name",
        "64 bits",
        "unsigned",
        "e400",
        "nested",
    ],
)
def test_json_is_parsed_even_where_a_character_is_cut_or_a_number_is_beyond_floats(
    body: bytes, document: object
) -> None:
    if document is None and body != b"null":
        nested = parse(body)
        for _ in range(199):
            (nested,) = nested
        assert nested == []
    else:
        assert parse(body) == document


def test_an_integer_beyond_64_bits_keeps_its_magnitude() -> None:
    (value,) = parse(b"[123456789012345678901234567890]")
    assert value == pytest.approx(123456789012345678901234567890)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b" ",
        b"{",
        b'{"a": NaN}',
        b'{"a": Infinity, "b": -Infinity}',
        b"{'a': 1}",
        b'{"a": 1,}',
        b"\xff\xfe",
        b'{"a": "\xff"}',
        b"<html>",
        b"[" * 100_000,
        b"[" * 100_000 + b"]" * 100_000,
        b"{} {}",
    ],
    ids=lambda body: repr(body[:20]),
)
def test_what_is_no_json_is_a_broken_body(client: Client, wire: Wire, body: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011
        parse(body)
    wire.script = in_turn(Reply(body=body), GOOD)
    assert get(client).document == page("a")
    assert len(wire.sent) == 2


def test_a_probe_that_is_lost_is_asked_once_more(client: Client, wire: Wire) -> None:
    wire.script = in_turn(Reply(raises=ConnectionResetError()), GOOD)
    assert client.probe() is None
    assert len(wire.sent) == 2
