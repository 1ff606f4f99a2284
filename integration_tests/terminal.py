"""Runs a program in a terminal of its own, as a person does."""

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

# Makes the terminal the session's own, so that Ctrl-C reaches the program.
_IN_TERMINAL = """
import fcntl, os, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execvp(sys.argv[1], sys.argv[1:])
"""
_CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_SECONDS = 120


class Terminal:
    """A program, what it writes, and the keys that are pressed."""

    def __init__(
        self,
        command: Sequence[str | Path],
        environment: Mapping[str, str] | None = None,
        columns: int = 80,
    ) -> None:
        self._ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
        # What else says how wide a terminal is would win.
        inherited = {k: v for k, v in os.environ.items() if k not in {"COLUMNS", "LINES"}}
        self._process = subprocess.Popen(
            [sys.executable, "-c", _IN_TERMINAL, *command],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env={**inherited, "TERM": "xterm-256color", **(environment or {})},
            cwd=Path(__file__).parents[1],
            start_new_session=True,
        )
        os.close(theirs)
        self._written = b""

    def press(self, keys: str) -> None:
        """Press keys."""
        os.write(self._ours, keys.encode())

    def wait_for(self, pattern: str) -> None:
        """Wait until a regular expression matches what was written."""
        end = time.monotonic() + _SECONDS
        while not re.search(pattern, self.text):
            assert time.monotonic() < end, self.text[-2000:]
            assert self._read(), self.text[-2000:]

    def finish(self) -> int:
        """Wait for the end of the program and return its exit code."""
        while self._read():
            pass
        os.close(self._ours)
        return self._process.wait(_SECONDS)

    @property
    def text(self) -> str:
        """All that was written, without what moves the cursor and colours."""
        return _CONTROL.sub("", self._written.decode(errors="replace"))

    @property
    def lines(self) -> list[str]:
        """The lines of it; what was overwritten is a line of its own."""
        return re.split(r"[\r\n]+", self.text)

    def _read(self) -> bool:
        ready, _, _ = select.select([self._ours], [], [], _SECONDS)
        assert ready, f"nothing was written for {_SECONDS} s: {self.text[-2000:]}"
        try:
            written = os.read(self._ours, 65536)
        except OSError:
            # The program closed its end.
            return False
        self._written += written
        return bool(written)
