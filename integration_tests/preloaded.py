"""Processes of the connector without the second that loading the CDK takes.

A server process loads it once and forks for each command: what runs then is the console script's
`main`, in a process of its own, with its own environment, stdout and stderr.
"""

import importlib
import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

from source_kustomer.timing import Timing


@dataclass(frozen=True)
class Ended:
    """A process that has ended."""

    code: int
    stdout: str
    stderr: str


class _Server:
    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "integration_tests.preloaded"],
            cwd=Path(__file__).parents[1],
            stdin=subprocess.PIPE,
            text=True,
        )

    def start(self, **order: object) -> None:
        with self._lock:
            assert self._process.stdin
            self._process.stdin.write(json.dumps(order) + "\n")
            self._process.stdin.flush()


_server = cache(_Server)


def run(
    arguments: Sequence[str], environment: Mapping[str, str], timing: Timing, timeout: float
) -> Ended:
    """Run `main` with these arguments to its end; raises `TimeoutError`."""
    with tempfile.TemporaryDirectory() as folder:
        ends = {name: f"{folder}/{name}" for name in ("stdout", "stderr", "code")}
        for path in ends.values():
            os.mkfifo(path)
        _server().start(
            arguments=[*arguments], environment={**environment}, timing=asdict(timing), ends=ends
        )
        texts: dict[str, str] = {}

        def read(name: str) -> None:
            texts[name] = Path(ends[name]).read_text(encoding="utf-8")

        readers = [threading.Thread(target=read, args=(name,), daemon=True) for name in ends]
        for reader in readers:
            reader.start()
        for reader in readers:
            reader.join(timeout)
        if len(texts) < len(ends):
            raise TimeoutError(f"{' '.join(arguments)} took more than {timeout:.0f} s")
    return Ended(int(texts["code"]), texts["stdout"], texts["stderr"])


def _serve() -> None:
    importlib.import_module("source_kustomer.entrypoint")
    for line in sys.stdin:
        if os.fork() == 0:
            _watch(json.loads(line))
        with suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass


def _watch(order: dict[str, dict[str, str]]) -> None:
    """Run a command in a process and tell its exit code."""
    child = os.fork()
    if child == 0:
        _become(order)
    _, status = os.waitpid(child, 0)
    Path(order["ends"]["code"]).write_text(str(os.waitstatus_to_exitcode(status)))
    os._exit(0)


def _become(order: dict[str, dict[str, str]]) -> None:
    from source_kustomer.run import main

    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    for number, name in ((1, "stdout"), (2, "stderr")):
        opened = os.open(order["ends"][name], os.O_WRONLY)
        os.dup2(opened, number)
        os.close(opened)
    os.environ.clear()
    os.environ.update(order["environment"])
    sys.argv = ["source-kustomer", *order["arguments"]]
    main(Timing(**order["timing"]))  # type: ignore[arg-type]


if __name__ == "__main__":
    _serve()
