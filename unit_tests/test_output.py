"""Lines reach a pipe, a file or a terminal whole, whoever writes and however slowly it is read."""

import fcntl
import os
import pty
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from source_kustomer.output import Output, OutputError

SECONDS = 60


class Pipe:
    """A pipe and what is read from it, by a thread that begins when it is told to."""

    def __init__(self) -> None:
        self.reading, self.writing = os.pipe()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self.content = b""

    def read(self, count: int) -> bytes:
        """Read so many bytes while somebody writes."""
        content = b""
        while len(content) < count:
            content += os.read(self.reading, count - len(content))
        return content

    def read_on(self) -> None:
        """Read until the writing end is closed."""
        self._thread.start()

    def finish(self) -> bytes:
        """Close the writing end and return all that `read_on` read."""
        os.close(self.writing)
        self._thread.join(SECONDS)
        return self.content

    def close(self) -> None:
        for descriptor in (self.reading, self.writing):
            with suppress(OSError):
                os.close(descriptor)

    def _read(self) -> None:
        while read := os.read(self.reading, 1 << 16):
            self.content += read


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    it = Pipe()
    yield it
    it.close()


def on_thread(function: Callable[[], object]) -> threading.Thread:
    thread = threading.Thread(target=function, daemon=True)
    thread.start()
    return thread


def line(number: int, size: int = 0) -> bytes:
    return f"{number:05}{'x' * size}\n".encode()


def test_lines_are_written_as_they_are_in_order(pipe: Pipe) -> None:
    output = Output(pipe.writing)
    pipe.read_on()
    output.write_lines([])
    output.write_lines([line(n, n) for n in range(2_000)])
    output.write_lines([line(2_000, 3_000_000), line(2_001)])
    assert pipe.finish() == b"".join(
        [*(line(n, n) for n in range(2_000)), line(2_000, 3_000_000), line(2_001)]
    )


def test_text_waits_until_its_line_is_whole(pipe: Pipe) -> None:
    output = Output(pipe.writing)
    pipe.read_on()
    assert output.write("be") == 2
    output.write_lines([b"between\n"])
    assert output.write("gun\nand ") == 8
    print("all\n\nof", "it", file=output)
    output.write("never ended")
    output.flush()
    assert pipe.finish() == b"between\nbegun\nand all\n\nof it\n"


def test_half_a_character_does_not_stop_a_line(pipe: Pipe) -> None:
    output = Output(pipe.writing)
    pipe.read_on()
    output.write("Zoë \ud83c\n")
    assert pipe.finish() == "Zoë ?\n".encode()


@pytest.mark.parametrize("blocks", [True, False], ids=["blocking", "non-blocking"])
def test_threads_that_write_at_once_glue_no_lines(pipe: Pipe, *, blocks: bool) -> None:
    os.set_blocking(pipe.writing, blocks)
    output = Output(pipe.writing)
    sizes = (10, 5_000, 200_000, 1_500_000)

    def write(letter: str) -> Callable[[], None]:
        def lines() -> None:
            for size in sizes:
                output.write_lines([f"{letter * size}\n".encode()])
                # What is printed goes through `write`, in two parts.
                print(letter * size, file=output)

        return lines

    threads = [on_thread(write(letter)) for letter in "abcd"]
    pipe.read_on()
    for thread in threads:
        thread.join(SECONDS)
    lines = pipe.finish().decode().splitlines()
    expected = sorted(letter * size for letter in "abcd" for size in sizes * 2)
    assert sorted(lines) == expected


def test_a_full_pipe_that_does_not_block_is_waited_for(pipe: Pipe) -> None:
    os.set_blocking(pipe.writing, False)
    output = Output(pipe.writing)
    lines = [line(n, 1_000) for n in range(5_000)]
    writer = on_thread(lambda: output.write_lines(lines))
    pipe.read_on()
    writer.join(SECONDS)
    assert pipe.finish() == b"".join(lines)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux says how full a pipe is")
def test_a_line_that_has_no_room_is_not_begun(pipe: Pipe) -> None:
    output = Output(pipe.writing)
    capacity = fcntl.fcntl(pipe.writing, fcntl.F_GETPIPE_SZ)
    size = capacity // 10
    lines = [line(n, size - 6) for n in range(20)]
    writer = on_thread(lambda: output.write_lines(lines))
    begun = pipe.read(3 * size)
    # As nobody reads on, the pipe fills up with whole lines.
    output.close_for_good(SECONDS)
    os.set_blocking(pipe.reading, False)
    with suppress(BlockingIOError):
        while read := os.read(pipe.reading, 1 << 16):
            begun += read
    whole = len(begun) // size
    assert begun == b"".join(lines[:whole])
    assert 3 <= whole < 20
    assert writer.is_alive()


def test_closing_waits_for_the_line_that_is_being_written(pipe: Pipe) -> None:
    output = Output(pipe.writing)
    large = line(0, 5_000_000)
    on_thread(lambda: output.write_lines([large]))
    # The line is begun, and larger than any pipe.
    begun = pipe.read(1)
    closing = on_thread(lambda: output.close_for_good(SECONDS))
    assert begun + pipe.read(len(large) - 1) == large
    closing.join(SECONDS)
    on_thread(lambda: output.write_lines([b"late\n"]))
    os.set_blocking(pipe.reading, False)
    with pytest.raises(BlockingIOError):
        os.read(pipe.reading, 1)


def test_closing_does_not_wait_for_ever(pipe: Pipe) -> None:
    output = Output(pipe.writing)

    def write() -> None:
        with suppress(OutputError):
            output.write_lines([line(0, 5_000_000)])

    writer = on_thread(write)
    pipe.read(1)
    output.close_for_good(0.01)
    # Before the pipe's number is another file's.
    os.close(pipe.reading)
    writer.join(SECONDS)
    assert not writer.is_alive()


def test_a_reader_that_has_gone_is_told_from_other_errors(pipe: Pipe) -> None:
    output = Output(pipe.writing)
    os.close(pipe.reading)
    with pytest.raises(OutputError) as raised:
        output.write_lines([b"lost\n"])
    assert raised.value.is_closed


def test_a_device_that_is_full_is_named(tmp_path: Path) -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("this system has no device that is always full")
    with full.open("wb") as device, pytest.raises(OutputError) as raised:
        Output(device.fileno()).write_lines([b"lost\n"])
    assert not raised.value.is_closed
    assert str(raised.value) == "No space left on device"


def test_a_descriptor_that_is_not_open_is_an_error() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    os.close(writing)
    with pytest.raises(OSError, match="Bad file descriptor"):
        Output(writing)


def test_a_file_and_a_terminal_get_the_same_lines(tmp_path: Path) -> None:
    with (tmp_path / "file").open("wb") as file:
        Output(file.fileno()).write_lines([line(1), line(2)])
    ours, theirs = pty.openpty()
    Output(theirs).write_lines([line(1), line(2)])
    os.close(theirs)
    shown = os.read(ours, 100).replace(b"\r\n", b"\n")
    os.close(ours)
    assert (tmp_path / "file").read_bytes() == shown == line(1) + line(2)
