"""States that come back, and states from elsewhere."""

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from source_kustomer.paging.position import Position

STATE = {"next": "page=2&pageSize=100", "size": 100}
ALL = STATE | {"records": 100, "total": 300, "total_at": 90}
# Version 0.1.0 also named the last page, and a gap that it was about to read.
LAST = {"last": "page=1&pageSize=100"}


@pytest.mark.parametrize(
    "state",
    [
        *({}, {"page": 3}, {"size": 100}, {"next": "page=2&pageSize=100"}),
        *(STATE | {"next": n} for n in (2, None, "", "page=0&pageSize=100", "page=2#fragment")),
        STATE | {"next": "page=2\r\nHost: evil.example"},
        STATE | {"next": "cursor=" + "x" * 9000},
        *(STATE | {"size": size} for size in (0, -1, "100", True, 100.0, None)),
        *(STATE | {name: -1} for name in ("records", "total", "total_at")),
        STATE | {"total": 10**12},
        STATE | {"url": "https://evil.example"},
        ALL | LAST | {"gap_start": 150, "gap_end": 399, "gap_total": 900},
    ],
)
def test_a_state_from_elsewhere_is_refused(state: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="not a state of this connector"):
        Position.parse(state)


@pytest.mark.parametrize("last", [{}, LAST], ids=["this version", "0.1.0"])
@pytest.mark.parametrize(
    "known", [{}, ALL, {"size": 1, "total": 0}, {"next": "page=1"}, ALL | {"next": "a=b"}]
)
def test_a_state_of_this_version_or_the_one_before_is_resumed(
    known: dict[str, Any], last: dict[str, Any]
) -> None:
    state = STATE | known
    assert Position.parse(state | last).state == {"records": 0, "total_at": 0} | state


@settings(deadline=None, derandomize=True, database=None)
@given(
    st.dictionaries(
        st.sampled_from([*ALL, *LAST, "x"]),
        st.integers(-1, 5) | st.sampled_from([*STATE.values(), "cursor=a", "", None, True]),
    )
)
def test_any_state_is_taken_whole_or_refused(state: dict[str, Any]) -> None:
    with suppress(ValueError):
        taken = Position.parse(state).state
        state.pop("last", None)
        assert taken == {"records": 0, "total_at": 0} | state
