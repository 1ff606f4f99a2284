"""The next pages are fetched while the current one is emitted, and returned in order."""

from collections.abc import Callable, Iterable
from concurrent.futures import CancelledError, Future, wait
from functools import partial

from source_kustomer.api import background
from source_kustomer.api.transport import Response
from source_kustomer.errors import Fault

# Enough to hide a response time of half a second at the pace of Kustomer's largest plan, and no
# more connections than two browsers open.
MOST_AHEAD = 24

# Pages that wait to be handed over are held in memory: at most so many bytes. A page that is larger
# than its part of them is not fetched ahead.
_MOST_BYTES_AHEAD = 64 * 1024 * 1024
LARGEST_AHEAD = 10 * 1024 * 1024

# Of a list's requests, at most this share may be for pages that turn out not to exist.
_MOST_WASTED = 0.05

Fetch = Callable[[str, Callable[[], bool]], Response]


class Prefetch:
    """Fetches the pages of one list ahead, each on a thread: as many as fit into memory.

    A page that is not there after `seconds` of waiting is given up.
    """

    def __init__(self, fetch: Fetch, seconds: float) -> None:
        self._fetch = fetch
        self._seconds = seconds
        self._running: dict[str, Future[Response]] = {}
        self._generation = 0
        self._requests = 0
        self._largest = 1
        self._most = MOST_AHEAD

    def take(self, url: str) -> Future[Response] | None:
        """Wait for a page that was planned, and return what became of it.

        Returns None if it was not planned or given up, was not sent, or is too large to be fetched
        ahead.
        """
        ahead = self._running.pop(url, None)
        if ahead is None:
            self._requests += 1
            return None
        is_late = not ahead.done()
        wait([ahead], self._seconds)
        if not ahead.done():
            self.forget()
            return None
        error = ahead.exception()
        if error is None and not ahead.result().is_error:
            self._largest = max(self._largest, len(ahead.result().content))
            # Pages that come long before they are taken only take memory.
            done = sum(page.done() for page in self._running.values())
            is_early = 2 * done > len(self._running)
            most = 2 * self._most if is_late else self._most - is_early
            self._most = min(max(1, most), MOST_AHEAD)
            return ahead
        # Pages fetched alongside a failure are fetched again after it succeeds.
        self.forget()
        if isinstance(error, Fault) and error.name == "large_body":
            # Pages of this list are too large, and would be asked for twice.
            self._largest = _MOST_BYTES_AHEAD + 1
        return None if isinstance(error, Fault | CancelledError) else ahead

    def plan(self, following: Iterable[tuple[str, bool]]) -> None:
        """Fetch what follows, in order, each with whether it is sure to exist."""
        guesses, most = 0, min(self._most, _MOST_BYTES_AHEAD // self._largest)
        for place, (url, is_sure) in enumerate(following):
            guesses += not is_sure
            if place >= most or guesses > _MOST_WASTED * (self._requests + 1):
                return
            if url not in self._running:
                wanted = partial(self._is_current, self._generation)
                started = background.start_if_possible(partial(self._fetch, url, wanted))
                if started is None:
                    return
                self._requests += 1
                self._running[url] = started

    def forget(self) -> None:
        """Discard the pages that were fetched, and go on with one at first."""
        self.close()
        self._most = 1

    def close(self) -> None:
        """Give up what was not taken; requests that have not been sent are not sent any more."""
        self._generation += 1
        self._running.clear()

    def _is_current(self, generation: int) -> bool:
        return generation == self._generation
