"""What a read will take, found out with a few requests for one record each."""

import json
import math
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sandbox import LISTS
from tools.tour.account import Account

if TYPE_CHECKING:
    from source_kustomer.api.client import Client

# The lists, and the most records that a page of each may hold.
PAGE_SIZES: Mapping[str, int] = {**dict.fromkeys(LISTS, 100), "users": 500, "teams": 500}

# What Kustomer answers for a list that this key may not read.
_CLOSED = frozenset({401, 403, 404})
# What an API may answer for a place past the end, where others answer with no records.
_PAST_END = frozenset({400, 404})
# The read needs no survey, so nobody waits long for one.
_SECONDS = 30.0
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


class _Counter:
    """Asks for single records of the lists, by their place in them."""

    def __init__(self, client: "Client") -> None:
        self._client = client
        self.limit: int | None = None

    def pages(self, name: str, size: int) -> int | None:
        """Count pages of a size; None where the API does not let them be counted."""
        first, total = self._record(name, 1)
        if total is not None:
            return max(1, math.ceil(total / size))
        most = 1
        while (found := self._record(name, most * size + 1)[0]) is not None:
            if found == first or most >= _MOST_PAGES:
                return None
            most *= _GROWTH
        least = most // _GROWTH
        while most - least > max(1, _ABOUT * least):
            middle = (least + most) // 2
            if self._record(name, middle * size + 1)[0] is None:
                most = middle
            else:
                least = middle
        return most

    def _record(self, name: str, place: int) -> tuple[str | None, int | None]:
        """Return the id of the record at a place, None past the end, and the total if it comes."""
        url = f"{self._client.base_url}{name}?page={place}&pageSize=1"
        response = self._client.send(url)
        limit = response.headers.get("x-ratelimit-limit", "")
        self.limit = int(limit) if limit.isdecimal() else self.limit
        if place > 1 and response.status in _PAST_END:
            return None, None
        if response.status in _CLOSED:
            raise PermissionError
        document = json.loads(response.content)
        total = (document.get("meta") or {}).get("total")
        ids = [str(resource["id"]) for resource in document["data"]]
        return ids[0] if ids else None, int(total) if total is not None else None


def survey(account: Account) -> Survey:
    """Look at all lists at once, within the share of the rate limit."""
    # Loads the CDK, which takes a second.
    from source_kustomer.api.client import Client  # noqa: PLC0415

    counter = _Counter(Client(account.config))
    pages: dict[str, int | None] = dict.fromkeys(PAGE_SIZES)
    closed = set()

    def count(name: str) -> None:
        try:
            pages[name] = counter.pages(name, PAGE_SIZES[name])
        except PermissionError:
            closed.add(name)
        except Exception:  # noqa: BLE001, S110
            # Whatever else goes wrong here, the read says better.
            pass

    # They hold up neither the read nor the end after Ctrl-C.
    threads = [threading.Thread(target=count, args=[name], daemon=True) for name in PAGE_SIZES]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + _SECONDS
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    is_open = {name: pages[name] for name in PAGE_SIZES if name not in closed}
    return Survey(is_open, frozenset(closed), counter.limit)
