"""Resources of every shape become records that fit the schema and lose nothing."""

import json
from datetime import datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft7Validator, FormatChecker

from source_kustomer.api.decode import decode
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
# What databases take is narrower than the columns' types.
TAKEN = {
    **COLUMNS,
    **{name: {**TEXT, "pattern": r"^[^\0]*$"} for name, c in COLUMNS.items() if c == TEXT},
    **{name: {**TIME, "pattern": r"T.*Z$"} for name, c in COLUMNS.items() if c == TIME},
    "rev": {**INTEGER, "minimum": -(2**63), "maximum": 2**63 - 1},
}
SCHEMA = Draft7Validator(
    {"type": "object", "properties": TAKEN, "additionalProperties": False},
    format_checker=FormatChecker(),
)
flatten = Flattener(COLUMNS, ("org", "customer"))

ODD = ["true", "5", "1.5", "2016-11-09T04:23:01.925Z", "2016-11-09t09:53:01.5+05:30", "", "a\0b"]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False)
    | st.text(max_size=8) | st.sampled_from([*ODD, 1e29, -1e29, "9" * 30]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3)
    ),
    max_leaves=8,
)  # fmt: skip
NAMES = st.sampled_from([*COLUMNS, "unknown", "tierStr", "meta"])
CUSTOM = st.dictionaries(st.sampled_from(["tierStr", "valueNum", "renewalAt", "vipBool"]), JSON)
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
        | st.tuples(ATTRIBUTES, CUSTOM).map(lambda both: {**both[0], "custom": both[1]}),
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


def says_the_same(column: str, converted: Any, value: Any) -> bool:
    """Whether a converted value says what was sent."""
    if converted == value:
        return True
    if COLUMNS[column] == TIME:
        return moment(converted) == moment(value)
    if isinstance(value, list):
        pairs = zip(converted, value, strict=True)
        return all(new == old or says_the_same("name", new, old) for new, old in pairs)
    if isinstance(value, str) and COLUMNS[column] == TEXT:
        return bool(converted == value.replace("\0", ""))
    if isinstance(converted, bool) or isinstance(value, bool):
        return str(converted).lower() == str(value).lower()
    return str(converted) == str(value) or float(converted) == float(value)


@settings(deadline=None)
@given(RESOURCES)
def test_every_record_fits_the_schema_and_what_databases_take(resource: dict[str, Any]) -> None:
    SCHEMA.validate(flatten(resource))


@settings(deadline=None)
@given(RESOURCES)
def test_nothing_that_was_sent_is_dropped(resource: dict[str, Any]) -> None:
    record = flatten(resource)
    aside = record.get("additionalAttributes", {})
    attributes = resource.get("attributes")
    own = {"id", "type", "relationships", "links", "orgId", "customerId"}
    own |= {"additionalAttributes", "additionalMembers"}
    own |= {name for name in COLUMNS if name.startswith("custom_")}
    for name, value in attributes.items() if isinstance(attributes, dict) else ():
        if name in aside:
            assert aside[name] == value
            assert name in own or name not in COLUMNS or record[name] is None
        else:
            assert name not in own
            assert says_the_same(name, record[name], value), name
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


CONVERTED: list[tuple[Any, object, object]] = [
    (TEXT, "a", "a"),
    (TEXT, 5, "5"),
    (TEXT, True, "true"),
    (TEXT, False, "false"),
    (TEXT, 1.5, "1.5"),
    (TEXT, [], None),
    (TEXT, {}, None),
    (TEXT, "a\0b\0", "ab"),
    (TIME, "2016-11-09T04:23:01.925Z", "2016-11-09T04:23:01.925Z"),
    (TIME, "2016-11-09T04:23:01Z", "2016-11-09T04:23:01Z"),
    (TIME, "2016-11-09T04:23:01.123456789Z", "2016-11-09T04:23:01.123456789Z"),
    (TIME, "2016-02-29T23:59:59.999Z", "2016-02-29T23:59:59.999Z"),
    # Times elsewhere and in lower case are written in UTC, and as precisely as they came.
    (TIME, "2016-11-09t04:23:01.9z", "2016-11-09T04:23:01.900Z"),
    (TIME, "2016-11-09T04:23:01z", "2016-11-09T04:23:01Z"),
    (TIME, "2016-11-09t04:23:01Z", "2016-11-09T04:23:01Z"),
    (TIME, "2016-11-09T04:23:01+00:00", "2016-11-09T04:23:01Z"),
    (TIME, "2016-11-09T04:23:01-00:00", "2016-11-09T04:23:01Z"),
    (TIME, "2016-11-09T04:23:01+05:30", "2016-11-08T22:53:01Z"),
    (TIME, "2016-11-09T04:23:01.925+02:00", "2016-11-09T02:23:01.925Z"),
    (TIME, "2016-11-09T04:23:01.9251+02:00", "2016-11-09T02:23:01.925100Z"),
    (TIME, "2016-11-09T04:23:01.1234567-02:00", "2016-11-09T06:23:01.123456Z"),
    (TIME, "2016-11-09T04:23:01-23:59", "2016-11-10T04:22:01Z"),
    (TIME, "0001-01-01T00:00:00+05:00", None),
    (TIME, "9999-12-31T23:59:59-05:00", None),
    (TIME, "2016-11-09 04:23:01+02:00", None),
    (TIME, "2015-02-29T23:59:59.999Z", None),
    (TIME, "2016-11-09T04:23:60.000Z", None),
    (TIME, "2016-11-09T24:00:00Z", None),
    (TIME, "2016-11-09T04:23:01.925", None),
    (TIME, "2016-11-09T04:23:01.925X", None),
    (TIME, "2016-11-09 04:23:01.925Z", None),
    (TIME, "2016-11-09T04:23:01,925Z", None),
    (TIME, "2016-W45-3T04:23:01.925Z", None),
    (TIME, "2016-065T04:23:01.925Z", None),
    (TIME, "2016-11-09T04:23:01.925Z\0", None),
    (TIME, "2016-11-09T04:23:01+02:60", None),
    (TIME, "2016-11-09T042301.92500Z", None),
    (TIME, "2016-11-09T042301+01:00Z", None),
    (TIME, "2016-11-09T04:23:01.Z", None),
    (TIME, "2016-11-09T04:23:01+24:00", None),
    (TIME, "٢٠١٦-11-09T04:23:01.925Z", None),
    (TIME, "2016-13-09T04:23:01.925Z", None),
    (TIME, "2016-11-09", None),
    (TIME, "yesterday", None),
    (TIME, "", None),
    (TIME, 1478665381925, None),
    (TIME, {}, None),
    (INTEGER, 5, 5),
    (INTEGER, "5", 5),
    (INTEGER, 5.0, 5),
    (INTEGER, 5.5, None),
    (INTEGER, 2**63, None),
    (INTEGER, 2**63 - 1, 2**63 - 1),
    (INTEGER, -(2**63) + 1, -(2**63) + 1),
    (INTEGER, -(2**63), None),
    (INTEGER, 2.0**62, 2**62),
    (INTEGER, 2.0**63, None),
    (INTEGER, "-5", -5),
    (INTEGER, "9" * 18, int("9" * 18)),
    (INTEGER, "9" * 19, None),
    (INTEGER, "5.0", None),
    (INTEGER, " 5", None),
    (INTEGER, "٥", None),
    (INTEGER, [], None),
    (INTEGER, float("inf"), None),
    (INTEGER, True, None),
    (NUMBER, 4.5, 4.5),
    (NUMBER, "4.5", 4.5),
    (NUMBER, "good", None),
    (NUMBER, 5, 5),
    (NUMBER, "-4.5", -4.5),
    (NUMBER, "5", 5.0),
    (NUMBER, "1e5", None),
    (NUMBER, "5.", None),
    (NUMBER, "nan", None),
    (NUMBER, True, None),
    (NUMBER, [], None),
    (NUMBER, 1e29, None),
    (NUMBER, -1e29, None),
    (NUMBER, 9.9e28, 9.9e28),
    (NUMBER, -9.9e28, -9.9e28),
    (NUMBER, float("inf"), None),
    (NUMBER, "1" + 29 * "0", None),
    (NUMBER, "9" * 29, None),
    (NUMBER, "9" * 18, 1e18),
    # A float would lose digits of it.
    (NUMBER, "1" + 18 * "0", None),
    (NUMBER, f"0.{'1' * 40}", 1 / 9),
    (NUMBER, f"0.{'1' * 41}", None),
    (NUMBER, "1e400", None),
    (BOOLEAN, "true", True),
    (BOOLEAN, "False", False),
    (BOOLEAN, 1, None),
    (BOOLEAN, True, True),
    (BOOLEAN, "yes", None),
    (OBJECT, {}, {}),
    (OBJECT, {"a": "b\0"}, {"a": "b\0"}),
    (OBJECT, [], None),
    (TEXTS, ["a", None, 5], ["a", None, "5"]),
    (TEXTS, ["a", {}], None),
    (TEXTS, "a", None),
    (TEXTS, [], []),
    (TEXTS, [None], [None]),
    (TEXTS, ["a", "b\0"], ["a", "b\0"]),
    (TEXTS, {}, None),
    (OBJECTS, [{}, None], [{}, None]),
    (OBJECTS, [{}, "a"], None),
    ({"type": "array", "items": TIME}, ["2016-11-09"], None),
    ({"type": "array", "items": {}}, [1, {}], [1, {}]),
    ({"type": "array", "items": True}, [1, {}], [1, {}]),
    (ARRAY, [1, {}], [1, {}]),
    (ARRAY, "a", None),
    ({"type": "integer"}, "5", 5),
    ({"type": ["string", "integer"]}, 5, 5),
    ({"type": ["null"]}, 5, 5),
    ({"type": "unheard-of"}, 5, 5),
    ({"type": "integer", "format": "date-time"}, "5", 5),
    ({}, {"any": 1}, {"any": 1}),
    (True, {"any": 1}, {"any": 1}),
]


def test_a_value_is_converted_where_nothing_is_lost() -> None:
    got = [(column, value, conversion(column)(value)) for column, value, _ in CONVERTED]
    assert [*map(repr, got)] == [*map(repr, CONVERTED)]


@pytest.mark.parametrize(
    ("sent", "aside"),
    [
        ("9223372036854775808", "9223372036854775808"),
        ("-123456789012345678901234567890", "-123456789012345678901234567890"),
        ("7" * 4_400, "7" * 4_400),
        ("1.5", 1.5),
    ],
    ids=["65 bits", "30 digits", "4,400 digits", "a fraction"],
)
def test_a_number_that_no_whole_number_column_holds_is_kept_with_all_its_digits(
    sent: str, aside: object
) -> None:
    record = flatten(decode(f'{{"id": "a", "attributes": {{"rev": {sent}}}}}'.encode()))
    assert record["rev"] is None
    assert record["additionalAttributes"] == {"rev": aside}


@pytest.mark.parametrize("sent", ["1e29", "-1e29", "1" + 29 * "0", "12e400", "1" * 400])
def test_a_number_that_no_numeric_column_holds_is_kept_where_it_was_sent(sent: str) -> None:
    attributes = f'{{"satisfaction": {sent}, "custom": {{"valueNum": {sent}}}}}'
    record = flatten(decode(f'{{"id": "a", "attributes": {attributes}}}'.encode()))
    assert record["satisfaction"] is record["custom_valueNum"] is None
    kept = record["additionalAttributes"]["satisfaction"]
    assert kept == record["custom"]["valueNum"]
    assert kept in {sent, float(sent)}
    assert isinstance(kept, str) or "e" in sent


def test_a_zero_character_stays_in_json_and_in_no_text() -> None:
    resource = {
        "id": "i\0d",
        "type": "t\0ag",
        "attributes": {"name": "n\0", "other": "\0", "custom": {"tierStr": "g\0old"}},
        "relationships": {"org": {"data": {"id": "o\0"}}},
    }
    record = flatten(resource)
    texts = (record["id"], record["type"], record["name"], record["orgId"])
    assert (*texts, record["custom_tierStr"]) == ("id", "tag", "n", "o", "gold")
    assert record["additionalAttributes"] == {"other": "\0"}
    assert record["custom"] == {"tierStr": "g\0old"}


@pytest.mark.parametrize(
    ("resource", "record"),
    [
        ({"id": "a"}, {"id": "a", "type": None}),
        ({"id": 5, "type": "tag"}, {"id": "5", "type": "tag"}),
        ({"id": "a", "type": 5}, {"id": "a", "type": "5"}),
        (
            {
                "id": "a",
                "type": None,
                "attributes": None,
                "relationships": None,
                "links": None,
            },
            {"id": "a", "type": None},
        ),
        (
            {"id": "a", "type": {"b": 1}, "attributes": "c", "relationships": [], "links": "d"},
            {
                "id": "a",
                "type": None,
                "additionalMembers": {
                    "type": {"b": 1},
                    "attributes": "c",
                    "relationships": [],
                    "links": "d",
                },
            },
        ),
        ({"id": "a", "meta": None}, {"id": "a", "type": None, "additionalMembers": {"meta": None}}),
        (
            {"id": "a", "attributes": {"name": None, "rev": None, "unknown": None}},
            {
                "id": "a",
                "type": None,
                "name": None,
                "rev": None,
                "additionalAttributes": {"unknown": None},
            },
        ),
        (
            {"id": "a", "attributes": {"name": "n", "rev": "5", "deleted": "x"}},
            {
                "id": "a",
                "type": None,
                "name": "n",
                "rev": 5,
                "deleted": None,
                "additionalAttributes": {"deleted": "x"},
            },
        ),
        (
            {"id": "a", "attributes": {"id": "b", "type": "c", "orgId": "d", "links": {}}},
            {
                "id": "a",
                "type": None,
                "additionalAttributes": {"id": "b", "type": "c", "orgId": "d", "links": {}},
            },
        ),
        (
            {"id": "a", "attributes": {"additionalMembers": {}, "additionalAttributes": {"b": 1}}},
            {
                "id": "a",
                "type": None,
                "additionalAttributes": {
                    "additionalMembers": {},
                    "additionalAttributes": {"b": 1},
                },
            },
        ),
        ({"id": "a", "attributes": {}}, {"id": "a", "type": None}),
        (
            {"id": "a", "relationships": {}, "links": {}},
            {"id": "a", "type": None, "relationships": {}, "links": {}},
        ),
    ],
    ids=lambda value: json.dumps(value)[:60],
)
def test_a_record_is_just_what_was_sent(resource: dict[str, Any], record: dict[str, Any]) -> None:
    assert flatten(resource) == record


FOREIGN_KEYS: list[tuple[object, str | None]] = [
    ({"data": {"type": "org", "id": "o1"}}, "o1"),
    ({"data": {"type": "org", "id": 5}}, "5"),
    ({"data": {"type": "org"}}, None),
    ({"data": None}, None),
    ({"data": None, "links": {"self": "/v1/orgs/o1"}}, None),
    ({"data": []}, None),
    ({"data": [], "links": {"self": "/v1/orgs/o1"}}, None),
    ({"links": {"self": "/v1/orgs/o1"}}, "o1"),
    ({"links": {"self": "https://acme.api.kustomerapp.com/v1/orgs/o1"}}, "o1"),
    ({"links": {"self": "http://127.0.0.1:8080/v1/orgs/o1"}}, "o1"),
    ({"links": {"self": "/v1/orgs/o1/x"}}, None),
    ({"links": {"self": "/v1/orgs/o1?x"}}, None),
    ({"links": {"self": "/v1/orgs/o1#x"}}, None),
    ({"links": {"self": "/v1/orgs"}}, None),
    ({"links": {"self": "ftp://a.example/v1/orgs/o1"}}, None),
    ({"links": {"self": "https://a.example/x/v1/orgs/o1"}}, None),
    ({"links": {"self": "https:///v1/orgs/o1"}}, None),
    ({"links": {"self": 5}}, None),
    ({"links": {"related": "/v1/orgs/o1"}}, None),
    ({"links": "x"}, None),
    ({}, None),
    ("o1", None),
    (None, None),
]


def test_a_foreign_key_is_named_by_data_or_else_by_a_link() -> None:
    got = []
    for relationship, _ in FOREIGN_KEYS:
        record = flatten({"id": "a", "relationships": {"org": relationship, "messages": {}}})
        assert "customerId" not in record
        assert "messagesId" not in record
        got.append((relationship, record["orgId"]))
    assert got == FOREIGN_KEYS


def test_values_of_one_column_are_each_converted_on_their_own() -> None:
    names = ("good", 5, None, "x", "5", 2.0)
    made = [flatten({"id": "a", "attributes": {"rev": name}}) for name in names * 2]
    assert [record["rev"] for record in made] == [None, 5, None, None, 5, 2] * 2
    aside = [record.get("additionalAttributes") for record in made]
    assert aside == [{"rev": "good"}, None, None, {"rev": "x"}, None, None] * 2


def test_what_was_sent_is_left_as_it_was() -> None:
    resource = {"id": "a", "attributes": {"rev": "5", "unknown": 1, "tags": [5]}, "meta": 1}
    before = json.dumps(resource)
    flatten(resource)
    assert json.dumps(resource) == before


def test_a_custom_attribute_that_does_not_fit_its_column_is_in_the_object() -> None:
    custom = {"tierStr": None, "valueNum": "7.5", "vipBool": "maybe"}
    record = flatten({"id": "a", "attributes": {"custom": custom}})
    assert record["custom"] == custom
    assert record["custom_tierStr"] is None
    assert record["custom_valueNum"] == 7.5
    assert record["custom_vipBool"] is None
    assert "custom_renewalAt" not in record
    assert "additionalAttributes" not in record


def test_a_custom_that_is_no_object_is_kept_aside() -> None:
    record = flatten({"id": "a", "attributes": {"custom": "x"}})
    assert record["custom"] is None
    assert record["additionalAttributes"] == {"custom": "x"}


def test_an_attribute_that_is_named_like_a_custom_column_is_kept_aside() -> None:
    record = flatten({"id": "a", "attributes": {"custom_tierStr": "x"}})
    assert "custom_tierStr" not in record
    assert record["additionalAttributes"] == {"custom_tierStr": "x"}


def test_a_list_without_custom_columns_keeps_its_custom_object() -> None:
    plain = Flattener({"custom": OBJECT}, ())
    record = plain({"id": "a", "attributes": {"custom": {"tierStr": "x"}}})
    assert record == {"id": "a", "type": None, "custom": {"tierStr": "x"}}


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
