"""Custom attributes as columns: what discover declares, and what read puts there."""

import json
import socket
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft7Validator, FormatChecker

from integration_tests.conftest import NewSandbox
from integration_tests.connector import Connector, Result
from sandbox import EVERY_ROLE, LISTS, Reply, Sandbox

Column = dict[str, Any]

METADATA_ROLE = "org.permission.metadata.read"
WITHOUT_METADATA = tuple(role for role in EVERY_ROLE if role != METADATA_ROLE)

TEXT: Column = {"type": ["null", "string"]}
NUMBER: Column = {"type": ["null", "number"]}
BOOLEAN: Column = {"type": ["null", "boolean"]}
TIME: Column = {
    "type": ["null", "string"],
    "format": "date-time",
    "airbyte_type": "timestamp_with_timezone",
}
OBJECT: Column = {"type": ["null", "object"], "additionalProperties": True}


def many(items: Column) -> Column:
    return {"type": ["null", "array"], "items": items}


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
    path = connector.configured(catalog, *streams)
    return connector.run("read", "--config", connector.config, "--catalog", path)


def assert_fits(result: Result, catalog: dict[str, Any], *streams: str) -> None:
    """Hold every record against the discovered schema, which may have no column more."""
    assert result.code == 0, result.errors
    for name in streams:
        schema = {**schema_of(catalog, name), "additionalProperties": False}
        validator = Draft7Validator(schema, format_checker=FormatChecker())
        records = result.records(name)
        assert records
        for record in records:
            validator.validate(record)


def custom(sandbox: Sandbox, number: int, name: str = "customers") -> dict[str, Any]:
    """The custom attributes of a resource, to be changed."""
    found = sandbox.lists[name][number]["attributes"]["custom"]
    assert isinstance(found, dict)
    return found


def warnings(result: Result) -> list[str]:
    return [log["message"] for log in result.of_type("LOG") if log["level"] == "WARN"]


def test_discover_types_each_attribute_by_its_name_and_the_metadata_whatever_stands_on_a_page(
    connector: Connector, sandbox: Sandbox
) -> None:
    sandbox.metadata["customer"] |= {
        "größeNum": {"displayName": "Größe 📏"},
        "labelsStr": {"displayName": "  "},
        "deviceInfo": {},
        "visitsLog": {"type": "object"},
        "neverUsed": None,
        "oldOneNum": {"deletedAt": "2020-01-01T00:00:00.000Z", "multi": True},
    }
    custom(sandbox, 0)["labelsStr"] = ["a", "b"]
    custom(sandbox, 1)["deviceInfo"] = {"os": "Linux"}
    custom(sandbox, 2)["visitsLog"] = [{"at": 1}, {"at": 2}]
    custom(sandbox, 3)["oldOneNum"] = [4]
    sandbox.touch()
    catalog = catalog_of(connector.discover())
    assert types_of(catalog, "customers") == {
        "custom_loyaltyTierStr": TEXT,
        "custom_notesTxt": TEXT,
        "custom_websiteUrl": TEXT,
        "custom_crmId": TEXT,
        "custom_regionTree": TEXT,
        "custom_lifetimeValueNum": NUMBER,
        "custom_renewalAt": TIME,
        "custom_isVipBool": BOOLEAN,
        "custom_interestsStr": many(TEXT),
        "custom_scoresNum": many(NUMBER),
        "custom_fridgeSize": TEXT,
        "custom_größeNum": NUMBER,
        "custom_labelsStr": TEXT,
        "custom_deviceInfo": TEXT,
        "custom_visitsLog": OBJECT,
        "custom_neverUsed": TEXT,
    }
    assert types_of(catalog, "conversations") == {
        "custom_orderIdStr": TEXT,
        "custom_refundNum": NUMBER,
        "custom_escalatedBool": BOOLEAN,
        "custom_topicTree": TEXT,
    }
    assert types_of(catalog, "users") == {"custom_shiftStr": TEXT, "custom_seniorityNum": NUMBER}
    for name in ("teams", "tags", "brands"):
        assert not columns_of(catalog, name)
    described = {name: c["description"] for name, c in columns_of(catalog, "customers").items()}
    assert described["custom_loyaltyTierStr"].startswith("Loyalty tier: ")
    assert described["custom_größeNum"].startswith("Größe 📏: ")
    assert described["custom_labelsStr"].startswith("The custom attribute labelsStr")


@pytest.mark.parametrize(
    ("status", "reason"),
    [(401, METADATA_ROLE), (403, METADATA_ROLE), (404, "404 not found")],
)
def test_without_the_metadata_columns_come_from_the_first_page_and_the_log_says_why(
    sandbox: Sandbox, tmp_path: Path, status: int, reason: str
) -> None:
    key = sandbox.add_key(roles=WITHOUT_METADATA, missing_role_status=status)
    custom(sandbox, 1)["deviceInfo"] = {"os": "Linux"}
    custom(sandbox, 149)["onTheSecondPageStr"] = "unseen"
    sandbox.touch()
    result = Connector(tmp_path, sandbox.url, key).discover()
    catalog = catalog_of(result)
    assert types_of(catalog, "customers") == {
        "custom_loyaltyTierStr": TEXT,
        "custom_lifetimeValueNum": NUMBER,
        "custom_isVipBool": BOOLEAN,
        "custom_renewalAt": TIME,
        "custom_notesTxt": TEXT,
        "custom_regionTree": TEXT,
        "custom_interestsStr": many(TEXT),
        "custom_scoresNum": many(NUMBER),
        "custom_fridgeSize": TEXT,
        "custom_deviceInfo": OBJECT,
    }
    told = [warning for warning in warnings(result) if reason in warning]
    assert {warning.split(" are ")[0].rpartition(" ")[2] for warning in told} == {
        "customers",
        "conversations",
        "users",
    }


def test_with_the_list_closed_too_the_static_columns_stand(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    complete = catalog_of(Connector(tmp_path, sandbox.url, sandbox.key).discover())
    key = sandbox.add_key(roles=("org.permission.tag.read",))
    catalog = catalog_of(Connector(tmp_path, sandbox.url, key).discover())
    for name in LISTS:
        assert not columns_of(catalog, name)
        static = schema_of(complete, name)["properties"].keys() - columns_of(complete, name).keys()
        assert schema_of(catalog, name)["properties"].keys() == static


def test_with_only_the_list_closed_the_metadata_are_enough(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    key = sandbox.add_key(roles=(METADATA_ROLE,))
    result = Connector(tmp_path, sandbox.url, key).discover()
    catalog = catalog_of(result)
    assert columns_of(catalog, "conversations").keys() == {
        "custom_orderIdStr",
        "custom_refundNum",
        "custom_escalatedBool",
        "custom_topicTree",
    }
    assert not warnings(result)


def closed_port() -> int:
    with socket.socket() as it:
        it.bind(("127.0.0.1", 0))
        return int(it.getsockname()[1])


ODD_METADATA = {
    "no JSON object": Reply(body="[1, 2]"),
    "attributes of another shape": Reply(body={"data": {"attributes": {"properties": ["a"]}}}),
    "a web page": Reply(403, "<html>blocked</html>"),
    "a rejection": Reply(400, {"errors": [{"title": "No"}]}),
}


@pytest.mark.parametrize("answer", ODD_METADATA.values(), ids=ODD_METADATA)
def test_columns_are_never_lost_silently_where_the_metadata_fail(
    connector: Connector, sandbox: Sandbox, answer: Reply
) -> None:
    sandbox.before(lambda r: answer if r.path == "/v1/metadata/customer" else None)
    result = connector.discover()
    assert result.code == 1
    assert not result.of_type("CATALOG")
    assert "the metadata of customers" in result.errors[0]["message"] or answer.status == 403


@pytest.mark.parametrize("down", ["all of it", "metadata", "key"])
def test_when_the_server_is_down_discover_fails_in_a_sentence_without_a_catalog(
    sandbox: Sandbox, tmp_path: Path, down: str
) -> None:
    url, key, words = sandbox.url, sandbox.key, "server failed with status 503"
    if down == "all of it":
        url, words = f"http://127.0.0.1:{closed_port()}", "refuses connections"
    elif down == "key":
        key, words = sandbox.add_key(expired=True), "API key has expired"
    else:
        sandbox.before(lambda r: Reply(503) if "metadata" in r.path else None)
    result = Connector(tmp_path, url, key).discover()
    assert result.code == 1
    assert words in result.errors[0]["message"]
    assert not result.of_type("CATALOG")
    assert not result.stderr


def test_read_asks_for_nothing_but_pages(connector: Connector, sandbox: Sandbox) -> None:
    catalog = catalog_of(connector.discover())
    sandbox.requests.clear()
    result = read(connector, catalog)
    assert_fits(result, catalog, *LISTS)
    assert result.counts == sandbox.counts()
    sizes = {"users": 500, "teams": 500}
    expected = {name: -(-count // sizes.get(name, 100)) for name, count in sandbox.counts().items()}
    # No total confirms the end of the others: their last page is asked for once more.
    expected = {name: pages + (name != "customers") for name, pages in expected.items()}
    assert {r.path for r in sandbox.requests} == {f"/v1/{name}" for name in LISTS}
    assert {name: len(sandbox.of(name)) for name in LISTS} == expected
    assert all(r.params.keys() == {"page", "pageSize"} for r in sandbox.requests)
    assert all("custom_isVipBool" in record for record in result.records("customers"))


MISTYPED: dict[str, list[Any]] = {
    "loyaltyTierStr": [{"tier": "gold"}, ["gold"]],
    "lifetimeValueNum": ["a lot", True, [1], {}],
    "isVipBool": ["perhaps", 1, [], {}],
    "renewalAt": ["soon", "2024-13-45T00:00:00.000Z", 1700000000, {}],
    "interestsStr": ["chess", 5, {}, [["chess"]]],
    "scoresNum": [7, "7", ["high"], {}],
}


def test_a_value_that_does_not_fit_is_null_in_its_column_and_whole_in_custom(
    connector: Connector, sandbox: Sandbox
) -> None:
    catalog = catalog_of(connector.discover())
    assert {f"custom_{name}" for name in MISTYPED} <= columns_of(catalog, "customers").keys()
    for name, values in MISTYPED.items():
        for number, value in enumerate(values):
            custom(sandbox, number)[name] = value
    odd: list[Any] = ["none", None, [], 5]
    for number, value in enumerate(odd, start=10):
        sandbox.lists["customers"][number]["attributes"]["custom"] = value
    sandbox.touch()
    result = read(connector, catalog, "customers")
    assert_fits(result, catalog, "customers")
    records = result.records("customers")
    for name, values in MISTYPED.items():
        for number, value in enumerate(values):
            assert records[number].get(f"custom_{name}") is None
            assert records[number]["custom"][name] == value
    for number, value in enumerate(odd, start=10):
        assert records[number].get("custom") is None
        assert records[number].get("additionalAttributes", {}).get("custom") == value
    for record, resource in zip(records[20:], sandbox.lists["customers"][20:], strict=True):
        attributes = resource["attributes"]["custom"]
        assert record["custom"] == attributes
        for name in MISTYPED:
            assert record.get(f"custom_{name}") == attributes.get(name)


def test_an_attribute_made_after_discover_arrives_in_custom_and_once_discovered_as_a_column(
    connector: Connector, sandbox: Sandbox
) -> None:
    before = catalog_of(connector.discover())
    sandbox.metadata["customer"]["laterNum"] = {"displayName": "Later"}
    custom(sandbox, 3)["laterNum"] = 4.5
    sandbox.touch()
    early = read(connector, before, "customers")
    assert_fits(early, before, "customers")
    assert early.records("customers")[3]["custom"]["laterNum"] == 4.5
    after = catalog_of(connector.discover())
    assert types_of(after, "customers")["custom_laterNum"] == NUMBER
    late = read(connector, after, "customers")
    assert_fits(late, after, "customers")
    records = late.records("customers")
    assert records[3]["custom_laterNum"] == records[3]["custom"]["laterNum"] == 4.5
    assert [r for r in records if "custom_laterNum" in r] == [records[3]]


def test_columns_keep_the_types_that_the_first_page_had_when_it_was_discovered(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    connector = Connector(tmp_path, sandbox.url, sandbox.add_key(roles=WITHOUT_METADATA))
    catalog = catalog_of(connector.discover())
    for number in range(150):
        custom(sandbox, number)["loyaltyTierStr"] = ["gold"] if number else "gold"
    sandbox.touch()
    result = read(connector, catalog, "customers")
    assert_fits(result, catalog, "customers")
    tiers = [record.get("custom_loyaltyTierStr") for record in result.records("customers")]
    assert tiers == ["gold", *[None] * 149]


def test_a_catalog_whose_columns_were_deselected_reads_without_them(
    connector: Connector, sandbox: Sandbox
) -> None:
    catalog = json.loads(json.dumps(catalog_of(connector.discover())))
    properties = schema_of(catalog, "customers")["properties"]
    del properties["custom_isVipBool"]
    (record, *_) = read(connector, catalog, "customers").records("customers")
    assert "custom_isVipBool" not in record
    assert record["custom_loyaltyTierStr"]
    assert "isVipBool" in record["custom"]
