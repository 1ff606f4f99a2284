"""PyAirbyte loads the connector's streams, as process and as image, into two databases."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from integration_tests.conftest import NewSandbox
from integration_tests.databases import (
    DATABASES,
    Database,
    NewDatabase,
    NewSource,
    ids,
    load,
    skip_without_pyairbyte,
    types,
)
from sandbox import LISTS, Sandbox

skip_without_pyairbyte()

if TYPE_CHECKING:
    from airbyte import Source

pytest_plugins = ["integration_tests.database_fixtures", "integration_tests.image_fixtures"]

# PyAirbyte and what it builds upon warn of their own matters.
pytestmark = pytest.mark.filterwarnings("ignore")

IN_IMAGE = [pytest.mark.image_tests, pytest.mark.xdist_group("image")]
IN_PROCESS = pytest.mark.xdist_group("databases")


class Loaded(NamedTuple):
    """A database, and the source and the sandbox that it was loaded from."""

    database: Database
    source: Source
    sandbox: Sandbox


@pytest.fixture(
    scope="module",
    params=[
        *(pytest.param(("process", name), marks=IN_PROCESS, id=name) for name in DATABASES),
        pytest.param(("image", "duckdb"), marks=IN_IMAGE, id="image"),
    ],
)
def loaded(
    request: pytest.FixtureRequest, new_source: NewSource, new_database: NewDatabase
) -> Iterator[Loaded]:
    """All six streams in a database."""
    way, name = request.param
    database = new_database(name)
    with Sandbox(customers=250, conversations=200) as sandbox:
        source = new_source(way, sandbox)
        load(source, database)
        yield Loaded(database, source, sandbox)


@pytest.fixture
def sandbox(new_sandbox: NewSandbox) -> Sandbox:
    """An organization with three pages of customers."""
    return new_sandbox(customers=250, conversations=60)


def listed(sandbox: Sandbox, stream: str) -> list[str]:
    return sorted(resource["id"] for resource in sandbox.lists[stream])


@pytest.mark.parametrize("stream", LISTS)
def test_given_a_sandbox_when_loaded_then_every_record_is_in_the_table_once(
    loaded: Loaded, stream: str
) -> None:
    assert ids(loaded.database, stream) == listed(loaded.sandbox, stream) != []


@pytest.mark.parametrize("stream", LISTS)
def test_given_typed_columns_when_loaded_then_the_database_has_them_with_their_types(
    loaded: Loaded, stream: str
) -> None:
    columns = loaded.source.get_stream_json_schema(stream)["properties"]
    of_pyairbyte = {
        "_airbyte_raw_id": "text",
        "_airbyte_extracted_at": "timestamp",
        "_airbyte_meta": "json",
    }
    expected = {name.lower(): family(column) for name, column in columns.items()} | of_pyairbyte
    assert types(loaded.database, stream) == expected
    assert expected["createdat"] == "timestamp"


def family(column: dict[str, Any]) -> str:
    """Return the family of types that a column of a schema belongs to."""
    if column.get("format") == "date-time":
        return "timestamp"
    kind = column["type"] if isinstance(column["type"], str) else column["type"][1]
    return {"string": "text", "array": "json", "object": "json"}.get(kind, str(kind))


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
@pytest.mark.parametrize("name", DATABASES)
def test_given_values_that_databases_refuse_or_misread_when_loaded_then_they_fit(
    sandbox: Sandbox, name: str, new_database: NewDatabase, new_source: NewSource
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
    database = new_database(name)
    load(new_source("process", sandbox), database, "customers")

    def stored(customer: dict[str, Any], columns: str) -> tuple[Any, ...]:
        (row,) = database.rows(f"SELECT {columns} FROM customers WHERE id = '{customer['id']}'")
        return row

    whole, aside = "custom ->> 'lifetimeValueNum'", "additionalAttributes ->> 'rev'"
    text, moment, number, kept, rev = stored(
        first, f"name, createdAt, custom_lifetimeValueNum, {whole}, {aside}"
    )
    assert (text, moment, number) == ("ab", in_utc("2024-03-01T00:00:00Z"), None)
    assert (float(kept), rev) == (1e29, str(digits))
    assert stored(first, "rev") == (None,)
    columns = f"name, custom_lifetimeValueNum, {whole}, {aside}"
    assert stored(second, columns) == ("00123", None, str(digits), None)
    columns = "custom_notesTxt, custom_zeroStr, tags ->> 0"
    assert stored(third, columns) == ("cd", "", "ef")
    texts = stored(third, "lastConversation ->> 'g', custom ->> 'tree'")
    assert [*map(json.loads, texts)] == [[r"\u0000", "h"], {"i": [{}]}]
    columns = ", ".join(f"custom ->> '{name}'" for name in pairs)
    assert stored(third, columns) == ("1", "2", "b", "c", "d", "e")
    assert stored(third, "custom___num, custom_gr__estr, custom_a_bstr") == (1, "b", "d")
    # One U+0000 in one row would make these fail for the whole table.
    cast = "::jsonb::text" if name == "postgresql" else ""
    json_columns = [name for name, kind in types(database, "customers").items() if kind == "json"]
    every = ", ".join(f"{name}{cast}" for name in json_columns)
    assert len(database.rows(f"SELECT {every} FROM customers")) == sandbox.counts()["customers"]


@pytest.mark.xdist_group("databases")
def test_given_a_stream_that_fails_when_read_again_then_its_table_stays_and_the_others_are_replaced(
    sandbox: Sandbox, new_database: NewDatabase, new_source: NewSource
) -> None:
    from airbyte.exceptions import AirbyteConnectorFailedError

    source, database = new_source("process", sandbox), new_database("duckdb")
    load(source, database)
    before = {stream: ids(database, stream) for stream in LISTS}
    for stream in LISTS:
        sandbox.remove(stream, 1)
    sandbox.insert("tags", 7)
    sandbox.lists["brands"][0]["attributes"]["name"] = "Acme renamed"
    sandbox.touch()
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
    now = {stream: listed(sandbox, stream) for stream in others}
    assert {stream: ids(database, stream) for stream in LISTS} == before | now
    assert ("Acme renamed",) in database.rows("SELECT name FROM brands")
