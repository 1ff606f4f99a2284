"""A JSON:API resource becomes a flat record that fits its stream's schema, and loses nothing."""

import re
import sys
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any, NamedTuple

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

# More shapes than lists have; each takes a kilobyte or two.
_MOST_PLANS = 2000

# Databases keep whole numbers in 64 bits.
_LARGEST_INTEGER = 2**63 - 1

_NUMERAL = re.compile(r"-?[0-9]{1,18}", re.ASCII)
_DECIMAL = re.compile(r"-?[0-9]{1,18}(\.[0-9]{1,18})?", re.ASCII)
_DATE_TIME = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})[Tt]([0-9]{2}:[0-9]{2}:[0-9]{2})(\.[0-9]{1,9})?"
    r"([Zz]|[+-][0-9]{2}:[0-9]{2})",
    re.ASCII,
)
_USUAL_DATE_TIME = len("2024-03-09T04:23:01.925Z")
_ITSELF = re.compile(r"/v1/[^/?#]+/([^/?#]+)")


if sys.version_info >= (3, 11):
    _parse_utc = datetime.fromisoformat
else:
    # Python 3.10 takes no Z.
    def _parse_utc(value: str) -> datetime:
        return datetime.fromisoformat(value[:-1])


def text(value: Value) -> str | None:
    """Return text as it is, a number or a boolean as text, None for all else."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, int | float) else None


def date_time(value: Value) -> str | None:
    """Return an RFC 3339 date-time as it is, None for all else."""
    match = _DATE_TIME.fullmatch(value) if isinstance(value, str) else None
    if not match:
        return None
    try:
        offset = match[4].upper().replace("Z", "+00:00")
        datetime.fromisoformat(f"{match[1]}T{match[2]}{offset}")
    except ValueError:
        return None
    return value


def integer(value: Value) -> int | None:
    """Return a whole number of at most 64 bits, also from a float or text; None for all else."""
    if type(value) is not int:
        is_whole = isinstance(value, float) and value.is_integer()
        if not is_whole and not (isinstance(value, str) and _NUMERAL.fullmatch(value)):
            return None
        value = int(value)
    return value if abs(value) <= _LARGEST_INTEGER else None


def number(value: Value) -> float | int | None:
    """Return a number, also from text; None for all else."""
    if isinstance(value, bool):
        return None
    if isinstance(value, str) and _DECIMAL.fullmatch(value):
        return float(value)
    return value if isinstance(value, int | float) else None


def boolean(value: Value) -> bool | None:
    """Return a boolean, also from its JSON text; None for all else."""
    if isinstance(value, str):
        return {"true": True, "false": False}.get(value.lower())
    return value if isinstance(value, bool) else None


def json_object(value: Value) -> dict[str, Any] | None:
    """Return an object as it is, None for all else."""
    return value if isinstance(value, dict) else None


def array_of(item: Convert | None, exact: frozenset[type] = frozenset()) -> Convert:
    """Make a conversion that returns an array whose items all convert, None for all else.

    Items of the types `exact` need no conversion.
    """

    def array(value: Value) -> list[Any] | None:
        if not isinstance(value, list):
            return None
        if item is None or exact.issuperset(map(type, value)):
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


# What already is of its column's type, as most values are.
_EXACT: Mapping[Convert | None, frozenset[type]] = {
    text: frozenset({str}),
    number: frozenset({float, int}),
    boolean: frozenset({bool}),
    json_object: frozenset({dict}),
}


def conversion(column: Mapping[str, Any]) -> Convert:
    """Return the conversion for a column's JSON schema; one without a single type takes all."""
    named = column.get("type")
    types = [named] if isinstance(named, str) else [t for t in named or [] if t != "null"]
    if len(types) != 1:
        return lambda value: value
    if types[0] == "array":
        items = column.get("items")
        item = conversion(items) if isinstance(items, Mapping) and items else None
        return array_of(item, _EXACT.get(item, frozenset()))
    if types[0] == "string" and column.get("format") == "date-time":
        return date_time
    return _BY_TYPE.get(types[0], lambda value: value)


class Flattener:
    """Makes flat records of one stream's resources; `columns` are its schema's properties."""

    def __init__(self, columns: Mapping[str, Mapping[str, Any]], to_one: Iterable[str]) -> None:
        self._foreign_keys = {name: f"{name}Id" for name in to_one}
        not_attributes = _OWN_COLUMNS | set(self._foreign_keys.values())
        attributes, custom = dict[str, Convert](), dict[str, Convert]()
        for name, column in columns.items():
            if name.startswith(CUSTOM_PREFIX):
                custom[name] = conversion(column)
            elif name not in not_attributes:
                attributes[name] = conversion(column)
        self._attributes = _Plans(attributes)
        self._custom = _Plans(custom, CUSTOM_PREFIX) if custom else None

    def __call__(self, resource: Mapping[str, Any]) -> dict[str, Any]:
        """Return the flat record; what has no column, or does not fit it, is kept aside."""
        identifier, kind = str(resource["id"]), text(resource.get("type"))
        record: dict[str, Any] = {"id": identifier, "type": kind}
        attributes, relationships = resource.get("attributes"), resource.get("relationships")
        if isinstance(attributes, dict):
            aside = self._add_attributes(record, attributes)
            if aside:
                # An attribute of the same name may have stood in their place.
                record |= {"id": identifier, "type": kind, "additionalAttributes": aside}
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

    def _add_attributes(self, record: dict[str, Any], attributes: dict[str, Any]) -> dict[str, Any]:
        """Add the attributes that have columns, and return the others."""
        plan = self._attributes.of(attributes)
        record.update(attributes)
        aside = {name: record.pop(name) for name in plan.without_column}
        for name in plan.convert(record):
            aside[name] = attributes[name]
        custom = record.get("custom")
        if custom and self._custom:
            plan = self._custom.of(custom)
            record.update(zip(plan.columns, custom.values(), strict=False))
            for name in plan.without_column:
                del record[name]
            # What does not fit is null: the whole object stays in its own column.
            plan.convert(record)
        return aside


class _Plan(NamedTuple):
    """What an object of one shape, the names and types of its members, needs to become columns."""

    columns: tuple[str, ...]
    without_column: tuple[str, ...]
    date_times: tuple[str, ...]
    conversions: tuple[tuple[str, Convert], ...]

    def convert(self, record: dict[str, Any]) -> list[str]:
        """Convert in place; returns the names of the columns that become null because of it."""
        lost = []
        for column in self.date_times:
            value = record[column]
            try:
                # The usual form, ISO 8601 in UTC, checked by the fastest means there is. Python
                # takes more than that, so that the marks are looked at too.
                if (
                    len(value) == _USUAL_DATE_TIME
                    and value[7] == "-"
                    and value[10] == "T"
                    and value[19] == "."
                    and value[23] == "Z"
                ):
                    _parse_utc(value)
                    continue
            except ValueError:
                pass
            if date_time(value) is None:
                record[column] = None
                lost.append(column)
        for column, convert in self.conversions:
            value = record[column]
            fitting = convert(value)
            if fitting is not value:
                record[column] = fitting
                if fitting is None:
                    lost.append(column)
        return lost


class _Plans:
    """The plans of objects whose members are columns named like them, after a prefix."""

    def __init__(self, conversions: Mapping[str, Convert], prefix: str = "") -> None:
        self._conversions = conversions
        self._prefix = prefix
        self._plans: dict[tuple[Any, ...], _Plan] = {}

    def of(self, members: dict[str, Any]) -> _Plan:
        # The records of a list have few shapes, so that what to do is found out once for many.
        shape = (*members, *map(type, members.values()))
        plan = self._plans.get(shape)
        if plan is None:
            if len(self._plans) >= _MOST_PLANS:
                self._plans.clear()
            plan = self._plans[shape] = self._plan(members)
        return plan

    def _plan(self, members: dict[str, Any]) -> _Plan:
        columns = {f"{self._prefix}{name}": value for name, value in members.items()}
        without_column, date_times, conversions = (
            list[str](),
            list[str](),
            list[tuple[str, Convert]](),
        )
        for column, value in columns.items():
            convert = self._conversions.get(column)
            if convert is None:
                without_column.append(column)
            elif convert is date_time and isinstance(value, str):
                date_times.append(column)
            elif value is not None and type(value) not in _EXACT.get(convert, ()):
                conversions.append((column, convert))
        return _Plan(tuple(columns), tuple(without_column), tuple(date_times), tuple(conversions))


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
