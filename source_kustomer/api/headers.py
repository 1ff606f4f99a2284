"""What rate-limit headers say."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime

import ciso8601

# Past this, a number is not seconds but milliseconds since 1970: as seconds it is the year 5138.
_MILLISECONDS = 1e11

# No quota is counted over more than a month: a longer wait is a moment, or nonsense.
_LONGEST = 31 * 86400.0

# Rate limits are counted over an hour at most; a longer wait more likely comes from a wrong clock.
_PLAUSIBLE = 3600.0


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
        """Read the headers of a response that arrived at `now`, in UTC epoch seconds.

        Names are looked up in lower case. The reset counts only where nothing remains.
        """
        remaining = _whole(headers.get("x-ratelimit-remaining"))
        names = ["retry-after"] if remaining else ["retry-after", "x-ratelimit-reset"]
        clocks = [now] if (date := _moment(headers.get("date"))) is None else [date, now]
        waits = [wait for name in names if (wait := _wait(headers.get(name), clocks)) is not None]
        limit = _whole(headers.get("x-ratelimit-limit"))
        return cls(limit or None, remaining, max(waits, default=None))


def _whole(text: str | None) -> int | None:
    return int(text) if text and re.fullmatch(r"\s*[0-9]{1,9}\s*", text, re.ASCII) else None


def _wait(text: str | None, clocks: list[float]) -> float | None:
    """Return the seconds until a moment, which may also be given as a number of seconds."""
    if text and re.fullmatch(r"\s*[0-9]{1,15}(\.[0-9]{1,9})?\s*", text, re.ASCII):
        number = float(text)
        if number <= _LONGEST:
            return number
        moment: float | None = number / 1000 if number > _MILLISECONDS else number
    else:
        moment = _moment(text)
    if moment is None:
        return None
    # The server's clock comes first, because the local one may be wrong. Where its `Date` is a day
    # off and the moment is not, the local one tells.
    waits = [moment - clock for clock in clocks if moment >= clock]
    wait = next((wait for wait in waits if wait <= _PLAUSIBLE), min(waits, default=0.0))
    return wait if wait <= _LONGEST else None


def _moment(text: str | None) -> float | None:
    """Return the UTC epoch seconds of an HTTP date (RFC 9110) or an ISO 8601 time."""
    moment = _read(parsedate_to_datetime, text) or _read(ciso8601.parse_datetime, text)
    if moment and not moment.tzinfo:
        moment = moment.replace(tzinfo=timezone.utc)
    return moment.timestamp() if moment else None


def _read(parse: Callable[[str], datetime], text: str | None) -> datetime | None:
    try:
        return parse((text or "").strip())
    except (ValueError, TypeError, OverflowError):
        return None
