"""What the records of the first pages show, by the names of our own columns only."""

import json
import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from sandbox import LISTS
from tools.contract import pages
from tools.contract.api import Api
from tools.contract.check import Seen, grouped

SCHEMAS = Path(__file__).parents[2] / "source_kustomer" / "schemas"

# Their attributes are documented as an open set.
_OPEN = frozenset({"customers", "conversations"})

_MEMBERS = frozenset({"type", "id", "attributes", "relationships", "links"})
_LINKS_ONLY = frozenset({"messages"})
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", re.ASCII)


def value_types(api: Api) -> Seen | None:
    """Say which columns hold values of another type, and which cannot be converted."""
    drift, unfit = dict[str, None](), dict[str, None]()
    for name, attributes in _attributes(api):
        for column, value in attributes.items():
            schema = columns(name).get(column)
            fit = _fit(value, _type(schema)) if schema else "fits"
            if fit != "fits":
                (drift if fit == "converts" else unfit)[f"{name}.{column}"] = None
    if not any(_attributes(api)):
        return None
    texts = [f"converted: {', '.join(drift)}"] if drift else []
    texts += [f"do not fit: {', '.join(unfit)}"] if unfit else []
    return Seen("; ".join(texts) or "all fit", not unfit)


def time_format(api: Api) -> Seen | None:
    """Say whether times are written as documented."""
    others, seen = dict[str, None](), False
    for name, attributes in _attributes(api):
        for column, value in attributes.items():
            if columns(name).get(column, {}).get("format") == "date-time" and value:
                seen = True
                if not (isinstance(value, str) and _TIME.fullmatch(value)):
                    others[f"{name}.{column}"] = None
    if not seen:
        return None
    return Seen(
        f"otherwise: {', '.join(others)}" if others else "ISO 8601, UTC, milliseconds", not others
    )


def sla(api: Api) -> Seen | None:
    """Say where conversations have their `sla`."""
    records = list(records_of(api, "conversations"))
    seen = [
        m[:-1]
        for m in ("attributes", "relationships")
        if any("sla" in object_in(r, m) for r in records)
    ]
    return Seen(" and ".join(seen), is_same=True) if seen else None


def links_only(api: Api) -> Seen | None:
    """Say which relationships name no record, only a link."""
    known, others = dict[str, None](), set[str]()
    for name in LISTS:
        for record in records_of(api, name):
            for relationship, value in object_in(record, "relationships").items():
                if not isinstance(value, dict) or "data" in value or "meta" in value:
                    continue
                if relationship in _LINKS_ONLY or f"{relationship}Id" in columns(name):
                    known[relationship] = None
                else:
                    others.add(relationship)
    texts = [*known, *([f"{len(others)} without a column"] if others else [])]
    return Seen(", ".join(texts), known.keys() <= _LINKS_ONLY and not others) if texts else None


def deleted(api: Api) -> Seen | None:
    """Say which lists hold deleted records."""
    seen = {
        name: "listed"
        for name in ("tags", "teams")
        if any(object_in(r, "attributes").get("deleted") is True for r in records_of(api, name))
    }
    return Seen(grouped(seen), is_same=True) if seen else None


def masked(api: Api) -> Seen | None:
    """Say whether values come masked."""
    is_masked = any("***" in json.dumps(attributes) for _, attributes in _attributes(api))
    return Seen("masked values come", is_same=True) if is_masked else None


def without_column(api: Api) -> Seen | None:
    """Count attributes that no column has; two lists are an open set."""
    others: dict[str, set[str]] = {}
    for name, attributes in _attributes(api):
        others.setdefault(name, set()).update(attributes.keys() - columns(name).keys())
    if not others:
        return None
    counts = {name: f"{len(unknown)}" for name, unknown in others.items()}
    return Seen(grouped(counts), all(not others[name] or name in _OPEN for name in others))


def other_members(api: Api) -> Seen | None:
    """Count relationships and members of records that are not documented."""
    classes, relationships, members, seen = set[str](), set[str](), set[str](), False
    for name in LISTS:
        for record in records_of(api, name):
            seen = True
            members |= record.keys() - _MEMBERS
            for relationship, value in object_in(record, "relationships").items():
                if f"{relationship}Id" in columns(name) or relationship in _LINKS_ONLY:
                    continue
                is_class = isinstance(value, dict) and "meta" in value and "data" not in value
                (classes if is_class else relationships).add(relationship)
    if not seen:
        return None
    text = (
        f"custom-object classes: {len(classes)}; other relationships: {len(relationships)}; "
        f"other members: {len(members)}"
    )
    return Seen(text, not relationships and not members)


@cache
def columns(name: str) -> Mapping[str, Mapping[str, Any]]:
    """Return a list's columns by name."""
    properties: dict[str, Any] = json.loads((SCHEMAS / f"{name}.json").read_text())["properties"]
    return properties


def records_of(api: Api, name: str) -> Iterator[dict[str, Any]]:
    """Yield the records of a list's first two pages."""
    yield from pages.resources(pages.first(api, name))
    yield from pages.resources(pages.second(api, name))


def _attributes(api: Api) -> Iterator[tuple[str, dict[str, Any]]]:
    for name in LISTS:
        for record in records_of(api, name):
            yield name, object_in(record, "attributes")


def object_in(value: Mapping[str, Any], member: str) -> dict[str, Any]:
    """Return a member that should be an object, an empty one where it is not."""
    found = value.get(member)
    return found if isinstance(found, dict) else {}


def _type(schema: Mapping[str, Any]) -> str:
    kinds = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    return str(next(kind for kind in kinds if kind != "null"))


def _fit(value: object, kind: str) -> str:
    """Say whether a value is of a column's type, can be converted to it, or neither."""
    if value is None or value == {} or is_a(kind, value):
        return "fits"
    is_scalar = isinstance(value, str | int | float)
    if kind == "string":
        return "converts" if is_scalar else "neither"
    if kind in {"integer", "number"}:
        return "converts" if isinstance(value, str) and _is_number(value) else "neither"
    if kind == "boolean":
        return "converts" if isinstance(value, str) and value in {"true", "false"} else "neither"
    return "neither"


def is_a(kind: str, value: object) -> bool:
    """Whether a value is of this kind, or null."""
    if value is None:
        return True
    if kind == "time":
        return isinstance(value, str) and bool(re.match(r"\d{4}-\d\d-\d\d", value, re.ASCII))
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return {
        "string": isinstance(value, str),
        "number": is_number,
        "integer": is_number and float(value).is_integer()
        if isinstance(value, int | float)
        else False,
        "boolean": isinstance(value, bool),
        "object": isinstance(value, dict),
        "array": isinstance(value, list),
    }[kind]


def _is_number(text: str) -> bool:
    return re.fullmatch(r"-?\d+(\.\d+)?", text.strip(), re.ASCII) is not None
