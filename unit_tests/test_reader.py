"""What a reader makes of a list, page by page: ends, totals, sizes, links, pages ahead."""

from itertools import islice
from typing import Any

import pytest
from moving import URL, Driver, MovingList, ReadError, Reading, document

from source_kustomer.errors import CAUSES, Cause, Fault
from source_kustomer.paging.position import Position
from source_kustomer.paging.reader import Reader

CAUSE = {cause.name: cause for cause in CAUSES}
LOOK = 100.0


def ids(first: int, last: int) -> list[str]:
    return [f"a{n}" for n in range(first, last)]


def page(number: int, *, last: int = 99, records: int = 10, **meta: object) -> dict[str, Any]:
    """Return a page of a list of pages of ten."""
    start = number * 10 - 10
    following = f"?page={number + 1}&pageSize=10" if number < last else None
    return document(ids(start, start + records), following, page=number, **meta)


class Reads(Reader):
    """Reads page after page in a second each, and keeps the pauses before second looks."""

    def __init__(self, *, size: int = 10, **state: str | int) -> None:
        resumed = Position.parse({"size": size, **state}) if state else None
        super().__init__(URL, size, look=LOOK, resumed=resumed)
        self.now = 1000.0
        self.waits: list[float | None] = []

    def give(self, *responses: dict[str, Any]) -> list[str]:
        """Give each response until it is taken, and return the new ids."""
        came = []
        for response in responses:
            self.now += 1
            try:
                taken = self.take(response, self.now)
            except Fault as e:
                assert e.name == "second_look"
                self.waits.append(e.wait)
                taken = self.take(response, self.now)
            came += [resource["id"] for resource in taken]
        return came

    def fault(self, response: dict[str, Any]) -> Fault:
        """Return what is wrong with a response, after which the reader stays where it was."""
        before = self.query
        with pytest.raises(Fault) as error:
            self.take(response, self.now)
        assert self.query == before
        return error.value


def resumed(pages: int, **known: int) -> Reads:
    return Reads(next=f"page={pages + 1}&pageSize=10", records=pages * 10, **known)


def without(*hidden: str) -> Any:
    """Hide records from the key; the size that the response tells counts the others."""

    def damage(response: dict[str, Any]) -> None:
        response["data"] = [row for row in response["data"] if row["id"] not in hidden]
        response["meta"]["pageSize"] = len(response["data"])

    return damage


def read(served: MovingList, **asked: Any) -> Reading:
    return Driver(served, **asked).read()


# Ends


def test_an_end_is_believed_at_once_where_the_total_says_that_all_came() -> None:
    it = Reads()
    assert it.give(page(1, total=15), page(2, last=2, records=5, total=15)) == ids(0, 15)
    assert (it.is_finished, it.query, it.waits, it.warnings) == (True, "", [], [])
    assert [*it.ahead()] == []


@pytest.mark.parametrize(
    ("pages", "records", "told", "wait"),
    [
        (0, 0, {}, LOOK),
        (0, 0, {"total": 0}, LOOK),
        (0, 5, {}, LOOK / 10),
        (1, 5, {"total": "many"}, LOOK / 10),
        (1, 5, {"total": 19}, LOOK / 10),
        # Search engines cap totals.
        (2, 5, {"total": 20}, LOOK / 5),
        (2, 5, {"total": 0}, LOOK / 5),
        (9, 5, {}, LOOK * 0.9),
        (30, 5, {}, LOOK),
    ],
)
def test_an_end_that_no_total_confirms_is_looked_at_twice_after_a_pause(
    pages: int, records: int, told: dict[str, Any], wait: float
) -> None:
    it = Reads()
    it.give(*(page(n + 1, **told) for n in range(pages)))
    last = page(pages + 1, last=0, records=records, **told)
    assert it.fault(last).wait == pytest.approx(wait)
    # What the first look lacked arrives; a look that lacks what the first had confirms nothing.
    if records:
        assert it.fault(page(pages + 1, last=0, records=records - 1, **told)).wait
        records += 1
    assert len(it.take(page(pages + 1, last=0, records=records, **told), 0.0)) == records
    assert it.is_finished


def test_a_second_look_that_shows_another_page_is_read_past() -> None:
    it = Reads()
    it.fault(page(1, last=1, records=5))
    assert len(it.take(page(1), 0.0)) == 10
    assert it.query == "page=2&pageSize=10"
    # Each end is looked at twice.
    assert it.fault(page(2, last=2)).name == "second_look"


@pytest.mark.parametrize(("records", "total"), [(10, 21), (5, 21), (0, 21), (10, 1000)], ids=str)
def test_an_end_before_the_total_is_never_believed(records: int, total: int) -> None:
    it = Reads()
    it.give(page(1, total=total))
    # The total of the page before counts where this one tells none.
    for told in [{"total": total}, {}, {"total": total}]:
        fault = it.fault(page(2, last=2, records=records, **told))
        assert (fault.name, fault.wait) == ("cut_off", LOOK / 10)
        assert fault.details == {"records": 10 + records, "total": total}


def test_records_that_were_removed_since_they_were_read_confirm_no_end() -> None:
    it = Reads(next="page=4&pageSize=10", records=48, total=45, total_at=30)
    assert it.fault(page(4, last=4, total=45)).name == "cut_off"
    it.give(page(4, total=45))
    assert it.fault(page(5, last=5, records=0, total=45)).name == "second_look"


def test_a_list_of_cursors_that_ends_before_its_total_is_cut_off() -> None:
    it = Reads()
    it.give(document(ids(0, 10), "?cursor=a", total=30))
    assert it.fault(document(ids(10, 20), None, total=30)).details == {"records": 20, "total": 30}
    # Less than a page of records may be what the key cannot see.
    it.fault(document(ids(10, 20), None, total=29))
    it.give(document(ids(10, 20), None, total=29))
    assert (it.is_finished, it.warnings) == (True, [("short_list", {"records": 20, "total": 29})])


def test_records_that_the_key_may_not_see_are_missing_with_a_warning() -> None:
    it = Reads()
    it.give(page(1, records=8, total=20), page(2, last=2, records=9, total=20))
    assert it.warnings == [("short_list", {"records": 17, "total": 20})]


@pytest.mark.parametrize(("records", "total"), [(9_999, None), (10_000, None), (10_000, 10_000)])
def test_exactly_ten_thousand_records_without_a_total_are_suspected(
    records: int, total: int | None
) -> None:
    it = Reads(size=5_000)
    it.give(document(ids(0, 5_000), "?page=2&pageSize=5000"))
    it.give(document(ids(5_000, records), None, total=total))
    is_suspected = records == 10_000 and total is None
    assert it.warnings == [("suspected_cap", {"records": records})] * is_suspected


def test_a_total_that_is_capped_and_an_empty_page_that_promises_another_end_no_list() -> None:
    served = MovingList(
        ids(0, 105),
        total=lambda _, __, total: min(50, total),
        damage=(1, without(*ids(60, 70))),
        is_damaged_for_ever=True,
    )
    reading = read(served)
    assert (reading.ids, reading.warnings) == (ids(0, 60) + ids(70, 105), [])


@pytest.mark.parametrize(("records", "most"), [(0, 10), (10, 501)])
def test_pages_that_promise_others_and_bring_nothing_new_end_in_a_sentence(
    records: int, most: int
) -> None:
    it = Reads()
    pages = [document(ids(0, records), f"?page={n + 1}&pageSize=10") for n in range(1, most + 1)]
    it.give(*pages[:-1])
    assert it.fault(pages[-1]).name == "wrong_page"
    # Once is worth a second look, and not each of them.
    assert it.waits == [None]
    # News begins the count anew.
    it.give(document(["new"], pages[-1]["links"]["next"]))
    it.give(document([], f"?page={most + 2}&pageSize=10"))


def test_a_list_may_end_after_as_many_empty_pages() -> None:
    it = Reads()
    it.give(*(document([], f"?page={n + 1}&pageSize=10") for n in range(1, 10)))
    it.give(document([], None))
    assert it.is_finished


# Pages that are refused


@pytest.mark.parametrize("told", [{"total": 20}, {"total": 11}], ids=str)
def test_a_page_that_is_refused_is_the_end_where_the_total_agrees(told: dict[str, int]) -> None:
    it = Reads()
    it.give(page(1, **told), page(2, **told))
    assert it.recover(CAUSE["lost_page"])
    assert it.is_finished
    assert it.warnings == []


@pytest.mark.parametrize("told", [{}, {"total": 10}, {"total": 21}], ids=str)
def test_the_page_before_a_refused_one_is_read_once_more_where_it_does_not(
    told: dict[str, int],
) -> None:
    it = Reads()
    it.give(page(1, **told), page(2, **told))
    assert it.recover(CAUSE["rejected_request"])
    assert it.query == "page=2&pageSize=10"
    it.give(page(2, **told))
    assert not it.recover(CAUSE["rejected_request"])
    # The next one has a chance of its own.
    it.give(page(3, **told))
    assert it.recover(CAUSE["rejected_request"])


def test_the_page_before_a_refused_one_is_the_last_if_it_says_so_twice() -> None:
    it = Reads()
    it.give(page(1), page(2))
    it.fault(page(3, last=3))
    assert it.recover(CAUSE["lost_page"])
    it.fault(page(2, last=2))
    it.take(page(2, last=2), 0.0)
    assert (it.is_finished, it.position.records) == (True, 20)


def test_a_refused_end_with_hidden_records_warns() -> None:
    it = Reads()
    it.give(page(1, records=8, total=10))
    assert it.recover(CAUSE["lost_page"])
    assert it.warnings == [("short_list", {"records": 8, "total": 10})]


def test_a_first_page_and_a_cursor_that_are_refused_are_no_end() -> None:
    it = Reads()
    assert not it.recover(CAUSE["rejected_request"])
    it.give(document(ids(0, 10), "?cursor=a"))
    assert not it.recover(CAUSE["lost_page"])
    assert not it.recover(CAUSE["gateway_timeout"])


@pytest.mark.parametrize("cause", CAUSES, ids=lambda cause: str(cause.name))
def test_a_resumed_read_whose_page_is_gone_starts_over(cause: Cause) -> None:
    it = resumed(4, total=90)
    assert it.recover(cause) == (cause.ends_list or cause.is_size)
    assert it.warnings == [("expired_position", {})] * cause.ends_list
    if cause.ends_list:
        assert it.position == Position.first(10)
        assert not it.recover(cause)


def test_a_state_beyond_the_list_starts_over() -> None:
    it = resumed(10**9)
    it.give(document([], None))
    assert (it.query, it.warnings) == ("page=1&pageSize=10", [("expired_position", {})])
    # Later, an empty page is an end.
    it = resumed(1)
    it.give(page(2), document([], None))
    assert (it.is_finished, it.warnings) == (True, [])


# Totals


def test_a_total_that_falls_by_a_few_twice_leads_back_to_what_slid() -> None:
    it = Reads()
    it.give(*(page(n, total=90) for n in (1, 2, 3)))
    assert it.fault(page(4, total=88)).wait == 0.0
    # A fall that the next response does not tell is none.
    it.give(page(4, total=90))
    it.give(page(5, total=81))
    assert (it.query, it.position.records) == ("page=4&pageSize=10", 50)
    assert [*islice(it.ahead(), 9)] == [(f"page={n}&pageSize=10", True) for n in range(4, 10)]
    it.give(page(4, total=81), page(5, total=81))
    assert (it.query, it.waits) == ("page=6&pageSize=10", [0.0])


@pytest.mark.parametrize(("silent", "fall", "back"), [(0, 1, 4), (0, 10, 4), (2, 1, 2), (2, 11, 1)])
def test_a_fall_is_taken_from_where_the_total_was_last_told(
    silent: int, fall: int, back: int
) -> None:
    it = Reads()
    it.give(*(page(n, **({"total": 90} if n <= 4 - silent else {})) for n in range(1, 5)))
    it.now += 60
    it.give(page(5, total=90 - fall))
    assert it.query == f"page={back}&pageSize=10"


def test_an_end_that_tells_of_a_fall_is_looked_at_with_the_new_total() -> None:
    it = Reads()
    it.give(page(1, total=30), page(2, total=30), page(3, total=28), page(2, total=28))
    assert it.query == "page=3&pageSize=10"
    it.give(page(3, last=3, total=27))
    assert it.query == "page=2&pageSize=10"
    it.give(page(2, last=2, total=20))
    assert it.query == "page=2&pageSize=10"
    it.give(page(2, last=2, total=20))
    assert it.is_finished


@pytest.mark.parametrize(
    ("before", "seconds", "fall"), [(900, 1, 45), (100, 1, 10), (100, 20, 60), (1000, 1, 50)]
)
def test_a_total_that_falls_by_far_is_not_believed(before: int, seconds: int, fall: int) -> None:
    for by in (fall, fall + 1):
        it = Reads()
        it.give(page(1, total=before))
        # The time counts since the total was told.
        it.give(page(2))
        it.now += seconds - 1
        fault = it.fault(page(3, total=before - by))
        assert fault.name == ("second_look" if by == fall else "fallen_total")
        if by > fall:
            assert fault.details == {"before": before, "total": before - by}
            # Six looks in half a minute, where the longest pause is ten seconds.
            assert fault.wait == pytest.approx(0.6 * LOOK)
    it = Reads()
    it.give(document(ids(0, 10), "?cursor=a", total=before), document(ids(10, 20), "?cursor=b"))
    assert it.fault(document(ids(20, 30), None, total=20)).name == "fallen_total"


def test_on_the_first_page_of_a_resumed_read_any_fall_is_believed() -> None:
    it = resumed(5, total=1000, total_at=50)
    it.give(page(6, total=15))
    assert (it.query, it.waits) == ("page=1&pageSize=10", [0.0])
    it.give(page(1, total=15), page(2, last=2, records=5, total=15))
    assert it.is_finished


@pytest.mark.parametrize("size", [10, 100])
def test_a_list_that_moves_faster_than_it_is_read_ends_in_a_sentence(size: int) -> None:
    served = MovingList(
        ids(0, 30 * size), size=size, move=lambda it: it.remove(0, len(it.requests) > 5)
    )
    with pytest.raises(ReadError) as error:
        read(served)
    assert error.value.cause.name == "second_look"
    assert len(served.requests) <= 51 * 4 + 20


# Links


@pytest.mark.parametrize(
    ("links", "name"),
    [
        (["?page=1&pageSize=10"], "wrong_page"),
        (["?page=2&pageSize=10", "?page=2&pageSize=10"], "wrong_page"),
        (["?page=3&pageSize=10"], "wrong_page"),
        (["?page=2&pageSize=11"], "wrong_page"),
        (["?page=2&x=y", "?page=3&pageSize=11&x=y"], "wrong_page"),
        (["?cursor=a", "?cursor=a"], "wrong_page"),
        (["?cursor=a", "?cursor=b", "?cursor=c", "?cursor=a"], "wrong_page"),
        (["https://evil.example/"], "foreign_link"),
    ],
)
def test_a_link_that_does_not_lead_to_the_next_page_is_refused(links: list[str], name: str) -> None:
    it = Reads()
    it.give(*(document(ids(10 * n, 10 * n + 10), link) for n, link in enumerate(links[:-1])))
    assert it.fault(document(ids(90, 100), links[-1])).name == name


def test_smaller_pages_and_other_parameters_are_followed() -> None:
    it = Reads()
    it.give(document(ids(0, 10), "?page=2&pageSize=5&x=y"))
    assert it.query == "page=2&pageSize=5&x=y"
    it.give(document(ids(5, 10), "?page=3&pageSize=5&x=y"))
    assert it.query == "page=2&pageSize=10&x=y"


def test_another_page_than_the_one_asked_for_is_refused_with_both_numbers() -> None:
    it = Reads()
    fault = it.fault(page(3))
    assert fault.details == {"detail": "page 1 was asked for, and page 3 came"}


@pytest.mark.parametrize("records", [9, 10, 25])
def test_a_list_without_links_ends_with_a_page_that_is_not_full(records: int) -> None:
    """A list that does not page cannot be cut off; with as many as were asked for, it may be."""
    it = Reads()
    unlinked = {"data": document(ids(0, records), None)["data"]}
    it.give(unlinked)
    assert it.is_finished == (records != 10)
    if records == 10:
        assert it.query == "page=2&pageSize=10"
        # It is the same page, or there is another one.
        it.give(unlinked)
        assert (it.is_finished, it.position.records) == (True, 10)


# Sizes and records


@pytest.mark.parametrize("hidden", [0, 3, 49])
def test_a_page_may_lack_records_that_the_key_may_not_see(hidden: int) -> None:
    served = MovingList(
        ids(0, 300), size=100, damage=(1, without(*ids(0, hidden))), is_damaged_for_ever=True
    )
    reading = read(served)
    assert reading.ids == ids(hidden, 300)
    # Only the first page is looked at twice.
    assert len(served.requests) == (4 if hidden else 3)


def test_a_server_may_clamp_the_page_size() -> None:
    served = MovingList(
        ids(0, 450),
        size=500,
        clamp=100,
        move=lambda it: it.remove(0, 5) if len(it.requests) == 5 else None,
    )
    assert served.always <= {*read(served).ids}
    # The first page and the fall are looked at twice, and three pages are read once more.
    assert len(served.requests) <= 5 + 2 + 3


def test_a_list_of_clamped_pages_that_ends_before_its_total_is_cut_off() -> None:
    it = Reads(size=500)
    it.give(document(ids(0, 100), "?page=2&pageSize=500", total=450))
    assert it.fault(document(ids(100, 150), None, total=450)).name == "cut_off"


@pytest.mark.parametrize("records", [19, 20])
def test_a_page_that_is_twice_as_large_is_another_page(records: int) -> None:
    """A server may repeat a few rows of the page before."""
    it = Reads()
    it.give(document(ids(0, 10), "?page=2&pageSize=10"))
    response = document(ids(5, 5 + records), "?page=3&pageSize=10")
    if records < 20:
        assert it.give(response) == ids(10, 24)
    else:
        assert it.fault(response).name == "wrong_page"


def test_a_first_page_that_is_short_once_is_not_the_page_size() -> None:
    it = Reads()
    it.fault(page(1, records=5))
    it.give(page(1))
    assert (it.position.size, it.position.records, it.waits) == (10, 10, [None])


def test_only_the_first_page_shows_the_page_size() -> None:
    it = Reads()
    it.give(page(1, records=0), page(2, records=4))
    assert it.position.size == 10


def test_pages_that_stay_short_are_looked_at_twice_once() -> None:
    it = Reads()
    it.give(page(1))
    assert it.fault(page(2, records=4)).wait is None
    it.take(page(2), 0.0)
    it.give(page(3, records=9), page(4, records=4))
    assert it.waits == [None]


def test_of_an_id_that_comes_twice_the_first_record_counts() -> None:
    it = Reads(size=3)
    response = document(["a", "b", "a"], "?page=2&pageSize=3")
    response["data"][2]["type"] = "customer"
    assert it.take(response, 0.0) == [{"id": "a"}, {"id": "b"}]
    assert it.give(document(["b", "c", "d"], "?page=3&pageSize=3")) == ["c", "d"]


def test_records_are_known_again_within_the_last_20_000() -> None:
    it = Reads(size=10_000)
    for n in (0, 1, 2):
        it.give(document(ids(n * 10_000, n * 10_000 + 10_000), f"?page={n + 2}&pageSize=10000"))
    again = document(["a9999", "a10000", "a29999"], "?page=5&pageSize=10000")
    assert it.give(again) == ["a9999"]


# Tenths, and pages ahead


@pytest.mark.parametrize("stop", [1, 5, 14])
def test_a_page_in_trouble_is_read_in_tenths_and_full_pages_follow(stop: int) -> None:
    """Tenths of tenths where the trouble is, and in a resumed read too."""
    served = MovingList(ids(0, 500), size=100, heavy="a143", largest=1)
    driver = Driver(served)
    came = driver.read(pages=stop).ids
    assert came + driver.read(driver.state).ids == ids(0, 500)
    asked = list(dict.fromkeys(served.requests))
    assert asked == [
        "page=1&pageSize=100",
        "page=2&pageSize=100",
        *(f"page={n}&pageSize=10" for n in range(11, 16)),
        *(f"page={n}&pageSize=1" for n in range(141, 151)),
        *(f"page={n}&pageSize=10" for n in range(16, 21)),
        *(f"page={n}&pageSize=100" for n in range(3, 6)),
    ]


def test_a_total_that_falls_in_a_tenth_leads_back_to_a_full_page() -> None:
    it = Reads()
    it.give(page(1, total=90), page(2, total=90))
    assert it.recover(CAUSE["large_page"])
    one = {"total": 90, "page": 21}
    it.give(document(["a20"], "?page=22&pageSize=1", **one))
    assert it.query == "page=22&pageSize=1"
    assert [*it.ahead()] == [(it.query, True)]
    assert not it.recover(CAUSE["timeout"])
    it.give(document(["a22"], "?page=23&pageSize=1", total=88))
    assert it.query == "page=2&pageSize=10"


def test_a_link_without_a_size_leads_from_a_tenth_to_the_next_one() -> None:
    it = Reads(size=100)
    assert it.recover(CAUSE["timeout"])
    it.give(document(ids(0, 10), "?page=2"))
    assert it.query == "page=2&pageSize=10"


@pytest.mark.parametrize("query", ["page=3&pageSize=5", "page=3&x=y"])
def test_a_page_that_cannot_be_divided_is_not_read_in_tenths(query: str) -> None:
    assert not Reads(next=query).recover(CAUSE["timeout"])


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
    it = Reads()
    assert [*islice(it.ahead(), 2)] == [("page=1&pageSize=10", True), ("page=2&pageSize=10", False)]
    it.give(page(1, **meta))
    assert [*islice(it.ahead(), 4)] == [(f"page={n}&pageSize=10", sure) for n, sure in pages]


def test_nothing_is_known_behind_a_cursor() -> None:
    assert [*Reads(next="cursor=b").ahead()] == [("cursor=b", True)]
