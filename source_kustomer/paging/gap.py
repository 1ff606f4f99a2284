"""The part of a list that has to be read again because records slid into it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Gap:
    """Indices, the end excluded, where records may stand that slid there unread.

    `total` is the number of records of the list when that was known.
    """

    start: int
    end: int
    total: int

    @property
    def length(self) -> int:
        """How many indices it has."""
        return self.end - self.start

    def below(self, index: int) -> "Gap | None":
        """Return what lies below an index."""
        end = min(self.end, index)
        return Gap(self.start, end, self.total) if self.start < end else None

    @classmethod
    def opened(cls, before: int, total: int, told_at: int, now_at: int) -> "Gap | None":
        """Return where records slid when the total fell from `before`, None if nowhere.

        The list was read up to `told_at` when the total was told before, and to `now_at` now. A
        response that is older than the page before it is not what tells a lower total: that is
        asked for again.
        """
        dropped = before - total
        start, end = max(0, told_at - dropped), min(now_at, total)
        return cls(start, end, total) if dropped > 0 and start < end else None

    def without(self, page: int, size: int, total: int, read: int) -> "Gap | None":
        """Return what is left when a page was read again while the list had `total` records.

        `read` is the index up to which the list was read before; what lies behind is still to come.
        """
        moved = total - self.total
        start = max(0, self.start + min(0, moved))
        end = min(self.end + max(0, moved), max(read, self.end))
        first, after = (page - 1) * size, page * size
        # What is left lies below this page, or above it if records were added; if both, all of it.
        if start >= first:
            start = max(start, after)
        elif end <= after:
            end = first
        return Gap(start, end, total).below(total)
