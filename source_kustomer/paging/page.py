"""One response of a list: parsed, and checked as far as it can be by itself."""

import re
from dataclasses import dataclass
from typing import Any

from source_kustomer.errors import Fault
from source_kustomer.paging.query import PageNumber, next_query

Resource = dict[str, Any]

# No organization has as many records, and no API sends as many at once; such a number is not a
# count.
_LARGEST_COUNT = 10**12
_LARGEST_PAGE = 10_000


@dataclass(frozen=True)
class Page:
    """The resources of a page, their ids as text, and what the response says of the list.

    `number`, `size`, `total` and `last` (the number of the list's last page) are None where the
    response does not say them.
    """

    resources: list[Resource]
    ids: list[str]
    next: str | None
    number: int | None
    size: int | None
    total: int | None
    last: int | None

    @classmethod
    def parse(cls, document: Any, list_url: str, size: int) -> "Page":
        """Read a JSON:API document that was asked for with a page size; raises `Fault`."""
        resources = document.get("data") if isinstance(document, dict) else None
        if not isinstance(resources, list):
            raise Fault("not_a_list")
        ids = [resource.get("id") if isinstance(resource, dict) else None for resource in resources]
        if not all(map(_is_id, ids)):
            raise Fault("not_a_list")
        meta = document.get("meta")
        meta = meta if isinstance(meta, dict) else {}
        told_size = count(meta.get("pageSize"), _LARGEST_PAGE)
        links = document.get("links")
        if not isinstance(links, dict):
            if len(resources) >= (told_size or size):
                raise Fault("no_links", records=len(resources))
            links = {}
        return cls(
            resources=resources,
            ids=[*map(str, ids)],
            next=next_query(links.get("next"), list_url, size),
            number=count(meta.get("page")),
            size=told_size,
            total=count(meta.get("total")),
            last=count(meta.get("totalPages")),
        )

    def chosen_size(self, asked: PageNumber | None, size: int) -> int:
        """Return the page size that the server goes by, where another may have been asked for."""
        told = self._told_size(size)
        # A server chooses its page size on the first page; later, more records are repeated ones.
        return told if asked and asked.page > 1 else max(told, len(self.ids))

    def is_short(self, size: int) -> bool:
        """Whether the page promises another, and has fewer records than it may have."""
        return self.next is not None and len(self.ids) < self._told_size(size)

    def is_past_end(self, start: int) -> bool:
        """Whether an empty page begins behind the end that the total names."""
        return not self.ids and self.total is not None and self.total <= start

    def check_next(self, asked: PageNumber, size: int) -> None:
        """Refuse a link to another number than the next; raises `Fault`."""
        number = PageNumber.parse(self.next)
        if number is None:
            return
        if number.page <= asked.page:
            raise Fault("circling_link")
        largest = max(size, self.size or 0, len(self.ids))
        if number.page > asked.page + 1 or (number.size or 0) > largest:
            raise Fault("skipped_pages", asked=asked.page, got=number.page)

    def check_asked(self, asked: PageNumber, size: int) -> None:
        """Refuse another page than was asked for, by its number or its size; raises `Fault`."""
        if self.number is not None and self.number != asked.page:
            raise Fault("wrong_page", asked=f"page {asked.page}", got=f"page {self.number}")
        # A server may repeat rows of the page before; twice as many are another page size.
        got = max(self.size or 0, len(self.ids) // 2)
        if asked.page > 1 and got > size:
            raise Fault("wrong_page", asked=f"pages of {size}", got=f"a page of {got}")

    def _told_size(self, size: int) -> int:
        number = PageNumber.parse(self.next)
        return self.size or (number and number.size) or size


def _is_id(identifier: Any) -> bool:
    return (isinstance(identifier, str) and identifier != "") or type(identifier) is int


def count(value: Any, largest: int = _LARGEST_COUNT) -> int | None:
    """Return a count that may come as a number or as text, None where it cannot be one."""
    if isinstance(value, str) and re.fullmatch(r"\s*[0-9]{1,18}\s*", value, re.ASCII):
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int | float) or value != value // 1:
        return None
    return int(value) if 0 <= value < largest else None
