"""How far a list is read: an immutable value, whose fields are the stream's state."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from source_kustomer.paging.page import count
from source_kustomer.paging.query import PageNumber, is_usable, page_query

State = dict[str, str | int]

_COUNTS = ("size", "records", "total", "total_at")


@dataclass(frozen=True)
class Position:
    """The page to read next, and what is known before it is read.

    `next` is its query, None at the end of the list; `size` is the number of records on a full
    page, `records` the number read so far. The list had `total` records when all before the index
    `total_at` were read.
    """

    next: str | None
    size: int
    records: int = 0
    total: int | None = None
    total_at: int = 0

    @classmethod
    def first(cls, size: int) -> "Position":
        """Return the start of a list that is read `size` records a page."""
        return cls(page_query(1, size), size)

    @classmethod
    def parse(cls, state: Mapping[str, Any]) -> "Position":
        """Read a state back; raises `ValueError` for one that is not ours."""
        # Version 0.1.0 also named the last page, which is not needed.
        are_known = {"next", "size"} <= state.keys() <= {"next", "last", *_COUNTS}
        counts = {name: state[name] for name in _COUNTS if name in state}
        are_counts = all(
            type(value) is int and count(value) is not None for value in counts.values()
        )
        if not (are_known and are_counts and counts["size"] and _is_query(state["next"])):
            raise ValueError("not a state of this connector")
        return cls(state["next"], **counts)

    @property
    def state(self) -> State:
        """The fields that are known, as a flat JSON object."""
        return {name: value for name, value in asdict(self).items() if value is not None}


def _is_query(value: Any) -> bool:
    if not isinstance(value, str) or not is_usable(value):
        return False
    number = PageNumber.parse(value)
    return number is None or number.page >= 1
