"""How long the connector waits, for what, and by which clock."""

import threading
import time
from dataclasses import dataclass


class Clock:
    """The machine's time, and how it passes; tests replace it by a virtual one."""

    def monotonic(self) -> float:
        return time.monotonic()

    def time(self) -> float:
        return time.time()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)

    def wait(self, condition: threading.Condition, seconds: float) -> None:
        condition.wait(seconds)


SYSTEM_CLOCK = Clock()


@dataclass(frozen=True)
class Timing:
    """Timeouts and waits, in seconds; tests replace them to fail quickly.

    `silence` is the longest time without a byte, and `response` is the deadline of a whole
    response, headers and body. No attempt begins after `page`.
    """

    # A connection is made in well under a second everywhere.
    connect: float = 10.0
    # Exports of large organizations were seen to answer after more than a minute.
    silence: float = 90.0
    response: float = 300.0
    page: float = 300.0
    # Longer than any window of the rate limit; a longer wait is for the next sync.
    limit: float = 540.0
    # `check` has a person waiting for it.
    check_page: float = 60.0
    check_limit: float = 30.0
    backoff: float = 1.0
    longest_backoff: float = 30.0
    # The window over which Kustomer counts requests.
    window: float = 60.0


DEFAULT_TIMING = Timing()
