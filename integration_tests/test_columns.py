"""Custom attributes as columns: what discover declares, and what read puts there."""

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft7Validator, FormatChecker

from integration_tests.conftest import NewSandbox
from integration_tests.connector import Connector, Result
from sandbox import EVERY_ROLE, LISTS, Sandbox

Column = dict[str, Any]

METADATA_ROLE = "org.permission.metadata.read"
WITHOUT_METADATA = tuple(role for role in EVERY_ROLE if role != METADATA_ROLE)

TEXT: Column = {"type": ["null", "string"]}
NUMBER: Column = {"type": ["null", "number"]}
OBJECT: Column = {"type": ["null", "object"], "additionalProperties": True}


@pytest.fixture
def sandbox(new_sandbox: NewSandbox) -> Sandbox:
    """A small organization, whose customers fill two pages."""
    return new_sandbox(customers=150, conversations=60)


def catalog_of(result: Result) -> dict[str, Any]:
    assert result.code == 0, result.errors
    (catalog,) = result.of_type("CATALOG")
    assert isinstance(catalog, dict)
    return catalog


def schema_of(catalog: dict[str, Any], name: str) -> dict[str, Any]:
    (schema,) = (s["json_schema"] for s in catalog["streams"] if s["name"] == name)
    assert isinstance(schema, dict)
    return schema


def columns_of(catalog: dict[str, Any], name: str) -> dict[str, Column]:
    """The columns of custom attributes."""
    properties = schema_of(catalog, name)["properties"]
    return {n: column for n, column in properties.items() if n.startswith("custom_")}


def types_of(catalog: dict[str, Any], name: str) -> dict[str, Column]:
    """The columns of custom attributes without their descriptions."""
    return {
        n: {key: value for key, value in column.items() if key != "description"}
        for n, column in columns_of(catalog, name).items()
    }


def read(connector: Connector, catalog: dict[str, Any], *streams: str) -> Result:
    """Read streams, whose records fit the discovered schema, which may have no column more."""
    path = connector.configured(catalog, *streams)
    result = connector.run("read", "--config", connector.config, "--catalog", path)
    assert result.code == 0, result.errors
    for name in streams:
        schema = {**schema_of(catalog, name), "additionalProperties": False}
        validator = Draft7Validator(schema, format_checker=FormatChecker())
        assert result.records(name)
        for record in result.records(name):
            validator.validate(record)
    return result


def custom(sandbox: Sandbox, number: int) -> dict[str, Any]:
    """The custom attributes of a customer, to be changed."""
    found = sandbox.lists["customers"][number]["attributes"]["custom"]
    assert isinstance(found, dict)
    return found


def warnings(result: Result) -> list[str]:
    return [log["message"] for log in result.of_type("LOG") if log["level"] == "WARN"]


def test_discover_types_attributes_by_name_and_metadata_and_read_asks_for_nothing_but_pages(
    connector: Connector, sandbox: Sandbox
) -> None:
    sandbox.metadata["customer"] = {
        "größeNum": {"displayName": "Grö\0ße 📏"},
        "zero\0Str": {},
        "visitsLog": {"type": "object"},
        "oldOneNum": {"deletedAt": "2020-01-01T00:00:00.000Z"},
    }
    custom(sandbox, 3).update({"größeNum": 4.5, "zero\0Str": "a\0b", "visitsLog": {"c\0": ["d\0"]}})
    sandbox.touch()
    discovered = connector.discover()
    catalog = catalog_of(discovered)
    expected = {"custom_größeNum": NUMBER, "custom_visitsLog": OBJECT, "custom_zeroStr": TEXT}
    assert types_of(catalog, "customers") == expected
    described = columns_of(catalog, "customers")["custom_größeNum"]["description"]
    assert described.startswith("Größe 📏: ")
    assert columns_of(catalog, "users")
    assert not [n for name in ("teams", "tags", "brands") for n in columns_of(catalog, name)]
    sandbox.requests.clear()
    result = read(connector, catalog, *LISTS)
    assert {request.path for request in sandbox.requests} == {f"/v1/{name}" for name in LISTS}
    record = result.records("customers")[3]
    assert record["custom_größeNum"] == 4.5
    assert record["custom_zeroStr"] == record["custom"]["zeroStr"] == "ab"
    assert record["custom_visitsLog"] == record["custom"]["visitsLog"] == {"c": ["d"]}
    assert r"\u0000" not in discovered.stdout + result.stdout


def test_of_attributes_that_destinations_confuse_one_is_a_column_and_both_are_in_the_log(
    connector: Connector, sandbox: Sandbox
) -> None:
    pairs = {"割合Num": "税率Num", "gr__eStr": "größeStr", "a.bStr": "a_bStr", "VIPBool": "vipBool"}
    both = [*pairs, *pairs.values()]
    sandbox.metadata["customer"] = {name: {} for name in both}
    custom(sandbox, 0).update(dict.fromkeys(both, "5"))
    sandbox.touch()
    discovered = connector.discover()
    catalog = catalog_of(discovered)
    assert columns_of(catalog, "customers").keys() == {f"custom_{first}" for first in pairs}
    for first, other in pairs.items():
        words = f"columns custom_{first} and custom_{other} under the same name"
        assert any(words in warning for warning in warnings(discovered))
    record = read(connector, catalog, "customers").records("customers")[0]
    assert {name: record["custom"][name] for name in both} == dict.fromkeys(both, "5")
    assert record["custom_割合Num"] == 5


def test_without_the_metadata_columns_come_from_the_first_page_and_the_log_says_why(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    key = sandbox.add_key(roles=WITHOUT_METADATA)
    for number in range(150):
        custom(sandbox, number).clear()
    custom(sandbox, 1)["deviceInfo"] = {"os": "Linux"}
    custom(sandbox, 149)["onTheSecondPageStr"] = "unseen"
    sandbox.touch()
    result = Connector(tmp_path, sandbox.url, key).discover()
    assert types_of(catalog_of(result), "customers") == {"custom_deviceInfo": OBJECT}
    told = [warning for warning in warnings(result) if METADATA_ROLE in warning]
    assert len(told) == len(("customers", "conversations", "users"))


def test_where_discover_fails_there_is_a_sentence_and_no_catalog(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    result = Connector(tmp_path, sandbox.url, sandbox.add_key(expired=True)).discover()
    assert result.code == 1
    assert "API key has expired" in result.errors[0]["message"]
    assert not result.of_type("CATALOG")
    assert not result.stderr


def test_a_read_fills_the_columns_of_its_catalog_whatever_the_attributes_are_by_then(
    connector: Connector, sandbox: Sandbox
) -> None:
    catalog = json.loads(json.dumps(catalog_of(connector.discover())))
    # A column that the user deselected, an attribute that is new, and values of other types.
    del schema_of(catalog, "customers")["properties"]["custom_isVipBool"]
    sandbox.metadata["customer"]["laterNum"] = {}
    mistyped: dict[str, Any] = {"loyaltyTierStr": ["gold"], "lifetimeValueNum": "a lot"}
    custom(sandbox, 0).update({**mistyped, "laterNum": 4.5, "renewalAt": "soon"})
    sandbox.lists["customers"][1]["attributes"]["custom"] = "none"
    sandbox.touch()
    first, second, third, *_ = read(connector, catalog, "customers").records("customers")
    assert first["custom"] == custom(sandbox, 0)
    for name in (*mistyped, "laterNum", "renewalAt", "isVipBool"):
        assert first.get(f"custom_{name}") is None
    assert second["additionalAttributes"]["custom"] == "none"
    assert third["custom_loyaltyTierStr"] == custom(sandbox, 2)["loyaltyTierStr"]
    late = catalog_of(connector.discover())
    assert types_of(late, "customers")["custom_laterNum"] == NUMBER
    (record, *_) = read(connector, late, "customers").records("customers")
    assert record["custom_laterNum"] == record["custom"]["laterNum"] == 4.5
