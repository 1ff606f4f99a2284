"""How the connector asks: what the sandbox counted, not what a clock of this machine says."""

import time
from dataclasses import replace
from pathlib import Path

from integration_tests.conftest import NewSandbox
from integration_tests.connector import QUICK, Connector
from sandbox import Reply, Request

# The window over which requests are counted, in seconds: short, so that a test sees several.
WINDOW = 3.0


def test_pages_are_asked_for_together_each_once_and_handed_over_in_order(
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

    result = Connector(tmp_path, sandbox.url, sandbox.key).read("customers")
    assert [r["id"] for r in result.records("customers")] == [
        resource["id"] for resource in sandbox.lists["customers"]
    ]
    # The total tells where the list ends, so that not one request is wasted.
    assert sorted(r.page for r in sandbox.of("customers")) == list(range(1, 31))
    assert max(most) > 1


def test_all_streams_and_retries_share_what_others_leave_of_the_limit_and_none_is_refused(
    tmp_path: Path, new_sandbox: NewSandbox
) -> None:
    sandbox = new_sandbox(
        customers=8000,
        conversations=4000,
        limit=100,
        window="fixed",
        window_seconds=WINDOW,
        others_per_minute=45,
    )
    failed = set[int]()

    @sandbox.before
    def fail_each_fourth_page_once(request: Request) -> Reply | None:
        if request.path != "/v1/customers" or request.page % 4 or request.page in failed:
            return None
        failed.add(request.page)
        sandbox.count()
        return Reply(500)

    connector = Connector(tmp_path, sandbox.url, sandbox.key, timing=replace(QUICK, window=WINDOW))
    result = connector.read("customers", "conversations", "tags")
    assert result.counts == {"customers": 8000, "conversations": 4000, "tags": 40}
    assert len(sandbox.requests) >= 80 + 20 + 40 + 1
    assert 429 not in sandbox.statuses
    times = [request.time for request in sandbox.requests]
    assert max(sum(start <= time < start + WINDOW for time in times) for start in times) <= 60
