"""SIGTERM and SIGINT end the process at once, wherever it is, between two lines of its output."""

import os
import signal
import threading

from source_kustomer.output import Output

_SIGNALS = frozenset({signal.SIGTERM, signal.SIGINT})

# How long the line that is being written may take, where a reader is slow.
_FINISH = 1.0


def end_on_signals(output: Output) -> None:
    """Wait for the signals on a thread of its own, which nothing holds up.

    They are blocked in all other threads: a write is never interrupted, and the first process of a
    container, which gets no signal that it does not handle, gets these.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)

    def wait() -> None:
        number = signal.sigwait(_SIGNALS)
        output.close_for_good(_FINISH)
        os._exit(128 + number)

    threading.Thread(target=wait, name="signals", daemon=True).start()
