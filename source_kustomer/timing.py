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
    """Timeouts and waits, in seconds; tests and the sandbox replace them.

    `silence` is the longest time without a byte, and `response` the deadline of a whole response.
    No attempt at a page begins after `page`; `command` is for all of `check` or `discover`.
    """

    # A connection is made in well under a second everywhere.
    connect: float = 10.0
    # Exports of large organizations were seen to answer after more than a minute.
    silence: float = 90.0
    response: float = 300.0
    page: float = 300.0
    # A person, and Airbyte's form, wait for `check` and `discover`.
    command: float = 50.0
    # Longer than any window of the rate limit; a longer wait is for the next sync.
    limit: float = 540.0
    backoff: float = 1.0
    longest_backoff: float = 30.0
    # The longest pause before a second look at a list that seems to end or to have shrunk: a search
    # index that is rebuilt, or a replica that was just put in, is behind for seconds.
    look: float = 10.0
    # The window over which Kustomer counts requests.
    window: float = 60.0


DEFAULT_TIMING = Timing()
