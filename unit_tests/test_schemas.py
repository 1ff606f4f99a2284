"""What the six schemas promise to whoever reads a catalog or a table."""

import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest

import source_kustomer
from source_kustomer.streams import STREAMS, KustomerStream

Column = dict[str, Any]

SCHEMAS: dict[str, dict[str, Any]] = {
    path.stem: json.loads(path.read_text(encoding="utf-8"))
    for path in (Path(source_kustomer.__file__).parent / "schemas").glob("*.json")
}
COLUMNS = [
    pytest.param(name, column, id=f"{stream}.{name}")
    for stream, schema in sorted(SCHEMAS.items())
    for name, column in schema["properties"].items()
]

OPEN_OBJECT = {"type": ["null", "object"], "additionalProperties": True}
FORMS: list[Column] = [
    {"type": "string"},
    {"type": ["null", "string"]},
    {
        "type": ["null", "string"],
        "format": "date-time",
        "airbyte_type": "timestamp_with_timezone",
    },
    {"type": ["null", "integer"]},
    {"type": ["null", "number"]},
    {"type": ["null", "boolean"]},
    OPEN_OBJECT,
    {"type": ["null", "array"], "items": {"type": ["null", "string"]}},
    {"type": ["null", "array"], "items": OPEN_OBJECT},
    {"type": ["null", "array"]},
]

OWN_COLUMNS = {"relationships", "links", "additionalAttributes", "additionalMembers"}

# What the foreign keys join, where that is one of the six lists.
TARGETS = {
    "customerId": "customers",
    "brandId": "brands",
    "createdById": "users",
    "modifiedById": "users",
    "endedById": "users",
    "pinnedById": "users",
    "deletedById": "users",
    "tags": "tags",
    "assignedUsers": "users",
    "assignedTeams": "teams",
    "members": "users",
}


def name_of(stream: type[KustomerStream]) -> str:
    return stream.__name__.lower()


def test_each_list_has_a_schema_and_no_other() -> None:
    assert {name_of(stream) for stream in STREAMS} == SCHEMAS.keys()


@pytest.mark.parametrize("stream", sorted(SCHEMAS))
def test_a_schema_is_an_open_object_of_draft_7(stream: str) -> None:
    schema = SCHEMAS[stream]
    jsonschema.Draft7Validator.check_schema(schema)
    assert schema["$schema"] == "http://json-schema.org/draft-07/schema#"
    assert schema["type"] == "object"
    assert schema["additionalProperties"] is True
    assert schema.keys() == {"$schema", "type", "additionalProperties", "properties"}


@pytest.mark.parametrize(("name", "column"), COLUMNS)
def test_a_column_has_a_form_that_the_code_knows(name: str, column: Column) -> None:
    form = {key: value for key, value in column.items() if key != "description"}
    assert form in FORMS
    assert (form == {"type": "string"}) == (name == "id")


@pytest.mark.parametrize(("name", "column"), COLUMNS)
def test_a_column_is_described_in_whole_sentences(name: str, column: Column) -> None:
    description = column["description"]
    assert re.fullmatch(r"[A-Z].{15,250}\.", description)
    assert next(iter(column)) == "description"


@pytest.mark.parametrize(("name", "column"), COLUMNS)
def test_a_column_is_a_time_just_if_its_name_says_so(name: str, column: Column) -> None:
    assert (column.get("format") == "date-time") == name.endswith("At")


@pytest.mark.parametrize("stream", STREAMS, ids=name_of)
def test_a_foreign_key_names_what_it_joins(stream: type[KustomerStream]) -> None:
    columns = SCHEMAS[name_of(stream)]["properties"]
    keys = {f"{name}Id" for name in stream.to_one}
    assert keys <= columns.keys()
    for name in keys - {"orgId"} | (TARGETS.keys() & columns.keys()):
        expected = rf"\b[Jj]oins {TARGETS[name]}\.id\b" if name in TARGETS else r"\bJoins the id of"
        assert re.search(expected, columns[name]["description"]), name


@pytest.mark.parametrize(("name", "column"), COLUMNS)
def test_a_join_leads_to_a_column_that_exists(name: str, column: Column) -> None:
    for stream, other in re.findall(r"\b([a-z]+)\.([a-zA-Z]+)\b", column["description"]):
        if stream in SCHEMAS:
            assert other in SCHEMAS[stream]["properties"]


@pytest.mark.parametrize("stream", STREAMS, ids=name_of)
def test_custom_attributes_have_a_column_where_there_are_any(stream: type[KustomerStream]) -> None:
    columns = SCHEMAS[name_of(stream)]["properties"]
    assert ("custom" in columns) == (stream.metadata is not None)
    assert not [name for name in columns if name.startswith("custom_")]


@pytest.mark.parametrize("stream", sorted(SCHEMAS))
def test_what_has_no_column_has_a_place(stream: str) -> None:
    columns = SCHEMAS[stream]["properties"]
    assert columns.keys() >= OWN_COLUMNS
    assert all(OPEN_OBJECT.items() <= columns[name].items() for name in OWN_COLUMNS)


@pytest.mark.parametrize("stream", sorted(SCHEMAS))
def test_a_file_is_written_with_two_blanks_and_a_final_newline(stream: str) -> None:
    path = Path(source_kustomer.__file__).parent / "schemas" / f"{stream}.json"
    written = path.read_text(encoding="utf-8")
    assert written.startswith('{\n  "$schema"')
    assert written.endswith("}\n")
    assert "\t" not in written
