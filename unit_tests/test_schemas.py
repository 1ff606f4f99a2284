"""What the six schemas promise to whoever reads a catalog or a table."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest

import source_kustomer
from source_kustomer.stream import KustomerStream
from source_kustomer.streams import STREAMS

Column = dict[str, Any]

PATHS = sorted((Path(source_kustomer.__file__).parent / "schemas").glob("*.json"))
SCHEMAS: dict[str, dict[str, Any]] = {
    path.stem: json.loads(path.read_text(encoding="utf-8")) for path in PATHS
}
COLUMNS: dict[str, Column] = {
    f"{stream}.{name}": column
    for stream, schema in SCHEMAS.items()
    for name, column in schema["properties"].items()
}

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
    "tags": "tags",
    "assignedTeams": "teams",
    **dict.fromkeys(("createdById", "modifiedById", "deletedById", "endedById"), "users"),
    **dict.fromkeys(("pinnedById", "assignedUsers", "members"), "users"),
}


def name_of(stream: type[KustomerStream]) -> str:
    return stream.__name__.lower()


def form(column: Column) -> Column:
    return {key: value for key, value in column.items() if key != "description"}


def test_each_list_has_a_schema_and_no_other() -> None:
    assert {name_of(stream) for stream in STREAMS} == SCHEMAS.keys()


@pytest.mark.parametrize("stream", SCHEMAS)
def test_a_schema_is_an_open_object_of_draft_7_with_a_place_for_what_has_no_column(
    stream: str,
) -> None:
    jsonschema.Draft7Validator.check_schema(SCHEMAS[stream])
    schema = {**SCHEMAS[stream]}
    columns = schema.pop("properties")
    assert schema == {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "type": "object",
        "additionalProperties": True,
    }
    own = {name: form(columns[name]) for name in OWN_COLUMNS & columns.keys()}
    assert own == dict.fromkeys(OWN_COLUMNS, OPEN_OBJECT)


RULES: dict[str, Callable[[str, Column], bool]] = {
    "form that the code knows": lambda _, column: form(column) in FORMS,
    "null, unless it is the id": lambda name, c: (c["type"] == "string") == (name == "id"),
    "description first": lambda _, column: next(iter(column)) == "description",
    "whole sentences": lambda _, c: bool(re.fullmatch(r"[A-Z].{15,250}\.", c["description"])),
    "time just if its name says so": lambda n, c: ("format" in c) == n.endswith("At"),
    "no name of custom attributes": lambda name, _: not name.startswith("custom_"),
}


@pytest.mark.parametrize("is_kept", RULES.values(), ids=RULES)
def test_every_column_keeps_to_the_rule(is_kept: Callable[[str, Column], bool]) -> None:
    assert len(COLUMNS) > len(SCHEMAS)
    assert [c for c in COLUMNS if not is_kept(c.partition(".")[2], COLUMNS[c])] == []


def test_a_join_leads_to_a_column_that_exists() -> None:
    named = [
        (it, f"{stream}.{other}")
        for it, column in COLUMNS.items()
        for stream, other in re.findall(r"\b([a-z]+)\.([a-zA-Z]+)\b", column["description"])
        if stream in SCHEMAS
    ]
    assert len(named) > len(TARGETS)
    assert [pair for pair in named if pair[1] not in COLUMNS] == []


def test_a_foreign_key_names_what_it_joins() -> None:
    for stream in STREAMS:
        columns = SCHEMAS[name_of(stream)]["properties"]
        keys = {f"{name}Id" for name in stream.to_one}
        assert keys <= columns.keys()
        for name in keys - {"orgId"} | (TARGETS.keys() & columns.keys()):
            target = TARGETS.get(name)
            expected = rf"\b[Jj]oins {target}\.id\b" if target else r"\bJoins the id of"
            assert re.search(expected, columns[name]["description"]), f"{stream.__name__}.{name}"


def test_custom_attributes_have_a_column_where_there_are_any() -> None:
    with_custom = {it.partition(".")[0] for it in COLUMNS if it.endswith(".custom")}
    assert with_custom == {name_of(stream) for stream in STREAMS if stream.metadata}
