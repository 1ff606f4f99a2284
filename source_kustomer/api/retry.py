"""Attempts at one page until success or failure: the state, and the rules of waiting and ending."""

import math
import random
from dataclasses import dataclass, field

from source_kustomer.errors import Cause
from source_kustomer.timing import Clock, Timing

# After a page has failed for good, other lists find out quickly whether the outage is theirs too:
# with fewer attempts than else, where each waits for a timeout.
_OUTAGE_ATTEMPTS = 2


@dataclass(frozen=True)
class Patience:
    """How long one page is asked for.

    At most `attempts`, none of which begins after `seconds`, beside waits for the rate limit, which
    take at most `limit` seconds in all.
    """

    attempts: float
    seconds: float
    limit: float

    @classmethod
    def reading(cls, timing: Timing) -> "Patience":
        """Return the patience of a sync."""
        return cls(math.inf, timing.page, timing.limit)

    @classmethod
    def checking(cls, timing: Timing) -> "Patience":
        """Return the patience of `check`, which a person waits for."""
        return cls(2, timing.check_page, timing.check_limit)


@dataclass
class Attempts:
    """The attempts at one page so far."""

    patience: Patience
    timing: Timing
    clock: Clock
    number: int = 1
    limit_waited: float = 0.0
    started_at: float = field(init=False)

    def __post_init__(self) -> None:
        self.started_at = self.clock.monotonic()

    @property
    def limit_left(self) -> float:
        """The seconds for which the next attempt may wait for the rate limit."""
        return max(0.0, self.patience.limit - self.limit_waited)

    def wait(self, cause: Cause) -> float:
        """Return the seconds to wait before the next attempt, with jitter against lockstep."""
        if math.isinf(cause.attempts):
            # The limiter waits, and ends the attempts.
            return 0.0
        longest = self.timing.backoff * 2.0 ** (self.number - 1)
        return min(longest, self.timing.longest_backoff) * random.uniform(0.5, 1)  # noqa: S311

    def are_over(self, cause: Cause, wait: float, *, is_outage: bool) -> bool:
        """Whether no attempt follows this one, which failed for `cause`."""
        if math.isinf(cause.attempts):
            return False
        most = min(cause.attempts, self.patience.attempts)
        if is_outage:
            most = min(most - 1, _OUTAGE_ATTEMPTS)
        elapsed = self.clock.monotonic() - self.started_at - self.limit_waited
        return self.number >= most or elapsed + wait > self.patience.seconds
