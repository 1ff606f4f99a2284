"""Reads the streams into the database, and keeps how far it came."""

import json
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from tools.tour.connector import Connector, Message
from tools.tour.database import EXTRACTED_AT, Database
from tools.tour.progress import Progress, is_complete
from tools.tour.screen import Bars

# Records are stored once there are so many: few large statements are quick.
_BATCH = 2000


class Reading:
    """Stores what one read brings; `failures` are its errors, in sentences."""

    def __init__(self, database: Database, progress: Progress, folder: Path, bars: Bars) -> None:
        self._database, self._progress, self._folder = database, progress, folder
        self._bars = bars
        self._stream, self._records = "", list[dict[str, Any]]()
        self._states: dict[str, dict[str, Any]] = {}
        self._shown = 0
        self.failures: list[str] = []

    def run(self, connector: Connector, catalog: Path) -> None:
        """Read what is left to read; Ctrl-C ends it after what has arrived is stored."""
        state = self._folder / "state.json"
        state.write_text(json.dumps(self._progress.state))
        self._progress.save(self._folder)
        with _stopped_by_ctrl_c(connector):
            for message in connector.read(catalog, state):
                self._take(message)
            self._store()

    def _take(self, message: Message) -> None:
        if message["type"] == "RECORD":
            record = message["record"]
            # Streams come one after another.
            if record["stream"] != self._stream:
                self._store()
                self._stream = record["stream"]
            moment = datetime.fromtimestamp(record["emitted_at"] / 1000, timezone.utc).isoformat()
            self._records.append({**record["data"], EXTRACTED_AT: moment})
        elif message["type"] == "STATE":
            name = message["state"]["stream"]["stream_descriptor"]["name"]
            state = self._states[name] = message["state"]["stream"]["stream_state"]
            self._bars.add(name, len(self._records) - self._shown)
            self._shown = len(self._records)
            if is_complete(state):
                self._bars.finish(name)
            if len(self._records) >= _BATCH:
                self._store()
        elif message["type"] == "TRACE" and message["trace"]["type"] == "ERROR":
            error = message["trace"]["error"]
            # The last error sums up those of the streams.
            if error.get("stream_descriptor") or not self.failures:
                self.failures.append(error["message"])

    def _store(self) -> None:
        """Store records first, and then the state that says that they need not be read again."""
        if self._records:
            self._database.load(self._stream, self._records)
            stored = self._progress.stored
            stored[self._stream] = stored.get(self._stream, 0) + len(self._records)
            self._records, self._shown = [], 0
        self._progress.states |= self._states
        self._progress.save(self._folder)


@contextmanager
def _stopped_by_ctrl_c(connector: Connector) -> Iterator[None]:
    before = signal.signal(signal.SIGINT, lambda *_: connector.stop())
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
