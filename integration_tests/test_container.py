"""The connector as Airbyte runs it: its image, with nothing that it may write to, and not root."""

import json
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from docker.models.containers import Container

from integration_tests.connector import Result
from integration_tests.image import PROJECT, base, build, engine
from sandbox import LISTS, Reply, Sandbox

pytest_plugins = ["integration_tests.image_fixtures"]
pytestmark = [pytest.mark.image_tests, pytest.mark.xdist_group("image")]

# The CDK with its own dependencies is most of it; a compiler or a second copy would not fit.
_LARGEST = 350 * 1000 * 1000
# The exit code that SIGKILL leaves.
_KILLED = 137
_BUILT_FROM = (
    ".dockerignore",
    "Dockerfile",
    "LICENSE",
    "README.md",
    "poetry.lock",
    "pyproject.toml",
    "source_kustomer",
)
_NOT_FOR_THE_IMAGE = (
    ".env",
    ".git/config",
    ".venv/bin/python",
    "config.json",
    "integration_tests/config.json",
    "poetry.lock.old",
    "secrets/config.json",
    "source_kustomer/__pycache__/run.cpython-311.pyc",
    "source_kustomer/left_over.pyc",
)


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    """An organization with more than one page of customers and of conversations."""
    with Sandbox(customers=250, conversations=120) as sandbox:
        yield sandbox


@dataclass(frozen=True)
class Image:
    """Runs the image as strictly as an operator may, with a folder of files that it may read."""

    tag: str
    folder: Path
    sandbox: Sandbox

    def write(self, name: str, content: object) -> None:
        """Write a JSON file that containers find under /config."""
        (self.folder / name).write_text(json.dumps(content))

    def start(self, *arguments: str, entrypoint: str | None = None) -> Container:
        """Start a container with the sandbox's configuration."""
        self.write("config.json", {"org_name": "acme", "api_key": self.sandbox.key})
        container: Container = engine().containers.run(
            self.tag,
            list(arguments),
            detach=True,
            entrypoint=entrypoint,
            read_only=True,
            cap_drop=["ALL"],
            network_mode="host",
            security_opt=["no-new-privileges"],
            environment={"KUSTOMER_API_URL": self.sandbox.url},
            volumes={str(self.folder): {"bind": "/config", "mode": "ro"}},
        )
        return container

    def run(self, *arguments: str, entrypoint: str | None = None) -> Result:
        """Run a container to its end."""
        container = self.start(*arguments, entrypoint=entrypoint)
        try:
            code = container.wait(timeout=300)["StatusCode"]
            stdout, stderr = (
                container.logs(stdout=out, stderr=not out).decode() for out in (True, False)
            )
            return Result(code, stdout, stderr)
        finally:
            container.remove(force=True)

    def python(self, *lines: str) -> list[str]:
        """Run Python code inside and return the lines that it printed."""
        result = self.run("-c", "\n".join(lines), entrypoint="python")
        assert (result.code, result.stderr) == (0, "")
        return result.stdout.splitlines()


@pytest.fixture
def connector(tag: str, tmp_path: Path, sandbox: Sandbox) -> Image:
    """The image with a folder that its user may read."""
    # Pytest's own folders are for their owner only, and the container's user is another.
    for folder in (tmp_path, *tmp_path.parents[:2]):
        folder.chmod(0o755)
    return Image(tag, tmp_path, sandbox)


def inspect(tag: str) -> dict[str, Any]:
    """Return what the engine knows about an image."""
    found: dict[str, Any] = engine().images.get(tag).attrs
    return found


def wait_until(condition: Callable[[], bool]) -> None:
    """Wait for something that another process does."""
    end = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.1)


def configured(*streams: str) -> dict[str, Any]:
    """Return a catalog that asks for these streams in full."""
    return {
        "streams": [
            {
                "stream": {
                    "name": name,
                    "json_schema": {},
                    "supported_sync_modes": ["full_refresh"],
                },
                "sync_mode": "full_refresh",
                "destination_sync_mode": "overwrite",
            }
            for name in streams
        ]
    }


def test_spec_asks_for_an_organization_and_a_key(connector: Image) -> None:
    result = connector.run("spec")
    (spec,) = result.of_type("SPEC")
    assert (result.code, result.stderr) == (0, "")
    assert spec["connectionSpecification"]["required"] == ["org_name", "api_key"]


def test_check_given_the_right_key_then_it_succeeds(connector: Image) -> None:
    result = connector.run("check", "--config", "/config/config.json")
    assert (result.code, result.stderr) == (0, "")
    assert result.of_type("CONNECTION_STATUS") == [{"status": "SUCCEEDED"}]


def test_check_given_a_wrong_key_then_it_fails_and_does_not_show_the_key(connector: Image) -> None:
    key = "a-key-of-nobody-9c21"
    connector.write("wrong.json", {"org_name": "acme", "api_key": key})
    result = connector.run("check", "--config", "/config/wrong.json")
    (status,) = result.of_type("CONNECTION_STATUS")
    assert status["status"] == "FAILED"
    assert key not in result.stdout + result.stderr


def test_discover_lists_every_stream_in_order(connector: Image) -> None:
    result = connector.run("discover", "--config", "/config/config.json")
    (catalog,) = result.of_type("CATALOG")
    assert (result.code, result.stderr) == (0, "")
    assert [stream["name"] for stream in catalog["streams"]] == list(LISTS)


def test_read_brings_every_record_once(connector: Image, sandbox: Sandbox) -> None:
    connector.write("catalog.json", configured(*LISTS))
    result = connector.run(
        "read", "--config", "/config/config.json", "--catalog", "/config/catalog.json"
    )
    assert (result.code, result.stderr, result.errors) == (0, "", [])
    for name, resources in sandbox.lists.items():
        arrived = sorted(record["id"] for record in result.records(name))
        assert arrived == sorted(resource["id"] for resource in resources), name


def test_read_given_a_catalog_that_is_not_there_then_it_exits_with_1(connector: Image) -> None:
    result = connector.run(
        "read", "--config", "/config/config.json", "--catalog", "/config/absent.json"
    )
    (error,) = result.errors
    assert result.code == 1
    assert "/config/absent.json" in error["message"]


def test_read_given_a_sigterm_while_the_server_is_silent_then_it_ends_within_seconds(
    connector: Image,
) -> None:
    connector.write("catalog.json", configured("customers"))
    with Sandbox(customers=1000) as silent:
        silent.before(lambda request: Reply(hang=40) if request.page > 1 else None)
        container = replace(connector, sandbox=silent).start(
            "read", "--config", "/config/config.json", "--catalog", "/config/catalog.json"
        )
        try:
            wait_until(lambda: any(request.page > 1 for request in silent.of("customers")))
            container.kill("SIGTERM")
            assert container.wait(timeout=15)["StatusCode"] not in {0, _KILLED}
        finally:
            container.remove(force=True)


def test_it_is_not_root_and_may_change_nothing_of_itself(connector: Image) -> None:
    printed = connector.python(
        "import os, sys, sysconfig",
        "folders = [sys.prefix, *sysconfig.get_paths().values()]",
        "print(os.getuid(), [f for f in folders if os.access(f, os.W_OK)])",
    )
    assert printed == ["1000 []"]


def test_labels_and_entrypoint_equal_the_metadata(tag: str) -> None:
    metadata = yaml.safe_load((PROJECT / "metadata.yaml").read_text())["data"]
    configuration = inspect(tag)["Config"]
    assert configuration["Labels"]["io.airbyte.name"] == metadata["dockerRepository"]
    assert configuration["Labels"]["io.airbyte.version"] == metadata["dockerImageTag"]
    environment = dict(entry.split("=", 1) for entry in configuration["Env"])
    assert configuration["Entrypoint"] == [environment["AIRBYTE_ENTRYPOINT"]]
    assert configuration["User"] == "airbyte"
    assert not configuration.get("Cmd")


def test_the_installed_code_is_this_code_and_no_tool_is_left(connector: Image) -> None:
    printed = connector.python(
        "import pathlib, sysconfig",
        "installed = pathlib.Path(sysconfig.get_path('purelib'))",
        "code = installed / 'source_kustomer'",
        "print(*sorted(str(p.relative_to(code)) for p in code.rglob('*')",
        "              if p.is_file() and p.suffix != '.pyc'))",
        "folders = [installed, pathlib.Path(), *map(pathlib.Path, ('/', '/opt', '/build'))]",
        "print(*(p.name for folder in folders if folder.exists() for p in folder.iterdir()))",
    )
    here = PROJECT / "source_kustomer"
    assert printed[0].split() == sorted(
        str(path.relative_to(here))
        for path in here.rglob("*")
        if path.is_file() and path.suffix != ".pyc"
    )
    others = {"build", "code", "integration_tests", "pip", "poetry", "pytest", "sandbox", "secrets"}
    assert not others & set(printed[1].split())


def test_everything_is_compiled_and_python_accepts_it(connector: Image) -> None:
    printed = connector.python(
        "import importlib.util, airbyte_cdk, source_kustomer.run",
        "for module in (airbyte_cdk, source_kustomer.run):",
        "    with open(importlib.util.cache_from_source(module.__file__), 'rb') as compiled:",
        "        header = compiled.read(16)",
        "    print(header[:4] == importlib.util.MAGIC_NUMBER, header[4])",
    )
    # By an unchecked hash of the code (PEP 552), whatever the files' times become.
    assert printed == ["True 1", "True 1"]


def test_it_adds_little_more_than_the_dependencies_to_its_base(tag: str) -> None:
    assert inspect(tag)["Size"] - inspect(base())["Size"] < _LARGEST


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """Copy what the image is built from."""
    folder = tmp_path / "project"
    folder.mkdir()
    for name in _BUILT_FROM:
        if (PROJECT / name).is_dir():
            shutil.copytree(
                PROJECT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__")
            )
        else:
            shutil.copy2(PROJECT / name, folder / name)
    return folder


@pytest.fixture
def new_tag(tag: str) -> Iterator[str]:
    """A name for another image, which is removed afterwards."""
    name = f"{tag}-{time.time_ns()}"
    yield name
    engine().images.remove(name, force=True)


def test_build_given_changed_code_then_only_the_last_layer_is_new(
    tag: str, copy: Path, new_tag: str
) -> None:
    with (copy / "source_kustomer" / "source.py").open("a") as code:
        code.write(f"\n# {time.time_ns()}\n")
    build(copy, new_tag)
    before, after = (inspect(name)["RootFS"]["Layers"] for name in (tag, new_tag))
    # Dependencies that were installed once more would make another layer: files carry their times.
    assert before[:-1] == after[:-1]
    assert before[-1] != after[-1]


def test_build_sees_nothing_but_what_the_allow_list_names(
    tag: str, copy: Path, new_tag: str
) -> None:
    wanted = {str(path.relative_to(copy)) for path in copy.rglob("*") if path.is_file()}
    wanted -= {".dockerignore", "Dockerfile"}
    for name in _NOT_FOR_THE_IMAGE:
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        (copy / name).write_text("not for others")
    (copy / "Dockerfile").write_text(f"FROM {tag}\nCOPY . /context/\n")
    build(copy, new_tag)
    look = (
        "import pathlib; print(*(p for p in pathlib.Path().rglob('*') if p.is_file()), sep='\\n')"
    )
    seen = engine().containers.run(
        new_tag, ["-c", look], entrypoint="python", working_dir="/context", remove=True
    )
    assert set(seen.decode().splitlines()) == wanted
