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
from tools.tour.account import read_config
from tools.tour.connector import Connector as Checked
from tools.tour.connector import TourError, merge

PROJECT = Path(__file__).parents[1]
PROGRAMS = Path(sys.executable).parent
TOUR = (sys.executable, "-m", "tools.tour")

pytestmark = pytest.mark.xdist_group("tour")


class Tour:
    """Runs tours of one account into one folder; `screen` is what a person saw of the last."""

    screen: Terminal

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
        self.screen = self.start(*prefix, **options)
        assert self.screen.finish() == code, self.screen.text
        assert "Traceback" not in self.screen.text
        return self.screen

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
    tour = Tour(tmp_path_factory.mktemp("tour"), organization)
    tour.run()
    return tour


def test_given_an_account_then_what_a_read_takes_and_what_arrived_is_said(
    tour: Tour, organization: Sandbox
) -> None:
    said = " ".join(tour.screen.lines)
    assert f"The account of acme, at {organization.url}." in said
    assert f"The key may read {', '.join(LISTS)}." in said
    # Four pages of customers, three of conversations, one of each other list.
    assert "All of it takes about 11 requests: 1 s at 80 % of the organization's limit" in said
    for name, count in organization.counts().items():
        assert any(line.split()[:2] == [name, f"{count:,}"] for line in tour.screen.lines)
    assert "\u2588\u2588" in tour.screen.text


def test_given_the_commands_on_the_screen_when_copied_then_they_run(
    tour: Tour, organization: Sandbox
) -> None:
    commands = [line for line in tour.screen.lines if "source-kustomer " in line]
    assert [re.split(" ", line)[1] for line in commands] == ["check", "discover", "read"]
    environment = {**os.environ, "KUSTOMER_API_URL": organization.url}
    done = subprocess.run(
        commands[-1], shell=True, cwd=PROJECT, env=environment, capture_output=True, check=True
    )
    records = [line for line in done.stdout.splitlines() if b'"type":"RECORD"' in line]
    assert len(records) == sum(organization.counts().values())
    others = [line for line in tour.screen.lines if line not in commands]
    assert [line for line in others if cell_len(line) > 80] == []


def test_given_a_tour_then_all_but_the_catalog_is_for_its_owner_only(tour: Tour) -> None:
    modes = {path.name: oct(path.stat().st_mode & 0o777) for path in tour.into.iterdir()}
    private = dict.fromkeys(["kustomer.duckdb", "report.html"], "0o600")
    assert modes == {**private, "catalog.json": "0o644"}
    assert tour.into.stat().st_mode & 0o777 == 0o711


def test_given_a_tour_then_values_have_the_types_that_discover_declared(
    tour: Tour, organization: Sandbox
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


def test_given_a_read_that_does_not_finish_then_what_was_there_stays_and_the_next_goes_on(
    tmp_path: Path,
) -> None:
    with Sandbox(customers=300, conversations=200) as sandbox:
        tour, replies = Tour(tmp_path, sandbox), later_pages(sandbox)

        # The first one leaves a part, and says so.
        replies[:] = [Reply(402, "{}")]
        tour.run(1)
        assert "Not everything arrived" in (tour.into / "report.html").read_text()
        assert tour.rows("SELECT count(*) FROM conversations") == [(100,)]

        replies.clear()
        sandbox.requests.clear()
        assert "this goes on from there" in tour.run().text
        read = [r for r in sandbox.requests if r.params.get("pageSize", "1") != "1"]
        assert min(r.page for r in read if r.path == "/v1/conversations") == 2
        assert not any(r.path == "/v1/customers" for r in read)
        assert not (tour.into / "unfinished").exists()
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
        tour.run()
        assert tour.rows("SELECT count(*) FROM names") == [(350,)]
        assert tour.rows("FROM my_notes") == [("mine",)]


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory, organization: Sandbox) -> Tour:
    """The tour of a key that lacks roles, in a narrow terminal, of a server that stumbles."""
    waits = [Reply(503), Reply(503)]

    @organization.before
    def stumble(request: Request) -> Reply | None:
        is_page = request.path == "/v1/customers" and request.params["pageSize"] != "1"
        return waits.pop() if waits and is_page else None

    roles = tuple(role for role in EVERY_ROLE if "team" not in role and "metadata" not in role)
    key = organization.add_key(roles=roles)
    tour = Tour(tmp_path_factory.mktemp("closed"), organization, key)
    tour.run(columns=40, encoding="latin-1")
    return tour


def test_given_a_narrow_terminal_that_is_not_utf_8_then_names_and_numbers_are_kept(
    closed: Tour, organization: Sandbox
) -> None:
    lines = [line for line in closed.screen.lines if "source-kustomer" not in line]
    assert [line for line in lines if cell_len(line) > 40] == []
    for name in {*LISTS} - {"teams"}:
        assert any(line.split()[:2] == [name, f"{organization.counts()[name]}"] for line in lines)
    tier = organization.lists["customers"][0]["attributes"]["custom"]["loyaltyTierStr"]
    assert tier in closed.screen.text


def test_given_a_key_without_roles_and_a_server_that_stumbles_then_the_tour_says_so(
    closed: Tour,
) -> None:
    said = " ".join(closed.screen.text.split())
    assert "The key may read customers, conversations, users, tags, brands." in said
    assert "may not read the teams list: it lacks the role org.permission.team.read" in said
    assert re.search(r"again in [\d.]+ s, attempt 3: .*503", said)
    assert closed.rows("SELECT * FROM duckdb_tables() WHERE table_name = 'teams'") == []
    assert "org.permission.team.read" in (closed.into / "report.html").read_text()


def test_given_a_wrong_key_when_checked_then_it_is_a_sentence(
    tmp_path: Path, organization: Sandbox
) -> None:
    config = Tour(tmp_path, organization, key="a-wrong-key").config
    environment = {**os.environ, "KUSTOMER_API_URL": organization.url}
    with pytest.raises(TourError, match="API key"):
        Checked([str(PROGRAMS / "source-kustomer")], config, environment, print).check()


def test_given_sentences_that_end_alike_then_they_are_one() -> None:
    key = "the roles of a key cannot be changed, so make a new key."
    refused = [f"{name} lacks the role {name}.read; {key}" for name in "ab"]
    assert merge([*refused, "Something else."]) == [
        f"a lacks the role a.read; b lacks the role b.read; {key}",
        "Something else.",
    ]


def test_given_a_tour_that_runs_then_a_second_ends_and_an_open_database_is_waited_for(
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


NAMED = '"org_name": "acme"'


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{'org_name': 'acme'}", "is not JSON (Expecting property name enclosed in double quotes"),
        (f'{{{NAMED},\n "api_key": key}}', "line 2 column 13"),
        ("[]", f"should look like {{{NAMED}"),
        (f"{{{NAMED}}}", "The API key (api_key) is missing"),
        ('{"org_name": " ", "api_key": "a-key-of-acme"}', "The organization name (org_name) is"),
    ],
)
def test_given_a_configuration_that_cannot_be_used_then_it_is_a_sentence(
    tmp_path: Path, text: str, words: str
) -> None:
    path = tmp_path / "config.json"
    path.write_text(text)
    with pytest.raises(TourError) as raised:
        read_config(path, {})
    assert str(path) in str(raised.value)
    assert words in str(raised.value)


def run(*options: str | Path, url: str = "") -> tuple[int, str]:
    """Run a tour to its end without a terminal; returns its exit code, and what it said."""
    done = subprocess.run(
        [*TOUR, *options],
        env={**os.environ, "KUSTOMER_API_URL": url},
        capture_output=True,
        text=True,
        timeout=120,
        cwd=PROJECT,
        check=False,
    )
    assert not done.stderr
    return done.returncode, " ".join(done.stdout.split())


def test_given_an_address_or_a_folder_that_cannot_be_used_then_it_is_blamed_on_itself(
    tmp_path: Path,
) -> None:
    config = tmp_path / "config.json"
    config.write_text('{"org_name": "acme", "api_key": "a-key-of-acme"}')
    code, said = run("--config", config, url="ftp://nowhere")
    assert (code, said[:41]) == (1, "The environment variable KUSTOMER_API_URL")
    code, said = run("--config", config, "--into", config / "within", url="http://127.0.0.1:9")
    assert code == 1
    assert "cannot be used: " in said


def test_given_no_configuration_then_a_sandbox_is_read_and_nothing_of_an_account_is_touched(
    tmp_path: Path,
) -> None:
    (tmp_path / "config.json.txt").write_text("{}")
    into = tmp_path / "try"
    into.mkdir()
    kept = [into / "kustomer.duckdb", into / "report.html"]
    for path in kept:
        path.write_text("an account's")
    code, said = run("--config", tmp_path / "config.json", "--into", into)
    assert code == 0
    assert "A sandbox of Kustomer answers at http://127.0.0.1:" in said
    # A terminal breaks long paths.
    assert "config.json.txtisnotread:nameitconfig.json." in said.replace(" ", "")
    assert [path.read_text() for path in kept] == ["an account's"] * 2
    assert (into / "sandbox" / "report.html").stat().st_size > 1000


def test_the_catalog_that_a_clone_has_asks_for_all_streams(connector: Connector) -> None:
    catalog = PROJECT / "secrets" / "catalog.json"
    result = connector.run("read", "--config", connector.config, "--catalog", str(catalog))
    assert result.code == 0
    assert set(result.counts) == set(LISTS)
