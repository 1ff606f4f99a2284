"""Messages go to stdout in whole lines, whoever writes them and however slowly they are read."""

import io
import os
import select
import signal
import sys
import threading
from collections.abc import Iterable
from contextlib import suppress

from typing_extensions import override

# Linux's PIPE_BUF: a pipe takes so many bytes whole or not at all, whatever ends the process.
_ATOMIC = 4096

# Seconds that a longer line may take to be finished, where its reader is slow.
_FINISH = 1


class Output(io.TextIOBase):
    """Writes whole lines to a file descriptor; threads share it.

    Where nothing can be written any more, the process ends with 1.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._lock = threading.Lock()
        self._exit_code: int | None = None
        # Fail now if stdout is closed: its descriptor would be reused by the next file or socket.
        self._write(b"")

    @override
    def write(self, text: str) -> int:
        """Write a text that ends in a line feed."""
        self._write(text.encode())
        return len(text)

    def write_lines(self, lines: Iterable[bytes]) -> None:
        """Write whole lines, as many at once as a pipe takes in one piece."""
        pending = b""
        for line in lines:
            if len(pending) + len(line) > _ATOMIC:
                self._write(pending)
                pending = b""
            pending += line
        self._write(pending)

    def end_process(self, code: int) -> None:
        """End the process at once, or else after the line that is being written or one second."""
        if self._lock.acquire(blocking=False) or not hasattr(signal, "alarm"):
            os._exit(code)
        self._exit_code = code
        signal.signal(signal.SIGALRM, lambda *_: os._exit(code))
        signal.alarm(_FINISH)

    def watch_reader(self) -> None:
        """End the process when the reader of a pipe goes away, even while nothing is written."""
        # Without polls, on Windows, or without a thread, the next write finds out.
        if hasattr(select, "poll"):
            with suppress(RuntimeError):
                threading.Thread(target=self._end_without_reader, daemon=True).start()

    def _end_without_reader(self) -> None:
        poll = select.poll()
        # No event is asked for: errors and hang-ups are always reported.
        poll.register(self._descriptor, 0)
        ((_, event),) = poll.poll()
        # macOS answers POLLNVAL for a terminal.
        if event & (select.POLLERR | select.POLLHUP):
            os._exit(1)

    def _write(self, content: bytes) -> None:
        with self._lock:
            try:
                self._write_all(memoryview(content))
            except OSError as e:
                # A closed pipe has nobody to tell.
                if not isinstance(e, BrokenPipeError):
                    sys.stderr.write(f"Cannot write messages to stdout: {e.strerror}.\n")
                os._exit(1)
            if self._exit_code is not None:
                os._exit(self._exit_code)

    def _write_all(self, content: memoryview) -> None:
        while True:
            try:
                content = content[os.write(self._descriptor, content) :]
            except BlockingIOError:
                select.select([], [self._descriptor], [])
            if not content:
                return
