"""What a read will take, found out with a few requests for one record each."""

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial

import requests
import requests.auth
from typing_extensions import override

from source_kustomer.api import background
from source_kustomer.api.headers import RateHeaders
from source_kustomer.api.rate_limit import RateLimiter
from tools.tour.account import Account

# The lists, and the most records that a page of each may hold.
PAGE_SIZES: Mapping[str, int] = {
    "customers": 100,
    "conversations": 100,
    "users": 500,
    "teams": 500,
    "tags": 100,
    "brands": 100,
}

# What Kustomer answers for a list that this key may not read.
_CLOSED = frozenset({401, 403, 404})
# What an API may answer for a place past the end, where others answer with no records.
_PAST_END = frozenset({400, 404})
_SECONDS = (5, 15)
# A list that still has records here is one that does not count pages, or a very long one.
_MOST_PAGES = 1 << 20
_GROWTH = 4
# Of the pages of a long list, the part that may be wrong: it costs fewer requests.
_ABOUT = 0.05


@dataclass(frozen=True)
class Survey:
    """Pages by list, None where they cannot be known; what is closed; and the limit a minute."""

    pages: Mapping[str, int | None]
    closed: frozenset[str]
    limit: int | None

    @property
    def requests(self) -> int:
        """The least number of requests that a read of all open lists takes."""
        return sum(pages or 1 for pages in self.pages.values())

    def records(self, name: str) -> int | None:
        """About how many records a list has."""
        pages = self.pages.get(name)
        return pages * PAGE_SIZES[name] if pages else None

    def without(self, stored: Mapping[str, int], complete: frozenset[str]) -> "Survey":
        """Return what is left where some records are stored, and some lists are complete."""
        left = {
            name: pages and max(1, pages - stored.get(name, 0) // PAGE_SIZES[name])
            for name, pages in self.pages.items()
            if name not in complete
        }
        return replace(self, pages=left)


class _ClosedError(Exception):
    """The key may not read this list."""


class _Bearer(requests.auth.AuthBase):
    # A header alone would give way to what a .netrc file has for the host.
    def __init__(self, key: str) -> None:
        self._key = key

    @override
    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self._key}"
        return request


class _List:
    """Asks for single records of one list, by their place in it."""

    def __init__(self, session: requests.Session, limiter: RateLimiter, url: str) -> None:
        self._session, self._limiter, self._url = session, limiter, url
        self.limit: int | None = None

    def pages(self, size: int) -> int | None:
        """Count pages of a size; None where the API does not let them be counted."""
        first, total = self._record(1)
        if total is not None:
            return max(1, math.ceil(total / size))
        most = 1
        while (found := self._record(most * size + 1)[0]) is not None:
            if found == first or most >= _MOST_PAGES:
                return None
            most *= _GROWTH
        least = most // _GROWTH
        while most - least > max(1, _ABOUT * least):
            middle = (least + most) // 2
            if self._record(middle * size + 1)[0] is None:
                most = middle
            else:
                least = middle
        return most

    def _record(self, place: int) -> tuple[str | None, int | None]:
        """Return the id of the record at a place, None past the end, and the total if it comes."""
        with self._limiter.request() as observe:
            response = self._session.get(
                self._url,
                params={"page": place, "pageSize": 1},
                timeout=_SECONDS,
                # The key goes to no other host.
                allow_redirects=False,
            )
            headers = {name.lower(): value for name, value in response.headers.items()}
            said = RateHeaders.parse(headers, time.time())
            is_exceeded = response.status_code == requests.codes.too_many
            observe(said, exceeded=is_exceeded)
        self.limit = said.limit or self.limit
        if place > 1 and response.status_code in _PAST_END:
            return None, None
        if response.status_code in _CLOSED:
            raise _ClosedError
        response.raise_for_status()
        document = response.json()
        total = (document.get("meta") or {}).get("total")
        ids = [str(resource["id"]) for resource in document["data"]]
        return ids[0] if ids else None, int(total) if total is not None else None


def survey(account: Account) -> Survey:
    """Look at all lists at once, within the share of the rate limit."""
    session, limiter = requests.Session(), RateLimiter(account.config.share)
    session.auth = _Bearer(account.config.api_key)
    url = account.config.base_url
    lists = {name: _List(session, limiter, f"{url}{name}") for name in PAGE_SIZES}
    # On threads that do not hold up the end after Ctrl-C.
    counted = {
        name: background.start(partial(each.pages, PAGE_SIZES[name]))
        for name, each in lists.items()
    }
    pages: dict[str, int | None] = {}
    closed = set()
    for name, future in counted.items():
        error = future.exception()
        if isinstance(error, _ClosedError):
            closed.add(name)
        else:
            # Whatever else goes wrong here, the read says better.
            pages[name] = future.result() if error is None else None
    limits = [each.limit for each in lists.values() if each.limit]
    return Survey(pages, frozenset(closed), max(limits, default=None))
