"""Whatever a list does while it is read, what stays in it arrives once, or the read fails.

By nature, a record can be missed where one is added and another removed between two responses, and
where records vanish from a list that tells no total. The strategies leave these out.
"""

from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from moving import Driver, Move, MovingList, ReadError, Total, true_total

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


totals = st.sampled_from([true_total, as_text, never, nonsense])


def is_whole(served: MovingList, ids: list[str]) -> bool:
    return served.always <= {*ids} and len(ids) == len({*ids})


def removals(dice: Random, often: float, most: int) -> Move:
    """Now and then records vanish, from the front or anywhere."""

    def move(served: MovingList) -> None:
        if served.ids and dice.random() < often:
            index = dice.choice([0, dice.randrange(len(served.ids))])
            served.remove(index, dice.randint(1, most))

    return move


def additions(dice: Random, often: float, most: int, where: str) -> Move:
    """Now and then records appear, at one end or anywhere."""

    def move(served: MovingList) -> None:
        if dice.random() < often:
            length = len(served.ids)
            places = {"front": 0, "end": length, "anywhere": dice.randint(0, length)}
            served.add(places[where], dice.randint(1, most))

    return move


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
    served = MovingList(
        old(length),
        has_cursors=has_cursors,
        total=total,
        past_end=200 if has_cursors else past_end,
        promises_one_more=promises,
    )
    try:
        reading = Driver(served, ahead=ahead).read()
    except ReadError as e:
        # Only a total tells that a page that is refused is the end.
        assert e.cause.name == "lost_page"
        assert total in {never, nonsense}
        assert promises
        assert served.past_end != 200
    else:
        assert reading.ids == old(length)
        assert reading.warnings == []
        assert len(served.requests) <= length // 10 + 6


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
)
def test_what_stays_in_a_list_that_moves_arrives_in_a_read_and_a_resumed_one(
    *, kind: str, seed: int, length: int, ahead: int, often: float, most: int, stop: int,
    past_end: int,
) -> None:  # fmt: skip
    dice = Random(seed)
    move = removals(dice, often, most)
    if kind != "removals":
        move = additions(dice, often, most, kind)
    served = MovingList(old(length), past_end=past_end, move=move)
    driver = Driver(served, ahead=ahead, dice=dice)
    try:
        ids = driver.read(pages=stop).ids
        if "next" in driver.state:
            ids += driver.read(driver.state).ids
    except ReadError as e:
        assert e.cause.name in {"second_look", "lost_page"}
        assert (often, kind) in {(0.5, "removals"), (0.2, "removals"), (0.5, "end")}
    else:
        assert served.always <= {*ids}


@quickly
@given(seed=seeds, length=lengths, where=st.sampled_from(["front", "end", "anywhere"]))
def test_what_stays_in_a_list_that_grows_arrives_without_a_total(
    seed: int, length: int, where: str
) -> None:
    move = additions(Random(seed), 0.3, 4, where)
    served = MovingList(old(length), total=never, move=move, past_end=404)
    assert is_whole(served, Driver(served).read().ids)


@quickly
@given(seed=seeds, length=lengths, silence=st.sampled_from([0.2, 0.5]))
def test_a_total_that_is_told_now_and_then_betrays_what_slid(
    seed: int, length: int, silence: float
) -> None:
    dice = Random(seed)

    def sometimes(served: MovingList, page: int, total: int) -> object:
        is_silent = page > 1 and page * served.size < total and dice.random() < silence
        return None if is_silent else total

    served = MovingList(old(length), total=sometimes, move=removals(dice, 0.05, 3))
    assert is_whole(served, Driver(served).read().ids)


@pytest.mark.parametrize("ahead", [0, 6])
def test_a_list_that_grows_at_its_end_with_each_request_costs_few_requests_and_no_warning(
    ahead: int,
) -> None:
    served = MovingList(old(300), move=lambda it: it.add(len(it.ids)))
    reading = Driver(served, ahead=ahead).read()
    assert is_whole(served, reading.ids)
    assert reading.warnings == []
    # A response that overtook the one before it looks like a fall.
    assert len(served.requests) < 3 * 30


@pytest.mark.parametrize(("often", "requests"), [(0.02, 31.8), (0.05, 35.8), (0.2, 49.6)])
@pytest.mark.parametrize("ahead", [0, 6])
def test_removals_cost_a_few_requests(often: float, requests: float, ahead: int) -> None:
    total = 0
    for seed in range(40):
        dice = Random(seed)
        served = MovingList(old(300), move=removals(dice, often, 4))
        assert is_whole(served, Driver(served, ahead=ahead, dice=dice).read().ids)
        total += len(served.requests)
    # Pages that are fetched ahead are older.
    assert total / 40 <= requests * (1.25 if ahead else 1.1)


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
    assert is_whole(served, Driver(served, ahead=ahead, dice=dice).read().ids)
    assert len(served.requests) <= 5 * (length // 10 + 5)


@pytest.mark.parametrize("is_newest_first", [True, False], ids=["newest first", "oldest first"])
@pytest.mark.parametrize("starts_behind", [0, 1])
def test_of_two_servers_that_take_turns_one_may_lack_a_record(
    *, is_newest_first: bool, starts_behind: int
) -> None:
    """Totals of 599, 600 and 599 are no fall: each page is asked for twice at most."""
    served = MovingList(
        old(600),
        is_newest_first=is_newest_first,
        behind=1,
        is_behind=lambda it: len(it.requests) % 2 == starts_behind,
    )
    reading = Driver(served).read()
    assert is_whole(served, reading.ids)
    # The newest record may be missed, which the total tells.
    assert reading.warnings in ([], ["short_list"])
    assert len(served.requests) <= 120


@pytest.mark.parametrize("length", [1050, 1100])
@pytest.mark.parametrize("wrong", [1, 2, 6, 10, 11])
@pytest.mark.parametrize("by", [1, -1, 40, -500])
def test_one_page_whose_total_is_wrong_for_ever_costs_no_record(
    length: int, wrong: int, by: int
) -> None:
    served = MovingList(
        old(length), size=100, total=lambda _, page, total: total + by * (page == wrong)
    )
    try:
        reading = Driver(served).read()
    except ReadError as e:
        assert e.cause.name in {"second_look", "fallen_total", "cut_off"}
    else:
        assert reading.ids == old(length)
        assert set(reading.warnings) <= {"short_list"}
    assert len(served.requests) <= 250


def short(response: dict[str, Any]) -> None:
    del response["data"][len(response["data"]) // 2 :]


def ended(response: dict[str, Any]) -> None:
    response["links"]["next"] = None


def empty(response: dict[str, Any]) -> None:
    response["data"] = []


def cut(response: dict[str, Any]) -> None:
    short(response)
    ended(response)


def emptied(response: dict[str, Any]) -> None:
    empty(response)
    ended(response)


def misnumbered(response: dict[str, Any]) -> None:
    response["meta"]["page"] = 77


def unlinked(response: dict[str, Any]) -> None:
    del response["links"]


def no_list(response: dict[str, Any]) -> None:
    response["data"] = None


DAMAGES = [short, ended, empty, cut, emptied, misnumbered, unlinked, no_list]


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("told", [99, 0, 1], ids=["always", "never", "on the first page"])
@pytest.mark.parametrize("has_cursors", [False, True], ids=["numbers", "cursors"])
def test_damage_that_passes_is_outlived_at_every_request(
    *, damage: Any, told: int, has_cursors: bool
) -> None:
    for length in (9, 35, 40):
        for at in range(1, 6):
            served = MovingList(
                old(length),
                has_cursors=has_cursors,
                total=lambda _, page, total: total if page <= told else None,
                damage=(at, damage),
            )
            reading = Driver(served).read()
            assert (reading.ids, reading.warnings) == (old(length), [])


@pytest.mark.parametrize("damage", DAMAGES)
def test_damage_that_passes_is_outlived_while_pages_are_read_again(damage: Any) -> None:
    for at in range(6, 12):
        served = MovingList(
            old(100),
            move=lambda it: it.remove(0, 9) if len(it.requests) == 5 else None,
            damage=(at, damage),
        )
        assert is_whole(served, Driver(served).read().ids)


@pytest.mark.parametrize(
    ("damage", "cause"),
    [
        (cut, "cut_off"),
        (emptied, "cut_off"),
        (ended, "cut_off"),
        (empty, "wrong_page"),
        (no_list, "unexpected_document"),
    ],
)
@pytest.mark.parametrize("told", [99, 1], ids=["always", "on the first page"])
@pytest.mark.parametrize("has_cursors", [False, True], ids=["numbers", "cursors"])
def test_damage_that_stays_ends_in_its_sentence(
    *, damage: Any, cause: str, told: int, has_cursors: bool
) -> None:
    for at in range(1, 8):
        served = MovingList(
            old(100 if damage != empty else 200),
            has_cursors=has_cursors,
            total=lambda _, page, total: total if page <= told else None,
            damage=(at, damage),
            is_damaged_for_ever=True,
        )
        with pytest.raises(ReadError) as error:
            Driver(served).read()
        assert error.value.cause.name == cause
        assert cause != "cut_off" or error.value.details["total"] == 100
        assert len(served.requests) <= 25


@quickly
@given(
    seed=seeds,
    length=st.integers(1, 300),
    at=st.integers(1, 30),
    damage=st.sampled_from([*set(DAMAGES) - {short, empty}]),
    often=st.sampled_from([0.0, 0.1, 0.3]),
    ahead=st.integers(0, 4),
)
def test_damage_that_stays_in_a_list_that_moves_never_costs_a_page(
    seed: int, length: int, at: int, damage: Any, often: float, ahead: int
) -> None:
    """A read that ends is short by less than a page, which a key may not be allowed to see."""
    dice = Random(seed)
    served = MovingList(
        old(length), move=removals(dice, often, 1), damage=(at, damage), is_damaged_for_ever=True
    )
    try:
        reading = Driver(served, ahead=ahead, dice=dice).read()
    except ReadError as e:
        assert e.cause.name in {"cut_off", "wrong_page", "unexpected_document", "second_look"}
    else:
        assert len(served.always - {*reading.ids}) < served.size


@pytest.mark.parametrize("size", [500, 100, 10])
@quickly
@given(data=st.data())
def test_a_page_that_times_out_is_read_in_tenths_and_the_others_are_full(
    size: int, data: st.DataObject
) -> None:
    """In part, and resumed."""
    dice = Random(data.draw(seeds))
    length = data.draw(st.integers(1, 3 * size + 1))
    often = data.draw(st.sampled_from([0.0, 0.02]))
    served = MovingList(
        old(length),
        size=size,
        parameters=data.draw(st.sampled_from([{}, {"x": "y z"}])),
        heavy=f"old{data.draw(st.integers(0, length - 1))}",
        largest=data.draw(st.sampled_from([size // 10, 1 + (size == 500) * 4])),
        move=removals(dice, often, 1),
    )
    driver = Driver(served, ahead=data.draw(st.integers(0, 3)), dice=dice)
    ids = driver.read(pages=data.draw(st.integers(1, 4))).ids
    if "next" in driver.state:
        ids += driver.read(driver.state).ids
    assert served.always <= {*ids}
    # Six attempts at each size, ten tenths each, and what a resumed read asks for once more.
    assert often or len(served.requests) <= 4 + 3 * (6 + 10) + 6


@quickly
@given(seed=seeds, length=st.integers(0, 150), total=totals, often=st.sampled_from([0.0, 0.2]))
def test_each_state_gives_the_rest(seed: int, length: int, total: Total, often: float) -> None:
    tells = total in {true_total, as_text}
    served = MovingList(old(length), total=total, move=removals(Random(seed), often * tells, 2))
    reading = Driver(served).read()
    # The list rests from where a read stops; what vanished since is betrayed by the state's total.
    served.move = lambda _: None
    for state, came in zip(reading.states, reading.came, strict=True):
        if "next" in state:
            assert served.always <= {*reading.ids[:came], *Driver(served).read(state).ids}
