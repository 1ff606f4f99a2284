"""Resources of every shape become records that fit the schema and lose nothing."""

import json
from datetime import datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft7Validator, FormatChecker

from source_kustomer.conversion import conversion
from source_kustomer.records import Flattener

TEXT = {"type": ["null", "string"]}
TIME = {
    "type": ["null", "string"],
    "format": "date-time",
    "airbyte_type": "timestamp_with_timezone",
}
INTEGER = {"type": ["null", "integer"]}
# What NUMERIC(38, 9) and 64 bits hold, which JSON Schema can say and Airbyte's columns cannot.
NUMBER = {"type": ["null", "number"], "exclusiveMinimum": -1e29, "exclusiveMaximum": 1e29}
BOOLEAN = {"type": ["null", "boolean"]}
OBJECT = {"type": ["null", "object"], "additionalProperties": True}
TEXTS = {"type": ["null", "array"], "items": TEXT}
OBJECTS = {"type": ["null", "array"], "items": OBJECT}
ARRAY = {"type": ["null", "array"]}

COLUMNS: dict[str, dict[str, Any]] = {
    "id": {"type": "string"},
    **dict.fromkeys(("type", "name", "orgId", "customerId", "custom_tierStr"), TEXT),
    **dict.fromkeys(("createdAt", "custom_renewalAt"), TIME),
    "rev": INTEGER,
    **dict.fromkeys(("satisfaction", "custom_valueNum"), NUMBER),
    **dict.fromkeys(("deleted", "custom_vipBool"), BOOLEAN),
    **dict.fromkeys(("preview", "custom", "relationships", "links"), OBJECT),
    **dict.fromkeys(("additionalAttributes", "additionalMembers"), OBJECT),
    **dict.fromkeys(("tags", "custom_plansStr"), TEXTS),
    "emails": OBJECTS,
    "recentItems": ARRAY,
}
ATTRIBUTE_COLUMNS = {
    *("name", "createdAt", "rev", "satisfaction", "deleted"),
    *("preview", "tags", "emails", "recentItems", "custom"),
}
# What databases take is narrower than the columns' types.
TAKEN = {
    **COLUMNS,
    **{name: {**TIME, "pattern": r"T.*Z$"} for name, c in COLUMNS.items() if c == TIME},
    "rev": {**INTEGER, "minimum": -(2**63), "maximum": 2**63 - 1},
}
SCHEMA = Draft7Validator(
    {"type": "object", "properties": TAKEN, "additionalProperties": False},
    format_checker=FormatChecker(),
)
flatten = Flattener(COLUMNS, ("org", "customer"))

ODD = ["true", "5", "1.5", "2016-11-09T04:23:01.925Z", "2016-11-09t09:53:01.5+05:30", ""]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False)
    | st.text(max_size=8) | st.sampled_from([*ODD, 1e29, -1e29, "9" * 30]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3)
    ),
    max_leaves=8,
)  # fmt: skip
NAMES = st.sampled_from([*COLUMNS, "unknown", "tierStr", "meta"])
CUSTOM_OBJECTS = st.dictionaries(
    st.sampled_from(["tierStr", "valueNum", "renewalAt", "vipBool"]), JSON
)
ATTRIBUTES = st.dictionaries(NAMES, JSON, max_size=12)
RELATIONSHIP = st.fixed_dictionaries(
    {}, optional={"data": JSON | st.fixed_dictionaries({"id": JSON}), "links": JSON}
)
RESOURCES = st.fixed_dictionaries(
    {"id": st.text(min_size=1) | st.integers()},
    optional={
        "type": JSON,
        "attributes": ATTRIBUTES
        | JSON
        | st.tuples(ATTRIBUTES, CUSTOM_OBJECTS).map(lambda both: {**both[0], "custom": both[1]}),
        "relationships": st.dictionaries(
            st.sampled_from(["org", "customer", "shopify-orders"]), RELATIONSHIP | JSON
        )
        | JSON,
        "links": JSON,
        "meta": JSON,
    },
)


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text.upper().replace("Z", "+00:00").replace(".5+", ".500+"))


def says_the_same(converted: Any, value: Any) -> bool:
    """Whether a converted value says what was sent."""
    if isinstance(value, list):
        return all(map(says_the_same, converted, value))
    if converted == value or str(converted).lower() == str(value).lower():
        return True
    if isinstance(converted, str):
        return moment(converted) == moment(value)
    return float(converted) == float(value)


@given(RESOURCES)
def test_every_record_fits_the_schema_and_what_databases_take(resource: dict[str, Any]) -> None:
    SCHEMA.validate(flatten(resource))


@given(RESOURCES)
def test_nothing_that_was_sent_is_dropped(resource: dict[str, Any]) -> None:
    record = flatten(resource)
    aside, members = (record.get(f"additional{kind}", {}) for kind in ("Attributes", "Members"))
    attributes = resource.get("attributes")
    for name, value in attributes.items() if isinstance(attributes, dict) else ():
        if name in aside:
            assert aside[name] == value
            assert name not in ATTRIBUTE_COLUMNS or record[name] is None
        else:
            assert name in ATTRIBUTE_COLUMNS
            assert says_the_same(record[name], value), name
    for name in {"attributes", "relationships", "links", "meta"} & resource.keys():
        value = resource[name]
        if name == "meta" or not isinstance(value, dict | None):
            assert members[name] == value
        elif value is not None and name != "attributes":
            assert record[name] == value


# Times elsewhere and in lower case are written in UTC, and as precisely as they came.
TIMES = {
    "2016-11-09T04:23:01.925Z": "2016-11-09T04:23:01.925Z",
    "2016-11-09T04:23:01.123456789Z": "2016-11-09T04:23:01.123456789Z",
    "2016-11-09t04:23:01.9z": "2016-11-09T04:23:01.900Z",
    "2016-11-09T04:23:01z": "2016-11-09T04:23:01Z",
    "2016-11-09t04:23:01Z": "2016-11-09T04:23:01Z",
    "2016-11-09T04:23:01-00:00": "2016-11-09T04:23:01Z",
    "2016-11-09T04:23:01+05:30": "2016-11-08T22:53:01Z",
    "2016-11-09T04:23:01.925+02:00": "2016-11-09T02:23:01.925Z",
    "2016-11-09T04:23:01.9251+02:00": "2016-11-09T02:23:01.925100Z",
    "2016-11-09T04:23:01.1234567-02:00": "2016-11-09T06:23:01.123456Z",
}
CONVERTED: list[tuple[Any, list[object], list[object]]] = [
    (TEXT, ["a", 5, True, False, 1.5], ["a", "5", "true", "false", "1.5"]),
    (TIME, [*TIMES], [*TIMES.values()]),
    (INTEGER, [2**63 - 1, -(2**63) + 1], [2**63 - 1, -(2**63) + 1]),
    (INTEGER, ["5", "-5", 5.0, 2.0**62, "9" * 18], [5, -5, 5, 2**62, int("9" * 18)]),
    (NUMBER, [5, 4.5, 9.9e28, -9.9e28], [5, 4.5, 9.9e28, -9.9e28]),
    (NUMBER, ["-4.5", "5", "9" * 18, f"0.{'1' * 40}"], [-4.5, 5.0, 1e18, 1 / 9]),
    (BOOLEAN, [True, "true", "False"], [True, True, False]),
    (OBJECT, [{"a": []}], [{"a": []}]),
    (TEXTS, [["a", None, 5], [None], []], [["a", None, "5"], [None], []]),
    (OBJECTS, [[{}, None]], [[{}, None]]),
    (ARRAY, [[1, {}]], [[1, {}]]),
    ({"type": "array", "items": {}}, [[1, {}]], [[1, {}]]),
    ({"type": "array", "items": True}, [[1, {}]], [[1, {}]]),
    ({"type": "integer"}, ["5"], [5]),
    ({"type": "integer", "format": "date-time"}, ["5"], [5]),
    *((odd, [5, {}], [5, {}]) for odd in ({"type": ["null"]}, {"type": "odd"}, {}, True)),
    ({"type": ["string", "integer"]}, [5], [5]),
]


@pytest.mark.parametrize(("column", "values", "expected"), CONVERTED)
def test_a_value_is_converted_where_nothing_is_lost(
    column: Any, values: list[object], expected: list[object]
) -> None:
    assert repr([*map(conversion(column), values)]) == repr(expected)


NO_TIMES = """
    2016-11-09 04:23:01.925Z|2016-11-09 04:23:01+02:00|2015-02-29T23:59:59.999Z|2016-11-09T24:00:00Z
    2016-11-09T04:23:60.000Z|2016-11-09T04:23:01.925|2016-11-09T04:23:01.925X|2016-11-09T04:23:01.Z
    2016-11-09T04:23:01,925Z|2016-W45-3T04:23:01.925Z|2016-065T04:23:01.925Z|2016-11-09|yesterday
    2016-11-09T04:23:01+02:60|2016-11-09T04:23:01+24:00|2016-11-09T042301.92500Z|2016-13-09T04:23:01Z
    2016-11-09T042301+01:00Z|0001-01-01T00:00:00+05:00|9999-12-31T23:59:59-05:00|٢٠١٦-11-09T04:23:01Z
"""
REFUSED: list[tuple[Any, list[object]]] = [
    (TEXT, [[], {}]),
    (TIME, [*NO_TIMES.strip().replace("\n    ", "|").split("|"), "", 1478665381925, {}]),
    (INTEGER, [5.5, 2**63, -(2**63), 2.0**63, float("inf"), True, []]),
    (INTEGER, ["9" * 19, "5.0", " 5", "٥"]),
    (NUMBER, [1e29, -1e29, 10**29, float("inf"), True, []]),
    # A float would lose digits of the longer ones.
    (NUMBER, ["good", "1e5", "5.", "nan", "1" + 18 * "0", f"0.{'1' * 41}"]),
    (BOOLEAN, [1, "yes"]),
    (OBJECT, [[]]),
    (TEXTS, [["a", {}], "a", {}]),
    (OBJECTS, [[{}, "a"]]),
    (ARRAY, ["a"]),
    ({"type": "array", "items": TIME}, [["2016-11-09"]]),
]


@pytest.mark.parametrize(("column", "values"), REFUSED)
def test_a_value_that_would_lose_something_is_refused(column: Any, values: list[object]) -> None:
    assert [value for value in values if conversion(column)(value) is not None] == []


OWN_NAMES = {"id": "b", "type": "c", "orgId": "d", "links": {}, "additionalMembers": {}}
NO_OBJECTS = {"attributes": "c", "relationships": [], "links": "d"}
# What does not fit its column is in the object.
CUSTOM = {"tierStr": None, "valueNum": "7.5", "vipBool": "maybe", "plansStr": ["a"], "later": 1}
FILLED = {"tierStr": None, "valueNum": 7.5, "vipBool": None, "plansStr": ["a"]}
CUSTOM_FILLED = {f"custom_{name}": value for name, value in FILLED.items()}


@pytest.mark.parametrize(
    ("resource", "record"),
    [
        ({"id": 5, "type": 6}, {"id": "5", "type": "6"}),
        ({"type": []}, {"additionalMembers": {"type": []}}),
        (dict.fromkeys(NO_OBJECTS), {}),
        (NO_OBJECTS, {"additionalMembers": NO_OBJECTS}),
        ({"meta": None}, {"additionalMembers": {"meta": None}}),
        ({"attributes": {"name": None, "rev": None}}, {"name": None, "rev": None}),
        ({"attributes": {"unknown": None}}, {"additionalAttributes": {"unknown": None}}),
        ({"attributes": {"rev": "5", "name": "n"}}, {"rev": 5, "name": "n"}),
        ({"attributes": {"rev": "x"}}, {"rev": None, "additionalAttributes": {"rev": "x"}}),
        *(
            (
                {"attributes": {"satisfaction": large}},
                {"satisfaction": None, "additionalAttributes": {"satisfaction": large}},
            )
            for large in (1e29, -1e29)
        ),
        ({"attributes": OWN_NAMES}, {"additionalAttributes": OWN_NAMES}),
        ({"attributes": {}}, {}),
        ({"relationships": {}, "links": {}}, {"relationships": {}, "links": {}}),
        ({"attributes": {"custom": 5}}, {"custom": None, "additionalAttributes": {"custom": 5}}),
        ({"attributes": {"custom_a": "x"}}, {"additionalAttributes": {"custom_a": "x"}}),
        ({"attributes": {"custom": CUSTOM}}, {"custom": CUSTOM, **CUSTOM_FILLED}),
    ],
    ids=repr,
)
def test_a_record_is_just_what_was_sent(resource: dict[str, Any], record: dict[str, Any]) -> None:
    resource = {"id": "a", **resource}
    before = json.dumps(resource)
    assert flatten(resource) == {"id": "a", "type": None, **record}
    assert json.dumps(resource) == before


def test_a_list_without_custom_columns_keeps_its_custom_object() -> None:
    record = Flattener({"custom": OBJECT}, ())({"id": "a", "attributes": {"custom": {"x": 1}}})
    assert record == {"id": "a", "type": None, "custom": {"x": 1}}


ID = "5822a4a5aa5f92110005d69a"
LINKS: dict[object, str | None] = {
    f"/v1/orgs/{ID}": ID,
    "/v1/orgs/o": "o",
    f"/v1/routing/queues/{ID}": ID,
    f"/v1/conversations/sub-statuses/{ID}": ID,
    f"https://acme.api.kustomerapp.com/v1/orgs/{ID}": ID,
    f"http://127.0.0.1:8080/v1/orgs/{ID}": ID,
    # The id of neither an agreement nor a version.
    f"/v1/slas/{ID}/versions/4": None,
    "/v1/slas/agreement/versions/4": None,
    f"/v1/customers/{ID}/messages": None,
    f"/v1/orgs/{ID}?x": None,
    f"/v1/orgs/{ID}#x": None,
    f"/v1/orgs/{ID}/": None,
    f"/v1/{ID}": None,
    "/v1/orgs": None,
    f"ftp://a.example/v1/orgs/{ID}": None,
    f"https://a.example/x/v1/orgs/{ID}": None,
    f"https:///v1/orgs/{ID}": None,
    5: None,
}
RELATIONSHIPS: list[tuple[object, str | None]] = [
    *(({"links": {"self": link}}, identifier) for link, identifier in LINKS.items()),
    ({"data": {"type": "org", "id": "o1"}}, "o1"),
    ({"data": {"type": "org", "id": 5}}, "5"),
    ({"data": {"type": "org"}}, None),
    # Data say that there is none, whatever the link is.
    ({"data": None, "links": {"self": f"/v1/orgs/{ID}"}}, None),
    ({"data": [], "links": {"self": f"/v1/orgs/{ID}"}}, None),
    ({"links": {"related": f"/v1/orgs/{ID}"}}, None),
    ({"links": "x"}, None),
    ({}, None),
    ("o1", None),
    (None, None),
]


@pytest.mark.parametrize(("relationship", "identifier"), RELATIONSHIPS)
def test_a_foreign_key_is_named_by_data_or_else_by_a_link(
    relationship: object, identifier: str | None
) -> None:
    sent = {"org": relationship, "messages": {}}
    record = flatten({"id": "a", "relationships": sent})
    assert record == {"id": "a", "type": None, "orgId": identifier, "relationships": sent}
