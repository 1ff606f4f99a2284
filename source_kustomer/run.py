"""The console script: signals and stdout first, then the command line, then the command."""

import os
import sys
from typing import TYPE_CHECKING

from source_kustomer.cli import parse
from source_kustomer.output import OutputError, take_stdout
from source_kustomer.signals import end_on_signals

if TYPE_CHECKING:
    from source_kustomer.timing import Timing


def main(timing: "Timing | None" = None) -> None:
    """Run one command of the Airbyte protocol; exits with 1 if it failed."""
    try:
        output = take_stdout()
        end_on_signals(output)
        command = parse(sys.argv[1:])
        # Loading the CDK takes a second, in which a signal already ends the process.
        from source_kustomer.entrypoint import run  # noqa: PLC0415

        code = run(command, output, timing)
    except OutputError as e:
        # Nobody is left to be told where whoever read the messages has gone.
        if not e.is_closed:
            sys.stderr.write(f"The messages cannot be written to stdout: {e}.\n")
        code = 1
    sys.stderr.flush()
    # Threads that wait for a response do not hold up the end.
    os._exit(code)
