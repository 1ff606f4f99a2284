"""States that come back, states from elsewhere, and what a position knows of the pages ahead."""

from contextlib import suppress
from itertools import islice
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from moving import Driver, MovingList

from source_kustomer.paging.gap import Gap
from source_kustomer.paging.position import InvalidStateError, Position

STATE = {"last": "page=1&pageSize=100", "next": "page=2&pageSize=100", "size": 100}
GAP = {"gap_start": 150, "gap_end": 399, "gap_total": 900}
FIFTH = {"last": "page=5&pageSize=100", "next": "page=6&pageSize=100", "size": 100}


@pytest.mark.parametrize(
    "state",
    [
        {},
        {"next": "page=2&pageSize=100", "size": 100},
        {"last": "page=1&pageSize=100", "next": "page=2&pageSize=100"},
        STATE | {"next": "page=0&pageSize=100"},
        STATE | {"last": "page=0&pageSize=100"},
        STATE | {"next": 2},
        STATE | {"last": None},
        STATE | {"next": ""},
        STATE | {"next": "page=2#fragment"},
        STATE | {"next": "page=2\r\nHost: evil.example"},
        STATE | {"next": "cursor=" + "x" * 9000},
        STATE | {"size": 0},
        STATE | {"size": "100"},
        STATE | {"size": True},
        STATE | {"size": 100.0},
        STATE | {"total": -1},
        STATE | {"total": 10**12},
        STATE | {"total_at": "5"},
        STATE | {"records": None},
        STATE | {"url": "https://evil.example"},
        STATE | {"gap_start": 1, "gap_end": 5},
        STATE | {"gap_end": 0},
        STATE | {"gap_start": 5, "gap_end": 5, "gap_total": 9},
        STATE | {"gap_start": 5, "gap_end": 1, "gap_total": 9},
        STATE | {"last": "cursor=a"} | GAP,
        {"last": "page=1&pageSize=100", "size": 100},
        {"page": 3},
    ],
)
def test_a_state_from_elsewhere_is_refused(state: dict[str, Any]) -> None:
    with pytest.raises(InvalidStateError):
        Position.parse(state)


@pytest.mark.parametrize(
    "state",
    [
        STATE,
        STATE | {"size": 1},
        STATE | {"records": 0, "total": 0},
        STATE | {"records": 100, "total": 300, "total_at": 100},
        STATE | GAP | {"records": 100, "total": 300, "total_at": 100},
        STATE | {"next": "page=1&pageSize=100"},
        STATE | {"last": "cursor=a", "next": "cursor=b"},
        STATE | {"gap_start": 0, "gap_end": 1, "gap_total": 0},
        {"last": "page=9&pageSize=100", "size": 100} | GAP,
    ],
)
def test_a_state_of_this_or_an_earlier_version_is_taken(state: dict[str, Any]) -> None:
    assert Position.parse(state).state == {"records": 0} | state


@settings(deadline=None, derandomize=True, database=None)
@given(
    st.dictionaries(
        st.sampled_from([*STATE, *GAP, "records", "total", "total_at", "x"]),
        st.integers(-1, 5) | st.sampled_from([*STATE.values(), "cursor=a", "", None, True]),
    )
)
def test_any_state_is_taken_whole_or_refused(state: dict[str, Any]) -> None:
    with suppress(InvalidStateError):
        position = Position.parse(state)
        assert position.state == {"records": 0} | state
        assert position.query


def test_each_state_of_a_read_is_flat_and_gives_the_same_position() -> None:
    served = MovingList(
        [f"a{n}" for n in range(100)],
        move=lambda it: it.remove(0, 25) if len(it.requests) == 5 else None,
    )
    states = Driver(served).read().states
    assert any("gap_start" in state for state in states)
    for state in states[:-1]:
        assert all(type(value) in {str, int} for value in state.values())
        assert Position.parse(state).state == state


def test_a_gap_is_read_from_its_end_before_what_follows() -> None:
    position = Position.parse(FIFTH | GAP)
    assert position.query == "page=4&pageSize=100"
    assert list(position.ahead(7)) == [
        (f"page={page}&pageSize=100", True) for page in (4, 3, 2, 6, 7)
    ]


@pytest.mark.parametrize(
    ("state", "last_page", "following"),
    [
        (STATE, 4, [(2, True), (3, True), (4, True)]),
        (STATE, 1, [(2, True)]),
        (STATE, None, [(2, True), (3, False), (4, False), (5, False)]),
        (STATE | {"next": "page=3&pageSize=100"}, 9, [(3, True)]),
        (STATE | {"last": "page=1&pageSize=50"}, 9, [(2, True)]),
        (STATE | {"next": "page=1&pageSize=100"}, 9, [(1, True)]),
        ({"last": "page=5&pageSize=100", "size": 100} | GAP, 9, [(4, True), (3, True), (2, True)]),
    ],
)
def test_pages_are_known_ahead_while_links_count_up_by_one(
    state: dict[str, Any], last_page: int | None, following: list[tuple[int, bool]]
) -> None:
    ahead = [*islice(Position.parse(state).ahead(last_page), 4)]
    assert ahead == [(f"page={page}&pageSize=100", is_sure) for page, is_sure in following]


def test_nothing_is_known_behind_a_cursor() -> None:
    position = Position.parse({"last": "cursor=a", "next": "cursor=b", "size": 100})
    assert list(position.ahead(9)) == [("cursor=b", True)]


def test_nothing_is_known_ahead_of_the_first_page() -> None:
    assert list(Position.first(100).ahead(9)) == [("page=1&pageSize=100", True)]


@pytest.mark.parametrize(
    ("state", "end"),
    [(FIFTH, 500), ({"last": "cursor=a", "next": "cursor=b", "size": 100, "records": 70}, 70)],
)
def test_a_list_is_read_up_to_the_end_of_its_last_page(state: dict[str, Any], end: int) -> None:
    assert Position.parse(state).end == end


@pytest.mark.parametrize(
    ("state", "smaller"),
    [
        (
            FIFTH | {"records": 480, "total": 900, "total_at": 500},
            {
                "last": "page=50&pageSize=10",
                "next": "page=51&pageSize=10",
                "size": 10,
                "records": 480,
                "total": 900,
                "total_at": 500,
            },
        ),
        (
            FIFTH | GAP | {"next": "page=6&pageSize=100&x=y"},
            {"last": "page=50&pageSize=10", "next": "page=51&pageSize=10&x=y", "size": 10} | GAP,
        ),
        (
            {"last": "page=5&pageSize=500", "size": 500, "records": 2001} | GAP,
            {"last": "page=50&pageSize=50", "size": 50, "records": 2001} | GAP,
        ),
        # A server chose a smaller size than that of the first page.
        (
            STATE | {"last": "page=1&pageSize=500"},
            {"last": "page=10&pageSize=10", "next": "page=11&pageSize=10", "size": 10},
        ),
        # The last page is to be confirmed.
        (
            FIFTH | {"next": "page=5&pageSize=100", "records": 450},
            {
                "last": "page=40&pageSize=10",
                "next": "page=41&pageSize=10",
                "size": 10,
                "records": 400,
            },
        ),
        (
            STATE | {"next": "page=1&pageSize=100", "records": 45},
            {"next": "page=1&pageSize=10", "size": 10},
        ),
    ],
)
def test_a_smaller_page_begins_at_the_same_record(
    state: dict[str, Any], smaller: dict[str, Any]
) -> None:
    position = Position.parse(state).smaller()
    assert position
    assert position.state == {"records": 0} | smaller


def test_the_first_page_can_be_smaller_twice() -> None:
    once = Position.first(100).smaller()
    assert once == Position.first(10)
    assert once.smaller() == Position.first(1)


@pytest.mark.parametrize(
    "state",
    [
        STATE | {"size": 1},
        STATE | {"size": 5, "next": "page=2&pageSize=5"},
        STATE | {"next": "page=2&pageSize=50"},
        STATE | {"next": "page=2&x=y"},
        STATE | {"last": "page=1&x=y"},
        STATE | {"last": "cursor=a", "next": "cursor=b"},
        STATE | {"next": "cursor=b"},
        STATE | {"last": "cursor=b"},
    ],
)
def test_a_page_cannot_be_smaller_where_its_size_is_not_asked_for(state: dict[str, Any]) -> None:
    assert Position.parse(state).smaller() is None


@pytest.mark.parametrize(
    ("gap", "page", "total", "left"),
    [
        # What is left lies below the page, or nowhere.
        (Gap(150, 400, 900), 4, 900, Gap(150, 300, 900)),
        (Gap(350, 400, 900), 4, 900, None),
        (Gap(300, 400, 900), 4, 900, None),
        (Gap(299, 400, 900), 4, 900, Gap(299, 300, 900)),
        # More went: what was below it slid further.
        (Gap(350, 400, 900), 4, 890, None),
        (Gap(305, 400, 900), 4, 890, Gap(295, 300, 890)),
        (Gap(5, 400, 900), 4, 890, Gap(0, 300, 890)),
        # Some came: what was in it may stand above it, but not behind what is still to come.
        (Gap(350, 400, 900), 4, 910, Gap(400, 410, 910)),
        (Gap(150, 400, 900), 4, 910, Gap(150, 410, 910)),
        (Gap(300, 400, 900), 4, 910, Gap(400, 410, 910)),
        (Gap(350, 400, 900), 4, 1500, Gap(400, 500, 1500)),
        # The list ends before.
        (Gap(350, 400, 900), 4, 320, Gap(0, 300, 320)),
        (Gap(150, 400, 900), 4, 60, Gap(0, 60, 60)),
    ],
)
def test_a_page_that_is_read_again_leaves_what_may_have_slid_past_it(
    gap: Gap, page: int, total: int, left: Gap | None
) -> None:
    assert gap.without(page, 100, total, 500) == left
