"""The process: its start, its files, its ends, and its stdout, whatever stdout and stderr are."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from integration_tests.connector import SCRIPT, Connector, stream_states
from sandbox import Request, Sandbox

Process = subprocess.Popen[bytes]
Start = Callable[..., Process]

MODULE = (sys.executable, "-m", "source_kustomer")

# What ends by itself takes far less; what hangs, hangs longer.
SECONDS = 240


@pytest.fixture
def start(connector: Connector) -> Iterator[Start]:
    """Start processes that end with the test."""
    started: list[Process] = []

    def process(*command: str | Path, stdout: int = subprocess.PIPE, **options: Any) -> Process:
        options.setdefault("stderr", subprocess.PIPE)
        it = subprocess.Popen(command, stdout=stdout, env=connector.environment, **options)
        started.append(it)
        return it

    yield process
    for each in started:
        with suppress(ProcessLookupError):
            each.kill()
        each.wait(SECONDS)


@pytest.fixture
def hanging(sandbox: Sandbox) -> Iterator[threading.Event]:
    """Let responses hang until the test is over; the event says that one does."""
    over, hangs = threading.Event(), threading.Event()

    @sandbox.before
    def hang(_: Request) -> None:
        hangs.set()
        over.wait(2 * SECONDS)

    yield hangs
    over.set()


def read_of(connector: Connector, name: str) -> tuple[str, ...]:
    return ("read", "--config", connector.config, "--catalog", connector.bare_catalog(name))


def records_on(written: bytes) -> list[dict[str, Any]]:
    """The records on stdout, of which every line must be a message."""
    assert written == b"" or written.endswith(b"\n")
    messages = [json.loads(line) for line in written.splitlines()]
    return [message["record"]["data"] for message in messages if message["type"] == "RECORD"]


def test_a_script_and_a_module_answer_people_on_their_own_streams(start: Start) -> None:
    shown, mistaken = start(SCRIPT, "--version"), start(*MODULE, "read")
    out, err = shown.communicate(timeout=SECONDS)
    assert (shown.returncode, err) == (0, b"")
    assert out.decode() == f"source-kustomer {version('airbyte-source-kustomer')}\n"
    out, err = mistaken.communicate(timeout=SECONDS)
    assert (mistaken.returncode, out) == (2, b"")
    assert re.fullmatch(rb"source-kustomer read: .*--config.*\n", err)


def handles_signals(process: int) -> bool:
    """Whether the connector handles SIGTERM, which it does before it imports the CDK."""
    # What starts a first process has handlers too, until it has become the connector.
    if b"source_kustomer" not in Path(f"/proc/{process}/cmdline").read_bytes():
        return False
    status = Path(f"/proc/{process}/status").read_text()
    mask = re.search(r"^SigCgt:\s*([0-9a-f]+)", status, re.MULTILINE)
    return mask is not None and bool(int(mask[1], 16) >> (signal.SIGTERM - 1) & 1)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells what a process handles")
@pytest.mark.parametrize("is_first", [False, True], ids=["process", "process 1"])
def test_a_signal_ends_a_process_that_is_still_loading(
    start: Start, connector: Connector, *, is_first: bool
) -> None:
    before = ("unshare", "--pid", "--fork") if is_first else ()
    if is_first and subprocess.run([*before, "true"], capture_output=True, check=False).returncode:
        pytest.skip("this user may not make a first process")
    it = start(*before, *MODULE, "check", "--config", connector.config)
    children = Path(f"/proc/{it.pid}/task/{it.pid}/children")
    end = time.monotonic() + SECONDS
    found: list[int] = []
    while not (found and handles_signals(found[0])):
        assert time.monotonic() < end
        found = [*map(int, children.read_text().split())] if is_first else [it.pid]
        time.sleep(0.002)
    os.kill(found[0], signal.SIGTERM)
    assert it.communicate(timeout=SECONDS) == (b"", b"")
    assert it.returncode == 128 + signal.SIGTERM


def test_a_signal_ends_a_command_whose_responses_hang(
    start: Start, connector: Connector, hanging: threading.Event
) -> None:
    it = start(SCRIPT, *read_of(connector, "tags"))
    assert hanging.wait(SECONDS)
    it.send_signal(signal.SIGINT)
    out, err = it.communicate(timeout=SECONDS)
    assert (it.returncode, err) == (128 + signal.SIGINT, b"")
    assert records_on(out) == []


# Waits longer than the test for a response, and writes nothing meanwhile.
PATIENT = """
from source_kustomer.run import main
from source_kustomer.timing import Timing
main(Timing(silence=1000, response=1000))
"""


def test_a_reader_that_goes_away_ends_a_command_whose_responses_hang(
    start: Start, connector: Connector, hanging: threading.Event
) -> None:
    it = start(sys.executable, "-c", PATIENT, *read_of(connector, "tags"))
    assert hanging.wait(SECONDS)
    assert it.stdout
    it.stdout.close()
    assert it.wait(SECONDS) == 1
    assert it.stderr
    assert it.stderr.read() == b""


def test_names_in_every_script_arrive_where_files_are_pipes_stderr_is_closed_and_text_is_ascii(
    start: Start, connector: Connector, sandbox: Sandbox
) -> None:
    state = connector.write("state.json", stream_states({"users": {}}))
    shell = (
        "export PYTHONIOENCODING=ascii; "
        'cat "$1" | exec "$0" read --config <(cat "$2") --catalog /dev/stdin --state <(cat "$3") '
        "2>&-"
    )
    catalog = connector.bare_catalog("users")
    it = start("bash", "-c", shell, SCRIPT, catalog, connector.config, state)
    out, _ = it.communicate(timeout=SECONDS)
    names = [record["name"] for record in records_on(out)]
    assert it.returncode == 0
    assert names == [resource["attributes"]["name"] for resource in sandbox.lists["users"]]
    assert not all(name.isascii() for name in names)


# What the modules of the connector, and not those of the CDK, find on Windows.
WINDOWS = """
import os, select, signal, sys, airbyte_cdk.entrypoint
for module in ("fcntl", "termios", "pwd", "resource", "pty"):
    sys.modules[module] = None
for place, names in {
    select: ("poll", "epoll"),
    signal: ("alarm", "SIGALRM", "setitimer", "pthread_sigmask", "sigwait"),
    os: ("getuid", "mkfifo", "get_blocking", "set_blocking", "fork"),
}.items():
    for name in names:
        delattr(place, name)
from source_kustomer.run import main
main()
"""


def test_a_command_needs_nothing_that_windows_lacks(start: Start, connector: Connector) -> None:
    it = start(sys.executable, "-c", WINDOWS, *read_of(connector, "tags"))
    out, err = it.communicate(timeout=SECONDS)
    assert (it.returncode, err) == (0, b"")
    assert len(records_on(out)) == 40
