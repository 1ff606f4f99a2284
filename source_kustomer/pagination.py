"""Where a list is read next: links, moved pages, ends and resumption, without any network.

A list is read by pages of `size` records in an order that stays, while records vanish from it and
appear in it. A record that vanishes from a page already read moves all later ones forward by one,
so that one of them slides into a page that nobody reads again. `meta.total` betrays that: between
two neighbouring pages it drops. `Position` keeps what is left uncovered by such a drop, the gap, as
a range of indices, and goes back to it before it goes on.
"""

import re
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, replace
from enum import Enum
from typing import Any
from urllib.parse import parse_qsl, urlencode, urljoin, urlsplit

# A list that goes on answering with empty pages is broken; real gaps (records that a key may not
# see) were never seen to be that long.
MOST_EMPTY_PAGES = 10

# One vendor documents that lists end after this many records and that the rest is lost.
SUSPECTED_CAP = 10_000

# Cursors are opaque but not endless; web servers refuse longer request lines.
_LONGEST_QUERY = 8192

# Records come twice when others are added in front, when moved pages are read again, or when a
# server repeats itself: all within the last pages. A set of all ids would grow with the list.
_RECENT_RECORDS = 20_000

# Records that were added in front bring pages without a new one, an import of thousands many; a
# server that repeats a page for ever brings nothing else.
_MOST_STALE_PAGES = 50

# While a moved page is read again the list can move on; after this many pages more than the drop
# asked for, it moves too fast.
_MOST_REREADS = 50


class ListFault(Enum):
    """Why a list cannot be read on, as the name of a row in the table of failures."""

    NOT_A_LIST = "not_a_list"
    NO_LINKS = "no_links"
    FOREIGN_LINK = "foreign_link"
    CIRCLING_LINK = "circling_link"
    WRONG_PAGE = "wrong_page"
    EMPTY_PAGES = "empty_pages"
    MOVING_LIST = "moving_list"
    CUT_OFF = "cut_off"


class ListError(Exception):
    """A list answer cannot be trusted; `details` hold the numbers that the sentence names."""

    def __init__(self, fault: ListFault, **details: str | int) -> None:
        super().__init__(fault.value)
        self.fault = fault
        self.details = details


class InvalidStateError(ValueError):
    """A state is not one of ours."""


@dataclass(frozen=True)
class Page:
    """One answer of a list: its resources, their ids as text, and what it says of the list.

    `number`, `size`, `total` and `total_pages` are None where the answer does not say them.
    """

    resources: list[dict[str, Any]]
    ids: list[str]
    next: str | None
    number: int | None
    size: int | None
    total: int | None
    total_pages: int | None

    @classmethod
    def parse(cls, document: object, list_url: str, asked_size: int) -> "Page":
        """Read a JSON:API list document; raises `ListError`."""
        if not isinstance(document, dict) or not isinstance(document.get("data"), list):
            raise ListError(ListFault.NOT_A_LIST)
        resources = document["data"]
        ids = [resource.get("id") if isinstance(resource, dict) else None for resource in resources]
        if not all(map(_usable_id, ids)):
            raise ListError(ListFault.NOT_A_LIST)
        meta = document.get("meta")
        if not isinstance(meta, dict):
            meta = {}
        size = _number(meta.get("pageSize"))
        links = document.get("links")
        if not isinstance(links, dict):
            if len(resources) >= (size or asked_size):
                raise ListError(ListFault.NO_LINKS, records=len(resources))
            links = {}
        return cls(
            resources=resources,
            ids=[*map(str, ids)],
            next=_next_query(links.get("next"), list_url, asked_size),
            number=_number(meta.get("page")),
            size=size,
            total=_number(meta.get("total")),
            total_pages=_number(meta.get("totalPages")),
        )


def _usable_id(identifier: object) -> bool:
    return (isinstance(identifier, str) and identifier != "") or type(identifier) is int


def _number(value: object) -> int | None:
    """Return a count that may come as a number or as text, None where it is neither."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value if value >= 0 else None
    if isinstance(value, float):
        return int(value) if value >= 0 and value.is_integer() else None
    if isinstance(value, str) and re.fullmatch(r"\s*[0-9]{1,18}\s*", value, re.ASCII):
        return int(value)
    return None


def _next_query(link: object, list_url: str, size: int) -> str | None:
    """Return the query of a link to the next page, which must lead to the same list."""
    if isinstance(link, dict):
        # JSON:API allows a link to be an object.
        link = link.get("href")
    if link is None or link == "":
        return None
    if not isinstance(link, str) or not link.isprintable():
        raise ListError(ListFault.FOREIGN_LINK)
    try:
        here, there = urlsplit(list_url), urlsplit(urljoin(list_url, link))
    except ValueError:
        raise ListError(ListFault.FOREIGN_LINK) from None
    address = (there.scheme, there.netloc.lower(), there.path)
    if address != (here.scheme, here.netloc.lower(), here.path) or not _usable_query(there.query):
        raise ListError(ListFault.FOREIGN_LINK)
    number = _Number.of(there.query)
    if number is None:
        return there.query
    if not number.others:
        # The default page size is not the one that this list is read with.
        return page_query(number.page, size)
    # In one spelling, so that a guessed page is the page that the link will name.
    return number.query(number.page)


def _usable_query(query: str) -> bool:
    return 0 < len(query) <= _LONGEST_QUERY and query.isprintable() and "#" not in query


def page_query(page: int, size: int) -> str:
    """Return the query that asks for a page by its number."""
    return urlencode({"page": page, "pageSize": size})


def _page_size(query: str | None) -> int | None:
    return _number(dict(parse_qsl(query or "")).get("pageSize"))


@dataclass(frozen=True)
class _Number:
    """A query that asks for a page by its number, and all else that it asks for."""

    page: int
    others: tuple[tuple[str, str], ...]

    @classmethod
    def of(cls, query: str) -> "_Number | None":
        """Read a query, None where it does not name one page by a number."""
        pairs = parse_qsl(query, keep_blank_values=True)
        pages = [value for name, value in pairs if name == "page"]
        if len(pages) != 1 or not re.fullmatch(r"[0-9]{1,12}", pages[0], re.ASCII):
            return None
        return cls(int(pages[0]), tuple(sorted(pair for pair in pairs if pair[0] != "page")))

    def query(self, page: int) -> str:
        """Return the same query for another page."""
        return urlencode([("page", page), *self.others])


def _rereads(gap_start: int | None, gap_end: int | None, size: int) -> int:
    """Return how many pages may be read for a gap that moves meanwhile."""
    return _MOST_REREADS + ((gap_end or 0) - (gap_start or 0)) // size


@dataclass(frozen=True)
class Position:
    """How far a list is read; its fields are the stream's state.

    `last` is the query of the page read last, `next` that of the page after it, None at the end;
    `size` is the records a page, `records` the records so far. The gap is the range of indices,
    its end excluded, where records may have slid unread when the list had `gap_total` records.
    """

    last: str | None
    next: str | None
    size: int
    records: int = 0
    total: int | None = None
    gap_start: int | None = None
    gap_end: int | None = None
    gap_total: int | None = None

    @classmethod
    def first(cls, size: int) -> "Position":
        """Return the start of a list that is read `size` records a page."""
        return cls(last=None, next=page_query(1, size), size=size)

    @classmethod
    def of_state(cls, state: Mapping[str, Any]) -> "Position":
        """Read a state back; raises `InvalidStateError` for one that is not ours."""
        if not {"last", "size"} <= state.keys() <= {field.name for field in fields(cls)}:
            raise InvalidStateError
        for name, value in state.items():
            is_query = name in {"last", "next"} and isinstance(value, str) and _usable_query(value)
            is_count = name not in {"last", "next"} and value is not None
            if not is_query and not (is_count and _number(value) == value):
                raise InvalidStateError
        position = cls(**{"next": None, **state})
        gap = (position.gap_start, position.gap_end, position.gap_total)
        if position.query is None or position.size < 1 or 0 < gap.count(None) < len(gap):
            raise InvalidStateError
        queries = (query for query in (position.last, position.next) if query)
        if any(number.page < 1 for query in queries if (number := _Number.of(query))):
            raise InvalidStateError
        if position.gap_end is not None and not (position.last and _Number.of(position.last)):
            raise InvalidStateError
        return position

    @property
    def state(self) -> dict[str, str | int]:
        """The fields that are known, as a flat JSON object."""
        values = ((field.name, getattr(self, field.name)) for field in fields(self))
        return {name: value for name, value in values if value is not None}

    @property
    def query(self) -> str | None:
        """The page to ask for now: the gap's last one, or the next; None at the end."""
        return next(self._gap_queries(), self.next)

    def _gap_queries(self) -> Iterator[str]:
        """Yield the pages of the gap from its end: what slides further meanwhile comes to us."""
        if self.gap_start is None or self.gap_end is None:
            return
        number = _Number.of(self.last or "")
        if number:
            first, end = self.gap_start // self.size + 1, -(-self.gap_end // self.size)
            yield from (number.query(page) for page in range(end, first - 1, -1))

    def ahead(self, last_page: int | None) -> Iterator[tuple[str, bool]]:
        """Yield the pages that will be asked for, as far as they can be known, and if it is sure.

        After the next page others are guessed while the links count up by one, to `last_page`.
        """
        for query in self._gap_queries():
            yield query, True
        if self.next is None:
            return
        yield self.next, True
        before, after = _Number.of(self.last or ""), _Number.of(self.next)
        if not before or not after or after != _Number(before.page + 1, before.others):
            return
        page = after.page + 1
        while last_page is None or page <= last_page:
            yield after.query(page), last_page is not None
            page += 1


class Walk:
    """Reads one list from a position to its end: each page goes in, each new record comes out."""

    def __init__(self, list_url: str, position: Position) -> None:
        self._list_url = list_url
        self.position = position
        self.pages = 0
        self.reread = 0
        self.warning: tuple[str, dict[str, int]] | None = None
        self._last_page: int | None = None
        self._stepped_back_to: str | None = None
        self._empty_pages = 0
        self._stale_pages = 0
        self._rereads_left = _rereads(position.gap_start, position.gap_end, position.size)
        self._arrived_at = float("-inf")
        self._queries: set[int] = set()
        self._recent_pages: deque[list[str]] = deque()
        self._recent_ids: set[str] = set()

    @property
    def query(self) -> str:
        """The query of the page to ask for now."""
        return self.position.query or ""

    @property
    def finished(self) -> bool:
        """Whether the list is read to its end."""
        return self.position.query is None

    def ahead(self) -> Iterator[tuple[str, bool]]:
        """Yield the queries that will follow, and whether each is sure to be a page."""
        return self.position.ahead(self._last_page)

    def step_back(self) -> bool:
        """Ask for the last page again, because there is none after it; False if it was already.

        The list may have lost its end, and what stood there is on the last page now.
        """
        now = self.position
        if now.last is None or now.gap_end is not None or now.last == self._stepped_back_to:
            return False
        self._stepped_back_to = now.last
        self.position = replace(now, next=now.last)
        return True

    def take(
        self, document: object, *, asked_at: float = 0.0, arrived_at: float = 0.0
    ) -> list[dict[str, Any]]:
        """Take in the answer to `query`, move on, and return its records that are new.

        The times are seconds of one clock. Raises `ListError`, and then stays where it was.
        """
        now = self.position
        page = Page.parse(document, self._list_url, now.size)
        asked = _Number.of(self.query)
        if asked and page.number is not None and page.number != asked.page:
            raise ListError(ListFault.WRONG_PAGE, asked=asked.page, got=page.number)
        if now.gap_end is not None and asked:
            self.position = self._fill_gap(page, asked.page)
            self.reread += 1
        else:
            # Asked for before the page before it had arrived: either may be the older one.
            overlapped = asked_at < self._arrived_at
            self.position = self._go_on(page, asked, overlapped=overlapped)
            self._arrived_at = arrived_at
        self.pages += 1
        self._last_page = page.total_pages
        if page.total is not None and page.total_pages is None:
            self._last_page = -(-page.total // self.position.size)
        return self._new(page)

    def _new(self, page: Page) -> list[dict[str, Any]]:
        """Return the page's resources that none of the last pages had."""
        recent = self._recent_ids
        new: dict[str, dict[str, Any]] = {}
        for identifier, resource in zip(page.ids, page.resources, strict=True):
            if identifier not in recent:
                new.setdefault(identifier, resource)
        recent.update(new)
        self._recent_pages.append([*new])
        while len(recent) > _RECENT_RECORDS:
            recent.difference_update(self._recent_pages.popleft())
        return [*new.values()]

    def _go_on(self, page: Page, asked: _Number | None, *, overlapped: bool) -> Position:
        now = self.position
        query, count = self.query, len(page.resources)
        size = page.size or _page_size(page.next) or max(now.size, count)
        self._check_next(query, asked, page.next)
        if count == 0 and page.next is not None:
            self._empty_pages += 1
            if self._empty_pages > MOST_EMPTY_PAGES:
                raise ListError(ListFault.EMPTY_PAGES, pages=self._empty_pages)
        elif count:
            self._empty_pages = 0
        is_stale = self._recent_ids.issuperset(page.ids)
        self._stale_pages = self._stale_pages + 1 if is_stale else 0
        if self._stale_pages > _MOST_STALE_PAGES and page.next is not None:
            raise ListError(ListFault.CIRCLING_LINK)
        records = now.records + count
        end = asked.page * size if asked else records
        if page.next is None:
            self._check_end(page, full=count >= size, records=records, end=end)
        gap = self._gap(page, asked, size, overlapped=overlapped)
        if gap:
            self._rereads_left = _rereads(gap["gap_start"], gap["gap_end"], size)
        total = now.total if page.total is None else page.total
        return Position(query, page.next, size, records, total, **gap)

    def _check_next(self, query: str, asked: _Number | None, following: str | None) -> None:
        """Refuse a link that does not lead forward; raises `ListError`."""
        if following is None:
            return
        number = _Number.of(following)
        if asked and number and asked.others == number.others:
            if number.page <= asked.page:
                raise ListError(ListFault.CIRCLING_LINK)
            return
        self._queries.add(hash(query))
        if hash(following) in self._queries:
            raise ListError(ListFault.CIRCLING_LINK)

    def _check_end(self, page: Page, *, full: bool, records: int, end: int) -> None:
        """Hold the end of the list against its total; raises `ListError` if it was cut off."""
        if page.total is not None:
            if full and end < page.total:
                raise ListError(ListFault.CUT_OFF, records=records, total=page.total)
            if records < page.total:
                self.warning = ("short_list", {"records": records, "total": page.total})
        elif records == SUSPECTED_CAP:
            self.warning = ("suspected_cap", {"records": records})

    def _gap(
        self, page: Page, asked: _Number | None, size: int, *, overlapped: bool
    ) -> dict[str, int]:
        """Return the indices to which records slid between the page before and this one."""
        before = self.position.total
        if before is None or page.total is None or asked is None or page.total >= before:
            return {}
        dropped, seam = before - page.total, (asked.page - 1) * size
        start, end = max(0, seam - dropped), min(seam, page.total)
        if overlapped:
            # If this page is the older one, the drop is records that were added in front meanwhile:
            # they pushed others from the page before into this one.
            end = min(seam + dropped, before)
        if start >= end:
            return {}
        return {"gap_start": start, "gap_end": end, "gap_total": page.total}

    def _fill_gap(self, page: Page, number: int) -> Position:
        now = self.position
        if now.gap_start is None or now.gap_end is None or now.gap_total is None:
            raise InvalidStateError
        start, end = now.gap_start, now.gap_end
        total = now.gap_total if page.total is None else page.total
        if total < now.gap_total:
            start = max(0, start - (now.gap_total - total))
        else:
            end += total - now.gap_total
        first, after = (number - 1) * now.size, number * now.size
        # What is left lies below this page, or above it if records were added; if both, all of it.
        if start >= first:
            start = max(start, after)
        elif end <= after:
            end = first
        end = min(end, total)
        self._rereads_left -= 1
        gap: dict[str, int] = {}
        if start < end:
            gap = {"gap_start": start, "gap_end": end, "gap_total": total}
            if self._rereads_left < 0:
                raise ListError(ListFault.MOVING_LIST, pages=self.reread)
        return Position(now.last, now.next, now.size, now.records, now.total, **gap)
