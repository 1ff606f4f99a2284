"""A JSON:API resource becomes a flat record that fits its stream's schema, and loses nothing."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from source_kustomer.conversion import (
    EXACT,
    LARGEST_NUMBER,
    Convert,
    Value,
    conversion,
    number,
    text,
)

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

# Values of this type are stored as they are, unless they are numbers that are too large; most are,
# and a call for each would cost more than all else.
_EXACT: Mapping[Convert | None, type] = {**EXACT, number: float}

# One or two names of collections, which have no digit in them, and one id: neither
# `/v1/slas/<id>/versions/4` nor `/v1/customers/<id>/messages` is a record's own link.
_OWN_LINK = re.compile(r"(?:https?://[^/?#]+)?/v1(?:/[^/?#\d]+){1,2}/([^/?#]+)")


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
        self._by_member: dict[str, tuple[str, Any, Convert]] = {
            column.removeprefix(prefix): (column, _EXACT.get(convert), convert)
            for column, convert in conversions.items()
        }

    def fill(self, record: dict[str, Any], members: Mapping[str, Any]) -> dict[str, Any]:
        """Fill a record's columns; returns the members that have none, or do not fit theirs."""
        aside, by_member = {}, self._by_member
        for name, value in members.items():
            try:
                column, exact, convert = by_member[name]
            except KeyError:
                aside[name] = value
                continue
            if (
                type(value) is exact
                and (exact is not float or -LARGEST_NUMBER < value < LARGEST_NUMBER)
            ) or value is None:
                record[column] = value
                continue
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
    if "data" in relationship:
        data = relationship["data"]
        return text(data.get("id")) if isinstance(data, dict) else None
    links = relationship.get("links")
    link = links.get("self") if isinstance(links, dict) else None
    own = _OWN_LINK.fullmatch(link) if isinstance(link, str) else None
    return own[1] if own else None
