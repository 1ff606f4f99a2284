"""The documentation's queries, on what was loaded into two databases from the sandbox."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from integration_tests.databases import (
    DATABASES,
    NewDatabase,
    NewSource,
    Rows,
    load,
    skip_without_pyairbyte,
)
from sandbox import Sandbox

skip_without_pyairbyte()

pytest_plugins = ["integration_tests.database_fixtures"]

pytestmark = [
    # PyAirbyte and what it builds upon warn of their own matters.
    pytest.mark.filterwarnings("ignore"),
    pytest.mark.xdist_group("databases"),
]

QUERIES = sorted((Path(__file__).parents[1] / "docs/queries").glob("*.sql"))

Answers = dict[str, Rows]

_LOADED = datetime(2026, 1, 1)  # noqa: DTZ001


@pytest.fixture(scope="module")
def organization() -> Iterator[Sandbox]:
    """An organization that has something of everything that is asked for."""
    with Sandbox(customers=300, conversations=250, today=_LOADED.date()) as sandbox:
        for number, conversation in enumerate(sandbox.lists["conversations"]):
            conversation["attributes"]["reopenFromDoneCount"] = number % 3
            conversation["attributes"]["deleted"] = number % 29 == 0
        for customer in sandbox.lists["customers"]:
            customer["attributes"]["lastSeenAt"] = customer["attributes"]["updatedAt"]
        sandbox.lists["customers"][0]["attributes"]["custom"]["loyaltyTierStr"] = None
        yield sandbox


@pytest.fixture(scope="module")
def answers(
    organization: Sandbox, new_source: NewSource, new_database: NewDatabase
) -> dict[str, Answers]:
    """What each database answers to each query, loaded with all six streams."""
    source = new_source("process", organization)
    found = {}
    for name in DATABASES:
        database = new_database(name)
        load(source, database)
        # What is asked about the last days counts from here, in both databases.
        for table in ("customers", "conversations"):
            database.rows(f"UPDATE {table} SET _airbyte_extracted_at = '{_LOADED}' RETURNING id")
        found[name] = {path.stem: database.rows(path.read_text()) for path in QUERIES}
    return found


@pytest.fixture
def answered(answers: dict[str, Answers]) -> Answers:
    """What one of them answers; the other answers the same."""
    return answers["postgresql"]


@pytest.mark.parametrize("query", [path.stem for path in QUERIES])
def test_given_both_databases_when_asked_then_they_say_the_same_in_every_column(
    answers: dict[str, Answers], query: str
) -> None:
    found = answers["postgresql"][query]
    # Texts sort as each database is set up to, so that equal counts may come in another order.
    assert Counter(answers["duckdb"][query]) == Counter(found)
    columns = list(zip(*found, strict=True))
    assert columns
    for column in columns:
        assert any(value and not str(value).startswith("(no") for value in column)


@pytest.mark.parametrize(
    ("query", "lists", "none"),
    [
        ("01_open_conversations_by_team", ("teams", "assignedTeams"), "(no team)"),
        ("13_open_conversations_by_tag", ("tags", "tags"), "(no tag)"),
    ],
)
def test_given_teams_and_tags_when_asked_for_open_conversations_then_each_is_counted(
    answered: Answers, organization: Sandbox, query: str, lists: tuple[str, str], none: str
) -> None:
    table, attribute = lists
    called = {each["id"]: each["attributes"]["name"] for each in organization.lists[table]}
    expected = Counter(
        name
        for seen in attributes_of(organization, "conversations")
        if seen["status"] == "open" and not seen["deleted"]
        for name in [called[i] for i in seen[attribute]] or [none]
    )
    found = answered[query]
    assert dict(found) == expected
    assert len(found) == len(expected)


def test_given_loyalty_tiers_when_asked_then_customers_and_their_conversations_add_up(
    answered: Answers, organization: Sandbox
) -> None:
    written = Counter(writers_of(organization))
    tiers: dict[str, list[int]] = {}
    for customer in organization.lists["customers"]:
        tier = customer["attributes"]["custom"]["loyaltyTierStr"] or "(none)"
        tiers.setdefault(tier, []).append(written[customer["id"]])
    expected = [
        (tier, len(counts), sum(map(bool, counts)), sum(counts)) for tier, counts in tiers.items()
    ]
    assert sorted(answered["03_customers_by_loyalty_tier"]) == sorted(expected)


def test_given_a_year_when_asked_by_week_then_what_opened_and_closed_is_the_backlog(
    answered: Answers, organization: Sandbox
) -> None:
    spans = [
        (instant(seen["createdAt"]), instant(seen["endedAt"] or "9999-01-01"))
        for seen in attributes_of(organization, "conversations")
        if not seen["deleted"]
    ]
    weeks = answered["10_opened_and_closed_by_week"]
    backlogs: dict[date, int] = dict(answered["19_backlog_by_week"])
    # The last Monday before the first of January, which was a Thursday.
    assert [weeks[-1][0], len(weeks), len(backlogs)] == [date(2025, 12, 22), 51, 52]
    for week, opened, closed in weeks:
        begin = datetime.combine(week, datetime.min.time())
        end = begin + timedelta(days=7)
        assert opened == sum(begin <= since < end for since, _ in spans)
        assert closed == sum(begin <= until < end for _, until in spans)
        assert backlogs[end.date()] == sum(since < end <= until for since, until in spans)
        assert backlogs[end.date()] == backlogs[week] + opened - closed


def test_given_first_responses_when_asked_how_long_they_took_then_each_is_in_its_range(
    answered: Answers, organization: Sandbox
) -> None:
    waits = [
        seen["firstResponse"]["responseTime"] / 60_000
        for seen in attributes_of(organization, "conversations")
        if seen["direction"] == "in" and seen["firstResponse"]
    ]
    found: dict[str, int] = dict(answered["21_how_long_customers_wait"])
    assert sum(found.values()) == len(waits)
    assert found["1 h"] == sum(30 < minutes <= 60 for minutes in waits)
    assert found["longer"] == sum(minutes > 4320 for minutes in waits)


def test_given_customers_who_write_when_asked_when_then_each_hour_has_its_number(
    answered: Answers, organization: Sandbox
) -> None:
    expected = Counter(
        f"{instant(seen['createdAt']):%a %H}"
        for seen in attributes_of(organization, "conversations")
        if seen["direction"] == "in"
    )
    found = answered["22_when_customers_write"]
    assert {f"{day} {hour:02}": number for day, hour, number in found if number} == expected
    assert len(found) == 7 * 24


def test_given_a_day_when_asked_for_new_ones_then_seven_days_are_counted_from_it(
    answered: Answers, organization: Sandbox
) -> None:
    for name, query in (
        ("conversations", "15_new_conversations"),
        ("customers", "18_new_customers"),
    ):
        ages = [
            (_LOADED - instant(seen["createdAt"])) / timedelta(days=7)
            for seen in attributes_of(organization, name)
            if seen["deleted"] is not True
        ]
        (counts,) = answered[query]
        assert counts == (sum(age <= 1 for age in ages), sum(1 < age <= 2 for age in ages))


def test_given_agents_when_asked_for_their_load_then_machines_and_deleted_ones_are_left_out(
    answered: Answers, organization: Sandbox
) -> None:
    expected = [
        (
            user["attributes"]["displayName"],
            *(
                sum(
                    conversation["status"] == status and not conversation["deleted"]
                    for conversation in attributes_of(organization, "conversations")
                    if user["id"] in conversation["assignedUsers"]
                )
                for status in ("open", "snoozed", "done")
            ),
        )
        for user in organization.lists["users"]
        if user["attributes"]["userType"] == "user"
    ]
    assert sorted(answered["04_load_of_agents"]) == sorted(expected)


def test_given_customers_when_asked_who_never_wrote_then_these_are_listed_newest_first(
    answered: Answers, organization: Sandbox
) -> None:
    writers = writers_of(organization)
    silent = [c["id"] for c in organization.lists["customers"] if c["id"] not in writers]
    found = answered["08_customers_without_conversations"]
    assert [row[-1] for row in found] == silent[::-1]


def test_given_customers_when_asked_for_new_ones_then_every_month_has_its_number(
    answered: Answers, organization: Sandbox
) -> None:
    expected = Counter(c["createdAt"][:7] for c in attributes_of(organization, "customers"))
    found = answered["20_new_customers_by_month"]
    assert [(f"{month:%Y-%m}", new) for month, new, _ in found] == sorted(expected.items())


def instant(text: str) -> datetime:
    return datetime.fromisoformat(text.removesuffix("Z"))


def writers_of(sandbox: Sandbox) -> list[str]:
    return [
        conversation["relationships"]["customer"]["data"]["id"]
        for conversation in sandbox.lists["conversations"]
    ]


def attributes_of(sandbox: Sandbox, name: str) -> list[dict[str, Any]]:
    return [resource["attributes"] for resource in sandbox.lists[name]]
