"""The lists, page by page: by number or by cursor, as the switches say."""

import json
import re
import threading
from collections.abc import Mapping
from typing import Any

from sandbox.data import Resource
from sandbox.messages import Reply, error
from sandbox.switches import Switches

CAP = 10_000

_LARGEST_PAGE = 100
_LARGER_PAGES = frozenset({"users", "teams"})
_PARAMETERS = frozenset({"sort", "page[after]", "fromDate"})

Link = str | dict[str, str]


class Pages:
    """Answers requests for a list; rendered pages are kept until `forget`."""

    def __init__(self, lists: Mapping[str, list[Resource]], switches: Switches, url: str) -> None:
        self.lock = threading.RLock()
        self._lists, self._switches, self._url = lists, switches, url
        self._rendered: dict[tuple[str, int, int], bytes] = {}

    def forget(self) -> None:
        """Render every page anew."""
        with self.lock:
            self._rendered.clear()

    def answer(self, name: str, params: Mapping[str, str]) -> Reply:
        """Return the page that the parameters ask for."""
        default = self._switches.default_page if name == "customers" else _LARGEST_PAGE
        largest = self._switches.largest_page if name in _LARGER_PAGES else _LARGEST_PAGE
        try:
            page, size = int(params.get("page", "1")), int(params.get("pageSize", default))
        except ValueError:
            return self._refused("Invalid page")
        if size > largest and self._switches.too_large == "refused":
            return self._refused("Invalid pageSize")
        size = max(1, min(size, largest))
        if name in self._switches.cursors:
            return self._by_cursor(name, params.get("page[after]", "after0"), size)
        if self._switches.parameters != "ignored" and _PARAMETERS & params.keys():
            return self._selected(name, params, size)
        return self._by_number(name, max(1, page), size)

    def _selected(self, name: str, params: Mapping[str, str], size: int) -> Reply:
        """Return the first page of a list that parameters order, or leave records out of."""
        if self._switches.parameters == "refused":
            return self._refused("Unknown parameter")
        after, since = params.get("page[after]", ""), params.get("fromDate", "")
        with self.lock:
            resources = self._lists[name]
            start = 1 + [r["id"] for r in resources].index(after) if after else 0
            chosen = [r for r in resources[start:] if r["attributes"]["createdAt"] >= since]
        if "sort" in params:
            chosen.sort(key=lambda resource: str(resource["id"]), reverse=True)
        return Reply(200, self._document({"pageSize": size}, chosen[:size], {"next": None}))

    def _refused(self, text: str, status: int = 400, code: str = "bad_request") -> Reply:
        return error(self._switches.error_form, status, code, text)

    def _length(self, name: str) -> int:
        """Return how many records the list gives out."""
        length = len(self._lists[name])
        return min(length, CAP) if self._switches.cap == "cut" else length

    def _by_number(self, name: str, page: int, size: int) -> Reply:
        if self._switches.cap == "refused" and page * size > CAP:
            return self._refused("Too many records")
        with self.lock:
            if page > max(1, -(-self._length(name) // size)):
                if self._switches.past_end == "404":
                    return self._refused("Not found", 404, "not_found")
                if self._switches.past_end == "400":
                    return self._refused("Invalid page")
            rendered = self._rendered.get((name, page, size))
            if rendered is None:
                rendered = self._page(name, page, size)
                self._rendered[name, page, size] = rendered
        return Reply(200, rendered)

    def _page(self, name: str, page: int, size: int) -> bytes:
        length = self._length(name)
        pages = -(-length // size)
        resources = self._lists[name][(page - 1) * size : min(page * size, length)]
        goes_on = self._goes_on(page < pages, is_full=len(resources) == size)
        if page > max(1, pages):
            goes_on = self._switches.past_end == "onward"
        if self._switches.cap == "unlinked" and page * size == CAP:
            goes_on = False
        links = {
            "self": self._link(name, page, size),
            "first": self._link(name, 1, size),
            "prev": self._link(name, page - 1, size) if page > 1 else None,
            **self._next(self._link(name, page + 1, size) if goes_on else None),
        }
        meta = {"pageSize": size, "page": page}
        if self._has_total(name):
            meta |= {"total": len(self._lists[name]), "totalPages": pages}
            links["last"] = self._link(name, max(1, pages), size)
        return self._document(meta, resources, links)

    def _by_cursor(self, name: str, after: str, size: int) -> Reply:
        cursor = re.fullmatch(r"after(\d+)", after)
        if cursor is None:
            return self._refused("Unknown cursor")
        start = int(cursor[1])
        with self.lock:
            length = self._length(name)
            end = min(start + size, length)
            resources = self._lists[name][start:end]
        query = {"page%5Bafter%5D": f"after{end}", "pageSize": str(size)}
        goes_on = self._goes_on(end < length, is_full=len(resources) == size)
        links = self._next(self._as_link(name, query) if goes_on else None)
        meta = {"pageSize": size}
        if self._has_total(name):
            meta["total"] = length
        return Reply(200, self._document(meta, resources, links))

    def _goes_on(self, more: bool, *, is_full: bool) -> bool:  # noqa: FBT001
        return more or (is_full and self._switches.last_link == "when_full")

    def _has_total(self, name: str) -> bool:
        return self._switches.totals in {"all", name}

    def _next(self, link: Link | None) -> dict[str, Link | None]:
        return {} if link is None and self._switches.last_link == "missing" else {"next": link}

    def _link(self, name: str, page: int, size: int) -> Link:
        return self._as_link(name, {"page": str(page), "pageSize": str(size)})

    def _as_link(self, name: str, query: dict[str, str]) -> Link:
        form = self._switches.links
        if form == "without_size":
            del query["pageSize"]
        path = f"/v1/{name}?" + "&".join(f"{key}={value}" for key, value in query.items())
        if form == "object":
            return {"href": path}
        return self._url + path if form == "absolute" else path

    def _document(self, meta: Mapping[str, int], data: list[Resource], links: object) -> bytes:
        document: dict[str, Any] = {"meta": meta, "data": data, "links": links}
        if self._switches.numbers_as_text:
            document["meta"] = {key: str(value) for key, value in meta.items()}
        if self._switches.meta == "missing":
            del document["meta"]
        return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()
