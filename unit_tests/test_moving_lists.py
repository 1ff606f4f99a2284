"""Whatever a list does while it is read, what stays in it arrives, once, or the read says why not.

A record can be missed by nature where one comes and another goes between two responses, where a
response that was asked for ahead is older than the one before it and no total tells, and where
records vanish from a list that tells no total; the strategies leave these out.
"""

from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from moving import Driver, MovingList, ReadError, Total, true_total

# Many small examples find more than few large ones: ten records a page, thirty pages.
quickly = settings(max_examples=20, deadline=None, derandomize=True, database=None)

seeds = st.integers(0, 2**32)
lengths = st.one_of(st.integers(0, 300), st.sampled_from([0, 1, 9, 10, 11, 100, 101]))
past_ends = st.sampled_from([200, 404, 400])


def old(count: int) -> list[str]:
    return [f"old{n}" for n in range(count)]


def as_text(_: MovingList, __: int, total: int) -> object:
    return f" {total} "


def never(_: MovingList, __: int, ___: int) -> object:
    return None


def nonsense(_: MovingList, __: int, ___: int) -> object:
    return 10**300


def whole(served: MovingList, ids: list[str]) -> bool:
    """Whether all that was always there came, and nothing came twice."""
    return served.always <= {*ids} and len(ids) == len({*ids})


totals = st.sampled_from([true_total, as_text, never, nonsense])


class Removals:
    """Now and then records vanish, from the front or anywhere."""

    def __init__(self, dice: Random, often: float, most: int) -> None:
        self._dice, self._often, self._most = dice, often, most

    def __call__(self, served: MovingList) -> None:
        if served.ids and self._dice.random() < self._often:
            index = self._dice.choice([0, self._dice.randrange(len(served.ids))])
            served.remove(index, self._dice.randint(1, self._most))


class Additions:
    """Now and then records appear, at one end or anywhere."""

    def __init__(self, dice: Random, often: float, most: int, where: str) -> None:
        self._dice, self._often, self._most, self._where = dice, often, most, where

    def __call__(self, served: MovingList) -> None:
        if self._dice.random() < self._often:
            length = len(served.ids)
            places = {"front": 0, "end": length, "anywhere": self._dice.randint(0, length)}
            served.add(places[self._where], self._dice.randint(1, self._most))


@quickly
@given(
    length=lengths,
    has_cursors=st.booleans(),
    total=totals,
    past_end=past_ends,
    promises=st.booleans(),
    ahead=st.integers(0, 6),
)
def test_a_list_that_stays_is_whole(
    *, length: int, has_cursors: bool, total: Total, past_end: int, promises: bool, ahead: int
) -> None:
    past_end = 200 if has_cursors else past_end
    served = MovingList(
        old(length),
        has_cursors=has_cursors,
        total=total,
        past_end=past_end,
        promises_one_more=promises,
    )
    reading = Driver(served, ahead=ahead).read()
    assert reading.ids == old(length)
    assert set(reading.warnings) <= {"refused_end"}
    assert len(served.requests) <= length // 10 + 12


@pytest.mark.parametrize("kind", ["removals", "front", "end", "anywhere"])
@quickly
@given(
    seed=seeds,
    length=lengths,
    ahead=st.integers(0, 6),
    often=st.sampled_from([0.05, 0.2, 0.5]),
    most=st.sampled_from([1, 4]),
    stop=st.integers(1, 40),
    past_end=past_ends,
    promises=st.booleans(),
)
def test_what_stays_in_a_list_that_moves_arrives(
    *,
    kind: str,
    seed: int,
    length: int,
    ahead: int,
    often: float,
    most: int,
    stop: int,
    past_end: int,
    promises: bool,
) -> None:
    """Read to somewhere, resumed, with pages fetched ahead in any order."""
    dice = Random(seed)
    removals, additions = Removals(dice, often, most), Additions(dice, often, most, kind)
    served = MovingList(
        old(length),
        past_end=past_end,
        promises_one_more=promises,
        move=removals if kind == "removals" else additions,
    )
    driver = Driver(served, ahead=ahead, dice=dice)
    try:
        first = driver.read(pages=stop)
        assert len(first.ids) == len({*first.ids})
        rest = []
        if "next" in first.states[-1] or "gap_start" in first.states[-1]:
            rest = driver.read(first.states[-1]).ids
    except ReadError as e:
        # A page that is read again may have vanished, the list may move with every request.
        assert kind == "removals" or e.cause.name == "moving_list"
        assert e.cause.name in {"moving_list", "unavailable_list", "rejected_request"}
        assert often > 0.05
        return
    assert served.always <= {*first.ids, *rest}


@quickly
@given(seed=seeds, length=lengths, where=st.sampled_from(["front", "end", "anywhere"]))
def test_what_stays_in_a_list_that_grows_arrives_without_a_total(
    seed: int, length: int, where: str
) -> None:
    served = MovingList(
        old(length), total=never, move=Additions(Random(seed), 0.3, 4, where), past_end=404
    )
    assert whole(served, Driver(served).read().ids)


@quickly
@given(
    seed=seeds,
    length=lengths,
    share=st.sampled_from([0.2, 0.5]),
    often=st.sampled_from([0.05, 0.3]),
)
def test_a_total_that_is_told_now_and_then_betrays_what_slid(
    seed: int, length: int, share: float, often: float
) -> None:
    """The first and the last responses tell it; what slides between is betrayed, if late."""
    dice = Random(seed)

    def sometimes(served: MovingList, page: int, total: int) -> object:
        is_silent = page > 1 and page * served.size < total and dice.random() < share
        return None if is_silent else total

    served = MovingList(old(length), total=sometimes, move=Removals(dice, often, 3))
    assert whole(served, Driver(served).read().ids)


@quickly
@given(
    seed=seeds,
    length=st.integers(100, 400),
    behind=st.sampled_from([1, 5, 10, 25]),
    is_newest_first=st.booleans(),
    ahead=st.sampled_from([0, 0, 3]),
)
def test_servers_that_are_behind_cost_a_few_requests(
    *, seed: int, length: int, behind: int, is_newest_first: bool, ahead: int
) -> None:
    """Three in ten responses come from a server that lacks the newest records."""
    dice = Random(seed)
    served = MovingList(
        old(length),
        is_newest_first=is_newest_first,
        behind=behind,
        is_behind=lambda _: dice.random() < 0.3,
    )
    reading = Driver(served, ahead=ahead, dice=dice).read()
    assert whole(served, reading.ids)
    assert len(served.requests) <= 5 * (length // 10 + 5)


@pytest.mark.parametrize("is_newest_first", [True, False], ids=["newest first", "oldest first"])
@pytest.mark.parametrize("starts_behind", [0, 1])
@pytest.mark.parametrize(("length", "size"), [(6000, 100), (600, 10)])
def test_a_total_that_goes_up_and_down_is_no_drop(
    *, is_newest_first: bool, starts_behind: int, length: int, size: int
) -> None:
    """5999, 6000, 5999: two servers take turns, so each page is asked for twice at most."""
    served = MovingList(
        old(length),
        size=size,
        is_newest_first=is_newest_first,
        behind=1,
        is_behind=lambda it: len(it.requests) % 2 == starts_behind,
    )
    reading = Driver(served).read()
    assert whole(served, reading.ids)
    assert (reading.reread, reading.warnings) == (0, [])
    assert len(served.requests) <= 2 * length / size


@pytest.mark.parametrize("length", [1050, 1100])
@pytest.mark.parametrize("wrong", [1, 2, 6, 10, 11])
@pytest.mark.parametrize("by", [1, -1, 40, -500])
def test_one_page_whose_total_is_wrong_for_ever_costs_a_few_requests(
    length: int, wrong: int, by: int
) -> None:
    served = MovingList(
        old(length),
        size=100,
        total=lambda _, page, total: total + by if page == wrong else total,
    )
    reading = Driver(served).read()
    assert reading.ids == old(length)
    assert set(reading.warnings) <= {"short_list"}
    assert len(served.requests) <= 11 + 25


def short(response: dict[str, Any]) -> None:
    del response["data"][len(response["data"]) // 2 :]
    response["links"]["next"] = None


def empty(response: dict[str, Any]) -> None:
    response["data"], response["links"]["next"] = [], None


def hollow(response: dict[str, Any]) -> None:
    response["data"] = []


def ended(response: dict[str, Any]) -> None:
    response["links"]["next"] = None


def misnumbered(response: dict[str, Any]) -> None:
    response["meta"]["page"] = 77


def unlinked(response: dict[str, Any]) -> None:
    del response["links"]


def no_list(response: dict[str, Any]) -> None:
    response["data"] = None


DAMAGES = [short, empty, ended, misnumbered, unlinked, no_list]


@pytest.mark.parametrize("damage", [*DAMAGES, hollow])
@pytest.mark.parametrize("told", ["always", "never", "on the first page"])
@pytest.mark.parametrize("length", [9, 35, 40])
@pytest.mark.parametrize("has_cursors", [False, True], ids=["numbers", "cursors"])
def test_damage_that_passes_is_outlived_at_every_request(
    *, damage: Any, told: str, length: int, has_cursors: bool
) -> None:
    silent = {"always": 99, "never": 0, "on the first page": 1}[told]
    for at in range(1, 6):
        served = MovingList(
            old(length),
            has_cursors=has_cursors,
            total=lambda _, page, total: total if page <= silent else None,
            damage=(at, damage),
        )
        reading = Driver(served).read()
        assert reading.ids == old(length)
        assert reading.warnings == []


@pytest.mark.parametrize("damage", [*DAMAGES, hollow])
def test_damage_that_passes_is_outlived_while_pages_are_read_again(damage: Any) -> None:
    for at in range(6, 12):
        served = MovingList(
            old(100),
            move=lambda it: it.remove(0, 15) if len(it.requests) == 5 else None,
            damage=(at, damage),
        )
        assert whole(served, Driver(served).read().ids)


@pytest.mark.parametrize(
    ("damage", "cause"),
    [
        (short, "cut_off"),
        (empty, "cut_off"),
        (ended, "cut_off"),
        (unlinked, "no_links"),
        (no_list, "not_a_list"),
    ],
)
@pytest.mark.parametrize("told", ["always", "on the first page"])
@pytest.mark.parametrize("has_cursors", [False, True], ids=["numbers", "cursors"])
def test_damage_that_stays_ends_in_its_sentence(
    *, damage: Any, cause: str, told: str, has_cursors: bool
) -> None:
    for at in range(1, 8):
        served = MovingList(
            old(100),
            has_cursors=has_cursors,
            total=lambda _, page, total: total if told == "always" or page == 1 else None,
            damage=(at, damage),
            is_damaged_for_ever=True,
        )
        with pytest.raises(ReadError) as error:
            Driver(served).read()
        assert error.value.cause.name == cause
        if cause == "cut_off":
            assert error.value.details["total"] == 100
        assert len(served.requests) <= 20


@quickly
@given(
    seed=seeds,
    length=st.integers(1, 300),
    at=st.integers(1, 30),
    damage=st.sampled_from(DAMAGES),
    often=st.sampled_from([0.0, 0.1, 0.3]),
    ahead=st.integers(0, 4),
)
def test_damage_that_stays_in_a_list_that_moves_never_costs_a_page(
    seed: int, length: int, at: int, damage: Any, often: float, ahead: int
) -> None:
    """A read that ends is short by less than a page, which a key may not be allowed to see."""
    dice = Random(seed)
    served = MovingList(
        old(length),
        move=Removals(dice, often, 1),
        damage=(at, damage),
        is_damaged_for_ever=True,
    )
    try:
        reading = Driver(served, ahead=ahead, dice=dice).read()
    except ReadError as e:
        assert e.cause.name in {"cut_off", "wrong_page", "no_links", "not_a_list", "lower_total"}
    else:
        assert len(served.always - {*reading.ids}) < served.size


@pytest.mark.parametrize("size", [500, 100, 10])
@pytest.mark.parametrize("parameters", [{}, {"x": "y z"}], ids=["plain", "other parameters"])
@quickly
@given(data=st.data())
def test_a_page_that_times_out_is_read_in_tenths(
    size: int, parameters: dict[str, str], data: st.DataObject
) -> None:
    length = data.draw(st.integers(1, 3 * size + 1))
    dice = Random(data.draw(seeds))
    served = MovingList(
        old(length),
        size=size,
        parameters=parameters,
        heavy=f"old{data.draw(st.integers(0, length - 1))}",
        largest=data.draw(st.sampled_from([size // 10, 1 + (size == 500) * 4])),
        move=Removals(dice, data.draw(st.sampled_from([0.0, 0.02])), 1),
    )
    driver = Driver(served, ahead=data.draw(st.integers(0, 3)), dice=dice)
    state = None
    ids: list[str] = []
    # In part, and resumed.
    for pages in (data.draw(st.integers(1, 4)), float("inf")):
        reading = driver.read(state, pages=pages)
        ids += reading.ids
        if not {"next", "gap_start"} & reading.states[-1].keys():
            break
        state = reading.states[-1]
    assert served.always <= {*ids}


@quickly
@given(
    seed=seeds,
    length=st.integers(0, 150),
    total=totals,
    often=st.sampled_from([0.0, 0.2]),
)
def test_each_state_gives_the_rest(seed: int, length: int, total: Total, often: float) -> None:
    """The list rests from where a read stops."""
    tells = total in {true_total, as_text}
    dice = Random(seed)
    served = MovingList(old(length), total=total, move=Removals(dice, often * tells, 2))
    reading = Driver(served).read()
    served.move = lambda _: None
    for state, came in zip(reading.states, reading.came, strict=True):
        if {"next", "gap_start"} & state.keys():
            # What vanished since then is betrayed by the total of the state.
            assert served.always <= {*reading.ids[:came], *Driver(served).read(state).ids}
