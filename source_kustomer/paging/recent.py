"""The records that came last, so that none is emitted twice."""

from collections import deque

from source_kustomer.errors import Fault
from source_kustomer.paging.page import Page, Resource

# Records come twice when others are added in front, when pages are read again, or when a server
# repeats itself: all within the last pages. A set of all ids would grow with the list.
_MOST = 20_000

# Records that an import of thousands adds in front push known ones back; a list that brings more
# known ones in a row has no end. An empty page counts as much as ten of them make too many.
_MOST_STALE = 5_000
_EMPTY = 500


class RecentRecords:
    """The ids of the last pages, and how many consecutive records were already known."""

    def __init__(self) -> None:
        self._pages = deque[list[str]]()
        self._ids = set[str]()
        self._stale = 0

    @property
    def is_stale(self) -> bool:
        """Whether the last page brought nothing new."""
        return self._stale > 0

    def count_new(self, page: Page) -> int:
        """Return how many records of a page none of the last pages had."""
        return len(set(page.ids) - self._ids)

    def check_news(self, new: int, records: int) -> None:
        """Count a page that promises another; raises `Fault` after too many without news."""
        self._stale = 0 if new else self._stale + (records or _EMPTY)
        if self._stale >= _MOST_STALE:
            detail = "page after page promises another and brings no new record"
            raise Fault("wrong_page", detail=detail)

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
