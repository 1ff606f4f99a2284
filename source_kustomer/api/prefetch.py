"""The next pages are fetched while this one is handed over, and handed over in order."""

import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from queue import SimpleQueue

from source_kustomer.api.rate_limit import CancelledError, LimitError
from source_kustomer.api.transport import Response
from source_kustomer.errors import Fault
from source_kustomer.timing import SYSTEM_CLOCK, Clock

# Enough to hide a response time of half a second at the pace of Kustomer's largest plan, and no
# more connections than a browser or two would open.
MOST_AHEAD = 24

# Pages that wait to be handed over are held in memory: at most so many bytes.
_MOST_BYTES_AHEAD = 64 * 1024 * 1024

# A larger page is not fetched ahead, so that all that is in flight has one limit.
LARGEST_AHEAD = 10 * 1024 * 1024

# Of a list's requests, at most this share may be for pages that turn out not to exist.
MOST_WASTED = 0.05

# More at once helps until responses get slower; below this many seconds it cannot matter.
_SLOWED = 2.0
_FAST_RESPONSE = 0.05

# Where the processor is in use for more than this share of the time, it is what pages wait for:
# records are made by one thread at a time.
_BUSY = 0.9

Fetch = Callable[[str, Callable[[], bool]], Response]


class Prefetch:
    """Fetches the pages of one list ahead, on threads, as many as have been worth it so far."""

    def __init__(self, fetch: Fetch, clock: Clock = SYSTEM_CLOCK) -> None:
        self._fetch = fetch
        self._clock = clock
        self._running: dict[str, Future[Response]] = {}
        # What threads share: the queue, and a flag that only ever turns true.
        self._waiting: SimpleQueue[tuple[str, Future[Response]] | None] = SimpleQueue()
        self._closed = False
        self._threads = 0
        self._most = 1
        self._requests = 0
        self._fastest = float("inf")
        self._largest = 1
        self._planned_at = (0.0, 0.0)

    def take(self, url: str) -> Future[Response] | None:
        """Wait for a page that was planned, and return what became of it.

        Returns None if it was not planned, did not leave, or is too large to be fetched ahead.
        """
        ahead = self._running.pop(url, None)
        if ahead is None:
            self._requests += 1
            return None
        began = self._clock.monotonic()
        error = ahead.exception()
        if error is None and not ahead.result().is_error:
            waited = ahead.result().received_at > began
            self._adapt(ahead.result(), waited=waited and not self._is_busy())
            return ahead
        # What failed meanwhile is asked for again when this page has waited and arrived.
        running = self._running.items()
        self._running = {url: other for url, other in running if not _has_failed(other)}
        self._most = 0 if isinstance(error, Fault) else 1
        return None if isinstance(error, Fault | LimitError | CancelledError) else ahead

    def plan(self, following: Iterable[tuple[str, bool]]) -> None:
        """Fetch what follows, in order, each with whether it is sure to exist."""
        self._planned_at = (self._clock.monotonic(), time.process_time())
        guesses = 0
        for place, (url, sure) in enumerate(following):
            guesses += not sure
            if place >= self._most or guesses > MOST_WASTED * (self._requests + 1):
                return
            if url not in self._running:
                self._start(url)

    def close(self) -> None:
        """Give up what was not taken; requests that have not left do not leave any more."""
        self._closed = True
        self._running.clear()
        for _ in range(self._threads):
            self._waiting.put(None)

    def _is_busy(self) -> bool:
        """Whether the processor was in use since the last plan, most of the time."""
        real, used = self._planned_at
        return time.process_time() - used > _BUSY * (self._clock.monotonic() - real)

    def _adapt(self, response: Response, *, waited: bool) -> None:
        took = response.received_at - response.sent_at
        self._fastest = min(self._fastest, took)
        self._largest = max(self._largest, len(response.content))
        if took > max(_FAST_RESPONSE, _SLOWED * self._fastest):
            self._most = max(1, self._most - 1)
        elif waited:
            self._most = min(2 * self._most, MOST_AHEAD)
        self._most = max(1, min(self._most, _MOST_BYTES_AHEAD // self._largest))

    def _start(self, url: str) -> None:
        self._requests += 1
        response = self._running[url] = Future[Response]()
        self._waiting.put((url, response))
        if len(self._running) > self._threads:
            self._threads += 1
            # A daemon, because a process that ends must not wait for a response that hangs.
            threading.Thread(target=self._work, name="prefetch", daemon=True).start()

    def _work(self) -> None:
        while waiting := self._waiting.get():
            url, response = waiting
            try:
                response.set_result(self._fetch(url, lambda: not self._closed))
            except Exception as e:  # noqa: BLE001
                response.set_exception(e)
            # A thread that waits for work must not keep a page that was handed over.
            del waiting, response


def _has_failed(ahead: Future[Response]) -> bool:
    return ahead.done() and (ahead.exception() is not None or ahead.result().is_error)
