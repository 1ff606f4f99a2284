"""What is odd about a page once may be a server that is behind; what is odd twice is so."""

from source_kustomer.errors import Fault
from source_kustomer.paging.page import Page
from source_kustomer.paging.position import Position
from source_kustomer.paging.recent import RecentRecords


class Doubts:
    """What was odd about the page to read now, and whether the key is shown less than there is."""

    def __init__(self) -> None:
        self._totals: dict[tuple[str | None, str], int | None] = {}
        self._shows_less = False

    def total(self, position: Position) -> int | None:
        """Return the lower total that was told for the page to read now, if one was."""
        return self._totals.get((position.query, "lower_total"))

    def check(self, page: Page, position: Position, recent: RecentRecords) -> None:
        """Refuse a page the first time that it has less than expected; raises `Fault`."""
        before = position.told
        is_lower = page.total is not None and before is not None and page.total < before
        if is_lower and self._is_first("lower_total", page, position):
            raise Fault("lower_total", total=page.total or 0, before=before or 0)
        has_less = self._has_less(page, position, recent)
        if has_less and self._is_first("short_page", page, position):
            raise Fault("short_page")

    def settle(self, page: Page, position: Position) -> None:
        """Learn from a page that was accepted at a position."""
        self._totals.clear()
        if not position.is_again:
            self._shows_less = self._shows_less or page.is_short(position.size)

    def _has_less(self, page: Page, position: Position, recent: RecentRecords) -> bool:
        """Whether a page has no new record, or fewer than the key was shown so far."""
        if position.is_again:
            return page.next is not None and not page.ids
        if recent.count_new(page) == 0:
            # An empty end is confirmed by the page before it.
            return recent.stale_pages == 0 and (page.next is not None or page.ids != [])
        return page.is_short(position.size) and not self._shows_less

    def _is_first(self, name: str, page: Page, position: Position) -> bool:
        doubts = len(self._totals)
        self._totals.setdefault((position.query, name), page.total)
        return len(self._totals) > doubts
