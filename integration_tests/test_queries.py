"""The documentation's queries, on what was loaded into two databases from the sandbox."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from decimal import ROUND_HALF_UP, Decimal
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

_LOADED = "TIMESTAMP '2026-01-01 00:00:00'"


@pytest.fixture(scope="module")
def organization() -> Iterator[Sandbox]:
    """An organization that has something of everything that is asked for."""
    with Sandbox(customers=300, conversations=250) as sandbox:
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
        # The age of a backlog is counted from here: both databases must have the same moment.
        database.rows(f"UPDATE conversations SET _airbyte_extracted_at = {_LOADED} RETURNING id")
        found[name] = {path.stem: database.rows(path.read_text()) for path in QUERIES}
    return found


def test_given_the_documentation_when_its_queries_are_counted_then_there_are_a_dozen() -> None:
    assert len(QUERIES) == 12


@pytest.mark.parametrize("query", [path.stem for path in QUERIES])
def test_given_both_databases_when_asked_then_they_answer_the_same(
    answers: dict[str, Answers], query: str
) -> None:
    # Texts sort as each database is set up to, so that equal counts may come in another order.
    assert Counter(answers["duckdb"][query]) == Counter(answers["postgresql"][query])


@pytest.mark.parametrize("query", [path.stem for path in QUERIES])
def test_given_an_organization_when_asked_then_every_column_of_the_answer_says_something(
    answers: dict[str, Answers], query: str
) -> None:
    columns = list(zip(*answers["postgresql"][query], strict=True))
    assert columns
    for column in columns:
        assert any(value and not str(value).startswith("(no") for value in column)


@pytest.mark.parametrize("database", DATABASES)
def test_given_teams_and_tags_when_asked_for_open_conversations_then_each_team_and_pair_is_counted(
    answers: dict[str, Answers], organization: Sandbox, database: str
) -> None:
    teams, tags = names(organization, "teams"), names(organization, "tags")
    open_ones = [
        ([teams[i] for i in seen["assignedTeams"]], [tags[i] for i in seen["tags"]])
        for seen in attributes_of(organization, "conversations")
        if seen["status"] == "open" and not seen["deleted"]
    ]
    expected = Counter(
        (team, tag)
        for its_teams, its_tags in open_ones
        for team in its_teams or ["(no team)"]
        for tag in ["(all)", *(its_tags or ["(no tag)"])]
    )
    found = answers[database]["01_open_conversations_by_team_and_tag"]
    assert {(team, tag): number for team, tag, number in found} == expected
    assert len(found) == len(expected)


@pytest.mark.parametrize("database", DATABASES)
def test_given_loyalty_tiers_when_asked_then_customers_and_their_worth_add_up(
    answers: dict[str, Answers], organization: Sandbox, database: str
) -> None:
    tiers: dict[str, list[Decimal]] = {}
    for customer in attributes_of(organization, "customers"):
        worth = Decimal(str(customer["custom"]["lifetimeValueNum"]))
        tiers.setdefault(customer["custom"]["loyaltyTierStr"] or "(none)", []).append(worth)
    cent = Decimal("0.01")
    expected = [
        (tier, len(worth), (total / len(worth)).quantize(cent, ROUND_HALF_UP), total)
        for tier, worth in tiers.items()
        for total in [sum(worth, Decimal(0))]
    ]
    assert sorted(answers[database]["03_customers_by_loyalty_tier"]) == sorted(expected)


@pytest.mark.parametrize("database", DATABASES)
def test_given_agents_when_asked_for_their_load_then_machines_and_deleted_ones_are_left_out(
    answers: dict[str, Answers], organization: Sandbox, database: str
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
    assert sorted(answers[database]["04_load_of_agents"]) == sorted(expected)


@pytest.mark.parametrize("database", DATABASES)
def test_given_customers_when_asked_who_never_wrote_then_these_are_listed_newest_first(
    answers: dict[str, Answers], organization: Sandbox, database: str
) -> None:
    writers = {
        conversation["relationships"]["customer"]["data"]["id"]
        for conversation in organization.lists["conversations"]
    }
    silent = [c["id"] for c in organization.lists["customers"] if c["id"] not in writers]
    found = answers[database]["08_customers_without_conversations"]
    assert [row[0] for row in found] == silent[::-1]


@pytest.mark.parametrize("database", DATABASES)
def test_given_customers_when_asked_for_new_ones_then_every_month_has_its_number(
    answers: dict[str, Answers], organization: Sandbox, database: str
) -> None:
    expected = Counter(c["createdAt"][:7] for c in attributes_of(organization, "customers"))
    found = answers[database]["10_new_customers_by_month"]
    assert [(f"{month:%Y-%m}", new) for month, new, _ in found] == sorted(expected.items())


def attributes_of(sandbox: Sandbox, name: str) -> list[dict[str, Any]]:
    return [resource["attributes"] for resource in sandbox.lists[name]]


def names(sandbox: Sandbox, name: str) -> dict[str, str]:
    return {resource["id"]: resource["attributes"]["name"] for resource in sandbox.lists[name]}
