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

from integration_tests.connector import QUICK, Connector
from sandbox import LISTS, SWITCHES, Sandbox
from sandbox.switches import spelled

Values = Mapping[str, Any]

# One to three pages: the last one full, with one record, or in between.
SIZES: Values = {
    "customers": 300,
    "conversations": 230,
    "users": 501,
    "teams": 6,
    "tags": 100,
    "brands": 1,
}

# What a full refresh with every role never meets; their answers are tested without a process.
APART = ("cap", "missing_role", "probe", "probe_roles", "metadata", "unknown_organization")

# Values of different groups do not hide each other, and share a process.
GROUPS = (
    ("past_end", "last_link", "cursors"),
    ("meta", "order", "numbers_as_text", "totals", "links"),
    ("too_large", "largest_page", "default_page", "parameters"),
    ("reset", "reset_when", "error_form"),
    ("rate_headers", "retry_after"),
)

# After a 429 the limiter looks carefully for a window; a short one keeps the tests quick.
TIMING = replace(QUICK, window=2.0)


def values_of(*names: str) -> Iterator[Values]:
    """Yield each value away from the default."""
    for name in names:
        yield from ({name: value} for value in SWITCHES[name][1:])


NOTHING: Values = {}
READ = [
    {name: value for values in row for name, value in values.items()}
    for row in zip_longest(*(values_of(*group) for group in GROUPS), fillvalue=NOTHING)
]
# The documented size of users and teams is refused, and they are read in tenths.
READ.append({"too_large": "refused", "largest_page": 100})


def assert_all_six_lists_are_read(switches: Values) -> None:
    """Read all lists; the fourth request finds the limit exceeded for a second."""
    with Sandbox(**SIZES, **switches) as sandbox, tempfile.TemporaryDirectory() as folder:
        sandbox.before(lambda _: sandbox.refusal(1) if len(sandbox.requests) == 4 else None)
        connector = Connector(Path(folder), sandbox.url, sandbox.key, timing=TIMING)
        result = connector.read(*LISTS)
    assert result.code == 0, result.errors
    assert not result.stderr
    for name in LISTS:
        came = [record["id"] for record in result.records(name)]
        assert came == [resource["id"] for resource in sandbox.lists[name]], name


def named(switches: Values) -> str:
    return " ".join(f"{name}={spelled(value)}" for name, value in switches.items())


def test_each_switch_is_of_one_group_or_apart() -> None:
    assert sorted([*APART, *(name for group in GROUPS for name in group)]) == sorted(SWITCHES)


@pytest.mark.parametrize("switches", READ, ids=named)
def test_with_each_value_of_each_switch_every_record_arrives_once(switches: Values) -> None:
    assert_all_six_lists_are_read(switches)


# Each example is a process; to shrink a failure would start dozens.
@settings(max_examples=5, derandomize=True, deadline=None, database=None, phases=(Phase.generate,))
@given(
    st.fixed_dictionaries(
        {name: st.sampled_from(SWITCHES[name]) for group in GROUPS for name in group}
    )
)
def test_with_any_combination_of_switches_every_record_arrives_once(switches: Values) -> None:
    # Past an end that no total tells, only an empty page is no failure.
    assume(switches["last_link"] != "when_full" or switches["past_end"] == "empty")
    # A web page is nobody's word on what was asked for.
    assume(switches["error_form"] != "html")
    assert_all_six_lists_are_read(switches)
