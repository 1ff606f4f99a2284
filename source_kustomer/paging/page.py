"""One response of a list, parsed."""

import re
from dataclasses import dataclass
from typing import Any

from source_kustomer.errors import Fault
from source_kustomer.paging.query import next_query

Resource = dict[str, Any]

# No organization has as many records; such a number is not a count.
_LARGEST_COUNT = 10**12


@dataclass(frozen=True)
class Page:
    """The resources of a page, their ids as text, and what the response says of the list.

    `number` of the page and `total` of the records are None where the response does not say them. A
    list that `has_links` names its next page.
    """

    resources: list[Resource]
    ids: list[str]
    next: str | None
    has_links: bool
    number: int | None
    total: int | None

    @classmethod
    def parse(cls, document: Any, list_url: str, size: int) -> "Page":
        """Read a JSON:API document that was asked for with a page size; raises `Fault`."""
        resources = document.get("data") if isinstance(document, dict) else None
        if not isinstance(resources, list):
            raise Fault("unexpected_document")
        ids = [resource.get("id") if isinstance(resource, dict) else None for resource in resources]
        if not all(map(_is_id, ids)):
            raise Fault("unexpected_document")
        meta, links = document.get("meta"), document.get("links")
        meta = meta if isinstance(meta, dict) else {}
        has_links = isinstance(links, dict)
        return cls(
            resources=resources,
            ids=[*map(str, ids)],
            next=next_query(links.get("next"), list_url, size) if has_links else None,
            has_links=has_links,
            number=count(meta.get("page")),
            total=count(meta.get("total")),
        )


def _is_id(identifier: Any) -> bool:
    return (isinstance(identifier, str) and identifier != "") or type(identifier) is int


def count(value: Any) -> int | None:
    """Return a count that may come as a number or as text, None where it cannot be one."""
    if isinstance(value, str) and re.fullmatch(r"\s*[0-9]{1,18}\s*", value, re.ASCII):
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int | float) or value != value // 1:
        return None
    return int(value) if 0 <= value < _LARGEST_COUNT else None
