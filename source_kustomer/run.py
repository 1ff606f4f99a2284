"""The console script: signals and stdout first, then the command line, then the command."""

import os
import signal
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from source_kustomer.timing import Timing


def main(timing: "Timing | None" = None) -> None:
    """Run one command of the Airbyte protocol; exits with 1 if it failed."""
    # Before anything else is imported, because loading the CDK takes a second, in which a signal
    # would end in a traceback, and would be lost on the first process of a container.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
    from source_kustomer.cli import parse  # noqa: PLC0415
    from source_kustomer.output import OutputError, take_stdout  # noqa: PLC0415
    from source_kustomer.signals import end_on_signals  # noqa: PLC0415

    try:
        output = take_stdout()
        end_on_signals(output)
        command = parse(sys.argv[1:])
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
