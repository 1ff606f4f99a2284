"""Whatever the answer to an open question about the API is, the connector reads whole."""

import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given, settings
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


VALUES: list[Mapping[str, Any]] = [
    *({name: value} for name, values in READ.items() for value in values[1:]),
    # Only here a reader that follows links comes past the end.
    *({"last_link": "when_full", "past_end": status} for status in ("404", "400")),
]


def named(switches: Mapping[str, Any]) -> str:
    return " ".join(f"{name}={spelled(value)}" for name, value in switches.items())


@pytest.mark.parametrize("switches", VALUES, ids=named)
def test_with_each_value_of_each_switch_every_record_arrives_once(
    tmp_path: Path, new_sandbox: NewSandbox, switches: Mapping[str, Any]
) -> None:
    sandbox = new_sandbox(**SIZES, **switches)
    assert_whole(read(tmp_path, sandbox), sandbox)


@settings(max_examples=8, derandomize=True, deadline=None, database=None)
@given(st.fixed_dictionaries({name: st.sampled_from(values) for name, values in READ.items()}))
def test_with_any_combination_of_switches_every_record_arrives_once(
    switches: Mapping[str, Any],
) -> None:
    # These two end in an error; the tests below have its words.
    assume((switches["too_large"], switches["largest_page"]) != ("refused", 100))
    assume((switches["last_link"], switches["past_end"]) != ("when_full", "onward"))
    with Sandbox(**SIZES, **switches) as sandbox, tempfile.TemporaryDirectory() as folder:
        assert_whole(read(Path(folder), sandbox), sandbox)


def failures(result: Result) -> dict[str, str]:
    return {e["stream_descriptor"]["name"]: e["message"] for e in result.errors}


def test_where_the_documented_page_size_is_refused_the_stream_fails_in_a_sentence(
    tmp_path: Path, new_sandbox: NewSandbox
) -> None:
    sandbox = new_sandbox(**SIZES, too_large="refused", largest_page=100)
    result = read(tmp_path, sandbox)
    assert result.code == 1
    assert failures(result).keys() == {"users", "teams"}
    assert "rejected a request for users with status 400" in failures(result)["users"]
    assert_whole(result, sandbox, "customers", "conversations", "tags", "brands")


def test_where_empty_pages_name_another_for_ever_the_stream_fails_in_a_sentence(
    tmp_path: Path, new_sandbox: NewSandbox
) -> None:
    sandbox = new_sandbox(**SIZES, last_link="when_full", past_end="onward")
    result = read(tmp_path, sandbox)
    assert result.code == 1
    assert "tags" in failures(result)
    assert "pages of tags in a row were empty" in failures(result)["tags"]
    assert_whole(result, sandbox)


@pytest.mark.parametrize("cap", ["cut", "refused"])
def test_where_lists_end_at_a_cap_it_is_told(
    tmp_path: Path, new_sandbox: NewSandbox, cap: str
) -> None:
    sandbox = new_sandbox(**{**SIZES, "customers": 10_050, "tags": 10_050}, limit=None, cap=cap)
    result = connector_of(tmp_path, sandbox).read("customers", "tags")
    assert result.counts == {"customers": 10_000, "tags": 10_000}
    told = "".join(failures(result).values()) + "".join(result.logs)
    if cap == "cut":
        assert failures(result).keys() == {"customers"}
        assert "after 10000 of 10050 records" in told
        assert "tags ended on exactly 10000 records" in told
    else:
        assert failures(result).keys() == {"customers", "tags"}
        assert "rejected a request for tags with status 400" in told


@pytest.mark.parametrize("error_form", SWITCHES["error_form"])
@pytest.mark.parametrize("missing_role", SWITCHES["missing_role"])
def test_a_missing_role_is_named_in_whatever_form_the_api_says_so(
    tmp_path: Path, new_sandbox: NewSandbox, missing_role: int, error_form: str
) -> None:
    sandbox = new_sandbox(missing_role=missing_role, error_form=error_form, probe_roles=False)
    key = sandbox.add_key(roles=[role for role in EVERY_ROLE if "tag" not in role])
    result = connector_of(tmp_path, sandbox, key).read("tags", "brands")
    assert result.code == 1
    assert failures(result).keys() == {"tags"}
    assert "lacks the role org.permission.tag.read" in failures(result)["tags"]
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
