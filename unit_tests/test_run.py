"""One command of the protocol from its command line to its messages, over a real socket."""

import gc
import json
import logging
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import pytest
from airbyte_cdk.entrypoint import AirbyteEntrypoint
from airbyte_cdk.models import AirbyteMessage, AirbyteRecordMessage, Type
from airbyte_cdk.utils.airbyte_secrets_utils import update_secrets
from fakes import KEY

from sandbox import Reply, Request, Sandbox
from source_kustomer import SourceKustomer
from source_kustomer.cli import parse
from source_kustomer.entrypoint import run
from source_kustomer.output import Output
from source_kustomer.timing import Timing

QUICK = Timing(backoff=0.01, longest_backoff=0.02)
STATUSES = ("STARTED", "RUNNING", "COMPLETE")

Message = dict[str, Any]


@dataclass
class Ran:
    """The exit code and the lines of a command, each of which is a message."""

    code: int
    lines: list[str]

    @property
    def messages(self) -> list[Message]:
        return [json.loads(line) for line in self.lines]

    def of(self, kind: str, member: str) -> list[Any]:
        return [m[member] for m in self.messages if m["type"] == kind]

    @property
    def errors(self) -> list[Message]:
        return [trace["error"] for trace in self.of("TRACE", "trace") if trace["type"] == "ERROR"]

    @property
    def statuses(self) -> list[Message]:
        return self.of("CONNECTION_STATUS", "connectionStatus")

    @property
    def logs(self) -> list[Message]:
        return self.of("LOG", "log")


Command = Callable[..., Ran]


@pytest.fixture
def command(tmp_path: Path) -> Iterator[Command]:
    """Run a command in this process, which is left as it was."""
    root, airbyte = logging.getLogger(), logging.getLogger("airbyte")
    handlers, level, raises = [*root.handlers], airbyte.level, logging.raiseExceptions
    threshold, limit, hook = gc.get_threshold(), sys.getrecursionlimit(), sys.excepthook

    def call(*arguments: str, timing: Timing = QUICK) -> Ran:
        with (tmp_path / "stdout").open("w+b") as stdout:
            code = run(parse([*arguments]), Output(stdout.fileno()), timing)
        written = (tmp_path / "stdout").read_text("utf-8")
        assert written.endswith("\n")
        return Ran(code, written.split("\n")[:-1])

    yield call
    root.handlers[:] = handlers
    airbyte.setLevel(level)
    logging.getLogger("airbyte.SourceKustomer").setLevel(logging.NOTSET)
    logging.raiseExceptions = raises
    gc.set_threshold(*threshold)
    sys.setrecursionlimit(limit)
    sys.excepthook = hook
    update_secrets([])


@pytest.fixture
def sandbox(monkeypatch: pytest.MonkeyPatch) -> Iterator[Sandbox]:
    with Sandbox(customers=250, conversations=5, users=3, tags=250) as it:
        monkeypatch.setenv("KUSTOMER_API_URL", it.url)
        yield it


@pytest.fixture
def files(tmp_path: Path, sandbox: Sandbox) -> Callable[..., list[str]]:
    """Write the files of a command and return the options that name them."""

    def write(*streams: str, state: object = None, **settings: object) -> list[str]:
        contents: dict[str, object] = {
            "config": {"org_name": "acme", "api_key": sandbox.key, **settings}
        }
        if streams:
            contents["catalog"] = {"streams": [configured(name) for name in streams]}
        if state is not None:
            contents["state"] = state
        options = []
        for name, content in contents.items():
            path = tmp_path / f"{name}.json"
            path.write_text(json.dumps(content))
            options += [f"--{name}", str(path)]
        return options

    return write


Files = Callable[..., list[str]]


def configured(name: str) -> Message:
    return {
        "stream": {"name": name, "json_schema": {}, "supported_sync_modes": ["full_refresh"]},
        "sync_mode": "full_refresh",
        "destination_sync_mode": "append",
    }


def test_spec_is_one_message_and_ends_well(command: Command) -> None:
    ran = command("spec")
    assert ran.code == 0
    (spec,) = ran.of("SPEC", "spec")
    assert spec["connectionSpecification"]["required"] == ["org_name", "api_key"]
    assert {message["type"] for message in ran.messages} <= {"SPEC", "LOG"}


def test_collections_of_garbage_are_rare_while_records_are_made(command: Command) -> None:
    command("spec")
    assert gc.get_threshold()[0] == 50_000


def test_check_ends_in_a_status_and_its_warnings_are_messages(
    command: Command, files: Files, sandbox: Sandbox
) -> None:
    key = sandbox.add_key(roles=("org.permission.tag.read",))
    ran = command("check", *files(api_key=key))
    assert ran.code == 0
    assert ran.statuses == [{"status": "SUCCEEDED"}]
    warnings = [log["message"] for log in ran.logs if log["level"] == "WARN"]
    named = [warning.partition(": ")[0] for warning in warnings]
    assert named == ["customers", "conversations", "users", "teams", "brands"]


def test_discover_is_one_catalog(command: Command, files: Files) -> None:
    ran = command("discover", *files())
    assert ran.code == 0
    (catalog,) = ran.of("CATALOG", "catalog")
    assert len(catalog["streams"]) == 6


def test_a_read_is_whole_and_its_states_count_its_records(
    command: Command, files: Files, sandbox: Sandbox
) -> None:
    ran = command("read", *files("customers", "tags"))
    assert ran.code == 0
    records = ran.of("RECORD", "record")
    for name in ("customers", "tags"):
        ids = [record["data"]["id"] for record in records if record["stream"] == name]
        assert ids == [resource["id"] for resource in sandbox.lists[name]]
    counted: Counter[str] = Counter()
    for state in ran.of("STATE", "state"):
        name = state["stream"]["stream_descriptor"]["name"]
        counted[name] += int(state["sourceStats"]["recordCount"])
    assert counted == Counter(record["stream"] for record in records)
    traces = [t["stream_status"] for t in ran.of("TRACE", "trace") if t["type"] == "STREAM_STATUS"]
    assert [(t["stream_descriptor"]["name"], t["status"]) for t in traces] == [
        (name, status) for name in ("customers", "tags") for status in STATUSES
    ]


NESTED: Any = "deep"
for _ in range(500):
    NESTED = [NESTED]
ODD = ["half", "Zoë 🌸", 2**64 - 1, [[1.5, True]], {"a\n": "b\u2028"}, {"null": None}, -0.0, 1e300]


def test_a_record_is_the_line_that_the_framework_would_write(
    command: Command, files: Files, sandbox: Sandbox
) -> None:
    for resource, value in zip(sandbox.lists["tags"], [*ODD, NESTED], strict=False):
        resource["attributes"]["odd"] = value
    sandbox.touch()
    ran = command("read", *files("tags"))
    records = ran.of("RECORD", "record")
    assert len(records) == 250
    for record in records:
        message = AirbyteMessage(Type.RECORD, record=AirbyteRecordMessage(**record))
        theirs = json.loads(AirbyteEntrypoint.airbyte_message_to_string(message))
        # The framework leaves out nulls, in which a column would keep what it held before.
        given = {k: v for k, v in record["data"].items() if v is not None}
        assert {**record, "data": given} == theirs["record"]
    kept = [record["data"]["additionalAttributes"]["odd"] for record in records[:9]]
    assert kept == [*ODD[:2], str(2**64 - 1), *ODD[3:], NESTED]


def test_what_is_null_in_a_record_is_written_as_null(
    command: Command, files: Files, sandbox: Sandbox
) -> None:
    sandbox.lists["brands"][0]["attributes"]["iconUrl"] = None
    sandbox.touch()
    first, *_ = command("read", *files("brands")).of("RECORD", "record")
    assert first["data"]["iconUrl"] is None


def test_at_debug_level_every_line_is_a_message_and_none_holds_the_key(
    command: Command, files: Files, sandbox: Sandbox
) -> None:
    for arguments in (["check", *files()], ["discover", *files()], ["read", *files("brands")]):
        ran = command(*arguments, "--debug")
        assert ran.code == 0
        assert {message["type"] for message in ran.messages} >= {"LOG"}
        assert "DEBUG" in {log["level"] for log in ran.logs}
        assert sandbox.key not in "".join(ran.lines)


def test_a_failed_stream_is_one_error_and_the_command_ends_with_1(
    command: Command, files: Files, sandbox: Sandbox
) -> None:
    sandbox.before(lambda r: sandbox.error(500, "x", "no") if r.path == "/v1/tags" else None)
    ran = command("read", *files("tags", "brands"))
    assert ran.code == 1
    (error,) = ran.errors
    assert error["internal_message"] == "server_failure"
    assert error["failure_type"] == "transient_error"
    assert error["message"].startswith("Kustomer's server failed with status 500")
    assert len(ran.of("RECORD", "record")) == 3
    assert not [log for log in ran.logs if "Traceback" in log["message"]]


def test_an_unknown_stream_is_one_error_that_names_it(command: Command, files: Files) -> None:
    ran = command("read", *files("companies", "brands"))
    assert ran.code == 1
    (error,) = ran.errors
    assert error["internal_message"] == "unknown_stream"
    assert "'companies'" in error["message"]
    assert len(ran.of("RECORD", "record")) == 3


def failing(sandbox: Sandbox, status: int) -> None:
    @sandbox.before
    def fail(_: Request) -> Reply:
        return sandbox.error(status, "x", "no")


@pytest.mark.parametrize(
    ("status", "cause", "failure_type"),
    [
        (401, "refused_key", "config_error"),
        (500, "server_failure", "transient_error"),
        (404, "unknown_organization", "config_error"),
        (413, "large_page", "system_error"),
    ],
)
def test_a_failed_check_has_a_status_with_the_sentence_and_one_error(
    command: Command, files: Files, sandbox: Sandbox, status: int, cause: str, failure_type: str
) -> None:
    failing(sandbox, status)
    ran = command("check", *files())
    (told,) = ran.statuses
    assert told["status"] == "FAILED"
    for error in ran.errors:
        assert error["internal_message"] == cause
        assert error["failure_type"] == failure_type
        assert error["message"] == told["message"]
    assert len(ran.errors) == 1


WRONG: dict[str, tuple[dict[str, object], str]] = {
    "name": ({"org_name": "acme.evil.com"}, "'acme.evil.com' is not the name of a Kustomer"),
    "no name": ({"org_name": None, "organization": "acme"}, "(org_name) is missing"),
    "key": ({"api_key": {"key": KEY}}, "The API key is not text"),
    "short key": ({"api_key": "k"}, "The API key is too short to be one"),
    "share": ({"rate_limit_share": KEY}, "must be a whole number from 1 to 100"),
}


@pytest.mark.parametrize(("wrong", "words"), WRONG.values(), ids=WRONG)
def test_a_wrong_configuration_is_a_failed_check_that_quotes_no_key(
    command: Command, files: Files, wrong: dict[str, object], words: str
) -> None:
    ran = command("check", *files(**wrong))
    (told,) = ran.statuses
    assert told["status"] == "FAILED"
    assert words in told["message"]
    assert KEY not in "".join(ran.lines)


@pytest.mark.parametrize("around", ["", " \n"], ids=["as it is", "with blanks"])
def test_the_key_is_masked_wherever_it_would_be_logged(
    command: Command, files: Files, sandbox: Sandbox, around: str
) -> None:
    words = f"{sandbox.key} is not a number of yours"
    sandbox.before(lambda r: sandbox.error(400, "x", words) if r.path == "/v1/tags" else None)
    path = "/v1/brands"
    sandbox.before(lambda r: Reply(200, {"data": sandbox.key}) if r.path == path else None)
    ran = command("read", *files("tags", "brands", api_key=f"{sandbox.key}{around}"), "--debug")
    assert len(ran.errors) == 2
    assert sandbox.key not in "".join(ran.lines)


@pytest.mark.parametrize("arguments", [["discover"], ["read", "tags"]], ids=" ".join)
def test_a_wrong_configuration_ends_other_commands_with_1(
    command: Command, files: Files, arguments: list[str]
) -> None:
    name, *streams = arguments
    ran = command(name, *files(*streams, org_name=""))
    assert ran.code == 1
    (error,) = ran.errors
    assert error["failure_type"] == "config_error"
    assert error["message"].startswith("The organization name is empty.")
    assert ran.statuses == []


def test_a_file_that_cannot_be_used_is_a_failed_check_too(command: Command, tmp_path: Path) -> None:
    ran = command("check", "--config", str(tmp_path / "missing.json"))
    assert ran.code == 1
    (error,) = ran.errors
    assert error["internal_message"] == "unusable_config"
    (told,) = ran.statuses
    assert told == {"status": "FAILED", "message": error["message"]}
    assert "cannot be opened (No such file or directory)" in told["message"]


@pytest.mark.parametrize("name", ["check", "discover"])
def test_a_mistake_of_our_own_asks_for_a_report_and_ends_with_1(
    command: Command, files: Files, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    def fail(*_: object) -> NoReturn:
        raise KeyError("oops")

    monkeypatch.setattr(SourceKustomer, name, fail)
    ran = command(name, *files())
    assert ran.code == 1
    (error,) = ran.errors
    assert error["failure_type"] == "system_error"
    assert error["message"].startswith("The connector failed in a way that it does not know: ")
    assert "KeyError" in error["stack_trace"]
    assert [told["status"] for told in ran.statuses] == ["FAILED"] * (name == "check")


def test_without_a_folder_for_temporary_files_the_variable_is_named(
    command: Command, files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_folder() -> NoReturn:
        raise FileNotFoundError

    options = files()
    monkeypatch.setattr(tempfile, "gettempdir", no_folder)
    ran = command("check", *options)
    assert ran.code == 1
    (error,) = ran.errors
    assert error["failure_type"] == "config_error"
    assert "TMPDIR" in error["message"]
    assert [told["status"] for told in ran.statuses] == ["FAILED"]


def test_a_server_that_is_not_there_is_a_failed_check(
    command: Command, files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUSTOMER_API_URL", "http://127.0.0.1:9")
    ran = command("check", *files())
    assert ran.code == 1
    (told,) = ran.statuses
    assert told["message"].startswith("127.0.0.1:9 refuses connections: ")
