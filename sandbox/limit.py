"""The organization's rate limit, and what the headers say of it."""

import math
import threading
import time
from collections import deque
from dataclasses import dataclass
from datetime import datetime, timezone
from email.utils import formatdate

from sandbox.switches import Switches

WINDOW = 60.0


@dataclass(frozen=True)
class Standing:
    """Where the organization stands after a request; `reset` is in epoch seconds."""

    limit: int
    remaining: int
    reset: float
    exceeded: bool = False

    def headers(self, switches: Switches, status: int) -> dict[str, str]:
        """Return the headers of a response with this status."""
        headers: dict[str, str] = {}
        carried = {
            "always": True,
            "never": False,
            "success": status < 400,
            "exceeded": self.exceeded,
        }
        if carried[switches.rate_headers]:
            headers["x-ratelimit-limit"] = str(self.limit)
            headers["x-ratelimit-remaining"] = str(self.remaining)
            if self.exceeded or switches.reset_when == "always":
                headers |= self._reset(switches.reset)
        if self.exceeded and switches.retry_after == "seconds":
            headers["Retry-After"] = str(max(0, math.ceil(self.reset - time.time())))
        elif self.exceeded and switches.retry_after == "date":
            headers["Retry-After"] = formatdate(math.ceil(self.reset), usegmt=True)
        return headers

    def _reset(self, form: str) -> dict[str, str]:
        if form == "none":
            return {}
        moment = datetime.fromtimestamp(self.reset, timezone.utc)
        forms = {
            "seconds": str(math.ceil(self.reset)),
            "milliseconds": str(math.ceil(self.reset * 1000)),
            "iso": moment.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        }
        return {"x-ratelimit-reset": forms[form]}


class Limit:
    """Counts the requests of a window of so many seconds, others' included.

    `window` is `sliding` or `fixed`.
    """

    def __init__(self, limit: int, window: str, others: float, seconds: float = WINDOW) -> None:
        self._limit, self._window, self._seconds = limit, window, seconds
        self._others_pause = seconds / others if others else math.inf
        self._next_other = time.monotonic() - seconds
        self._counted: deque[float] = deque()
        self._started = time.monotonic() - 7
        self._lock = threading.Lock()

    def count(self) -> Standing:
        """Count a request, and the others' since the one before; those beyond the limit are not."""
        with self._lock:
            now = time.monotonic()
            while self._next_other <= now:
                self._counted.append(self._next_other)
                self._next_other += self._others_pause
            seconds = self._seconds
            begun = now - seconds
            if self._window == "fixed":
                begun = self._started + (now - self._started) // seconds * seconds
            while self._counted and self._counted[0] <= begun:
                self._counted.popleft()
            exceeded = len(self._counted) >= self._limit
            if not exceeded:
                self._counted.append(now)
            oldest = self._counted[0] if self._window == "sliding" else begun
            reset = time.time() + oldest + seconds - now
            remaining = max(0, self._limit - len(self._counted))
        return Standing(self._limit, remaining, reset, exceeded)
