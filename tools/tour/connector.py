"""The connector as a process, one command at a time."""

import json
import re
import subprocess
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

# What the connector logs before it waits.
_WAIT = re.compile(r"\bagain in [1-9][\d.]* s\b|^Waiting \d")

Message = dict[str, Any]
Stream = dict[str, Any]


class TourError(Exception):
    """The tour cannot go on; the text says why."""


@dataclass
class Connector:
    """Runs commands with one configuration; keeps their warnings, and shows what they wait for."""

    program: Sequence[str]
    config: Path
    environment: Mapping[str, str]
    show_wait: Callable[[str], None]
    warnings: list[str] = field(default_factory=list)
    stopped: bool = False
    _process: "subprocess.Popen[bytes] | None" = None

    def stop(self) -> None:
        """End the command that runs, and what it yields."""
        self.stopped = True
        if self._process:
            self._process.terminate()

    def check(self) -> None:
        """Raise `TourError` if the key does not work."""
        for message in self._run("check"):
            if message["type"] == "CONNECTION_STATUS":
                status = message["connectionStatus"]
                if status["status"] != "SUCCEEDED":
                    raise TourError(status["message"])

    def discover(self) -> list[Stream]:
        (catalog,) = (m["catalog"] for m in self._run("discover") if m["type"] == "CATALOG")
        streams: list[Stream] = catalog["streams"]
        return streams

    def read(self, catalog: Path, state: Path) -> Iterator[Message]:
        return self._run("read", "--catalog", catalog, "--state", state)

    def _run(self, command: str, *options: str | Path) -> Iterator[Message]:
        """Yield messages; raises `TourError` for a failure, which `read` has in its messages."""
        error = ""
        # Not the terminal, where the connector would draw a progress bar of its own.
        with (
            tempfile.TemporaryFile() as stderr,
            subprocess.Popen(
                [*self.program, command, "--config", self.config, *options],
                env=self.environment,
                stdout=subprocess.PIPE,
                stderr=stderr,
                # Out of reach of Ctrl-C, which reaches the tour: it ends a read in good order.
                start_new_session=command == "read",
            ) as process,
        ):
            self._process = process
            try:
                for line in process.stdout or ():
                    # The last line of a process that was stopped need not be whole.
                    if self.stopped:
                        continue
                    message: Message = json.loads(line)
                    if message["type"] == "LOG":
                        self._note(message["log"]["level"], message["log"]["message"])
                    elif message["type"] == "TRACE" and message["trace"]["type"] == "ERROR":
                        error = message["trace"]["error"]["message"]
                    yield message
            except BaseException:
                process.terminate()
                raise
            process.wait()
            stderr.seek(0)
            written = stderr.read().decode(errors="replace").strip()
        if process.returncode and command != "read":
            ended = f"source-kustomer {command} ended with {process.returncode}."
            raise TourError(error or f"{written}\n{ended}".strip())

    def _note(self, level: str, said: str) -> None:
        if _WAIT.search(said):
            self.show_wait(said)
        elif level == "WARN" and said not in self.warnings:
            self.warnings.append(said)


def merge(sentences: Iterable[str]) -> list[str]:
    """Make one sentence of those that end in the same clause."""
    heads: dict[str, list[str]] = {}
    for sentence in sentences:
        head, _, clause = sentence.partition("; ")
        heads.setdefault(clause, []).append(head)
    return ["; ".join([*group, clause] if clause else group) for clause, group in heads.items()]
