"""What a long read tells while it runs."""

import logging
import sys
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING

from airbyte_cdk.models import (
    AirbyteEstimateTraceMessage,
    AirbyteMessage,
    AirbyteTraceMessage,
    EstimateType,
    TraceType,
    Type,
)

from source_kustomer.client import Client
from source_kustomer.pagination import Walk
from source_kustomer.rate_limit import WINDOW
from source_kustomer.read_ahead import MOST_AHEAD

if TYPE_CHECKING:
    from rich.progress import Progress as Bar

_BETWEEN_LINES = 60.0

# Of a unit, so many are still read with ease.
_AS_IT_IS = 90

logger = logging.getLogger("airbyte.source_kustomer")


class Progress:
    """Tells how the read of one list goes: an estimate, a line a minute, and a line at its end."""

    def __init__(self, stream: str, client: Client) -> None:
        self._stream = stream
        self._client = client
        self._began = self._told = time.monotonic()
        self._records = 0
        self._before = (
            client.traffic.requests,
            client.traffic.retries,
            client.traffic.received_bytes,
            client.budget.waited,
        )
        self._bar: Bar | None = None

    def of_page(self, walk: Walk, records: int) -> Iterable[AirbyteMessage]:
        """Take in a page; the first one may bring an estimate for the platform."""
        self._records += records
        now, total = time.monotonic(), walk.position.total
        if walk.pages == 1 and not walk.finished:
            self._show_bar(total)
            if total is not None:
                yield self._estimate(total)
                pages = -(-max(0, total - walk.position.records) // walk.position.size)
                logger.info(
                    "%s: about %s; %s to come take about %s at this pace.",
                    self._stream,
                    _count(total, "record", "records"),
                    _count(pages, "page", "pages"),
                    _duration(self._expected(pages, now - self._began)),
                )
        elif now - self._told >= _BETWEEN_LINES:
            self._told = now
            logger.info("%s: %s.", self._stream, self._so_far(walk, total))
        if self._bar:
            self._bar.update(self._bar.task_ids[0], advance=records)

    def finish(self, walk: Walk) -> None:
        """Tell what the list took, whether it was read whole or not."""
        if self._bar:
            self._bar.stop()
        seconds = time.monotonic() - self._began
        requests, retries, received, waited = self._before
        traffic = self._client.traffic
        logger.info(
            "%s: %s on %s in %s: %s, %s, %.0f s waited for the rate limit, %.1f MB, "
            "%s records a second.",
            self._stream,
            _count(self._records, "record", "records"),
            _count(walk.pages, "page", "pages"),
            _duration(seconds),
            _count(traffic.requests - requests, "request", "requests"),
            _count(traffic.retries - retries, "retry", "retries"),
            self._client.budget.waited - waited,
            (traffic.received_bytes - received) / 1e6,
            f"{self._records / max(seconds, 1e-3):,.0f}",
        )

    def _expected(self, pages: int, seconds: float) -> float:
        """Seconds for pages that each take `seconds`, where the limit is what holds them up."""
        a_minute = max(1, self._client.budget.requests_a_minute)
        # Each minute's requests may leave at its beginning, so that the last minute is not waited.
        return max(pages * seconds / MOST_AHEAD, pages // a_minute * WINDOW)

    def _so_far(self, walk: Walk, total: int | None) -> str:
        seconds = time.monotonic() - self._began
        records, pages = (
            _count(self._records, "record", "records"),
            _count(walk.pages, "page", "pages"),
        )
        told = f"{records} on {pages} in {_duration(seconds)}"
        left = (total or 0) - walk.position.records
        if self._records == 0 or left <= 0:
            return told
        return f"{told}, about {_duration(left * seconds / self._records)} to go at this pace"

    def _estimate(self, total: int) -> AirbyteMessage:
        estimate = AirbyteEstimateTraceMessage(
            name=self._stream, type=EstimateType.STREAM, row_estimate=total
        )
        trace = AirbyteTraceMessage(
            type=TraceType.ESTIMATE, emitted_at=time.time() * 1000, estimate=estimate
        )
        return AirbyteMessage(Type.TRACE, trace=trace)

    def _show_bar(self, total: int | None) -> None:
        # In Airbyte the log stays plain.
        if not (sys.__stderr__ and sys.__stderr__.isatty()):
            return
        from rich.console import Console  # noqa: PLC0415
        from rich.progress import Progress as Bar  # noqa: PLC0415

        self._bar = Bar(console=Console(file=sys.__stderr__), transient=True)
        self._bar.add_task(self._stream, total=total)
        self._bar.start()


def _count(number: int, one: str, more: str) -> str:
    return f"{number:,} {one if number == 1 else more}"


def _duration(seconds: float) -> str:
    if seconds < _AS_IT_IS:
        return f"{seconds:.2g} s" if seconds < 1 else f"{seconds:.0f} s"
    minutes = seconds / 60
    return f"{minutes:.0f} min" if minutes < _AS_IT_IS else f"{minutes / 60:.1f} h"
