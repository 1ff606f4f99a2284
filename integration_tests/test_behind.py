"""A server that is behind for a moment: what it lacks meanwhile arrives, or a sentence tells.

From some request on, the whole API answers as if fewer records were there, as a search index that
is rebuilt or a replica that was just put in does.
"""

import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from integration_tests.conftest import NewSandbox
from integration_tests.connector import QUICK, Connector, Result
from sandbox import Reply, Request, Sandbox

RECORDS = 2050

# A second of the real world is a fifth of one here.
SECOND = 0.2
TIMING = replace(QUICK, look=10 * SECOND)


class Behind:
    """A list of which some records are missing for some seconds, from a page on."""

    def __init__(
        self, sandbox: Sandbox, name: str, page: int, records: int, seconds: float
    ) -> None:
        self._sandbox, self._path = sandbox, f"/v1/{name}"
        self._page, self._records, self._seconds = page, records, seconds * SECOND
        self._name = name
        self._began = 0.0
        sandbox.before(self)

    def __call__(self, request: Request) -> Reply | None:
        if request.path != self._path:
            return None
        if request.page >= self._page and not self._began:
            self._began = time.monotonic()
        if not self._began or time.monotonic() > self._began + self._seconds:
            return None
        start, end = 100 * (request.page - 1), 100 * request.page
        data = self._sandbox.lists[self._name][start : min(end, self._records)]
        following = f"/v1/{self._name}?page={request.page + 1}&pageSize=100"
        meta: dict[str, Any] = {"page": request.page, "pageSize": 100}
        if self._name == "customers":
            meta["total"] = self._records
        links = {"next": following if end < self._records else None}
        return Reply(body={"data": data, "meta": meta, "links": links})


def read(sandbox: Sandbox, folder: Path, name: str, state: dict[str, Any] | None = None) -> Result:
    return Connector(folder, sandbox.url, sandbox.key, timing=TIMING).read(name, state=state)


@pytest.mark.parametrize(
    ("name", "page", "records", "seconds"),
    [
        ("conversations", 6, 537, 1),
        ("conversations", 5, 700, 3),
        ("conversations", 1, 0, 1),
        ("customers", 1, 0, 1),
        ("customers", 5, 700, 3),
    ],
)
def test_a_list_that_is_short_for_seconds_arrives_whole(
    new_sandbox: NewSandbox, tmp_path: Path, name: str, page: int, records: int, seconds: float
) -> None:
    sandbox = new_sandbox(**{"customers": 10, "conversations": 10, name: RECORDS}, limit=None)
    Behind(sandbox, name, page, records, seconds)
    result = read(sandbox, tmp_path, name)
    assert result.code == 0, result.errors
    ids = [record["id"] for record in result.records(name)]
    assert ids == [resource["id"] for resource in sandbox.lists[name]]


def test_a_total_that_falls_by_far_for_good_ends_in_a_sentence_and_is_read_next_time(
    new_sandbox: NewSandbox, tmp_path: Path
) -> None:
    sandbox = new_sandbox(customers=RECORDS, limit=None)
    Behind(sandbox, "customers", 5, 700, 1e9)
    first = read(sandbox, tmp_path, "customers")
    assert first.code == 1
    assert "fell from 2050 to 700" in first.errors[0]["message"]
    state = {"customers": first.states("customers")[-1]}
    second = read(sandbox, tmp_path, "customers", state=state)
    assert second.code == 0, second.errors
    ids = {record["id"] for record in second.records("customers")}
    assert ids == {resource["id"] for resource in sandbox.lists["customers"][:700]}


def test_where_a_capped_total_is_passed_the_links_lead_on(
    new_sandbox: NewSandbox, tmp_path: Path
) -> None:
    sandbox = new_sandbox(customers=10_050, limit=None)
    is_empty = iter([True])

    @sandbox.before
    def cap(request: Request) -> Reply | None:
        if request.path != "/v1/customers":
            return None
        document = json.loads(sandbox.respond(request).content)
        document["meta"]["total"] = 5_000
        if request.page == 51 and next(is_empty, False):
            document["data"] = []
        return Reply(body=document)

    result = read(sandbox, tmp_path, "customers")
    assert result.code == 0, result.errors
    assert result.counts["customers"] == 10_050
