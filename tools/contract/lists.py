"""What the pages of the lists show: links, totals, sizes, order and ends."""

import re
from collections.abc import Callable, Iterator
from functools import wraps
from urllib.parse import parse_qsl

from tools.contract.exchange import Exchange, naming
from tools.contract.observations import (
    CAP,
    SMALLEST_DEFAULT,
    TOO_LARGE,
    UNASKED,
    ListSeen,
    Observations,
    largest,
)
from tools.contract.reading import NotObservable, Reading, Readings, Seen

Look = Callable[[Observations], Readings]

# Fewer records are in some order by chance.
_FEWEST = 10


def each_list(look: Callable[[ListSeen], Reading]) -> Look:
    """Make a check of every list that opened; of the others it says why they did not."""

    @wraps(look)
    def readings(seen: Observations) -> Readings:
        return {
            name: look(each) if each.first.is_ok else each.first.unread
            for name, each in seen.lists.items()
        }

    return readings


def answers(name: str) -> Look:
    """Make a check of what one list answers, page by page."""

    def readings(seen: Observations) -> Readings:
        each = seen.lists[name]
        if each.first.unasked:
            return {"": each.first.unread}
        pages = {"page 1": each.first, "page 2": each.second, "page 1, default size": each.default}
        odd = {
            page: e.outcome for page, e in pages.items() if not e.is_ok and not e.unasked
        }
        value = "; ".join(f"{page}: {outcome}" for page, outcome in odd.items()) or "200"
        return {"": Seen(value if each.first.is_ok else each.first.outcome, each.sample)}

    return readings


@each_list
def link_form(seen: ListSeen) -> Reading:
    """Say what the link to the next page looks like."""
    link = seen.first.link
    if link is None:
        return _one_page(seen)
    if seen.query is None:
        form = "leads elsewhere"
    elif re.match(r"[a-z]+:", link):
        form = "absolute address"
    else:
        form = "relative path" if link.startswith("/") else "relative query"
    is_object = isinstance(seen.first.member("links", "next"), dict)
    has_size = seen.query is None or "pageSize" in dict(parse_qsl(seen.query))
    value = form + ", in an object" * is_object + ", without pageSize" * (not has_size)
    return Seen(value, "1 link")


@each_list
def page_naming(seen: ListSeen) -> Reading:
    """Say by which parameters the link names the next page."""
    if seen.query is None:
        return _one_page(seen)
    return Seen(naming(seen.query), "1 link")


@each_list
def last_link(seen: ListSeen) -> Reading:
    """Say how the last page tells that it is the last."""
    last = _last_page(seen)
    if last is None:
        return _no_end(seen)
    if last.link is not None:
        return Seen("leads past the end", "1 page")
    links = last.member("links")
    has_next = isinstance(links, dict) and "next" in links
    return Seen("null" if has_next else "missing", "1 page")


@each_list
def without_link(seen: ListSeen) -> Reading:
    """Say whether a page without a link is the last, going by its number and by the total."""
    pages, total = seen.numbered, seen.first.number("total")
    unlinked = [n for n, page in pages.items() if page.records and page.link is None]
    if seen.is_by_cursor or not unlinked:
        return _no_end(seen)
    first = min(unlinked)
    more = [n for n in pages if n > first and seen.has_new(n)]
    left = (total or 0) - (first - 1) * seen.size - len(pages[first].records)
    value = "the last" if not more and left <= 0 else f"pages follow (page {first})"
    return Seen(value, f"{len(pages)} pages")


@each_list
def past_end(seen: ListSeen) -> Reading:
    """Say what comes for the page after the last one."""
    last = seen.last
    if last is None:
        return _no_end(seen)
    after = seen.numbered[last + 1]
    if not after.is_ok:
        return Seen(after.outcome, "1 page")
    document = after.document
    if isinstance(document, dict) and isinstance(data := document.get("data"), list):
        records = ("the first page again" if {*after.ids} else "records") if data else "empty"
        return Seen(f"200, {records}, {'a' if after.link else 'no'} next link", "1 page")
    is_null = isinstance(document, dict) and "data" in document
    return Seen("200, data that is no list" if is_null else "200, no data", "1 page")


@each_list
def beyond_cap(seen: ListSeen) -> Reading:
    """Say what comes on both sides of 10,000 records: by the link, and by the number."""
    number = -(-CAP // max(1, seen.size))
    pages = seen.numbered
    at_cap, beyond = pages.get(number, UNASKED), pages.get(number + 1, UNASKED)
    total = seen.first.number("total") or 0
    if seen.is_by_cursor or (at_cap.unasked and not seen.last):
        return _no_end(seen)
    if not seen.has_new(number) and total <= CAP:
        needed = f"a list of more than {CAP:,} records"
        return NotObservable(f"fewer than {CAP:,} records", needed)
    if beyond.unasked:
        return beyond.unread
    if not seen.has_new(number):
        return Seen(f"no record at {CAP:,} of more by the total", f"{len(pages)} pages")
    link = "a link" if at_cap.link else "no link"
    if not beyond.is_ok:
        after = beyond.outcome
    elif seen.has_new(number + 1) and beyond.number("page") in {None, number + 1}:
        after = "more records"
    else:
        after = "the first page again" if beyond.ids else "no record"
    return Seen(f"{link}, then {after}", f"pages {number} and {number + 1}")


@each_list
def reread(seen: ListSeen) -> Reading:
    """Say whether the first page has the same records when it is read twice in a row."""
    before, after = seen.first.ids, seen.again.ids
    if not seen.again.is_ok:
        return seen.again.unread
    if not before:
        return NotObservable("it is empty", "a list with records")
    kept = [i for i in after if i in before]
    sample = f"{len(before)} records"
    if before == after:
        return Seen("the same records", sample)
    if kept != [i for i in before if i in after]:
        return Seen("another order", sample)
    if after[: len(after) - len(kept)] == [i for i in after if i not in before]:
        return Seen("new records in front", sample)
    return Seen("records removed in between", sample)


@each_list
def overlap(seen: ListSeen) -> Reading:
    """Say whether a record is on two neighbouring pages, or twice on one."""
    ids = seen.again.ids + seen.second.ids
    if not ids:
        return NotObservable("it is empty", "a list with records")
    repeated = len(ids) - len({*ids})
    if repeated and seen.again.ids != seen.first.ids:
        return NotObservable("the list changed in between", "another run")
    return Seen("records repeat" if repeated else "each record once", f"{len(ids)} records")


@each_list
def totals(seen: ListSeen) -> Reading:
    """Say whether a list tells its length."""
    return Seen("no total" if seen.first.number("total") is None else "total", "1 page")


@each_list
def meta_members(seen: ListSeen) -> Reading:
    """Say what a page that is asked for by number says of itself."""
    if seen.is_by_cursor:
        return NotObservable("it is read by cursors", "a list with page numbers")
    meta = seen.first.member("meta")
    if not isinstance(meta, dict):
        return Seen("no meta", "1 page")
    known = [name for name in ("page", "pageSize") if name in meta]
    return Seen(" and ".join(known) or "neither", "1 page")


@each_list
def meta_numbers(seen: ListSeen) -> Reading:
    """Say how numbers in `meta` are written."""
    names = ("page", "pageSize", "total", "totalPages")
    values = [v for name in names if (v := seen.first.member("meta", name)) is not None]
    if not values:
        return NotObservable("meta has no numbers", "a list whose meta has some")
    kinds = {"text" if isinstance(value, str) else "number" for value in values}
    return Seen(" and ".join(sorted(kinds)), f"{len(values)} numbers")


@each_list
def largest_page(seen: ListSeen) -> Reading:
    """Say how many records come where far too many are asked for."""
    return _size(seen, seen.too_large, TOO_LARGE)


@each_list
def default_page(seen: ListSeen) -> Reading:
    """Say how many records come where the request does not say."""
    return _size(seen, seen.default, seen.size)


@each_list
def told_size(seen: ListSeen) -> Reading:
    """Say whether `meta.pageSize` of a page that is too large counts what came."""
    told, came = seen.too_large.number("pageSize"), len(seen.too_large.records)
    if told is None or not _is_full(seen, seen.too_large):
        return NotObservable("no full page tells its size", "a list of more than one page")
    value = "what came" if told == came else "what was asked for" if told == TOO_LARGE else "neither"
    return Seen(value, f"{came} records")


@each_list
def order(seen: ListSeen) -> Reading:
    """Say by what the records of the first page are ordered."""
    records = seen.first.records
    attributes = [r["attributes"] for r in records if isinstance(r.get("attributes"), dict)]
    for name, values in (
        ("createdAt", [a.get("createdAt") for a in attributes]),
        ("updatedAt", [a.get("updatedAt") for a in attributes]),
        ("id", [r.get("id") for r in records]),
    ):
        texts = [v for v in values if isinstance(v, str)]
        if len({*texts}) >= _FEWEST and texts in (sorted(texts), sorted(texts, reverse=True)):
            direction = "ascending" if texts[0] < texts[-1] else "descending"
            return Seen(f"by {name}, {direction}", f"{len(texts)} {seen.name}")
    if len(records) < _FEWEST:
        return NotObservable(f"{len(records)} records", f"a list of {_FEWEST} records")
    return Seen("by none of createdAt, updatedAt, id", f"{len(records)} {seen.name}")


def sort(seen: Observations) -> Readings:
    """Say what `sort=desc` does."""

    def effect(ids: list[str], came: list[str]) -> str:
        return "orders by id, descending" if came == sorted(came, reverse=True) else "another order"

    return {
        name: _effect(seen.lists[name].first, seen.sorted.get(name, UNASKED), effect)
        for name in ("customers", "conversations")
    }


def cursor(seen: Observations) -> Readings:
    """Say what `page[after]` with the id of the first customer does."""

    def effect(ids: list[str], came: list[str]) -> str:
        return "begins after that record" if came[:1] == ids[1:2] else "other records"

    return {"": _effect(seen.lists["customers"].first, seen.after, effect)}


def time_filter(seen: Observations) -> Readings:
    """Say what `fromDate` with a time in the middle of the first page does."""
    since = seen.since() or ""

    def effect(_: list[str], __: list[str]) -> str:
        times = [r.get("attributes", {}).get("createdAt") or "" for r in seen.from_date.records]
        return "leaves out older ones" if all(t >= since for t in times) else "other records"

    return {"": _effect(seen.lists["customers"].first, seen.from_date, effect)}


def _effect(
    first: Exchange, came: Exchange, effect: Callable[[list[str], list[str]], str]
) -> Reading:
    """Say what a parameter changes of the first page."""
    if not first.is_ok or came.unasked == UNASKED.unasked:
        is_open = first.is_ok
        return NotObservable("fewer than two records", "more records") if is_open else first.unread
    if not came.is_ok:
        return came.unread if came.unasked else Seen(came.outcome, "1 request")
    if came.ids == first.ids:
        return Seen("nothing", "1 request")
    return Seen(effect(first.ids, came.ids), f"{len(came.ids)} records")


def _size(seen: ListSeen, came: Exchange, asked: int) -> Reading:
    count = len(came.records)
    if came.unasked:
        return _short(seen, SMALLEST_DEFAULT) if seen.size <= SMALLEST_DEFAULT else came.unread
    if not came.is_ok:
        return Seen(came.outcome, "1 request")
    is_full, sample = _is_full(seen, came), f"{count} of {asked} {seen.name} asked for"
    if is_full or count > largest(seen.name):
        return Seen(f"{count}" if is_full else f"{count} or more", sample)
    return _short(seen, count)


def _is_full(seen: ListSeen, came: Exchange) -> bool:
    """Whether more records follow, so that the page is as large as pages are."""
    others = max((n - 1) * seen.size + 1 for n in seen.numbered if seen.has_new(n))
    longest = max(seen.first.number("total") or 0, others, seen.size)
    return came.is_ok and (came.link is not None or len(came.records) < longest)


def _short(seen: ListSeen, records: int) -> NotObservable:
    return NotObservable(f"only {seen.sample}", f"a list of more than {records} records")


def _one_page(seen: ListSeen) -> NotObservable:
    return _short(seen, seen.size)


def _last_page(seen: ListSeen) -> Exchange | None:
    """Return the last page, None where it is too far away."""
    if seen.is_by_cursor:
        walk = [page for page in (seen.second, *seen.walked) if page.is_ok]
        ends = [page for page in walk if page.link is None or not page.records]
        return ends[0] if ends else None
    return None if seen.last is None else seen.numbered[seen.last]


def _no_end(seen: ListSeen) -> NotObservable:
    if seen.is_by_cursor:
        return NotObservable(f"its cursors were followed for {seen.sample}", "a shorter list")
    failing: Iterator[Exchange] = (e for e in seen.numbered.values() if not e.is_ok)
    odd = next((e for e in failing if e.status not in {400, 404}), None)
    return odd.unread if odd else NotObservable("no end was reached", "a shorter list")
