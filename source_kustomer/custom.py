"""Custom attributes as typed columns: what discover adds to the schemas."""

import logging
from collections.abc import Mapping
from typing import Any

from source_kustomer.client import Client
from source_kustomer.errors import Action, Failure
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

METADATA_ROLE = "org.permission.metadata.read"

# A list that this key may not read has no values to look at; all other failures end discover.
_CLOSED = frozenset({"missing_role", "unavailable_list"})

logger = logging.getLogger("airbyte.source_kustomer")


def custom_columns(
    client: Client, stream: str, role: str, metadata: str, sample_url: str
) -> dict[str, Column]:
    """Return a column for each custom attribute of a list, by name; raises `Failure`.

    They come from the metadata and, where these are closed, from the list's first page.
    """
    definitions = _definitions(client, stream, metadata)
    values = _sample(client, stream, role, sample_url)
    if definitions is None:
        logger.warning(
            "The custom attributes of %s are those of its first page only, because the API key may "
            "not read what Kustomer says of them: a key with the role %s makes them complete.",
            stream,
            METADATA_ROLE,
        )
        definitions = {name: {} for name in values}
    return {
        f"{CUSTOM_PREFIX}{name}": _column(name, definition, values.get(name, []))
        for name, definition in sorted(definitions.items())
        if name and not definition.get("deletedAt")
    }


def _definitions(client: Client, stream: str, metadata: str) -> dict[str, Mapping[str, Any]] | None:
    """Return what the metadata say of each attribute, None where they say nothing."""
    try:
        document = client.get(
            f"{client.base_url}metadata/{metadata}", stream=stream, is_list=False
        ).document
    except Failure as e:
        if e.cause.action is not Action.FAIL:
            raise
        return None
    for member in ("data", "attributes", "properties"):
        document = document.get(member) if isinstance(document, dict) else None
    if not isinstance(document, dict):
        return None
    return {name: d if isinstance(d, dict) else {} for name, d in document.items()}


def _sample(client: Client, stream: str, role: str, url: str) -> dict[str, list[Any]]:
    """Return the values of each custom attribute on a page of the list."""
    try:
        document = client.get(url, stream=stream, role=role).document
    except Failure as e:
        if e.cause.name not in _CLOSED:
            raise
        return {}
    resources = document.get("data") if isinstance(document, dict) else None
    values: dict[str, list[Any]] = {}
    for resource in resources if isinstance(resources, list) else []:
        attributes = resource.get("attributes") if isinstance(resource, dict) else None
        custom = attributes.get("custom") if isinstance(attributes, dict) else None
        for name, value in custom.items() if isinstance(custom, dict) else ():
            values.setdefault(name, []).append(value)
    return values


def _column(name: str, definition: Mapping[str, Any], values: list[Any]) -> Column:
    seen = [value for value in values if value is not None]
    arrays = [value for value in seen if isinstance(value, list)]
    # One odd value among many others does not make a column of arrays.
    are_arrays = bool(arrays) and sum(map(bool, arrays)) >= len(seen) - len(arrays)
    of = next((c for suffix, c in _BY_SUFFIX.items() if name.endswith(suffix)), None)
    if of is None:
        items = [item for array in arrays for item in array] if are_arrays else seen
        of = _OBJECT if items and all(isinstance(item, dict) for item in items) else _TEXT
    many = definition.get("multi") is True or definition.get("array") is True or are_arrays
    label = definition.get("displayName")
    described = f"{label}: the" if isinstance(label, str) and label.strip() else "The"
    column = {"type": ["null", "array"], "items": of} if many else of
    return {"description": f"{described} custom attribute {name} of Kustomer.", **column}
