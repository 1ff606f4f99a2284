"""Custom attributes as typed columns: what discover adds to the schemas."""

import logging
import re
from collections.abc import Mapping
from functools import partial
from typing import Any

from source_kustomer.api import background
from source_kustomer.api.client import Client, Target
from source_kustomer.api.probe import Probe
from source_kustomer.errors import Failure, Fault
from source_kustomer.paging.page import Page
from source_kustomer.records import CUSTOM_PREFIX

Column = dict[str, Any]
Definitions = dict[str, Mapping[str, Any]]
Values = dict[str, list[Any]]

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

METADATA_ROLE = "org.permission.metadata.read"

# How an API closes what a key may not read.
_CLOSED = frozenset({401, 403, 404})

# PostgreSQL cuts longer names, and no database of those that Airbyte knows cuts shorter ones.
_LONGEST_NAME = 63

# PostgreSQL has room for 1,600 columns in a table, of which the list itself takes up to a hundred.
_MANY_COLUMNS = 1_400

logger = logging.getLogger("airbyte.source_kustomer")


def custom_columns(
    client: Client, probe: Probe, target: Target, url: str, stream: str, metadata: str
) -> dict[str, Column]:
    """Return a column for each custom attribute of a list, by name; raises `Failure`.

    They come from the metadata or, where the key may not read these, from the list's first page,
    which is at `url`.
    """
    # Both at once, because the second is needed where the first is refused.
    sample = background.start(partial(_sample, client, probe, target, url))
    try:
        columns = _from_metadata(_definitions(client, probe, stream, metadata))
    except Failure as e:
        # Where the key itself is refused, the sample says so.
        if e.evidence.status not in _CLOSED:
            raise
        columns = _from_values(sample.result())
        logger.warning(
            "The custom attributes of %s are those of its first page only: %s", stream, e.message
        )
    return _distinct(columns, stream)


def _definitions(client: Client, probe: Probe, stream: str, metadata: str) -> Definitions:
    """Return what the metadata say of each attribute."""

    def definitions(document: Any) -> Definitions:
        for member in ("data", "attributes", "properties"):
            document = document.get(member) if isinstance(document, dict) else None
        if not isinstance(document, dict):
            raise Fault("unexpected_document")
        return {name: d if isinstance(d, dict) else {} for name, d in document.items()}

    target = Target(f"the metadata of {stream}", METADATA_ROLE, is_list=True)
    url = f"{client.base_url}metadata/{metadata}"
    return client.get(url, definitions, target=target, explain=probe.explain)


def _sample(client: Client, probe: Probe, target: Target, url: str) -> Values:
    """Return the values of each custom attribute on a page of the list."""
    values: Values = {}
    try:
        page = client.get(
            url,
            lambda document: Page.parse(document, url, size=1),
            target=target,
            explain=probe.explain,
        )
    except Failure as e:
        # A list that this key may not read has no values to look at.
        if e.cause.closes_list:
            return values
        raise
    for resource in page.resources:
        attributes = resource.get("attributes")
        custom = attributes.get("custom") if isinstance(attributes, dict) else None
        for name, value in custom.items() if isinstance(custom, dict) else ():
            values.setdefault(name, []).append(value)
    return values


def _from_metadata(definitions: Definitions) -> dict[str, Column]:
    """Return columns whose types are what the metadata and the names say, whatever the values."""
    columns = {}
    for name, definition in definitions.items():
        if not definition.get("deletedAt"):
            of = _by_name(name) or (_OBJECT if definition.get("type") == "object" else _TEXT)
            is_array = definition.get("multi") is True or definition.get("array") is True
            columns[name] = _column(name, of, definition.get("displayName"), is_array=is_array)
    return columns


def _from_values(values: Values) -> dict[str, Column]:
    """Return columns whose types are what the names and the values say."""
    columns = {}
    for name, found in values.items():
        seen = [value for value in found if value is not None]
        arrays = [value for value in seen if isinstance(value, list)]
        # One odd value among many others does not make a column of arrays.
        is_array = bool(arrays) and sum(map(bool, arrays)) >= len(seen) - len(arrays)
        items = [item for array in arrays for item in array] if is_array else seen
        are_objects = bool(items) and all(isinstance(item, dict) for item in items)
        of = _by_name(name) or (_OBJECT if are_objects else _TEXT)
        columns[name] = _column(name, of, None, is_array=is_array)
    return columns


def _by_name(name: str) -> Column | None:
    return next((column for suffix, column in _BY_SUFFIX.items() if name.endswith(suffix)), None)


def _column(name: str, of: Column, label: Any, *, is_array: bool) -> Column:
    described = f"{label}: the" if isinstance(label, str) and label.strip() else "The"
    column = {"type": ["null", "array"], "items": of} if is_array else of
    return {"description": f"{described} custom attribute {name} of Kustomer.", **column}


def _distinct(columns: Mapping[str, Column], stream: str) -> dict[str, Column]:
    """Return the columns by their names, without those that destinations confuse with another."""
    by_name: dict[str, Column] = {}
    taken: dict[str, str] = {}
    for attribute, column in sorted(columns.items()):
        if not attribute:
            continue
        name = f"{CUSTOM_PREFIX}{attribute}"
        first = taken.setdefault(re.sub(r"\W", "_", name.lower())[:_LONGEST_NAME], name)
        if first != name:
            logger.warning(
                "%s: destinations store the columns %s and %s under the same name, so that only "
                "the first is one: the values of the other are in the column custom.",
                stream,
                first,
                name,
            )
            continue
        if len(name) > _LONGEST_NAME:
            logger.warning(
                "%s: the name of the column %s is longer than %d characters, and some "
                "destinations cut it.",
                stream,
                name,
                _LONGEST_NAME,
            )
        by_name[name] = column
    if len(by_name) > _MANY_COLUMNS:
        logger.warning(
            "%s has %d custom attributes, and some destinations refuse a table of so many columns: "
            "leave out what you do not need where you choose the columns; all values are in the "
            "column custom too.",
            stream,
            len(by_name),
        )
    return by_name
