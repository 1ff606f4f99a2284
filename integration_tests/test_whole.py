"""Lists that move, fail, lead away or stop: what arrives is whole, or a sentence tells.

Here each mechanism is seen to work in a process, which fetches pages ahead meanwhile. What the
reader makes of every single page and link is tested without one.
"""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from integration_tests.conftest import NewSandbox
from integration_tests.connector import SCRIPT, Connector, Result, stream_states
from sandbox import LISTS, Reply, Request, Sandbox

PAGES = 15


@pytest.fixture
def sandbox(new_sandbox: NewSandbox) -> Sandbox:
    """A long list, answered so slowly that several requests are on their way together."""
    return new_sandbox(customers=100 * PAGES, conversations=0, latency=0.1)


@pytest.fixture
def other(new_sandbox: NewSandbox) -> Sandbox:
    """Another host, which must never be asked."""
    return new_sandbox(customers=10)


def listed(sandbox: Sandbox, name: str = "customers") -> list[str]:
    return [resource["id"] for resource in sandbox.lists[name]]


def arrived(result: Result, name: str = "customers") -> list[str]:
    return [record["id"] for record in result.records(name)]


def test_when_customers_vanish_during_a_read_what_slid_is_read_again(
    connector: Connector, sandbox: Sandbox
) -> None:
    before, moments = listed(sandbox), {2, 5, 8}

    @sandbox.before
    def vanish(request: Request) -> None:
        with sandbox.lock:
            if request.page in moments:
                moments.remove(request.page)
                sandbox.remove("customers", 20)

    result = connector.read("customers")
    ids = arrived(result)
    assert result.code == 0, result.errors
    assert not result.stderr
    assert listed(sandbox) == before[60:]
    assert {*before[60:]} <= {*ids}
    assert len(ids) == len({*ids})
    assert result.states("customers")[-1] == {"__ab_full_refresh_sync_complete": True}
    # A second look each, the pages on either side of the seam, and those that were asked for ahead
    # and answered before or after their neighbours.
    assert len(sandbox.requests) <= PAGES + 3 * 15


# What an API, or something on the way to it, may send once: a response, or changes of the right
# one.
PASSING: list[Reply | dict[str, Any]] = [
    Reply(500),
    Reply(401, {"errors": [{"code": "x", "message": "no"}]}),
    Reply(403, "<html>Your session has expired</html>"),
    Reply(reset=True),
    Reply(body='{"data": [', truncate_at=5),
    {"data": None},
    {"data": []},
    {"links": {"next": None}},
    {"meta": {"page": 999}},
    {"meta": {"total": 10}},
]


def test_faults_that_pass_are_outlived_with_and_without_a_total_and_nothing_is_lost(
    new_sandbox: NewSandbox, tmp_path: Path
) -> None:
    records, names = 100 * len(PASSING) + 150, ("customers", "conversations")
    sandbox = new_sandbox(customers=records, conversations=records)
    faults = {(f"/v1/{name}", p): fault for name in names for p, fault in enumerate(PASSING, 2)}

    @sandbox.before
    def fail_once(request: Request) -> Reply | None:
        fault = faults.pop((request.path, request.page), None)
        if not isinstance(fault, dict):
            return fault
        return Reply(body=json.loads(sandbox.respond(request).content) | fault)

    result = Connector(tmp_path, sandbox.url, sandbox.key).read(*names)
    assert result.code == 0, result.errors
    assert not faults
    for name in names:
        assert arrived(result, name) == listed(sandbox, name)


def test_a_link_that_leads_away_ends_its_stream_and_nothing_is_sent_there(
    connector: Connector, sandbox: Sandbox, other: Sandbox
) -> None:
    port = other.url.rpartition(":")[2]
    links = {
        "customers": f"{other.url}/v1/customers?page=2&pageSize=100",
        "conversations": f"//localhost:{port}/v1/conversations?page=2&pageSize=100",
        "users": f"{sandbox.url}@localhost:{port}/v1/users?page=2",
        "teams": f"{sandbox.url}\\@127.0.0.1:{port}/v1/teams?page=2",
        "tags": "/v1/tags/%2e%2e/users?page=2",
        "brands": f"{sandbox.url.replace('http', 'https')}/v1/brands?page=2",
    }

    @sandbox.before
    def lead_away(request: Request) -> Reply:
        link = links[request.path.removeprefix("/v1/")]
        return Reply(body={"data": [{"id": "a"}], "links": {"next": link}})

    result = connector.read(*LISTS)
    assert result.code == 1
    for name in LISTS:
        assert f"{name} list leads to another address" in result.failures[name]["message"]
        assert not result.states(name)
    assert not other.requests
    assert {request.path for request in sandbox.requests} == {f"/v1/{name}" for name in LISTS}


def killed(connector: Connector, lines: int, state: dict[str, Any]) -> Result:
    """Read until so many lines were written, then kill the process as the kernel would.

    The pipe holds a few dozen lines, so that the process is never far ahead of its reader.
    """
    command = [str(SCRIPT), "read", "--config", connector.config]
    command += ["--catalog", connector.bare_catalog("customers")]
    command += ["--state", connector.write("state.json", stream_states(state))]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env=connector.environment
    ) as process:
        assert process.stdout
        written = [process.stdout.readline() for _ in range(lines)]
        process.kill()
        written += process.stdout.readlines()
    whole = "".join(line for line in written if line.endswith("\n"))
    return Result(process.returncode, whole, "")


def kept(result: Result) -> list[str]:
    """The ids before the last state: all that the platform keeps for sure."""
    sure, last = list[str](), list[str]()
    for message in result.messages:
        if message["type"] == "RECORD":
            last.append(message["record"]["data"]["id"])
        elif message["type"] == "STATE":
            sure += last
            last.clear()
    return sure


def test_after_kills_the_next_process_starts_where_it_stopped_and_finds_what_slid_since(
    connector: Connector, sandbox: Sandbox
) -> None:
    before, ids, state = listed(sandbox), list[str](), dict[str, Any]()
    for lines in (700, 500):
        stopped = killed(connector, lines, state)
        assert stopped.code == -9
        ids += kept(stopped)
        state = {"customers": stopped.states("customers")[-1]}
    assert ids == before[: len(ids)]
    sandbox.remove("customers", 30)
    sandbox.requests.clear()
    last = connector.read("customers", state=state)
    assert last.code == 0, last.errors
    assert {*before} == {*ids, *arrived(last)}
    # What slid is on the page before the next one.
    assert min(request.page for request in sandbox.requests) == len(ids) // 100 > 5


def test_a_state_leads_to_no_other_host_and_one_from_elsewhere_starts_its_list_afresh(
    new_sandbox: NewSandbox, tmp_path: Path, other: Sandbox
) -> None:
    sandbox = new_sandbox(
        customers=350, conversations=450, tags=250, cursors=("conversations", "users")
    )
    pages = {
        "customers": "page=3&pageSize=100",
        "conversations": "page%5Bafter%5D=after200&pageSize=100",
        "users": "page%5Bafter%5D=expired&pageSize=100",
        "teams": "page=3 HTTP/1.1\r\nHost: evil.example\r\n",
        "tags": f"\\@{other.url.removeprefix('http://')}/v1/tags?page=3",
        "brands": f"{other.url}/v1/brands?page=3",
    }
    states = {name: {"next": page, "size": 100, "records": 200} for name, page in pages.items()}
    states["customers"]["url"] = f"{other.url}/v1/customers"
    result = Connector(tmp_path, sandbox.url, sandbox.key).read(*LISTS, state=states)
    assert result.code == 0, result.errors
    for name in LISTS:
        rest = listed(sandbox, name)[200 if name == "conversations" else 0 :]
        assert arrived(result, name) == rest
    refused, expired, unknown = result.warnings
    assert "state of customers was not" in refused
    assert "no longer accepts the saved page of the users list" in expired
    assert "state of teams was not" in unknown
    assert not other.requests
    assert {request.headers["host"] for request in sandbox.requests} == {sandbox.url[7:]}
