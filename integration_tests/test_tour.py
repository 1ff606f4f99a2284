"""`make try` without make, in a terminal: what a person sees, and what it leaves."""

import json
import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest
from rich.cells import cell_len

from integration_tests.connector import Connector
from integration_tests.terminal import Terminal
from sandbox import EVERY_ROLE, LISTS, Reply, Request, Sandbox
from tools.tour.connector import merge

PROJECT = Path(__file__).parents[1]
PROGRAMS = Path(sys.executable).parent
TOUR = (sys.executable, "-m", "tools.tour")

pytestmark = pytest.mark.xdist_group("tour")


class Tour:
    """Runs tours of one account into one folder."""

    def __init__(self, folder: Path, sandbox: Sandbox, key: str | None = None) -> None:
        self.into = folder / "try"
        self.config, self._url = folder / "config.json", sandbox.url
        self.config.write_text(json.dumps({"org_name": "acme", "api_key": key or sandbox.key}))

    def start(self, *prefix: str, columns: int = 80, encoding: str = "utf-8") -> Terminal:
        """Start one in a terminal."""
        command = [*prefix, *TOUR, "--config", str(self.config), "--into", str(self.into)]
        environment = {"KUSTOMER_API_URL": self._url, "PYTHONIOENCODING": encoding}
        return Terminal(command, environment, columns)

    def run(self, code: int = 0, *prefix: str, **options: Any) -> Terminal:
        """Run one to its end."""
        terminal = self.start(*prefix, **options)
        assert terminal.finish() == code, terminal.text
        assert "Traceback" not in terminal.text
        return terminal

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """Query the database."""
        with duckdb.connect(self.into / "kustomer.duckdb") as connection:
            return connection.execute(query).fetchall()


def later_pages(sandbox: Sandbox) -> list[Reply]:
    """Return a list of what is replied to requests for later pages of conversations, if any."""
    replies: list[Reply] = []

    @sandbox.before
    def reply(request: Request) -> Reply | None:
        is_page = request.path == "/v1/conversations" and request.params["pageSize"] != "1"
        return replies[0] if replies and is_page and request.page > 1 else None

    return replies


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


def test_what_a_read_takes_and_what_arrived_is_said(
    screen: Terminal, organization: Sandbox
) -> None:
    said = " ".join(screen.lines)
    assert f"The account of acme, at {organization.url}." in said
    assert f"The key may read {', '.join(LISTS)}." in said
    # Four pages of customers, three of conversations, one of each other list.
    assert "All of it takes about 11 requests: 1 s at 80 % of the organization's limit" in said
    for name, count in organization.counts().items():
        assert any(line.split()[:2] == [name, f"{count:,}"] for line in screen.lines)
    assert "\u2588\u2588" in screen.text


def test_the_commands_on_the_screen_can_be_copied(screen: Terminal, organization: Sandbox) -> None:
    commands = [line for line in screen.lines if "source-kustomer " in line]
    assert [re.split(" ", line)[1] for line in commands] == ["check", "discover", "read"]
    environment = {**os.environ, "KUSTOMER_API_URL": organization.url}
    done = subprocess.run(
        commands[-1], shell=True, cwd=PROJECT, env=environment, capture_output=True, check=True
    )
    records = [line for line in done.stdout.splitlines() if b'"type":"RECORD"' in line]
    assert len(records) == sum(organization.counts().values())
    others = [line for line in screen.lines if line not in commands]
    assert [line for line in others if cell_len(line) > 80] == []


def test_a_narrow_terminal_that_is_not_utf_8_keeps_names_and_numbers(
    tmp_path: Path, organization: Sandbox
) -> None:
    terminal = Tour(tmp_path, organization).run(columns=40, encoding="latin-1")
    assert [
        line for line in terminal.lines if cell_len(line) > 40 and "source-kustomer" not in line
    ] == []
    for name, count in organization.counts().items():
        assert any(line.split()[:2] == [name, f"{count:,}"] for line in terminal.lines)
    tier = organization.lists["customers"][0]["attributes"]["custom"]["loyaltyTierStr"]
    assert tier in terminal.text


def test_all_but_the_catalog_is_for_its_owner_only(tour: Tour, screen: Terminal) -> None:
    modes = {path.name: oct(path.stat().st_mode & 0o777) for path in tour.into.iterdir()}
    private = dict.fromkeys(["kustomer.duckdb", "report.html"], "0o600")
    assert modes == {**private, "catalog.json": "0o644"}
    assert tour.into.stat().st_mode & 0o777 == 0o711


def test_values_arrive_as_they_are_in_the_types_that_discover_declared(
    tour: Tour, screen: Terminal, organization: Sandbox
) -> None:
    found = tour.rows("SELECT id, custom_lifetimeValueNum, custom_isVipBool, rev FROM customers")
    assert {*found} == {
        (
            customer["id"],
            float(customer["attributes"]["custom"]["lifetimeValueNum"]),
            customer["attributes"]["custom"]["isVipBool"],
            customer["attributes"]["rev"],
        )
        for customer in organization.lists["customers"]
    }
    kinds = dict(tour.rows("SELECT column_name, column_type FROM (DESCRIBE customers)"))
    typed = ("name", "rev", "custom", "createdAt")
    assert [kinds[c] for c in typed] == ["VARCHAR", "BIGINT", "JSON", "TIMESTAMP WITH TIME ZONE"]


def test_a_read_that_does_not_finish_leaves_what_was_there_and_one_that_does_what_is_ones_own(
    tmp_path: Path,
) -> None:
    with Sandbox(customers=300, conversations=200) as sandbox:
        tour = Tour(tmp_path, sandbox)
        tour.run()
        tour.rows("CREATE TABLE my_notes AS SELECT 'mine' AS note")
        tour.rows("CREATE VIEW names AS SELECT name FROM customers")
        page = (tour.into / "report.html").read_bytes()

        def assert_nothing_changed() -> None:
            assert tour.rows("SELECT count(*) FROM names") == [(300,)]
            assert tour.rows("SELECT count(*) FROM conversations") == [(200,)]
            assert tour.rows("FROM my_notes") == [("mine",)]
            assert (tour.into / "report.html").read_bytes() == page

        sandbox.insert("customers", 50)
        # No file grows beyond 256 KB, as on a disk that is full.
        full = tour.run(1, "sh", "-c", 'ulimit -f 512; exec "$@"', "sh")
        assert "write" in full.text or "cannot be used" in full.text
        assert_nothing_changed()

        replies = later_pages(sandbox)
        replies[:] = [Reply(402, "{}")]
        failed = tour.run(1)
        assert "are as the last whole read left them" in " ".join(failed.text.split())
        assert_nothing_changed()

        shutil.rmtree(tour.into / "unfinished")
        replies[:] = [Reply(hang=60)]
        terminal = tour.start()
        terminal.wait_for(r"conversations +\S+ +100 records")
        terminal.press("\x03")
        assert terminal.finish() == 130
        assert "the next `make try` reads the rest" in " ".join(terminal.lines)
        assert_nothing_changed()

        replies.clear()
        sandbox.requests.clear()
        assert "this goes on from there" in tour.run().text
        read = [r for r in sandbox.requests if r.params.get("pageSize", "1") != "1"]
        assert min(r.page for r in read if r.path == "/v1/conversations") == 2
        assert not any(r.path == "/v1/customers" for r in read)
        assert tour.rows("SELECT count(*) FROM names") == [(350,)]
        assert tour.rows("FROM my_notes") == [("mine",)]
        assert not (tour.into / "unfinished").exists()


def test_a_failure_of_the_first_read_is_said_on_the_page(tmp_path: Path) -> None:
    with Sandbox(customers=30, conversations=120) as sandbox:
        later_pages(sandbox).append(Reply(402, "{}"))
        tour = Tour(tmp_path, sandbox)
        tour.run(1)
    assert "Not everything arrived" in (tour.into / "report.html").read_text()
    assert tour.rows("SELECT count(*) FROM conversations") == [(100,)]


def test_what_the_key_may_not_read_and_what_is_waited_for_is_said(tmp_path: Path) -> None:
    with Sandbox(customers=20, conversations=20) as sandbox:
        waits = [Reply(503), Reply(503)]

        @sandbox.before
        def stumble(request: Request) -> Reply | None:
            is_page = request.path == "/v1/customers" and request.params["pageSize"] != "1"
            return waits.pop() if waits and is_page else None

        roles = [role for role in EVERY_ROLE if "team" not in role and "metadata" not in role]
        closed = Tour(tmp_path, sandbox, sandbox.add_key(roles=tuple(roles)))
        said = " ".join(closed.run().text.split())
    assert "The key may read customers, conversations, users, tags, brands." in said
    assert "may not read the teams list: it lacks the role org.permission.team.read" in said
    assert re.search(r"again in [\d.]+ s, attempt 3: .*503", said)
    assert closed.rows("SELECT * FROM duckdb_tables() WHERE table_name = 'teams'") == []
    page = (closed.into / "report.html").read_text()
    assert "org.permission.team.read" in page


def test_sentences_that_end_alike_are_one() -> None:
    key = "the roles of a key cannot be changed, so make a new key."
    refused = [f"{name} lacks the role {name}.read; {key}" for name in "ab"]
    assert merge([*refused, "Something else."]) == [
        f"a lacks the role a.read; b lacks the role b.read; {key}",
        "Something else.",
    ]


def test_a_second_tour_ends_and_what_was_read_waits_for_a_database_that_is_open(
    tmp_path: Path,
) -> None:
    with Sandbox(customers=30, conversations=0) as sandbox:
        waits = threading.Event()

        @sandbox.before
        def wait(request: Request) -> None:
            if request.path == "/v1/customers" and request.params["pageSize"] != "1":
                waits.wait(60)

        tour = Tour(tmp_path, sandbox)
        first = tour.start()
        first.wait_for("source-kustomer read")
        assert "Another `make try` writes to" in " ".join(tour.run(1).lines)
        other = [str(PROGRAMS / "duckdb"), str(tour.into / "kustomer.duckdb")]
        with subprocess.Popen(other, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as shell:
            assert shell.stdin
            assert shell.stdout
            shell.stdin.write(b"SELECT 1;\n")
            shell.stdin.flush()
            shell.stdout.readline()
            waits.set()
            assert first.finish() == 1
            assert "Conflicting lock is held in" in " ".join(first.text.split())
            shell.stdin.close()
        read = len(sandbox.of("customers"))
        tour.run()
        assert [r.params["pageSize"] for r in sandbox.of("customers")[read:]] == ["1", "1"]
        assert tour.rows("SELECT count(*) FROM customers") == [(30,)]


CONFIGURATIONS = {
    "not JSON": ("{'org_name': 'acme'}", "is not JSON (Expecting property name enclosed in double"),
    "its place": ('{"org_name": "acme",\n "api_key": key}', "line 2 column 13"),
    "a list": ("[]", 'should look like {"org_name": "acme"'),
    "no key": ('{"org_name": "acme"}', "The API key (api_key) is missing"),
    "no name": (
        '{"org_name": " ", "api_key": "a-key-of-acme"}',
        "The organization name (org_name) is",
    ),
}


@pytest.mark.parametrize(("text", "words"), CONFIGURATIONS.values(), ids=CONFIGURATIONS)
def test_a_configuration_that_cannot_be_used_is_a_sentence(
    tmp_path: Path, text: str, words: str
) -> None:
    (tmp_path / "config.json").write_text(text)
    for command in ("tools.tour", "tools.contract"):
        done = run_module(command, "--config", tmp_path / "config.json")
        assert done.returncode in {1, 2}
        assert words in " ".join(done.stdout.split())


def run_module(
    name: str, *options: str | Path, url: str = ""
) -> "subprocess.CompletedProcess[str]":
    """Run a module to its end, without a terminal."""
    done = subprocess.run(
        [sys.executable, "-m", name, *options],
        env={**os.environ, "KUSTOMER_API_URL": url},
        capture_output=True,
        text=True,
        timeout=120,
        cwd=PROJECT,
        check=False,
    )
    assert not done.stderr
    return done


def test_an_address_or_a_folder_that_cannot_be_used_is_blamed_on_itself(tmp_path: Path) -> None:
    config = tmp_path / "config.json"
    config.write_text('{"org_name": "acme", "api_key": "a-key-of-acme"}')
    done = run_module("tools.tour", "--config", config, url="ftp://nowhere")
    assert done.stdout.startswith("The environment variable KUSTOMER_API_URL must be")
    for command, option in {"tools.tour": "--into", "tools.contract": "--report"}.items():
        done = run_module(
            command, "--config", config, option, config / "within", url="http://127.0.0.1:9"
        )
        assert done.returncode == 1
        if command == "tools.tour":
            assert "cannot be used: " in " ".join(done.stdout.split())


def test_a_key_that_does_not_work_ends_the_tour_in_a_sentence(tmp_path: Path) -> None:
    with Sandbox(customers=1, conversations=1) as sandbox:
        assert "API key" in Tour(tmp_path, sandbox, key="a-wrong-key").run(1).text


def test_without_a_configuration_a_sandbox_is_read_and_nothing_of_an_account_is_touched(
    tmp_path: Path,
) -> None:
    (tmp_path / "config.json.txt").write_text("{}")
    into = tmp_path / "try"
    into.mkdir()
    (into / "kustomer.duckdb").write_text("an account's")
    (into / "report.html").write_text("an account's")
    done = run_module("tools.tour", "--config", tmp_path / "config.json", "--into", into)
    assert done.returncode == 0
    assert "A sandbox of Kustomer answers at http://127.0.0.1:" in done.stdout
    # A terminal breaks long paths.
    assert "config.json.txtisnotread:nameitconfig.json." in "".join(done.stdout.split())
    assert (into / "kustomer.duckdb").read_text() == "an account's"
    assert (into / "report.html").read_text() == "an account's"
    assert (into / "sandbox" / "report.html").stat().st_size > 1000


def test_the_catalog_that_a_clone_has_asks_for_all_streams(connector: Connector) -> None:
    catalog = PROJECT / "secrets" / "catalog.json"
    result = connector.run("read", "--config", connector.config, "--catalog", str(catalog))
    assert result.code == 0
    assert set(result.counts) == set(LISTS)
