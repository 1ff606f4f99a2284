"""Faults that pass are outlived, and nothing is lost to those that stay.

A process takes seconds to start: faults that cannot disturb each other share a read, a page each.
"""

import gzip
import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from integration_tests.conftest import NewSandbox
from integration_tests.connector import QUICK, Connector, Result
from sandbox import LISTS, Reply, Request, Sandbox

Body = dict[str, Any]
WEB_PAGE = "<html><body>session has expired. Your IP is blocked</body></html>"
EMPTY = {"data": [], "meta": {}, "links": {"next": None}}


def ids(result: Result, name: str = "customers") -> list[str]:
    return [record["id"] for record in result.records(name)]


def listed(sandbox: Sandbox, name: str = "customers") -> list[str]:
    return [resource["id"] for resource in sandbox.lists[name]]


def warnings(result: Result) -> list[str]:
    return [log["message"] for log in result.of_type("LOG") if log["level"] == "WARN"]


def error(status: int, words: str = "x", **headers: str) -> Reply:
    return Reply(status, {"errors": [{"code": "x", "message": words, "meta": {}}]}, headers)


def changed(change: Callable[[Body], object]) -> Callable[[Sandbox, Request], Reply]:
    """Answer as the sandbox would, but for a change of the document."""

    def answer(sandbox: Sandbox, request: Request) -> Reply:
        reply = sandbox.respond(request)
        document = json.loads(reply.content)
        change(document)
        return Reply(body=document)

    return answer


def set_in(*path: str, value: Any) -> Callable[[Body], object]:
    def change(document: Body) -> None:
        for name in path[:-1]:
            document = document[name]
        document[path[-1]] = value

    return change


def rows_of_the_page_before(sandbox: Sandbox, request: Request) -> Reply:
    document = json.loads(sandbox.respond(request).content)
    start = (request.page - 2) * 100
    document["data"] = sandbox.lists[request.path.removeprefix("/v1/")][start : start + 100]
    return Reply(body=document)


# What an API, or something on the way to it, may send once and not again.
PASSING: dict[str, Reply | Callable[[Sandbox, Request], Reply]] = {
    **{f"status {status}": error(status) for status in (400, 408, 409, 421, 423, 425, 499)},
    **{f"status {status}": error(status) for status in (401, 403, 404, 410, 500, 502, 504)},
    **{f"web page with {s}": Reply(s, WEB_PAGE) for s in (200, 401, 403, 404, 502, 503)},
    **{f"text with {s}": Reply(s, "error code: 1020") for s in (401, 403, 404)},
    "not modified": Reply(304),
    "message instead of a list": Reply(body={"message": "try later"}),
    "errors with status 200": Reply(body={"errors": [{"code": "x", "title": "no"}]}),
    "data that is null": Reply(body={"data": None, "links": {"next": None}}),
    "a row that is null": changed(lambda document: document["data"].append(None)),
    "no links": changed(lambda document: document.pop("links")),
    "another page": changed(set_in("meta", "page", value=999)),
    "empty end": Reply(body={**EMPTY, "meta": {"total": 99999}}),
    "empty page with a link": changed(lambda document: document.update(data=[])),
    "short page with a link": changed(lambda document: document.update(data=document["data"][:40])),
    "rows of the page before": rows_of_the_page_before,
    "cut body": Reply(body='{"data": [', truncate_at=5),
    "reset": Reply(reset=True),
    "body of a 429 that is cut": Reply(429, "x" * 99, {"Retry-After": "0"}, truncate_at=3),
    "a lower total": changed(set_in("meta", "total", value=10)),
    "short end": changed(
        lambda document: document.update(
            data=document["data"][:40], links={**document["links"], "next": None}
        )
    ),
}


@pytest.fixture
def outlived(new_sandbox: NewSandbox) -> Sandbox:
    """A list with a page for each passing fault, from the second on."""
    sandbox = new_sandbox(customers=100 * (len(PASSING) + 1) + 50, conversations=0)
    failed = set[int]()

    @sandbox.before
    def fail_once(request: Request) -> Reply | None:
        number = request.page - 2
        if request.path != "/v1/customers" or number in failed or not 0 <= number < len(PASSING):
            return None
        failed.add(number)
        reply = [*PASSING.values()][number]
        return reply if isinstance(reply, Reply) else reply(sandbox, request)

    return sandbox


def test_faults_that_pass_are_outlived_and_nothing_is_lost(
    outlived: Sandbox, tmp_path: Path
) -> None:
    result = Connector(tmp_path, outlived.url, outlived.key).read("customers")
    assert result.code == 0, result.errors
    assert ids(result) == listed(outlived)


@pytest.mark.parametrize(
    "reply",
    [error(s) for s in (400, 404, 408, 409, 421, 423, 425, 499)]
    + [Reply(404, WEB_PAGE), Reply(body=EMPTY)],
    ids=lambda reply: f"{reply.status} {reply.content[:12]!r}",
)
def test_a_fault_that_passes_throws_no_progress_of_a_resumed_read_away(
    new_sandbox: NewSandbox, tmp_path: Path, reply: Reply
) -> None:
    sandbox = new_sandbox(conversations=450, customers=0)
    state = {"last": "page=2&pageSize=100", "next": "page=3&pageSize=100", "size": 100}
    failed = list[Request]()

    @sandbox.before
    def fail_once(request: Request) -> Reply | None:
        if request.path != "/v1/conversations" or failed:
            return None
        failed.append(request)
        return reply

    connector = Connector(tmp_path, sandbox.url, sandbox.key)
    result = connector.read("conversations", state={"conversations": state})
    assert result.code == 0
    assert ids(result, "conversations") == listed(sandbox, "conversations")[200:]


FOREVER: dict[str, tuple[Reply | Callable[[Sandbox, Request], Reply], str]] = {
    "revoked": (error(401), "stopped accepting the API key while"),
    "web page": (Reply(403, WEB_PAGE), "a firewall or proxy on the way"),
    "plain text": (Reply(404, "error code: 1020"), "a firewall or proxy on the way"),
    "short end": (
        changed(lambda d: d.update(data=d["data"][:40], links={"next": None})),
        "after 240 of 2500 records",
    ),
    "empty end": (
        changed(lambda d: d.update(data=[], links={"next": None})),
        "after 200 of 2500 records",
    ),
    "skipped pages": (
        changed(lambda d: d.update(links={"next": "/v1/customers?page=9&pageSize=100"})),
        "from page 3 to page 9",
    ),
    "not modified": (Reply(304), "304 (not modified)"),
    "a page for which the server is too slow": (error(504), "took too long for a page"),
}


@pytest.mark.parametrize(("reply", "words"), FOREVER.values(), ids=FOREVER)
def test_a_fault_that_stays_ends_the_stream_in_its_sentence_and_keeps_the_state(
    new_sandbox: NewSandbox,
    tmp_path: Path,
    reply: Reply | Callable[[Sandbox, Request], Reply],
    words: str,
) -> None:
    sandbox = new_sandbox(customers=2500)

    @sandbox.before
    def fail(request: Request) -> Reply | None:
        size = int(request.params.get("pageSize", "1"))
        if request.path != "/v1/customers" or not 200 <= (request.page - 1) * size < 300:
            return None
        return reply if isinstance(reply, Reply) else reply(sandbox, request)

    result = Connector(tmp_path, sandbox.url, sandbox.key).read("customers", "tags")
    assert result.code == 1
    assert words in result.errors[0]["message"]
    assert "lacks the role" not in result.errors[0]["message"]
    assert ids(result) == listed(sandbox)[:200]
    assert result.states("customers")[-1]["records"] == 200
    assert ids(result, "tags") == listed(sandbox, "tags")


@pytest.mark.parametrize("status", [400, 402, 404, 410, 451])
def test_a_list_that_refuses_what_it_had_before_has_not_ended(
    new_sandbox: NewSandbox, tmp_path: Path, status: int
) -> None:
    sandbox = new_sandbox(conversations=1050)

    @sandbox.before
    def refuse(request: Request) -> Reply | None:
        has_begun = any(asked.page > 4 for asked in sandbox.of("conversations"))
        return error(status) if has_begun and request.path == "/v1/conversations" else None

    result = Connector(tmp_path, sandbox.url, sandbox.key).read("conversations")
    assert result.code == 1
    assert "refuses to go on with the list of conversations" in result.errors[0]["message"]
    assert ids(result, "conversations") == listed(sandbox, "conversations")[:400]


def test_a_first_page_that_is_empty_once_is_asked_for_again(
    new_sandbox: NewSandbox, tmp_path: Path
) -> None:
    sandbox = new_sandbox(customers=250)

    @sandbox.before
    def nothing_at_first(request: Request) -> Reply | None:
        is_first = request.path == "/v1/customers" and len(sandbox.of("customers")) == 1
        return Reply(body={**EMPTY, "meta": {"total": 0}}) if is_first else None

    result = Connector(tmp_path, sandbox.url, sandbox.key).read("customers")
    assert result.code == 0
    assert ids(result) == listed(sandbox)


def test_where_nothing_answers_no_list_after_the_first_is_waited_for_long(
    new_sandbox: NewSandbox, tmp_path: Path
) -> None:
    sandbox = new_sandbox()
    sandbox.before(lambda _: Reply(hang=60))
    timing = replace(QUICK, silence=0.3)
    connector = Connector(tmp_path, sandbox.url, sandbox.key, timing=timing)
    assert connector.read(*LISTS).code == 1
    asked = {name: len(sandbox.of(name)) for name in LISTS}
    # Two attempts at a page, one at each smaller page, and one at each other list.
    assert asked.pop("customers") == 4
    assert set(asked.values()) == {1}


def counted(total: Callable[[int], object]) -> Callable[[Sandbox], None]:
    """Let the total of the n-th response be what `total` says, and missing where that is None."""

    def prepare(sandbox: Sandbox) -> None:
        @sandbox.before
        def answer(request: Request) -> Reply | None:
            if request.path != "/v1/customers":
                return None
            document = json.loads(sandbox.respond(request).content)
            told = total(len(sandbox.of("customers")))
            document["meta"].pop("totalPages")
            document["meta"]["total"] = told
            if told is None:
                del document["meta"]["total"]
            return Reply(body=document)

    return prepare


TOTALS = {
    "two servers that differ by one": counted(lambda n: 1050 - n % 2),
    "some that are behind by 250": counted(lambda n: 800 if n % 3 == 0 else 1050),
    "now and then none": counted(lambda n: None if n % 2 else 1050),
    "a number that cannot be": counted(lambda _: 10**300),
    "below zero": counted(lambda _: -5),
    "text": counted(lambda _: "many"),
}


@pytest.mark.parametrize("prepare", TOTALS.values(), ids=TOTALS)
def test_totals_that_mislead_lose_nothing_and_fail_nothing(
    new_sandbox: NewSandbox, tmp_path: Path, prepare: Callable[[Sandbox], None]
) -> None:
    sandbox = new_sandbox(customers=1050)
    prepare(sandbox)
    result = Connector(tmp_path, sandbox.url, sandbox.key).read("customers")
    assert result.code == 0, result.errors
    assert ids(result) == listed(sandbox)
    # Eleven pages: which responses are behind decides how many are read again, each of them a few
    # times at most.
    assert len(sandbox.of("customers")) < 100


def test_a_page_that_is_wrong_about_the_total_for_ever_costs_a_few_requests(
    new_sandbox: NewSandbox, tmp_path: Path
) -> None:
    sandbox = new_sandbox(customers=1050)

    @sandbox.before
    def answer(request: Request) -> Reply | None:
        if request.path != "/v1/customers" or request.page != 5:
            return None
        return changed(set_in("meta", "total", value=1051))(sandbox, request)

    result = Connector(tmp_path, sandbox.url, sandbox.key).read("customers")
    assert result.code == 0, result.errors
    assert ids(result) == listed(sandbox)
    assert len(sandbox.of("customers")) < 25


def test_a_state_beyond_the_list_starts_it_anew(new_sandbox: NewSandbox, tmp_path: Path) -> None:
    sandbox = new_sandbox(customers=250, conversations=250)
    states = {
        name: {
            "last": "page=999999999998&pageSize=100",
            "next": "page=999999999999&pageSize=100",
            "size": 100,
        }
        for name in ("customers", "conversations")
    }
    result = Connector(tmp_path, sandbox.url, sandbox.key).read(*states, state=states)
    assert result.code == 0
    for name in states:
        assert ids(result, name) == listed(sandbox, name)
        assert f"does not know the page of {name}" in "".join(warnings(result))


def test_a_completed_state_reads_nothing_and_says_what_to_do(connector: Connector) -> None:
    complete = {"__ab_full_refresh_sync_complete": True}
    result = connector.read("tags", state={"tags": complete})
    assert result.code == 0
    assert not result.records("tags")
    assert "leave the state out" in "".join(warnings(result))


def test_where_a_page_is_too_large_smaller_ones_are_asked_for(
    new_sandbox: NewSandbox, tmp_path: Path
) -> None:
    sandbox = new_sandbox(customers=350, users=1200, tags=230)
    refusals = {
        "customers": error(504),
        "users": error(400, "pageSize is too large"),
        "tags": Reply(413, "<html>Request Entity Too Large</html>"),
    }

    @sandbox.before
    def refuse(request: Request) -> Reply | None:
        name = request.path.removeprefix("/v1/")
        size = int(request.params.get("pageSize", "1"))
        return refusals[name] if name in refusals and request.page > 1 and size >= 100 else None

    result = Connector(tmp_path, sandbox.url, sandbox.key).read(*refusals)
    assert result.code == 0, result.errors
    for name in refusals:
        assert ids(result, name) == listed(sandbox, name)


def test_a_response_that_trickles_or_never_ends_has_a_deadline(
    new_sandbox: NewSandbox, tmp_path: Path
) -> None:
    sandbox = new_sandbox(customers=150)
    tried = list[Request]()

    @sandbox.before
    def trickle(request: Request) -> Reply | None:
        if request.path != "/v1/customers" or request.page == 1 or len(tried) > 1:
            return None
        tried.append(request)
        return Reply(body=json.dumps(EMPTY) * 99, drip=0.2)

    timing = {**vars(QUICK), "silence": 2.0, "response": 2.0}
    connector = Connector(tmp_path, sandbox.url, sandbox.key, timing=type(QUICK)(**timing))
    result = connector.read("customers")
    assert result.code == 0
    assert ids(result) == listed(sandbox)
    assert len(tried) == 2


SETTINGS = {
    "certificates that are not there": ({"REQUESTS_CA_BUNDLE": "/nowhere"}, "REQUESTS_CA_BUNDLE"),
    "other certificates": ({"SSL_CERT_FILE": "/nowhere"}, "SSL_CERT_FILE"),
    "SOCKS proxy": ({"https_proxy": "socks5://127.0.0.1:1"}, "HTTPS_PROXY"),
    "malformed proxy": ({"https_proxy": "http://:x"}, "HTTPS_PROXY"),
}


@pytest.mark.parametrize(("environment", "name"), SETTINGS.values(), ids=SETTINGS)
def test_a_local_setting_that_cannot_be_used_is_named_at_once(
    tmp_path: Path, environment: dict[str, str], name: str
) -> None:
    cleared = dict.fromkeys(("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"), "")
    proxies = dict.fromkeys(("https_proxy", "no_proxy"), "")
    connector = Connector(tmp_path, "https://acme.kustomer.invalid", "a-key-that-is-long-enough")
    result = connector.run(
        "check",
        "--config",
        connector.config,
        environment={**cleared, **proxies, **environment},
    )
    (status,) = result.of_type("CONNECTION_STATUS")
    assert status["status"] == "FAILED"
    assert name in status["message"]
    assert result.errors[0]["failure_type"] == "config_error"
    assert not result.stderr


def test_a_wait_that_is_too_long_ends_each_stream_at_once(
    new_sandbox: NewSandbox, tmp_path: Path
) -> None:
    sandbox = new_sandbox()
    sandbox.before(lambda _: error(429, "slow down", **{"Retry-After": "700"}))
    result = Connector(tmp_path, sandbox.url, sandbox.key).read(*LISTS)
    assert result.code == 1
    failed = [e for e in result.errors if e.get("stream_descriptor")]
    assert [e["internal_message"] for e in failed] == ["rate_limit"] * len(LISTS)
    assert len(sandbox.requests) == 1


_PEAK = """
import resource, subprocess, sys
code = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL).returncode
print(code, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024)
"""


def test_bodies_that_unpack_without_end_are_refused_once_and_fit_into_memory(
    new_sandbox: NewSandbox, tmp_path: Path
) -> None:
    sandbox = new_sandbox(customers=6000, latency=0.05)
    bomb = gzip.compress(b"[" + b" " * 400_000_000, 9)

    @sandbox.before
    def unpack(request: Request) -> Reply | None:
        if request.path != "/v1/customers" or request.page < 15:
            return None
        return Reply(body=bomb, headers={"Content-Encoding": "gzip"})

    connector = Connector(tmp_path, sandbox.url, sandbox.key)
    catalog = connector.bare_catalog("customers")
    command = [*connector.command, "read", "--config", connector.config, "--catalog", catalog]
    done = subprocess.run(
        [sys.executable, "-S", "-c", _PEAK, *command],
        capture_output=True,
        env=connector.environment,
        text=True,
        check=True,
        timeout=200,
    )
    code, megabytes = map(int, done.stdout.split())
    assert code == 1
    assert megabytes < 1000
    asked = [request.page for request in sandbox.of("customers")]
    assert asked.count(15) <= 2


def test_values_that_a_database_would_refuse_are_kept_or_made_to_fit(
    new_sandbox: NewSandbox, tmp_path: Path
) -> None:
    sandbox = new_sandbox(tags=1, customers=0)
    digits = "1234567890" * 44
    raw = (
        '{"data": [{"type": "tag", "id": "1", "attributes": {"name": "a\\u0000b\tc",'
        f' "color": {digits}, "createdAt": "2024-03-01t05:30:00+05:30", "deleted": false,'
        f' "huge": {digits}, "whole": 18446744073709551617, "nothing": NaN,'
        ' "json": ["a\\u0000b"]},'
        ' "relationships": {"createdBy": {"links": {"self": "https://x.example/v1/users/77"}}}}],'
        ' "meta": {"page": 1}, "links": {"next": null}}'
    ).encode()
    broken = raw.replace(b'"type": "tag"', b'"type": "t\xe9g"')
    sandbox.before(lambda r: Reply(body=broken) if r.path == "/v1/tags" else None)
    result = Connector(tmp_path, sandbox.url, sandbox.key).read("tags")
    assert result.code == 0, result.errors
    (record,) = result.records("tags")
    assert record["name"] == "ab\tc"
    assert record["type"] == "t\ufffdg"
    assert record["color"] == digits
    assert record["createdAt"] == "2024-03-01T00:00:00Z"
    assert record["createdById"] == "77"
    aside = record["additionalAttributes"]
    assert aside == {
        "huge": digits,
        "whole": "18446744073709551617",
        "nothing": "NaN",
        "json": ["a\u0000b"],
    }
    assert "not UTF-8" in "".join(warnings(result))


def test_the_counts_of_states_are_the_records_on_stdout(
    new_sandbox: NewSandbox, tmp_path: Path
) -> None:
    sandbox = new_sandbox(customers=1000, conversations=600, latency=0.02)
    result = Connector(tmp_path, sandbox.url, sandbox.key).read(*LISTS)
    for name in LISTS:
        assert result.state_counts(name) == len(result.records(name))
