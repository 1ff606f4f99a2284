"""The records that came last, so that none is emitted twice."""

from collections import deque

from source_kustomer.errors import Fault
from source_kustomer.paging.page import Page, Resource

# Records come twice when others are added in front, when moved pages are read again, or when a
# server repeats itself: all within the last pages. A set of all ids would grow with the list.
_MOST = 20_000

# A list that goes on answering with empty pages is broken; real gaps (records that a key may not
# see) were never seen to be that long. In pages, and in records where pages are small.
_MOST_EMPTY = (10, 1_000)

# Records that were added in front bring pages without a new one, an import of thousands many; a
# server that repeats a page for ever brings nothing else.
_MOST_STALE = (50, 5_000)


class RecentRecords:
    """The ids of the last pages, and how many of those brought nothing new.

    `stale_pages` are the last ones in a row that promised more and had no new record.
    """

    def __init__(self) -> None:
        self._pages = deque[list[str]]()
        self._ids = set[str]()
        self._empty_pages = self.stale_pages = 0

    def count_new(self, page: Page) -> int:
        """Return how many records of a page none of the last pages had."""
        return len(set(page.ids) - self._ids)

    def check_news(self, page: Page, size: int) -> None:
        """Count a page that promises another; raises `Fault` after too many without news."""
        self._empty_pages = 0 if page.ids else self._empty_pages + 1
        if _are_more(self._empty_pages, size, _MOST_EMPTY):
            raise Fault("empty_pages", pages=self._empty_pages)
        self.stale_pages = 0 if self.count_new(page) else self.stale_pages + 1
        if _are_more(self.stale_pages, size, _MOST_STALE):
            raise Fault("circling_link")

    def new(self, page: Page) -> list[Resource]:
        """Take in a page and return its resources that none of the last pages had."""
        new: dict[str, Resource] = {}
        for identifier, resource in zip(page.ids, page.resources, strict=True):
            if identifier not in self._ids:
                new.setdefault(identifier, resource)
        self._ids.update(new)
        self._pages.append([*new])
        while len(self._ids) > _MOST:
            self._ids.difference_update(self._pages.popleft())
        return [*new.values()]


def _are_more(pages: int, size: int, most: tuple[int, int]) -> bool:
    return pages > most[0] and pages * size > most[1]
