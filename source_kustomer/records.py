"""A JSON:API resource becomes a flat record that fits its stream's schema, and loses nothing."""

import re
from collections.abc import Callable, Iterable, Mapping
from datetime import timezone
from typing import Any

from ciso8601 import parse_rfc3339

Value = Any
Convert = Callable[[Value], Value]

CUSTOM_PREFIX = "custom_"

# What every list has beside its attributes; an attribute of the same name is kept aside.
_OWN_COLUMNS = frozenset(
    {"id", "type", "relationships", "links", "additionalAttributes", "additionalMembers"}
)
_MEMBERS: Mapping[str, type] = {
    "id": str,
    "type": str,
    "attributes": dict,
    "relationships": dict,
    "links": dict,
}

# Databases keep whole numbers in 64 bits.
_LARGEST_INTEGER = 2**63 - 1

# What NUMERIC(38, 9) holds, in which databases keep all other numbers.
_LARGEST_NUMBER = 1e29

# A boolean is an integer to Python only.
_NUMBERS = frozenset({int, float})

_NUMERAL = re.compile(r"-?[0-9]{1,18}", re.ASCII)
_DECIMAL = re.compile(r"-?[0-9]{1,18}(\.[0-9]{1,40})?", re.ASCII)
_ITSELF = re.compile(r"(?:https?://[^/?#]+)?/v1/[^/?#]+/([^/?#]+)")

# PostgreSQL takes it in no text.
_NUL = "\0"


def text(value: Value) -> str | None:
    """Return text without U+0000, a number or a boolean as text, None for all else."""
    if isinstance(value, str):
        return value.replace(_NUL, "")
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if type(value) in _NUMBERS else None


def date_time(value: Value) -> str | None:
    """Return an RFC 3339 date-time in UTC, ending in `Z`; None for all else."""
    try:
        moment = parse_rfc3339(value)
    except (TypeError, ValueError):
        return None
    text: str = value
    if text[10] == "T" and text[-1] == "Z":
        return text
    # The library also takes a space here, and dates by the number of their day.
    if text[10] not in "Tt":
        return None
    try:
        moment = moment.astimezone(timezone.utc)
    except OverflowError:
        return None
    return moment.isoformat(timespec=_precision(text)).replace("+00:00", "Z")


def _precision(date_time: str) -> str:
    """Return how precise a date-time is, in the word of `datetime.isoformat`."""
    fraction = re.search(r"\.([0-9]+)", date_time)
    if fraction is None:
        return "seconds"
    return "milliseconds" if len(fraction[1]) <= len("123") else "microseconds"


def integer(value: Value) -> int | None:
    """Return a whole number of at most 64 bits, also from a float or text; None for all else."""
    if type(value) is not int:
        is_whole = isinstance(value, float) and value.is_integer()
        if not is_whole and not (isinstance(value, str) and _NUMERAL.fullmatch(value)):
            return None
        value = int(value)
    return value if abs(value) <= _LARGEST_INTEGER else None


def number(value: Value) -> float | int | None:
    """Return a number that NUMERIC(38, 9) holds, also from text; None for all else."""
    if type(value) in _NUMBERS:
        return value if abs(value) < _LARGEST_NUMBER else None
    is_decimal = isinstance(value, str) and _DECIMAL.fullmatch(value)
    return number(float(value)) if is_decimal else None


def boolean(value: Value) -> bool | None:
    """Return a boolean, also from its JSON text; None for all else."""
    if isinstance(value, str):
        return {"true": True, "false": False}.get(value.lower())
    return value if isinstance(value, bool) else None


def json_object(value: Value) -> dict[str, Any] | None:
    """Return an object as it is, None for all else."""
    return value if isinstance(value, dict) else None


def array_of(item: Convert | None, exact: type | None = None) -> Convert:
    """Make a conversion that returns an array whose items all convert, None for all else.

    Items of the type `exact` need no conversion.
    """
    all_exact = frozenset({exact})

    def array(value: Value) -> list[Any] | None:
        if not isinstance(value, list):
            return None
        if item is None or all_exact.issuperset(map(type, value)):
            return value
        items = [None if i is None else item(i) for i in value]
        lost = any(new is None and old is not None for new, old in zip(items, value, strict=True))
        return None if lost else items

    return array


_BY_TYPE: Mapping[str, Convert] = {
    "string": text,
    "integer": integer,
    "number": number,
    "boolean": boolean,
    "object": json_object,
}


# What already fits its column if it is of this type, as most values are; text is looked at too.
_EXACT: Mapping[Convert | None, type] = {text: str, boolean: bool, json_object: dict}


def conversion(column: Value) -> Convert:
    """Return the conversion for a column's JSON schema; one without a single type takes all."""
    # JSON Schema allows a boolean instead of an object.
    named = column.get("type") if isinstance(column, Mapping) else None
    types = [named] if isinstance(named, str) else [t for t in named or [] if t != "null"]
    if len(types) != 1:
        return lambda value: value
    if types[0] == "array":
        items = column.get("items")
        item = conversion(items) if isinstance(items, Mapping) and items else None
        return array_of(item, _EXACT.get(item))
    if types[0] == "string" and column.get("format") == "date-time":
        return date_time
    return _BY_TYPE.get(types[0], lambda value: value)


class Flattener:
    """Makes flat records of one stream's resources; `columns` are its schema's properties."""

    def __init__(self, columns: Mapping[str, Any], to_one: Iterable[str]) -> None:
        self._foreign_keys = {name: f"{name}Id" for name in to_one}
        not_attributes = _OWN_COLUMNS | set(self._foreign_keys.values())
        attributes, custom = dict[str, Convert](), dict[str, Convert]()
        for name, column in columns.items():
            if name.startswith(CUSTOM_PREFIX):
                custom[name] = conversion(column)
            elif name not in not_attributes:
                attributes[name] = conversion(column)
        self._attributes = _Columns(attributes)
        self._custom = _Columns(custom, CUSTOM_PREFIX) if custom else None

    def __call__(self, resource: Mapping[str, Any]) -> dict[str, Any]:
        """Return the flat record; what has no column, or does not fit it, is kept aside."""
        identifier, kind = text(resource["id"]), text(resource.get("type"))
        record: dict[str, Any] = {"id": identifier, "type": kind}
        attributes, relationships = resource.get("attributes"), resource.get("relationships")
        if isinstance(attributes, dict):
            aside = self._attributes.fill(record, attributes)
            custom = record.get("custom")
            if custom and self._custom:
                # What does not fit is null: the whole object stays in its own column.
                self._custom.fill(record, custom)
            if aside:
                record["additionalAttributes"] = aside
        if isinstance(relationships, dict):
            record["relationships"] = relationships
            for name, column in self._foreign_keys.items():
                if name in relationships:
                    record[column] = _related_id(relationships[name])
        links = resource.get("links")
        if isinstance(links, dict):
            record["links"] = links
        members = {
            name: value
            for name, value in resource.items()
            if type(value) is not _MEMBERS.get(name) and not _has_its_place(name, value)
        }
        if members:
            record["additionalMembers"] = members
        return record


class _Columns:
    """Columns by the members that they hold, which are named like them but for a prefix."""

    def __init__(self, conversions: Mapping[str, Convert], prefix: str = "") -> None:
        self._by_member = {
            column.removeprefix(prefix): (column, _EXACT.get(convert), convert)
            for column, convert in conversions.items()
        }

    def fill(self, record: dict[str, Any], members: Mapping[str, Any]) -> dict[str, Any]:
        """Fill a record's columns; returns the members that have none, or do not fit theirs."""
        aside = {}
        column_of = self._by_member.get
        for name, value in members.items():
            found = column_of(name)
            if found is None:
                aside[name] = value
                continue
            column, exact, convert = found
            kind = type(value)
            if value is None or (kind is exact and (kind is not str or _NUL not in value)):
                record[column] = value
            else:
                fitting = record[column] = convert(value)
                if fitting is None:
                    aside[name] = value
        return aside


def _has_its_place(member: str, value: Value) -> bool:
    """Whether a member of another type than usual is in the record all the same."""
    return member in _MEMBERS and (
        value is None or (_MEMBERS[member] is str and text(value) is not None)
    )


def _related_id(relationship: Value) -> str | None:
    """Return the id that a to-one relationship names, by its data or else by its link."""
    if not isinstance(relationship, dict):
        return None
    data = relationship.get("data")
    if isinstance(data, dict):
        return text(data.get("id"))
    if data is None and "data" not in relationship:
        links = relationship.get("links")
        link = links.get("self") if isinstance(links, dict) else None
        itself = _ITSELF.fullmatch(link) if isinstance(link, str) else None
        return itself[1] if itself else None
    return None
