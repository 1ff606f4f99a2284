"""What becomes of a list: how it ends, what is refused, what is read again, and what is told."""

from collections.abc import Container
from itertools import islice
from math import inf
from typing import Any
from urllib.parse import parse_qsl

import pytest
from moving import (
    DAMAGES,
    URL,
    Damage,
    Move,
    MovingList,
    Reading,
    Response,
    document,
    told,
    true_total,
)

from source_kustomer.paging.page import Page
from source_kustomer.paging.position import Position, State
from source_kustomer.paging.reader import Reader
from source_kustomer.paging.recent import RecentRecords

LOOK = 100.0
ALWAYS, LATER = range(1, 10_000), range(2, 10_000)


def ids(first: int, last: int) -> list[str]:
    return [f"a{n}" for n in range(first, last)]


def at(query: str, **known: int) -> State:
    return {"next": query, "size": 10, **known}


def smaller(response: dict[str, Any]) -> None:
    response["links"]["next"] = "?page=2&pageSize=5"


def repeating(records: int) -> Damage:
    """Let the last rows of the first page come before the second."""

    def damage(response: dict[str, Any]) -> None:
        response["data"][:0] = document(ids(10 - records, 10), None)["data"]

    return damage


def again(response: dict[str, Any]) -> None:
    """Let the first page come instead of another."""
    response["data"] = document(ids(0, 10), None)["data"]


def cut_to(*counts: int) -> Damage:
    """Let so many records of a page come, each time other ones."""
    remaining = iter(counts)

    def damage(response: dict[str, Any]) -> None:
        del response["data"][next(remaining) :]

    return damage


def damaged(damage: str | Damage, requests: Container[int] = ALWAYS) -> dict[str, Any]:
    return {"damage": DAMAGES[damage] if isinstance(damage, str) else damage, "damaged": requests}


def refused(status: int, requests: Container[int] = ALWAYS) -> dict[str, Any]:
    return damaged(lambda _: status, requests)


def shrinks(index: int, count: int, request: int) -> Move:
    """Remove records once."""
    return lambda it: it.remove(index, count * (len(it.requests) == request))


def hurries(it: MovingList) -> None:
    it.remove(0, len(it.requests) > 5)


def loses_its_last_page(it: MovingList) -> None:
    it.remove(20, "page=3&" in it.requests[-1])


def case(
    given: str, length: int, cause: str = "", *, warns: str = "", most: float = inf,
    total: object = true_total, size: int = 10, state: State | None = None, stop: float = inf,
    **options: Any,
) -> Any:  # fmt: skip
    """Return a list of a length, how it is read, the cause of failure, and the most requests."""
    tells = total if callable(total) else told(total)
    served = MovingList(ids(0, length), total=tells, **options)
    how = {"size": size, "state": state, "stop": stop}
    return pytest.param(served, how, cause, warns, most, id=given)


# Past its end, a list refuses the page that it promised.
REFUSING: dict[str, Any] = {"past_end": 404, "promises_one_more": True}
EXPIRED: dict[str, Any] = {"warns": "expired_position", "total": None}
TENTHS: dict[str, Any] = {"heavy": "a3", "largest": 10, "link_has_size": False}
HALF: dict[str, Any] = {"clamp": 50, "link": {"pageSize": "100"}}
CAPPED: dict[str, Any] = {"size": 5_000, "warns": "suspected_cap"}
# The attempts at two pages, between which the page before each is read once more.
TWICE = {*range(3, 7), *range(9, 13)}
REMOVED = at("page=4&pageSize=10", records=48, total=45)
BEYOND, FAR_BEYOND = (at(f"page={n}&pageSize=10", records=90) for n in (4, 10**9))
STALE = at("page=6&pageSize=10", records=50, total=1_000, total_at=50)
SMALL, SIZELESS, CURSOR = at("page=3&pageSize=5"), at("page=3&x=y"), at("cursor=a9")


@pytest.mark.parametrize(
    ("served", "how", "cause", "warns", "most"),
    [
        # Ends.
        case("its total is that of the end", 15, most=2),
        case("its total is one more", 20, "cut_off", total=21),
        case("its total is far more", 20, "cut_off", total=1_000),
        case("its last page may have hidden records", 15, total=20),
        case("its last page has no room for what is missing", 15, "cut_off", total=21),
        case("its last page may be hidden as a whole", 10, total=20, promises_one_more=True),
        case("more than a hidden page is missing", 10, "cut_off", total=21, promises_one_more=True),
        case("its cursors end less than a page early", 20, total=29, has_cursors=True),
        case("its cursors end a page early", 20, "cut_off", total=30, has_cursors=True),
        case("it ends early in half pages", 150, "cut_off", total=200, size=100, **HALF),
        case("its clamped pages end early", 150, "cut_off", total=450, size=500, clamp=100),
        case("what was read is removed since", 45, "cut_off", state=REMOVED, **damaged("ended")),
        case("it has 9,999 records and no total", 9_999, size=5_000, total=None),
        case("it has 10,000 records and no total", 10_000, total=None, **CAPPED),
        case("it has 10,000 records and says so", 10_000, size=5_000),
        case("its total is capped and an inner page empty", 105, total=50, hidden=ids(60, 70)),
        # Pages that are refused.
        case("the page after its total is refused", 20, most=7, **REFUSING),
        case("the page after hidden records is refused", 20, hidden=ids(3, 5), **REFUSING),
        case("its total is in the page before", 20, total=11, most=7, **REFUSING),
        case("its total is before that page", 20, "lost_page", total=10, most=12, **REFUSING),
        case("its total is in the refused page", 20, "lost_page", total=21, most=12, **REFUSING),
        case("it tells no total", 20, "lost_page", total=None, most=12, **REFUSING),
        case("two pages are refused for a while", 50, total=None, **refused(400, TWICE)),
        case("its first page is refused", 30, "rejected_request", most=4, **refused(400)),
        case("a cursor is refused", 30, "lost_page", has_cursors=True, **refused(404, LATER)),
        case("a cursor times out", 30, "gateway_timeout", has_cursors=True, **refused(504, LATER)),
        case("a page of five times out", 30, "gateway_timeout", state=SMALL, **refused(504)),
        case("a page of no size times out", 30, "gateway_timeout", state=SIZELESS, **refused(504)),
        case("its last page is gone", 21, move=loses_its_last_page),
        case("its last page is 404", 21, move=loses_its_last_page, past_end=404),
        case("its last page is 410", 21, move=loses_its_last_page, past_end=410, total=None),
        case("its last page is gone without a total", 21, move=loses_its_last_page, total=None),
        # Reads that are resumed.
        case("its saved page is empty", 20, state=BEYOND, promises_one_more=True, **EXPIRED),
        case("its saved page is 404", 20, state=BEYOND, past_end=404, **EXPIRED),
        case("its saved page is 400 and far away", 20, state=FAR_BEYOND, past_end=400, **EXPIRED),
        case("its saved page is empty and far away", 20, state=FAR_BEYOND, **EXPIRED),
        case("its saved cursor expired", 25, state=CURSOR, **refused(404, range(5)), **EXPIRED),
        case(
            "all is refused since", 25, "rejected_request", state=CURSOR, **refused(400), **EXPIRED
        ),
        case("its saved page is for another key", 25, "missing_role", state=BEYOND, **refused(403)),
        case("its total fell to the page that is read next", 60, state=STALE),
        case("its total fell to half of that page", 55, state=STALE),
        # Sizes.
        case("few of its first page are hidden", 300, size=100, hidden=ids(0, 3), most=4),
        case("almost half of its first page is hidden", 300, size=100, hidden=ids(0, 49), most=4),
        case("more than the first page is hidden", 300, hidden=ids(0, 16), most=33),
        case("some of each page are hidden", 300, hidden=[f"a{n}7" for n in range(30)], most=33),
        # The first page and the fall are looked at twice, and three pages are read once more.
        case("its clamped pages shift", 450, size=500, clamp=100, move=shrinks(0, 5, 5), most=10),
        case("its first page is cut twice", 300, size=100, **damaged(cut_to(30, 40), [1, 2])),
        case("nine rows come again", 30, **damaged(repeating(9), [2]), most=3),
        case("ten rows come again", 30, "wrong_page", **damaged(repeating(10), LATER)),
        case("a page brings what is known, once", 30, **damaged(again, [2]), most=4),
        # Links, tenths, movement.
        case("a link leads to a smaller page", 300, **damaged(smaller, [1]), most=34),
        case("it has no links", 35, **damaged("unlinked"), most=5),
        # 25 pages, and two that are asked for six times.
        case("a record times out", 500, size=100, heavy="a143", most=37),
        case("a read is resumed in tenths", 500, size=100, heavy="a143", stop=5, most=37),
        case("a read is resumed in hundredths", 500, size=100, heavy="a143", stop=14, most=37),
        case("tenths shift", 500, size=100, heavy="a143", move=shrinks(0, 1, 10), most=47),
        case("tenths have links without a size", 300, size=100, **TENTHS, most=18),
        case("few vanish from cursors", 900, has_cursors=True, move=shrinks(30, 10, 3), most=89),
        case("far more vanish", 900, "fallen_total", has_cursors=True, move=shrinks(30, 400, 3)),
        case("it moves too fast", 300, "second_look", move=hurries, most=224),
        case("large pages move too fast", 3_000, "second_look", size=100, move=hurries, most=224),
    ],
)
def test_a_list_is_read_whole_or_ends_in_its_sentence_where(
    served: MovingList, how: dict[str, Any], cause: str, warns: str, most: float
) -> None:
    reading = Reading(served, **how)
    total = served.total(1, len(served.ids))
    assert (reading.cause, len({*reading.ids})) == (cause, len(reading.ids))
    assert reading.requests <= most
    if cause == "cut_off":
        assert reading.details["total"] == total
    if not cause:
        assert served.always - {*served.hidden} <= {*reading.ids}
        if isinstance(total, int) and len(reading.ids) < total:
            warns = "short_list"
    numbers = {"records": len(reading.ids), "total": total}
    shown = {"short_list": numbers, "suspected_cap": {"records": 10_000}, "expired_position": {}}
    assert reading.warnings == ([(warns, shown[warns])] if warns else [])


@pytest.mark.parametrize(("total", "cause"), [(20, ""), (25, "cut_off")])
def test_records_that_come_again_at_the_end_of_cursors_do_not_count(total: int, cause: str) -> None:
    def served(query: str) -> Response:
        if "cursor" in query:
            return document(ids(5, 15), None, total=total)
        return document(ids(0, 10), "?cursor=c", total=total)

    reading = Reading(served)
    assert (reading.cause, reading.ids) == (cause, ids(0, 10 if cause else 15))
    # An end that the total does not confirm is looked at again.
    assert len(reading.waits) == (6 if cause else 1)


@pytest.mark.parametrize(
    ("length", "total", "pauses"),
    [
        (0, None, [LOOK]),
        (0, 0, [LOOK]),
        (5, None, [LOOK / 10]),
        (15, "many", [LOOK / 10]),
        # Search engines cap totals.
        (25, 20, [LOOK / 5]),
        (25, 0, [LOOK / 5]),
        (95, None, [LOOK * 0.9]),
        (305, None, [LOOK]),
        # An end before the total is never believed.
        (20, 21, [LOOK / 10] * 6),
    ],
)
def test_an_end_that_no_total_confirms_is_looked_at_again_after_a_pause(
    length: int, total: object, pauses: list[float]
) -> None:
    reading = Reading(MovingList(ids(0, length), total=told(total)), look=LOOK)
    assert (reading.ids, reading.warnings) == (ids(0, length)[: 10 if total == 21 else None], [])
    assert reading.waits == pytest.approx(pauses)


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
    assert (reading.cause, len(reading.ids)) == (cause, 10 if cause else 30)
    # Not each of such pages is worth a second look.
    assert reading.requests <= last + 10


@pytest.mark.parametrize(
    ("before", "seconds", "fall"), [(900, 1, 45), (100, 1, 10), (100, 10, 60), (1_000, 1, 50)]
)
def test_a_fall_by_ten_or_three_a_second_or_a_twentieth_is_not_far(
    before: int, seconds: int, fall: int
) -> None:
    for by, wait in ((fall, 0.0), (fall + 1, 0.6 * LOOK)):
        served = MovingList(
            ids(0, before),
            # The second page tells no total.
            total=lambda page, total: None if total == before and page == 2 else total,
            move=shrinks(30, by, 3),
        )
        reading = Reading(served, latency=seconds, look=LOOK)
        assert reading.waits[0] == pytest.approx(wait)
        assert served.always <= {*reading.ids}


def test_a_total_that_falls_by_far_is_looked_at_for_half_a_minute_and_not_believed() -> None:
    reading = Reading(MovingList(ids(0, 900), move=shrinks(30, 400, 3)), look=10.0)
    assert (reading.cause, reading.ids) == ("fallen_total", ids(0, 20))
    assert reading.details == {"before": 900, "total": 500}
    assert reading.waits == pytest.approx([6.0] * 6)


@pytest.mark.parametrize(
    "links",
    [
        ["?page=1&pageSize=10"],
        ["?page=2&pageSize=10", "?page=2&pageSize=10"],
        ["?page=3&pageSize=10"],
        ["?page=2&pageSize=11"],
        ["?page=2&x=y", "?page=3&pageSize=11&x=y"],
        ["?cursor=a", "?cursor=a"],
        ["?cursor=a", "?cursor=b", "?cursor=c", "?cursor=a"],
    ],
)
def test_a_link_that_does_not_lead_to_the_next_page_is_refused(links: list[str]) -> None:
    asked: dict[str, int] = {}

    def answer(query: str) -> Response:
        n = asked.setdefault(query, len(asked))
        return document(ids(10 * n, 10 * n + 10), links[n])

    reading = Reading(answer)
    assert (reading.cause, reading.ids) == ("wrong_page", ids(0, 10 * (len(links) - 1)))


@pytest.mark.parametrize("records", [9, 10, 25])
def test_a_list_that_does_not_page_ends_after_its_one_response(records: int) -> None:
    """With as many records as were asked for there may be a second page, which is the same."""
    reading = Reading(lambda _: {"data": document(ids(0, records), None)["data"]})
    assert (reading.ids, reading.cause, reading.warnings) == (ids(0, records), "", [])


@pytest.mark.parametrize(
    ("meta", "pages"),
    [
        ({"total": 35}, [(2, True), (3, True), (4, True)]),
        ({}, [(2, True), (3, False), (4, False), (5, False)]),
    ],
)
def test_the_total_bounds_what_is_known_ahead(
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
