"""The console script: exit codes, and nothing but messages on stdout."""

import gc
import json
import logging
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from airbyte_cdk.entrypoint import AirbyteEntrypoint
from airbyte_cdk.models import AirbyteMessage, AirbyteRecordMessage, FailureType, Type
from airbyte_cdk.utils.traced_exception import AirbyteTracedException

from source_kustomer import run as run_module
from source_kustomer.errors import failure
from source_kustomer.run import main, run

KEY = "key-that-nobody-may-see"
CONFIG = {"org_name": "acme", "api_key": KEY}
Output = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def collections_as_before() -> Iterator[None]:
    before = gc.get_threshold()
    yield
    gc.set_threshold(*before)


def written(capfd: Output) -> list[dict[str, Any]]:
    """Return the messages on stdout but the log; nothing else may stand there or on stderr."""
    captured = capfd.readouterr()
    assert captured.err == ""
    messages = [json.loads(line) for line in captured.out.splitlines()]
    return [message for message in messages if message.get("type") != "LOG"]


def messages_of(*lines: str, error: BaseException | None = None) -> Callable[..., Iterator[str]]:
    """Stand in for a command that writes these lines and then fails."""

    def messages(*_: object) -> Iterator[str]:
        yield from lines
        if error:
            raise error

    return messages


def file(folder: Path, content: object, name: str = "config.json") -> str:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    return str(path)


def test_spec_is_one_message_and_ends_well(capfd: Output) -> None:
    assert run(["spec"]) == 0
    (message,) = written(capfd)
    assert message["type"] == "SPEC"


def test_collections_are_rare_while_records_are_made(capfd: Output) -> None:
    run(["spec"])
    assert gc.get_threshold()[0] == 50_000


def test_what_a_command_yields_is_written_a_line_each(
    monkeypatch: pytest.MonkeyPatch, capfd: Output
) -> None:
    monkeypatch.setattr(run_module, "_messages", messages_of('{"a":1}', '{"b":2}'))
    assert run(["spec"]) == 0
    assert written(capfd) == [{"a": 1}, {"b": 2}]


@pytest.mark.parametrize("name", ["half", "Zoë 🌸", 2**64 - 1, [[1.5, True]], {"a\n": "b\u2028"}])
def test_a_record_is_the_line_that_the_cdk_would_write(name: object) -> None:
    record = AirbyteRecordMessage("customers", {"id": "a", "name": name}, 1767225600000)
    message = AirbyteMessage(Type.RECORD, record=record)
    expected = AirbyteEntrypoint.airbyte_message_to_string(message)
    assert run_module._line(message).decode() == f"{expected}\n"


def test_what_is_null_in_a_record_is_written_as_null() -> None:
    record = AirbyteRecordMessage("customers", {"id": "a", "name": None}, 1767225600000)
    line = run_module._line(AirbyteMessage(Type.RECORD, record=record))
    assert json.loads(line)["record"]["data"] == {"id": "a", "name": None}


def test_a_failure_is_a_message_with_its_sentence_and_ends_with_1(
    monkeypatch: pytest.MonkeyPatch, capfd: Output
) -> None:
    error = failure("server_failure", status=503)
    monkeypatch.setattr(run_module, "_messages", messages_of('{"a":1}', error=error))
    assert run(["spec"]) == 1
    _, message = written(capfd)
    told = message["trace"]["error"]
    assert told["failure_type"] == "transient_error"
    assert told["message"].startswith("Kustomer's server failed with status 503")
    assert told["internal_message"] == "server_failure"


def test_a_failure_that_check_has_written_is_not_written_twice(
    monkeypatch: pytest.MonkeyPatch, capfd: Output
) -> None:
    line = '{"type":"TRACE","trace":{"type":"ERROR"}}'
    error = failure("server_failure")
    monkeypatch.setattr(run_module, "_messages", messages_of(line, error=error))
    assert run(["spec"]) == 1
    assert written(capfd) == [json.loads(line)]


def test_a_failure_after_another_trace_is_written(
    monkeypatch: pytest.MonkeyPatch, capfd: Output
) -> None:
    line = '{"type":"TRACE","trace":{"type":"STREAM_STATUS"}}'
    monkeypatch.setattr(run_module, "_messages", messages_of(line, error=RecursionError()))
    assert run(["spec"]) == 1
    _, message = written(capfd)
    assert message["trace"]["error"]["failure_type"] == "system_error"


def test_a_mistake_of_our_own_asks_for_a_report_and_ends_with_1(
    monkeypatch: pytest.MonkeyPatch, capfd: Output
) -> None:
    monkeypatch.setattr(run_module, "_messages", messages_of(error=KeyError("oops")))
    assert run(["spec"]) == 1
    (message,) = written(capfd)
    told = message["trace"]["error"]
    assert told["failure_type"] == "system_error"
    assert told["message"].startswith("The connector failed in a way that it does not know: ")
    assert "KeyError" in told["stack_trace"]


def test_an_interruption_ends_with_130_and_keeps_what_was_written(
    monkeypatch: pytest.MonkeyPatch, capfd: Output
) -> None:
    interrupted = messages_of('{"a":1}', error=KeyboardInterrupt())
    monkeypatch.setattr(run_module, "_messages", interrupted)
    assert run(["spec"]) == 130
    assert written(capfd) == [{"a": 1}]


def test_a_reader_that_has_gone_ends_it_with_1_and_without_complaint() -> None:
    program = (
        "import sys\n"
        "from source_kustomer import run\n"
        "sys.stdin.read()\n"
        "def messages(*_):\n"
        "    yield '{}'\n"
        "run._messages = messages\n"
        "sys.exit(run.run(['spec']))\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdin
    assert process.stdout
    assert process.stderr
    # Its reader goes before it writes.
    process.stdout.close()
    process.stdin.close()
    complaints = process.stderr.read()
    process.stderr.close()
    assert process.wait(60) == 1
    assert complaints == b""


@pytest.mark.parametrize("code", [0, 1, 130])
def test_the_script_exits_with_the_code_of_the_command(
    monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    given: list[list[str]] = []

    def remember(arguments: list[str]) -> int:
        given.append(arguments)
        return code

    monkeypatch.setattr(run_module, "run", remember)
    monkeypatch.setattr(sys, "argv", ["source-kustomer", "spec", "--debug"])
    with pytest.raises(SystemExit) as exited:
        main()
    assert exited.value.code == code
    assert given == [["spec", "--debug"]]


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        ([], 0, "usage: "),
        (["read"], 2, "--config"),
        (["write"], 2, "invalid choice"),
        (["check", "--config"], 2, "expected one argument"),
    ],
    ids=["nothing", "no options", "no such command", "no value"],
)
def test_wrong_arguments_are_told_as_of_any_command(
    capfd: Output, arguments: list[str], code: int, words: str
) -> None:
    with pytest.raises(SystemExit) as exited:
        run(arguments)
    assert exited.value.code == code
    captured = capfd.readouterr()
    assert words in captured.out + captured.err


CATALOG: dict[str, Any] = {"streams": []}
FILES = {
    "no config": ("config", None, "cannot be opened (No such file or directory)"),
    "config is not JSON": ("config", b"{", "is not JSON"),
    "config is empty": ("config", b"", "is not JSON"),
    "config is not text": ("config", b"\xff\xfe\x00", "is not JSON"),
    "config is a list": ("config", [CONFIG], "is JSON but not an Airbyte configuration"),
    "no catalog": ("catalog", None, "cannot be opened (No such file or directory)"),
    "catalog is not JSON": ("catalog", b"{", "is not JSON"),
    "catalog is a list": ("catalog", [1], "is JSON but not an Airbyte catalog"),
    "catalog is of others": ("catalog", {"streams": 5}, "is JSON but not an Airbyte catalog"),
    "no state": ("state", None, "cannot be opened (No such file or directory)"),
    "state is not JSON": ("state", b"[", "is not JSON"),
    "state is of others": ("state", [5], "is JSON but not an Airbyte state"),
}


@pytest.mark.parametrize(("option", "content", "words"), FILES.values(), ids=FILES)
def test_a_file_that_cannot_be_read_is_named_with_the_reason(
    tmp_path: Path, capfd: Output, option: str, content: object, words: str
) -> None:
    contents: dict[str, object] = {"config": CONFIG, "catalog": CATALOG, "state": []}
    contents[option] = content
    arguments = ["read"]
    for name, it in contents.items():
        path = file(tmp_path, it, f"{name}.json") if it is not None else f"{tmp_path}/missing.json"
        arguments += [f"--{name}", path]
    assert run(arguments) == 1
    *_, message = written(capfd)
    told = message["trace"]["error"]
    assert told["failure_type"] == "config_error"
    assert told["internal_message"] == f"unreadable_{option}"
    assert words in told["message"]
    assert f"given as --{option} " in told["message"]
    assert told["message"].endswith(": correct the file or the path.")
    assert KEY not in json.dumps(message)


def test_a_folder_given_as_a_file_is_told(tmp_path: Path, capfd: Output) -> None:
    assert run(["check", "--config", str(tmp_path)]) == 1
    *_, message = written(capfd)
    assert "cannot be opened (Is a directory)" in message["trace"]["error"]["message"]


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"org_name": "acme.evil.com"}, "'acme.evil.com' is not the name of a Kustomer"),
        ({"api_key": {"key": KEY}}, "The API key is not text"),
        ({"rate_limit_share": f"{KEY}"}, "must be a whole number from 1 to 100"),
    ],
    ids=["name", "key", "share"],
)
def test_a_wrong_configuration_is_a_failed_check_that_quotes_no_key(
    tmp_path: Path, capfd: Output, wrong: dict[str, object], words: str
) -> None:
    assert run(["check", "--config", file(tmp_path, {**CONFIG, **wrong})]) == 0
    messages = written(capfd)
    (status,) = [m["connectionStatus"] for m in messages if m["type"] == "CONNECTION_STATUS"]
    assert status["status"] == "FAILED"
    assert words in status["message"]
    assert KEY not in json.dumps(messages)


@pytest.mark.parametrize("command", ["discover", "read"])
def test_a_wrong_configuration_ends_other_commands_with_1(
    tmp_path: Path, capfd: Output, command: str
) -> None:
    arguments = [command, "--config", file(tmp_path, {**CONFIG, "org_name": ""})]
    if command == "read":
        arguments += ["--catalog", file(tmp_path, CATALOG, "catalog.json")]
    assert run(arguments) == 1
    *_, message = written(capfd)
    told = message["trace"]["error"]
    assert told["failure_type"] == "config_error"
    assert told["message"].startswith("The organization name is empty.")


def test_an_error_of_the_framework_keeps_its_type(
    monkeypatch: pytest.MonkeyPatch, capfd: Output
) -> None:
    error = AirbyteTracedException(message="It is.", failure_type=FailureType.config_error)
    monkeypatch.setattr(run_module, "_messages", messages_of(error=error))
    assert run(["spec"]) == 1
    (message,) = written(capfd)
    assert message["trace"]["error"]["failure_type"] == "config_error"


def test_tracebacks_stay_out_of_the_log(monkeypatch: pytest.MonkeyPatch) -> None:
    try:
        raise KeyError(KEY)  # noqa: TRY301
    except KeyError:
        record = logging.LogRecord("x", logging.ERROR, "", 1, "it failed", None, sys.exc_info())
    record.exc_text = "Traceback"
    assert run_module._without_traceback(record)
    assert logging.Formatter().format(record) == "it failed"


def test_the_log_that_users_read_has_that_filter(
    monkeypatch: pytest.MonkeyPatch, capfd: Output
) -> None:
    handler = logging.NullHandler()
    monkeypatch.setattr(logging.getLogger(), "handlers", [handler])
    run(["spec"])
    assert handler.filters == [run_module._without_traceback]
