"""Airbyte's own tests of any source, in this process and through the image."""

import json
from collections.abc import Iterator
from subprocess import CompletedProcess
from typing import Any, Literal

import pytest
from airbyte_cdk.test.standard_tests import SourceTestSuiteBase, docker_base
from airbyte_cdk.test.standard_tests._spec_compatibility import PublishedSpec
from airbyte_cdk.test.standard_tests.docker_base import DockerConnectorTestSuite
from airbyte_cdk.utils import docker as cdk_docker

from integration_tests.image import PROJECT
from sandbox import Sandbox
from source_kustomer import SourceKustomer

pytest_plugins = [
    "airbyte_cdk.test.standard_tests.pytest_hooks",
    "integration_tests.image_fixtures",
]

_SNAPSHOT = PROJECT / "integration_tests" / "snapshots" / "spec.json"
_AS_AIRBYTE_MAY_RUN_IT = ("--read-only", "--cap-drop", "ALL", "--network", "host")

for method in vars(DockerConnectorTestSuite).values():
    marks = getattr(method, "pytestmark", [])
    if any(mark.name == "image_tests" for mark in marks):
        # The CDK would say of each test by itself that there is no docker command.
        others = [mark for mark in marks if mark.name != "skipif"]
        method.pytestmark = [*others, pytest.mark.xdist_group("image").mark]


@pytest.fixture(scope="module", autouse=True)
def sandbox() -> Iterator[Sandbox]:
    """A sandbox that the connector finds, in this process and in containers."""
    with (
        Sandbox(customers=250, conversations=120) as sandbox,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setenv("KUSTOMER_API_URL", sandbox.url)
        run = cdk_docker.run_docker_command

        def run_here(command: list[str], **options: Any) -> CompletedProcess[str]:
            assert command[:2] == ["docker", "run"]
            here = (*_AS_AIRBYTE_MAY_RUN_IT, "--env", f"KUSTOMER_API_URL={sandbox.url}")
            return run([*command[:2], *here, *command[2:]], **options)

        patch.setattr(cdk_docker, "run_docker_command", run_here)
        patch.setattr(docker_base, "run_docker_command", run_here)
        yield sandbox


@pytest.fixture
def connector_image_override(tag: str) -> str:
    """Test the image that the Dockerfile makes, where the CDK would make one in its own way."""
    return tag


@pytest.fixture
def connector_base_image_override() -> None:
    """Build nothing on another base."""


@pytest.fixture
def read_from_streams() -> Literal["all"]:
    """Read all streams, where the default is what the metadata suggests."""
    return "all"


@pytest.fixture(autouse=True)
def published(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the spec that users were shown before be the published one, which asks no registry."""
    before = PublishedSpec(version="0.0.0", spec=json.loads(_SNAPSHOT.read_text()), url="")
    monkeypatch.setattr(docker_base, "fetch_published_spec", lambda *_: before)


class TestAcceptance(SourceTestSuiteBase):
    connector = SourceKustomer
