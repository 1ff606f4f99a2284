"""Lines reach a pipe, a file or a terminal whole, whoever writes and however slowly it is read."""

import fcntl
import os
import pty
import signal
import subprocess
import sys
import termios
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

Process = subprocess.Popen[bytes]
Start = Callable[..., Process]

# What ends by itself takes far less; what hangs, hangs longer.
SECONDS = 240

WRITER = """
import os, signal, sys, threading, time
from source_kustomer.output import Output

output = Output(1)
signal.signal(signal.SIGTERM, lambda number, _: output.end_process(128 + number))

def lines(size, count=1):
    return [letter * (size - 1) + b"\\n" for letter in (b"a", b"b", b"c", b"d")] * count
"""


@pytest.fixture
def start() -> Iterator[Start]:
    """Start processes that write to stdout through an `Output`, and end with the test."""
    started: list[Process] = []

    def process(code: str, stdout: int = subprocess.PIPE) -> Process:
        command = [sys.executable, "-c", WRITER + code]
        started.append(subprocess.Popen(command, stdout=stdout, stderr=subprocess.PIPE))
        return started[-1]

    yield process
    for each in started:
        each.kill()
        each.communicate(timeout=SECONDS)


def wait_until_holds(process: Process, count: int) -> None:
    """Wait until the pipe of a process holds so many bytes that nobody has read."""
    assert process.stdout
    end = time.monotonic() + SECONDS
    unread = 0
    while unread < count:
        assert time.monotonic() < end
        time.sleep(0.002)
        held = fcntl.ioctl(process.stdout.fileno(), termios.FIONREAD, bytes(4))
        unread = int.from_bytes(held, sys.byteorder)


def test_lines_and_text_are_written_as_they_are_in_order(start: Start) -> None:
    writer = start(
        "output.write_lines([])\n"
        "output.write_lines(lines(10, 1_000) + lines(3_000_000) + lines(4_096))\n"
        "assert output.write('Zo\u00eb\\n') == 4\n"
    )
    out, err = writer.communicate(timeout=SECONDS)
    sizes = (10,) * 1_000 + (3_000_000, 4_096)
    expected = "".join(f"{letter * (size - 1)}\n" for size in sizes for letter in "abcd")
    assert (writer.returncode, err) == (0, b"")
    assert out.decode() == f"{expected}Zoë\n"


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux keeps writes apart")
def test_lines_are_written_together_as_far_as_a_pipe_takes_them_whole(start: Start) -> None:
    reading, writing = os.pipe2(os.O_DIRECT)
    code = "output.write_lines(lines(1_024, 2) + lines(1_024)[:3] + lines(1_025)[:1])"
    writer = start(code, stdout=writing)
    os.close(writing)
    assert writer.wait(SECONDS) == 0
    assert [len(os.read(reading, 10_000)) for _ in range(4)] == [4_096, 4_096, 3_072, 1_025]
    os.close(reading)


@pytest.mark.parametrize("blocks", [True, False], ids=["blocking", "non-blocking"])
def test_threads_that_write_at_once_glue_no_lines(start: Start, *, blocks: bool) -> None:
    writer = start(
        f"os.set_blocking(1, {blocks})\n"
        "def write(size):\n"
        "    output.write_lines(lines(size, 50))\n"
        "for size in (10, 1_500, 5_000, 150_000):\n"
        "    threading.Thread(target=write, args=(size,)).start()\n"
    )
    time.sleep(0.5)
    out, err = writer.communicate(timeout=SECONDS)
    assert (writer.returncode, err) == (0, b"")
    lines = Counter((len(line), line[:1], len({*line})) for line in out.splitlines(keepends=True))
    sizes, letters = (10, 1_500, 5_000, 150_000), (b"a", b"b", b"c", b"d")
    assert lines == {(size, letter, 2): 50 for size in sizes for letter in letters}


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGTERM, 143), (signal.SIGKILL, -9)], ids=["SIGTERM", "SIGKILL"]
)
def test_a_full_pipe_that_nobody_reads_holds_whole_lines_at_the_end(
    start: Start, number: int, code: int
) -> None:
    # The first line fills one page of the pipe, so that a write of two has no room at last.
    writer = start("output.write_lines(lines(4000)[:1])\noutput.write_lines(lines(1_500, 1000))\n")
    wait_until_holds(writer, 45_000)
    writer.send_signal(number)
    out, err = writer.communicate(timeout=SECONDS)
    assert (writer.returncode, err) == (code, b"")
    assert {len(line) for line in out.splitlines(keepends=True)} == {1_500, 4000}


WRITE = "output.write_lines(lines(4_000_000))"
WITHOUT_ALARM = f"del signal.alarm\n{WRITE}"
THREAD = f"threading.Thread(target=lambda: {WRITE}, daemon=True).start()\ntime.sleep(60)"


@pytest.mark.parametrize(
    ("code", "is_read"),
    [(WRITE, True), (THREAD, True), (WRITE, False), (THREAD, False), (WITHOUT_ALARM, False)],
    ids=["slow reader", "other thread", "no reader", "other thread, no reader", "Windows"],
)
def test_a_signal_waits_for_a_line_that_is_begun_but_not_for_ever(
    start: Start, code: str, *, is_read: bool
) -> None:
    writer = start(code)
    wait_until_holds(writer, 60_000)
    writer.send_signal(signal.SIGTERM)
    if not is_read:
        writer.wait(SECONDS)
    out, err = writer.communicate(timeout=SECONDS)
    assert (writer.returncode, err) == (143, b"")
    assert (out == b"a" * 3_999_999 + b"\n") == is_read


def test_a_signal_ends_a_process_that_writes_nothing(start: Start) -> None:
    # Without the signal that would end it after a second.
    waits = "signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGALRM})\noutput.write('ready\\n')\n"
    writer = start(f"{waits}time.sleep(60)\noutput.write('late\\n')")
    wait_until_holds(writer, 6)
    writer.send_signal(signal.SIGTERM)
    assert writer.communicate(timeout=SECONDS) == (b"ready\n", b"")
    assert writer.returncode == 143


NO_THREADS = "def refuse(_): raise RuntimeError\nthreading.Thread.start = refuse\n"


@pytest.mark.parametrize(
    "code",
    [
        "output.watch_reader()\noutput.write('ready\\n')\ntime.sleep(60)",
        f"{NO_THREADS}output.watch_reader()\noutput.write_lines(lines(1_500, 1_000))",
        "output.write_lines(lines(5_000, 1_000))",
        "os.set_blocking(1, False)\noutput.write_lines(lines(1_500, 1_000))",
    ],
    ids=["waits for something", "no threads", "full pipe", "full pipe, non-blocking"],
)
def test_a_reader_that_goes_away_ends_the_process_with_1_and_no_word(
    start: Start, code: str
) -> None:
    writer = start(f"{code}\noutput.write('late\\n')")
    wait_until_holds(writer, 6)
    assert writer.stdout
    writer.stdout.close()
    assert writer.wait(SECONDS) == 1
    assert writer.stderr
    assert writer.stderr.read() == b""


def test_a_descriptor_that_cannot_be_watched_ends_nothing(start: Start) -> None:
    # As macOS answers for a terminal.
    watching = start("os.close(1)\noutput.watch_reader()\ntime.sleep(0.5)")
    assert watching.communicate(timeout=SECONDS) == (b"", b"")
    assert watching.returncode == 0


def test_a_reader_that_stays_does_not_end_the_process(start: Start, tmp_path: Path) -> None:
    code = "output.watch_reader()\noutput.write('x\\n')\ntime.sleep(0.2)\noutput.write('y\\n')"
    with (tmp_path / "file").open("wb") as file:
        assert start(code, stdout=file.fileno()).wait(SECONDS) == 0
    ours, theirs = pty.openpty()
    on_terminal = start(code, stdout=theirs)
    assert on_terminal.wait(SECONDS) == 0
    os.close(theirs)
    shown = b""
    with suppress(OSError):
        while read := os.read(ours, 100):
            shown += read
    os.close(ours)
    assert (tmp_path / "file").read_bytes() == shown.replace(b"\r\n", b"\n") == b"x\ny\n"


@pytest.mark.parametrize(
    ("redirection", "said"),
    [
        (">/dev/full", b"Cannot write messages to stdout: No space left on device.\n"),
        (">&-", b"Cannot write messages to stdout: Bad file descriptor.\n"),
        (">&- 2>&-", b""),
        (">/dev/full 2>&-", b""),
    ],
)
def test_a_stdout_that_cannot_be_written_is_said_in_a_sentence(
    redirection: str, said: bytes
) -> None:
    shell = ("sh", "-c", f'exec "$0" -c "$1" {redirection}', sys.executable)
    done = subprocess.run([*shell, WRITER], capture_output=True, timeout=SECONDS, check=False)
    assert (done.returncode, done.stderr) == (1, said)
