"""What becomes of a list: how it ends, what is refused, what is read again, and what is told."""

from itertools import islice
from typing import Any
from urllib.parse import parse_qsl

import pytest
from moving import URL, MovingList, Reading, Response, Total, document, told, true_total

from source_kustomer.paging.page import Page
from source_kustomer.paging.position import Position, State
from source_kustomer.paging.reader import Reader
from source_kustomer.paging.recent import RecentRecords

LOOK = 100.0
ALWAYS = range(1, 10_000)


def ids(first: int, last: int) -> list[str]:
    return [f"a{n}" for n in range(first, last)]


def ended(response: dict[str, Any]) -> None:
    response["links"]["next"] = None


def unlinked(response: dict[str, Any]) -> None:
    del response["links"]


# Ends


@pytest.mark.parametrize(
    ("length", "total", "pauses"),
    [
        (15, 15, []),
        (0, None, [LOOK]),
        (0, 0, [LOOK]),
        (5, None, [LOOK / 10]),
        (15, "many", [LOOK / 10]),
        # Search engines cap totals.
        (25, 20, [LOOK / 5]),
        (25, 0, [LOOK / 5]),
        (95, None, [LOOK * 0.9]),
        (305, None, [LOOK]),
    ],
)
def test_an_end_that_no_total_confirms_is_looked_at_again_after_a_pause(
    length: int, total: object, pauses: list[float]
) -> None:
    reading = Reading(MovingList(ids(0, length), total=told(total)), look=LOOK)
    assert (reading.ids, reading.cause, reading.warnings) == (ids(0, length), "", [])
    assert reading.waits == pytest.approx(pauses)


@pytest.mark.parametrize(
    ("records", "total", "has_cursors", "is_believed"),
    [
        (20, 21, False, False),
        (15, 20, False, True),
        (15, 21, False, False),
        (10, 20, False, True),
        (10, 21, False, False),
        (20, 1_000, False, False),
        (20, 29, True, True),
        (20, 30, True, False),
    ],
)
def test_an_end_before_its_total_is_believed_where_less_than_a_page_may_be_hidden(
    *, records: int, total: int, has_cursors: bool, is_believed: bool
) -> None:
    served = MovingList(
        ids(0, records),
        has_cursors=has_cursors,
        total=told(total),
        promises_one_more=records == 10,
    )
    reading = Reading(served, look=LOOK)
    assert reading.ids[:10] == ids(0, 10)
    numbers = {"records": records, "total": total}
    if is_believed:
        assert (reading.cause, reading.warnings) == ("", [("short_list", numbers)])
    else:
        assert (reading.cause, reading.details) == ("cut_off", numbers)
        assert reading.waits == pytest.approx([LOOK / 10] * 6)


def test_records_that_were_removed_since_they_were_read_confirm_no_end() -> None:
    state: State = {"next": "page=4&pageSize=10", "size": 10, "records": 48, "total": 45}
    served = MovingList(ids(0, 45), damage=ended, damaged=ALWAYS)
    assert Reading(served, state).cause == "cut_off"


@pytest.mark.parametrize(("records", "total"), [(9_999, None), (10_000, None), (10_000, 10_000)])
def test_exactly_ten_thousand_records_without_a_total_are_suspected(
    records: int, total: int | None
) -> None:
    reading = Reading(MovingList(ids(0, records), total=told(total)), size=5_000)
    is_suspected = records == 10_000 and total is None
    assert reading.warnings == [("suspected_cap", {"records": records})] * is_suspected
    assert len(reading.ids) == records


def test_a_capped_total_and_an_empty_page_that_promises_another_end_no_list() -> None:
    served = MovingList(ids(0, 105), total=told(50), hidden=ids(60, 70))
    reading = Reading(served)
    assert (reading.ids, reading.warnings) == (ids(0, 60) + ids(70, 105), [])


@pytest.mark.parametrize(
    ("records", "pages", "cause"),
    [(10, 499, ""), (10, 500, "wrong_page"), (0, 9, ""), (0, 10, "wrong_page")],
)
def test_a_list_may_bring_nothing_new_for_less_than_5_000_records(
    records: int, pages: int, cause: str
) -> None:
    """News begins the count anew; an empty page counts as 500 records."""
    last = 2 * pages + 3

    def answer(query: str) -> Response:
        number = int(dict(parse_qsl(query))["page"])
        is_news = number in {1, pages + 2, last}
        here = ids(10 * number, 10 * number + 10) if is_news else ids(10, 10 + records)
        return document(here, f"?page={number + 1}" if number < last else None)

    reading = Reading(answer)
    assert reading.cause == cause
    assert len(reading.ids) == (10 if cause else 30)
    # Not each of such pages is worth a second look.
    assert reading.requests <= last + 10


# Pages that are refused


@pytest.mark.parametrize(
    ("total", "hidden", "cause"),
    [
        (20, [], ""),
        (20, ids(3, 5), ""),
        (11, [], ""),
        (10, [], "lost_page"),
        (21, [], "lost_page"),
        (None, [], "lost_page"),
    ],
)
def test_a_page_that_is_refused_is_the_end_where_the_total_agrees(
    total: int | None, hidden: list[str], cause: str
) -> None:
    served = MovingList(
        ids(0, 20), total=told(total), hidden=hidden, past_end=404, promises_one_more=True
    )
    reading = Reading(served)
    assert (len(reading.ids), reading.cause) == (20 - len(hidden), cause)
    short = ("short_list", {"records": 18, "total": 20})
    assert reading.warnings == [short] * bool(hidden)
    # Four attempts, and the page before is read once more.
    assert reading.requests <= 3 + 4 + bool(cause) * 5


@pytest.mark.parametrize("past_end", [200, 404, 410])
@pytest.mark.parametrize("total", [true_total, told(None)], ids=["total", "no total"])
def test_a_list_that_loses_its_last_page_is_read_to_its_new_end(
    past_end: int, total: Total
) -> None:
    served = MovingList(
        ids(0, 21),
        total=total,
        past_end=past_end,
        move=lambda it: it.remove(20, "page=3&" in it.requests[-1]),
    )
    reading = Reading(served)
    assert (reading.ids, reading.cause, reading.warnings) == (ids(0, 20), "", [])


def test_each_page_that_is_refused_for_a_while_is_asked_for_again_after_the_one_before() -> None:
    served = MovingList(
        ids(0, 50), total=told(None), damage=lambda _: 400, damaged={*range(3, 7), *range(9, 13)}
    )
    reading = Reading(served)
    assert (reading.ids, reading.cause, reading.warnings) == (ids(0, 50), "", [])


@pytest.mark.parametrize(
    ("query", "has_cursors", "first", "status", "cause"),
    [
        ("", False, 1, 400, "rejected_request"),
        ("", True, 2, 404, "lost_page"),
        ("", True, 2, 504, "gateway_timeout"),
        ("page=3&pageSize=10", False, 1, 403, "missing_role"),
        # A page that cannot be divided by ten, or of which it is not known.
        ("page=3&pageSize=5", False, 1, 504, "gateway_timeout"),
        ("page=3&x=y", False, 1, 504, "gateway_timeout"),
    ],
)
def test_a_first_page_a_cursor_and_a_page_that_cannot_be_divided_end_the_read(
    *, query: str, has_cursors: bool, first: int, status: int, cause: str
) -> None:
    served = MovingList(
        ids(0, 30), has_cursors=has_cursors, damage=lambda _: status, damaged=ALWAYS[first - 1 :]
    )
    reading = Reading(served, {"next": query, "size": 10} if query else None)
    assert (reading.cause, reading.ids) == (cause, ids(0, 10 * (first - 1)))
    assert (reading.warnings, reading.requests <= first + 6) == ([], True)


# Resumed


@pytest.mark.parametrize("past_end", [200, 404, 400])
@pytest.mark.parametrize("number", [4, 10**9])
def test_a_state_beyond_the_list_starts_over_with_a_warning(past_end: int, number: int) -> None:
    state: State = {"next": f"page={number}&pageSize=10", "size": 10, "records": 90}
    served = MovingList(ids(0, 20), total=told(None), past_end=past_end)
    # An empty page that comes later is an end.
    served.promises_one_more = past_end == 200
    reading = Reading(served, state)
    assert (reading.ids, reading.warnings) == (ids(0, 20), [("expired_position", {})])
    assert (reading.cause, reading.states[-1]["records"]) == ("", 20)


@pytest.mark.parametrize("attempts", [4, 10_000])
def test_a_cursor_that_expired_starts_over_once(attempts: int) -> None:
    served = MovingList(
        ids(0, 25), has_cursors=True, damage=lambda _: 404, damaged=ALWAYS[:attempts]
    )
    reading = Reading(served, {"next": "cursor=a9", "size": 10, "records": 10})
    assert reading.warnings == [("expired_position", {})]
    assert (reading.cause == "", reading.ids) == (attempts == 4, ids(0, 25 * (attempts == 4)))


@pytest.mark.parametrize("left", [60, 55])
def test_any_fall_since_a_read_stopped_is_believed_and_leads_back(left: int) -> None:
    state: State = {"next": "page=6&pageSize=10", "size": 10, "records": 50, "total": 1_000}
    reading = Reading(MovingList(ids(0, left)), state | {"total_at": 50})
    assert ({*reading.ids}, reading.cause) == ({*ids(0, left)}, "")


# Totals that fall


def falling(before: int, by: int, *, has_cursors: bool = False) -> MovingList:
    """Return a list that tells no total on its second page, and has lost records at its third."""
    return MovingList(
        ids(0, before),
        has_cursors=has_cursors,
        total=lambda page, total: None if total == before and page == 2 else total,
        move=lambda it: it.remove(30, by * (len(it.requests) == 3)),
    )


@pytest.mark.parametrize(
    ("before", "seconds", "fall"), [(900, 1, 45), (100, 1, 10), (100, 10, 60), (1_000, 1, 50)]
)
def test_a_fall_by_ten_or_three_a_second_or_a_twentieth_is_not_far(
    before: int, seconds: int, fall: int
) -> None:
    served = falling(before, fall)
    few = Reading(served, latency=seconds)
    assert (few.waits, few.cause, served.always - {*few.ids}) == ([0.0], "", set())
    far = Reading(falling(before, fall + 1), latency=seconds, look=LOOK)
    assert far.waits[0] == pytest.approx(0.6 * LOOK)


@pytest.mark.parametrize("has_cursors", [False, True], ids=["numbers", "cursors"])
def test_a_total_that_falls_by_far_is_looked_at_for_half_a_minute_and_not_believed(
    *, has_cursors: bool
) -> None:
    reading = Reading(falling(900, 400, has_cursors=has_cursors), look=10.0)
    assert (reading.cause, reading.ids) == ("fallen_total", ids(0, 20))
    assert reading.details == {"before": 900, "total": 500}
    assert reading.waits == pytest.approx([6.0] * 6)


def test_a_few_records_that_are_removed_do_not_shift_a_list_of_cursors() -> None:
    reading = Reading(falling(900, 10, has_cursors=True))
    assert (reading.ids, reading.waits) == (ids(0, 30) + ids(40, 900), [])


@pytest.mark.parametrize("size", [10, 100])
def test_a_list_that_moves_faster_than_it_is_read_ends_in_a_sentence(size: int) -> None:
    served = MovingList(ids(0, 30 * size), move=lambda it: it.remove(0, len(it.requests) > 5))
    reading = Reading(served, size=size)
    assert reading.cause == "second_look"
    assert reading.requests <= 51 * 4 + 20


# Links


@pytest.mark.parametrize(
    ("links", "cause"),
    [
        (["?page=1&pageSize=10"], "wrong_page"),
        (["?page=2&pageSize=10", "?page=2&pageSize=10"], "wrong_page"),
        (["?page=3&pageSize=10"], "wrong_page"),
        (["?page=2&pageSize=11"], "wrong_page"),
        (["?page=2&x=y", "?page=3&pageSize=11&x=y"], "wrong_page"),
        (["?cursor=a", "?cursor=a"], "wrong_page"),
        (["?cursor=a", "?cursor=b", "?cursor=c", "?cursor=a"], "wrong_page"),
        (["//evil.example/?page=2"], "foreign_link"),
    ],
)
def test_a_link_that_does_not_lead_to_the_next_page_is_refused(
    links: list[str], cause: str
) -> None:
    asked: dict[str, int] = {}

    def answer(query: str) -> Response:
        n = asked.setdefault(query, len(asked))
        return document(ids(10 * n, 10 * n + 10), links[n])

    reading = Reading(answer)
    assert (reading.cause, reading.ids) == (cause, ids(0, 10 * (len(links) - 1)))


def test_a_link_to_a_smaller_page_is_followed_and_full_pages_come_after_it() -> None:
    def smaller(response: dict[str, Any]) -> None:
        response["links"]["next"] = "?page=2&pageSize=5"

    served = MovingList(ids(0, 300), damage=smaller, damaged=[1])
    assert Reading(served).ids == ids(0, 300)
    assert len(served.requests) <= 30 + 4


@pytest.mark.parametrize("records", [9, 10, 25])
def test_a_list_that_does_not_page_ends_after_its_one_response(records: int) -> None:
    """With as many records as were asked for there may be a second page, which is the same."""
    reading = Reading(lambda _: {"data": document(ids(0, records), None)["data"]})
    assert (reading.ids, reading.cause, reading.warnings) == (ids(0, records), "", [])


def test_a_list_without_links_is_read_until_a_page_is_not_full() -> None:
    served = MovingList(ids(0, 35), damage=unlinked, damaged=ALWAYS)
    reading = Reading(served)
    assert (reading.ids, reading.cause, reading.warnings) == (ids(0, 35), "", [])


# Sizes


@pytest.mark.parametrize(
    "hidden", [[], ids(0, 3), ids(0, 49), ids(0, 16), [f"a{n}7" for n in range(30)]], ids=len
)
def test_records_that_the_key_may_not_see_change_no_page_size(hidden: list[str]) -> None:
    size = 10 if len(hidden) == 16 else 100
    reading = Reading(MovingList(ids(0, 300), hidden=hidden), size=size)
    assert reading.ids == [i for i in ids(0, 300) if i not in hidden]
    # Only the first of these pages is looked at twice.
    assert reading.requests <= 300 // size + bool(hidden) * 3


def test_a_server_may_clamp_the_page_size() -> None:
    served = MovingList(
        ids(0, 450), clamp=100, move=lambda it: it.remove(0, 5 * (len(it.requests) == 5))
    )
    reading = Reading(served, size=500)
    assert (served.always - {*reading.ids}, reading.cause) == (set(), "")
    # The first page and the fall are looked at twice, and three pages are read once more.
    assert reading.requests <= 5 + 2 + 3


def test_a_list_of_clamped_pages_that_ends_before_its_total_is_cut_off() -> None:
    served = MovingList(ids(0, 150), clamp=100, total=told(450))
    assert Reading(served, size=500).cause == "cut_off"


@pytest.mark.parametrize(("records", "cause"), [(19, ""), (20, "wrong_page")])
def test_a_page_that_is_twice_as_large_is_another_page(records: int, cause: str) -> None:
    """A server may repeat a few rows of the page before."""

    def repeating(response: dict[str, Any]) -> None:
        response["data"][:0] = document(ids(20 - records, 10), None)["data"]

    reading = Reading(MovingList(ids(0, 30), damage=repeating, damaged=ALWAYS[1:2]))
    assert reading.ids == ids(0, 30)
    assert bool(reading.waits) == bool(cause)


# Tenths, pages ahead, and known records


@pytest.mark.parametrize("stop", [1, 5, 14])
def test_a_page_in_trouble_is_read_in_tenths_and_full_pages_follow(stop: int) -> None:
    """Tenths of tenths where the trouble is, and in a resumed read too."""
    served = MovingList(ids(0, 500), heavy="a143")
    assert Reading(served, size=100, stop=stop).ids == ids(0, 500)
    assert len({*served.requests}) == 5 + 10 + 10


def test_a_link_without_a_size_leads_from_a_tenth_to_the_next_one() -> None:
    served = MovingList(ids(0, 300), link_has_size=False, heavy="a3", largest=10)
    assert Reading(served, size=100).ids == ids(0, 300)
    assert len({*served.requests}) == 3 + 10


@pytest.mark.parametrize(
    ("meta", "pages"),
    [
        ({"total": 35}, [(2, True), (3, True), (4, True)]),
        ({"total": 35, "totalPages": 2}, [(2, True), (3, True), (4, True)]),
        ({"totalPages": "3"}, [(2, True), (3, True)]),
        ({}, [(2, True), (3, False), (4, False), (5, False)]),
    ],
)
def test_what_a_page_says_of_the_last_one_bounds_what_is_known_ahead(
    meta: dict[str, Any], pages: list[tuple[int, bool]]
) -> None:
    it = Reader(URL, 10, look=LOOK)
    assert [*islice(it.ahead(), 2)] == [("page=1&pageSize=10", True), ("page=2&pageSize=10", False)]
    it.take(document(ids(0, 10), "?page=2", **meta), 0.0)
    assert [*islice(it.ahead(), 4)] == [(f"page={n}&pageSize=10", sure) for n, sure in pages]


@pytest.mark.parametrize("query", ["cursor=b", "page=21&pageSize=1"])
def test_nothing_is_known_behind_a_cursor_and_a_tenth(query: str) -> None:
    it = Reader(URL, 10, look=LOOK, resumed=Position(query, 10))
    assert [*it.ahead()] == [(query, True)]


def test_of_an_id_that_comes_twice_the_first_record_counts() -> None:
    recent = RecentRecords()
    response = document(["a", "b", "a"], None)
    response["data"][2]["type"] = "customer"
    assert recent.new(Page.parse(response, URL, 3)) == [{"id": "a"}, {"id": "b"}]
    assert recent.new(Page.parse(document(["b", "c"], None), URL, 3)) == [{"id": "c"}]


def test_records_are_known_again_within_the_last_20_000() -> None:
    recent = RecentRecords()
    for n in (0, 1, 2):
        recent.new(Page.parse(document(ids(n * 10_000, n * 10_000 + 10_000), None), URL, 10_000))
    again = Page.parse(document(["a9999", "a10000", "a29999"], None), URL, 3)
    assert recent.new(again) == [{"id": "a9999"}]
