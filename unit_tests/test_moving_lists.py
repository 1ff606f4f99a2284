"""Whatever a list does while it is read, what stays in it arrives once, or the read fails.

By nature, a record can be missed where one is added and another removed between two responses, and
where records vanish from a list that tells no total. The strategies leave these out.
"""

from collections.abc import Callable
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from moving import Damage, Move, MovingList, Reading, Total, told, true_total

# Many small examples find more than few large ones: ten records a page, thirty pages.
quickly = settings(max_examples=20, deadline=None, derandomize=True, database=None)

seeds = st.integers(0, 2**32)
lengths = st.one_of(st.integers(0, 300), st.sampled_from([0, 1, 9, 10, 11, 100, 101]))
past_ends = st.sampled_from([200, 404, 400])
never, nonsense = told(None), told(10**300)


def as_text(_: int, total: int) -> object:
    return f" {total} "


totals = st.sampled_from([true_total, as_text, never, nonsense])


def old(count: int) -> list[str]:
    return [f"old{n}" for n in range(count)]


def is_whole(served: MovingList, reading: Reading) -> bool:
    ids = reading.ids
    return not reading.cause and served.always <= {*ids} and len(ids) == len({*ids})


def removals(dice: Random, often: float, most: int) -> Move:
    """Now and then records vanish, from the front or anywhere."""

    def move(served: MovingList) -> None:
        if often and served.ids and dice.random() < often:
            index = dice.choice([0, dice.randrange(len(served.ids))])
            served.remove(index, dice.randint(1, most))

    return move


def additions(dice: Random, often: float, most: int, where: str) -> Move:
    """Now and then records appear, at one end or anywhere."""

    def move(served: MovingList) -> None:
        if often and dice.random() < often:
            length = len(served.ids)
            places = {"front": 0, "end": length, "anywhere": dice.randint(0, length)}
            served.add(places[where], dice.randint(1, most))

    return move


# With 150 reads each, and 300 where 2 % are added and removed, these are CONTRIBUTING's numbers.
READS = 40


@pytest.mark.parametrize(
    ("removed", "added", "behind", "lacks", "ahead", "short", "requests"),
    [
        (0.02, 0, 0, 0, 0, 0, 31.8),
        (0.02, 0, 0, 0, 6, 0, 32.2),
        (0.05, 0, 0, 0, 6, 0, 35.8),
        (0.2, 0, 0, 0, 0, 0, 49.6),
        (0.2, 0, 0, 0, 6, 0, 56.7),
        (0.5, 0, 0, 0, 0, 0, 90.4),
        (0, 0, 0.05, 1, 0, 0, 31.6),
        (0, 0, 0.3, 25, 0, 0, 43.4),
        (0.02, 0.02, 0, 0, 6, 2, 33.1),
        (0.05, 0.05, 0, 0, 6, 10, 38.2),
        (0.05, 0.05, 0, 0, 0, 2, 35.0),
    ],
)
def test_what_a_list_that_moves_costs_is_what_is_documented(
    *, removed: float, added: float, behind: float, lacks: int, ahead: int, short: int,
    requests: float,
) -> None:  # fmt: skip
    whole = sent = 0
    for seed in range(READS):
        dice = Random(seed)
        vanish, appear = removals(dice, removed, 4), additions(dice, added, 4, "anywhere")

        def move(served: MovingList) -> None:
            vanish(served)  # noqa: B023
            appear(served)  # noqa: B023

        served = MovingList(
            old(300),
            move=move,
            behind=lacks,
            is_behind=lambda _: dice.random() < behind,  # noqa: B023
        )
        reading = Reading(served, ahead=ahead, dice=dice)
        assert not reading.cause
        whole += is_whole(served, reading)
        sent += reading.requests
    assert whole >= READS - short
    assert sent / READS == pytest.approx(requests, rel=0.1)


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
    reading = Reading(served, ahead=ahead)
    if reading.cause:
        # Only a total tells that a page that is refused is the end.
        assert reading.cause == "lost_page"
        assert total in {never, nonsense}
        assert promises
        assert served.past_end != 200
    else:
        assert (reading.ids, reading.warnings) == (old(length), [])
        assert reading.requests <= length // 10 + 6


def sometimes(dice: Random) -> Total:
    """Tell the total on the first page, the last, and a few others."""
    return lambda page, total: None if 1 < page < total / 10 and dice.random() < 0.4 else total


def grows(where: str) -> Callable[[Random], dict[str, Any]]:
    """Where a list only grows, it need not tell a total."""
    return lambda dice: {
        "move": additions(dice, dice.choice([0.1, 0.3]), dice.choice([1, 4]), where),
        "total": dice.choice([true_total, as_text, never, nonsense]),
    }


# What happens to a list, for what its read may fail then, and how often it asks for each page.
TROUBLES: dict[str, tuple[Callable[[Random], dict[str, Any]], set[str], int]] = {
    "few removals": (lambda dice: {"move": removals(dice, 0.05, dice.choice([1, 4]))}, set(), 4),
    "many removals": (
        lambda dice: {"move": removals(dice, dice.choice([0.2, 0.5]), dice.choice([1, 4]))},
        {"second_look", "lost_page"},
        20,
    ),
    "removals that are told now and then": (
        lambda dice: {"move": removals(dice, 0.05, 3), "total": sometimes(dice)},
        {"lost_page"},
        4,
    ),
    "growth in front": (grows("front"), set(), 3),
    "growth at the end": (grows("end"), set(), 3),
    "growth anywhere": (grows("anywhere"), set(), 3),
    "servers that are behind": (
        lambda dice: {
            "is_newest_first": dice.random() < 0.5,
            "behind": dice.choice([1, 5, 10, 25]),
            "is_behind": lambda _: dice.random() < 0.3,
        },
        set(),
        5,
    ),
}


@pytest.mark.parametrize("trouble", TROUBLES)
@quickly
@given(
    seed=seeds,
    length=lengths,
    ahead=st.integers(0, 6),
    stop=st.integers(1, 60),
    past_end=past_ends,
)
def test_what_stays_in_a_list_arrives_in_a_read_and_one_that_is_resumed(
    *, trouble: str, seed: int, length: int, ahead: int, stop: int, past_end: int
) -> None:
    dice = Random(seed)
    happens, causes, often = TROUBLES[trouble]
    served = MovingList(old(length), past_end=past_end, **happens(dice))
    reading = Reading(served, ahead=ahead, dice=dice, stop=stop)
    assert reading.cause in {"", *causes}
    assert reading.cause or served.always <= {*reading.ids}
    # Nothing comes twice, but what a resumed read no longer knows.
    assert stop < len(reading.states) or len(reading.ids) == len({*reading.ids})
    assert reading.requests <= often * (len(served.ids) // 10 + 6) + ahead


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
    reading = Reading(served)
    assert is_whole(served, reading)
    # The newest record may be missed, which the total tells.
    assert {name for name, _ in reading.warnings} <= {"short_list"}
    assert reading.requests <= 120


@pytest.mark.parametrize("length", [1050, 1100])
@pytest.mark.parametrize("wrong", [1, 2, 6, 10, 11])
@pytest.mark.parametrize("by", [1, -1, 40, -500])
def test_one_page_whose_total_is_wrong_for_ever_costs_no_record(
    length: int, wrong: int, by: int
) -> None:
    served = MovingList(old(length), total=lambda page, total: total + by * (page == wrong))
    reading = Reading(served, size=100)
    assert reading.cause in {"", "second_look", "fallen_total", "cut_off"}
    assert reading.cause or reading.ids == old(length)
    assert {name for name, _ in reading.warnings} <= {"short_list"}
    assert reading.requests <= 250


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
# On how many pages the total is told.
tells = pytest.mark.parametrize("told_on", [99, 0, 1], ids=["always", "never", "on the first page"])
pages_by = pytest.mark.parametrize("has_cursors", [False, True], ids=["numbers", "cursors"])


@tells
@pages_by
@pytest.mark.parametrize("damage", DAMAGES)
def test_damage_that_passes_is_outlived_at_every_request(
    *, damage: Damage, told_on: int, has_cursors: bool
) -> None:
    for length in (9, 35, 40):
        for at in range(1, 6):
            served = MovingList(
                old(length),
                has_cursors=has_cursors,
                total=lambda page, total: total if page <= told_on else None,
                damage=damage,
                damaged=[at],
            )
            reading = Reading(served)
            assert (reading.ids, reading.cause, reading.warnings) == (old(length), "", [])
            assert reading.requests <= length // 10 + 4


@pytest.mark.parametrize("damage", DAMAGES)
def test_damage_that_passes_is_outlived_while_pages_are_read_again(damage: Damage) -> None:
    for at in range(6, 12):
        served = MovingList(
            old(100),
            move=lambda it: it.remove(0, 9 * (len(it.requests) == 5)),
            damage=damage,
            damaged=[at],
        )
        assert is_whole(served, Reading(served))


@tells
@pages_by
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
def test_damage_that_stays_ends_in_its_sentence(
    *, damage: Damage, cause: str, told_on: int, has_cursors: bool
) -> None:
    for at in range(1, 8):
        served = MovingList(
            old(200),
            has_cursors=has_cursors,
            total=lambda page, total: total if page <= max(1, told_on) else None,
            damage=damage,
            damaged=range(at, 1_000),
        )
        reading = Reading(served)
        assert reading.cause == cause
        assert cause != "cut_off" or reading.details["total"] == 200
        assert reading.requests <= 25


@quickly
@given(
    seed=seeds,
    length=st.integers(1, 300),
    at=st.integers(1, 30),
    damage=st.sampled_from([ended, cut, emptied, misnumbered, unlinked, no_list]),
    often=st.sampled_from([0.0, 0.1, 0.3]),
    ahead=st.integers(0, 4),
)
def test_damage_that_stays_in_a_list_that_moves_never_costs_a_page(
    seed: int, length: int, at: int, damage: Damage, often: float, ahead: int
) -> None:
    """A read that ends is short by less than a page, which a key may not be allowed to see."""
    dice = Random(seed)
    served = MovingList(
        old(length), move=removals(dice, often, 1), damage=damage, damaged=range(at, 10_000)
    )
    reading = Reading(served, ahead=ahead, dice=dice)
    assert reading.cause in {"", "cut_off", "wrong_page", "unexpected_document", "second_look"}
    assert reading.cause or len(served.always - {*reading.ids}) < 10


@pytest.mark.parametrize("size", [500, 100, 10])
@quickly
@given(seed=seeds, ahead=st.integers(0, 3), stop=st.integers(1, 5), data=st.data())
def test_a_page_that_times_out_is_read_in_tenths_and_the_others_are_full(
    size: int, seed: int, ahead: int, stop: int, data: st.DataObject
) -> None:
    length = data.draw(st.integers(1, 3 * size + 1))
    dice, often = Random(seed), data.draw(st.sampled_from([0.0, 0.02]))
    served = MovingList(
        old(length),
        link=data.draw(st.sampled_from([{}, {"x": "y z"}])),
        heavy=f"old{data.draw(st.integers(0, length - 1))}",
        largest=data.draw(st.sampled_from([size // 10, 1 + (size == 500) * 4])),
        move=removals(dice, often, 1),
    )
    reading = Reading(served, size=size, ahead=ahead, dice=dice, stop=stop)
    if reading.cause:
        # The fall came with the last attempt.
        assert (reading.cause, often) == ("second_look", 0.02)
    else:
        assert served.always <= {*reading.ids}
    # Six attempts at each size, ten tenths each, and what a resumed read asks for once more.
    assert often or reading.requests <= 4 + 3 * (6 + 10) + 6
