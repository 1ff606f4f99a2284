"""Lists that move, end early, circle or lie, and states from anywhere."""

import random
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from typing import Any
from urllib.parse import parse_qs

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from source_kustomer.pagination import (
    MOST_EMPTY_PAGES,
    InvalidStateError,
    ListError,
    ListFault,
    Page,
    Position,
    Walk,
)

URL = "https://acme.api.kustomerapp.com/v1/customers"


@dataclass
class Server:
    """A list that pages by number, as Kustomer's do, and the history of what was in it."""

    size: int
    ids: list[str]
    always: set[str] = field(default_factory=set)
    requests: int = 0
    made: int = 0

    def __post_init__(self) -> None:
        self.always = set(self.ids)

    def remove(self, index: int, count: int = 1) -> None:
        self.always -= set(self.ids[index : index + count])
        del self.ids[index : index + count]

    def insert(self, index: int, count: int = 1) -> None:
        self.ids[index:index] = [f"new{self.made + n}" for n in range(count)]
        self.made += count

    def answer(self, query: str) -> dict[str, Any]:
        self.requests += 1
        page = int(parse_qs(query)["page"][0])
        pages = -(-len(self.ids) // self.size)
        link = f"/v1/customers?page={page + 1}&pageSize={self.size}"
        return document(
            self.ids[(page - 1) * self.size : page * self.size],
            link if page < pages else None,
            page=page,
            pageSize=self.size,
            total=len(self.ids),
            totalPages=pages,
        )


def server(records: int = 1000, size: int = 100) -> Server:
    return Server(size, [f"old{n}" for n in range(records)])


def document(ids: list[str], following: object, **meta: object) -> dict[str, Any]:
    return {"data": [{"id": i} for i in ids], "meta": meta, "links": {"next": following}}


def walk(position: Position | None = None, size: int = 100) -> Walk:
    return Walk(URL, position or Position.first(size))


def read(walk: Walk, server: Server, moves: dict[int, tuple[int, int]] | None = None) -> list[str]:
    """Read to the end; `moves` remove (index, count) before the request of that number."""
    got: list[str] = []
    while not walk.finished:
        if moves and server.requests in moves:
            server.remove(*moves[server.requests])
        got += [r["id"] for r in walk.take(server.answer(walk.query))]
    return got


def test_a_list_that_stays_is_read_once_by_as_few_requests_as_pages() -> None:
    it = server(950)
    assert read(walk(), it) == [f"old{n}" for n in range(950)]
    assert it.requests == 10


@pytest.mark.parametrize("before_request", [1, 2, 5, 8, 9])
@pytest.mark.parametrize("dropped", [1, 7, 100, 250])
def test_what_slides_to_a_page_already_read_is_read_again(
    before_request: int, dropped: int
) -> None:
    it = server(1000)
    got = read(walk(), it, {before_request: (0, min(dropped, before_request * 100))})
    assert it.always <= set(got)
    assert len(got) == len(set(got))
    moved = min(dropped, before_request * 100)
    assert it.requests <= 10 + -(-moved // 100) + 1


def test_a_list_that_grows_at_its_end_costs_no_extra_request() -> None:
    it, reader, got = server(1000), walk(), []
    while not reader.finished:
        it.insert(len(it.ids), 10)
        got += [r["id"] for r in reader.take(it.answer(reader.query))]
    assert it.always <= set(got)
    assert it.requests == -(-len(it.ids) // 100)


def test_a_drop_at_the_seam_of_a_resumed_read_is_seen_by_the_state() -> None:
    it, first = server(1000), walk()
    got = [r["id"] for _ in range(4) for r in first.take(it.answer(first.query))]
    it.remove(50, 120)
    resumed = walk(Position.of_state(first.position.state))
    assert resumed.query == "page=5&pageSize=100"
    got += read(resumed, it)
    assert it.always <= set(got)


@pytest.mark.parametrize("dropped", [150, 399])
def test_a_read_that_is_resumed_within_moved_pages_reads_them_all(dropped: int) -> None:
    it, state, got = server(1000), walk().position.state, list[str]()
    while "next" in state or "gap_end" in state:
        reader = walk(Position.of_state(state) if it.requests else None)
        if it.requests == 5:
            it.remove(0, dropped)
        got += [r["id"] for r in reader.take(it.answer(reader.query))]
        state = reader.position.state
    assert it.always <= set(got)


@pytest.mark.parametrize("left", [0, 30, 350])
def test_a_list_that_shrank_to_before_the_resumed_page_is_still_whole(left: int) -> None:
    it, first = server(1000), walk()
    got = [r["id"] for _ in range(6) for r in first.take(it.answer(first.query))]
    it.remove(0, 1000 - left)
    got += read(walk(Position.of_state(first.position.state)), it)
    assert it.always <= set(got)


def test_records_that_slide_in_twice_are_handed_over_once() -> None:
    it, reader, got = server(500), walk(), []
    while not reader.finished:
        it.insert(0, 5)
        got += [r["id"] for r in reader.take(it.answer(reader.query))]
    assert it.always <= set(got)
    assert len(got) == len(set(got))


@pytest.mark.parametrize("kind", ["removals", "insertions in front", "insertions at the end"])
@settings(max_examples=150, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    records=st.integers(1, 300),
    ahead=st.integers(0, 6),
    often=st.sampled_from([0.05, 0.2, 0.5]),
    most=st.sampled_from([1, 5]),
    stop=st.integers(0, 40),
)
def test_nothing_that_was_always_there_is_missed_whatever_moves(
    kind: str, seed: int, records: int, ahead: int, often: float, most: int, stop: int
) -> None:
    """Pages are fetched ahead in any order, the list moves between any two, the read is resumed."""
    dice = random.Random(seed)
    it, reader, got = server(records, size=10), walk(size=10), []
    resumed, clock, fetched = False, 0.0, dict[str, tuple[dict[str, Any], float, float]]()

    def snapshot(query: str, asked_at: float) -> tuple[dict[str, Any], float, float]:
        nonlocal clock
        if dice.random() < often and it.ids:
            count = dice.randint(1, most)
            if kind == "removals":
                it.remove(dice.randrange(len(it.ids)), count)
            else:
                it.insert(0 if "front" in kind else len(it.ids), count)
        clock += 1
        return it.answer(query), asked_at, clock

    try:
        while not reader.finished:
            if reader.pages == stop > 0 and not resumed:
                resumed, reader, fetched = True, walk(Position.of_state(reader.position.state)), {}
            query = reader.query
            answer, asked_at, arrived_at = (
                fetched.pop(query) if query in fetched else snapshot(query, clock)
            )
            got += [r["id"] for r in reader.take(answer, asked_at=asked_at, arrived_at=arrived_at)]
            follow = [q for q, sure in islice(reader.ahead(), ahead) if sure and q not in fetched]
            dice.shuffle(follow)
            together = clock
            for query in follow:
                fetched[query] = snapshot(query, together)
    except ListError as error:
        # A list that moves with nearly every request may end in a sentence, never silently short.
        assert error.fault is ListFault.MOVING_LIST
        assert isinstance(pages := error.details["pages"], int)
        assert pages >= 50
        return
    assert it.always <= set(got)
    if not resumed:
        assert len(got) == len(set(got))


def test_records_that_an_older_answer_lacks_are_read_again_where_they_are_now() -> None:
    it, reader = server(20, size=10), walk(size=10)
    # Both pages were asked for together; the second one was answered before the first one.
    second = it.answer("page=2&pageSize=10")
    it.insert(0, 5)
    first = it.answer("page=1&pageSize=10")
    # Afterwards the list is as long as it was.
    it.remove(20, 5)
    got = [r["id"] for r in reader.take(first, asked_at=0, arrived_at=2)]
    got += [r["id"] for r in reader.take(second, asked_at=0, arrived_at=1)]
    got += read(reader, it)
    assert it.always <= set(got)
    assert reader.reread == 2


@pytest.mark.parametrize("dropped", [100, 250, 399])
def test_a_list_that_moves_faster_than_it_is_read_again_ends_after_so_many_pages(
    dropped: int,
) -> None:
    it, reader = server(1000), walk()
    while reader.position.gap_end is None:
        if reader.pages == 4:
            it.remove(0, dropped)
        reader.take(it.answer(reader.query))
    with pytest.raises(ListError) as error:
        while True:
            it.insert(len(it.ids), 100)
            reader.take(it.answer(reader.query))
    assert error.value.fault is ListFault.MOVING_LIST
    assert error.value.details == {"pages": 50 + dropped // 100}


def test_a_list_cut_off_on_a_full_page_ends_in_an_error_with_both_numbers() -> None:
    reader = walk()
    reader.take(document([f"a{n}" for n in range(100)], "?page=2&pageSize=100", total=350))
    before = reader.position
    with pytest.raises(ListError) as error:
        reader.take(document([f"b{n}" for n in range(100)], None, total=350))
    assert error.value.fault is ListFault.CUT_OFF
    assert error.value.details == {"records": 200, "total": 350}
    assert reader.position == before


def test_a_list_that_ends_short_of_its_total_warns_with_both_numbers() -> None:
    reader = walk()
    reader.take(document([f"a{n}" for n in range(90)], None, total="95", page="1", pageSize="100"))
    assert reader.finished
    assert reader.warning == ("short_list", {"records": 90, "total": 95})


def test_a_list_of_exactly_ten_thousand_without_a_total_warns() -> None:
    reader = walk(size=5000)
    for page in (1, 2):
        link = "?page=2&pageSize=5000" if page == 1 else None
        reader.take(document([f"{page}-{n}" for n in range(5000)], link))
    assert reader.warning == ("suspected_cap", {"records": 10_000})


def test_a_list_of_another_length_without_a_total_does_not_warn() -> None:
    reader = walk()
    reader.take(document([f"a{n}" for n in range(100)], None))
    assert reader.finished
    assert reader.warning is None


@pytest.mark.parametrize(
    ("link", "query"),
    [
        ("/v1/customers?page=2&pageSize=100", "page=2&pageSize=100"),
        ("/v1/customers?pageSize=100&page=2", "page=2&pageSize=100"),
        ("/v1/customers?page=2", "page=2&pageSize=100"),
        ("?page=2&pageSize=100", "page=2&pageSize=100"),
        (f"{URL}?page=2&pageSize=100", "page=2&pageSize=100"),
        ("//acme.api.kustomerapp.com/v1/customers?page=2&pageSize=100", "page=2&pageSize=100"),
        ({"href": "/v1/customers?page=2&pageSize=100"}, "page=2&pageSize=100"),
        ("/v1/customers?page[after]=a%2Fb==&page[size]=100", "page[after]=a%2Fb==&page[size]=100"),
        ("/v1/customers?cursor=abc", "cursor=abc"),
        ("/v1/teams/../customers?cursor=abc", "cursor=abc"),
    ],
)
def test_a_link_of_any_form_to_the_same_list_is_followed(link: object, query: str) -> None:
    reader = walk()
    reader.take(document(["a"], link))
    assert reader.query == query


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
        "../customers?page=2",
        "/v1/customers",
        "/v1/customers/?page=2",
        "https://[bad/v1/customers?page=2",
        "/v1/customers?page=2\n",
        "/v1/customers?cursor=" + "x" * 9000,
        7,
        ["/v1/customers?page=2"],
        {"href": 5},
        True,
    ],
)
def test_a_link_that_leaves_the_list_ends_it(link: object) -> None:
    with pytest.raises(ListError) as error:
        walk().take(document(["a"], link))
    assert error.value.fault is ListFault.FOREIGN_LINK


@given(st.text())
def test_whatever_a_link_says_it_stays_on_the_list_or_ends_it(link: str) -> None:
    reader = walk()
    try:
        reader.take(document(["a"], f"/v1/customers{link}"))
    except ListError as error:
        assert error.fault in {ListFault.FOREIGN_LINK, ListFault.CIRCLING_LINK}
    else:
        assert "#" not in reader.query


@pytest.mark.parametrize(
    "ring",
    [
        ["?page=1&pageSize=100"],
        ["?page=2&pageSize=100", "?page=2&pageSize=100"],
        ["?page=2&pageSize=100", "?page=3&pageSize=100", "?page=2&pageSize=100"],
        ["?page=0&pageSize=100"],
        ["?cursor=a", "?cursor=a"],
        ["?cursor=a", "?cursor=b", "?cursor=c", "?cursor=a"],
        ["?cursor=a", "?page=1&pageSize=100"],
    ],
)
def test_links_that_circle_end_the_list_after_a_few_requests(ring: list[str]) -> None:
    reader = walk()
    for number, link in enumerate(ring[:-1]):
        reader.take(document([f"a{number}"], link))
    with pytest.raises(ListError) as error:
        reader.take(document(["last"], ring[-1]))
    assert error.value.fault is ListFault.CIRCLING_LINK


@pytest.mark.parametrize(
    "answer",
    [
        None,
        [],
        {},
        {"data": None, "links": {"next": None}},
        {"data": {}, "links": {"next": None}},
        {"errors": [{"title": "no"}]},
        {"data": ["a"]},
        {"data": [{"type": "customer"}]},
        {"data": [{"id": None}]},
        {"data": [{"id": ""}]},
        {"data": [{"id": {}}]},
    ],
)
def test_what_is_no_list_of_resources_ends_the_list(answer: object) -> None:
    with pytest.raises(ListError) as error:
        walk().take(answer)
    assert error.value.fault is ListFault.NOT_A_LIST


@pytest.mark.parametrize("links", [None, [], "x"])
def test_a_full_page_without_links_ends_the_list_and_a_short_one_is_its_end(links: object) -> None:
    full = {"data": [{"id": str(n)} for n in range(100)], "links": links}
    with pytest.raises(ListError) as error:
        walk().take(full)
    assert error.value.fault is ListFault.NO_LINKS
    reader = walk()
    reader.take({"data": [{"id": "a"}], "links": links})
    assert reader.finished


def test_a_page_that_is_not_the_one_asked_for_ends_the_list() -> None:
    with pytest.raises(ListError) as error:
        walk().take(document(["a"], None, page="3"))
    assert error.value.fault is ListFault.WRONG_PAGE
    assert error.value.details == {"asked": 1, "got": 3}


def test_empty_pages_are_passed_over_but_not_without_end() -> None:
    reader = walk()
    reader.take(document([], "?page=2&pageSize=100"))
    assert [r["id"] for r in reader.take(document(["a"], "?page=3&pageSize=100"))] == ["a"]
    with pytest.raises(ListError) as error:
        for page in range(3, 100):
            reader.take(document([], f"?page={page + 1}&pageSize=100"))
    assert error.value.fault is ListFault.EMPTY_PAGES
    assert reader.pages == 2 + MOST_EMPTY_PAGES


def test_a_list_may_end_after_as_many_empty_pages() -> None:
    reader = walk()
    for page in range(1, MOST_EMPTY_PAGES + 1):
        reader.take(document([], f"?page={page + 1}&pageSize=100"))
    reader.take(document([], None))
    assert reader.finished


def test_a_list_that_begins_with_empty_pages_is_given_up_after_as_many() -> None:
    reader = walk()
    with pytest.raises(ListError) as error:
        for page in range(1, 100):
            reader.take(document([], f"?page={page + 1}&pageSize=100"))
    assert error.value.details == {"pages": MOST_EMPTY_PAGES + 1}


@pytest.mark.parametrize(
    ("said", "number"),
    [
        (5, 5),
        (0, 0),
        ("5", 5),
        (5.0, 5),
        (0.0, 0),
        (" 5 ", 5),
        ("x", None),
        (-1, None),
        (-1.0, None),
        (5.5, None),
        (float("inf"), None),
        (float("nan"), None),
        ("9" * 19, None),
        (True, None),
        (None, None),
    ],
)
def test_numbers_that_come_as_text_are_numbers(said: object, number: int | None) -> None:
    page = Page.parse(document(["a"], None, total=said), URL, 100)
    assert page.total == number


def test_of_an_id_that_is_twice_on_a_page_the_first_record_counts() -> None:
    page = document(["a", "b", "a"], None)
    assert walk().take(page) == page["data"][:2]
    page["data"][2]["type"] = "customer"
    assert walk().take(page) == [{"id": "a"}, {"id": "b"}]


def test_a_page_size_that_is_clamped_is_followed() -> None:
    reader = walk(size=500)
    ids = [f"a{n}" for n in range(100)]
    reader.take(document(ids, "?page=2&pageSize=100", page=1, pageSize=100))
    assert reader.position.size == 100
    assert reader.query == "page=2&pageSize=100"


@pytest.mark.parametrize(
    ("records", "following", "meta", "size"),
    [
        (100, "?cursor=a", {}, 100),
        (150, "?cursor=a", {}, 150),
        (7, "?cursor=a", {}, 100),
        (100, "?page=2&pageSize=50", {}, 50),
        (100, "?cursor=a&pageSize=50", {}, 50),
        (100, "?page=2&pageSize=50", {"pageSize": 25}, 25),
        (7, None, {}, 100),
    ],
)
def test_a_page_size_is_what_the_answer_says_or_else_its_link_or_else_its_records(
    records: int, following: str | None, meta: dict[str, int], size: int
) -> None:
    reader = walk()
    reader.take(document([f"a{n}" for n in range(records)], following, **meta))
    assert reader.position.size == size
    assert reader.position.records == records


def test_pages_are_guessed_only_while_links_count_up_by_one() -> None:
    reader = walk()
    reader.take(document(["a"], "?page=2&pageSize=100"))
    guesses = reader.ahead()
    assert next(guesses) == ("page=2&pageSize=100", True)
    assert next(guesses) == ("page=3&pageSize=100", False)
    reader.take(document(["b"], "?page=4&pageSize=100"))
    assert list(reader.ahead()) == [("page=4&pageSize=100", True)]
    reader.take(document(["c"], "?cursor=x"))
    assert list(reader.ahead()) == [("cursor=x", True)]


def test_known_pages_bound_what_is_read_ahead() -> None:
    reader = walk()
    reader.take(document(["a"], "?page=2&pageSize=100", total=250))
    assert list(reader.ahead()) == [("page=2&pageSize=100", True), ("page=3&pageSize=100", True)]


STATE = {"last": "page=1&pageSize=100", "next": "page=2&pageSize=100", "size": 100}


@pytest.mark.parametrize(
    "state",
    [
        {"next": "page=2&pageSize=100"},
        STATE | {"next": "page=0&pageSize=100"},
        STATE | {"next": 2},
        STATE | {"next": ""},
        STATE | {"next": "page=2#fragment"},
        STATE | {"next": "page=2\r\nHost: evil.example"},
        STATE | {"size": 0},
        STATE | {"size": "100"},
        STATE | {"size": True},
        STATE | {"total": -1},
        STATE | {"records": None},
        STATE | {"url": "https://evil.example"},
        STATE | {"gap_start": 1, "gap_end": 5},
        STATE | {"gap_end": 0},
        STATE | {"last": "cursor=a", "gap_start": 1, "gap_end": 5, "gap_total": 9},
        {"last": "page=1&pageSize=100", "size": 100},
        {"page": 3},
    ],
)
def test_a_state_that_is_not_ours_is_refused(state: dict[str, Any]) -> None:
    with pytest.raises(InvalidStateError):
        Position.of_state(state)


@pytest.mark.parametrize(
    "state",
    [
        STATE,
        STATE | {"size": 1},
        STATE | {"records": 0, "total": 0},
        STATE | {"next": "page=1&pageSize=100"},
        STATE | {"last": "cursor=a", "next": "cursor=b"},
        STATE | {"gap_start": 0, "gap_end": 1, "gap_total": 0},
        {
            "last": "page=9&pageSize=100",
            "size": 100,
            "gap_start": 0,
            "gap_end": 100,
            "gap_total": 800,
        },
    ],
)
def test_a_state_that_is_ours_is_taken(state: dict[str, Any]) -> None:
    assert Position.of_state(state).state == {"records": 0} | state


@given(st.dictionaries(st.text(), st.integers() | st.text() | st.none() | st.booleans()))
def test_any_state_is_taken_whole_or_refused(state: dict[str, Any]) -> None:
    with suppress(InvalidStateError):
        assert Position.of_state(state).state == state


def test_a_state_is_a_flat_json_object_that_gives_the_same_position() -> None:
    it, reader = server(1000), walk()
    for number in range(5):
        if number == 4:
            it.remove(0, 250)
        reader.take(it.answer(reader.query))
        state = reader.position.state
        assert all(isinstance(value, str | int) for value in state.values())
        assert Position.of_state(state) == reader.position
    assert "gap_start" in reader.position.state
