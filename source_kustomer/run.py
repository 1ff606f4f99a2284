"""The console script: signals and stdout first, then the command line, then the command."""

import os
import signal
import sys
from typing import TYPE_CHECKING

from source_kustomer.cli import parse
from source_kustomer.output import Output

if TYPE_CHECKING:
    from source_kustomer.timing import Timing


def main(timing: "Timing | None" = None) -> None:
    """Run one command of the Airbyte protocol; the process ends with 1 if it failed."""
    # Before the CDK is imported, which takes a second. The first process of a container gets only
    # signals that have a handler.
    output = Output(1)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda number, _: output.end_process(128 + number))
    output.watch_reader()
    sys.stdout = output
    command = parse(sys.argv[1:])
    # What a library prints is no message.
    sys.stdout = sys.stderr

    from source_kustomer.entrypoint import run  # noqa: PLC0415

    code = run(command, output, timing)
    # Threads that wait for a response do not hold up the end.
    os._exit(code)
