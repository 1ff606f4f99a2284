"""How fast the connector asks: what the sandbox counted, not what a clock of this machine says."""

import re
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from integration_tests.conftest import NewSandbox
from integration_tests.connector import QUICK, Connector
from sandbox import Reply, Request, Sandbox
from source_kustomer.api.prefetch import MOST_AHEAD, MOST_WASTED

# Long enough for several requests to be in flight together.
LATENCY = 0.05

# The window over which requests are counted, in seconds: short, so that a test sees several.
WINDOW = 4.0


def connector_of(folder: Path, sandbox: Sandbox, window: float | None = None) -> Connector:
    timing = QUICK if window is None else replace(QUICK, window=window)
    return Connector(folder, sandbox.url, sandbox.key, timing=timing)


def most_within(seconds: float, times: Sequence[float]) -> int:
    """Return the largest number of requests in any period of that length."""
    return max(sum(start <= time < start + seconds for time in times) for start in times)


def test_pages_are_asked_for_together_and_handed_over_in_order(
    tmp_path: Path, new_sandbox: NewSandbox
) -> None:
    sandbox = new_sandbox(customers=6000, latency=LATENCY)
    result = connector_of(tmp_path, sandbox).read("customers")
    assert [r["id"] for r in result.records("customers")] == [
        resource["id"] for resource in sandbox.lists["customers"]
    ]
    states = result.states("customers")
    assert [s["next"] for s in states[:-1]] == [f"page={n}&pageSize=100" for n in range(2, 61)]
    assert [s["records"] for s in states[:-1]] == list(range(100, 6000, 100))
    # The total tells where the list ends, so that not one request is wasted.
    assert sorted(r.page for r in sandbox.of("customers")) == list(range(1, 61))


def test_several_requests_are_in_flight_and_no_more_than_the_window_of_pages(
    tmp_path: Path, new_sandbox: NewSandbox
) -> None:
    sandbox = new_sandbox(customers=6000)
    in_flight, most = set[int](), [0]

    @sandbox.before
    def count(request: Request) -> Reply:
        with sandbox.lock:
            in_flight.add(request.page)
            most.append(len(in_flight))
        time.sleep(LATENCY)
        with sandbox.lock:
            in_flight.discard(request.page)
        return sandbox.respond(request)

    connector_of(tmp_path, sandbox).read("customers")
    assert 1 < max(most) <= MOST_AHEAD + 1


def test_records_and_state_of_a_page_come_before_the_next_page(
    tmp_path: Path, new_sandbox: NewSandbox
) -> None:
    sandbox = new_sandbox(customers=900, latency=LATENCY)
    result = connector_of(tmp_path, sandbox).read("customers")
    kinds = "".join(m["type"][0] for m in result.messages if m["type"] in {"RECORD", "STATE"})
    assert kinds == ("R" * 100 + "S") * 9
    assert result.state_counts("customers") == 900


def test_guessed_pages_that_do_not_exist_are_few(tmp_path: Path, new_sandbox: NewSandbox) -> None:
    sandbox = new_sandbox(conversations=8000, latency=LATENCY)
    result = connector_of(tmp_path, sandbox).read("conversations")
    assert result.counts["conversations"] == 8000
    pages = [r.page for r in sandbox.of("conversations")]
    assert set(range(1, 81)) <= set(pages)
    twice = sorted(page for page in set(pages) if pages.count(page) > 1)
    assert twice == [80], "only the last page is asked for once more, to confirm the end"
    assert len(pages) - 81 <= MOST_WASTED * len(pages)


@pytest.mark.parametrize("stream", ["users", "teams", "tags", "brands"])
def test_a_list_of_one_page_costs_that_page_and_its_confirmation(
    connector: Connector, sandbox: Sandbox, stream: str
) -> None:
    assert connector.read(stream).code == 0
    assert [request.page for request in sandbox.requests] == [1, 1]


def test_with_cursors_it_reads_one_page_after_another(
    tmp_path: Path, new_sandbox: NewSandbox
) -> None:
    sandbox = new_sandbox(conversations=1500, cursors=("conversations",), latency=LATENCY)
    result = connector_of(tmp_path, sandbox).read("conversations")
    assert result.counts["conversations"] == 1500
    assert len(sandbox.of("conversations")) == 15 + 1


def test_a_page_that_failed_ahead_is_asked_for_again(
    tmp_path: Path, new_sandbox: NewSandbox
) -> None:
    sandbox = new_sandbox(customers=3000, latency=LATENCY)
    failed = set[int]()

    @sandbox.before
    def fail_once(request: Request) -> Reply | None:
        if request.page % 7 or request.page in failed:
            return None
        failed.add(request.page)
        return sandbox.error(500, "x", "Oops")

    result = connector_of(tmp_path, sandbox).read("customers")
    assert result.code == 0
    assert [r["id"] for r in result.records("customers")] == [
        resource["id"] for resource in sandbox.lists["customers"]
    ]
    assert len(sandbox.of("customers")) == 30 + len(failed)


@pytest.mark.parametrize("window", ["sliding", "fixed"])
@pytest.mark.parametrize(
    ("share", "others", "most"),
    [(80, 0, 80), (25, 0, 25), (80, 45, 60)],
    ids=["share of 80", "share of 25", "others use 45"],
)
def test_the_share_is_never_exceeded_and_nobody_is_refused(
    tmp_path: Path, new_sandbox: NewSandbox, window: str, share: int, others: int, most: int
) -> None:
    # Four windows' share of pages.
    pages = 4 * most
    sandbox = new_sandbox(
        customers=100 * pages,
        limit=100,
        window=window,
        window_seconds=WINDOW,
        others_per_minute=others,
    )
    connector = connector_of(tmp_path, sandbox, WINDOW)
    config = {"org_name": "acme", "api_key": sandbox.key, "rate_limit_share": share}
    arguments = ["--config", connector.write("share.json", config)]
    arguments += ["--catalog", connector.bare_catalog("customers")]
    assert connector.run("read", *arguments).counts["customers"] == 100 * pages
    assert 429 not in sandbox.statuses
    assert most_within(WINDOW, [r.time for r in sandbox.requests]) <= most


def test_retries_and_all_streams_share_one_limit(tmp_path: Path, new_sandbox: NewSandbox) -> None:
    sandbox = new_sandbox(customers=1500, conversations=1500, limit=40, window_seconds=WINDOW)
    failed = set[str]()

    @sandbox.before
    def fail_each_page_once(request: Request) -> Reply | None:
        if request.path != "/v1/customers" or request.query in failed:
            return None
        failed.add(request.query)
        sandbox.count()
        return sandbox.error(500, "x", "Oops")

    result = connector_of(tmp_path, sandbox, WINDOW).read("customers", "conversations", "tags")
    assert result.counts == {"customers": 1500, "conversations": 1500, "tags": 40}
    assert len(sandbox.requests) >= 46
    assert most_within(WINDOW, [r.time for r in sandbox.requests]) <= 32
    assert 429 not in sandbox.statuses


def test_without_headers_it_paces_itself_for_the_smallest_plan(
    tmp_path: Path, new_sandbox: NewSandbox
) -> None:
    sandbox = new_sandbox(customers=60_000, limit=None)
    result = connector_of(tmp_path, sandbox, WINDOW).read("customers")
    assert result.counts["customers"] == 60_000
    # 80 % of 300.
    assert most_within(WINDOW, [r.time for r in sandbox.requests]) <= 240


def test_a_long_read_reports_how_it_goes(connector: Connector) -> None:
    result = connector.read("customers", "conversations", "tags")
    estimates = [t["estimate"] for t in result.of_type("TRACE") if t["type"] == "ESTIMATE"]
    # Only the customers' list tells its length.
    assert [(e["name"], e["type"], e["row_estimate"]) for e in estimates] == [
        ("customers", "STREAM", 950)
    ]
    told = [log for log in result.logs if log.startswith("customers: ")]
    assert re.fullmatch(
        r"customers: about 950 records; 9 pages to come take about \S+ s at this pace\.", told[0]
    )
    assert re.fullmatch(
        r"customers: 950 records on 10 pages in \S+ s: 10 requests, 0 retries, "
        r"\d+ s waited for the rate limit, \d\.\d MB, [\d,]+ records a second\.",
        told[-1],
    )
    assert any(log.startswith("tags: 40 records on 1 page in") for log in result.logs)
