"""The four commands as processes against the sandbox: what arrives is what is there."""

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft7Validator, FormatChecker

from integration_tests.connector import SCRIPT, Connector
from sandbox import LISTS, Reply, Request, Sandbox

SNAPSHOTS = Path(__file__).parent / "snapshots"


def as_snapshot(name: str, value: object) -> tuple[str, str]:
    """Return a value's text and its snapshot's; a missing one is written, to be reviewed."""
    text = json.dumps(value, indent=2, ensure_ascii=False, sort_keys=True) + "\n"
    path = SNAPSHOTS / name
    if not path.exists():
        path.write_text(text)
    return text, path.read_text()


def test_spec_is_what_users_were_shown_before(connector: Connector) -> None:
    result = connector.run_script("spec")
    (spec,) = result.of_type("SPEC")
    assert result.code == 0
    now, before = as_snapshot("spec.json", spec)
    assert now == before


def test_discover_is_what_users_were_shown_before(connector: Connector) -> None:
    result = connector.discover()
    (catalog,) = result.of_type("CATALOG")
    assert result.code == 0
    assert [s["name"] for s in catalog["streams"]] == list(LISTS)
    for stream in catalog["streams"]:
        assert stream["supported_sync_modes"] == ["full_refresh"]
        assert stream["source_defined_primary_key"] == [["id"]]
        assert stream["is_resumable"]
    now, before = as_snapshot("catalog.json", catalog)
    assert now == before


def test_check_succeeds(connector: Connector) -> None:
    result = connector.check()
    assert result.code == 0
    assert result.of_type("CONNECTION_STATUS") == [{"status": "SUCCEEDED"}]
    assert not result.errors
    assert not result.stderr


def test_every_record_arrives_once_and_fits_its_schema(
    connector: Connector, sandbox: Sandbox
) -> None:
    catalog = connector.catalog()
    result = connector.run("read", "--config", connector.config, "--catalog", catalog)
    assert result.code == 0
    assert not result.stderr
    assert result.counts == sandbox.counts()
    for configured in json.loads(Path(catalog).read_text())["streams"]:
        stream = configured["stream"]
        records = result.records(stream["name"])
        assert [r["id"] for r in records] == [r["id"] for r in sandbox.lists[stream["name"]]]
        schema = stream["json_schema"] | {"additionalProperties": False}
        validator = Draft7Validator(schema, format_checker=FormatChecker())
        for record in records:
            validator.validate(record)
    statuses = [
        (t["stream_status"]["stream_descriptor"]["name"], t["stream_status"]["status"])
        for t in result.of_type("TRACE")
        if t["type"] == "STREAM_STATUS"
    ]
    assert statuses == [
        (name, status) for name in LISTS for status in ("STARTED", "RUNNING", "COMPLETE")
    ]


def test_records_can_be_joined(connector: Connector) -> None:
    result = connector.read("customers", "conversations", "teams", "users", "tags", "brands")
    ids = {name: {r["id"] for r in result.records(name)} for name in LISTS}
    for conversation in result.records("conversations"):
        assert conversation["customerId"] in ids["customers"]
        assert conversation["brandId"] in ids["brands"]
        assert set(conversation["assignedTeams"]) <= ids["teams"]
        assert set(conversation["assignedUsers"]) <= ids["users"]
        assert set(conversation["tags"]) <= ids["tags"]


def test_two_reads_give_the_same_records(connector: Connector) -> None:
    assert connector.read("users").records("users") == connector.read("users").records("users")


def test_names_in_every_script_arrive_where_the_locale_knows_none(connector: Connector) -> None:
    arguments = ("read", "--config", connector.config, "--catalog", connector.bare_catalog("users"))
    result = connector.run_script(*arguments, environment={"PYTHONIOENCODING": "ascii"})
    assert result.code == 0
    assert result.records("users") == connector.read("users").records("users")
    assert not all(record["name"].isascii() for record in result.records("users"))


def test_lines_stay_whole_where_python_is_told_not_to_buffer(connector: Connector) -> None:
    # A thread logs all the time, and whoever reads the messages is slower than the connector.
    logging_all_the_time = (
        "import logging, threading, time\n"
        "from source_kustomer.run import main\n"
        "def log():\n"
        "    while True:\n"
        "        logging.getLogger('airbyte').info('x' * 500)\n"
        "        time.sleep(0.001)\n"
        "threading.Thread(target=log, daemon=True).start()\n"
        "main()"
    )
    arguments = ["--config", connector.config, "--catalog", connector.bare_catalog("customers")]
    with subprocess.Popen(
        [sys.executable, "-c", logging_all_the_time, "read", *arguments],
        stdout=subprocess.PIPE,
        env={**connector.environment, "PYTHONUNBUFFERED": "1"},
    ) as process:
        assert process.stdout
        read = b""
        while chunk := os.read(process.stdout.fileno(), 8192):
            read += chunk
            time.sleep(0.001)
    messages = [json.loads(line) for line in read.splitlines()]
    assert process.returncode == 0
    assert sum(message["type"] == "RECORD" for message in messages) == 950
    assert sum(message["type"] == "LOG" for message in messages) > 100


@pytest.mark.parametrize("command", ["read", "--help"])
def test_a_full_disk_ends_it_in_a_sentence(connector: Connector, command: str) -> None:
    arguments = ["--config", connector.config, "--catalog", connector.bare_catalog("tags")]
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [SCRIPT, command, *arguments],
            stdout=full,
            stderr=subprocess.PIPE,
            env=connector.environment,
            text=True,
            timeout=60,
            check=False,
        )
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith("Cannot write messages to stdout: ")


def test_requests_carry_what_kustomer_asks_for(connector: Connector, sandbox: Sandbox) -> None:
    connector.read("customers", "users")
    for request in sandbox.requests:
        assert request.headers["authorization"] == f"Bearer {sandbox.key}"
        assert request.headers["accept"] == "application/json"
        assert re.fullmatch(r"airbyte-source-kustomer/\d+\.\d+\.\d+", request.headers["user-agent"])
    assert {r.params["pageSize"] for r in sandbox.of("customers")} == {"100"}
    assert {r.params["pageSize"] for r in sandbox.of("users")} == {"500"}


def test_a_state_follows_every_page_and_resumes_there(
    connector: Connector, sandbox: Sandbox
) -> None:
    result = connector.read("customers")
    states = result.states("customers")
    assert len(states) == 10
    assert states[-1] == {"__ab_full_refresh_sync_complete": True}
    sandbox.requests.clear()
    resumed = connector.read("customers", state={"customers": states[3]})
    assert sandbox.of("customers")[0].page == 5
    assert resumed.records("customers") == result.records("customers")[400:]


def test_what_has_no_column_is_kept(connector: Connector, sandbox: Sandbox) -> None:
    resource = sandbox.lists["customers"][0]
    resource["attributes"] |= {"brandNew": {"a": [1]}, "rev": {}, "name": "half an emoji \ud83d"}
    resource["meta"] = {"seen": 1}
    sandbox.before(
        lambda r: (
            Reply(
                body=json.dumps({"data": [resource], "meta": {"page": 1}, "links": {"next": None}})
            )
            if r.path == "/v1/customers"
            else None
        )
    )
    (record,) = connector.read("customers").records("customers")
    assert record["additionalAttributes"]["brandNew"] == {"a": [1]}
    assert record["additionalAttributes"]["rev"] == {}
    assert record.get("rev") is None
    assert record["additionalMembers"] == {"meta": {"seen": 1}}
    assert record["relationships"] == resource["relationships"]
    assert record["name"].startswith("half an emoji")


@pytest.fixture
def deep_recursion() -> Iterator[None]:
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(5000)
    yield
    sys.setrecursionlimit(before)


@pytest.mark.usefixtures("deep_recursion")
@pytest.mark.parametrize("depth", [400, 1010])
def test_what_is_nested_very_deeply_arrives_in_its_place(
    connector: Connector, sandbox: Sandbox, depth: int
) -> None:
    # Deeper than orjson writes, and not too deep for it to read.
    nested: list[Any] = []
    for _ in range(depth):
        nested = [nested]
    sandbox.lists["tags"][1]["attributes"]["nested"] = nested
    result = connector.read("tags")
    assert result.code == 0
    records = result.records("tags")
    assert [r["id"] for r in records] == [r["id"] for r in sandbox.lists["tags"]]
    assert records[1]["additionalAttributes"] == {"nested": nested}


def test_an_unknown_stream_is_an_error(connector: Connector) -> None:
    result = connector.read("tags", "invoices")
    assert result.code == 1
    assert result.counts["tags"] == 40
    assert "names 'invoices', which this connector does not have" in result.errors[0]["message"]


@pytest.mark.parametrize("command", ["check", "discover", "read"])
@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"api_key": "key"}, "organization name (org_name) is missing"),
        ({"org_name": "acme.evil.com", "api_key": "key"}, "such as acme for https://acme"),
        ({"org_name": "acme", "api_key": ["secret-in-a-list"]}, "API key (api_key) is missing"),
        ({"org_name": "acme", "api_key": "secret\nhalf"}, "copy the whole key"),
        ({"org_name": "acme", "api_key": "key", "rate_limit_share": 0}, "from 1 to 100"),
    ],
)
def test_bad_input_is_refused_in_a_sentence_before_any_request(
    connector: Connector, sandbox: Sandbox, command: str, config: dict[str, Any], words: str
) -> None:
    arguments = [command, "--config", connector.write("bad.json", config)]
    if command == "read":
        arguments += ["--catalog", connector.bare_catalog("tags")]
    result = connector.run(*arguments)
    if command == "check":
        (status,) = result.of_type("CONNECTION_STATUS")
        assert result.code == 0
        assert status["status"] == "FAILED"
        assert words in status["message"]
    else:
        assert result.code == 1
        (error,) = result.errors
        assert error["failure_type"] == "config_error"
        assert words in error["message"]
    assert "secret" not in result.stdout + result.stderr
    assert not result.stderr
    assert not sandbox.requests


@pytest.mark.parametrize(
    ("option", "content", "words"),
    [
        ("config", None, "cannot be opened"),
        ("config", "{", "is not JSON"),
        ("config", "[]", "not an Airbyte configuration"),
        ("catalog", None, "cannot be opened"),
        ("catalog", "{", "is not JSON"),
        ("catalog", '{"streams": [{"stream": 5}]}', "not an Airbyte catalog"),
        ("state", "}", "is not JSON"),
        ("state", '[{"type": "STREAM", "stream": 5}]', "not an Airbyte state"),
        ("state", '{"customers": {"page": 3}}', "not an Airbyte state"),
        ("state", '[{"type": "GLOBAL", "global": {}}]', "list of states of type STREAM"),
    ],
)
def test_a_file_that_cannot_be_used_is_named(
    connector: Connector, tmp_path: Path, option: str, content: str | None, words: str
) -> None:
    paths = {"config": connector.config, "catalog": connector.bare_catalog("tags")}
    bad = tmp_path / "bad.json"
    if content is not None:
        bad.write_text(content)
    paths[option] = str(bad)
    result = connector.run("read", *(w for o, p in paths.items() for w in (f"--{o}", p)))
    assert result.code == 1
    (error,) = result.errors
    assert words in error["message"]
    assert str(bad) in error["message"]
    assert not result.stderr


def test_hidden_options_of_the_cdk_do_no_harm(connector: Connector) -> None:
    config = {"org_name": "acme", "api_key": connector.key, "_limit": 5, "_page_size": 3}
    result = connector.run(
        "read",
        "--config",
        connector.write("hidden.json", config),
        "--catalog",
        connector.bare_catalog("tags"),
        timeout=60,
    )
    assert result.counts["tags"] == 40


def test_a_page_is_read_by_the_link_whatever_its_size(
    connector: Connector, sandbox: Sandbox
) -> None:
    @sandbox.before
    def clamp(request: Request) -> Reply | None:
        if request.path == "/v1/users" and request.params.get("pageSize") == "500":
            page = [{"id": str(n)} for n in range(10)]
            link = "/v1/users?page=2&pageSize=10"
            return Reply(body={"data": page, "links": {"next": link}, "meta": {"page": 1}})
        return None

    result = connector.read("users")
    assert result.code == 0
    # A page of another size than was asked for is looked at twice.
    assert [r.query for r in sandbox.of("users")][2] == "page=2&pageSize=10"
    assert len(result.records("users")) == 10 + 15
