"""The sandbox's data: a year of a support desk, the same for the same seed and day."""

from collections import Counter
from datetime import date, datetime
from typing import Any

from sandbox.data import LISTS, World

DAY = date(2026, 3, 4)


def world(seed: int = 7, today: date = DAY, **sizes: int) -> World:
    made = World(seed, today)
    made.fill(**{"customers": 40, "users": 25, "teams": 6, "tags": 40, "brands": 3, **sizes})
    return made


def attributes(made: World, name: str) -> list[dict[str, Any]]:
    return [resource["attributes"] for resource in made.lists[name]]


def test_the_same_seed_and_day_make_the_same_data_and_others_do_not() -> None:
    lists = world(conversations=20).lists
    assert world(conversations=20).lists == lists
    assert world(conversations=20, seed=8).lists != lists
    assert world(conversations=20, today=date(2026, 3, 5)).lists != lists


def test_ids_and_times_ascend_to_the_day_and_on_with_what_is_made_later() -> None:
    made = world(conversations=400)
    for name in LISTS:
        before = made.lists[name]
        resources = [*before, *made.make(name, 3)]
        for values in (
            [resource["id"] for resource in resources],
            [resource["attributes"]["createdAt"] for resource in resources],
        ):
            assert values == sorted({*values})
        assert before[-1]["attributes"]["createdAt"] < DAY.isoformat()
    assert {c["createdAt"][:7] for c in attributes(made, "conversations")} >= {
        "2025-03",
        "2025-09",
        "2026-03",
    }


def test_conversations_come_at_work_and_old_ones_are_done() -> None:
    conversations = attributes(world(conversations=900), "conversations")
    times = [datetime.fromisoformat(c["createdAt"].removesuffix("Z")) for c in conversations]
    days = Counter(time.weekday() for time in times)
    assert min(days[day] for day in range(5)) > max(days[5], days[6])
    assert sum(8 <= time.hour < 20 for time in times) > 0.7 * len(times)
    done = [c["status"] == "done" for c in conversations]
    assert sum(done[:450]) > sum(done[450:]) > 300
    assert {c["status"] for c in conversations} == {"open", "snoozed", "done"}
    assert all(c["endedAt"] < DAY.isoformat() for c in conversations if c["ended"])
