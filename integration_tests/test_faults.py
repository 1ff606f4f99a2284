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
    **{f"status {status}": error(status) for status in (202, 205, 302, 400, 402, 408, 409, 451)},
    **{f"status {status}": error(status) for status in (401, 403, 404, 410, 500, 502, 504)},
    **{f"web page with {s}": Reply(s, WEB_PAGE) for s in (200, 401, 403, 404, 502, 503)},
    **{f"text with {s}": Reply(s, "error code: 1020") for s in (401, 403, 404)},
    "not modified": Reply(304),
    "message instead of a list": Reply(body={"message": "try later"}),
    "errors with status 200": Reply(body={"errors": [{"code": "x", "title": "no"}]}),
    "data that is null": Reply(body={"data": None, "links": {"next": None}}),
    "a row that is null": changed(lambda document: document["data"].append(None)),
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


FOREVER: dict[str, tuple[Reply | Callable[[Sandbox, Request], Reply], str]] = {
    "revoked": (error(401), "stopped accepting the API key while"),
    "short end": (
        changed(lambda d: d.update(data=d["data"][:40], links={"next": None})),
        "after 240 of 2500 records",
    ),
    "skipped pages": (
        changed(lambda d: d.update(links={"next": "/v1/customers?page=9&pageSize=100"})),
        "page 3 was asked for, and it links to page=9",
    ),
    "a page for which the server is too slow": (error(504), "took too long for the customers list"),
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


def test_where_nothing_answers_no_list_after_the_first_is_waited_for_long(
    new_sandbox: NewSandbox, tmp_path: Path
) -> None:
    sandbox = new_sandbox()
    sandbox.before(lambda _: Reply(hang=60))
    timing = replace(QUICK, silence=0.3)
    connector = Connector(tmp_path, sandbox.url, sandbox.key, timing=timing)
    assert connector.read(*LISTS).code == 1
    asked = {name: len(sandbox.of(name)) for name in LISTS}
    # Two attempts at a page and at each smaller one, and two at each other list.
    assert asked.pop("customers") == 6
    assert set(asked.values()) == {2}


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
        "json": ["ab"],
    }
    assert "not UTF-8" in "".join(warnings(result))


def test_the_counts_of_states_are_the_records_on_stdout(
    new_sandbox: NewSandbox, tmp_path: Path
) -> None:
    sandbox = new_sandbox(customers=1000, conversations=600, latency=0.02)
    result = Connector(tmp_path, sandbox.url, sandbox.key).read(*LISTS)
    for name in LISTS:
        assert result.state_counts(name) == len(result.records(name))
