"""The records that came last, so that none is emitted twice."""

from collections import deque

from source_kustomer.paging.page import Page, Resource

# Records come twice when others are added in front, when moved pages are read again, or when a
# server repeats itself: all within the last pages. A set of all ids would grow with the list.
_MOST = 20_000


class RecentRecords:
    """The ids of the last pages."""

    def __init__(self) -> None:
        self._pages = deque[list[str]]()
        self._ids = set[str]()

    def has_all(self, page: Page) -> bool:
        """Whether the page has no record that is new."""
        return self._ids.issuperset(page.ids)

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
