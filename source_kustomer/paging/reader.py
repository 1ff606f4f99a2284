"""Reads one list from a position to its end: each page goes in, each new record comes out."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from source_kustomer.errors import Cause, Fault
from source_kustomer.paging.doubts import Doubts
from source_kustomer.paging.gap import Gap
from source_kustomer.paging.page import Page, Resource
from source_kustomer.paging.position import Position
from source_kustomer.paging.query import PageNumber
from source_kustomer.paging.recent import RecentRecords

# One vendor documents that lists end after this many records and that the rest is lost.
_SUSPECTED_CAP = 10_000

# While a moved page is read again the list can move on; if that leaves as much to read as before
# this many times, it moves too fast.
_MOST_STALLED = 50

# A total that goes up and down between two pages would have both read again for ever.
_MOST_REREADS_OF_A_PAGE = 3


class Reader:
    """Where a list is read, and what was seen of it so far.

    `warnings` are names of the table of warnings, each with the numbers of its sentence.
    """

    def __init__(self, list_url: str, position: Position, *, is_resumed: bool = False) -> None:
        self._list_url = list_url
        self._is_resumed = is_resumed
        self.warnings: list[tuple[str, dict[str, int]]] = []
        self._begin(position)

    def _begin(self, position: Position) -> None:
        self.position = position
        self.pages = self.reread = 0
        self._last_page: int | None = None
        self._confirmed = ""
        self._refused = 0
        self._doubts = Doubts()
        self._stalled = 0
        self._rereads = Counter[tuple[int, int]]()
        self._queries = set[int]()
        self._recent = RecentRecords()

    @property
    def query(self) -> str:
        """The query of the page to ask for now."""
        return self.position.query or ""

    @property
    def is_finished(self) -> bool:
        """Whether the list is read to its end."""
        return self.position.query is None

    @property
    def _is_first_of_resumed(self) -> bool:
        return self._is_resumed and self.pages == 0

    def ahead(self) -> Iterator[tuple[str, bool]]:
        """Yield the queries that will follow, and whether each is sure to be a page."""
        return self.position.ahead(self._last_page)

    def take(self, document: Any) -> list[Resource]:
        """Take in the response to `query`, move on, and return its resources that are new.

        Raises `Fault`, and then stays where it was.
        """
        now, asked = self.position, PageNumber.parse(self.query)
        page = Page.parse(document, self._list_url, now.size)
        if page.total is None:
            # What is doubted stands as long as nothing else is told.
            page = replace(page, total=self._doubts.total(now))
        if asked:
            page.check_asked(asked, now.size)
        self._check_next(page, asked)
        self._doubts.check(page, now, self._recent)
        if asked and page.is_past_end(asked.start(now.size)):
            # A link past the end that the total names leads nowhere.
            page = replace(page, next=None)
        if page.next is None:
            self._check_end(page, asked)
        if self._refused and page.ids:
            raise Fault("refused_page", page=self._refused)
        if now.gap and asked:
            self.position = self._fill(now.gap, page, asked.page)
        else:
            self.position = self._go_on(page, asked)
        self.pages += not now.is_confirming
        self._doubts.settle(page, now)
        self._last_page = page.last
        if page.total is not None and page.last is None:
            self._last_page = -(-page.total // self.position.size)
        if self.is_finished:
            self._compare_with_total(page)
        return self._recent.new(page)

    def recover(self, cause: Cause, largest_size: int) -> bool:
        """Move to where the list can be read on after a failure of `query`, if there is such."""
        now = self.position
        if cause.is_size and (smaller := now.smaller()):
            self.position = smaller
            return True
        if not cause.ends_list:
            return False
        if self._is_first_of_resumed:
            self._is_resumed = False
            self.warnings.append(("expired_position", {}))
            self._begin(Position.first(largest_size))
            return True
        # Cursors end in a link that is null: one that is refused has expired.
        number = PageNumber.parse(now.next)
        if now.gap or now.last is None or number is None or now.records == _SUSPECTED_CAP:
            return False
        if self._refused:
            self.warnings.append(("refused_end", {"records": now.records}))
            self.position = replace(now, next=None)
        elif now.last == self._confirmed:
            # A list that refuses the page that it had before has not ended, unless it was told.
            if now.end < (now.total or 0) or (now.is_confirming and now.total is None):
                return False
            # Where a page follows the refused one, that was no end.
            self._refused = number.page
            self.position = replace(now, next=number.query(number.page + 1))
        else:
            # The list may have lost its end, and what stood there is on the last page now.
            self.position = self._to_confirm(now)
        return True

    def _check_next(self, page: Page, asked: PageNumber | None) -> None:
        """Refuse a link that does not lead to the page after this one."""
        if asked and PageNumber.parse(page.next):
            page.check_next(asked, self.position.size)
        elif page.next and (page.next == self.query or hash(page.next) in self._queries):
            raise Fault("circling_link")

    def _check_end(self, page: Page, asked: PageNumber | None) -> None:
        """Refuse an end that comes before the end that is known."""
        now, before, records = self.position, self.position.told, self._records(page)
        size = page.chosen_size(asked, now.size)
        # One page may be wrong about the total for ever; two in a row are believed.
        totals = [total for total in (page.total, before) if total is not None]
        # Where pages are not counted, those so far may have come short of what a key may not see.
        end = asked.page * size if asked else records + size - 1
        if totals and max(end, records) < min(totals):
            raise Fault("cut_off", records=records, total=min(totals))
        is_unsure = page.total is None and now.last not in {None, self._confirmed}
        is_lost = self._is_first_of_resumed or (asked and is_unsure)
        if not page.ids and not now.gap and is_lost:
            raise Fault("past_end")

    def _records(self, page: Page) -> int:
        """Return the records so far with those of a page; with the new ones, if it was read."""
        now = self.position
        if not now.is_confirming:
            return now.records + len(page.ids)
        return now.records + (self._recent.count_new(page) if self.pages else 0)

    def _go_on(self, page: Page, asked: PageNumber | None) -> Position:
        now, query, count = self.position, self.query, len(page.ids)
        self._queries.add(hash(query))
        size = page.chosen_size(asked, now.size)
        if page.next is not None:
            self._recent.check_news(page, size)
        records = self._records(page)
        total, total_at, gap = now.total, now.total_at, None
        if asked and total is not None:
            seam = asked.start(size)
            told_at = seam if total_at is None else min(seam, total_at)
            # Where a list ends tells its total too.
            implied = total if page.next else seam + count
            told = implied if page.total is None else page.total
            gap = Gap.opened(total, told, told_at, seam)
            self._stalled = 0
            self._rereads.clear()
        # At an end, and where cursors lead, the lower total counts: cursors do not lead to what was
        # added before them.
        is_higher = page.total is not None and total is not None and page.total > total
        if page.total is not None and not (is_higher and not (asked and page.next)):
            total, total_at = page.total, asked.page * size if asked else records
        position = Position(query, page.next, size, records, total, total_at, gap)
        is_confirmed = now.is_confirming or (count == 0 and now.last == self._confirmed)
        is_whole = page.total is not None and 0 < records >= max(page.total, now.total or 0)
        if page.next is None and not is_confirmed and not is_whole:
            return self._to_confirm(position)
        return position

    def _to_confirm(self, position: Position) -> Position:
        """Return where the last page is asked for once more, because no total confirms the end."""
        self._confirmed = position.last or ""
        return replace(position, next=position.last)

    def _fill(self, gap: Gap, page: Page, number: int) -> Position:
        """Take a page that was read again out of the gap; raises `Fault`."""
        now, first = self.position, (number - 1) * self.position.size
        self.reread += 1
        total = gap.total if page.total is None else page.total
        left = gap.without(number, now.size, total, now.end)
        self._rereads[first, total] += 1
        if left and self._rereads[first, total] > _MOST_REREADS_OF_A_PAGE:
            # The total goes up and down; what it says of this page was done.
            left = left.below(first)
        self._stalled += left is not None and left.length >= gap.length
        if self._stalled > _MOST_STALLED:
            raise Fault("moving_list", pages=self.reread)
        # A page without a total leaves open when it was read.
        total_at = now.end if now.total_at is None else now.total_at
        if now.next is None and number * now.size == now.end:
            # The last page is the last no more.
            now = replace(now, next=page.next)
        if now.next is None and total > now.end and now.last != self._confirmed:
            # The end was that of a server that is behind.
            now = self._to_confirm(now)
        return replace(
            now,
            total=max(now.total or 0, total),
            total_at=total_at if page.total is not None else min(total_at, gap.start),
            gap=left,
        )

    def _compare_with_total(self, page: Page) -> None:
        """Warn where the end is believed although records seem to be missing."""
        records = self.position.records
        total = self.position.total if page.total is None else page.total
        if total is None:
            if records == _SUSPECTED_CAP:
                self.warnings.append(("suspected_cap", {"records": records}))
        elif records < total:
            self.warnings.append(("short_list", {"records": records, "total": total}))
