"""Messages go to stdout in whole lines, whoever writes them and however slowly they are read."""

import fcntl
import io
import os
import select
import stat
import sys
import termios
import threading
import time
from contextlib import suppress

from typing_extensions import override

# What is asked for so that a page of records fits; the system may grant less.
_PIPE_SIZE = 1024 * 1024

# The first and the last buffer of a pipe, of a page of memory each, may be partly filled.
_PARTLY_FILLED = 2 * 4096

# How long a full pipe is left alone before it is looked at again.
_FULL = 0.002

# Lines are written together up to so many bytes.
_LARGEST_WRITE = 64 * 1024


class OutputError(Exception):
    """Messages cannot be written; `is_closed` if whoever read them has gone."""

    def __init__(self, error: OSError) -> None:
        super().__init__(error.strerror)
        self.is_closed = isinstance(error, BrokenPipeError)


class Output(io.TextIOBase):
    """Writes whole lines to a file descriptor; threads share it.

    A pipe is written to only when it has room for a whole line, so that a process that is ended
    while nobody reads leaves no half line. A descriptor that does not block is waited for.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._lock = threading.Lock()
        self._parts = threading.local()
        self._capacity = _pipe_capacity(descriptor)

    @override
    def write(self, text: str) -> int:
        """Write what ends in a line feed; the rest waits until its line is whole."""
        begun: str = getattr(self._parts, "begun", "") + text
        lines, ended, self._parts.begun = begun.rpartition("\n")
        if ended:
            self.write_lines([f"{line}\n".encode(errors="replace") for line in lines.split("\n")])
        return len(text)

    def write_lines(self, lines: list[bytes]) -> None:
        """Write whole lines, each in one piece; raises `OutputError`."""
        pending = bytearray()
        for line in lines:
            if pending and len(pending) + len(line) > _LARGEST_WRITE:
                self._write(bytes(pending))
                pending.clear()
            pending += line
        if pending:
            self._write(bytes(pending))

    def close_for_good(self, seconds: float) -> None:
        """Let nobody write any more, once the line that is being written is whole."""
        self._lock.acquire(timeout=seconds)

    def _write(self, content: bytes) -> None:
        while True:
            with self._lock:
                if self._has_room(len(content)):
                    self._write_all(memoryview(content))
                    return
            time.sleep(_FULL)

    def _has_room(self, length: int) -> bool:
        if not self._capacity:
            return True
        unread = fcntl.ioctl(self._descriptor, termios.FIONREAD, bytes(4))
        waiting = int.from_bytes(unread, sys.byteorder)
        return waiting == 0 or waiting + length + _PARTLY_FILLED <= self._capacity

    def _write_all(self, content: memoryview) -> None:
        while content:
            try:
                content = content[os.write(self._descriptor, content) :]
            except BlockingIOError:  # noqa: PERF203
                select.select([], [self._descriptor], [])
            except OSError as e:
                raise OutputError(e) from None


def _pipe_capacity(descriptor: int) -> int:
    """Return how many bytes a pipe holds, 0 for what is no pipe or does not tell."""
    if sys.platform != "linux" or not stat.S_ISFIFO(os.fstat(descriptor).st_mode):
        return 0
    # An unprivileged user's pipes are limited in all.
    with suppress(OSError):
        fcntl.fcntl(descriptor, fcntl.F_SETPIPE_SZ, _PIPE_SIZE)
    return fcntl.fcntl(descriptor, fcntl.F_GETPIPE_SZ)


def take_stdout() -> Output:
    """Make an `Output` of stdout, and of whatever is printed from now on; raises `OutputError`."""
    try:
        output = Output(1)
    except OSError as e:
        raise OutputError(e) from None
    sys.stdout = sys.__stdout__ = output  # type: ignore[assignment, misc]
    return output
