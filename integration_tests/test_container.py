"""The connector as Airbyte runs it: its image, with nothing that it may write to, and not root."""

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import docker
import pytest
import yaml
from image import NoImageError, image

from sandbox import Sandbox

pytestmark = pytest.mark.image_tests

# The CDK with its own dependencies is most of it; a compiler or a second copy would not fit.
_LARGEST = 900 * 1000 * 1000

Messages = list[dict[str, Any]]


@pytest.fixture(scope="module")
def client() -> Iterator[docker.DockerClient]:
    try:
        image()
    except NoImageError as e:
        pytest.skip(f"left out, no image: {e}")
    with docker.from_env(timeout=600) as client:
        yield client


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(customers=250) as sandbox:
        yield sandbox


@pytest.fixture
def files(tmp_path: Path) -> Path:
    # Pytest's own directories are for their owner only, and the container's user is another.
    for directory in (tmp_path, *tmp_path.parents[:2]):
        directory.chmod(0o755)
    return tmp_path


def run(
    client: docker.DockerClient,
    *command: str,
    entrypoint: str | None = None,
    files: Path | None = None,
    environment: dict[str, str] | None = None,
) -> tuple[int, str]:
    """Run a container to its end and return its exit code and what it wrote."""
    container = client.containers.create(
        image(),
        list(command),
        entrypoint=entrypoint,
        read_only=True,
        cap_drop=["ALL"],
        security_opt=["no-new-privileges"],
        network_mode="host",
        environment=environment or {},
        volumes={str(files): {"bind": "/config", "mode": "ro"}} if files else {},
    )
    try:
        container.start()
        status = container.wait(timeout=300)["StatusCode"]
        return status, container.logs(stdout=True, stderr=True).decode()
    finally:
        container.remove(force=True)


def messages(
    client: docker.DockerClient, sandbox: Sandbox, files: Path, *command: str, status: int = 0
) -> Messages:
    """Run one command of the protocol against the sandbox; whatever it writes is a message."""
    (files / "config.json").write_text(json.dumps({"org_name": "acme", "api_key": sandbox.key}))
    ended, output = run(
        client, *command, files=files, environment={"KUSTOMER_API_URL": sandbox.url}
    )
    assert ended == status, output[-2000:]
    return [json.loads(line) for line in output.splitlines()]


def of(kind: str, messages: Messages) -> Messages:
    return [message[kind.lower()] for message in messages if message["type"] == kind]


def discovered(client: docker.DockerClient, sandbox: Sandbox, files: Path) -> Messages:
    found = messages(client, sandbox, files, "discover", "--config", "/config/config.json")
    streams: Messages = of("CATALOG", found)[0]["streams"]
    return streams


def test_spec(client: docker.DockerClient) -> None:
    status, output = run(client, "spec")
    assert status == 0
    (spec,) = of("SPEC", [json.loads(line) for line in output.splitlines()])
    assert spec["connectionSpecification"]["required"] == ["org_name", "api_key"]


def test_check(client: docker.DockerClient, sandbox: Sandbox, files: Path) -> None:
    found = messages(client, sandbox, files, "check", "--config", "/config/config.json")
    (result,) = of("CONNECTION_STATUS", [_with_status_key(message) for message in found])
    assert result["status"] == "SUCCEEDED"


def test_check_refuses_a_wrong_key(
    client: docker.DockerClient, sandbox: Sandbox, files: Path
) -> None:
    (files / "wrong.json").write_text(json.dumps({"org_name": "acme", "api_key": "another"}))
    _, output = run(
        client,
        "check",
        "--config",
        "/config/wrong.json",
        files=files,
        environment={"KUSTOMER_API_URL": sandbox.url},
    )
    found = [_with_status_key(json.loads(line)) for line in output.splitlines()]
    (result,) = of("CONNECTION_STATUS", found)
    assert result["status"] == "FAILED"


def test_discover(client: docker.DockerClient, sandbox: Sandbox, files: Path) -> None:
    assert [stream["name"] for stream in discovered(client, sandbox, files)] == list(sandbox.lists)


def test_read_brings_every_record(
    client: docker.DockerClient, sandbox: Sandbox, files: Path
) -> None:
    catalog = {
        "streams": [
            {"stream": stream, "sync_mode": "full_refresh", "destination_sync_mode": "overwrite"}
            for stream in discovered(client, sandbox, files)
        ]
    }
    (files / "catalog.json").write_text(json.dumps(catalog))
    found = messages(
        client,
        sandbox,
        files,
        "read",
        "--config",
        "/config/config.json",
        "--catalog",
        "/config/catalog.json",
    )
    records = of("RECORD", found)
    assert Counter(record["stream"] for record in records) == {
        name: len(resources) for name, resources in sandbox.lists.items()
    }
    for name, resources in sandbox.lists.items():
        arrived = {record["data"]["id"] for record in records if record["stream"] == name}
        assert arrived == {resource["id"] for resource in resources}
    statuses = Counter(
        trace["stream_status"]["status"]
        for trace in of("TRACE", found)
        if trace["type"] == "STREAM_STATUS"
    )
    assert statuses["COMPLETE"] == len(sandbox.lists)


def test_an_unreadable_catalog_fails(
    client: docker.DockerClient, sandbox: Sandbox, files: Path
) -> None:
    found = messages(
        client,
        sandbox,
        files,
        "read",
        "--config",
        "/config/config.json",
        "--catalog",
        "/config/absent.json",
        status=1,
    )
    assert [trace["type"] for trace in of("TRACE", found)] == ["ERROR"]


def test_it_is_not_root_and_writes_nowhere(client: docker.DockerClient) -> None:
    writable = (
        "import os, sys\n"
        "import source_kustomer\n"
        "print(os.getuid(), os.access(source_kustomer.__file__, os.W_OK))"
    )
    status, output = run(client, "-c", writable, entrypoint="python")
    assert (status, output.split()) == (0, ["1000", "False"])


def test_labels_and_entrypoint_equal_the_metadata(client: docker.DockerClient) -> None:
    metadata = yaml.safe_load((Path(__file__).parents[1] / "metadata.yaml").read_text())["data"]
    configuration = client.images.get(image()).attrs["Config"]
    assert configuration["Labels"]["io.airbyte.name"] == metadata["dockerRepository"]
    assert configuration["Labels"]["io.airbyte.version"] == metadata["dockerImageTag"]
    environment = dict(entry.split("=", 1) for entry in configuration["Env"])
    assert configuration["Entrypoint"] == [environment["AIRBYTE_ENTRYPOINT"]]
    assert configuration["User"] == "airbyte"
    assert not configuration["Cmd"]


def test_only_the_package_is_inside(client: docker.DockerClient) -> None:
    look = (
        "import os, pathlib, sys\n"
        "import source_kustomer\n"
        "package = pathlib.Path(source_kustomer.__file__).parent\n"
        "print(*sorted(p.name for p in package.parent.iterdir()), sep='\\n')\n"
        "print(*(os.listdir('.')), sep='\\n')\n"
        "print(*(path for path in ('/build', '/opt/poetry') if os.path.exists(path)), sep='\\n')"
    )
    status, output = run(client, "-c", look, entrypoint="python")
    assert status == 0, output
    inside = set(output.split())
    assert "source_kustomer" in inside
    assert not inside & {
        "/build",
        "/opt/poetry",
        "Dockerfile",
        "integration_tests",
        "pip",
        "poetry",
        "pyproject.toml",
        "pytest",
        "sandbox",
        "secrets",
        "unit_tests",
    }


def test_the_package_is_compiled(client: docker.DockerClient) -> None:
    look = (
        "import importlib.util, pathlib, airbyte_cdk, source_kustomer.run\n"
        "for module in (airbyte_cdk, source_kustomer.run):\n"
        "    print(pathlib.Path(importlib.util.cache_from_source(module.__file__)).exists())"
    )
    assert run(client, "-c", look, entrypoint="python") == (0, "True\nTrue\n")


def test_its_size_is_the_dependencies(client: docker.DockerClient) -> None:
    assert client.images.get(image()).attrs["Size"] < _LARGEST


def _with_status_key(message: dict[str, Any]) -> dict[str, Any]:
    """Name the result of a check as its message's type is named."""
    if message["type"] == "CONNECTION_STATUS":
        return message | {"connection_status": message["connectionStatus"]}
    return message
