"""What rate-limit headers say."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

# In seconds. A larger number is a moment; a moment further ahead, such as one in milliseconds, is
# none that this reads.
_LONGEST_WAIT = 86400.0


@dataclass(frozen=True)
class RateHeaders:
    """The limit a minute, what remains of it, and the seconds that the server asks to wait.

    Each is None where the response does not say, or not in a readable form.
    """

    limit: int | None = None
    remaining: int | None = None
    wait: float | None = None

    @classmethod
    def parse(cls, headers: Mapping[str, str], now: float) -> "RateHeaders":
        """Read headers by lower-case name; `now` is in epoch seconds.

        The reset counts only where nothing remains.
        """
        remaining = _whole(headers.get("x-ratelimit-remaining", ""))
        names = ("retry-after",) if remaining else ("retry-after", "x-ratelimit-reset")
        waits = (_wait(headers.get(name, ""), now) for name in names)
        wait = max((wait for wait in waits if wait is not None), default=None)
        return cls(_whole(headers.get("x-ratelimit-limit", "")) or None, remaining, wait)


def _whole(text: str) -> int | None:
    return int(text) if re.fullmatch(r"[0-9]{1,9}", text) else None


def _wait(text: str, now: float) -> float | None:
    """Return the seconds of a wait, or until a moment in epoch seconds or as an HTTP date."""
    try:
        number = float(text)
    except ValueError:
        try:
            number = parsedate_to_datetime(text).timestamp()
        except (ValueError, OverflowError):
            return None
    wait = number if number <= _LONGEST_WAIT else number - now
    return wait if 0 <= wait <= _LONGEST_WAIT else None
