"""The four commands as processes against the sandbox: what arrives is what is there."""

import json
from pathlib import Path

import pytest
from jsonschema import Draft7Validator, FormatChecker

from integration_tests.connector import Connector
from sandbox import LISTS, Sandbox

SNAPSHOTS = Path(__file__).parent / "snapshots"


@pytest.mark.parametrize(
    ("command", "kind", "snapshot"),
    [("spec", "SPEC", "spec.json"), ("discover", "CATALOG", "catalog.json")],
)
def test_spec_and_discover_are_what_users_were_shown_before(
    connector: Connector, command: str, kind: str, snapshot: str
) -> None:
    options = () if command == "spec" else ("--config", connector.config)
    result = connector.run(command, *options)
    assert result.code == 0
    assert not result.stderr
    (shown,) = result.of_type(kind)
    text = json.dumps(shown, indent=2, ensure_ascii=False, sort_keys=True) + "\n"
    path = SNAPSHOTS / snapshot
    # A missing one is written, to be reviewed.
    if not path.exists():
        path.write_text(text)
    assert text == path.read_text()


def test_every_record_arrives_once_and_fits_the_discovered_schema(
    connector: Connector, sandbox: Sandbox
) -> None:
    sandbox.metadata["customer"]["größeNum"] = {"displayName": "Größe 📏"}
    custom = sandbox.lists["customers"][1]["attributes"]["custom"]
    custom |= {"größeNum": 4.5, "renewalAt": "soon", "laterStr": "x"}
    catalog = connector.catalog()
    sandbox.requests.clear()
    # Hidden options of the CDK do no harm.
    config = {"org_name": "acme", "api_key": sandbox.key, "_limit": 5, "_page_size": 3}
    hidden = connector.write("hidden.json", config)
    result = connector.run("read", "--config", hidden, "--catalog", catalog)
    assert result.code == 0
    assert not result.stderr
    assert {request.path for request in sandbox.requests} == {f"/v1/{name}" for name in LISTS}
    for configured in json.loads(Path(catalog).read_text())["streams"]:
        stream = configured["stream"]
        records = result.records(stream["name"])
        assert [r["id"] for r in records] == [r["id"] for r in sandbox.lists[stream["name"]]]
        schema = stream["json_schema"] | {"additionalProperties": False}
        validator = Draft7Validator(schema, format_checker=FormatChecker())
        for record in records:
            validator.validate(record)
    statuses = [
        (t["stream_status"]["stream_descriptor"]["name"], t["stream_status"]["status"])
        for t in result.of_type("TRACE")
        if t["type"] == "STREAM_STATUS"
    ]
    assert statuses == [
        (name, status) for name in LISTS for status in ("STARTED", "RUNNING", "COMPLETE")
    ]
    record = result.records("customers")[1]
    assert record["custom"] == custom
    columns = {name: record.get(f"custom_{name}") for name in ("größeNum", "renewalAt", "laterStr")}
    assert columns == {"größeNum": 4.5, "renewalAt": None, "laterStr": None}
