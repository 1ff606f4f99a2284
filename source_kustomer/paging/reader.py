"""Reads one list from a position to its end: each page goes in, each new record comes out."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from source_kustomer.errors import Cause, Fault
from source_kustomer.paging.gap import Gap, Seam
from source_kustomer.paging.page import Page, Resource
from source_kustomer.paging.position import Position
from source_kustomer.paging.query import PageNumber
from source_kustomer.paging.recent import RecentRecords

# A list that goes on answering with empty pages is broken; real gaps (records that a key may not
# see) were never seen to be that long.
_MOST_EMPTY_PAGES = 10

# One vendor documents that lists end after this many records and that the rest is lost.
_SUSPECTED_CAP = 10_000

# Records that were added in front bring pages without a new one, an import of thousands many; a
# server that repeats a page for ever brings nothing else.
_MOST_STALE_PAGES = 50

# While a moved page is read again the list can move on; after this many pages more than the gap
# has, it moves too fast.
_MOST_REREADS = 50

# A total that goes up and down between two pages would have both read again for ever.
_MOST_REREADS_OF_A_PAGE = 2


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
        self._confirmed: str | None = None
        self._doubted: str | None = None
        self._empty_pages = self._stale_pages = 0
        self._rereads = Counter[int]()
        self._received_at = float("-inf")
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

    def take(
        self, document: Any, *, sent_at: float = 0.0, received_at: float = 0.0
    ) -> list[Resource]:
        """Take in the response to `query`, move on, and return its resources that are new.

        The times, of its request and response, are seconds of one clock. Raises `Fault`, and then
        stays where it was.
        """
        now, asked = self.position, PageNumber.parse(self.query)
        page = Page.parse(document, self._list_url, now.size)
        self._check(page, asked)
        if now.gap and asked:
            self.position = self._fill(now.gap, page, asked.page)
        else:
            # Sent before the page before it had arrived: either may be the older one.
            overlapped = sent_at < self._received_at
            self.position = self._go_on(page, asked, overlapped=overlapped)
            self._received_at = received_at
        self.pages += not now.is_confirming
        self._doubted = None
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
        if now.gap or now.last is None or PageNumber.parse(now.next) is None:
            return False
        if now.last == self._confirmed:
            if now.end < (now.total or 0):
                return False
            self.warnings.append(("refused_end", {"records": now.records}))
            self.position = replace(now, next=None)
        else:
            # The list may have lost its end, and what stood there is on the last page now.
            self.position = self._to_confirm(now)
        return True

    def _check(self, page: Page, asked: PageNumber | None) -> None:
        """Hold a page against what is known of the list."""
        now = self.position
        if asked:
            self._check_number(page, asked)
        before = now.gap.total if now.gap else now.total
        is_lower = page.total is not None and before is not None and page.total < before
        if is_lower and self._doubted != self.query:
            # One of several servers may be behind the others: a second look tells.
            self._doubted = self.query
            raise Fault("lower_total", total=page.total or 0, before=before or 0)
        if now.gap is None:
            self._check_next(page, asked)
            self._check_end(page, asked)

    def _check_number(self, page: Page, asked: PageNumber) -> None:
        """Refuse another page than was asked for, by its number or its size."""
        if page.number is not None and page.number != asked.page:
            raise Fault("wrong_page", asked=f"page {asked.page}", got=f"page {page.number}")
        # A server may repeat rows of the page before; twice as many are another page size.
        size = max(page.size or 0, len(page.ids) // 2)
        if asked.page > 1 and size > self.position.size:
            asked_size = self.position.size
            raise Fault("wrong_page", asked=f"pages of {asked_size}", got=f"a page of {size}")

    def _check_next(self, page: Page, asked: PageNumber | None) -> None:
        """Refuse a link that does not lead to the page after this one."""
        if page.next is None:
            return
        number = PageNumber.parse(page.next)
        if asked and number:
            if number.page <= asked.page:
                raise Fault("circling_link")
            if number.page > asked.page + 1:
                raise Fault("skipped_pages", asked=asked.page, got=number.page)
        elif page.next == self.query or hash(page.next) in self._queries:
            raise Fault("circling_link")

    def _check_end(self, page: Page, asked: PageNumber | None) -> None:
        """Refuse an end that comes before the end that is known."""
        if page.next is not None:
            return
        now = self.position
        records = now.records + (0 if now.is_confirming else len(page.ids))
        size = max(page.size or now.size, len(page.ids))
        end = asked.page * size if asked else records
        if page.total is not None:
            # One page may be wrong about the total for ever; two in a row are believed.
            total = page.total if now.total is None else min(page.total, now.total)
            if end < total:
                raise Fault("cut_off", records=records, total=total)
        is_unsure = page.total is None and now.last is not None and now.last != self._confirmed
        if not page.ids and (is_unsure or self._is_first_of_resumed):
            raise Fault("past_end")

    def _go_on(self, page: Page, asked: PageNumber | None, *, overlapped: bool) -> Position:
        now, query, count = self.position, self.query, len(page.ids)
        is_second = now.is_confirming
        self._queries.add(hash(query))
        self._count_pages_without_news(page)
        number = PageNumber.parse(page.next)
        size = max(page.size or (number and number.size) or now.size, count)
        records = now.records if is_second else now.records + count
        total, total_at, gap = now.total, now.total_at, None
        if page.total is not None:
            if asked and total is not None:
                seam = (asked.page - 1) * size
                told_at = seam if total_at is None else min(seam, total_at)
                gap = Gap.opened(total, page.total, Seam(told_at, seam, overlapped))
                self._rereads.clear()
            total, total_at = page.total, asked.page * size if asked else records
        position = Position(query, page.next, size, records, total, total_at, gap)
        is_confirmed = is_second or (count == 0 and now.last == self._confirmed)
        is_whole = page.total is not None and records >= page.total
        if page.next is None and not is_confirmed and not is_whole:
            return self._to_confirm(position)
        return position

    def _to_confirm(self, position: Position) -> Position:
        """Return where the last page is asked for once more, because no total confirms the end."""
        self._confirmed = position.last
        return replace(position, next=position.last)

    def _count_pages_without_news(self, page: Page) -> None:
        more = page.next is not None
        self._empty_pages = self._empty_pages + 1 if more and not page.ids else 0
        if self._empty_pages > _MOST_EMPTY_PAGES:
            raise Fault("empty_pages", pages=self._empty_pages)
        self._stale_pages = self._stale_pages + 1 if more and self._recent.has_all(page) else 0
        if self._stale_pages > _MOST_STALE_PAGES:
            raise Fault("circling_link")

    def _fill(self, gap: Gap, page: Page, number: int) -> Position:
        """Take a page that was read again out of the gap; raises `Fault`."""
        now = self.position
        self.reread += 1
        self._rereads[number] += 1
        total = gap.total if page.total is None else page.total
        left = gap.without(number, now.size, total, now.end)
        if left is None or self._rereads[number] > _MOST_REREADS_OF_A_PAGE:
            # The end was that of a server that is behind if the total says so now.
            is_end_wrong = now.next is None and total > now.end
            return replace(now, gap=None, next=now.last if is_end_wrong else now.next)
        if self._rereads.total() > _MOST_REREADS + (gap.end - gap.start) // now.size:
            raise Fault("moving_list", pages=self.reread)
        return replace(now, gap=left)

    def _compare_with_total(self, page: Page) -> None:
        """Warn where the end is believed although records seem to be missing."""
        records, total = self.position.records, page.total
        if total is None:
            if records == _SUSPECTED_CAP:
                self.warnings.append(("suspected_cap", {"records": records}))
        elif records < total:
            self.warnings.append(("short_list", {"records": records, "total": total}))
