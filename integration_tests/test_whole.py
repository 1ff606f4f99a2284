"""Lists that move, end early, lead away or stop: what arrives is whole, or a sentence tells.

Each test runs the connector as a process, which fetches pages ahead while the list changes. A
process takes seconds to start: cases that cannot disturb each other share one, a list for each.
"""

import json
import random
import subprocess
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from integration_tests.conftest import NewSandbox
from integration_tests.connector import SCRIPT, Connector, Result, stream_states
from sandbox import LISTS, Reply, Request, Sandbox

Body = dict[str, Any]

CUSTOMERS = 1500
PAGES = 15

# Long enough for several requests to be on their way together.
LATENCY = 0.1


@pytest.fixture
def sandbox(new_sandbox: NewSandbox) -> Sandbox:
    """An organization with a long list, the same in each test."""
    return new_sandbox(customers=CUSTOMERS, conversations=0, latency=LATENCY)


@pytest.fixture
def other(new_sandbox: NewSandbox) -> Sandbox:
    """Another host, which must never be asked."""
    return new_sandbox(customers=10)


@pytest.fixture(scope="module")
def first_read(tmp_path_factory: pytest.TempPathFactory) -> Result:
    """An undisturbed read of the long list, whose states are as good in each test's sandbox."""
    with Sandbox(customers=CUSTOMERS, conversations=0, latency=LATENCY) as sandbox:
        folder = tmp_path_factory.mktemp("first")
        return Connector(folder, sandbox.url, sandbox.key).read("customers")


def present(sandbox: Sandbox, name: str = "customers") -> list[str]:
    with sandbox.lock:
        return [resource["id"] for resource in sandbox.lists[name]]


def arrived(result: Result, name: str = "customers") -> list[str]:
    return [record["id"] for record in result.records(name)]


def warnings(result: Result) -> list[str]:
    return [log["message"] for log in result.of_type("LOG") if log["level"] == "WARN"]


def pages(sandbox: Sandbox, name: str = "customers") -> list[int]:
    return [request.page for request in sandbox.of(name)]


def at_page(sandbox: Sandbox, page: int, move: Callable[[], object]) -> None:
    """Move the list once, when the page is asked for and before it is answered."""
    lock, moved = threading.Lock(), set[int]()

    @sandbox.before
    def once(request: Request) -> None:
        with lock:
            if request.path == "/v1/customers" and request.page == page and not moved:
                moved.add(page)
                move()


def assert_whole(result: Result, before: Sequence[str], sandbox: Sandbox) -> None:
    """Hold a read against the list's history: what was always there arrived, each record once."""
    ids = arrived(result)
    assert result.code == 0, result.errors
    assert not result.stderr
    # Sandboxes never give an id twice, so what is there before and after was there all the time.
    assert not set(before) & set(present(sandbox)) - set(ids)
    assert len(ids) == len(set(ids))
    assert result.states("customers")[-1] == {"__ab_full_refresh_sync_complete": True}


@pytest.mark.parametrize(("dropped", "at"), [(70, [7]), (20, [2, 5, 8])])
def test_when_customers_vanish_during_a_read_what_slid_is_read_again(
    connector: Connector, sandbox: Sandbox, dropped: int, at: list[int]
) -> None:
    before = present(sandbox)
    for page in at:
        at_page(sandbox, page, partial(sandbox.remove, "customers", dropped))
    result = connector.read("customers")
    assert_whole(result, before, sandbox)
    assert len(before) - len(present(sandbox)) == dropped * len(at)
    # A second look, the pages on either side of the seam, and those that were asked for ahead and
    # answered before or after their neighbours.
    assert len(sandbox.of("customers")) <= PAGES + 15 * len(at)


@pytest.mark.parametrize("seed", [1, 2], ids=lambda seed: f"seed {seed}")
def test_when_customers_vanish_anywhere_all_the_time_nothing_else_is_missed(
    connector: Connector, sandbox: Sandbox, seed: int
) -> None:
    before, dice = present(sandbox), random.Random(seed)

    @sandbox.before
    def merge(request: Request) -> None:
        with sandbox.lock:
            if dice.random() < 1 / 3:
                count = len(sandbox.lists["customers"])
                sandbox.remove("customers", dice.choice([1, 1, 3]), at=dice.randrange(count))

    result = connector.read("customers")
    assert_whole(result, before, sandbox)
    assert len(present(sandbox)) < len(before)


def test_when_customers_are_added_in_front_those_that_come_twice_are_handed_over_once(
    connector: Connector, sandbox: Sandbox
) -> None:
    before = present(sandbox)
    for page, added in ((3, 1), (7, 30), (12, 150)):
        at_page(sandbox, page, partial(sandbox.insert, "customers", added))
    result = connector.read("customers")
    assert_whole(result, before, sandbox)
    assert len(present(sandbox)) == CUSTOMERS + 181


def test_when_a_list_grows_at_its_end_with_each_request_it_is_whole_all_the_same(
    connector: Connector, sandbox: Sandbox
) -> None:
    before = present(sandbox)

    @sandbox.before
    def grow(request: Request) -> None:
        with sandbox.lock:
            sandbox.insert("customers", 1, at=len(sandbox.lists["customers"]))

    result = connector.read("customers")
    assert_whole(result, before, sandbox)
    assert len(present(sandbox)) >= CUSTOMERS + PAGES
    # An answer that overtook the one before it looks like a drop, and costs a page or two.
    assert len(sandbox.of("customers")) < 3 * PAGES
    assert not warnings(result)


@pytest.mark.parametrize("dropped", [7, 250])
def test_when_customers_vanish_between_a_read_and_its_resumption_nothing_is_missed(
    connector: Connector, sandbox: Sandbox, first_read: Result, dropped: int
) -> None:
    before = present(sandbox)
    sandbox.remove("customers", dropped)
    result = connector.read("customers", state={"customers": first_read.states("customers")[5]})
    ids = arrived(result)
    assert result.code == 0
    assert pages(sandbox)[0] == 7
    assert not set(before[dropped:]) - set(arrived(first_read)[:600]) - set(ids)
    assert len(ids) == len(set(ids))
    assert len(sandbox.of("customers")) <= PAGES - 6 + -(-dropped // 100) + 3


def before_state(result: Result, number: int) -> list[str]:
    """The ids that were handed over before the state of that number."""
    ids: list[str] = []
    for message in result.messages:
        if message["type"] == "RECORD":
            ids.append(message["record"]["data"]["id"])
        elif message["type"] == "STATE":
            number -= 1
            if number < 0:
                break
    return ids


def rows(count: int, page: int) -> list[Body]:
    return [{"id": f"{page}-{number}"} for number in range(count)]


def failures(result: Result) -> dict[str, dict[str, Any]]:
    """The error of each stream."""
    return {
        error["stream_descriptor"]["name"]: error
        for error in result.errors
        if error.get("stream_descriptor")
    }


LEADING_AWAY = {
    "to another host": {
        "customers": "{other}/v1/{list}?page=2&pageSize=100",
        "conversations": "//localhost:{other_port}/v1/{list}?page=2&pageSize=100",
        "users": "{here}@localhost:{other_port}/v1/{list}?page=2",
        "teams": "http://127.1:{other_port}/v1/{list}?page=2",
        "tags": "http://127.0.0.1:{other_port}/v1/{list}?page=2",
        "brands": "http://127.0.0.1:{port}\\@127.0.0.1:{other_port}/v1/{list}?page=2",
    },
    "elsewhere on this host": {
        "customers": "/v1/{list}/../conversations?page=2",
        "conversations": "/v1/{list}/%2e%2e/users?page=2",
        "users": "/v1/{list}/../../{list}?page=2",
        "teams": "http://user:password@127.0.0.1:{port}/v1/{list}?page=2",
        "tags": "https://127.0.0.1:{port}/v1/{list}?page=2",
        "brands": "http://localhost:{port}/v1/{list}?page=2",
    },
}


@pytest.mark.parametrize("links", LEADING_AWAY.values(), ids=LEADING_AWAY)
def test_a_link_that_leads_away_ends_its_stream_and_nothing_is_sent_there(
    connector: Connector, sandbox: Sandbox, other: Sandbox, links: dict[str, str]
) -> None:
    port, other_port = (s.url.rpartition(":")[2] for s in (sandbox, other))
    places = {"here": sandbox.url, "port": port, "other_port": other_port}

    @sandbox.before
    def lead_away(request: Request) -> Reply:
        name = request.path.removeprefix("/v1/")
        link = links[name].format(**places, other=f"http://localhost:{other_port}", list=name)
        return Reply(body={"data": rows(100, request.page), "links": {"next": link}})

    result = connector.read(*LISTS)
    assert result.code == 1
    for name in LISTS:
        assert f"{name} list leads to another address" in failures(result)[name]["message"]
        assert not result.states(name)
    assert not other.requests
    assert {request.path for request in sandbox.requests} == {f"/v1/{name}" for name in LISTS}
    assert {request.headers["host"] for request in sandbox.requests} == {f"127.0.0.1:{port}"}


def test_a_redirect_is_not_followed(connector: Connector, sandbox: Sandbox, other: Sandbox) -> None:
    statuses = dict(zip(LISTS, (301, 302, 303, 307, 308, 300), strict=True))
    elsewhere = f"http://localhost:{other.url.rpartition(':')[2]}"

    @sandbox.before
    def redirect(request: Request) -> Reply:
        name = request.path.removeprefix("/v1/")
        if request.page == 1:
            return Reply(body={"data": rows(1, 1), "links": {"next": "?page=2"}})
        return Reply(statuses[name], "", {"Location": f"{elsewhere}{request.path}?page=2"})

    result = connector.read(*LISTS)
    assert result.code == 1
    for name in LISTS:
        assert "a redirect" in failures(result)[name]["message"]
        assert arrived(result, name) == ["1-0"]
    assert not other.requests


@dataclass(frozen=True)
class Killed:
    """What a killed process had written, as far as the lines are whole."""

    result: Result

    @property
    def kept(self) -> list[str]:
        """The ids before the last state: all that the platform keeps for sure."""
        return before_state(self.result, len(self.result.states("customers")) - 1)

    @property
    def state(self) -> dict[str, Any] | None:
        states = self.result.states("customers")
        return states[-1] if states else None


def killed(connector: Connector, lines: int, state: dict[str, Any] | None) -> Killed:
    """Read until so many lines were written, then kill the process as the kernel would.

    The pipe holds a few dozen lines, so that the process is never far ahead of its reader.
    """
    command = [str(SCRIPT), "read", "--config", connector.config]
    command += ["--catalog", connector.bare_catalog("customers")]
    if state is not None:
        content = stream_states({"customers": state})
        command += ["--state", connector.write("state.json", content)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env=connector.environment
    ) as process:
        assert process.stdout
        written = [process.stdout.readline() for _ in range(lines)]
        process.kill()
        written += process.stdout.readlines()
    whole = "".join(line for line in written if line.endswith("\n"))
    return Killed(Result(process.returncode, whole, ""))


@pytest.mark.parametrize(
    "moments",
    [[1], [1400], [700, 500, 120]],
    ids=lambda moments: f"after {' and '.join(map(str, moments))} lines",
)
def test_when_the_process_is_killed_the_next_one_starts_where_it_stopped(
    connector: Connector, sandbox: Sandbox, moments: list[int]
) -> None:
    before, kept = present(sandbox), list[str]()
    state: dict[str, Any] | None = None
    for lines in moments:
        stopped = killed(connector, lines, state)
        assert stopped.result.code == -9
        if stopped.state is not None:
            kept += stopped.kept
            state = stopped.state
    assert (state is not None) == (moments[0] > 100)
    sandbox.requests.clear()
    last = connector.read("customers", state=None if state is None else {"customers": state})
    assert last.code == 0
    assert pages(sandbox)[0] == len(kept) // 100 + 1
    assert kept + arrived(last) == before


def test_when_customers_vanish_before_during_and_after_a_kill_nothing_is_missed(
    connector: Connector, sandbox: Sandbox
) -> None:
    before = present(sandbox)
    at_page(sandbox, 4, lambda: sandbox.remove("customers", 30))
    at_page(sandbox, 12, lambda: sandbox.remove("customers", 130, at=500))
    stopped = killed(connector, 700, None)
    sandbox.remove("customers", 250, at=40)
    result = connector.read("customers", state={"customers": stopped.state})
    assert result.code == 0, result.errors
    assert not set(before) & set(present(sandbox)) - {*stopped.kept, *arrived(result)}


QUERY = "page=3&pageSize=100"
STATE = {"last": "page=2&pageSize=100", "next": QUERY, "size": 100, "records": 200}
FOREIGN = {
    "other hosts and other connectors": {
        "customers": {**STATE, "url": "{other}/v1/customers"},
        "conversations": {"next_page_url": "{other}/v1/conversations?page=3"},
        "users": {"page": 3, "updated_at": "2024-01-01T00:00:00Z"},
        "teams": {**STATE, "next": f"{QUERY} HTTP/1.1\r\nHost: evil.example\r\n"},
        "tags": {**STATE, "next": f"{QUERY}#@localhost"},
        "brands": {**STATE, "next": ["{other}/v1/brands?page=3"]},
    },
    "wrong types and values": {
        "customers": {**STATE, "next": "page=0&pageSize=100"},
        "conversations": {**STATE, "size": "100"},
        "users": {**STATE, "size": 0},
        "teams": {**STATE, "records": -1},
        "tags": {**STATE, "total": True},
        "brands": {"last": QUERY, "next": None, "size": 100},
    },
}


@pytest.mark.parametrize("states", FOREIGN.values(), ids=FOREIGN)
def test_a_state_from_elsewhere_starts_its_list_afresh_with_a_warning(
    new_sandbox: NewSandbox, tmp_path: Path, other: Sandbox, states: dict[str, Body]
) -> None:
    sandbox = new_sandbox(customers=350, conversations=350, users=30, teams=30, tags=250, brands=30)
    connector = Connector(tmp_path, sandbox.url, sandbox.key)
    written = json.loads(json.dumps(states).replace("{other}", other.url))
    result = connector.read(*LISTS, state=written)
    assert result.code == 0
    for name in LISTS:
        assert arrived(result, name) == present(sandbox, name)
        assert pages(sandbox, name)[0] == 1
        assert [warning for warning in warnings(result) if f"state of {name} was not" in warning]
    assert not other.requests


def test_another_host_in_a_page_of_a_state_never_changes_where_requests_go(
    new_sandbox: NewSandbox, tmp_path: Path, other: Sandbox
) -> None:
    sandbox = new_sandbox(customers=350, conversations=350, users=30, teams=30, tags=250, brands=30)
    links = {
        "customers": "{other}/v1/{list}?page=3",
        "conversations": "//localhost:{port}/v1/{list}?page=3",
        "users": "@localhost:{port}/v1/{list}?page=3",
        "teams": "/../../../../v1/tags?page=3",
        "tags": "\\@localhost:{port}/v1/{list}?page=3",
        "brands": ":{port}/v1/{list}?page=3",
    }
    port = other.url.rpartition(":")[2]
    states = {
        name: {**STATE, "next": link.format(other=other.url, port=port, list=name)}
        for name, link in links.items()
    }
    result = Connector(tmp_path, sandbox.url, sandbox.key).read(*LISTS, state=states)
    assert not other.requests
    assert {request.headers["host"] for request in sandbox.requests} == {sandbox.url[7:]}
    assert {request.path for request in sandbox.requests} == {f"/v1/{name}" for name in LISTS}
    assert result.code == 0
    for name in LISTS:
        assert arrived(result, name) == present(sandbox, name)


@pytest.mark.parametrize("expired", [False, True], ids=["still known", "expired"])
def test_a_cursor_resumes_its_list_and_one_that_has_expired_starts_it_afresh_with_a_warning(
    new_sandbox: NewSandbox, tmp_path: Path, *, expired: bool
) -> None:
    sandbox = new_sandbox(conversations=450, customers=0, cursors=("conversations",))
    connector = Connector(tmp_path, sandbox.url, sandbox.key)
    first = connector.read("conversations")
    assert arrived(first, "conversations") == present(sandbox, "conversations")
    if expired:
        sandbox.expire_cursors()
    state = first.states("conversations")[1]
    second = connector.read("conversations", state={"conversations": state})
    assert second.code == 0
    rest = present(sandbox, "conversations")[0 if expired else 200 :]
    assert arrived(second, "conversations") == rest
    told = [warning for warning in warnings(second) if "no longer accepts" in warning]
    assert len(told) == expired
