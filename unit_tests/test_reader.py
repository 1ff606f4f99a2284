"""What a reader makes of a list, page by page: ends, totals, links, and places to read on."""

from typing import Any

import pytest
from moving import URL, Driver, MovingList, ReadError, document

from source_kustomer.errors import CAUSES, Cause, Fault
from source_kustomer.paging.position import Position
from source_kustomer.paging.reader import Reader

CAUSE = {cause.name: cause for cause in CAUSES}


def ids(first: int, last: int) -> list[str]:
    return [f"a{n}" for n in range(first, last)]


def page(number: int, *, last: int = 99, records: int = 10, **meta: object) -> dict[str, Any]:
    """Return a page of a list of pages of ten."""
    start = number * 10 - 10
    following = f"?page={number + 1}&pageSize=10" if number < last else None
    return document(ids(start, start + records), following, page=number, pageSize=10, **meta)


def reader(state: dict[str, Any] | None = None, *, size: int = 10) -> Reader:
    position = Position.parse(state) if state else Position.first(size)
    return Reader(URL, position, is_resumed=state is not None)


def resumed(pages: int, **known: object) -> Reader:
    last, following = (f"page={n}&pageSize=10" for n in (pages, pages + 1))
    return reader({"last": last, "next": following, "size": 10, "records": pages * 10, **known})


def fault(at: Reader, response: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """Return what is wrong with a response; the reader stays where it was."""
    before = at.position
    with pytest.raises(Fault) as error:
        at.take(response)
    assert at.position == before
    return error.value.name, error.value.details


def take_twice(at: Reader, response: dict[str, Any]) -> list[dict[str, Any]]:
    """Give a page that has less than expected, which a second look confirms."""
    assert fault(at, response) == ("short_page", {})
    return at.take(response)


def take(at: Reader, response: dict[str, Any]) -> list[dict[str, Any]]:
    """Give a page, and give it again where it has less than expected."""
    try:
        return at.take(response)
    except Fault as e:
        assert e.name == "short_page"
        return at.take(response)


def take_empty(at: Reader, pages: range, size: int) -> None:
    """Give empty pages in a row, each with a link; the first of them is doubted."""
    for number in pages:
        response = document([], f"?page={number + 1}&pageSize={size}")
        if number == pages.start:
            take_twice(at, response)
        else:
            at.take(response)


# Ends


def test_an_end_is_believed_at_once_where_the_total_says_that_all_came() -> None:
    it = reader()
    it.take(page(1, total=15))
    it.take(page(2, last=2, records=5, total=15))
    assert it.is_finished
    assert (it.query, it.warnings, it.position.records) == ("", [], 15)


@pytest.mark.parametrize("told", [{}, {"total": 19}, {"total": -1}, {"total": "many"}])
def test_an_end_that_no_total_confirms_is_asked_for_once_more(told: dict[str, Any]) -> None:
    it = reader()
    it.take(page(1, **told))
    it.take(page(2, last=2, records=5, **told))
    assert (it.query, it.is_finished, it.pages) == ("page=2&pageSize=10", False, 2)
    # What the first look missed is counted, what it had is not counted again.
    assert it.take(page(2, last=2, records=7, **told)) == [{"id": "a15"}, {"id": "a16"}]
    assert (it.is_finished, it.pages, it.position.records) == (True, 2, 17)


def test_an_end_that_is_none_at_the_second_look_is_read_past() -> None:
    it = reader()
    it.take(page(1, last=1, records=5))
    assert len(it.take(page(1))) == 5
    assert it.query == "page=2&pageSize=10"
    it.take(page(2, last=2))
    assert it.query == "page=2&pageSize=10"


def test_a_state_at_an_end_that_is_to_be_confirmed_counts_its_page_once() -> None:
    it = reader()
    it.take(page(1, last=1, records=5))
    again = reader(it.position.state)
    assert len(again.take(page(1, last=1, records=5))) == 5
    assert (again.is_finished, again.position.records) == (True, 5)


@pytest.mark.parametrize(("records", "total"), [(10, 21), (5, 21), (0, 21), (10, 1000)], ids=str)
def test_an_end_a_page_before_the_total_is_refused(records: int, total: int) -> None:
    it = reader()
    it.take(page(1, total=total))
    expected = ("cut_off", {"records": 10 + records, "total": total})
    assert fault(it, page(2, last=2, records=records, total=total)) == expected
    # The total of the page before counts where this one tells none.
    if records:
        assert fault(it, page(2, last=2, records=records)) == expected


def test_a_last_page_alone_that_tells_a_higher_total_does_not_cut_the_list_off() -> None:
    it = reader()
    it.take(page(1, total=15))
    for _ in range(2):
        it.take(page(2, last=2, records=5, total=40))
    assert it.is_finished


def test_of_two_totals_the_lower_one_is_what_a_list_is_cut_off_before() -> None:
    it = reader()
    it.take(page(1, total=35))
    cut_off = ("cut_off", {"records": 15, "total": 35})
    assert fault(it, page(2, last=2, records=5, total=40)) == cut_off


def test_a_list_that_a_key_sees_in_part_ends_with_a_warning() -> None:
    it = reader()
    take_twice(it, page(1, records=8, total=20))
    it.take(page(2, last=2, records=9, total=20))
    it.take(page(2, last=2, records=9, total=20))
    assert it.is_finished
    assert it.warnings == [("short_list", {"records": 17, "total": 20})]


def test_a_list_of_cursors_may_come_short_by_less_than_a_page() -> None:
    it = reader()
    it.take(document(ids(0, 10), "?cursor=a", total=25))
    assert fault(it, document(ids(10, 15), None, total=25))[0] == "cut_off"
    it.take(document(ids(10, 16), None, total=25))
    it.take(document(ids(10, 16), None, total=25))
    assert it.is_finished
    assert it.warnings == [("short_list", {"records": 16, "total": 25})]


def test_what_is_added_before_a_cursor_is_not_missed() -> None:
    it = reader()
    it.take(document(ids(0, 10), "?cursor=a", total=20))
    take_twice(it, document(ids(10, 15), "?cursor=b", total=60))
    it.take(document(ids(15, 20), None, total=60))
    it.take(document(ids(15, 20), None, total=60))
    assert it.is_finished


@pytest.mark.parametrize("total", [None, 10_000])
def test_exactly_ten_thousand_records_without_a_total_are_suspected(total: int | None) -> None:
    it = reader(size=5_000)
    it.take(document(ids(0, 5_000), "?page=2&pageSize=5000"))
    last = document(ids(5_000, 10_000), None, total=total)
    while not it.is_finished:
        it.take(last)
    suspected = [("suspected_cap", {"records": 10_000})]
    assert it.warnings == ([] if total else suspected)


# Empty pages, and pages that are refused


@pytest.mark.parametrize("told", [{}, {"total": 0}], ids=["silent", "told"])
def test_an_empty_list_is_believed(told: dict[str, Any]) -> None:
    it = reader()
    it.take(page(1, last=1, records=0, **told))
    assert not it.is_finished
    it.take(page(1, last=1, records=0, **told))
    assert it.is_finished
    assert it.warnings == []


def test_an_empty_page_past_the_end_has_the_last_page_read_again() -> None:
    it = reader()
    it.take(page(1))
    assert fault(it, page(2, last=2, records=0)) == ("past_end", {})
    assert it.recover(CAUSE["past_end"], 10)
    assert it.query == "page=1&pageSize=10"
    it.take(page(1))
    it.take(page(2, last=2, records=0))
    assert it.is_finished
    assert (it.warnings, it.position.records) == ([], 10)


def test_an_empty_page_behind_the_last_cursor_is_asked_for_once_more() -> None:
    it = reader()
    it.take(document(ids(0, 10), "?cursor=a"))
    it.take(document([], None))
    assert it.query == "cursor=a"
    it.take(document([], None))
    assert it.is_finished


@pytest.mark.parametrize("told", [{}, {"total": 10}, {"total": 11}], ids=str)
def test_a_page_that_is_refused_has_the_last_page_read_again(told: dict[str, Any]) -> None:
    it, refused = reader(), CAUSE["rejected_request"]
    it.take(page(1, **told))
    assert it.recover(refused, 10)
    it.take(page(1, **told))
    # A page that the total promises is not done without.
    assert it.recover(refused, 10) == (told != {"total": 11})
    if told != {"total": 11}:
        # The page after it tells whether that is the end.
        assert it.query == "page=3&pageSize=10"
        assert it.recover(refused, 10)
        assert it.is_finished
        assert it.warnings == [("refused_end", {"records": 10})]


@pytest.mark.parametrize("records", [0, 10])
def test_a_page_after_the_refused_one_tells_whether_that_is_the_end(records: int) -> None:
    it, refused = reader(), CAUSE["rejected_request"]
    it.take(page(1))
    assert it.recover(refused, 10)
    it.take(page(1))
    assert it.recover(refused, 10)
    if records:
        assert fault(it, page(3)) == ("refused_page", {"page": 2})
    else:
        it.take(page(3, last=3, records=0))
        assert it.is_finished


def test_a_refused_page_is_read_after_all_when_the_last_one_still_leads_to_it() -> None:
    it = reader()
    it.take(page(1))
    assert it.recover(CAUSE["unavailable_list"], 10)
    it.take(page(1))
    it.take(page(2))
    assert it.recover(CAUSE["unavailable_list"], 10)
    assert it.query == "page=2&pageSize=10"


def test_a_first_page_that_is_refused_is_no_end() -> None:
    assert not reader().recover(CAUSE["rejected_request"], 10)


def test_a_refusal_after_exactly_ten_thousand_records_is_no_end() -> None:
    it = resumed(1000)
    it.take(page(1001, last=9999))
    assert it.recover(CAUSE["rejected_request"], 10)
    assert not reader_at_the_cap().recover(CAUSE["rejected_request"], 10)


def reader_at_the_cap() -> Reader:
    it = resumed(999)
    it.take(page(1000, last=9999))
    return it


def test_a_page_that_is_read_again_and_refused_is_no_end() -> None:
    it = resumed(4, gap_start=5, gap_end=15, gap_total=90)
    it.take(page(2))
    assert it.query == "page=1&pageSize=10"
    assert not it.recover(CAUSE["rejected_request"], 10)


def test_a_cursor_that_is_refused_has_expired() -> None:
    it = reader()
    it.take(document(ids(0, 10), "?cursor=a"))
    assert not it.recover(CAUSE["rejected_request"], 10)


@pytest.mark.parametrize(
    "cause", [c for c in CAUSES if not c.ends_list], ids=lambda cause: str(cause.name)
)
def test_any_other_failure_is_no_end(cause: Cause) -> None:
    it = resumed(4)
    assert it.recover(cause, 10) == cause.is_size
    assert it.warnings == []


@pytest.mark.parametrize(
    "cause", [c for c in CAUSES if c.ends_list], ids=lambda cause: str(cause.name)
)
@pytest.mark.parametrize("known", [{}, {"total": 90, "total_at": 40}], ids=["new", "told"])
def test_a_resumed_read_whose_page_is_gone_starts_over(cause: Cause, known: dict[str, Any]) -> None:
    it = resumed(4, **known)
    assert it.recover(cause, 500)
    assert it.position == Position.first(500)
    assert it.warnings == [("expired_position", {})]
    assert not it.recover(cause, 500)


@pytest.mark.parametrize("known", [{}, {"total": 2_000}], ids=["silent", "told"])
def test_a_state_beyond_the_list_starts_over(known: dict[str, Any]) -> None:
    served = MovingList(ids(0, 35))
    last, following = (f"page={10**11 + n}&pageSize=10" for n in (0, 1))
    reading = Driver(served).read({"last": last, "next": following, "size": 10, **known})
    assert reading.ids == ids(0, 35)
    assert reading.warnings == ["expired_position"]


def test_a_resumed_read_that_fails_later_does_not_start_over() -> None:
    it = resumed(4)
    it.take(page(5, total=60))
    assert it.recover(CAUSE["rejected_request"], 10)
    assert (it.query, it.warnings) == ("page=5&pageSize=10", [])


def test_a_page_that_is_too_large_is_asked_for_in_tenths() -> None:
    it = reader(size=100)
    it.take(document(ids(0, 100), "?page=2&pageSize=100"))
    assert it.recover(CAUSE["gateway_timeout"], 100)
    assert it.query == "page=11&pageSize=10"
    assert it.recover(CAUSE["gateway_timeout"], 100)
    assert not it.recover(CAUSE["gateway_timeout"], 100)
    assert it.query == "page=101&pageSize=1"


# Totals


def test_a_lower_total_is_believed_at_the_second_look() -> None:
    it = reader()
    for number in (1, 2, 3):
        it.take(page(number, total=90))
    assert fault(it, page(4, total=75)) == ("lower_total", {"total": 75, "before": 90})
    it.take(page(4, total=75))
    assert it.query == "page=3&pageSize=10"
    assert [query for query, _ in it.ahead()][:3] == [
        f"page={number}&pageSize=10" for number in (3, 2, 5)
    ]
    it.take(page(3, total=75))
    it.take(page(2, total=75))
    assert it.query == "page=5&pageSize=10"
    assert (it.reread, it.position.records, it.position.total) == (2, 40, 75)


def test_a_lower_total_is_forgotten_if_the_second_look_does_not_tell_it() -> None:
    it = reader()
    it.take(page(1, total=90))
    assert fault(it, page(2, total=75))[0] == "lower_total"
    it.take(page(2, total=90))
    assert it.query == "page=3&pageSize=10"
    assert fault(it, page(3, total=75))[0] == "lower_total"


def test_a_lower_total_stands_if_the_second_look_tells_none() -> None:
    it = reader()
    it.take(page(1, total=90))
    it.take(page(2, total=90))
    assert fault(it, page(3, total=85))[0] == "lower_total"
    it.take(page(3))
    assert it.query == "page=2&pageSize=10"


def test_a_drop_is_taken_from_where_the_total_was_told() -> None:
    it = reader()
    it.take(page(1))
    it.take(page(2, total=90))
    it.take(page(3))
    it.take(page(4))
    with pytest.raises(Fault):
        it.take(page(5, total=85))
    it.take(page(5, total=85))
    assert [query for query, _ in it.ahead()][:3] == [
        f"page={number}&pageSize=10" for number in (4, 3, 2)
    ]


def test_an_end_without_a_total_tells_it() -> None:
    it = reader()
    it.take(page(1, total=28))
    it.take(page(2, total=28))
    it.take(page(3, last=3, records=5))
    assert it.query == "page=2&pageSize=10"
    it.take(page(2))
    assert it.query == "page=3&pageSize=10"


def test_a_page_that_is_read_again_without_a_total_is_read_again_at_the_next_drop() -> None:
    it = reader()
    for number in (1, 2, 3, 4):
        it.take(page(number, total=90))
    for _ in "ab":
        try:
            it.take(page(5, total=75))
        except Fault as e:
            assert e.name == "lower_total"
    it.take(page(4))
    it.take(page(3))
    assert it.query == "page=6&pageSize=10"
    with pytest.raises(Fault):
        it.take(page(6, total=70))
    it.take(page(6, total=70))
    assert [query for query, _ in it.ahead()][:4] == [
        f"page={number}&pageSize=10" for number in (5, 4, 3, 7)
    ]


def test_an_end_is_refuted_by_its_own_page() -> None:
    """A server that is behind ends the list; the page that is read again goes on."""
    it = resumed(2, total=40, total_at=20)
    with pytest.raises(Fault):
        it.take(page(3, last=3, total=25))
    it.take(page(3, last=3, total=25))
    it.take(page(2, total=40))
    assert it.query == "page=3&pageSize=10"
    it.take(page(3, total=40))
    it.take(page(2, total=40))
    while it.query != "page=4&pageSize=10":
        it.take(page(int(it.query[5]), total=40))
    assert it.pages < 10


@pytest.mark.parametrize("behind", [{1, 2}, {1, 2, 3, 4}, {1, 2, 4, 5}], ids=str)
def test_an_end_that_a_server_is_behind_with_is_refuted_by_its_own_page(behind: set[int]) -> None:
    """Those looks at the last page find it behind; it is doubted each time it is asked for."""
    it, doubted, seen = resumed(2, total=40, total_at=20), 0, 0
    while it.query != "page=4&pageSize=10":
        number = int(it.query.removeprefix("page=")[0])
        seen += number == 3
        is_behind = number == 3 and seen in behind
        try:
            it.take(page(3, last=3, total=25) if is_behind else page(number, total=40))
        except Fault as e:
            assert e.name == "lower_total"
            doubted += 1
        assert not it.is_finished
    assert doubted == len(behind) // 2


def test_an_end_is_asked_for_again_where_pages_before_it_tell_a_higher_total() -> None:
    gap = {"gap_start": 10, "gap_end": 20, "gap_total": 35, "total": 25, "total_at": 30}
    it = reader({"last": "page=3&pageSize=10", "size": 10, "records": 30, **gap})
    it.take(page(2, total=35))
    assert it.query == "page=3&pageSize=10"


def test_one_record_that_slid_to_the_front_is_read_again() -> None:
    it = reader()
    it.take(page(1, total=11))
    with pytest.raises(Fault):
        it.take(page(2, last=2, records=0, total=1))
    it.take(page(2, last=2, records=0, total=1))
    assert it.query == "page=1&pageSize=10"


def test_a_last_page_that_tells_one_record_more_is_believed() -> None:
    it = reader()
    it.take(page(1, total=20))
    it.take(page(2, last=2, total=21))
    it.take(page(2, last=2, total=21))
    assert it.is_finished
    assert it.warnings == [("short_list", {"records": 20, "total": 21})]


@pytest.mark.parametrize("dropped", [25, 1200])
def test_a_list_that_grows_with_each_page_that_is_read_again_moves_too_fast(
    dropped: int,
) -> None:
    def move(it: MovingList) -> None:
        if len(it.requests) == 200:
            it.remove(0, dropped)
        elif len(it.requests) > 201:
            it.add(0, 10)

    served = MovingList(ids(0, 3000), move=move)
    with pytest.raises(ReadError) as error:
        Driver(served).read()
    assert error.value.cause.name == "moving_list"
    assert 51 <= int(error.value.details["pages"]) <= 110 + dropped // 10


def test_a_large_gap_is_read_whole() -> None:
    served = MovingList(
        ids(0, 3000), move=lambda it: it.remove(0, 1900) if len(it.requests) == 200 else None
    )
    reading = Driver(served).read()
    assert served.always <= {*reading.ids}
    assert len(served.requests) <= 300 + 110


# Links


@pytest.mark.parametrize(
    ("ring", "name"),
    [
        (["?page=1&pageSize=10"], "circling_link"),
        (["?page=0&pageSize=10"], "circling_link"),
        (["?page=2&pageSize=10", "?page=2&pageSize=10"], "circling_link"),
        (["?page=2&pageSize=10", "?page=3&pageSize=10", "?page=1&pageSize=10"], "circling_link"),
        (["?page=2&pageSize=10&x=y", "?page=2&pageSize=10"], "circling_link"),
        (["?cursor=a", "?cursor=a"], "circling_link"),
        (["?cursor=a", "?cursor=b", "?cursor=c", "?cursor=a"], "circling_link"),
        (["?cursor=a", "?page=1&pageSize=10"], "circling_link"),
        (["?page=3&pageSize=10"], "skipped_pages"),
        (["?page=2&pageSize=10", "?page=900&pageSize=10"], "skipped_pages"),
        (["?page=2&pageSize=20"], "skipped_pages"),
        (["https://evil.example/"], "foreign_link"),
    ],
)
def test_a_link_that_does_not_lead_to_the_page_after_this_one_is_refused(
    ring: list[str], name: str
) -> None:
    it = reader()
    for number, link in enumerate(ring[:-1]):
        take(it, document([f"a{number}"], link))
    assert fault(it, document(["last"], ring[-1]))[0] == name


def test_a_link_that_skips_pages_is_told_with_both_numbers() -> None:
    it = reader()
    it.take(page(1))
    skipped = document(ids(10, 20), "?page=4&pageSize=10")
    assert fault(it, skipped) == ("skipped_pages", {"asked": 2, "got": 4})


def test_links_of_pages_that_are_read_again_are_checked_too() -> None:
    it = resumed(4, gap_start=5, gap_end=9, gap_total=90)
    assert fault(it, document(ids(0, 10), "?page=3&pageSize=10"))[0] == "skipped_pages"
    assert fault(it, document(ids(0, 5), None)) == ("cut_off", {"records": 45, "total": 90})
    assert fault(it, page(2))[0] == "wrong_page"


def test_empty_pages_are_passed_over_but_not_without_end() -> None:
    it = reader(size=200)
    take_empty(it, range(1, 11), 200)
    assert len(it.take(document(["a"], "?page=12&pageSize=200"))) == 1
    take_empty(it, range(12, 22), 200)
    promise = document([], "?page=23&pageSize=200")
    assert fault(it, promise) == ("empty_pages", {"pages": 11})


def test_a_list_may_end_after_as_many_empty_pages() -> None:
    it = reader(size=200)
    take_empty(it, range(1, 11), 200)
    for _ in range(2):
        it.take(document([], None, total=0))
    assert it.is_finished


@pytest.mark.parametrize(("total", "is_finished"), [(10, True), (11, False)])
def test_an_empty_page_past_the_total_is_the_end_whatever_its_link_says(
    total: int, *, is_finished: bool
) -> None:
    it = reader()
    it.take(page(1, total=total))
    take_twice(it, page(2, records=0, total=total))
    assert it.is_finished == is_finished


def test_an_empty_list_that_promises_a_page_is_empty() -> None:
    it = reader()
    take_twice(it, page(1, records=0, total=0))
    take_twice(it, page(1, records=0, total=0))
    assert it.is_finished


def test_a_server_that_repeats_a_page_circles() -> None:
    it = reader(size=200)
    for number in range(1, 52):
        take(it, document(["a"], f"?page={number + 1}&pageSize=200"))
    assert fault(it, document(["a"], "?page=53&pageSize=200"))[0] == "circling_link"


def test_small_pages_are_passed_over_by_their_records() -> None:
    """What a key may not see, or what was added in front, is as long in small pages."""
    it = reader()
    take_empty(it, range(1, 101), 10)
    assert fault(it, document([], "?page=102&pageSize=10"))[0] == "empty_pages"
    it = reader()
    for number in range(1, 502):
        take(it, document(["a"], f"?page={number + 1}&pageSize=10"))
    assert fault(it, document(["a"], "?page=503&pageSize=10"))[0] == "circling_link"


def test_a_page_that_came_short_once_is_read_whole_and_one_that_stays_short_is_believed() -> None:
    it = reader()
    it.take(page(1))
    assert fault(it, page(2, records=4)) == ("short_page", {})
    assert len(it.take(page(2))) == 10
    # The first look was wrong, so the next short page is doubted too.
    assert len(take_twice(it, page(3, records=4))) == 4
    assert len(it.take(page(4, records=9))) == 9


@pytest.mark.parametrize("following", ["?page=3&pageSize=10", None], ids=["link", "end"])
def test_rows_of_the_page_before_are_doubted(following: str | None) -> None:
    it = reader()
    it.take(page(1))
    assert fault(it, document(ids(0, 10), following)) == ("short_page", {})
    assert len(it.take(page(2))) == 10


def test_what_a_page_that_is_read_again_is_short_of_is_not_doubted() -> None:
    it = resumed(4, gap_start=5, gap_end=25, gap_total=90)
    it.take(document(ids(20, 24), "?page=4&pageSize=10", total=90))
    assert fault(it, document([], "?page=3&pageSize=10", total=90)) == ("short_page", {})
    it.take(page(2, total=90))
    # Pages that were read for the first time only tell what the key may see.
    it.take(page(1, total=90))
    assert fault(it, page(5, records=4, total=90)) == ("short_page", {})


# Sizes and records


@pytest.mark.parametrize(
    ("records", "following", "meta", "size"),
    [
        (100, "?cursor=a", {}, 100),
        (150, "?cursor=a", {}, 150),
        (7, "?cursor=a", {}, 100),
        (50, "?page=2&pageSize=50", {}, 50),
        (50, "?cursor=a&page=2&pageSize=50", {}, 50),
        (25, "?page=2&pageSize=50", {"pageSize": 50}, 50),
        (25, "?page=2&pageSize=25", {"pageSize": 25}, 25),
        (500, "?page=2&pageSize=500", {}, 500),
    ],
)
def test_the_server_chooses_the_page_size_on_the_first_page(
    records: int, following: str, meta: dict[str, int], size: int
) -> None:
    it = reader(size=100)
    take(it, document(ids(0, records), following, **meta))
    assert (it.position.size, it.position.records) == (size, records)


def test_repeated_rows_do_not_make_later_pages_larger() -> None:
    it = reader()
    it.take(page(1, total=90))
    assert len(it.take(document(ids(5, 20), "?page=3&pageSize=10", total=90))) == 10
    assert it.position.size == 10


def test_of_an_id_that_comes_twice_the_first_record_counts() -> None:
    it = reader()
    response = document(["a", "b", "a"], "?page=2&pageSize=10")
    response["data"][2]["type"] = "customer"
    assert take(it, response) == [{"id": "a"}, {"id": "b"}]
    assert it.take(document(["b", "c"], "?page=3&pageSize=10")) == [{"id": "c"}]


def test_records_are_remembered_for_the_last_pages_only() -> None:
    it = reader(size=10_000)
    for number in (1, 2, 3):
        start = (number - 1) * 10_000
        it.take(document(ids(start, start + 10_000), f"?page={number + 1}&pageSize=10000"))
    again = document(["a9999", "a10000", "a29999"], "?page=5&pageSize=10000")
    assert take(it, again) == [{"id": "a9999"}]


@pytest.mark.parametrize(
    ("meta", "pages"),
    [
        ({"total": 35}, [(2, True), (3, True), (4, True)]),
        ({"total": 35, "totalPages": 2}, [(2, True)]),
        ({"totalPages": "3"}, [(2, True), (3, True)]),
        ({}, [(2, True), (3, False), (4, False), (5, False)]),
    ],
)
def test_what_a_page_says_of_the_last_one_bounds_what_is_known_ahead(
    meta: dict[str, Any], pages: list[tuple[int, bool]]
) -> None:
    it = reader()
    it.take(page(1, **meta))
    ahead = [known for known, _ in zip(it.ahead(), range(4), strict=False)]
    assert ahead == [(f"page={number}&pageSize=10", is_sure) for number, is_sure in pages]
