"""The requests of the contract: each is sent once, and the checks read what came."""

import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Final
from urllib.parse import quote, urlsplit, urlunsplit

from sandbox import LISTS
from source_kustomer.config import Config
from tools.contract.asking import Asker
from tools.contract.exchange import Exchange, naming, query_of

UNASKED: Final = Exchange(unasked="it was stopped before this was asked")

# One vendor documents that lists end there.
CAP: Final = 10_000

# Above every documented page size.
TOO_LARGE: Final = 1000

# The smallest default page size that anybody told of.
SMALLEST_DEFAULT: Final = 30

# A cursor's list can only be walked; so many pages fit into the requests.
_LONGEST_WALK = 6

RESOURCES: Final = {"customers": "customer", "conversations": "conversation", "users": "user"}

# Neither is anybody's.
MADE_UP_KEY: Final = "made-up-key-of-the-contract-checks"
MADE_UP_ORGANIZATION: Final = "no-such-organization-27d1c2"
_DOMAIN = ".api.kustomerapp.com"


def largest(name: str) -> int:
    """Return the largest page size that is documented for a list."""
    return 500 if name in {"users", "teams"} else 100


@dataclass
class ListSeen:
    """What one list answered; `first` and `again` are the same request, one after the other.

    `pages` are those asked for by number, `walked` those that links led to after the second.
    """

    name: str
    url: str = ""
    first: Exchange = UNASKED
    again: Exchange = UNASKED
    second: Exchange = UNASKED
    too_large: Exchange = UNASKED
    default: Exchange = UNASKED
    pages: dict[int, Exchange] = field(default_factory=dict)
    walked: list[Exchange] = field(default_factory=list)

    @property
    def query(self) -> str | None:
        """The query of the first page's link, None where it leads nowhere on this list."""
        return query_of(self.first.link, self.url)

    @property
    def is_by_cursor(self) -> bool:
        """Whether the next page is named by something other than its number."""
        return self.query is not None and naming(self.query) != "page"

    @property
    def size(self) -> int:
        """How many records a full page has."""
        return len(self.first.records)

    @property
    def numbered(self) -> dict[int, Exchange]:
        """The pages by their number, as far as they were asked for."""
        if self.is_by_cursor:
            return {1: self.first}
        second = {} if self.second.unasked else {2: self.second}
        return {1: self.first, **second, **self.pages}

    def has_new(self, number: int) -> bool:
        """Whether a page is the one asked for, and holds records that none before it does."""
        pages = self.numbered
        page = pages.get(number, UNASKED)
        before = {i for n, other in pages.items() if n < number for i in other.ids}
        is_other = page.number("page") not in {None, number}
        return number == 1 or (not is_other and bool({*page.ids} - before))

    @property
    def last(self) -> int | None:
        """The number of the last page, None unless the one after it was seen to be none."""
        if not self.first.is_ok or self.is_by_cursor:
            return None
        last = max(n for n in self.numbered if self.has_new(n))
        after = self.numbered.get(last + 1, UNASKED)
        is_answered = after.is_ok or after.status in {400, 404}
        return last if is_answered else None

    @property
    def sample(self) -> str:
        """How many records of it were seen."""
        count = len({i for e in (*self.numbered.values(), self.second, *self.walked) for i in e.ids})
        return f"{count} {self.name}"


@dataclass
class Observations:
    """All that was asked, as far as it was; `later` came when the first minute had passed."""

    config: Config
    window: float
    key: Exchange = UNASKED
    lists: dict[str, ListSeen] = field(default_factory=dict)
    metadata: dict[str, Exchange] = field(default_factory=dict)
    wrong_key: Exchange = UNASKED
    unknown_path: Exchange = UNASKED
    unknown_organization: Exchange = UNASKED
    sorted: dict[str, Exchange] = field(default_factory=dict)
    after: Exchange = UNASKED
    from_date: Exchange = UNASKED
    later: Exchange = UNASKED
    exchanges: list[Exchange] = field(default_factory=list)

    @property
    def is_kustomer(self) -> bool:
        """Whether the API is at Kustomer's own address."""
        return (urlsplit(self.config.base_url).hostname or "").endswith(_DOMAIN)

    @property
    def is_open(self) -> bool:
        """Whether any list can be read."""
        return any(seen.first.is_ok for seen in self.lists.values())

    def since(self) -> str | None:
        """Return a time in the middle of the first page of customers."""
        times = [r["attributes"].get("createdAt") for r in self.lists["customers"].first.records
                 if isinstance(r.get("attributes"), dict)]
        texts = sorted(t for t in times if isinstance(t, str))
        return texts[len(texts) // 2] if texts and texts[0] != texts[-1] else None


def begin(asker: Asker) -> Observations:
    """Return what nothing was asked for yet."""
    lists = {name: ListSeen(name, asker.config.base_url + name) for name in LISTS}
    metadata = dict.fromkeys(RESOURCES, UNASKED)
    return Observations(
        asker.config, asker.timing.window, lists=lists, metadata=metadata, exchanges=asker.exchanges
    )


def observe(seen: Observations, asker: Asker) -> None:
    """Ask for all; what was asked for stays when it is interrupted."""
    seen.key = asker.get("auth/tokens/current", "key")
    for each in seen.lists.values():
        _pages(each, asker)
    for name, resource in RESOURCES.items():
        seen.metadata[name] = asker.get(f"metadata/{resource}", "metadata")
    _errors(seen, asker)
    if seen.is_open:
        _parameters(seen, asker)
        for each in seen.lists.values():
            _walk(each, asker) if each.is_by_cursor else _end(each, asker)
        with contextlib.suppress(KeyboardInterrupt):
            _later(seen, asker)


def _pages(seen: ListSeen, asker: Asker) -> None:
    first = f"{seen.name}?page=1&pageSize={largest(seen.name)}"
    seen.first = asker.get(first)
    if not seen.first.is_ok:
        return
    # One after the other, because a living account changes by itself.
    seen.again = asker.get(first)
    if seen.query is not None:
        seen.second = asker.get(f"{seen.name}?{seen.query}")
    seen.too_large = asker.get(f"{seen.name}?page=1&pageSize={TOO_LARGE}")
    if seen.size > SMALLEST_DEFAULT:
        seen.default = asker.get(seen.name)


def _errors(seen: Observations, asker: Asker) -> None:
    config = replace(seen.config, api_key=MADE_UP_KEY)
    seen.wrong_key = asker.get("auth/tokens/current", "error", config)
    seen.unknown_path = asker.get("no-such-list-27d1c2", "error")
    address = urlsplit(config.base_url)
    if seen.is_kustomer:
        address = address._replace(netloc=MADE_UP_ORGANIZATION + _DOMAIN)
    else:
        # Without subdomains, as in the sandbox, the path names the organization.
        address = address._replace(path=f"/{MADE_UP_ORGANIZATION}{address.path}")
    # The account's key is for its own organization only.
    elsewhere = replace(config, base_url=urlunsplit(address))
    seen.unknown_organization = asker.get("customers", "error", elsewhere)


def _parameters(seen: Observations, asker: Asker) -> None:
    """Ask for what may read a list without sliding: one request for each."""

    def get(name: str, parameter: str) -> Exchange:
        return asker.get(f"{name}?pageSize={largest(name)}&{parameter}", "error")

    customers = seen.lists["customers"].first
    for name in ("customers", "conversations"):
        if len(seen.lists[name].first.records) > 1:
            # Documented for conversations, where it orders by id, descending.
            seen.sorted[name] = get(name, "sort=desc")
    if len(customers.records) > 1:
        seen.after = get("customers", f"page%5Bafter%5D={quote(customers.ids[0])}")
    if since := seen.since():
        # Documented for the conversations of one customer.
        seen.from_date = get("customers", f"fromDate={quote(since)}")


def _end(seen: ListSeen, asker: Asker) -> None:
    """Find the last page by number, ask for the one after it, and look at both sides of the cap."""
    if not seen.first.is_ok:
        return

    def ask(number: int) -> bool:
        if number not in seen.numbered:
            path = f"{seen.name}?page={number}&pageSize={largest(seen.name)}"
            seen.pages[number] = asker.get(path, "error")
        return not seen.numbered[number].unasked and seen.has_new(number)

    total, at_cap = seen.first.number("total"), -(-CAP // max(1, seen.size))
    if not ask(2):
        return
    if total:
        last = -(-total // seen.size)
        for number in (at_cap, at_cap + 1, last, last + 1) if total > CAP else (last, last + 1):
            ask(number)
    elif ask(at_cap):
        ask(at_cap + 1)
    else:
        _bisect(ask, 2, at_cap)


def _bisect(ask: Callable[[int], bool], there: int, gone: int) -> None:
    while gone - there > 1:
        middle = (there + gone) // 2
        there, gone = (middle, gone) if ask(middle) else (there, middle)


def _walk(seen: ListSeen, asker: Asker) -> None:
    page = seen.second
    while page.is_ok and len(seen.walked) < _LONGEST_WALK:
        query = query_of(page.link, seen.url)
        if query is None:
            break
        page = asker.get(f"{seen.name}?{query}", "error")
        seen.walked.append(page)


def _later(seen: Observations, asker: Asker) -> None:
    """Ask once more when the first request is a minute old, which tells how that is counted."""
    wait = seen.exchanges[0].sent_at + seen.window * 1.02 - asker.clock.monotonic()
    if wait > 0 and any("x-ratelimit-remaining" in e.headers for e in seen.exchanges):
        asker.say(
            f"Waiting {wait:.0f} s to see how the limit's minute is counted; "
            "Ctrl-C writes the report now"
        )
        asker.clock.sleep(wait)
        seen.later = asker.get("auth/tokens/current", "error")
