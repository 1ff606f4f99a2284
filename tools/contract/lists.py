"""What the pages of a list show; the titles of the checks say more."""

import re
from urllib.parse import parse_qsl

from tools.contract.asking import Exchange, NotObservable, Reading, Seen, naming, object_in
from tools.contract.observations import CAP, SMALLEST_DEFAULT, TOO_LARGE, UNASKED, ListSeen

# Fewer records are in some order by chance.
_FEWEST = 10


def link_form(seen: ListSeen) -> Reading:
    link = seen.first.link
    if link is None or seen.query is None:
        return Seen("leads elsewhere", "1 link") if link else _short(seen, seen.largest)
    is_address = re.match(r"[a-z]+:", link)
    form = "absolute address" if is_address else "relative " + "path" * link.startswith("/")
    in_object = ", in an object" * isinstance(seen.first.member("links", "next"), dict)
    without = ", without pageSize" * ("pageSize" not in dict(parse_qsl(seen.query)))
    return Seen(f"{form} with {naming(seen.query)}{in_object}{without}", "1 link")


def last_link(seen: ListSeen) -> Reading:
    pages = dict(enumerate([seen.first, seen.second, *seen.walked], 1))
    if not seen.is_by_cursor:
        pages = {n: page for n, page in seen.pages.items() if seen.has_new(n)}
    ends = [n for n, page in pages.items() if page.is_ok and page.link is None]
    number = min(ends, default=0)
    if not ends or (number > 1 and not pages[number].records):
        is_past = bool(ends) or (seen.last is not None and not seen.is_by_cursor)
        return Seen("leads past the end", f"{len(pages)} pages") if is_past else _no_end(seen)
    links, total = pages[number].member("links"), seen.first.number("total") or 0
    form = "null" if isinstance(links, dict) and "next" in links else "missing"
    left = total - (number - 1) * seen.size - len(pages[number].records)
    follow = f", but pages follow page {number}" * (max(pages) > number or left > 0)
    return Seen(form + follow, f"{len(pages)} pages")


def past_end(seen: ListSeen) -> Reading:
    if seen.is_by_cursor:
        return NotObservable("its cursors name no page there", "a list by number")
    if seen.last is None:
        return _no_end(seen)
    after = seen.pages[seen.last + 1]
    data, link = after.member("data"), "a next link" if after.link else "no next link"
    form = f"{'the first' if {*after.ids} <= {*seen.first.ids} else 'another'} page again, {link}"
    if not isinstance(data, list):
        is_there = isinstance(after.document, dict) and "data" in after.document
        form = "data that is no list" if is_there else "no data"
    elif not data:
        form = f"empty, {link}"
    return Seen(f"200, {form}" if after.is_ok else after.outcome, "1 page")


def around_cap(seen: ListSeen) -> Reading:
    number = seen.at_cap
    at_cap, beyond = (seen.pages.get(n, UNASKED) for n in (number, number + 1))
    is_long = number > 1 and seen.has_new(number)
    if not is_long and (seen.first.number("total") or 0) <= CAP:
        end = [seen.second, *seen.walked][-1]
        has_ended = end.is_ok and not end.link if seen.is_by_cursor else seen.last is not None
        return _short(seen, CAP) if has_ended else _no_end(seen)
    if beyond.unasked:
        return beyond.unread
    link = ("a link" if at_cap.link else "no link") if is_long else "no record"
    new = "more records" if seen.has_new(number + 1) else "no new record"
    after = new if beyond.is_ok else beyond.outcome
    return Seen(f"{link}, then {after}", f"pages {number} and {number + 1}")


def reread(seen: ListSeen) -> Reading:
    before, after, both = seen.first.ids, seen.again.ids, seen.again.ids + seen.second.ids
    if not seen.again.is_ok:
        return seen.again.unread
    new = [i for i in after if i not in before]
    if before == after:
        change = "the same" + ", but records repeat on the next page" * (len(both) > len({*both}))
    elif [i for i in after if i in before] != [i for i in before if i in after]:
        change = "another order"
    else:
        is_front = new and after[: len(new)] == new
        change = "new records in front" if is_front else "records removed in between"
    return Seen(change, f"{len(both)} records")


def meta(seen: ListSeen) -> Reading:
    names = ("page", "pageSize", "total", "totalPages")
    told = {n: v for n in names if (v := seen.first.member("meta", n)) is not None}
    as_text = " as text" * any(isinstance(value, str) for value in told.values())
    return Seen((", ".join(told) or "nothing") + as_text, "1 page")


def page_size(seen: ListSeen, came: Exchange, asked: int) -> Reading:
    count, told = len(came.records), came.number("pageSize")
    if came is UNASKED:
        return _short(seen, SMALLEST_DEFAULT)
    if not came.is_ok:
        return came.unread if came.status is None else Seen(came.outcome, "1 page")
    known = (max(filter(seen.has_new, seen.pages)) - 1) * seen.size + 1
    longest = max(seen.first.number("total") or 0, known, seen.size)
    is_full = came.link is not None or count < longest
    if not is_full and count <= seen.largest:
        return _short(seen, seen.largest)
    says = f", but meta.pageSize tells {told}" if told in {asked, TOO_LARGE} - {count} else ""
    return Seen(f"{count}" + " or more" * (not is_full) + says * is_full, f"{asked} asked for")


def order(seen: ListSeen) -> Reading:
    records = [{**object_in(r, "attributes"), "id": str(r.get("id"))} for r in seen.first.records]
    sample = f"{seen.size} records"
    for name in ("createdAt", "updatedAt", "id"):
        texts = [text for record in records if isinstance(text := record.get(name), str)]
        if len({*texts}) >= _FEWEST and texts in (sorted(texts), sorted(texts, reverse=True)):
            direction = "ascending" if texts[0] < texts[-1] else "descending"
            return Seen(f"by {name}, {direction}", sample)
    is_short = seen.size < _FEWEST
    return _short(seen, _FEWEST) if is_short else Seen("by no time and no id", sample)


def _short(seen: ListSeen, records: int) -> NotObservable:
    return NotObservable(f"only {seen.sample}", f"a list of more than {records:,}")


def _no_end(seen: ListSeen) -> NotObservable:
    """Say why the end of a list was not seen."""
    odd = (e for e in seen.pages.values() if not e.is_ok and e.status not in {400, 404})
    if failed := next(odd, None):
        return failed.unread
    how = "its cursors lead no further than" if seen.is_by_cursor else "no end within"
    return NotObservable(f"{how} {seen.sample}", "a shorter list")
