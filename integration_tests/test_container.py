"""What only the image can show; it runs as strictly as an operator may run it."""

import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from docker.models.containers import Container

from integration_tests.connector import Connector, Result
from integration_tests.image import PROJECT, TAG, base, build, engine
from sandbox import LISTS, Reply, Sandbox

pytest_plugins = ["integration_tests.image_fixtures"]
pytestmark = [pytest.mark.image_tests, pytest.mark.xdist_group("image")]

# The CDK with its own dependencies is most of it; a compiler or a second copy would not fit.
LARGEST = 350 * 1000 * 1000

CONFIG = ("--config", "/config/config.json")
READ = ("read", *CONFIG, "--catalog", "/config/catalog.json")

BUILT_FROM = (
    *(".dockerignore", "Dockerfile", "LICENSE", "README.md"),
    *("poetry.lock", "pyproject.toml", "source_kustomer"),
)
NOT_FOR_THE_IMAGE = (
    ".env",
    ".git/config",
    ".venv/bin/python",
    "integration_tests/config.json",
    "poetry.lock.old",
    "secrets/config.json",
    "source_kustomer/__pycache__/run.cpython-311.pyc",
    "source_kustomer/left_over.pyc",
)

Start = Callable[..., Container]


@pytest.fixture
def start(connector: Connector) -> Iterator[Start]:
    """Start containers that are removed with the test; the sandbox's configuration is in them."""
    # Pytest's own folders are for their owner only, and the container's user is another.
    for folder in (connector.folder, *connector.folder.parents[:2]):
        folder.chmod(0o755)
    started: list[Container] = []

    def container(*arguments: str, entrypoint: str | None = None) -> Container:
        it: Container = engine().containers.run(
            TAG,
            arguments,
            detach=True,
            entrypoint=entrypoint,
            read_only=True,
            cap_drop=["ALL"],
            network_mode="host",
            security_opt=["no-new-privileges"],
            environment={"KUSTOMER_API_URL": connector.url},
            volumes={str(Path(connector.config).parent): {"bind": "/config", "mode": "ro"}},
        )
        started.append(it)
        return it

    yield container
    for each in started:
        each.remove(force=True)


def ended(container: Container) -> Result:
    """Wait for a container's end."""
    code = container.wait(timeout=300)["StatusCode"]
    stdout, stderr = (container.logs(stdout=out, stderr=not out).decode() for out in (True, False))
    return Result(code, stdout, stderr)


def printed(start: Start, *lines: str) -> list[str]:
    """Run Python code inside and return the lines that it printed."""
    result = ended(start("-c", "\n".join(lines), entrypoint="python"))
    assert (result.code, result.stderr) == (0, "")
    return result.stdout.splitlines()


def inspected(tag: str) -> dict[str, Any]:
    """Return what the engine knows about an image."""
    found: dict[str, Any] = engine().images.get(tag).attrs
    return found


def test_given_nothing_to_write_to_when_run_then_each_command_does_its_work(
    start: Start, connector: Connector, sandbox: Sandbox
) -> None:
    connector.bare_catalog(*LISTS)
    commands = [start("spec"), start("check", *CONFIG), start("discover", *CONFIG), start(*READ)]
    results = [ended(command) for command in commands]
    assert [(it.code, it.stderr, it.errors) for it in results] == [(0, "", [])] * 4
    spec, check, discover, read = results
    assert len(spec.of_type("SPEC")) == len(discover.of_type("CATALOG")) == 1
    assert check.of_type("CONNECTION_STATUS") == [{"status": "SUCCEEDED"}]
    assert read.counts == sandbox.counts()


def test_given_a_silent_server_when_the_container_is_stopped_then_its_process_1_ends(
    start: Start, connector: Connector, sandbox: Sandbox
) -> None:
    sandbox.before(lambda request: Reply(hang=60))
    connector.bare_catalog("customers")
    container = start(*READ)
    end = time.monotonic() + 120
    while not sandbox.of("customers"):
        assert time.monotonic() < end
        time.sleep(0.1)
    container.kill("SIGTERM")
    assert ended(container).code == 128 + 15


def test_given_the_process_when_it_looks_then_it_is_not_root_and_may_change_nothing_of_itself(
    start: Start,
) -> None:
    assert printed(
        start,
        "import os, sys, sysconfig",
        "folders = [sys.prefix, *sysconfig.get_paths().values()]",
        "print(os.getuid(), [f for f in folders if os.access(f, os.W_OK)])",
    ) == ["1000 []"]


def test_given_the_metadata_when_compared_then_labels_and_entrypoint_are_the_same() -> None:
    metadata = yaml.safe_load((PROJECT / "metadata.yaml").read_text())["data"]
    configuration = inspected(TAG)["Config"]
    assert configuration["Labels"]["io.airbyte.name"] == metadata["dockerRepository"]
    assert configuration["Labels"]["io.airbyte.version"] == metadata["dockerImageTag"]
    environment = dict(entry.split("=", 1) for entry in configuration["Env"])
    assert configuration["Entrypoint"] == [environment["AIRBYTE_ENTRYPOINT"]]
    assert configuration["User"] == "airbyte"
    assert not configuration.get("Cmd")


def test_given_the_image_when_looked_into_then_it_has_this_code_and_no_tool(start: Start) -> None:
    code, beside = printed(
        start,
        "import pathlib, sysconfig",
        "installed = pathlib.Path(sysconfig.get_path('purelib'))",
        "code = installed / 'source_kustomer'",
        "print(*sorted(str(p.relative_to(code)) for p in code.rglob('*')",
        "              if p.is_file() and p.suffix != '.pyc'))",
        "folders = [installed, pathlib.Path(), *map(pathlib.Path, ('/', '/opt', '/build'))]",
        "print(*(p.name for folder in folders if folder.exists() for p in folder.iterdir()))",
    )
    here = PROJECT / "source_kustomer"
    files = [path for path in here.rglob("*") if path.is_file() and path.suffix != ".pyc"]
    assert code.split() == sorted(str(path.relative_to(here)) for path in files)
    others = {"build", "code", "integration_tests", "pip", "poetry", "pytest", "sandbox", "secrets"}
    assert others & {*beside.split()} == set()


def test_given_the_image_when_looked_into_then_all_is_compiled_as_python_accepts_it(
    start: Start,
) -> None:
    # By an unchecked hash of the code (PEP 552), whatever the files' times become.
    assert printed(
        start,
        "import importlib.util",
        "for name in ('airbyte_cdk', 'source_kustomer.run'):",
        "    with open(importlib.util.find_spec(name).cached, 'rb') as compiled:",
        "        header = compiled.read(16)",
        "    print(header[:4] == importlib.util.MAGIC_NUMBER, header[4])",
    ) == ["True 1", "True 1"]


def test_given_the_base_when_compared_then_little_more_than_the_dependencies_is_added() -> None:
    assert inspected(TAG)["Size"] - inspected(base())["Size"] < LARGEST


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """Copy what the image is built from."""
    folder = tmp_path / "project"
    folder.mkdir()
    subprocess.run(["cp", "-Rp", *BUILT_FROM, folder], cwd=PROJECT, check=True)
    for cache in folder.rglob("__pycache__"):
        shutil.rmtree(cache)
    return folder


@pytest.fixture
def new_tag() -> Iterator[str]:
    """A name for another image, which is removed afterwards."""
    name = f"{TAG}-{time.time_ns()}"
    yield name
    engine().images.remove(name, force=True)


def test_given_changed_code_when_built_then_only_the_last_layer_is_new(
    copy: Path, new_tag: str
) -> None:
    with (copy / "source_kustomer/source.py").open("a") as code:
        code.write(f"\n# {time.time_ns()}\n")
    build(copy, new_tag)
    before, after = (inspected(name)["RootFS"]["Layers"] for name in (TAG, new_tag))
    # Dependencies that were installed once more would make another layer: files carry their times.
    assert before[:-1] == after[:-1]
    assert before[-1] != after[-1]


def test_given_other_files_when_built_then_nothing_but_what_the_allow_list_names_is_seen(
    copy: Path, new_tag: str
) -> None:
    wanted = {str(path.relative_to(copy)) for path in copy.rglob("*") if path.is_file()}
    for name in NOT_FOR_THE_IMAGE:
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        (copy / name).write_text("not for others")
    (copy / "Dockerfile").write_text(f"FROM {TAG}\nCOPY . /context/\n")
    build(copy, new_tag)
    look = "import os; print(*(os.path.join(p, f) for p, _, fs in os.walk('.') for f in fs))"
    seen = engine().containers.run(
        new_tag, ["-c", look], entrypoint="python", working_dir="/context", remove=True
    )
    expected = {f"./{name}" for name in wanted - {".dockerignore", "Dockerfile"}}
    assert {*seen.decode().split()} == expected
