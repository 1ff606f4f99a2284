"""PyAirbyte loads the connector's streams, as process and as image, into two databases."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from integration_tests.databases import (
    DATABASES,
    WAYS,
    Database,
    NewDatabase,
    NewSource,
    count,
    ids,
    load,
    skip_without_pyairbyte,
    types,
)
from sandbox import LISTS, Sandbox

skip_without_pyairbyte()

pytest_plugins = ["integration_tests.database_fixtures", "integration_tests.image_fixtures"]

# PyAirbyte and what it builds upon warn of their own matters.
pytestmark = pytest.mark.filterwarnings("ignore")

PROJECT = Path(__file__).parents[1]

CUSTOM_COLUMNS = {
    "customers": {
        "custom_loyaltytierstr": "text",
        "custom_lifetimevaluenum": "number",
        "custom_isvipbool": "boolean",
        "custom_renewalat": "timestamp",
        "custom_websiteurl": "text",
        "custom_crmid": "text",
        "custom_notestxt": "text",
        "custom_regiontree": "text",
        "custom_interestsstr": "json",
        "custom_scoresnum": "json",
        "custom_fridgesize": "text",
    },
    "conversations": {
        "custom_orderidstr": "text",
        "custom_refundnum": "number",
        "custom_escalatedbool": "boolean",
        "custom_topictree": "text",
    },
    "users": {"custom_shiftstr": "text", "custom_senioritynum": "number"},
}


class Loaded(NamedTuple):
    """A database, and the sandbox that it was loaded from."""

    database: Database
    sandbox: Sandbox


@pytest.fixture(scope="module", params=WAYS)
def way(request: pytest.FixtureRequest) -> str:
    """How PyAirbyte starts the connector."""
    return str(request.param)


@pytest.fixture(scope="module", params=DATABASES)
def loaded(
    request: pytest.FixtureRequest, way: str, new_source: NewSource, new_database: NewDatabase
) -> Iterator[Loaded]:
    """All six streams in a database."""
    database = new_database(request.param)
    with Sandbox(customers=250, conversations=200) as sandbox:
        load(new_source(way, sandbox), database)
        yield Loaded(database, sandbox)


@pytest.fixture(params=DATABASES)
def database(request: pytest.FixtureRequest, new_database: NewDatabase) -> Database:
    """An empty database."""
    return new_database(request.param)


def listed(sandbox: Sandbox, stream: str) -> list[str]:
    return sorted(resource["id"] for resource in sandbox.lists[stream])


@pytest.mark.parametrize("stream", LISTS)
def test_given_a_sandbox_when_loaded_then_every_record_is_in_the_table_once(
    loaded: Loaded, stream: str
) -> None:
    assert count(loaded.database, stream) == loaded.sandbox.counts()[stream] > 0
    assert ids(loaded.database, stream) == listed(loaded.sandbox, stream)


@pytest.mark.parametrize("stream", LISTS)
def test_given_typed_columns_when_loaded_then_the_database_has_them_with_their_types(
    loaded: Loaded, stream: str
) -> None:
    schema = json.loads((PROJECT / f"source_kustomer/schemas/{stream}.json").read_text())
    declared = {name.lower(): family(column) for name, column in schema["properties"].items()}
    of_pyairbyte = {
        "_airbyte_raw_id": "text",
        "_airbyte_extracted_at": "timestamp",
        "_airbyte_meta": "json",
    }
    expected = {**declared, **CUSTOM_COLUMNS.get(stream, {}), **of_pyairbyte}
    assert types(loaded.database, stream) == expected
    assert expected["createdat"] == "timestamp"


def family(column: dict[str, Any]) -> str:
    """Return the family of types that a column of a schema belongs to."""
    kinds = [column["type"]] if isinstance(column["type"], str) else column["type"]
    (kind,) = [kind for kind in kinds if kind != "null"]
    if column.get("format") == "date-time":
        return "timestamp"
    return {"string": "text", "array": "json", "object": "json"}.get(kind, kind)


def test_given_values_of_each_type_when_loaded_then_they_are_the_same_in_the_database(
    loaded: Loaded,
) -> None:
    found = loaded.database.rows(
        "SELECT id, name, createdAt, rev, verified, custom_renewalAt, custom_lifetimeValueNum, "
        "custom_isVipBool, custom_interestsStr ->> 1 FROM customers"
    )
    assert sorted(found) == sorted(map(values, loaded.sandbox.lists["customers"]))


def values(customer: dict[str, Any]) -> tuple[Any, ...]:
    attributes, custom = customer["attributes"], customer["attributes"]["custom"]
    worth = Decimal(str(custom["lifetimeValueNum"])).quantize(Decimal("1e-9"))
    return (
        customer["id"],
        attributes["name"],
        in_utc(attributes["createdAt"]),
        attributes["rev"],
        attributes["verified"],
        in_utc(custom["renewalAt"]),
        worth,
        custom["isVipBool"],
        custom.get("interestsStr", [None, None])[1],
    )


def in_utc(moment: str | None) -> datetime | None:
    return datetime.fromisoformat(moment.removesuffix("Z")) if moment else None


@pytest.mark.xdist_group("databases")
def test_given_values_that_databases_refuse_or_misread_when_loaded_then_they_fit(
    sandbox: Sandbox, database: Database, new_source: NewSource
) -> None:
    digits = 12345678901234567890123
    # The first of two, in the order of names, has the column that both would become.
    pairs = {
        "割合Num": 1,
        "税率Num": 2,
        "gr__eStr": "b",
        "größeStr": "c",
        "a.bStr": "d",
        "a_bStr": "e",
    }
    sandbox.metadata["customer"] |= {"zero\0Str": {"displayName": "Ze\0ro"}, "lifetimeValueNum": {}}
    sandbox.metadata["customer"] |= dict.fromkeys(pairs)
    first, second, third = sandbox.lists["customers"][:3]
    first["attributes"] |= {"name": "a\0b", "rev": digits, "createdAt": "2024-03-01t05:30:00+05:30"}
    first["attributes"]["custom"]["lifetimeValueNum"] = 1e29
    second["attributes"]["name"] = "00123"
    second["attributes"]["custom"]["lifetimeValueNum"] = digits
    third["attributes"] |= {"tags": ["e\0f"], "lastConversation": {"g\0": [r"\u0000", "h\0"]}}
    third["attributes"]["custom"] |= {"notesTxt": "c\0d", "zero\0Str": "\0", "tree": {"i\0": [{}]}}
    third["attributes"]["custom"] |= pairs
    sandbox.touch()
    load(new_source("process", sandbox), database, "customers")
    rows = "SELECT name, rev, createdAt, custom_lifetimeValueNum, custom_notesTxt FROM customers "
    (row,) = database.rows(f"{rows} WHERE id = '{first['id']}'")
    assert row[:4] == ("ab", None, in_utc("2024-03-01T00:00:00Z"), None)
    (row,) = database.rows(f"{rows} WHERE id = '{second['id']}'")
    assert (row[0], row[3]) == ("00123", None)
    (row,) = database.rows(f"{rows} WHERE id = '{third['id']}'")
    assert row[4] == "cd"
    kept = "SELECT custom ->> 'lifetimeValueNum', additionalAttributes ->> 'rev' FROM customers "
    (row,) = database.rows(f"{kept} WHERE id = '{first['id']}'")
    assert (float(row[0]), row[1]) == (1e29, str(digits))
    (row,) = database.rows(f"{kept} WHERE id = '{second['id']}'")
    assert row == (str(digits), None)
    # One U+0000 in one row would make these fail for the whole table.
    cast = "::jsonb::text" if database.schema != "main" else ""
    json_columns = [name for name, kind in types(database, "customers").items() if kind == "json"]
    every = ", ".join(f"{name}{cast}" for name in json_columns)
    assert len(database.rows(f"SELECT {every} FROM customers")) == count(database, "customers")
    texts = "tags ->> 0, lastConversation ->> 'g', custom_zeroStr, custom ->> 'tree'"
    (row,) = database.rows(f"SELECT {texts} FROM customers WHERE id = '{third['id']}'")
    assert (row[0], json.loads(row[1]), row[2]) == ("ef", [r"\u0000", "h"], "")
    assert json.loads(row[3]) == {"i": [{}]}
    whole = ", ".join(f"custom ->> '{name}'" for name in pairs)
    stored = f"custom___num, custom_gr__estr, custom_a_bstr, {whole}"
    (row,) = database.rows(f"SELECT {stored} FROM customers WHERE id = '{third['id']}'")
    assert row == (1, "b", "d", "1", "2", "b", "c", "d", "e")


@pytest.mark.xdist_group("databases")
def test_given_changes_at_kustomer_when_read_again_then_the_second_read_replaces_the_first(
    sandbox: Sandbox, database: Database, new_source: NewSource
) -> None:
    source = new_source("process", sandbox)
    load(source, database)
    first = {stream: ids(database, stream) for stream in LISTS}
    sandbox.remove("customers", 60, at=30)
    sandbox.remove("tags", 5)
    sandbox.insert("tags", 7)
    sandbox.lists["brands"][0]["attributes"]["name"] = "Acme renamed"
    sandbox.touch()
    load(source, database)
    second = {stream: ids(database, stream) for stream in LISTS}
    assert second == {stream: listed(sandbox, stream) for stream in LISTS}
    assert len(second["customers"]) == len(first["customers"]) - 60
    assert len(set(second["tags"]) - set(first["tags"])) == 7
    assert ("Acme renamed",) in database.rows("SELECT name FROM brands")


@pytest.mark.xdist_group("databases")
def test_given_a_stream_that_fails_when_read_again_then_its_old_table_stays_whole(
    sandbox: Sandbox, database: Database, new_source: NewSource
) -> None:
    from airbyte.exceptions import AirbyteConnectorFailedError

    source = new_source("process", sandbox)
    load(source, database)
    before = {stream: ids(database, stream) for stream in LISTS}
    for stream in LISTS:
        sandbox.remove(stream, 1)
    sandbox.before(
        lambda r: (
            sandbox.error(451, "unavailable", "No")
            if r.path.endswith("customers") and r.page == 3
            else None
        )
    )
    with pytest.raises(AirbyteConnectorFailedError):
        load(source, database)
    # It writes tables at the end of a read that succeeded, so the others are the old ones too.
    assert {stream: ids(database, stream) for stream in LISTS} == before
    others = [stream for stream in LISTS if stream != "customers"]
    load(source, database, *others)
    assert ids(database, "customers") == before["customers"]
    assert {stream: ids(database, stream) for stream in others} == {
        stream: listed(sandbox, stream) for stream in others
    }
