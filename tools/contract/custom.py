"""What custom attributes show: they are counted and never named."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from tools.contract import responses
from tools.contract.api import Api
from tools.contract.check import Seen
from tools.contract.records import is_a, object_in, records_of

SUFFIXES: Mapping[str, str] = {
    "Str": "string",
    "Txt": "string",
    "Num": "number",
    "At": "time",
    "Bool": "boolean",
    "Url": "string",
    "Id": "string",
    "Tree": "string",
}
_WITH_CUSTOM = {"customers": "customer", "conversations": "conversation", "users": "user"}


def suffixes(api: Api) -> Seen | None:
    """Count custom attributes by their suffix, and those whose values are of another type."""
    counts, odd = Counter[str](), set[tuple[str, str]]()
    for name in _WITH_CUSTOM:
        values: dict[str, list[Any]] = {}
        for record in records_of(api, name):
            for attribute, value in object_in(object_in(record, "attributes"), "custom").items():
                values.setdefault(attribute, []).append(value)
        for attribute, came in values.items():
            suffix = _suffix(attribute)
            counts[suffix] += 1
            items = [i for v in came for i in (v if isinstance(v, list) else [v])]
            if suffix in SUFFIXES and not all(is_a(SUFFIXES[suffix], item) for item in items):
                odd.add((name, attribute))
    if not counts:
        return None
    text = ", ".join(f"{suffix} {count}" for suffix, count in sorted(counts.items()))
    text += f"; {len(odd)} of another type" if odd else ""
    return Seen(text, not odd)


def many_values(api: Api) -> Seen | None:
    """Say whether the metadata know of each custom attribute that has arrays."""
    arrays = unflagged = 0
    for name, resource in _WITH_CUSTOM.items():
        flags = responses.flagged(api, resource)
        if flags is None:
            continue
        having = {
            attribute
            for record in records_of(api, name)
            for attribute, value in object_in(object_in(record, "attributes"), "custom").items()
            if isinstance(value, list)
        }
        arrays += len(having)
        unflagged += sum(not flags.get(attribute) for attribute in having)
    if not arrays:
        return None
    return Seen(f"{arrays - unflagged} of {arrays} in the metadata", not unflagged)


def _suffix(attribute: str) -> str:
    return next((s for s in SUFFIXES if attribute.endswith(s)), "without")
