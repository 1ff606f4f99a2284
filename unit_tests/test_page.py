"""What a response of a list says, and what it cannot say."""

from typing import Any

import pytest
from moving import URL, document

from source_kustomer.errors import Fault
from source_kustomer.paging.page import Page, count


def parse(response: Any) -> Page:
    return Page.parse(response, URL, 20)


def test_a_page_is_what_the_response_says() -> None:
    meta = {"page": 2.0, "pageSize": "50", "total": "75"}
    page = parse(document(["a", "b"], "?page=3", **meta))
    assert page.resources == [{"id": "a"}, {"id": "b"}]
    assert page.ids == ["a", "b"]
    # A link without a size asks for that of the read.
    assert (page.next, page.has_links) == ("page=3&pageSize=20", True)
    assert (page.number, page.total) == (2, 75)


@pytest.mark.parametrize("other", [None, [], {}, "x"], ids=repr)
def test_a_page_may_say_nothing_of_its_list(other: object) -> None:
    page = parse({"data": [{"id": 7}], "meta": other, "links": other})
    assert page.ids == ["7"]
    assert page.has_links == (other == {})
    assert (page.next, page.number, page.total) == (None,) * 3


NO_IDS: list[object] = [None, "", {}, True, 1.5]
NO_RESOURCES = ["a", None, {"type": "x"}, *({"id": no_id} for no_id in NO_IDS)]


@pytest.mark.parametrize(
    "response",
    [
        *(None, [], {}, {"data": None}, {"data": {}}, {"errors": [{"title": "no"}]}),
        *({"data": [{"id": "a"}, row], "links": {"next": None}} for row in NO_RESOURCES),
    ],
    ids=str,
)
def test_what_is_no_list_of_resources_with_ids_is_refused(response: object) -> None:
    with pytest.raises(Fault, match="unexpected_document"):
        parse(response)


@pytest.mark.parametrize(
    ("said", "number"),
    [
        *((five, 5) for five in (5, "5", 5.0, " 5 ")),
        *((zero, 0) for zero in (0, "0", 0.0)),
        *((most, 10**12 - 1) for most in (10**12 - 1, str(10**12 - 1))),
        *((no, None) for no in (10**12, 10**300, 1e300, str(10**17), "9" * 19, "9" * 5_000)),
        *((no, None) for no in ("\N{ARABIC-INDIC DIGIT TWO}", "x", "", "-1", -1, -1.0, 5.5)),
        *((no, None) for no in (float("inf"), float("nan"), True, None, [5])),
    ],
)
def test_a_count_is_a_number_or_text_that_can_be_one(said: object, number: int | None) -> None:
    assert count(said) == number
