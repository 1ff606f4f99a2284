"""What a response of a list says, and what it cannot say."""

from typing import Any

import pytest
from moving import URL, document

from source_kustomer.errors import Fault
from source_kustomer.paging.page import Page, count
from source_kustomer.paging.query import PageNumber


def parse(response: Any, size: int = 100) -> Page:
    return Page.parse(response, URL, size)


def test_a_page_is_what_the_response_says() -> None:
    meta = {"page": "2", "pageSize": "50", "total": "75", "totalPages": 2.0}
    page = parse(document(["a", "b"], "?page=3&pageSize=50", **meta))
    assert page.resources == [{"id": "a"}, {"id": "b"}]
    assert page.ids == ["a", "b"]
    assert page.next == "page=3&pageSize=50"
    assert (page.number, page.size, page.total, page.last) == (2, 50, 75, 2)


@pytest.mark.parametrize("meta", [None, [], {}, "x"])
def test_a_page_may_say_nothing_of_its_list(meta: object) -> None:
    page = parse({"data": [{"id": 7}], "meta": meta, "links": {}})
    assert page.ids == ["7"]
    assert (page.next, page.number, page.size, page.total, page.last) == (None,) * 5


@pytest.mark.parametrize(
    "response",
    [
        None,
        [],
        {},
        {"data": None, "links": {"next": None}},
        {"data": {}, "links": {"next": None}},
        {"errors": [{"title": "no"}]},
        {"message": "no"},
    ],
)
def test_what_is_no_list_is_refused(response: object) -> None:
    with pytest.raises(Fault) as fault:
        parse(response)
    assert fault.value.name == "not_a_list"


@pytest.mark.parametrize(
    "row",
    ["a", None, {"type": "x"}, {"id": None}, {"id": ""}, {"id": {}}, {"id": True}, {"id": 1.5}],
)
def test_a_row_without_an_id_is_no_resource(row: object) -> None:
    with pytest.raises(Fault) as fault:
        parse({"data": [{"id": "a"}, row], "links": {"next": None}})
    assert fault.value.name == "not_a_list"


@pytest.mark.parametrize("links", [None, [], "x"])
@pytest.mark.parametrize(("told", "full"), [(None, 100), (3, 3)])
def test_a_full_page_without_links_is_refused_and_a_short_one_is_an_end(
    links: object, told: int | None, full: int
) -> None:
    resources = [{"id": n} for n in range(full)]
    meta = {"pageSize": told}
    assert parse({"data": resources[1:], "meta": meta, "links": links}).next is None
    with pytest.raises(Fault) as fault:
        parse({"data": resources, "meta": meta, "links": links})
    assert (fault.value.name, fault.value.details) == ("no_links", {"records": full})


@pytest.mark.parametrize(("told", "size"), [("50", 50), (500, 500), (10_000, None), (10**11, None)])
def test_a_page_size_is_one_that_an_api_can_have(told: object, size: int | None) -> None:
    assert parse(document(["a"], None, pageSize=told)).size == size


def test_a_link_without_a_size_asks_for_that_of_the_read() -> None:
    assert parse(document([], "?page=2"), size=20).next == "page=2&pageSize=20"


@pytest.mark.parametrize(
    ("said", "number"),
    [
        (5, 5),
        (0, 0),
        ("5", 5),
        (5.0, 5),
        (0.0, 0),
        (" 5 ", 5),
        (10**12 - 1, 10**12 - 1),
        (10**12, None),
        (10**300, None),
        (1e300, None),
        (str(10**17), None),
        ("9" * 19, None),
        ("9" * 5_000, None),
        ("\N{ARABIC-INDIC DIGIT TWO}", None),
        ("x", None),
        ("-1", None),
        (-1, None),
        (-1.0, None),
        (5.5, None),
        (float("inf"), None),
        (float("nan"), None),
        (True, None),
        (None, None),
        ([5], None),
    ],
)
def test_a_count_is_a_number_or_text_that_can_be_one(said: object, number: int | None) -> None:
    assert count(said) == number


@pytest.mark.parametrize(
    ("asked", "records", "meta", "got"),
    [
        (2, 100, {"page": 2, "pageSize": 100}, None),
        (2, 100, {}, None),
        (2, 40, {"pageSize": 40}, None),
        (2, 130, {}, None),
        (1, 500, {"pageSize": 500}, None),
        (2, 10, {"page": 3}, ("page 2", "page 3")),
        (1, 10, {"page": "0"}, ("page 1", "page 0")),
        (2, 100, {"pageSize": 101}, ("pages of 100", "a page of 101")),
        (2, 202, {}, ("pages of 100", "a page of 101")),
        (2, 201, {}, None),
    ],
)
def test_another_page_than_was_asked_for_is_refused(
    asked: int, records: int, meta: dict[str, Any], got: tuple[str, str] | None
) -> None:
    """The server chooses the size of the first page, and may repeat some rows."""
    page = parse(document([f"a{n}" for n in range(records)], None, **meta))
    fault = None
    try:
        page.check_asked(PageNumber(asked, ()), 100)
    except Fault as e:
        assert e.name == "wrong_page"
        fault = (e.details["asked"], e.details["got"])
    assert fault == got
