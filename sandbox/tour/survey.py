"""What a read will take, found out with a few requests for one record each."""

import math
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import requests
import requests.auth
from typing_extensions import override

from sandbox.tour.account import Account

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

    def __init__(self, session: requests.Session, url: str) -> None:
        self._session, self._url = session, url
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
        while most - least > 1:
            middle = (least + most) // 2
            if self._record(middle * size + 1)[0] is None:
                most = middle
            else:
                least = middle
        return most

    def _record(self, place: int) -> tuple[str | None, int | None]:
        """Return the id of the record at a place, None past the end, and the total if it comes."""
        response = self._session.get(
            self._url,
            params={"page": place, "pageSize": 1},
            timeout=_SECONDS,
            # The key goes to no other host.
            allow_redirects=False,
        )
        if place > 1 and response.status_code in _PAST_END:
            return None, None
        if response.status_code in _CLOSED:
            raise _ClosedError
        response.raise_for_status()
        document = response.json()
        self.limit = int(response.headers.get("x-ratelimit-limit", 0)) or self.limit
        total = (document.get("meta") or {}).get("total")
        ids = [str(resource["id"]) for resource in document["data"]]
        return ids[0] if ids else None, int(total) if total is not None else None


def survey(account: Account) -> Survey:
    """Look at all lists at once."""
    with requests.Session() as session, ThreadPoolExecutor(len(PAGE_SIZES)) as threads:
        session.auth = _Bearer(account.key)
        lists = {name: _List(session, f"{account.url}/v1/{name}") for name in PAGE_SIZES}
        counted = {
            name: threads.submit(each.pages, PAGE_SIZES[name]) for name, each in lists.items()
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
