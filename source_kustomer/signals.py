"""SIGTERM and SIGINT end the process at once, wherever it is, between two lines of its output."""

import os
import signal
import threading

from source_kustomer.output import Output

# How long the line that is being written may take, where a reader is slow.
_FINISH = 1.0


def end_on_signals(output: Output) -> None:
    """Wait for the signals, which are blocked, on a thread of its own, which nothing holds up.

    As they are blocked, a write is never interrupted, and the first process of a container, to
    which the kernel delivers no signal that it does not handle, gets them too.
    """

    def wait() -> None:
        number = signal.sigwait({signal.SIGTERM, signal.SIGINT})
        output.close_for_good(_FINISH)
        os._exit(128 + number)

    threading.Thread(target=wait, name="signals", daemon=True).start()
