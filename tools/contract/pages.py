"""The pages of a list, and where it ends."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, urljoin, urlsplit

from tools.contract.api import Api, Response, number

CAP = 10_000

LARGEST: Mapping[str, int] = {"users": 500, "teams": 500}
_LARGEST = 100


def largest(name: str) -> int:
    """Return the largest page size that is documented for a list."""
    return LARGEST.get(name, _LARGEST)


def first(api: Api, name: str, reading: int = 1) -> Response:
    """Get a list's first page."""
    return page(api, name, 1, reading)


def page(api: Api, name: str, number: int, reading: int = 1) -> Response:
    """Get a page of a list by its number."""
    return api.get(f"{name}?page={number}&pageSize={largest(name)}", reading=reading)


def second(api: Api, name: str) -> Response | None:
    """Get the page that the first one names as the next, None where it names none."""
    query = next_query(api, name, next_link(first(api, name)))
    if query is None:
        return None
    number = page_number(query)
    return api.get(f"{name}?{query}") if number is None else page(api, name, number)


def resources(response: Response | None) -> list[dict[str, Any]]:
    """Return the records of a page that are objects."""
    data = response.member("data") if response else None
    return [r for r in data if isinstance(r, dict)] if isinstance(data, list) else []


def next_link(response: Response) -> str | None:
    """Return the link to the next page as text, whatever its form; None where there is none."""
    link = response.member("links", "next")
    link = link.get("href") if isinstance(link, dict) else link
    return link if isinstance(link, str) and link else None


def numbering(api: Api, name: str) -> str | None:
    """Say how a list's link names the next page."""
    query = next_query(api, name, next_link(first(api, name)))
    if query is None:
        return None
    return "by page number" if page_number(query) is not None else "by cursor"


def end_of(api: Api, name: str) -> tuple[int, Response] | None:
    """Return the number and response of a list's last page, None where it is too far away."""
    start = first(api, name)
    if not start.is_ok:
        return None
    following = second(api, name)
    if following is None or _is_past_end(following):
        return 1, start
    if not following.is_ok:
        return None
    if next_link(following) is None:
        return 2, following
    total = number(start.member("meta", "total"))
    size = len(resources(start))
    if total is None or not size or total > CAP or numbering(api, name) == "by cursor":
        return None
    pages = -(-total // size)
    last = page(api, name, pages)
    return (pages, last) if resources(last) else None


def _is_past_end(response: Response) -> bool:
    return response.status in {400, 404} or (response.is_ok and not resources(response))


def ids_of(response: Response | None) -> list[str]:
    """Return the ids of a page's records."""
    return [str(resource.get("id")) for resource in resources(response)]


def next_query(api: Api, name: str, link: str | None) -> str | None:
    """Return the query of a link that leads to the same list."""
    if link is None:
        return None
    try:
        here = urlsplit(api.base_url + name)
        there = urlsplit(urljoin(api.base_url + name, link))
    except ValueError:
        return None
    is_same = (here.scheme, here.netloc, here.path) == (there.scheme, there.netloc, there.path)
    return there.query if is_same else None


def page_number(query: str) -> int | None:
    """Return the page that a query names by its number."""
    return number(dict(parse_qsl(query)).get("page"))
