"""Links to the next page, which must stay on their list, and queries that count pages."""

from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from moving import URL

from source_kustomer.errors import Fault
from source_kustomer.paging.query import PageNumber, is_usable, next_query

HOST = "//acme.api.kustomerapp.com"


@pytest.mark.parametrize(
    ("link", "query"),
    [
        ("/v1/customers?page=2&pageSize=100", "page=2&pageSize=100"),
        ("/v1/customers?pageSize=50&page=2", "page=2&pageSize=50"),
        ("/v1/customers?page=2", "page=2&pageSize=100"),
        ("/v1/customers?page=02&pageSize=100", "page=2&pageSize=100"),
        ("/v1/customers?z=&page=2&a=b%20c", "page=2&a=b+c&z="),
        ("?page=2&pageSize=100", "page=2&pageSize=100"),
        (f"{URL}?page=2&pageSize=100", "page=2&pageSize=100"),
        (f"https:{HOST.upper()}/v1/customers?page=2&pageSize=100", "page=2&pageSize=100"),
        (f"{HOST}/v1/customers?page=2&pageSize=100", "page=2&pageSize=100"),
        ({"href": "?page=2&pageSize=100"}, "page=2&pageSize=100"),
        ("?page[after]=a%2Fb==&page[size]=100", "page[after]=a%2Fb==&page[size]=100"),
        ("?page=1&page=2", "page=1&page=2"),
        ("?page=-2&b=1&a=2", "page=-2&b=1&a=2"),
        ("?page=1234567890123", "page=1234567890123"),
        ("?page=\N{ARABIC-INDIC DIGIT TWO}", "page=\N{ARABIC-INDIC DIGIT TWO}"),
        ("/v1/teams/../customers?cursor=abc", "cursor=abc"),
        ("?cursor=abc#here", "cursor=abc"),
        ("?cursor=" + "x" * 8185, "cursor=" + "x" * 8185),
        (None, None),
        ("", None),
        ({}, None),
        ({"href": None}, None),
    ],
)
def test_a_link_to_the_same_list_is_followed(link: object, query: str | None) -> None:
    assert next_query(link, URL, 100) == query
    assert next_query(link, URL.replace("acme", "Acme"), 100) == query


@pytest.mark.parametrize(
    "link",
    [
        "https://evil.example/v1/customers?page=2",
        "//evil.example/v1/customers?page=2",
        "http://acme.api.kustomerapp.com/v1/customers?page=2",
        "https://acme.api.kustomerapp.com:8443/v1/customers?page=2",
        "https://user@acme.api.kustomerapp.com/v1/customers?page=2",
        "https://acme.api.kustomerapp.com@evil.example/v1/customers?page=2",
        "https://acme.api.kustomerapp.com.evil.example/v1/customers?page=2",
        "/v1/customers/../users?page=2",
        "/v1/users?page=2",
        "/v1/customers",
        "/v1/customers/?page=2",
        "https://[bad/v1/customers?page=2",
        "/v1/customers?page=2\n",
        "?cursor=" + "x" * 8186,
        7,
        ["?page=2"],
        {"href": 5},
        True,
    ],
)
def test_a_link_that_leaves_the_list_is_refused(link: object) -> None:
    with pytest.raises(Fault) as fault:
        next_query(link, URL, 100)
    assert fault.value.name == "foreign_link"


@settings(deadline=None, derandomize=True, database=None)
@given(st.text())
def test_whatever_a_link_says_its_query_fits_into_a_request_line(link: str) -> None:
    with suppress(Fault):
        query = next_query(f"/v1/customers{link}", URL, 100)
        assert query is None or is_usable(query)


@pytest.mark.parametrize("query", ["", "a b\n", "a#b", "x" * 8193])
def test_what_does_not_fit_into_a_request_line_is_not_usable(query: str) -> None:
    assert not is_usable(query)
    assert is_usable("a")


def test_a_page_number_keeps_what_else_a_query_asks_for() -> None:
    number = PageNumber.parse("q=&page=3&pageSize=100")
    assert number
    assert (number.page, number.size) == (3, 100)
    assert number.query(4) == "page=4&pageSize=100&q="
    assert number.query(31, 10) == "page=31&pageSize=10&q="
    assert number == PageNumber.parse("pageSize=100&q=&page=3")


@pytest.mark.parametrize("size", ["", "&pageSize=x", "&pageSize=1234567"])
def test_a_page_number_may_have_no_size(size: str) -> None:
    number = PageNumber.parse(f"page=3{size}")
    assert (number and number.page, number and number.size) == (3, None)


@pytest.mark.parametrize("query", [None, "", "cursor=a", "page=x", "page=1&page=2", "page="])
def test_a_query_may_have_no_page_number(query: str | None) -> None:
    assert PageNumber.parse(query) is None
