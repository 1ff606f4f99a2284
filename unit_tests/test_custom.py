"""Custom attributes become typed columns, whatever the metadata and the first page say."""

import logging
from typing import Any

import pytest
from wire import BASE, Reply, Script, Wire, by_path

from source_kustomer.client import PROBE_PATH, Client
from source_kustomer.custom import METADATA_ROLE, custom_columns
from source_kustomer.errors import Failure
from source_kustomer.records import conversion

SAMPLE = f"{BASE}customers?page=1&pageSize=100"

TEXT = {"type": ["null", "string"]}
NUMBER = {"type": ["null", "number"]}
BOOLEAN = {"type": ["null", "boolean"]}
TIME = {
    "type": ["null", "string"],
    "format": "date-time",
    "airbyte_type": "timestamp_with_timezone",
}
OBJECT = {"type": ["null", "object"], "additionalProperties": True}


def many(item: dict[str, Any]) -> dict[str, Any]:
    return {"type": ["null", "array"], "items": item}


def metadata(**properties: object) -> Reply:
    return Reply(body={"data": {"attributes": {"properties": properties}}})


def customers(*customs: object) -> Reply:
    return Reply(body={"data": [{"id": "c", "attributes": {"custom": c}} for c in customs]})


def columns(
    client: Client,
    wire: Wire,
    definitions: Reply | Script,
    sample: Reply | Script | None = None,
    probe: Reply | None = None,
) -> dict[str, Any]:
    wire.script = by_path(
        {
            "metadata/customer": definitions,
            "customers": sample or customers(),
            PROBE_PATH: probe or Reply(body={}),
        }
    )
    return custom_columns(client, "customers", "role.of.the.list", "customer", SAMPLE)


def forms(columns: dict[str, Any]) -> dict[str, Any]:
    return {
        name: {key: value for key, value in column.items() if key != "description"}
        for name, column in columns.items()
    }


@pytest.mark.parametrize(
    ("name", "form"),
    [
        ("tierStr", TEXT),
        ("noteTxt", TEXT),
        ("siteUrl", TEXT),
        ("orderId", TEXT),
        ("reasonTree", TEXT),
        ("valueNum", NUMBER),
        ("renewalAt", TIME),
        ("vipBool", BOOLEAN),
        ("Str", TEXT),
        ("numStr", TEXT),
        ("paid", TEXT),
        ("flat", TEXT),
        ("valuenum", TEXT),
        ("Number", TEXT),
    ],
)
def test_a_column_has_the_type_that_the_end_of_its_name_says(
    client: Client, wire: Wire, name: str, form: dict[str, Any]
) -> None:
    found = columns(client, wire, metadata(**{name: {}}))
    assert forms(found) == {f"custom_{name}": form}


@pytest.mark.parametrize(
    ("definition", "values", "is_many"),
    [
        ({"multi": True}, [], True),
        ({"array": True}, [], True),
        ({"multi": False, "array": False}, [], False),
        ({"multi": "true", "array": 1}, [], False),
        ({"multi": False}, [["a"]], True),
        ({"multi": False}, [[]], True),
        ({}, [["a"], "b"], True),
        ({}, ["a", "b", [], None], False),
        ({}, ["a", "b", ["c"]], False),
        ({}, ["a", None, ["b"]], True),
        ({}, ["a", None], False),
    ],
)
@pytest.mark.parametrize(("name", "form"), [("planStr", TEXT), ("sumNum", NUMBER), ("plan", TEXT)])
def test_a_column_holds_many_where_the_metadata_or_a_value_says_so(
    client: Client,
    wire: Wire,
    *,
    definition: dict[str, Any],
    values: list[object],
    is_many: bool,
    name: str,
    form: dict[str, Any],
) -> None:
    sample = customers(*({name: value} for value in values))
    found = columns(client, wire, metadata(**{name: definition}), sample)
    assert forms(found) == {f"custom_{name}": many(form) if is_many else form}


@pytest.mark.parametrize(
    ("values", "form"),
    [
        ([], TEXT),
        ([None], TEXT),
        (["a"], TEXT),
        ([5], TEXT),
        ([{"street": "x"}], OBJECT),
        ([{"street": "x"}, None, {}], OBJECT),
        ([{"street": "x"}, "a"], TEXT),
        ([[{"street": "x"}, {}]], many(OBJECT)),
        ([[{"street": "x"}, 5]], many(TEXT)),
        ([["a"], {"street": "x"}], many(TEXT)),
        ([[]], many(TEXT)),
    ],
    ids=repr,
)
def test_a_name_that_says_nothing_is_typed_by_its_values(
    client: Client, wire: Wire, values: list[object], form: dict[str, Any]
) -> None:
    sample = customers(*({"address": value} for value in values))
    found = columns(client, wire, metadata(address={}), sample)
    assert forms(found) == {"custom_address": form}


def test_values_do_not_change_a_type_that_the_name_says(client: Client, wire: Wire) -> None:
    sample = customers({"tierStr": {"a": 1}, "sumNum": "x"})
    found = columns(client, wire, metadata(tierStr={}, sumNum={}), sample)
    assert forms(found) == {"custom_tierStr": TEXT, "custom_sumNum": NUMBER}


def test_deleted_and_nameless_attributes_have_no_column(client: Client, wire: Wire) -> None:
    definitions = metadata(
        goneStr={"deletedAt": "2020-01-01T00:00:00Z"},
        keptStr={"deletedAt": None},
        emptyStr={"deletedAt": ""},
        **{"": {}},
    )
    sample = customers({"goneStr": "a", "": "b"})
    assert [*columns(client, wire, definitions, sample)] == ["custom_emptyStr", "custom_keptStr"]


def test_columns_come_in_the_order_of_their_names(client: Client, wire: Wire) -> None:
    found = columns(client, wire, metadata(zStr={}, aStr={}, mNum={}))
    assert [*found] == ["custom_aStr", "custom_mNum", "custom_zStr"]


@pytest.mark.parametrize(
    ("definition", "description"),
    [
        ({"displayName": "Tier"}, "Tier: the custom attribute tierStr of Kustomer."),
        ({"displayName": ""}, "The custom attribute tierStr of Kustomer."),
        ({"displayName": "  "}, "The custom attribute tierStr of Kustomer."),
        ({"displayName": 5}, "The custom attribute tierStr of Kustomer."),
        ({}, "The custom attribute tierStr of Kustomer."),
        (None, "The custom attribute tierStr of Kustomer."),
        ("Tier", "The custom attribute tierStr of Kustomer."),
    ],
)
def test_a_column_is_described_by_its_label(
    client: Client, wire: Wire, definition: object, description: str
) -> None:
    found = columns(client, wire, metadata(tierStr=definition))
    assert found["custom_tierStr"]["description"] == description
    assert next(iter(found["custom_tierStr"])) == "description"


@pytest.mark.parametrize("label", ["{stream}", "%s", 'a"b', "مرحبا"])
def test_a_label_of_any_characters_is_taken_as_it_is(
    client: Client, wire: Wire, label: str
) -> None:
    found = columns(client, wire, metadata(tierStr={"displayName": label}))
    assert found["custom_tierStr"]["description"].startswith(f"{label}: the custom")


CLOSED = {
    "missing role": Reply(403, {"errors": [{"message": "no"}]}),
    "missing role as 401": Reply(401, {"errors": [{"message": "no"}]}),
    "not there": Reply(404, {"errors": [{"message": "no"}]}),
    "rejected": Reply(400, {"errors": [{"message": "no"}]}),
    "null": Reply(body=None),
    "no data": Reply(body={}),
    "a list": Reply(body={"data": []}),
    "no attributes": Reply(body={"data": {"attributes": None}}),
    "no properties": Reply(body={"data": {"attributes": {"properties": []}}}),
}


@pytest.mark.parametrize("closed", CLOSED.values(), ids=CLOSED)
def test_without_metadata_the_first_page_tells_and_the_user_is_warned(
    client: Client, wire: Wire, caplog: pytest.LogCaptureFixture, closed: Reply
) -> None:
    sample = customers({"tierStr": "a"}, {"tierStr": "b", "sumNum": 1}, None, "odd")
    with caplog.at_level(logging.INFO, "airbyte"):
        found = columns(client, wire, closed, sample)
    assert forms(found) == {"custom_tierStr": TEXT, "custom_sumNum": NUMBER}
    (warning,) = [r.getMessage() for r in caplog.records if r.levelname == "WARNING"]
    assert "The custom attributes of customers are those of its first page only" in warning
    assert METADATA_ROLE in warning


def test_with_metadata_nobody_is_warned_and_the_page_adds_no_column(
    client: Client, wire: Wire, caplog: pytest.LogCaptureFixture
) -> None:
    found = columns(client, wire, metadata(), customers({"tierStr": "a"}))
    assert found == {}
    assert not caplog.records


@pytest.mark.parametrize(
    "sample",
    [
        Reply(403, {"errors": []}),
        Reply(404, {"errors": []}),
        Reply(body=None),
        Reply(body={"data": None}),
        Reply(body={"data": [None, {}, {"attributes": None}, {"attributes": {"custom": []}}]}),
    ],
    ids=["missing role", "not there", "null", "no data", "odd resources"],
)
def test_without_a_page_the_metadata_tell(client: Client, wire: Wire, sample: Reply) -> None:
    found = columns(client, wire, metadata(tierStr={}, address={}), sample)
    assert forms(found) == {"custom_tierStr": TEXT, "custom_address": TEXT}


@pytest.mark.parametrize(
    ("definitions", "sample", "cause"),
    [
        (Reply(500), customers(), "server_failure"),
        (Reply(429), customers(), "rate_limit"),
        (metadata(), Reply(500), "server_failure"),
        (metadata(), Reply(400, {"errors": []}), "rejected_request"),
    ],
    ids=["metadata fail", "metadata are limited", "page fails", "page is rejected"],
)
def test_what_is_no_closed_door_ends_discover(
    client: Client, wire: Wire, definitions: Reply, sample: Reply, cause: str
) -> None:
    with pytest.raises(Failure) as raised:
        columns(client, wire, definitions, sample)
    assert raised.value.cause.name == cause


def test_a_key_that_is_refused_ends_discover(client: Client, wire: Wire) -> None:
    refused = Reply(401, {"errors": [{"message": "Expired token"}]})
    with pytest.raises(Failure) as raised:
        columns(client, wire, refused, refused, probe=refused)
    assert raised.value.cause.name == "expired_key"


def test_only_the_metadata_and_one_page_are_asked_for(client: Client, wire: Wire) -> None:
    columns(client, wire, metadata(tierStr={}))
    assert [s.url for s in wire.sent] == [f"{BASE}metadata/customer", SAMPLE]


@pytest.mark.parametrize("name", ["aStr", "aNum", "aAt", "aBool", "a"])
@pytest.mark.parametrize("multi", [True, False])
def test_records_know_how_to_fill_each_column(
    client: Client, wire: Wire, *, name: str, multi: bool
) -> None:
    (column,) = columns(client, wire, metadata(**{name: {"multi": multi}})).values()
    fitting = {"aNum": 5, "aBool": True, "aAt": "2020-01-01T00:00:00Z"}.get(name, "text")
    value = [fitting] if multi else fitting
    assert conversion(column)(value) == value
    assert conversion(column)({}) is None
