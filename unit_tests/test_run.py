"""One command of the protocol from its command line to its messages, over a real socket."""

import gc
import json
import logging
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NoReturn

import pytest
from airbyte_cdk.entrypoint import AirbyteEntrypoint
from airbyte_cdk.models import (
    AirbyteMessage,
    AirbyteRecordMessage,
    ConfiguredAirbyteCatalogSerializer,
    Type,
)
from airbyte_cdk.utils.airbyte_secrets_utils import update_secrets
from reading import catalog

from sandbox import Reply, Sandbox
from source_kustomer import SourceKustomer
from source_kustomer.cli import parse
from source_kustomer.entrypoint import run
from source_kustomer.output import Output
from source_kustomer.timing import Timing

QUICK = Timing(backoff=0.01, longest_backoff=0.02)

# The exit code, and the messages by their types.
Result = tuple[int, dict[str, list[Any]]]
Command = Callable[..., Result]


@pytest.fixture
def sandbox(monkeypatch: pytest.MonkeyPatch) -> Iterator[Sandbox]:
    with Sandbox(customers=5, conversations=5, users=3, tags=50) as it:
        monkeypatch.setenv("KUSTOMER_API_URL", it.url)
        yield it


@pytest.fixture
def command(tmp_path: Path, sandbox: Sandbox) -> Iterator[Command]:
    """Run a command in this process, which is left as it was."""
    loggers = logging.getLogger(), logging.getLogger("airbyte")
    before = [(logger, [*logger.handlers], logger.level) for logger in loggers]
    threshold, hook = gc.get_threshold(), sys.excepthook

    def file(name: str, content: object) -> str:
        (tmp_path / name).write_text(json.dumps(content))
        return str(tmp_path / name)

    def call(name: str, *streams: str, key: str = sandbox.key, options: str = "") -> Result:
        arguments = [name, *options.split()]
        if name != "spec":
            arguments += ["--config", file("config", {"org_name": "acme", "api_key": key})]
        if name == "read":
            configured = ConfiguredAirbyteCatalogSerializer.dump(catalog(*streams))
            arguments += ["--catalog", file("catalog", configured)]
        begin = stdout.seek(0, 2)
        code = run(parse(arguments), Output(stdout.fileno()), QUICK)
        stdout.seek(begin)
        messages: dict[str, list[Any]] = {}
        for line in stdout.read().decode().split("\n")[:-1]:
            message = json.loads(line)
            messages.setdefault(message["type"], []).append(message)
        return code, messages

    # Open to the end, because threads may still log.
    with (tmp_path / "stdout").open("w+b") as stdout:
        yield call
        for logger, handlers, level in before:
            logger.handlers[:] = handlers
            logger.setLevel(level)
    gc.set_threshold(*threshold)
    sys.excepthook = hook
    update_secrets([])


def errors(messages: dict[str, list[Any]]) -> list[dict[str, Any]]:
    traces = [message["trace"] for message in messages.get("TRACE", [])]
    return [trace["error"] for trace in traces if trace["type"] == "ERROR"]


def test_spec_is_one_message_and_collections_of_garbage_are_rare_from_then_on(
    command: Command,
) -> None:
    code, messages = command("spec")
    assert (code, len(messages["SPEC"]), {*messages} - {"LOG"}) == (0, 1, {"SPEC"})
    assert gc.get_threshold()[0] == 50_000


# Deeper than orjson writes and than Python recurses by itself, and not too deep to be read.
NESTED: Any = "deep"
for _ in range(1010):
    NESTED = [NESTED]
ODD = ["half", "Zoë 🌸", 2**64 - 1, [[1.5, True]], {"a\n": "b\u2028"}, {"null": None}, -0.0, NESTED]


def test_a_record_is_the_line_that_the_cdk_would_write_with_its_nulls(
    command: Command, sandbox: Sandbox
) -> None:
    for resource, value in zip(sandbox.lists["tags"], ODD, strict=False):
        resource["attributes"] |= {"odd": value, "color": None}
    sandbox.touch()
    _, messages = command("read", "tags")
    records = [message["record"] for message in messages["RECORD"]]
    assert len(records) == 50
    for record in records:
        message = AirbyteMessage(Type.RECORD, record=AirbyteRecordMessage(**record))
        theirs = json.loads(AirbyteEntrypoint.airbyte_message_to_string(message))
        # The CDK leaves out nulls, in which a column would keep what it held before.
        given = {k: v for k, v in record["data"].items() if v is not None}
        assert {**record, "data": given} == theirs["record"]
    written = [record["data"] for record in records[: len(ODD)]]
    kept = [(data["color"], data["additionalAttributes"]["odd"]) for data in written]
    assert kept == [(None, str(odd) if odd == 2**64 - 1 else odd) for odd in ODD]


def test_at_debug_level_every_line_is_a_message_and_none_holds_the_key_or_customers_data(
    command: Command, sandbox: Sandbox
) -> None:
    refusal = sandbox.error(400, "x", f"{sandbox.key} is not a number of yours")
    echo = Reply(200, {"data": sandbox.key})
    sandbox.before(lambda r: {"/v1/tags": refusal, "/v1/brands": echo}.get(r.path))
    for arguments in (["check"], ["discover"], ["read", "tags", "brands", "teams"]):
        # What is masked is the key as it is sent, without the spaces around it.
        _, messages = command(*arguments, key=f"{sandbox.key} \n", options="--debug")
        assert sandbox.key not in str(messages)
        assert "Traceback" not in str(messages["LOG"])
    assert "DEBUG" in {message["log"]["level"] for message in messages["LOG"]}
    assert len(errors(messages)) == 2
    _, messages = command("read", "customers", options="--debug")
    assert "mail.example" in str(messages["RECORD"])
    assert "mail.example" not in str(messages["LOG"])


def test_a_key_that_is_too_short_to_be_one_masks_no_words(command: Command) -> None:
    code, messages = command("check", key="e")
    (message,) = messages["CONNECTION_STATUS"]
    assert (code, message["connectionStatus"]["status"]) == (0, "FAILED")
    assert "The API key (api_key) is missing" in message["connectionStatus"]["message"]


@pytest.mark.parametrize("name", ["check", "discover"])
def test_a_mistake_of_our_own_asks_for_a_report_and_ends_with_1(
    command: Command, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    def fail(*_: object) -> NoReturn:
        raise KeyError("oops")

    monkeypatch.setattr(SourceKustomer, name, fail)
    code, messages = command(name)
    (error,) = errors(messages)
    assert (code, error["failure_type"]) == (1, "system_error")
    assert error["message"].startswith("Unexpected error: ")
    assert "KeyError" in error["stack_trace"]
    statuses = [m["connectionStatus"] for m in messages.get("CONNECTION_STATUS", [])]
    expected = {"status": "FAILED", "message": error["message"]}
    assert statuses == ([expected] if name == "check" else [])


def test_a_command_needs_no_folder_for_temporary_files(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_folder() -> NoReturn:
        raise FileNotFoundError

    monkeypatch.setattr(tempfile, "gettempdir", no_folder)
    code, _ = command("check")
    assert code == 0
