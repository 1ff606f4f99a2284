"""Custom attributes as typed columns, by what the metadata or a page of records say of them."""

import logging
import re
import unicodedata
from collections.abc import Mapping
from typing import Any

from source_kustomer.records import CUSTOM_PREFIX

Column = dict[str, Any]

_TEXT: Column = {"type": ["null", "string"]}
_BY_SUFFIX: Mapping[str, Column] = {
    "Str": _TEXT,
    "Txt": _TEXT,
    "Url": _TEXT,
    "Id": _TEXT,
    "Tree": _TEXT,
    "Num": {"type": ["null", "number"]},
    "At": {
        "type": ["null", "string"],
        "format": "date-time",
        "airbyte_type": "timestamp_with_timezone",
    },
    "Bool": {"type": ["null", "boolean"]},
}
_OBJECT: Column = {"type": ["null", "object"], "additionalProperties": True}

# PostgreSQL cuts longer names, and no database of those that Airbyte knows cuts shorter ones.
_LONGEST_NAME = 63

logger = logging.getLogger("airbyte.source_kustomer")


def columns_of_metadata(definitions: Mapping[str, Any]) -> dict[str, Column]:
    """Return a column for each attribute that the metadata define and that is not deleted."""
    columns = {}
    for name, definition in definitions.items():
        known = definition if isinstance(definition, dict) else {}
        if not known.get("deletedAt"):
            is_array = known.get("multi") is True or known.get("array") is True
            is_object = known.get("type") == "object"
            columns[name] = _column(
                name, known.get("displayName"), is_array=is_array, is_object=is_object
            )
    return columns


def columns_of_values(values: Mapping[str, list[Any]]) -> dict[str, Column]:
    """Return a column for each attribute, typed by its name and its values on a page."""
    columns = {}
    for name, found in values.items():
        seen = [value for value in found if value is not None]
        arrays = [value for value in seen if isinstance(value, list)]
        # One odd value among many others does not make a column of arrays.
        is_array = bool(arrays) and sum(map(bool, arrays)) >= len(seen) - len(arrays)
        items = [item for array in arrays for item in array] if is_array else seen
        is_object = bool(items) and all(isinstance(item, dict) for item in items)
        columns[name] = _column(name, None, is_array=is_array, is_object=is_object)
    return columns


def _column(name: str, label: Any, *, is_array: bool, is_object: bool) -> Column:
    """Return a column whose type is what the end of the name says; others are text or objects."""
    by_name = (column for suffix, column in _BY_SUFFIX.items() if name.endswith(suffix))
    item = next(by_name, _OBJECT if is_object else _TEXT)
    column = {"type": ["null", "array"], "items": item} if is_array else item
    described = f"{label}: the" if isinstance(label, str) and label.strip() else "The"
    return {"description": f"{described} custom attribute {name} of Kustomer.", **column}


def distinct(columns: Mapping[str, Column], stream: str) -> dict[str, Column]:
    """Return the columns by their names, without those that a destination confuses with another."""
    by_name: dict[str, Column] = {}
    taken: dict[str, str] = {}
    for attribute, column in sorted(columns.items()):
        if not attribute:
            continue
        name = f"{CUSTOM_PREFIX}{attribute}"
        stored = _stored_names(name)
        first = next((taken[other] for other in stored if other in taken), None)
        if first:
            logger.warning(
                "%s: destinations store the columns %s and %s under the same name, so only the "
                "first becomes one: the values of the other are in the column custom.",
                stream,
                first,
                name,
            )
            continue
        taken |= dict.fromkeys(stored, name)
        by_name[name] = column
    return by_name


def _stored_names(name: str) -> list[str]:
    """Return a column's name as PyAirbyte, and as Airbyte's own destinations, may store it.

    All put an underscore for what is no ASCII letter or digit; the latter take accents off first.
    """
    letters = unicodedata.normalize("NFKD", name)
    plain = "".join(c for c in letters if not unicodedata.category(c).startswith("M"))
    return [
        re.sub(r"\W", "_", form, flags=re.ASCII).lower()[:_LONGEST_NAME]
        for form in (name.lower(), plain)
    ]
