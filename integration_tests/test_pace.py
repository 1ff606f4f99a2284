"""How fast the connector asks: what the sandbox counted, not what a clock of this machine says."""

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from integration_tests.conftest import NewSandbox
from integration_tests.connector import QUICK, Connector
from sandbox import Reply, Request, Sandbox

# The window over which requests are counted, in seconds: short, so that a test sees several.
WINDOW = 3.0

LIMIT = 100
SHARE = 80


def connector_of(folder: Path, sandbox: Sandbox) -> Connector:
    return Connector(folder, sandbox.url, sandbox.key, timing=replace(QUICK, window=WINDOW))


def most_within_a_window(requests: Sequence[Request]) -> int:
    times = [request.time for request in requests]
    return max(sum(start <= time < start + WINDOW for time in times) for start in times)


def test_pages_are_asked_for_together_and_handed_over_in_order(
    tmp_path: Path, new_sandbox: NewSandbox
) -> None:
    sandbox = new_sandbox(customers=3000)
    in_flight, most = set[int](), [0]

    @sandbox.before
    def count(request: Request) -> Reply:
        with sandbox.lock:
            in_flight.add(request.page)
            most.append(len(in_flight))
        # Long enough for several requests to be in flight together.
        time.sleep(0.05)
        with sandbox.lock:
            in_flight.discard(request.page)
        return sandbox.respond(request)

    result = Connector(tmp_path, sandbox.url, sandbox.key, timing=QUICK).read("customers")
    assert [r["id"] for r in result.records("customers")] == [
        resource["id"] for resource in sandbox.lists["customers"]
    ]
    # The total tells where the list ends, so that not one request is wasted.
    assert sorted(r.page for r in sandbox.of("customers")) == list(range(1, 31))
    assert max(most) > 1


@pytest.mark.parametrize(("window", "others", "most"), [("sliding", 0, SHARE), ("fixed", 45, 60)])
def test_the_share_is_never_exceeded_and_nobody_is_refused(
    tmp_path: Path, new_sandbox: NewSandbox, window: str, others: int, most: int
) -> None:
    sandbox = new_sandbox(
        customers=100 * 3 * most,
        limit=LIMIT,
        window=window,
        window_seconds=WINDOW,
        others_per_minute=others,
    )
    result = connector_of(tmp_path, sandbox).read("customers")
    assert result.counts["customers"] == 100 * 3 * most
    assert 429 not in sandbox.statuses
    assert most_within_a_window(sandbox.requests) <= most


def test_a_read_that_follows_another_has_its_pace_after_a_window(
    tmp_path: Path, new_sandbox: NewSandbox
) -> None:
    sandbox = new_sandbox(customers=18_000, limit=LIMIT, window_seconds=WINDOW)

    @sandbox.before
    def count_those_of_the_one_before(_: Request) -> None:
        if len(sandbox.requests) == 1:
            for _number in range(50):
                sandbox.count()

    assert connector_of(tmp_path, sandbox).read("customers").code == 0
    times = [request.time - sandbox.requests[0].time for request in sandbox.requests]
    assert sum(time < WINDOW for time in times) < 0.75 * SHARE
    assert sum(WINDOW <= time < 2 * WINDOW for time in times) >= 0.75 * SHARE
    assert 429 not in sandbox.statuses


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

    result = connector_of(tmp_path, sandbox).read("customers", "conversations", "tags")
    assert result.counts == {"customers": 1500, "conversations": 1500, "tags": 40}
    assert len(sandbox.requests) >= 46
    assert most_within_a_window(sandbox.requests) <= 32
    assert 429 not in sandbox.statuses
