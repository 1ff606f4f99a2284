"""`make try` without make, in a terminal: what a person sees, and what it leaves."""

import json
import os
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

import duckdb
import pytest
from rich.cells import cell_len

from integration_tests.connector import Connector
from integration_tests.terminal import Terminal
from sandbox import EVERY_ROLE, LISTS, Reply, Request, Sandbox
from tools.tour.answers import QUESTIONS, ask
from tools.tour.database import Database

PROJECT = Path(__file__).parents[1]

pytestmark = pytest.mark.xdist_group("tour")

TYPES = {
    "string": "VARCHAR",
    "integer": "BIGINT",
    "number": "DOUBLE",
    "boolean": "BOOLEAN",
    "array": "JSON",
    "object": "JSON",
}


class Tour:
    """Runs tours of one account into one folder."""

    def __init__(self, folder: Path, sandbox: Sandbox, key: str | None = None) -> None:
        self.into = folder / "try"
        self.database = self.into / "kustomer.duckdb"
        self._config, self._url = folder / "config.json", sandbox.url
        self._config.write_text(json.dumps({"org_name": "acme", "api_key": key or sandbox.key}))

    def start(self) -> Terminal:
        """Start one in a terminal."""
        options = "--config", str(self._config), "--into", str(self.into)
        command = [sys.executable, "-m", "tools.tour", *options]
        return Terminal(command, {"KUSTOMER_API_URL": self._url})

    def run(self) -> Terminal:
        """Run one to its end."""
        terminal = self.start()
        assert terminal.finish() == 0, terminal.text
        return terminal

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """Query the database."""
        with Database(self.database, read_only=True) as database:
            return database.connection.execute(query).fetchall()

    def answer(self, file: str) -> list[tuple[Any, ...]]:
        """Ask one of the questions."""
        (question,) = [q for q in QUESTIONS if q.file == file]
        with Database(self.database, read_only=True) as database:
            return [*ask(database.connection, question).rows]


def run_module(
    name: str, *options: str | Path, url: str = "", text: str = ""
) -> "subprocess.CompletedProcess[str]":
    """Run a module to its end, without a terminal."""
    return subprocess.run(
        [sys.executable, "-m", name, *options],
        input=text,
        env={**os.environ, "KUSTOMER_API_URL": url},
        capture_output=True,
        text=True,
        timeout=60,
        cwd=PROJECT,
        check=False,
    )


@pytest.fixture(scope="module")
def organization() -> Iterator[Sandbox]:
    """A small organization."""
    with Sandbox(customers=350, conversations=250) as sandbox:
        yield sandbox


@pytest.fixture(scope="module")
def tour(tmp_path_factory: pytest.TempPathFactory, organization: Sandbox) -> Tour:
    """Its tour."""
    return Tour(tmp_path_factory.mktemp("tour"), organization)


@pytest.fixture(scope="module")
def screen(tour: Tour) -> Terminal:
    """What a person saw of it."""
    return tour.run()


def attributes(sandbox: Sandbox, name: str) -> list[dict[str, Any]]:
    return [resource["attributes"] for resource in sandbox.lists[name]]


def names(sandbox: Sandbox, name: str) -> dict[str, str]:
    return {resource["id"]: resource["attributes"]["name"] for resource in sandbox.lists[name]}


def pages(sandbox: Sandbox, name: str) -> list[int]:
    """The pages that were read, without what only counts them."""
    return [request.page for request in sandbox.of(name) if request.params["pageSize"] != "1"]


def test_the_account_and_what_a_read_takes_are_said_before_it_begins(
    screen: Terminal, organization: Sandbox
) -> None:
    before, _, _ = " ".join(screen.lines).partition("$ source-kustomer read")
    assert f"The account of acme, at {organization.url}." in before
    assert f"The key may read {', '.join(LISTS)}." in before
    # Four pages of customers, three of conversations, one of each other list.
    assert "All of it takes about 11 requests: 1 s at 80 % of the organization's limit" in before


def test_each_command_each_table_and_each_answer_is_shown(
    screen: Terminal, organization: Sandbox
) -> None:
    for command in ("check", "discover", "read"):
        assert f"$ source-kustomer {command} --config config.json" in screen.text
    for name, count in organization.counts().items():
        assert any(line.split()[:2] == [name, f"{count:,}"] for line in screen.lines)
    for question in QUESTIONS:
        assert f"docs/queries/{question.file}" in screen.text
    assert "\u2588\u2588" in screen.text


def test_nothing_is_wider_than_the_terminal(screen: Terminal) -> None:
    assert [line for line in screen.lines if cell_len(line) > 80] == []


def test_what_is_left_is_for_its_owner_only(tour: Tour, screen: Terminal) -> None:
    assert {path.name for path in tour.into.iterdir()} == {
        "catalog.json",
        "kustomer.duckdb",
        "report.html",
    }
    assert all(path.stat().st_mode & 0o077 == 0 for path in [tour.into, *tour.into.iterdir()])


def test_each_column_has_the_type_that_discover_declared(tour: Tour, screen: Terminal) -> None:
    catalog = json.loads((tour.into / "catalog.json").read_text())
    declared = {}
    for stream in (configured["stream"] for configured in catalog["streams"]):
        for column, schema in stream["json_schema"]["properties"].items():
            (kind,) = (
                {schema["type"]}
                if isinstance(schema["type"], str)
                else {*schema["type"]} - {"null"}
            )
            zoned = "TIMESTAMP WITH TIME ZONE"
            declared[stream["name"], column] = zoned if "format" in schema else TYPES[kind]
        declared[stream["name"], "_airbyte_extracted_at"] = zoned
    found = tour.rows("SELECT table_name, column_name, data_type FROM information_schema.columns")
    assert {(table, column): kind for table, column, kind in found} == declared
    assert declared["customers", "custom_lifetimeValueNum"] == "DOUBLE"


def test_values_arrive_as_they_are_in_the_account(
    tour: Tour, screen: Terminal, organization: Sandbox
) -> None:
    found = tour.rows(
        "SELECT id, strftime(createdAt, '%Y-%m-%dT%H:%M:%S.%gZ'), custom_lifetimeValueNum, "
        "custom_isVipBool, CAST(tags AS varchar) FROM customers"
    )
    assert {(i, at, worth, vip, (*json.loads(tags),)) for i, at, worth, vip, tags in found} == {
        (
            customer["id"],
            customer["attributes"]["createdAt"],
            float(customer["attributes"]["custom"]["lifetimeValueNum"]),
            customer["attributes"]["custom"]["isVipBool"],
            (*customer["attributes"]["tags"],),
        )
        for customer in organization.lists["customers"]
    }


def test_open_conversations_are_those_of_each_team(
    tour: Tour, screen: Terminal, organization: Sandbox
) -> None:
    teams = names(organization, "teams")
    expected = Counter(
        team
        for conversation in attributes(organization, "conversations")
        if conversation["status"] == "open"
        for team in [teams[i] for i in conversation["assignedTeams"]] or ["(no team)"]
    )
    rows = tour.answer("01_open_conversations_by_team_and_tag.sql")
    assert dict(rows) == expected


def test_the_first_response_is_that_of_each_brand(
    tour: Tour, screen: Terminal, organization: Sandbox
) -> None:
    brands = names(organization, "brands")
    waited: dict[str, list[float]] = {}
    for resource in organization.lists["conversations"]:
        seen = resource["attributes"]
        if seen["direction"] == "in" and "responseTime" in seen["firstResponse"]:
            brand = brands[resource["relationships"]["brand"]["data"]["id"]]
            waited.setdefault(brand, []).append(seen["firstResponse"]["responseTime"] / 60_000)
    rows = tour.answer("02_first_response_time_by_brand.sql")
    assert {brand: count for brand, _, count, *_ in rows} == {
        brand: len(times) for brand, times in waited.items()
    }
    # The answer has one decimal.
    for brand, _, _, half, _ in rows:
        assert abs(float(half) - median(waited[brand])) <= 0.05 + 1e-9


def test_customers_are_those_of_each_tier(
    tour: Tour, screen: Terminal, organization: Sandbox
) -> None:
    expected = Counter(
        customer["custom"]["loyaltyTierStr"] for customer in attributes(organization, "customers")
    )
    rows = tour.answer("03_customers_by_loyalty_tier.sql")
    assert {tier: count for tier, count, *_ in rows} == expected


def test_the_load_is_that_of_each_agent(
    tour: Tour, screen: Terminal, organization: Sandbox
) -> None:
    expected = {
        user["attributes"]["displayName"]: tuple(
            sum(
                conversation["status"] == status and user["id"] in conversation["assignedUsers"]
                for conversation in attributes(organization, "conversations")
            )
            for status in ("open", "snoozed", "done")
        )
        for user in organization.lists["users"]
        if user["attributes"]["userType"] == "user"
    }
    rows = tour.answer("04_load_of_agents.sql")
    assert {agent: tuple(counts) for agent, *counts in rows} == expected


def test_a_tour_that_is_interrupted_goes_on_where_it_stopped(tmp_path: Path) -> None:
    with Sandbox(customers=300, conversations=2500) as sandbox:
        slow = True

        @sandbox.before
        def hold(request: Request) -> Reply | None:
            late = request.path == "/v1/conversations" and request.page > 22
            return Reply(hang=60) if slow and late and request.params["pageSize"] != "1" else None

        tour = Tour(tmp_path, sandbox)
        terminal = tour.start()
        terminal.wait_for(r"conversations +\S+ +2,000 records")
        terminal.press("\x03")
        assert terminal.finish() == 130
        (kept,) = tour.rows("SELECT count(*) FROM conversations")[0]
        assert "the next `make try` reads the rest" in " ".join(terminal.lines)
        assert kept >= 2000

        slow = False
        sandbox.requests.clear()
        terminal = tour.run()
        assert "The last read was not finished: this goes on from there." in terminal.text
        assert pages(sandbox, "customers") == []
        assert min(pages(sandbox, "conversations")) >= kept // 100
        assert not (tour.into / "unfinished.json").exists()
        for name, count in sandbox.counts().items():
            assert tour.rows(f"SELECT count(*), count(DISTINCT id) FROM {name}") == [(count, count)]

        sandbox.requests.clear()
        tour.run()
        assert set(pages(sandbox, "customers")) == {1, 2, 3}


@pytest.fixture
def closed(tmp_path: Path) -> Iterator[Tour]:
    """A tour with a key that may read neither teams nor metadata, of customers without a tier."""
    with Sandbox(customers=20, conversations=20) as sandbox:
        for customer in attributes(sandbox, "customers"):
            del customer["custom"]["loyaltyTierStr"]
        roles = [role for role in EVERY_ROLE if "team" not in role and "metadata" not in role]
        yield Tour(tmp_path, sandbox, sandbox.add_key(roles=tuple(roles)))


def test_what_the_key_may_not_read_and_what_cannot_be_answered_is_said_in_a_line(
    closed: Tour,
) -> None:
    said = " ".join(closed.run().text.split())
    assert "The key may read customers, conversations, users, tags, brands." in said
    assert "The API key may not read teams: it lacks the role org.permission.team.read" in said
    assert "There is no table teams: this key may not read it." in said
    assert "There is no column custom_loyaltyTierStr here" in said
    with pytest.raises(duckdb.CatalogException):
        closed.rows("SELECT 1 FROM teams")
    page = (closed.into / "report.html").read_text()
    assert "org.permission.team.read" in page
    assert "There is no table teams" in page


def test_a_second_tour_waits_for_the_first_one(tmp_path: Path) -> None:
    with Sandbox(customers=300, conversations=0) as sandbox:
        waits = threading.Event()

        @sandbox.before
        def hold(request: Request) -> None:
            if request.path == "/v1/customers" and request.params["pageSize"] != "1":
                waits.wait(60)

        tour = Tour(tmp_path, sandbox)
        first = tour.start()
        first.wait_for(r"\$ source-kustomer read")
        second = tour.start()
        assert second.finish() == 1
        assert "Another `make try` writes to" in " ".join(second.lines)
        waits.set()
        assert first.finish() == 0
        assert tour.rows("SELECT count(*) FROM customers") == [(300,)]


def test_what_is_missing_after_a_failure_is_said_on_the_page(tmp_path: Path) -> None:
    with Sandbox(customers=300, conversations=120) as sandbox:

        @sandbox.before
        def fail(request: Request) -> Reply | None:
            is_page = request.path == "/v1/conversations" and request.page == 2
            return Reply(402, "{}") if is_page and request.params["pageSize"] != "1" else None

        tour = Tour(tmp_path, sandbox)
        terminal = tour.start()
        assert terminal.finish() == 1
    page = (tour.into / "report.html").read_text()
    assert "Not everything arrived" in page
    refusals = page.partition("What this key may not read")[2].partition("</section>")[0]
    assert "the key may read all six lists" in refusals


CONFIGURATIONS = {
    "not JSON": ("{'org_name': 'acme'}", "is not JSON"),
    "a list": ("[]", "is not a JSON object"),
    "no key": ('{"org_name": "acme"}', "The API key (api_key) is missing."),
    "no name": ('{"org_name": " ", "api_key": "a-key-of-acme"}', "The organization name is empty."),
}


@pytest.mark.parametrize(("text", "words"), CONFIGURATIONS.values(), ids=CONFIGURATIONS)
def test_a_configuration_that_cannot_be_used_is_a_sentence(
    tmp_path: Path, text: str, words: str
) -> None:
    (tmp_path / "config.json").write_text(text)
    for command in ("tools.tour", "tools.contract"):
        done = run_module(command, "--config", tmp_path / "config.json")
        assert done.returncode in {1, 2}
        assert not done.stderr
        assert words in " ".join(done.stdout.split())


@pytest.mark.parametrize("command", ["tools.tour", "tools.contract"])
def test_a_folder_that_cannot_be_written_to_is_a_sentence(tmp_path: Path, command: str) -> None:
    (tmp_path / "file").write_text("")
    into = str(tmp_path / "file" / "within")
    with Sandbox(customers=1, conversations=1) as sandbox:
        Tour(tmp_path, sandbox)
        option = "--into" if command == "tools.tour" else "--report"
        config = tmp_path / "config.json"
        done = run_module(command, "--config", config, option, into, url=sandbox.url)
    assert done.returncode == 1
    assert not done.stderr
    assert "cannot be used: " in " ".join(done.stdout.split())


def test_a_key_that_does_not_work_ends_the_tour_in_a_sentence(tmp_path: Path) -> None:
    with Sandbox(customers=1, conversations=1) as sandbox:
        terminal = Tour(tmp_path, sandbox, key="wrong").start()
        assert terminal.finish() == 1
    assert "Traceback" not in terminal.text
    assert "API key" in terminal.text


def test_without_a_configuration_a_sandbox_is_read(tmp_path: Path) -> None:
    options = "--config", str(tmp_path / "none.json"), "--into", str(tmp_path / "try")
    terminal = Terminal([sys.executable, "-m", "tools.tour", *options])
    assert terminal.finish() == 0
    assert "A sandbox of Kustomer answers at http://127.0.0.1:" in terminal.text


def test_the_database_is_asked_with_the_command_that_the_tour_names(
    tour: Tour, screen: Terminal
) -> None:
    assert "make sql" in screen.text
    asked = Terminal([sys.executable, "-m", "tools.tour.sql", "--database", tour.database])
    asked.wait_for("kustomer>")
    asked.press("SELECT count(*) AS them\nFROM customers;\n")
    asked.wait_for(r"350(.|\s)+kustomer>")
    asked.press("SELECT * FROM brands;\n")
    # What is wider than the terminal is shown from top to bottom.
    asked.wait_for(r"record 3[\s\S]+createdAt +20[\s\S]+kustomer>")
    asked.press("SELECT nothing;\n")
    asked.wait_for(r"missing\s+kustomer>")
    asked.press("\x04")
    assert asked.finish() == 1


def test_all_statements_of_a_file_are_answered_and_no_column_is_left_out(
    tour: Tour, screen: Terminal
) -> None:
    statements = "SELECT 7 AS first; SELECT * FROM customers LIMIT 1;"
    done = run_module("tools.tour.sql", "--database", tour.database, text=statements)
    assert done.returncode == 0
    assert "first" in done.stdout
    for (column,) in tour.rows("SELECT column_name FROM (DESCRIBE customers)"):
        assert column in done.stdout


def test_the_catalog_that_a_clone_has_asks_for_all_streams(connector: Connector) -> None:
    catalog = Path(__file__).parents[1] / "secrets" / "catalog.json"
    result = connector.run("read", "--config", connector.config, "--catalog", str(catalog))
    assert result.code == 0
    assert set(result.counts) == set(LISTS)
