"""Reads one list from a position to its end, by three rules.

1. Forward: `links.next` names the next page, until it is null.
2. Twice: a surprising page is fetched again, because the first response may come from a replica or
   a search index that is behind. What two responses say is believed.
3. Back: where the total fell, as many records may have slid towards the front of the list unread,
   so reading goes back by as many records from where the total was last told.

Reading a page again is harmless, because known records are dropped.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from source_kustomer.errors import Cause, Fault
from source_kustomer.paging.page import Page, Resource
from source_kustomer.paging.position import Position
from source_kustomer.paging.query import PageNumber
from source_kustomer.paging.recent import RecentRecords

# One vendor documents that lists end after this many records and that the rest is lost.
_SUSPECTED_CAP = 10_000

# The pause before a second look at an end is the longest one after so many pages, and shorter in
# proportion after fewer. A total that fell by far is looked at six times, for half a minute.
_PAGES_OF_LONGEST_LOOK = 10
_DROP_PAUSE = 0.6

# Merges and deletions remove a few records a second, at times a few together, and less than a
# twentieth of a long list in a minute; a list that loses more is being rebuilt.
_FEW = 10
_FEW_A_SECOND = 3
_LARGEST_DROP = 1 / 20

# Consecutive steps back without progress: the list changes faster than it can be read.
_MOST_STALLED = 50

# A page that is half as large would be refused again; both sizes that the API documents, 100 and
# 500, can be divided by this.
_SMALLER = 10


@dataclass(frozen=True)
class _Seen:
    """A page, held against the position.

    It begins at the index `start` of the list; a full one has `unit` records. Of its records, `new`
    were not known. The list has `total` records now, by `fall` fewer than before (0 for cursors).
    """

    page: Page
    asked: PageNumber | None
    start: int
    unit: int
    new: int
    fall: int
    total: int | None

    @property
    def is_short(self) -> bool:
        """Whether another page follows although this one is not full."""
        return self.page.next is not None and len(self.page.ids) < self.unit


class Reader:
    """The state of reading one list.

    The list is read in pages of `largest` records from a position, or from its start. `look` is the
    longest pause before a second look, in seconds. `warnings` are names of the table of warnings,
    each with the numbers of its sentence.
    """

    def __init__(
        self, list_url: str, largest: int, *, look: float, resumed: Position | None = None
    ) -> None:
        self._list_url = list_url
        self._largest = largest
        self._look = look
        self.warnings: list[tuple[str, dict[str, int]]] = []
        self._begin(resumed or Position.first(largest))
        self._is_resumed = resumed is not None

    def _begin(self, position: Position) -> None:
        self.position = position
        self.pages = 0
        self._is_resumed = self._is_sparse = False
        # For each surprise, the number of records in the response that last showed it.
        self._surprises = dict[str, int]()
        self._refused = ""
        self._furthest = self._stalled = 0
        self._total_seen_at = 0.0
        self._recent = RecentRecords()
        self._cursors = set[int]()

    @property
    def query(self) -> str:
        """The query of the page to ask for now."""
        return self.position.next or ""

    @property
    def is_finished(self) -> bool:
        """Whether the list is read to its end."""
        return self.position.next is None

    def ahead(self) -> Iterator[tuple[str, bool]]:
        """Yield the queries that follow, and whether each is sure to be a page."""
        if self.is_finished:
            return
        yield self.query, True
        asked, total, size = PageNumber.parse(self.query), self.position.total, self.position.size
        # Full pages follow smaller ones.
        if asked is None or self._unit(asked) < size:
            return
        page = asked.page + 1
        while not total or (page - 1) * size < total:
            yield asked.query(page), bool(total)
            page += 1

    def take(self, document: Any, now: float) -> list[Resource]:
        """Process the response to `query`, move on, and return its resources that are new.

        `now` is in seconds of a monotonic clock. Raises `Fault`, and then asks for the same page.
        """
        asked, at = PageNumber.parse(self.query), self.position
        page = Page.parse(document, self._list_url, (asked and asked.size) or at.size)
        if asked:
            page = self._in_order(page, asked)
        elif page.next == self.query or hash(page.next) in self._cursors:
            raise Fault("wrong_page", detail="a page links to one that was read before")
        seen = self._compare(page, asked, now)
        self._look_twice(seen)
        if page.next is not None and not self._is_reread(seen):
            self._recent.check_news(seen.new, len(page.ids))
        is_empty = not page.ids and page.next is None and not seen.fall
        if is_empty and self._is_resumed and self.pages == 0:
            self._start_over()
            return []
        self.position = self._after(seen)
        if page.total is not None:
            self._total_seen_at = now
        self._surprises.clear()
        self.pages += 1
        if self.is_finished:
            self._compare_with_total()
        return self._recent.new(page)

    def recover(self, cause: Cause) -> bool:
        """Move to where the list can be read on after a failure of `query`, if possible."""
        asked, at = PageNumber.parse(self.query), self.position
        self._surprises.clear()
        if cause.is_size and asked:
            return self._read_in_tenths(asked)
        if not cause.ends_list:
            return False
        if self._is_resumed and self.pages == 0:
            self._start_over()
        elif asked is None or asked.page == 1 or self._refused == self.query:
            return False
        elif at.total is not None and 0 <= self._start(asked) - at.total < self._unit(asked):
            self.position = replace(at, next=None)
            self._compare_with_total()
        else:
            # The list may have shrunk, so that the previous page is now the last.
            self._refused = self.query
            self.position = replace(at, next=asked.query(asked.page - 1))
        return True

    def _start_over(self) -> None:
        self.warnings.append(("expired_position", {}))
        self._begin(Position.first(self._largest))

    def _unit(self, asked: PageNumber) -> int:
        """Return how many records a full page of this number has."""
        return min(asked.size or self.position.size, self.position.size)

    def _start(self, asked: PageNumber) -> int:
        """Return the index of the first record of a page."""
        return (asked.page - 1) * self._unit(asked)

    def _in_order(self, page: Page, asked: PageNumber) -> Page:
        """Return a page, refused if it or its link is out of order; raises `Fault`."""
        shown, unit = len(page.ids), self._unit(asked)
        if page.number not in {None, asked.page}:
            raise _out_of_order(asked, f"page {page.number} came")
        # A server may repeat a few rows of the page before; twice as many are another page size.
        if asked.page > 1 and shown >= 2 * unit:
            raise _out_of_order(asked, f"{shown} records came instead of {unit}")
        following, size = PageNumber.parse(page.next), asked.size or unit
        if following and (following.page != asked.page + 1 or (following.size or size) > size):
            raise _out_of_order(asked, f"it links to {page.next}")
        if not page.has_links and shown == unit and self._recent.count_new(page):
            # Without links, the page after a full one says whether there is more.
            return replace(page, next=asked.query(asked.page + 1))
        return page

    def _compare(self, page: Page, asked: PageNumber | None, now: float) -> _Seen:
        """Hold a page against the position; raises `Fault` if the total fell by far."""
        total = self.position.total if page.total is None else page.total
        before, after = self.position.total or 0, total or 0
        fall = max(0, before - after)
        few = max(_FEW, _FEW_A_SECOND * (now - self._total_seen_at), _LARGEST_DROP * before)
        # Since a read that was resumed stopped, any number may have vanished.
        if self.pages and fall > few:
            wait = _DROP_PAUSE * self._look
            raise Fault("fallen_total", wait=wait, total=after, before=before)
        new = self._recent.count_new(page)
        if asked:
            return _Seen(page, asked, self._start(asked), self._unit(asked), new, fall, total)
        # Cursors do not shift.
        start = self.position.records + new - len(page.ids)
        return _Seen(page, None, start, self.position.size, new, 0, total)

    def _is_reread(self, seen: _Seen) -> bool:
        return seen.asked is not None and seen.start < self._furthest

    def _look_twice(self, seen: _Seen) -> None:
        """Raise `Fault` until two responses show what is surprising about a page."""
        surprise = self._surprise_of(seen)
        if surprise is None:
            return
        name, wait = surprise
        if name != "fall":
            # Servers may alternate, so a fall counts only in two consecutive responses.
            self._surprises.pop("fall", None)
        shown = len(seen.page.ids)
        before, self._surprises[name] = self._surprises.get(name), shown
        # A second response that lacks records of the first one confirms nothing.
        if before is None or shown + seen.fall < before:
            raise Fault("second_look", wait=wait)

    def _surprise_of(self, seen: _Seen) -> tuple[str, float | None] | None:
        """Return what is surprising about a page, and the seconds until a second look at it.

        Raises `Fault` for an end that is not believed.
        """
        if seen.fall:
            return "fall", 0.0
        if seen.page.next is None:
            return self._surprising_end(seen)
        if seen.new == 0 and not self._is_reread(seen) and not self._recent.is_stale:
            return "no news", None
        if seen.is_short and not self._is_sparse:
            return f"{len(seen.page.ids)} records", None
        return None

    def _surprising_end(self, seen: _Seen) -> tuple[str, float] | None:
        at, total, shown = self.position, seen.total, len(seen.page.ids)
        end, records = seen.start + shown, at.records + seen.new
        part = max(1, at.records // at.size) / _PAGES_OF_LONGEST_LOOK
        wait = self._look * (min(1.0, part) if records else 1.0)
        # Records that the key may not see count in the total: less than a page of them is believed.
        hidden = max(0, seen.unit - shown) if seen.asked else seen.unit - 1
        if total is not None and end + hidden < total:
            raise Fault("cut_off", wait=wait, records=records, total=total)
        # Search engines cap totals, at far less than the records that came.
        is_confirmed = total is not None and seen.start < total <= end
        return None if is_confirmed else ("end", wait)

    def _after(self, seen: _Seen) -> Position:
        """Return the position after a page; raises `Fault` if the list moves too fast."""
        at, unit, following = self.position, seen.unit, seen.page.next
        size, shown, records = at.size, len(seen.page.ids), at.records + seen.new
        # A few less than asked for are records that the key may not see, not another page size.
        is_first = seen.asked and seen.start == at.records == 0 and unit == size
        if seen.is_short and is_first and 0 < 2 * shown <= size:
            size = unit = shown
        elif seen.is_short:
            self._is_sparse = True
        if seen.asked is None:
            self._cursors.add(hash(self.query))
            return Position(following, size, records, seen.total, records)
        end, back = seen.start + unit, max(0, at.total_at - seen.fall)
        if end > self._furthest:
            self._furthest, self._stalled = end, 0
        # An end is looked at again with the new total.
        if seen.fall and (back < seen.start or following is None):
            self._stalled += 1
            if self._stalled > _MOST_STALLED:
                raise Fault("second_look")
            query = seen.asked.query(back // size + 1, size if unit < size else None)
            return Position(query, size, records, seen.total, back)
        sizes = (size, unit * _SMALLER)
        wider = next((wide for wide in sizes if unit < wide <= size and end % wide == 0), None)
        if following and wider:
            following = seen.asked.query(end // wider + 1, wider)
        total_at = at.total_at if seen.page.total is None else end
        return Position(following, size, records, seen.total, total_at)

    def _read_in_tenths(self, asked: PageNumber) -> bool:
        """Ask for a page in smaller ones, if it can be divided."""
        unit = self._unit(asked)
        if unit % _SMALLER or asked.size is None:
            return False
        page = (asked.page - 1) * _SMALLER + 1
        self.position = replace(self.position, next=asked.query(page, unit // _SMALLER))
        return True

    def _compare_with_total(self) -> None:
        """Warn where the end is believed although records seem to be missing."""
        records, total = self.position.records, self.position.total
        if total is None:
            if records == _SUSPECTED_CAP:
                self.warnings.append(("suspected_cap", {"records": records}))
        elif records < total:
            self.warnings.append(("short_list", {"records": records, "total": total}))


def _out_of_order(asked: PageNumber, detail: str) -> Fault:
    return Fault("wrong_page", detail=f"page {asked.page} was asked for, and {detail}")
