"""The console script: signals and stdout first, then the command line, then the command."""

import os
import signal
import sys

from source_kustomer.cli import parse
from source_kustomer.output import Output
from source_kustomer.timing import DEFAULT_TIMING, Timing


def main(timing: Timing = DEFAULT_TIMING) -> None:
    """Run one command of the Airbyte protocol; the process ends with 1 if it failed."""
    # Before the slow import of the CDK: as PID 1, the process ignores signals without a handler.
    output = Output(1)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda number, _: output.end_process(128 + number))
    output.watch_reader()
    sys.stdout = output
    command = parse(sys.argv[1:])
    # Libraries that print must not corrupt the messages.
    sys.stdout = sys.stderr

    from source_kustomer.entrypoint import run  # noqa: PLC0415

    code = run(command, output, timing)
    # Threads that wait for a response do not hold up the end.
    os._exit(code)
