"""What the read of a list reports: an estimate, a bar on a terminal, and a line at its end."""

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

from source_kustomer.api.client import Client
from source_kustomer.paging.reader import Reader

if TYPE_CHECKING:
    from rich.progress import Progress as Bar

logger = logging.getLogger("airbyte.source_kustomer")


class Progress:
    """Reports the read of one list."""

    def __init__(self, stream: str, client: Client) -> None:
        self._stream = stream
        self._client = client
        self._began = client.clock.monotonic()
        self._before = client.traffic
        self._records = 0
        self._bar: Bar | None = None

    def of_page(self, reader: Reader, records: int) -> Iterable[AirbyteMessage]:
        """Take in a page; the first one may bring an estimate for the platform."""
        self._records += records
        if reader.pages == 1 and not reader.is_finished:
            total = reader.position.total
            self._show_bar(total)
            if total is not None:
                yield self._estimate(total)
        if self._bar:
            self._bar.update(self._bar.task_ids[0], advance=records)

    def finish(self, reader: Reader) -> None:
        """Report what the list took, whether it was read whole or not."""
        if self._bar:
            self._bar.stop()
        seconds = self._client.clock.monotonic() - self._began
        before, traffic = self._before, self._client.traffic
        logger.info(
            "%s: %d records on %d pages in %.1f s (%.0f records a second): %d requests, %d of them "
            "retries, %.1f MB, %.1f s waited for the rate limit.",
            self._stream,
            self._records,
            reader.pages,
            seconds,
            self._records / max(seconds, 1e-3),
            traffic.requests - before.requests,
            traffic.retries - before.retries,
            (traffic.received_bytes - before.received_bytes) / 1e6,
            traffic.waited - before.waited,
        )

    def _estimate(self, total: int) -> AirbyteMessage:
        estimate = AirbyteEstimateTraceMessage(
            name=self._stream, type=EstimateType.STREAM, row_estimate=total
        )
        trace = AirbyteTraceMessage(
            type=TraceType.ESTIMATE,
            emitted_at=self._client.clock.time() * 1000,
            estimate=estimate,
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
