"""What Airbyte reads of the connector before it runs it."""

import re
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml

from source_kustomer.api.prefetch import LARGEST_AHEAD, MOST_AHEAD
from source_kustomer.api.transport import LARGEST_BODY
from source_kustomer.config import Config
from source_kustomer.timing import DEFAULT_TIMING

PROJECT = Path(__file__).parents[1]
DOCUMENT = yaml.safe_load((PROJECT / "metadata.yaml").read_text("utf-8"))
METADATA: dict[str, Any] = DOCUMENT["data"]
VERSION = METADATA["dockerImageTag"]

SVG = "{http://www.w3.org/2000/svg}"


def test_given_airbytes_own_model_when_the_metadata_is_read_then_it_is_valid() -> None:
    models = pytest.importorskip(
        "airbyte_connector_models.metadata.v0.connector_metadata_definition_v0",
        reason="airbyte-connector-models is not made for this version of Python",
    )

    models.ConnectorMetadataDefinitionV0.model_validate(DOCUMENT)


def test_given_what_airbytes_model_leaves_open_when_the_metadata_is_read_then_it_is_there() -> None:
    assert METADATA["tags"] == ["language:python", "cdk:python"]
    assert METADATA["registryOverrides"] == {"cloud": {"enabled": True}, "oss": {"enabled": True}}
    assert {"ab_internal", "connectorTestSuitesOptions", "supportLevel"} <= METADATA.keys()


SAME = [
    # The version, in every place that names it.
    (VERSION, "pyproject.toml", r'^version = "(.+)"$'),
    (VERSION, "Dockerfile", r"^ARG VERSION=(.+)$"),
    (VERSION, "CHANGELOG.md", r"^## (\S+)"),
    (VERSION, "docs/integrations/sources/kustomer.md", r"^\| ([0-9][^ ]*) \| [0-9-]+ \|"),
    # What stands in two files.
    (METADATA["connectorBuildOptions"]["baseImage"], "Dockerfile", r"^ARG BASE_IMAGE=(.+)$"),
    (METADATA["dockerRepository"], "Dockerfile", r'^LABEL io\.airbyte\.name="(.+?)"'),
    (METADATA["license"], "pyproject.toml", r'^license = "(.+)"$'),
    (METADATA["license"], "LICENSE", r"\A(\S+) License$"),
    (METADATA["remoteRegistries"]["pypi"]["packageName"], "pyproject.toml", r'^name = "(.+)"$'),
    (METADATA["documentationUrl"], "source_kustomer/spec.yaml", r"^documentationUrl: (.+)$"),
]


@pytest.mark.parametrize(("value", "path", "pattern"), SAME, ids=[f"{f[1]} {f[2]}" for f in SAME])
def test_what_stands_in_two_files_is_the_same(value: str, path: str, pattern: str) -> None:
    match = re.search(pattern, (PROJECT / path).read_text("utf-8"), re.MULTILINE)
    assert match, f"{path} has nothing like {pattern}"
    assert match[1] == value


def test_given_the_names_of_the_connector_when_compared_then_they_agree() -> None:
    name = METADATA["dockerRepository"].removeprefix("airbyte/")

    assert name == METADATA["githubIssueLabel"] == f"source-{METADATA['name'].lower()}"
    assert METADATA["remoteRegistries"]["pypi"] == {
        "enabled": True,
        "packageName": f"airbyte-{name}",
    }


def test_given_the_address_of_the_documentation_when_looked_up_then_the_page_is_there() -> None:
    path = urlsplit(METADATA["documentationUrl"]).path

    assert (PROJECT / f"docs{path}.md").is_file()


@pytest.mark.parametrize("entered", ["acme", "https://ACME.kustomerapp.com/app/customers", "a-1"])
def test_given_an_organization_when_its_host_is_asked_then_airbyte_allows_it_and_no_other(
    entered: str,
) -> None:
    config = Config.parse({"org_name": entered, "api_key": "a.key.of-no-account"}, {})
    host = urlsplit(config.base_url).hostname or ""

    assert METADATA["allowedHosts"]["hosts"] == [host.replace(config.organization, "*", 1)]


def test_given_the_suggested_streams_when_looked_up_then_each_has_a_schema() -> None:
    suggested = METADATA["suggestedStreams"]["streams"]

    assert suggested
    for stream in suggested:
        assert (PROJECT / f"source_kustomer/schemas/{stream}.json").is_file()


def test_given_the_longest_wait_of_a_page_when_airbyte_waits_then_it_waits_longer() -> None:
    # The last attempt at a page begins after all other attempts and waits for the limit.
    silence = DEFAULT_TIMING.page + DEFAULT_TIMING.limit + DEFAULT_TIMING.response

    assert METADATA["maxSecondsBetweenMessages"] >= 2 * silence


def test_given_the_largest_responses_when_they_are_read_then_the_memory_suffices() -> None:
    (job,) = METADATA["resourceRequirements"]["jobSpecific"]
    units = {"Mi": 2**20, "Gi": 2**30}
    requirements = job["resourceRequirements"]
    sizes = {name: int(size[:-2]) * units[size[-2:]] for name, size in requirements.items()}
    # The body as it came, twice while it is put together, and what it is parsed into; beside it
    # those that are fetched ahead.
    largest = 4 * LARGEST_BODY + MOST_AHEAD * LARGEST_AHEAD

    assert job["jobType"] == "sync"
    assert sizes["memory_limit"] > largest
    assert sizes["memory_limit"] >= sizes["memory_request"]


def test_given_the_icon_when_it_is_drawn_then_it_is_a_square_that_needs_nothing_else() -> None:
    icon = ET.parse(PROJECT / METADATA["icon"]).getroot()

    assert icon.tag == f"{SVG}svg"
    assert icon.get("width") == icon.get("height")
    assert icon.get("viewBox") == f"0 0 {icon.get('width')} {icon.get('height')}"
    for element in icon.iter():
        assert element.tag not in {f"{SVG}script", f"{SVG}image", f"{SVG}foreignObject"}
        assert not any(name.endswith("href") for name in element.attrib)
