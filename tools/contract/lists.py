"""What the pages of the lists show: links, totals, sizes, order and ends."""

import re
from urllib.parse import parse_qsl

from tools.contract.api import Api, number
from tools.contract.pages import (
    CAP,
    end_of,
    first,
    ids_of,
    largest,
    next_link,
    next_query,
    numbering,
    page,
    resources,
    second,
)

# Above every documented page size.
_TOO_LARGE = 1000

# The page size of the lists that can be longer than the cap.
_SIZE = 100


def link_form(api: Api, name: str) -> str | None:
    """Say what a list's link to its next page looks like."""
    link = next_link(first(api, name))
    if link is None:
        return None
    forms = (
        ["an object with href"]
        if isinstance(first(api, name).member("links", "next"), dict)
        else []
    )
    query = next_query(api, name, link)
    if query is None:
        forms.append("leads elsewhere")
    elif re.match(r"[a-z]+:", link):
        forms.append("absolute address")
    else:
        forms.append("relative path" if link.startswith("/") else "relative query")
    if query is not None and "pageSize" not in dict(parse_qsl(query)):
        forms.append("without pageSize")
    return ", ".join(forms)


def last_link(api: Api, name: str) -> str | None:
    """Say how the last page says that it is the last."""
    end = end_of(api, name)
    if end is None:
        return None
    _, last = end
    if next_link(last) is not None:
        return "leads past the end"
    links = last.member("links")
    return "null" if isinstance(links, dict) and "next" in links else "missing"


def past_end(api: Api, name: str) -> str | None:
    """Say what comes for a page after the last one."""
    end = end_of(api, name)
    if end is None or numbering(api, name) == "by cursor":
        return None
    response = page(api, name, end[0] + 1)
    if not response.is_ok:
        return response.outcome
    records = "with records" if resources(response) else "empty"
    return f"200, {records}, {'with a' if next_link(response) else 'no'} next link"


def reread(api: Api, name: str) -> str | None:
    """Say whether a list's first page has the same records when it is read again."""
    before, after = (ids_of(first(api, name, reading)) for reading in (1, 2))
    if not before:
        return None
    if before == after:
        return "the same records"
    return "another order" if sorted(before) == sorted(after) else "other records"


def overlap(api: Api, name: str) -> str | None:
    """Say whether a record is on two neighbouring pages, or twice on one."""
    ids = ids_of(first(api, name)) + ids_of(second(api, name))
    if not ids:
        return None
    return "each record once" if len(ids) == len({*ids}) else "records repeat"


def has_total(api: Api, name: str) -> str | None:
    """Say whether a list tells its length."""
    response = first(api, name)
    if not response.is_ok:
        return None
    return "total" if number(response.member("meta", "total")) is not None else "no total"


def meta_members(api: Api, name: str) -> str | None:
    """Say what a page that is asked for by number says of itself."""
    response = first(api, name)
    if not response.is_ok or numbering(api, name) == "by cursor":
        return None
    meta = response.member("meta")
    if not isinstance(meta, dict):
        return "no meta"
    return " and ".join(key for key in ("page", "pageSize") if key in meta) or "neither"


def meta_numbers(api: Api, name: str) -> str | None:
    """Say how numbers in `meta` are written."""
    meta = first(api, name).member("meta")
    keys = ("page", "pageSize", "total", "totalPages")
    values = [meta[key] for key in keys if key in meta] if isinstance(meta, dict) else []
    kinds = {"text" if isinstance(value, str) else "number" for value in values}
    return " and ".join(sorted(kinds)) or None


def largest_size(api: Api, name: str) -> str | None:
    """Say how many records come where far too many are asked for."""
    return _size(api, name, f"{name}?page=1&pageSize={_TOO_LARGE}")


def default_size(api: Api, name: str) -> str | None:
    """Say how many records come where the request does not say."""
    return _size(api, name, name)


def order(api: Api, name: str) -> str | None:
    """Say by which time the records are ordered, and in which direction."""
    records = [r for r in resources(first(api, name)) if isinstance(r.get("attributes"), dict)]
    for attribute, ascending, descending in (
        ("createdAt", "oldest first", "newest first"),
        ("updatedAt", "by updatedAt, oldest first", "by updatedAt, newest first"),
    ):
        times = [t for r in records if isinstance(t := r["attributes"].get(attribute), str)]
        if len({*times}) < 2:
            return None
        if times == sorted(times):
            return ascending
        if times == sorted(times, reverse=True):
            return descending
    return "neither by createdAt nor by updatedAt"


def beyond_cap(api: Api, name: str) -> str | None:
    """Say what comes after 10,000 records of a list that may be longer."""
    if (
        largest(name) != _SIZE
        or next_link(first(api, name)) is None
        or numbering(api, name) == "by cursor"
    ):
        return None
    total = number(first(api, name).member("meta", "total"))
    if (total is not None and total <= CAP) or (total is None and end_of(api, name)):
        return None
    at_cap = page(api, name, CAP // _SIZE)
    if not at_cap.is_ok or len(resources(at_cap)) < _SIZE:
        return None
    beyond = page(api, name, CAP // _SIZE + 1)
    if not beyond.is_ok:
        return beyond.outcome
    return "more records" if resources(beyond) else "no record"


def _size(api: Api, name: str, path: str) -> str | None:
    """Say how many records a page holds at most, where the list is long enough to tell."""
    if not first(api, name).is_ok:
        return None
    response = api.get(path)
    if not response.is_ok:
        return response.outcome
    said = number(response.member("meta", "pageSize"))
    count = len(resources(response))
    if next_link(response) is None and (said is None or said < count):
        return None
    size = said if said is not None and said >= count else count
    return str(size) if size <= _TOO_LARGE else "another size"
