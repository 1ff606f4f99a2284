"""Page queries and links to the next page, which must stay on their list."""

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from urllib.parse import parse_qsl, urlencode, urljoin, urlsplit

from source_kustomer.errors import Fault

# Cursors are opaque but not endless; web servers refuse longer request lines.
_LONGEST_QUERY = 8192

_PAGE = "page"
_SIZE = "pageSize"


def page_query(page: int, size: int) -> str:
    """Return the query that asks for a page by its number."""
    return urlencode({_PAGE: page, _SIZE: size})


def is_usable(query: str) -> bool:
    """Whether a query can be part of a request line."""
    return 0 < len(query) <= _LONGEST_QUERY and query.isprintable() and "#" not in query


@dataclass(frozen=True)
class PageNumber:
    """A query that asks for a page by its number, and the other parameters that it has."""

    page: int
    others: tuple[tuple[str, str], ...]

    @classmethod
    @lru_cache(maxsize=64)
    def parse(cls, query: str | None) -> "PageNumber | None":
        """Read a query; None where it does not name one page by a number."""
        pairs = parse_qsl(query or "", keep_blank_values=True)
        pages = [value for name, value in pairs if name == _PAGE]
        if len(pages) != 1 or not re.fullmatch(r"[0-9]{1,12}", pages[0], re.ASCII):
            return None
        return cls(int(pages[0]), tuple(sorted(pair for pair in pairs if pair[0] != _PAGE)))

    @property
    def size(self) -> int | None:
        """The page size that the query asks for."""
        size = dict(self.others).get(_SIZE, "")
        return int(size) if re.fullmatch(r"[0-9]{1,6}", size, re.ASCII) else None

    def query(self, page: int, size: int | None = None) -> str:
        """Return the same query for another page, and for another page size where one is given."""
        others = self.others
        if size is not None:
            others = tuple((name, str(size) if name == _SIZE else value) for name, value in others)
        return urlencode([(_PAGE, page), *others])


def next_query(link: Any, list_url: str, size: int) -> str | None:
    """Return the query of a link to the next page, None where there is none.

    Raises `Fault` for a link that leaves the list.
    """
    if isinstance(link, dict):
        # JSON:API allows a link to be an object.
        link = link.get("href")
    if link is None or link == "":
        return None
    if not isinstance(link, str) or not link.isprintable():
        raise Fault("foreign_link")
    try:
        here, there = urlsplit(list_url), urlsplit(urljoin(list_url, link))
    except ValueError:
        raise Fault("foreign_link") from None
    address = (there.scheme, there.netloc.lower(), there.path)
    if address != (here.scheme, here.netloc.lower(), here.path) or not is_usable(there.query):
        raise Fault("foreign_link")
    number = PageNumber.parse(there.query)
    if number is None:
        return there.query
    if not number.others:
        # The default page size is not the one that this list is read with.
        return page_query(number.page, size)
    # In one spelling, so that a guessed page is the page that the link will name.
    return number.query(number.page)
