"""How fast the connector asks: what the sandbox counted, not what a clock of this machine says."""

import os
import pty
import re
import subprocess
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest

from integration_tests.conftest import NewSandbox
from integration_tests.connector import SCRIPT, Connector
from sandbox import Reply, Request, Sandbox
from source_kustomer.read_ahead import MOST_AHEAD, MOST_WASTED

# Long enough for the requests of a window to be on their way together.
LATENCY = 0.05


def connector_of(folder: Path, sandbox: Sandbox) -> Connector:
    return Connector(folder, sandbox.url, sandbox.key)


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
    together = most_within(LATENCY, [r.time for r in sandbox.of("customers")])
    assert 4 <= together <= MOST_AHEAD
    # The total tells where the list ends, so that not one request is wasted.
    assert sorted(r.page for r in sandbox.of("customers")) == list(range(1, 61))


def test_records_and_state_of_a_page_come_before_the_next_page(
    tmp_path: Path, new_sandbox: NewSandbox
) -> None:
    sandbox = new_sandbox(customers=900, latency=LATENCY)
    result = connector_of(tmp_path, sandbox).read("customers")
    kinds = "".join(m["type"][0] for m in result.messages if m["type"] in {"RECORD", "STATE"})
    assert kinds == ("R" * 100 + "S") * 9


def test_guessed_pages_that_do_not_exist_are_few(tmp_path: Path, new_sandbox: NewSandbox) -> None:
    sandbox = new_sandbox(conversations=8000, latency=LATENCY)
    result = connector_of(tmp_path, sandbox).read("conversations")
    assert result.counts["conversations"] == 8000
    pages = [r.page for r in sandbox.of("conversations")]
    assert set(range(1, 81)) <= set(pages)
    assert len(pages) == len(set(pages)), "no page is asked for twice"
    assert len(pages) - 80 <= MOST_WASTED * len(pages)
    assert most_within(LATENCY, [r.time for r in sandbox.of("conversations")]) > 2


@pytest.mark.parametrize("stream", ["users", "teams", "tags", "brands"])
def test_a_list_of_one_page_costs_one_request(
    connector: Connector, sandbox: Sandbox, stream: str
) -> None:
    assert connector.read(stream).code == 0
    assert len(sandbox.requests) == 1


def test_with_cursors_it_reads_one_page_after_another(
    tmp_path: Path, new_sandbox: NewSandbox
) -> None:
    sandbox = new_sandbox(conversations=1500, cursors=("conversations",), latency=LATENCY)
    result = connector_of(tmp_path, sandbox).read("conversations")
    assert result.counts["conversations"] == 1500
    assert len(sandbox.of("conversations")) == 15
    assert most_within(LATENCY, [r.time for r in sandbox.of("conversations")]) == 1


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
def test_the_share_is_never_exceeded_and_almost_used_up(
    tmp_path: Path, new_sandbox: NewSandbox, window: str
) -> None:
    sandbox = new_sandbox(customers=15_000, limit=100, window=window)
    result = connector_of(tmp_path, sandbox).read("customers")
    assert result.counts["customers"] == 15_000
    times = [r.time for r in sandbox.requests]
    assert 429 not in sandbox.statuses
    # 80 % of 100, and the minute's share is used before the minute is over.
    assert 76 <= most_within(60, times) <= 80
    assert any(re.search(r"Waiting \d+ s for the rate limit", log) for log in result.logs)


def test_where_others_use_much_it_yields(tmp_path: Path, new_sandbox: NewSandbox) -> None:
    sandbox = new_sandbox(customers=9000, limit=100, others_per_minute=45)
    result = connector_of(tmp_path, sandbox).read("customers")
    assert result.counts["customers"] == 9000
    assert 429 not in sandbox.statuses
    assert most_within(60, [r.time for r in sandbox.requests]) <= 55


def test_the_share_that_the_user_asks_for_is_kept(tmp_path: Path, new_sandbox: NewSandbox) -> None:
    sandbox = new_sandbox(customers=4000, limit=100)
    connector = connector_of(tmp_path, sandbox)
    config = {"org_name": "acme", "api_key": sandbox.key, "rate_limit_share": 25}
    arguments = ["--config", connector.write("quarter.json", config)]
    arguments += ["--catalog", connector.bare_catalog("customers")]
    assert connector.run("read", *arguments).counts["customers"] == 4000
    assert most_within(60, [r.time for r in sandbox.requests]) <= 25


def test_retries_and_all_streams_share_one_budget(tmp_path: Path, new_sandbox: NewSandbox) -> None:
    sandbox = new_sandbox(customers=1500, conversations=1500, limit=40)
    failed = set[str]()

    @sandbox.before
    def fail_each_page_once(request: Request) -> Reply | None:
        if request.path != "/v1/customers" or request.query in failed:
            return None
        failed.add(request.query)
        sandbox._count()
        return sandbox.error(500, "x", "Oops")

    result = connector_of(tmp_path, sandbox).read("customers", "conversations", "tags")
    assert result.counts == {"customers": 1500, "conversations": 1500, "tags": 40}
    assert len(sandbox.requests) >= 46
    assert most_within(60, [r.time for r in sandbox.requests]) <= 32
    assert 429 not in sandbox.statuses


def test_without_headers_it_paces_itself_for_the_smallest_plan(
    tmp_path: Path, new_sandbox: NewSandbox
) -> None:
    sandbox = new_sandbox(customers=40_000, limit=None)
    connector = connector_of(tmp_path, sandbox)
    arguments = ["--config", connector.config, "--catalog", connector.bare_catalog("customers")]
    with pytest.raises(subprocess.TimeoutExpired):
        connector.run("read", *arguments, timeout=40)
    # 80 % of 300; and it does not crawl either.
    assert 120 <= len(sandbox.requests) <= 240


def test_a_long_read_tells_how_it_goes(connector: Connector) -> None:
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
        r"0 s waited for the rate limit, \d\.\d MB, [\d,]+ records a second\.",
        told[-1],
    )
    assert any(log.startswith("tags: 40 records on 1 page in") for log in result.logs)


def test_a_person_at_a_terminal_sees_a_bar_and_the_messages_stay_whole(
    connector: Connector,
) -> None:
    arguments = ["--config", connector.config, "--catalog", connector.bare_catalog("customers")]
    ours, theirs = pty.openpty()
    shown = bytearray()

    def look() -> None:
        try:
            while chunk := os.read(ours, 65536):
                shown.extend(chunk)
        except OSError:
            # Linux tells so that the other end is closed.
            pass

    looking = threading.Thread(target=look)
    looking.start()
    done = subprocess.run(
        [SCRIPT, "read", *arguments],
        stdout=subprocess.PIPE,
        stderr=theirs,
        env={**connector.environment, "TERM": "xterm"},
        timeout=120,
        check=False,
    )
    os.close(theirs)
    looking.join(10)
    os.close(ours)
    assert done.returncode == 0
    assert "customers" in shown.decode()
    assert all(line.startswith(b'{"type":') for line in done.stdout.splitlines())
