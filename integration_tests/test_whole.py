"""Lists that move, end early, lead away or stop: what arrives is whole, or a sentence tells.

Each test runs the connector as a process, which fetches pages ahead while the list changes. A
process takes seconds to start: cases that cannot disturb each other share one, a list for each.
"""

import json
import random
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import cycle, pairwise
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

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


def test_several_pages_are_on_their_way_while_these_lists_move(
    new_sandbox: NewSandbox, tmp_path: Path
) -> None:
    sandbox = new_sandbox(customers=CUSTOMERS, latency=3 * LATENCY)
    Connector(tmp_path, sandbox.url, sandbox.key).read("customers")
    times = sorted(request.time for request in sandbox.of("customers"))
    assert any(after - before < 3 * LATENCY for before, after in pairwise(times))


@pytest.mark.parametrize("dropped", [1, 7, 100, 250])
@pytest.mark.parametrize("at", [[7], [2, 5, 8]], ids=["at page 7", "at pages 2, 5 and 8"])
def test_when_customers_vanish_during_a_read_what_slid_is_read_again(
    connector: Connector, sandbox: Sandbox, at: list[int], dropped: int
) -> None:
    before = present(sandbox)
    for page in at:
        at_page(sandbox, page, partial(sandbox.remove, "customers", dropped))
    result = connector.read("customers")
    assert_whole(result, before, sandbox)
    assert len(before) - len(present(sandbox)) == dropped * len(at)
    # A page on either side of the seam for each hundred, and one that they begin in; twice, because
    # a page that was asked for ahead may be answered before or after its neighbours.
    assert len(sandbox.of("customers")) <= PAGES + 4 * (-(-dropped // 100) + 1) * len(at)


@pytest.mark.parametrize("seed", [1, 2, 3], ids=lambda seed: f"seed {seed}")
def test_when_customers_vanish_anywhere_all_the_time_nothing_else_is_missed(
    connector: Connector, sandbox: Sandbox, seed: int
) -> None:
    before, dice = present(sandbox), random.Random(seed)

    @sandbox.before
    def merge(request: Request) -> None:
        with sandbox.lock:
            if dice.random() < 1 / 3:
                count = len(sandbox.lists["customers"])
                sandbox.remove("customers", dice.choice([1, 1, 3, 20]), at=dice.randrange(count))

    result = connector.read("customers")
    assert_whole(result, before, sandbox)
    assert len(present(sandbox)) < len(before)


def test_when_numbers_come_as_text_a_move_is_seen_all_the_same(
    new_sandbox: NewSandbox, tmp_path: Path
) -> None:
    sandbox = new_sandbox(customers=CUSTOMERS, latency=LATENCY, numbers_as_text=True)
    before = present(sandbox)
    at_page(sandbox, 7, lambda: sandbox.remove("customers", 120))
    result = Connector(tmp_path, sandbox.url, sandbox.key).read("customers")
    assert_whole(result, before, sandbox)


def test_when_customers_are_added_in_front_those_that_come_twice_are_handed_over_once(
    connector: Connector, sandbox: Sandbox
) -> None:
    before = present(sandbox)
    for page, added in ((3, 1), (7, 30), (12, 150)):
        at_page(sandbox, page, partial(sandbox.insert, "customers", added))
    result = connector.read("customers")
    assert_whole(result, before, sandbox)
    assert len(present(sandbox)) == CUSTOMERS + 181


def test_when_a_server_repeats_its_last_row_it_is_handed_over_once(
    connector: Connector, sandbox: Sandbox
) -> None:
    before = present(sandbox)

    @sandbox.before
    def repeat(request: Request) -> Reply:
        start = 100 * (request.page - 1)
        link = f"?page={request.page + 1}&pageSize=100" if request.page < PAGES else None
        rows = sandbox.lists["customers"][max(0, start - 1) : start + 100]
        meta = {"page": request.page, "pageSize": 100, "total": CUSTOMERS, "totalPages": PAGES}
        return Reply(body={"data": rows, "meta": meta, "links": {"next": link}})

    assert arrived(connector.read("customers")) == before


def test_when_a_list_grows_at_its_end_from_page_to_page_none_is_asked_for_twice(
    connector: Connector, sandbox: Sandbox
) -> None:
    @sandbox.before
    def grow(request: Request) -> Reply:
        total, page = CUSTOMERS + 10 * request.page, request.page
        ids = range(100 * (page - 1), min(100 * page, total))
        link = f"?page={page + 1}&pageSize=100" if 100 * page < total else None
        meta = {"page": page, "pageSize": 100, "total": total, "totalPages": -(-total // 100)}
        data = [{"id": str(number)} for number in ids]
        return Reply(body={"data": data, "meta": meta, "links": {"next": link}})

    result = connector.read("customers")
    assert result.code == 0
    assert sorted(pages(sandbox)) == list(range(1, PAGES + 3))
    assert arrived(result) == [str(number) for number in range(CUSTOMERS + 170)]
    assert not warnings(result)


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


@pytest.mark.parametrize("dropped", [1, 7, 100, 250])
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
    assert len(sandbox.of("customers")) <= PAGES - 6 + -(-dropped // 100) + 1


def test_when_a_list_shrank_to_before_the_resumed_page_nothing_is_missed(
    connector: Connector, sandbox: Sandbox, first_read: Result
) -> None:
    sandbox.remove("customers", 1150)
    result = connector.read("customers", state={"customers": first_read.states("customers")[5]})
    assert result.code == 0
    assert not set(present(sandbox)) - set(arrived(first_read)[:600]) - set(arrived(result))


@pytest.mark.parametrize("further", [0, 120], ids=lambda further: f"{further} more vanish")
def test_when_a_read_stops_while_moved_pages_are_read_again_its_resumption_goes_on_with_them(
    connector: Connector, sandbox: Sandbox, further: int
) -> None:
    before = present(sandbox)
    at_page(sandbox, 7, lambda: sandbox.remove("customers", 250))
    first = connector.read("customers")
    states = first.states("customers")
    stop = next(number for number, state in enumerate(states) if "gap_start" in state)
    sandbox.remove("customers", further)
    sandbox.requests.clear()
    second = connector.read("customers", state={"customers": states[stop]})
    assert second.code == 0, second.errors
    assert pages(sandbox)[0] == -(-states[stop]["gap_end"] // 100)
    union = {*arrived(second), *before_state(first, stop)}
    assert not set(before) & set(present(sandbox)) - union


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


def answered(sandbox: Sandbox, answers: Mapping[tuple[str, int], Body]) -> None:
    """Answer the pages of lists, by name and number, with these documents."""

    @sandbox.before
    def answer(request: Request) -> Reply | None:
        body = answers.get((request.path.removeprefix("/v1/"), request.page))
        return None if body is None else Reply(body=body)


def rows(count: int, page: int) -> list[Body]:
    return [{"id": f"{page}-{number}"} for number in range(count)]


def page_of(count: int, page: int, *, last: bool = False, **meta: object) -> Body:
    link = None if last else f"?page={page + 1}&pageSize=100"
    meta = {"page": page, "pageSize": 100, **meta}
    return {"data": rows(count, page), "meta": meta, "links": {"next": link}}


@pytest.mark.parametrize("total", [1450, "1450"], ids=["number", "text"])
def test_when_a_list_ends_on_a_full_page_below_its_total_the_stream_fails_with_both_numbers(
    connector: Connector, sandbox: Sandbox, total: object
) -> None:
    answers = {("customers", n): page_of(100, n, total=total, last=n == 4) for n in range(1, 5)}
    answered(sandbox, answers)
    result = connector.read("customers")
    assert result.code == 1
    assert result.errors[0]["internal_message"] == "cut_off"
    assert "after 400 of 1450 records" in result.errors[0]["message"]
    assert result.states("customers")[-1]["next"] == "page=4&pageSize=100"
    assert arrived(result) == [row["id"] for page in range(1, 4) for row in rows(100, page)]
    again = connector.read("customers", state={"customers": result.states("customers")[-1]})
    assert again.code == 1
    assert "after 400 of 1450 records" in again.errors[0]["message"]
    assert not again.states("customers")


def test_when_a_list_ends_on_a_short_page_below_its_total_a_warning_gives_both_numbers(
    connector: Connector, sandbox: Sandbox
) -> None:
    answers = {("customers", n): page_of(100, n, total=400) for n in range(1, 4)}
    answered(sandbox, {**answers, ("customers", 4): page_of(99, 4, total=400, last=True)})
    result = connector.read("customers")
    assert result.code == 0
    assert len(arrived(result)) == 399
    (warning,) = warnings(result)
    assert "after 399 of 400 records" in warning
    assert result.states("customers")[-1] == {"__ab_full_refresh_sync_complete": True}


@pytest.mark.parametrize(("users", "warned"), [(10_000, True), (10_500, False)])
def test_when_a_list_without_a_total_ends_on_exactly_ten_thousand_a_warning_says_so(
    connector: Connector, sandbox: Sandbox, users: int, *, warned: bool
) -> None:
    @sandbox.before
    def answer(request: Request) -> Reply:
        start = 500 * (request.page - 1)
        link = f"?page={request.page + 1}&pageSize=500" if start + 500 < users else None
        body = {"data": [{"id": str(start + n)} for n in range(500)], "links": {"next": link}}
        return Reply(body=body)

    result = connector.read("users")
    assert result.code == 0
    assert result.counts == {"users": users}
    assert [f"{10_000} records" in warning for warning in warnings(result)] == [True] * warned


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
        assert f"leads away from 127.0.0.1:{port}/v1/{name}" in failures(result)[name]["message"]
        assert not result.states(name)
    assert not other.requests
    assert [request.path for request in sandbox.requests] == [f"/v1/{name}" for name in LISTS]
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
        assert "redirects to another address" in failures(result)[name]["message"]
        assert arrived(result, name) == ["1-0"]
    assert not other.requests


FOLLOWED = {
    "customers": ("/v1/customers?cursor=a%2Fb%3D%3D", "cursor=a%2Fb%3D%3D"),
    "conversations": (
        "{here}/v1/conversations?page[after]=x/y==&page[size]=100",
        "page[after]=x/y==&page[size]=100",
    ),
    "users": ({"href": "//127.0.0.1:{port}/v1/users?after=7&page="}, "after=7&page="),
    "teams": ("?pageSize=500&page=2&fields=id", "page=2&fields=id&pageSize=500"),
    "tags": ("/v1/teams/../tags?next=eyJpZCI6IjEifQ", "next=eyJpZCI6IjEifQ"),
    "brands": ("brands?page=2", "page=2&pageSize=100"),
}


def pairs(query: str) -> list[tuple[str, str]]:
    """What a query says, whichever of its characters are escaped."""
    return parse_qsl(query, keep_blank_values=True, strict_parsing=True)


def test_a_link_of_any_form_to_the_same_list_is_followed(
    connector: Connector, sandbox: Sandbox
) -> None:
    places = {"here": sandbox.url, "port": sandbox.url.rpartition(":")[2]}

    @sandbox.before
    def link(request: Request) -> Reply:
        name = request.path.removeprefix("/v1/")
        if request.query != sandbox.of(name)[0].query:
            return Reply(body={"data": rows(1, 2), "links": {"next": None}})
        following = json.dumps(FOLLOWED[name][0]).replace("{here}", places["here"])
        following = json.loads(following.replace("{port}", places["port"]))
        return Reply(body={"data": rows(1, 1), "links": {"next": following}})

    result = connector.read(*LISTS)
    assert result.code == 0
    for name in LISTS:
        assert arrived(result, name) == ["1-0", "2-0"]
        # Both pages are asked for once more: the first because it is not full, the last because no
        # total confirms the end.
        for asked in sandbox.of(name)[2:]:
            assert pairs(asked.query) == pairs(FOLLOWED[name][1])


RINGS = {
    "customers": ["?page=1"],
    "conversations": ["?page=2", "?page=3"],
    "users": ["?cursor=a"],
    "teams": ["?cursor=a", "?cursor=b", "?cursor=c"],
    "tags": ["?cursor=a", "?page=1"],
    "brands": ["?page=0"],
}


def test_links_that_lead_in_a_ring_end_the_stream_after_a_few_requests(
    connector: Connector, sandbox: Sandbox
) -> None:
    links: dict[str, Iterator[str]] = {name: cycle(ring) for name, ring in RINGS.items()}

    @sandbox.before
    def lead_back(request: Request) -> Reply:
        name = request.path.removeprefix("/v1/")
        rows = [{"id": f"{n}-{len(sandbox.of(name))}"} for n in range(100)]
        return Reply(body={"data": rows, "links": {"next": next(links[name])}})

    result = connector.read(*LISTS)
    assert result.code == 1
    for name in LISTS:
        assert "leads back to a page already read" in failures(result)[name]["message"]
        assert len(sandbox.of(name)) <= len(RINGS[name]) + 3


@pytest.mark.parametrize(
    "link", ["?page={n}&pageSize=100", "?cursor={n}"], ids=["number", "cursor"]
)
def test_a_page_that_comes_again_and_again_under_new_links_ends_the_stream(
    new_sandbox: NewSandbox, tmp_path: Path, link: str
) -> None:
    sandbox = new_sandbox(customers=0)

    @sandbox.before
    def repeat(request: Request) -> Reply:
        number = request.page if "page" in request.params else len(sandbox.of("tags"))
        following = link.format(n=number + 1) if number < 150 else None
        return Reply(body={"data": rows(100, 1), "links": {"next": following}})

    result = Connector(tmp_path, sandbox.url, sandbox.key).read("tags")
    assert result.code == 1
    assert "leads back to a page already read" in failures(result)["tags"]["message"]
    assert len(arrived(result, "tags")) == 100
    assert len(sandbox.of("tags")) < 100


def test_a_page_that_cannot_be_trusted_ends_its_stream_in_a_sentence_and_leaves_the_state(
    connector: Connector, sandbox: Sandbox
) -> None:
    end = {"next": None}
    third: dict[str, tuple[Body, str]] = {
        "customers": ({"data": None, "links": end}, "is not a list of records"),
        "conversations": ({"meta": {"page": 3}, "links": end}, "is not a list of records"),
        "users": ({"data": {"id": "1"}, "links": end}, "is not a list of records"),
        "teams": ({"data": [{"type": "team"}], "links": end}, "is not a list of records"),
        "tags": ({"data": rows(100, 3), "meta": {"page": 3}}, "A full page of 100 tags came"),
        "brands": (page_of(5, 4, last=True), "asked for page 3 of brands and sent page 4"),
    }
    answers = {(name, page): page_of(100, page) for name in LISTS for page in (1, 2)}
    answered(sandbox, answers | {(name, 3): body for name, (body, _) in third.items()})
    result = connector.read(*LISTS)
    assert result.code == 1
    for name, (_, words) in third.items():
        assert words in failures(result)[name]["message"]
        assert len(arrived(result, name)) == 200
        assert result.states(name)[-1]["last"] == "page=2&pageSize=100"


def test_an_empty_page_with_a_link_is_passed_over_but_not_without_end(
    connector: Connector, sandbox: Sandbox
) -> None:
    gaps = {("tags", page): page_of(0 if 1 < page < 10 else 100, page) for page in range(1, 11)}
    endless = {("brands", page): page_of(0, page) for page in range(1, 1000)}
    answered(sandbox, {**gaps, ("tags", 11): page_of(3, 11, last=True), **endless})
    result = connector.read("tags", "brands")
    assert result.code == 1
    assert len(arrived(result, "tags")) == 203
    assert failures(result).keys() == {"brands"}
    assert "in a row were empty" in failures(result)["brands"]["message"]
    assert len(sandbox.of("brands")) < 20


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
        assert [warning for warning in warnings(result) if f"state of {name} is not" in warning]
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


def test_when_a_list_without_a_total_shrank_to_before_the_resumed_page_it_starts_afresh(
    connector: Connector, sandbox: Sandbox
) -> None:
    sandbox.insert("tags", 110)
    result = connector.read("tags", state={"tags": STATE})
    assert result.code == 0
    assert arrived(result, "tags") == present(sandbox, "tags")
    assert "does not know the page" in "".join(warnings(result))


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
    told = [warning for warning in warnings(second) if "does not know the page" in warning]
    assert len(told) == expired
