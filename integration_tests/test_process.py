"""The process: its help, its ends by signals, and its stdout, whatever stdout and stderr are."""

import fcntl
import json
import os
import pty
import re
import signal
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from integration_tests.conftest import NewSandbox
from integration_tests.connector import SCRIPT, Connector
from sandbox import LISTS, Reply, Request, Sandbox

Process = subprocess.Popen[bytes]
Start = Callable[..., Process]

MODULE = (sys.executable, "-m", "source_kustomer")
TERM, INT = signal.SIGTERM, signal.SIGINT

# What ends by itself takes far less; what hangs, hangs longer.
SECONDS = 60


@pytest.fixture
def start(connector: Connector) -> Iterator[Start]:
    """Start processes that end with the test."""
    started: list[Process] = []

    def process(*command: str | Path, stdout: int = subprocess.PIPE, **options: Any) -> Process:
        options.setdefault("stderr", subprocess.PIPE)
        environment = connector.environment
        it = subprocess.Popen(command, stdout=stdout, env=environment, **options)
        started.append(it)
        return it

    yield process
    for each in started:
        with suppress(ProcessLookupError):
            each.kill()
        each.wait(SECONDS)


def messages(written: bytes) -> list[dict[str, Any]]:
    """Return the messages of stdout, of which every line must be one."""
    assert written == b"" or written.endswith(b"\n")
    return [json.loads(line) for line in written.splitlines()]


@pytest.mark.parametrize("command", [(SCRIPT,), MODULE], ids=["script", "module"])
@pytest.mark.parametrize(
    ("arguments", "code", "stdout", "stderr"),
    [
        ((), 0, rb"usage: source-kustomer (?s:.)*\n", b""),
        (("--help",), 0, rb"usage: source-kustomer (?s:.)*\n", b""),
        (("--version",), 0, f"source-kustomer {version('airbyte-source-kustomer')}\n", b""),
        (("read",), 2, b"", rb"source-kustomer read: .*--config.*\n"),
    ],
    ids=["nothing", "help", "version", "mistake"],
)
def test_help_and_mistakes_are_for_people(
    start: Start,
    command: Sequence[str],
    arguments: Sequence[str],
    code: int,
    stdout: bytes | str,
    stderr: bytes,
) -> None:
    it = start(*command, *arguments)
    out, err = it.communicate(timeout=SECONDS)
    assert it.returncode == code
    expected = stdout.encode() if isinstance(stdout, str) else stdout
    assert re.fullmatch(expected, out)
    assert re.fullmatch(stderr, err)


def blocks(process: int, number: int) -> bool:
    """Whether the connector has blocked a signal, which it does before it loads the CDK."""
    # What starts a first process blocks signals too, until it has become the connector.
    if Path(f"/proc/{process}/cmdline").read_bytes().startswith(b"unshare"):
        return False
    status = Path(f"/proc/{process}/status").read_text()
    mask = re.search(r"^SigBlk:\s*([0-9a-f]+)", status, re.MULTILINE)
    return mask is not None and bool(int(mask[1], 16) >> (number - 1) & 1)


def wait_until(is_so: Callable[[], bool]) -> None:
    end = time.monotonic() + SECONDS
    while not is_so():
        assert time.monotonic() < end
        time.sleep(0.002)


def first_child(process: int) -> int | None:
    """Return the process that another one started, once there is one."""
    children = Path(f"/proc/{process}/task/{process}/children").read_text().split()
    return int(children[0]) if children else None


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells what a process blocks")
@pytest.mark.parametrize("is_first", [False, True], ids=["process", "process 1"])
@pytest.mark.parametrize("number", [TERM, INT], ids=lambda number: number.name)
def test_a_signal_ends_a_process_that_is_still_loading(
    start: Start, connector: Connector, number: signal.Signals, *, is_first: bool
) -> None:
    before = ("unshare", "--pid", "--fork") if is_first else ()
    if is_first and subprocess.run([*before, "true"], capture_output=True, check=False).returncode:
        pytest.skip("this user may not make a first process")
    it = start(*before, *MODULE, "check", "--config", connector.config)
    found: list[int] = [] if is_first else [it.pid]

    def is_loading() -> bool:
        if not found and (child := first_child(it.pid)):
            found.append(child)
        return bool(found) and blocks(found[0], number)

    wait_until(is_loading)
    os.kill(found[0], number)
    out, err = it.communicate(timeout=SECONDS)
    assert it.returncode == 128 + number
    assert (messages(out), err) == ([], b"")


CHECKED = {f"/v1/{name}" for name in LISTS}
DISCOVERED = {f"/v1/metadata/{name}" for name in ("customer", "conversation", "user")}


@pytest.mark.parametrize(
    ("command", "asked", "number"),
    [
        ("check", CHECKED, TERM),
        ("check", CHECKED, INT),
        ("discover", DISCOVERED, INT),
        ("read", {"/v1/tags"}, TERM),
    ],
    ids=lambda value: getattr(value, "name", value) if not isinstance(value, set) else "",
)
def test_a_signal_ends_a_command_whose_responses_hang(
    start: Start,
    connector: Connector,
    sandbox: Sandbox,
    command: str,
    asked: set[str],
    number: signal.Signals,
) -> None:
    over, all_hang, hanging = threading.Event(), threading.Event(), set[str]()

    @sandbox.before
    def hang(request: Request) -> Reply | None:
        if request.path in asked:
            hanging.add(request.path)
            if hanging == asked:
                all_hang.set()
            over.wait(SECONDS)
        return None

    catalog = ["--catalog", connector.bare_catalog("tags")] if command == "read" else []
    it = start(SCRIPT, command, "--config", connector.config, *catalog)
    assert all_hang.wait(SECONDS)
    it.send_signal(number)
    out, err = it.communicate(timeout=SECONDS)
    over.set()
    assert it.returncode == 128 + number
    assert err == b""
    assert {message["type"] for message in messages(out)} <= {"LOG", "TRACE"}


def wait_until_full(pipe: int) -> None:
    """Wait until no more is written to a pipe that nobody reads."""
    unread = -1

    def is_full() -> bool:
        nonlocal unread
        before = unread
        unread = int.from_bytes(fcntl.ioctl(pipe, termios.FIONREAD, bytes(4)), sys.byteorder)
        time.sleep(0.2)
        return unread == before > 50_000

    wait_until(is_full)


@pytest.fixture
def large(new_sandbox: NewSandbox, tmp_path: Path) -> Connector:
    """The connector with a list that no pipe holds."""
    sandbox = new_sandbox(customers=2_500, conversations=0)
    return Connector(tmp_path, sandbox.url, sandbox.key)


def reading(connector: Connector, *options: str) -> tuple[str | Path, ...]:
    """Return the command that reads customers."""
    files = ("--config", connector.config, "--catalog", connector.bare_catalog("customers"))
    return ("env", f"KUSTOMER_API_URL={connector.url}", SCRIPT, "read", *files, *options)


def test_a_signal_ends_a_read_while_nobody_reads_its_stdout(start: Start, large: Connector) -> None:
    it = start(*reading(large))
    assert it.stdout
    wait_until_full(it.stdout.fileno())
    it.send_signal(TERM)
    it.wait(SECONDS)
    out, err = it.communicate()
    assert it.returncode == 128 + TERM
    assert err == b""
    kinds = [message["type"] for message in messages(out)]
    assert 0 < kinds.count("RECORD") < 2_500


def test_a_stdout_that_does_not_block_loses_nothing_and_takes_only_messages(
    start: Start, large: Connector
) -> None:
    ours, theirs = os.pipe()
    os.set_blocking(theirs, False)
    it = start(*reading(large, "--debug"), stdout=theirs)
    os.close(theirs)
    wait_until_full(ours)
    with os.fdopen(ours, "rb") as stdout:
        out = stdout.read()
    _, err = it.communicate(timeout=SECONDS)
    assert (it.returncode, err) == (0, b"")
    got = messages(out)
    ids = [m["record"]["data"]["id"] for m in got if m["type"] == "RECORD"]
    assert len(ids) == len(set(ids)) == 2_500
    assert large.key.encode() not in out
    assert any(m["type"] == "LOG" and m["log"]["level"] == "DEBUG" for m in got)


def timeless(written: bytes) -> list[str]:
    """Return the lines of stdout without what takes another time in each read."""
    lines = []
    for message in messages(written):
        if message["type"] == "LOG":
            message["log"]["message"] = re.sub(
                r"[\d.,:]+( s| min| h)?", "N", message["log"]["message"]
            )
        for part in ("record", "trace"):
            message.get(part, {}).pop("emitted_at", None)
        lines.append(json.dumps(message))
    return lines


def test_a_terminal_at_stderr_takes_nothing_from_stdout(
    start: Start, connector: Connector, tmp_path: Path
) -> None:
    ours, theirs = pty.openpty()
    drawn = b""

    def draw() -> None:
        nonlocal drawn
        with suppress(OSError):
            while shown := os.read(ours, 65536):
                drawn += shown

    watching = threading.Thread(target=draw, daemon=True)
    watching.start()
    with (tmp_path / "out").open("wb") as file:
        terminal = {"stderr": theirs, "stdin": theirs}
        it = start("env", "TERM=xterm", *reading(connector), stdout=file.fileno(), **terminal)
        os.close(theirs)
        plain, err = start(*reading(connector)).communicate(timeout=SECONDS)
        assert it.wait(SECONDS) == 0
    watching.join(SECONDS)
    os.close(ours)
    written = (tmp_path / "out").read_bytes()
    assert b"customers" in drawn
    assert b'"type"' not in drawn
    assert err == b""
    assert b"\x1b" not in written
    # Lines of the log stand where they stood.
    assert timeless(written) == timeless(plain)
    assert len(timeless(written)) > 950


def test_a_file_that_belongs_to_another_user_is_a_failed_check_that_names_the_user(
    start: Start, connector: Connector
) -> None:
    if os.getuid() != 0:
        pytest.skip("only root can be another user")
    Path(connector.config).chmod(0o600)
    nobody = ("setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups")
    it = start(*nobody, *MODULE, "check", "--config", connector.config)
    out, err = it.communicate(timeout=SECONDS)
    assert it.returncode == 1
    assert err == b""
    (status,) = [m["connectionStatus"] for m in messages(out) if m["type"] == "CONNECTION_STATUS"]
    assert status["status"] == "FAILED"
    assert "may not be read by the user nobody (uid 65534)" in status["message"]


def test_a_reader_that_has_gone_ends_a_command_with_1_and_without_complaint(start: Start) -> None:
    ours, theirs = os.pipe()
    os.close(ours)
    it = start(SCRIPT, "spec", stdout=theirs)
    os.close(theirs)
    _, err = it.communicate(timeout=SECONDS)
    assert (it.returncode, err) == (1, b"")


@pytest.mark.parametrize(
    ("stdout", "reason"),
    [("/dev/full", b"No space left on device"), ("&-", b"Bad file descriptor")],
    ids=["full", "closed"],
)
def test_a_stdout_that_cannot_be_written_is_told_in_a_sentence(
    start: Start, stdout: str, reason: bytes
) -> None:
    it = start("sh", "-c", f'exec "$0" spec >{stdout}', SCRIPT)
    _, err = it.communicate(timeout=SECONDS)
    assert it.returncode == 1
    assert err == b"The messages cannot be written to stdout: " + reason + b".\n"
