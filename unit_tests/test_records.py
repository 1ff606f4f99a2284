"""Resources of every shape become records that fit the schema and lose nothing."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft7Validator, FormatChecker

from source_kustomer.records import Flattener, conversion

TEXT = {"type": ["null", "string"]}
TIME = {
    "type": ["null", "string"],
    "format": "date-time",
    "airbyte_type": "timestamp_with_timezone",
}
INTEGER = {"type": ["null", "integer"]}
NUMBER = {"type": ["null", "number"]}
BOOLEAN = {"type": ["null", "boolean"]}
OBJECT = {"type": ["null", "object"], "additionalProperties": True}
TEXTS = {"type": ["null", "array"], "items": TEXT}
OBJECTS = {"type": ["null", "array"], "items": OBJECT}
ARRAY = {"type": ["null", "array"]}

COLUMNS: dict[str, dict[str, Any]] = {
    "id": {"type": "string"},
    "type": TEXT,
    "name": TEXT,
    "createdAt": TIME,
    "rev": INTEGER,
    "satisfaction": NUMBER,
    "deleted": BOOLEAN,
    "preview": OBJECT,
    "tags": TEXTS,
    "emails": OBJECTS,
    "recentItems": ARRAY,
    "orgId": TEXT,
    "customerId": TEXT,
    "custom": OBJECT,
    "custom_tierStr": TEXT,
    "custom_valueNum": NUMBER,
    "custom_renewalAt": TIME,
    "custom_vipBool": BOOLEAN,
    "custom_plansStr": TEXTS,
    "relationships": OBJECT,
    "links": OBJECT,
    "additionalAttributes": OBJECT,
    "additionalMembers": OBJECT,
}
SCHEMA = Draft7Validator(
    {"type": "object", "properties": COLUMNS, "additionalProperties": False},
    format_checker=FormatChecker(),
)
flatten = Flattener(COLUMNS, ("org", "customer"))

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False)
    | st.text(max_size=8) | st.sampled_from(["true", "5", "1.5", "2016-11-09T04:23:01.925Z", ""]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3)
    ),
    max_leaves=8,
)  # fmt: skip
NAMES = st.sampled_from([*COLUMNS, "unknown", "tierStr", "meta"])
ATTRIBUTES = st.dictionaries(NAMES, JSON, max_size=12) | JSON
RELATIONSHIP = st.fixed_dictionaries(
    {}, optional={"data": JSON | st.fixed_dictionaries({"id": JSON}), "links": JSON}
)
RESOURCES = st.fixed_dictionaries(
    {"id": st.text(min_size=1) | st.integers()},
    optional={
        "type": JSON,
        "attributes": ATTRIBUTES,
        "relationships": st.dictionaries(
            st.sampled_from(["org", "customer", "shopify-orders"]), RELATIONSHIP | JSON
        )
        | JSON,
        "links": JSON,
        "meta": JSON,
    },
)


@given(RESOURCES)
def test_every_record_fits_the_schema(resource: dict[str, Any]) -> None:
    SCHEMA.validate(flatten(resource))


def said(value: object) -> str:
    """Return what a value says, whether it is quoted or not."""
    return str(value).lower().replace("'", "")


@given(RESOURCES)
def test_nothing_that_was_sent_is_dropped(resource: dict[str, Any]) -> None:
    record = flatten(resource)
    aside = record.get("additionalAttributes", {})
    attributes = resource.get("attributes")
    for name, value in attributes.items() if isinstance(attributes, dict) else ():
        own = {"id", "type", "relationships", "links", "orgId", "customerId"}
        kept = aside if name in aside or name in own or name not in COLUMNS else record
        if kept is aside:
            assert aside[name] == value
        else:
            # A converted value still says the same.
            assert (
                record[name] == value
                or said(record[name]) == said(value)
                or (float(record[name]) == float(value))
            )
    members = record.get("additionalMembers", {})
    for name in ("attributes", "relationships", "links"):
        value = resource.get(name)
        if value is not None and not isinstance(value, dict):
            assert members[name] == value
    for name in ("relationships", "links"):
        if isinstance(resource.get(name), dict):
            assert record[name] == resource[name]
    if "meta" in resource:
        assert members["meta"] == resource["meta"]


@pytest.mark.parametrize(
    ("column", "value", "fitting"),
    [
        (TEXT, "a", "a"),
        (TEXT, 5, "5"),
        (TEXT, True, "true"),
        (TEXT, {}, None),
        (TIME, "2016-11-09T04:23:01.925Z", "2016-11-09T04:23:01.925Z"),
        (TIME, "2016-11-09T04:23:01Z", "2016-11-09T04:23:01Z"),
        (TIME, "2016-11-09T04:23:01.925+02:00", "2016-11-09T04:23:01.925+02:00"),
        (TIME, "2016-13-09T04:23:01.925Z", None),
        (TIME, "2016-11-09", None),
        (TIME, "yesterday", None),
        (TIME, 1478665381925, None),
        (TIME, {}, None),
        (INTEGER, 5, 5),
        (INTEGER, "5", 5),
        (INTEGER, 5.0, 5),
        (INTEGER, 5.5, None),
        (INTEGER, 2**63, None),
        (INTEGER, True, None),
        (NUMBER, 4.5, 4.5),
        (NUMBER, "4.5", 4.5),
        (NUMBER, "good", None),
        (BOOLEAN, "true", True),
        (BOOLEAN, "False", False),
        (BOOLEAN, 1, None),
        (OBJECT, {}, {}),
        (OBJECT, [], None),
        (TEXTS, ["a", None, 5], ["a", None, "5"]),
        (TEXTS, ["a", {}], None),
        (TEXTS, "a", None),
        (ARRAY, [1, {}], [1, {}]),
        ({}, {"any": 1}, {"any": 1}),
    ],
)
def test_a_value_is_converted_where_nothing_is_lost(
    column: dict[str, Any], value: object, fitting: object
) -> None:
    result = conversion(column)(value)
    assert result == fitting
    assert type(result) is type(fitting)


def test_a_record_is_flat_and_joinable() -> None:
    record = flatten(
        {
            "type": "conversation",
            "id": "c1",
            "attributes": {
                "name": "مرحبا 👋",
                "tags": ["t1"],
                "custom": {"tierStr": "gold", "valueNum": "x", "later": 1, "plansStr": ["a"]},
            },
            "relationships": {
                "org": {"links": {"self": "/v1/orgs/o1"}},
                "customer": {"data": {"type": "customer", "id": "u1"}},
                "messages": {"links": {"self": "/v1/conversations/c1/messages"}},
            },
            "links": {"self": "/v1/conversations/c1"},
        }
    )
    assert record["orgId"] == "o1"
    assert record["customerId"] == "u1"
    assert record["custom_tierStr"] == "gold"
    assert record["custom_valueNum"] is None
    assert record["custom_plansStr"] == ["a"]
    assert record["custom"]["later"] == 1
    assert record["name"] == "مرحبا 👋"
    assert "additionalAttributes" not in record
    json.dumps(record)
