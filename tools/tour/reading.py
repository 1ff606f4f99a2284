"""Reads the streams into a database, and keeps how far it came until that is finished."""

import json
import shutil
import signal
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from tools.tour.connector import Connector, Message, Stream
from tools.tour.database import EXTRACTED_AT, Database
from tools.tour.screen import Bars

# Records are stored once there are so many: few large statements are quick.
_BATCH = 2000
_MODES = {"sync_mode": "full_refresh", "destination_sync_mode": "overwrite"}


@dataclass
class Progress:
    """The streams of a read of one account, and of each its last state and records stored."""

    account: str
    streams: list[Stream]
    states: dict[str, dict[str, Any]] = field(default_factory=dict)
    stored: dict[str, int] = field(default_factory=dict)

    @classmethod
    def load(cls, folder: Path, account: str) -> "Progress | None":
        """Return what an interrupted read of this account left, if it can be read."""
        try:
            progress = cls(**json.loads((folder / "progress.json").read_bytes()))
        except (FileNotFoundError, ValueError, TypeError):
            return None
        return progress if progress.account == account else None

    @classmethod
    def begin(cls, folder: Path, account: str, streams: list[Stream]) -> "Progress":
        """Empty the folder for a new read."""
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        return cls(account, streams)

    def save(self, folder: Path) -> None:
        """Write the file, whole or not at all."""
        part = folder / "progress.part"
        part.write_text(json.dumps(asdict(self)))
        part.replace(folder / "progress.json")

    @property
    def finished(self) -> bool:
        """Whether all streams were read to their end."""
        return all(_is_complete(self.states.get(stream["name"], {})) for stream in self.streams)

    @property
    def catalog(self) -> dict[str, Any]:
        return {"streams": [{"stream": stream, **_MODES} for stream in self.streams]}


class Reading:
    """Stores what one read brings; `failures` are its errors, in sentences."""

    def __init__(self, database: Database, progress: Progress, folder: Path, bars: Bars) -> None:
        self._database, self._progress = database, progress
        self._folder, self._bars, self._shown = folder, bars, 0
        self._stream, self._records = "", list[dict[str, Any]]()
        self._states: dict[str, dict[str, Any]] = {}
        self.failures: list[str] = []

    def run(self, connector: Connector, catalog: Path) -> None:
        """Read what is left to read; Ctrl-C ends it after what has arrived is stored."""
        state = self._folder / "state.json"
        streams = (
            {"stream_descriptor": {"name": name}, "stream_state": stream_state}
            for name, stream_state in self._progress.states.items()
        )
        state.write_text(json.dumps([{"type": "STREAM", "stream": stream} for stream in streams]))
        self._progress.save(self._folder)
        before = signal.signal(signal.SIGINT, lambda *_: connector.stop())
        try:
            for message in connector.read(catalog, state):
                self._take(message)
            self._store()
        finally:
            signal.signal(signal.SIGINT, before)

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
            self._bars.show(name, len(self._records) - self._shown, is_all=_is_complete(state))
            self._shown = len(self._records)
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


def _is_complete(state: Mapping[str, Any]) -> bool:
    return bool(state.get("__ab_full_refresh_sync_complete"))
