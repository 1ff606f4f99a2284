"""How far a list is read: an immutable value, whose fields are the stream's state.

A list is read by pages in an order that stays, while records vanish from it and appear in it. A
record that vanishes from a page already read moves all later ones forward by one, so that one of
them slides into a page that is not read again. `meta.total` betrays that: it drops. The gap is the
range of indices to which records may have slid unread.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from source_kustomer.paging.gap import Gap
from source_kustomer.paging.page import count
from source_kustomer.paging.query import PageNumber, is_usable, page_query

State = dict[str, str | int]

# A page that is a few times smaller would be refused again; both sizes that the API documents, 100
# and 500, can be divided by this.
_SMALLER = 10

_QUERIES = ("last", "next")
_COUNTS = ("size", "records", "total", "total_at", "gap_start", "gap_end", "gap_total")


class InvalidStateError(ValueError):
    """A state is not one of this connector's."""


@dataclass(frozen=True)
class Position:
    """How far a list is read.

    `last` is the query of the page read last; `next`, that of the page after it, None at the end,
    and the same as `last` where an end is to be confirmed. `size` is the records a page, `records`
    the records so far. `total` is the list's, as it was told when `total_at` records were read.
    """

    last: str | None
    next: str | None
    size: int
    records: int = 0
    total: int | None = None
    total_at: int | None = None
    gap: Gap | None = None

    @classmethod
    def first(cls, size: int) -> "Position":
        """Return the start of a list that is read `size` records a page."""
        return cls(last=None, next=page_query(1, size), size=size)

    @classmethod
    def parse(cls, state: Mapping[str, Any]) -> "Position":
        """Read a state back; raises `InvalidStateError` for one that is not ours."""
        if not {"last", "size"} <= state.keys() <= {*_QUERIES, *_COUNTS}:
            raise InvalidStateError
        if not all(_is_query(state[name]) for name in _QUERIES if name in state):
            raise InvalidStateError
        if not all(_is_count(state[name]) for name in _COUNTS if name in state):
            raise InvalidStateError
        gap = [state[name] for name in ("gap_start", "gap_end", "gap_total") if name in state]
        position = cls(
            last=state["last"],
            next=state.get("next"),
            size=state["size"],
            records=state.get("records", 0),
            total=state.get("total"),
            total_at=state.get("total_at"),
            gap=Gap(*gap) if len(gap) == len(fields(Gap)) else None,
        )
        is_gap_placed = PageNumber.parse(position.last) is not None
        is_gap_real = position.gap is not None and position.gap.length > 0
        if (
            position.query is None
            or not position.size
            or (gap and not (is_gap_placed and is_gap_real))
        ):
            raise InvalidStateError
        return position

    @property
    def state(self) -> State:
        """The fields that are known, as a flat JSON object."""
        gap = self.gap
        values = {
            "last": self.last,
            "next": self.next,
            "size": self.size,
            "records": self.records,
            "total": self.total,
            "total_at": self.total_at,
            **({"gap_start": gap.start, "gap_end": gap.end, "gap_total": gap.total} if gap else {}),
        }
        return {name: value for name, value in values.items() if value is not None}

    @property
    def query(self) -> str | None:
        """The page to ask for now: the gap's last one, or the next; None at the end."""
        return next(self._gap_queries(), self.next)

    @property
    def end(self) -> int:
        """The index up to which the list is read."""
        number = PageNumber.parse(self.last)
        return number.page * self.size if number else self.records

    @property
    def told(self) -> int | None:
        """The total that was told last."""
        return self.gap.total if self.gap else self.total

    @property
    def is_again(self) -> bool:
        """Whether the page to ask for now was read before."""
        return self.gap is not None or self.is_confirming

    @property
    def is_confirming(self) -> bool:
        """Whether the page to ask for now is the last one, once more."""
        return self.gap is None and self.next is not None and self.next == self.last

    def smaller(self) -> "Position | None":
        """Return the same position in pages of a tenth, None where they cannot be smaller."""
        size = self.size // _SMALLER
        last, following = PageNumber.parse(self.last), PageNumber.parse(self.next)
        is_last_sized = self.last is None or (last is not None and last.size is not None)
        is_next_sized = self.next is None or (following and following.size == self.size)
        if self.size % _SMALLER or not is_last_sized or not is_next_sized:
            return None
        # A last page that is to be confirmed is read anew.
        read = last.page - (self.next == self.last) if last else 0
        return replace(
            self,
            last=last.query(read * _SMALLER, size) if last and read else None,
            next=following.query((following.page - 1) * _SMALLER + 1, size) if following else None,
            size=size,
            records=min(self.records, read * self.size),
        )

    def ahead(self, last_page: int | None) -> Iterator[tuple[str, bool]]:
        """Yield the queries that follow as far as they can be known, and whether each is sure.

        After the next page, others are guessed up to `last_page` where the links count pages.
        """
        for query in self._gap_queries():
            yield query, True
        if self.next is None:
            return
        yield self.next, True
        before, after = PageNumber.parse(self.last), PageNumber.parse(self.next)
        if not before or not after or after != PageNumber(before.page + 1, before.others):
            return
        page = after.page + 1
        while last_page is None or page <= last_page:
            yield after.query(page), last_page is not None
            page += 1

    def _gap_queries(self) -> Iterator[str]:
        """Yield the pages of the gap from its end: what slides further meanwhile comes to us."""
        number = PageNumber.parse(self.last)
        if self.gap and number:
            first, end = self.gap.start // self.size + 1, -(-self.gap.end // self.size)
            yield from (number.query(page) for page in range(end, first - 1, -1))


def _is_query(value: Any) -> bool:
    number = PageNumber.parse(value) if isinstance(value, str) else None
    return isinstance(value, str) and is_usable(value) and (number is None or number.page >= 1)


def _is_count(value: Any) -> bool:
    return type(value) is int and count(value) is not None
