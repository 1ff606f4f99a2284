"""Whatever the answer to an open question about the API is, the connector reads whole."""

import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import zip_longest
from pathlib import Path
from typing import Any

import pytest
from hypothesis import Phase, assume, given, settings
from hypothesis import strategies as st

from integration_tests.conftest import NewSandbox
from integration_tests.connector import QUICK, Connector, Result
from sandbox import EVERY_ROLE, LISTS, SWITCHES, Sandbox
from sandbox.switches import spelled

# One to three pages: the last one full, with one record, or in between.
SIZES: Mapping[str, Any] = {
    "customers": 300,
    "conversations": 230,
    "users": 501,
    "teams": 6,
    "tags": 100,
    "brands": 1,
}

# What a full refresh with every role never meets; each of them has a test of its own below.
APART = ("cap", "missing_role", "probe", "probe_roles", "metadata", "unknown_organization")
READ = {name: values for name, values in SWITCHES.items() if name not in APART}

# After a 429 the limiter looks carefully for a window; a short one keeps the tests quick.
TIMING = replace(QUICK, window=2.0)


def connector_of(folder: Path, sandbox: Sandbox, key: str = "") -> Connector:
    return Connector(folder, sandbox.url, key or sandbox.key, timing=TIMING)


def read(folder: Path, sandbox: Sandbox) -> Result:
    """Read all six streams; the fourth request finds the limit exceeded for a second."""
    sandbox.before(lambda _: sandbox.refusal(1) if len(sandbox.requests) == 4 else None)
    return connector_of(folder, sandbox).read(*LISTS)


def assert_whole(result: Result, sandbox: Sandbox, *names: str) -> None:
    """Every record of these lists, or of all, came once, in the list's order."""
    for name in names or LISTS:
        came = [record["id"] for record in result.records(name)]
        assert came == [resource["id"] for resource in sandbox.lists[name]], name
    assert not result.stderr
    if not names:
        assert result.code == 0, result.errors


def values_of(*names: str) -> Iterator[Mapping[str, Any]]:
    """Yield each value away from the default."""
    for name in names:
        yield from ({name: value} for value in SWITCHES[name][1:])


# What the limit does rides along with what pages do, so that half as many processes are needed.
LIMIT = ("rate_headers", "reset", "reset_when", "retry_after", "error_form")
OF_PAGES = values_of(*(name for name in READ if name not in LIMIT))
NOTHING: Mapping[str, Any] = {}
VALUES: list[Mapping[str, Any]] = [
    {**pages, **limit}
    for pages, limit in zip_longest(OF_PAGES, values_of(*LIMIT), fillvalue=NOTHING)
]
# The documented size of users and teams is refused.
VALUES += [{"too_large": "refused", "largest_page": 100}]


def named(switches: Mapping[str, Any]) -> str:
    return " ".join(f"{name}={spelled(value)}" for name, value in switches.items())


@pytest.mark.parametrize("switches", VALUES, ids=named)
def test_with_each_value_of_each_switch_every_record_arrives_once(
    tmp_path: Path, new_sandbox: NewSandbox, switches: Mapping[str, Any]
) -> None:
    sandbox = new_sandbox(**SIZES, **switches)
    assert_whole(read(tmp_path, sandbox), sandbox)


# Each example is a process; to shrink a failure would start dozens.
@settings(max_examples=8, derandomize=True, deadline=None, database=None, phases=(Phase.generate,))
@given(st.fixed_dictionaries({name: st.sampled_from(values) for name, values in READ.items()}))
def test_with_any_combination_of_switches_every_record_arrives_once(
    switches: Mapping[str, Any],
) -> None:
    # These end in an error, whose words are tested below.
    assume(switches["last_link"] != "when_full" or switches["past_end"] == "empty")
    # A web page is nobody's word on what was asked for.
    assume(switches["error_form"] != "html")
    with Sandbox(**SIZES, **switches) as sandbox, tempfile.TemporaryDirectory() as folder:
        assert_whole(read(Path(folder), sandbox), sandbox)


def failures(result: Result) -> dict[str, str]:
    return {e["stream_descriptor"]["name"]: e["message"] for e in result.errors}


@pytest.mark.parametrize(
    ("past_end", "words", "failed"),
    [
        ("onward", "brings no new record", {"customers", "tags"}),
        ("404", "refused a page in the middle of the tags list", {"tags"}),
    ],
)
def test_where_the_last_page_leads_past_the_end_a_total_or_a_sentence_tells(
    tmp_path: Path, new_sandbox: NewSandbox, past_end: str, words: str, failed: set[str]
) -> None:
    sandbox = new_sandbox(**SIZES, last_link="when_full", past_end=past_end)
    result = read(tmp_path, sandbox)
    assert result.code == 1
    assert failures(result).keys() == failed
    assert words in failures(result)["tags"]
    assert_whole(result, sandbox, *LISTS)


@pytest.mark.parametrize("cap", ["cut", "refused"])
def test_where_lists_end_at_a_cap_it_is_told(
    tmp_path: Path, new_sandbox: NewSandbox, cap: str
) -> None:
    sandbox = new_sandbox(**{**SIZES, "customers": 10_050, "tags": 10_050}, limit=None, cap=cap)
    result = connector_of(tmp_path, sandbox).read("customers", "tags")
    assert result.code == 1
    if cap == "cut":
        assert "after 10000 of 10050 records" in failures(result)["customers"]
        assert "tags list ended after exactly 10000 records" in "".join(result.logs)
    else:
        assert "status 400" in failures(result)["customers"]
        assert "status 400" in failures(result)["tags"]


@pytest.mark.parametrize(
    ("status", "error_form", "words"),
    [
        (403, "short", "lacks the role org.permission.tag.read"),
        (401, "long_text", "lacks the role org.permission.tag.read"),
        # A proxy's page is more likely than Kustomer's.
        (403, "html", "a web page or plain text"),
    ],
)
def test_a_missing_role_is_told_in_a_sentence(
    tmp_path: Path, new_sandbox: NewSandbox, status: int, error_form: str, words: str
) -> None:
    sandbox = new_sandbox(missing_role=status, error_form=error_form, probe_roles=False)
    key = sandbox.add_key(roles=[role for role in EVERY_ROLE if "tag" not in role])
    result = connector_of(tmp_path, sandbox, key).read("tags", "brands")
    assert result.code == 1
    assert failures(result).keys() == {"tags"}
    assert words in failures(result)["tags"]
    assert_whole(result, sandbox, "brands")


@pytest.mark.parametrize("probe", SWITCHES["probe"])
def test_check_succeeds_with_and_without_the_probe(
    tmp_path: Path, new_sandbox: NewSandbox, *, probe: bool
) -> None:
    result = connector_of(tmp_path, new_sandbox(probe=probe, probe_roles=False)).check()
    assert result.of_type("CONNECTION_STATUS") == [{"status": "SUCCEEDED"}]


@pytest.mark.parametrize("metadata", SWITCHES["metadata"])
def test_discover_finds_custom_attributes_with_and_without_metadata(
    tmp_path: Path, new_sandbox: NewSandbox, metadata: str
) -> None:
    result = connector_of(tmp_path, new_sandbox(**SIZES, metadata=metadata)).discover()
    assert result.code == 0
    (catalog,) = result.of_type("CATALOG")
    columns = {s["name"]: s["json_schema"]["properties"].keys() for s in catalog["streams"]}
    assert "custom_lifetimeValueNum" in columns["customers"]
    assert "custom_shiftStr" in columns["users"]


@pytest.mark.parametrize(
    ("status", "words"), [(404, "knows no organization"), (401, "does not accept the API key")]
)
def test_an_unknown_organization_is_told_in_a_sentence(
    tmp_path: Path, new_sandbox: NewSandbox, status: int, words: str
) -> None:
    sandbox = new_sandbox(unknown_organization=status)
    result = Connector(tmp_path, f"{sandbox.url}/nobody", sandbox.key, timing=TIMING).check()
    (told,) = result.of_type("CONNECTION_STATUS")
    assert told["status"] == "FAILED"
    assert words in told["message"]
