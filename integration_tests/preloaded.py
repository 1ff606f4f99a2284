"""Processes of the connector without the second that loading the CDK takes.

A server process loads it once and forks for each command: what runs then is the console script's
`main`, in a process of its own, with its own environment, stdout and stderr.
"""

import multiprocessing
import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from source_kustomer.timing import Timing

_context = multiprocessing.get_context("forkserver")
# With pytest's own `__main__`, which each process would import otherwise.
_context.set_forkserver_preload(["__main__", "source_kustomer.entrypoint"])


@dataclass(frozen=True)
class Ended:
    """A process that has ended."""

    code: int
    stdout: str
    stderr: str


def run(
    arguments: Sequence[str], environment: Mapping[str, str], timing: Timing, timeout: float
) -> Ended:
    """Run `main` with these arguments to its end; raises `TimeoutError`."""
    with tempfile.TemporaryDirectory() as folder:
        written = [Path(folder) / name for name in ("stdout", "stderr")]
        process = _context.Process(
            target=_become, args=([*arguments], {**environment}, timing, written)
        )
        process.start()
        process.join(timeout)
        if process.exitcode is None:
            process.kill()
            raise TimeoutError(f"{' '.join(arguments)} took more than {timeout:.0f} s")
        return Ended(process.exitcode, *(path.read_text(encoding="utf-8") for path in written))


def _become(
    arguments: list[str], environment: dict[str, str], timing: Timing, written: list[Path]
) -> None:
    from source_kustomer.run import main

    for number, path in enumerate(written, start=1):
        opened = os.open(path, os.O_WRONLY | os.O_CREAT)
        os.dup2(opened, number)
        os.close(opened)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = ["source-kustomer", *arguments]
    main(timing)
