"""Whatever a list does while it is read, what stays in it arrives once, or the read fails.

By nature, a record can be missed where one is added and another removed between two responses, and
where records vanish from a list that tells no total. The strategies leave these out.
"""

from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from moving import DAMAGES, Move, MovingList, Reading, Total, told, true_total

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


def removals(often: float) -> Move:
    """Now and then up to four records vanish, from the front or anywhere."""

    def move(served: MovingList) -> None:
        dice = served.dice
        if served.ids and dice.random() < often:
            index = dice.choice([0, dice.randrange(len(served.ids))])
            served.remove(index, dice.randint(1, 4))

    return move


def additions(often: float, where: str) -> Move:
    """Now and then up to four records appear, at one end or anywhere."""

    def move(served: MovingList) -> None:
        dice = served.dice
        if dice.random() < often:
            length = len(served.ids)
            places = {"front": 0, "end": length, "anywhere": dice.randint(0, length)}
            served.add(places[where], dice.randint(1, 4))

    return move


def both(often: float) -> Move:
    vanish, appear = removals(often), additions(often, "anywhere")

    def move(served: MovingList) -> None:
        vanish(served)
        appear(served)

    return move


def behind(often: float, lacks: int) -> dict[str, Any]:
    return {"behind": lacks, "is_behind": lambda it: it.dice.random() < often}


def in_turn(first: int) -> dict[str, Any]:
    """Of two servers, one lacks the newest record; totals of 599, 600 and 599 are no fall."""
    return {"behind": 1, "is_behind": lambda it: len(it.requests) % 2 == first}


def told_on_each_third_page(page: int, total: int) -> object:
    return None if page % 3 and 1 < page < total / 10 else total


# With 150 reads each, and 300 where 2 % are added and removed, these are CONTRIBUTING's numbers.
READS = 40


@pytest.mark.parametrize(
    ("trouble", "ahead", "short", "requests"),
    [
        ({"move": removals(0.02)}, 0, 0, 31.8),
        ({"move": removals(0.02)}, 6, 0, 32.2),
        ({"move": removals(0.05)}, 6, 0, 35.8),
        ({"move": removals(0.2)}, 0, 0, 49.6),
        ({"move": removals(0.2)}, 6, 0, 56.7),
        ({"move": removals(0.5)}, 0, 0, 90.4),
        (behind(0.05, 1), 0, 0, 31.6),
        (behind(0.3, 25), 0, 0, 43.4),
        ({"move": both(0.02)}, 6, 2, 33.1),
        ({"move": both(0.05)}, 6, 10, 38.2),
        ({"move": both(0.05)}, 0, 2, 35.0),
    ],
)
def test_what_a_list_that_moves_costs_is_what_is_documented(
    trouble: dict[str, Any], ahead: int, short: int, requests: float
) -> None:
    whole = sent = 0
    for seed in range(READS):
        served = MovingList(old(300), dice=Random(seed), **trouble)
        reading = Reading(served, ahead=ahead, dice=served.dice)
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


# Each with the most requests for a page.
TROUBLES: dict[str, tuple[dict[str, Any], int]] = {
    "few removals": ({"move": removals(0.05)}, 4),
    "many removals": ({"move": removals(0.2)}, 20),
    "removals faster than pages": ({"move": removals(0.5)}, 20),
    "removals that are seldom told": (
        {"move": removals(0.05), "total": told_on_each_third_page},
        4,
    ),
    "growth in front": ({"move": additions(0.3, "front")}, 3),
    "growth at the end": ({"move": additions(0.3, "end")}, 3),
    "growth anywhere": ({"move": additions(0.3, "anywhere")}, 3),
    "servers that lack one": (behind(0.3, 1), 5),
    "servers that lack 25": (behind(0.3, 25), 5),
    "two servers, the first behind": (in_turn(1), 3),
    "two servers, the second behind": (in_turn(0), 3),
}


@pytest.mark.parametrize("name", TROUBLES)
@quickly
@given(
    seed=seeds,
    length=lengths,
    total=totals,
    ahead=st.integers(0, 6),
    stop=st.integers(1, 60),
    past_end=past_ends,
    newest=st.booleans(),
)
def test_what_stays_in_a_list_arrives_in_a_read_and_one_that_is_resumed(
    *, name: str, seed: int, length: int, total: Total, ahead: int, stop: int, past_end: int,
    newest: bool,
) -> None:  # fmt: skip
    (trouble, most), dice = TROUBLES[name], Random(seed)
    served = MovingList(
        old(length), past_end=past_end, is_newest_first=newest, dice=dice, **trouble
    )
    if "growth" in name:
        # A list that only grows need not tell a total.
        served.total = total
    if "seldom" in name:
        # A total that came ahead may be older than the page before it, which told none.
        ahead = 0
    reading = Reading(served, ahead=ahead, dice=dice, stop=stop)
    if reading.cause:
        assert reading.cause in {"second_look", "lost_page"}
        assert "removals" in name
    else:
        assert served.always <= {*reading.ids}
    # Nothing comes twice, but what a resumed read no longer knows.
    assert stop < len(reading.states) or len(reading.ids) == len({*reading.ids})
    assert reading.requests <= most * (len(served.ids) // 10 + 6) + ahead


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


pages_by = pytest.mark.parametrize("has_cursors", [False, True], ids=["numbers", "cursors"])


@pages_by
@pytest.mark.parametrize("told_on", [99, 0, 1], ids=["always", "never", "on the first page"])
@pytest.mark.parametrize("damage", DAMAGES)
def test_damage_that_passes_is_outlived_at_every_request(
    *, damage: str, told_on: int, has_cursors: bool
) -> None:
    for length in (9, 35, 40):
        for at in range(1, 6):
            served = MovingList(
                old(length),
                has_cursors=has_cursors,
                total=lambda page, total: total if page <= told_on else None,
                damage=DAMAGES[damage],
                damaged=[at],
            )
            reading = Reading(served)
            assert (reading.ids, reading.cause, reading.warnings) == (old(length), "", [])
            assert reading.requests <= length // 10 + 4


@pytest.mark.parametrize("damage", DAMAGES)
def test_damage_that_passes_is_outlived_while_pages_are_read_again(damage: str) -> None:
    for at in range(6, 12):
        served = MovingList(
            old(100),
            move=lambda it: it.remove(0, 9 * (len(it.requests) == 5)),
            damage=DAMAGES[damage],
            damaged=[at],
        )
        assert is_whole(served, Reading(served))


@pages_by
@pytest.mark.parametrize("told_on", [99, 1], ids=["always", "on the first page"])
@pytest.mark.parametrize(
    ("damage", "cause"),
    [
        ("cut", "cut_off"),
        ("emptied", "cut_off"),
        ("ended", "cut_off"),
        ("empty", "wrong_page"),
        ("no list", "unexpected_document"),
    ],
)
def test_damage_that_stays_ends_in_its_sentence(
    *, damage: str, cause: str, told_on: int, has_cursors: bool
) -> None:
    for at in range(1, 8):
        served = MovingList(
            old(200),
            has_cursors=has_cursors,
            total=lambda page, total: total if page <= told_on else None,
            damage=DAMAGES[damage],
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
    damage=st.sampled_from([name for name in DAMAGES if name not in {"short", "empty"}]),
    often=st.sampled_from([0.0, 0.1, 0.3]),
    ahead=st.integers(0, 4),
)
def test_damage_that_stays_in_a_list_that_moves_never_costs_a_page(
    seed: int, length: int, at: int, damage: str, often: float, ahead: int
) -> None:
    """A read that ends is short by less than a page, which a key may not be allowed to see."""
    served = MovingList(
        old(length),
        move=removals(often),
        damage=DAMAGES[damage],
        damaged=range(at, 10_000),
        dice=Random(seed),
    )
    reading = Reading(served, ahead=ahead, dice=served.dice)
    assert reading.cause in {"", "cut_off", "wrong_page", "unexpected_document", "second_look"}
    assert reading.cause or len(served.always - {*reading.ids}) < 10


@pytest.mark.parametrize("size", [500, 100, 10])
@quickly
@given(seed=seeds, ahead=st.integers(0, 3), stop=st.integers(1, 5), data=st.data())
def test_a_page_that_times_out_is_read_in_tenths_and_the_others_are_full(
    size: int, seed: int, ahead: int, stop: int, data: st.DataObject
) -> None:
    length = data.draw(st.integers(1, 3 * size + 1))
    often = data.draw(st.sampled_from([0.0, 0.02]))
    served = MovingList(
        old(length),
        link=data.draw(st.sampled_from([{}, {"x": "y z"}])),
        heavy=f"old{data.draw(st.integers(0, length - 1))}",
        largest=data.draw(st.sampled_from([size // 10, 1 + (size == 500) * 4])),
        move=removals(often),
        dice=Random(seed),
    )
    reading = Reading(served, size=size, ahead=ahead, dice=served.dice, stop=stop)
    if reading.cause:
        # The fall came with the last attempt.
        assert (reading.cause, often) == ("second_look", 0.02)
    else:
        assert served.always <= {*reading.ids}
    # Six attempts at each size, ten tenths each, and what a resumed read asks for once more.
    assert often or reading.requests <= 4 + 3 * (6 + 10) + 6
