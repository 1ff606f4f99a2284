"""What a long read reports while it runs."""

import logging
import os
import sys
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

from source_kustomer.api.client import Client, Traffic
from source_kustomer.api.prefetch import MOST_AHEAD
from source_kustomer.paging.reader import Reader

if TYPE_CHECKING:
    from rich.progress import Progress as Bar

_BETWEEN_LINES = 60.0

# Seconds are shown up to this many, then minutes, and minutes likewise.
_LARGEST_SHOWN = 90

logger = logging.getLogger("airbyte.source_kustomer")


class Progress:
    """Reports the read of one list: an estimate, a line a minute, and a line at its end."""

    def __init__(self, stream: str, client: Client, traffic: Traffic) -> None:
        self._stream = stream
        self._client = client
        self._traffic = traffic
        self._clock = client.clock
        self._began = self._reported = self._clock.monotonic()
        self._waited_before = client.limiter.waited
        self._records = 0
        self._bar: Bar | None = None

    def of_page(self, reader: Reader, records: int) -> Iterable[AirbyteMessage]:
        """Take in a page; the first one may bring an estimate for the platform."""
        self._records += records
        now, total = self._clock.monotonic(), reader.position.total
        if reader.pages == 1 and not reader.is_finished:
            self._show_bar(total)
            if total is not None:
                yield self._estimate(total)
                pages = -(-max(0, total - reader.position.records) // reader.position.size)
                logger.info(
                    "%s: about %s; %s to come take about %s at this pace.",
                    self._stream,
                    _count(total, "record", "records"),
                    _count(pages, "page", "pages"),
                    _duration(self._expected(pages, now - self._began)),
                )
        elif now - self._reported >= _BETWEEN_LINES:
            self._reported = now
            logger.info("%s: %s.", self._stream, self._so_far(reader, total))
        if self._bar:
            self._bar.update(self._bar.task_ids[0], advance=records)

    def finish(self, reader: Reader) -> None:
        """Report what the list took, whether it was read whole or not."""
        if self._bar:
            self._bar.stop()
        seconds = self._clock.monotonic() - self._began
        logger.info(
            "%s: %s on %s in %s: %s, %s, %.0f s waited for the rate limit, %.1f MB, "
            "%s records a second.",
            self._stream,
            _count(self._records, "record", "records"),
            _count(reader.pages, "page", "pages"),
            _duration(seconds),
            _count(self._traffic.requests, "request", "requests"),
            _count(self._traffic.retries, "retry", "retries"),
            self._client.limiter.waited - self._waited_before,
            self._traffic.received_bytes / 1e6,
            f"{self._records / max(seconds, 1e-3):,.0f}",
        )

    def _expected(self, pages: int, seconds: float) -> float:
        """Seconds for pages that each take `seconds`, where the limit is what holds them up."""
        a_minute = self._client.limiter.requests_per_minute
        return max(pages * seconds / MOST_AHEAD, pages / a_minute * 60)

    def _so_far(self, reader: Reader, total: int | None) -> str:
        seconds = self._clock.monotonic() - self._began
        records, pages = (
            _count(self._records, "record", "records"),
            _count(reader.pages, "page", "pages"),
        )
        so_far = f"{records} on {pages} in {_duration(seconds)}"
        left = (total or 0) - reader.position.records
        if self._records == 0 or left <= 0:
            return so_far
        return f"{so_far}, about {_duration(left * seconds / self._records)} to go at this pace"

    def _estimate(self, total: int) -> AirbyteMessage:
        estimate = AirbyteEstimateTraceMessage(
            name=self._stream, type=EstimateType.STREAM, row_estimate=total
        )
        trace = AirbyteTraceMessage(
            type=TraceType.ESTIMATE, emitted_at=self._clock.time() * 1000, estimate=estimate
        )
        return AirbyteMessage(Type.TRACE, trace=trace)

    def _show_bar(self, total: int | None) -> None:
        # In Airbyte the log stays plain, and messages on the same terminal would run over the bar.
        if not (sys.__stderr__ and sys.__stderr__.isatty()) or os.isatty(1):
            return
        from rich.console import Console  # noqa: PLC0415
        from rich.progress import Progress as Bar  # noqa: PLC0415

        # Without rich's redirection, which would take the messages from stdout.
        self._bar = Bar(
            console=Console(file=sys.__stderr__),
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._bar.add_task(self._stream, total=total)
        self._bar.start()


def _count(number: int, one: str, more: str) -> str:
    return f"{number:,} {one if number == 1 else more}"


def _duration(seconds: float) -> str:
    if seconds < _LARGEST_SHOWN:
        return f"{seconds:.2g} s" if seconds < 1 else f"{seconds:.0f} s"
    minutes = seconds / 60
    return f"{minutes:.0f} min" if minutes < _LARGEST_SHOWN else f"{minutes / 60:.1f} h"
