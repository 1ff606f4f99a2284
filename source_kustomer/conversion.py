"""A value becomes one that fits a column's type, or null where it cannot without a loss."""

import re
from collections.abc import Callable, Mapping
from datetime import timezone
from typing import Any

from ciso8601 import parse_rfc3339

Value = Any
Convert = Callable[[Value], Value]

# Databases keep whole numbers in 64 bits.
_LARGEST_INTEGER = 2**63 - 1

# What NUMERIC(38, 9) holds, in which databases keep all other numbers.
LARGEST_NUMBER = 1e29

# A boolean is an integer to Python only.
_NUMBERS = frozenset({int, float})

_NUMERAL = re.compile(r"-?[0-9]{1,18}", re.ASCII)
_DECIMAL = re.compile(r"-?[0-9]{1,18}(\.[0-9]{1,40})?", re.ASCII)


def text(value: Value) -> str | None:
    """Return text as it is, a number or a boolean as text, None for all else."""
    if isinstance(value, str):
        return value
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
        return value if -LARGEST_NUMBER < value < LARGEST_NUMBER else None
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


# What already fits its column if it is of this type, as most values are.
EXACT: Mapping[Convert | None, type] = {text: str, boolean: bool, json_object: dict}


def conversion(column: Value) -> Convert:
    """Return the conversion for a column's JSON schema; one without a single type takes all."""
    # JSON Schema allows a boolean instead of an object.
    named = column.get("type") if isinstance(column, Mapping) else None
    types = [named] if isinstance(named, str) else [t for t in named or [] if t != "null"]
    if len(types) != 1:
        return lambda value: value
    if types[0] == "array":
        items = column.get("items")
        item = conversion(items) if items else None
        return array_of(item, EXACT.get(item))
    if types[0] == "string" and column.get("format") == "date-time":
        return date_time
    return _BY_TYPE.get(types[0], lambda value: value)
