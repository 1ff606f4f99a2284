"""The requests of the contract: each is sent once, and the checks read what came."""

import contextlib
import time
from dataclasses import dataclass, field, replace
from typing import Final
from urllib.parse import quote, urlsplit

from sandbox import LISTS
from tools.contract.asking import Asker, Exchange, naming, object_in, query_of

UNASKED: Final = Exchange(unasked="it was stopped before this was asked")

# One vendor documents that lists end there.
CAP: Final = 10_000
# Above every documented page size, and the smallest default that anybody told of.
TOO_LARGE: Final = 1000
SMALLEST_DEFAULT: Final = 30
_PROBE = "auth/tokens/current"
# A list by cursors can only be walked; so many pages fit into the requests.
_LONGEST_WALK = 6
# The lists whose resources have metadata.
WITH_METADATA: Final = ("customers", "conversations", "users")

# Neither is anybody's.
MADE_UP_KEY: Final = "made-up-key-of-the-contract-checks"
MADE_UP_ORGANIZATION: Final = "no-such-organization-27d1c2"
_DOMAIN = ".api.kustomerapp.com"


@dataclass
class ListSeen:
    """What one list answered: `pages` by number, `walked` where cursors led after `second`."""

    name: str
    url: str
    # The same request, one after the other.
    first: Exchange = UNASKED
    again: Exchange = UNASKED
    second: Exchange = UNASKED
    too_large: Exchange = UNASKED
    default: Exchange = UNASKED
    pages: dict[int, Exchange] = field(default_factory=dict)
    walked: list[Exchange] = field(default_factory=list)

    @property
    def largest(self) -> int:
        return 500 if self.name in {"users", "teams"} else 100

    @property
    def size(self) -> int:
        return len(self.first.records)

    @property
    def at_cap(self) -> int:
        return -(-CAP // max(1, self.size))

    @property
    def query(self) -> str | None:
        return query_of(self.first.link, self.url)

    @property
    def is_by_cursor(self) -> bool:
        """Whether the next page is named by something other than its number."""
        return self.query is not None and naming(self.query) != "page"

    def has_new(self, number: int) -> bool:
        """Whether a page is the one asked for, and holds records that none before it does."""
        page = self.pages.get(number, UNASKED)
        before = {i for n, other in self.pages.items() if n < number for i in other.ids}
        is_other = page.number("page") not in {None, number}
        return number == 1 or (not is_other and bool({*page.ids} - before))

    @property
    def last(self) -> int | None:
        """The number of the last page, None unless that is what the page after it shows."""
        last = max(filter(self.has_new, self.pages))
        after = self.pages.get(last + 1, UNASKED)
        is_all = last * self.size >= (self.first.number("total") or 0)
        return last if is_all and (after.is_ok or after.status in {400, 404}) else None

    @property
    def all(self) -> list[Exchange]:
        return [*self.pages.values(), self.second, *self.walked]

    @property
    def sample(self) -> str:
        return f"{len({i for page in self.all for i in page.ids})} {self.name}"


class Observations:
    """All that was asked, as far as it was; `later` came almost a minute after the first."""

    def __init__(self, asker: Asker) -> None:
        self.config, self.window = asker.config, asker.timing.window
        self.is_kustomer = (urlsplit(self.config.base_url).hostname or "").endswith(_DOMAIN)
        self.exchanges, self._asker = asker.exchanges, asker
        self.lists = {name: ListSeen(name, self.config.base_url + name) for name in LISTS}
        self.metadata = dict.fromkeys(WITH_METADATA, UNASKED)
        self.parameters: dict[str, Exchange] = {}
        self.key = self.wrong_key = self.later = UNASKED
        self.unknown_path = self.unknown_organization = UNASKED

    @property
    def is_open(self) -> bool:
        return any(seen.first.is_ok for seen in self.lists.values())

    def observe(self) -> None:
        """Ask for everything; what was asked stays where it is interrupted."""
        get = self._asker.get
        self.key = get(_PROBE)
        for each in self.lists.values():
            _pages(each, self._asker)
        for name in WITH_METADATA:
            self.metadata[name] = get(f"metadata/{name.removesuffix('s')}")
        config = replace(self.config, api_key=MADE_UP_KEY)
        self.wrong_key = get(_PROBE, config, may_fail=True)
        self.unknown_path = get("no-such-list-27d1c2", may_fail=True)
        address = urlsplit(config.base_url)
        # Without subdomains, as in the sandbox, the path names the organization.
        path, host = f"/{MADE_UP_ORGANIZATION}{address.path}", MADE_UP_ORGANIZATION + _DOMAIN
        there = address._replace(**({"netloc": host} if self.is_kustomer else {"path": path}))
        # The account's key is for its own organization only.
        elsewhere = replace(config, base_url=there.geturl())
        self.unknown_organization = get("customers", elsewhere, may_fail=True)
        self._ask_parameters()
        for each in self.lists.values():
            if each.is_by_cursor:
                _walk(each, self._asker)
            elif each.first.is_ok:
                _end(each, self._asker)
        if self.is_open:
            with contextlib.suppress(KeyboardInterrupt):
                self._ask_later()

    def _ask_parameters(self) -> None:
        """Ask once for each of what may read a list without sliding."""
        first = self.lists["customers"].first
        times = [object_in(r, "attributes").get("createdAt", "") for r in first.records] or [""]
        for name, parameter, value in (
            # Documented for conversations, where it orders by id.
            ("conversations", "sort", "desc"),
            ("customers", "sort", "desc"),
            ("customers", "page[after]", "".join(first.ids[:1])),
            # Documented for the conversations of one customer.
            ("customers", "fromDate", str(times[len(times) // 2])),
        ):
            each = self.lists[name]
            has_cursors = each.is_by_cursor and parameter == "page[after]"
            if each.size > 1 and value and not has_cursors:
                path = f"{name}?pageSize={each.largest}&{quote(parameter)}={quote(value)}"
                self.parameters[f"{name}, {parameter}"] = self._asker.get(path, may_fail=True)

    def _ask_later(self) -> None:
        # Where the minute slides, all requests still count then; a fixed one has begun anew.
        wait = self.exchanges[0].sent_at + self.window * 0.98 - time.monotonic()
        if wait > 0 and any("x-ratelimit-remaining" in e.headers for e in self.exchanges):
            what = "to see how the limit's minute is counted; Ctrl-C writes the report now"
            self._asker.say(f"Waiting {wait:.0f} s {what}")
            time.sleep(wait)
        self.later = self._asker.get(_PROBE, may_fail=True)


def _pages(seen: ListSeen, asker: Asker) -> None:
    first = f"{seen.name}?page=1&pageSize={seen.largest}"
    seen.first = seen.pages[1] = asker.get(first)
    if not seen.first.is_ok:
        return
    # One after the other, because a living account changes by itself.
    seen.again = asker.get(first)
    if seen.query is not None:
        # As the connector does: the default page size is another.
        is_bare = not seen.is_by_cursor and "pageSize" not in seen.query
        size = f"&pageSize={seen.largest}" * is_bare
        seen.second = asker.get(f"{seen.name}?{seen.query}{size}")
        if not seen.is_by_cursor:
            seen.pages[2] = seen.second
    seen.too_large = asker.get(f"{seen.name}?page=1&pageSize={TOO_LARGE}")
    if seen.size > SMALLEST_DEFAULT:
        seen.default = asker.get(seen.name)


def _end(seen: ListSeen, asker: Asker) -> None:
    """Find the last page by number, ask for the one after it, and look at both sides of the cap."""

    def ask(number: int) -> bool:
        if number not in seen.pages:
            path = f"{seen.name}?page={number}&pageSize={seen.largest}"
            seen.pages[number] = asker.get(path, may_fail=True)
        return seen.has_new(number)

    total, at_cap = seen.first.number("total"), seen.at_cap
    if not ask(2) or (seen.second.is_ok and not seen.second.link and not ask(3)):
        return
    if total:
        last = -(-total // seen.size)
        for number in (at_cap, at_cap + 1, last, last + 1)[2 * (total <= CAP) :]:
            ask(number)
    elif ask(at_cap):
        ask(at_cap + 1)
    else:
        there, gone = 2, at_cap
        while gone - there > 1:
            middle = (there + gone) // 2
            there, gone = (middle, gone) if ask(middle) else (there, middle)


def _walk(seen: ListSeen, asker: Asker) -> None:
    page = seen.second
    while (query := query_of(page.link, seen.url)) and len(seen.walked) < _LONGEST_WALK:
        page = asker.get(f"{seen.name}?{query}", may_fail=True)
        seen.walked.append(page)
