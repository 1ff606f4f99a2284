"""How far a read has come, kept in a folder until the database has its records."""

import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tools.tour.connector import Stream

# What a state holds when its stream was read to the end.
_COMPLETE = "__ab_full_refresh_sync_complete"


def is_complete(state: Mapping[str, Any]) -> bool:
    """Whether a state says that its stream was read to the end."""
    return bool(state.get(_COMPLETE))


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
    def complete(self) -> frozenset[str]:
        """The streams that were read to their end."""
        return frozenset(name for name, state in self.states.items() if is_complete(state))

    @property
    def finished(self) -> bool:
        """Whether all streams were."""
        return self.complete.issuperset(stream["name"] for stream in self.streams)

    @property
    def catalog(self) -> dict[str, Any]:
        """The catalog that `read` takes."""
        modes = {"sync_mode": "full_refresh", "destination_sync_mode": "overwrite"}
        return {"streams": [{"stream": stream, **modes} for stream in self.streams]}

    @property
    def state(self) -> list[dict[str, Any]]:
        """The states that `read` takes."""
        return [
            {
                "type": "STREAM",
                "stream": {"stream_descriptor": {"name": name}, "stream_state": state},
            }
            for name, state in self.states.items()
        ]
