"""What is published: a wheel and an sdist with the package only, that run without the checkout."""

import json
import os
import subprocess
import sys
import tarfile
import venv
import zipfile
from collections.abc import Iterator
from importlib.metadata import Distribution, distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from sandbox import Sandbox

PROJECT = Path(__file__).parents[1]
PACKAGE = PROJECT / "source_kustomer"
POETRY = PROJECT / ".tools/bin/poetry"

pytestmark = pytest.mark.xdist_group("package")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with what is published."""
    if not POETRY.exists():
        pytest.skip("left out, no Poetry to build with: make installs it into .tools")
    folder = tmp_path_factory.mktemp("dist")
    run(POETRY, "build", "--quiet", "--output", folder, "--project", PROJECT)
    return folder


@pytest.fixture(scope="module")
def wheel(built: Path) -> Path:
    """The wheel."""
    (wheel,) = built.glob("*.whl")
    return wheel


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of programs of an environment with the wheel and what it says that it needs."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, symlinks=True, with_pip=False)
    python = folder / "bin/python"
    run(
        *(sys.executable, "-m", "pip", "--python", python, "install", "--quiet"),
        *("--no-deps", "--no-index", wheel),
    )
    (site_packages,) = folder.glob("lib/*/site-packages")
    for name, path in needed(site_packages):
        if not (site_packages / name).exists():
            (site_packages / name).symlink_to(path)
    return folder / "bin"


def needed(site_packages: Path) -> Iterator[tuple[str, Path]]:
    """Yield what each requirement of the wheel, and each of theirs, has in this environment."""
    (wheel,) = Distribution.discover(name="airbyte-source-kustomer", path=[str(site_packages)])
    wanted, seen = [(wheel, "")], set()
    while wanted:
        of, extra = wanted.pop()
        for requirement in map(Requirement, of.requires or []):
            if requirement.marker and not requirement.marker.evaluate({"extra": extra}):
                continue
            found = distribution(requirement.name)
            assert requirement.specifier.contains(found.version, prereleases=True)
            for wanted_extra in ("", *requirement.extras):
                if (requirement.name, wanted_extra) not in seen:
                    seen.add((requirement.name, wanted_extra))
                    wanted.append((found, wanted_extra))
            for name in {file.parts[0] for file in found.files or []} - {".."}:
                yield name, Path(str(found.locate_file(name)))


def run(*command: str | Path, **environment: str) -> str:
    """Run a program away from the checkout and return what it wrote."""
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=300,
        cwd="/",
        env={**os.environ, **environment},
        check=False,
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    return done.stdout


def package_files() -> set[str]:
    files = [path for path in PACKAGE.rglob("*") if path.is_file()]
    return {str(p.relative_to(PROJECT)) for p in files if "__pycache__" not in p.parts}


def test_given_the_package_then_it_has_what_it_is_read_for() -> None:
    assert {
        "source_kustomer/py.typed",
        "source_kustomer/spec.yaml",
        "source_kustomer/schemas/customers.json",
    } < package_files()


def test_given_the_project_when_built_then_the_wheel_holds_the_package_only(wheel: Path) -> None:
    name = "-".join(wheel.name.split("-")[:2])
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    about = {name for name in names if not name.startswith("source_kustomer/")}
    assert names - about == package_files()
    assert about == {
        f"{name}.dist-info/{file}"
        for file in ("METADATA", "WHEEL", "RECORD", "entry_points.txt", "licenses/LICENSE")
    }


def test_given_the_project_when_built_then_the_sdist_holds_the_package_only(built: Path) -> None:
    (sdist,) = built.glob("*.tar.gz")
    name = sdist.name.removesuffix(".tar.gz")
    with tarfile.open(sdist) as archive:
        names = {n.removeprefix(f"{name}/") for n in archive.getnames()}
    about = {"PKG-INFO", "pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md"}
    assert names == package_files() | about


def test_given_the_wheel_when_installed_then_the_command_describes_itself(installed: Path) -> None:
    (line,) = [
        message
        for message in map(json.loads, run(installed / "source-kustomer", "spec").splitlines())
        if message["type"] == "SPEC"
    ]
    assert line["spec"]["connectionSpecification"]["required"] == ["org_name", "api_key"]


def test_given_the_wheel_when_installed_then_it_discovers_all_streams(
    installed: Path, tmp_path: Path
) -> None:
    with Sandbox(customers=30, conversations=30) as sandbox:
        config = tmp_path / "config.json"
        config.write_text(json.dumps({"org_name": "acme", "api_key": sandbox.key}))
        written = run(
            *(installed / "source-kustomer", "discover", "--config", config),
            KUSTOMER_API_URL=sandbox.url,
        )
    (catalog,) = [m["catalog"] for m in map(json.loads, written.splitlines()) if "catalog" in m]
    assert [stream["name"] for stream in catalog["streams"]] == list(sandbox.counts())


def test_given_the_wheel_when_imported_then_it_is_not_the_checkout(installed: Path) -> None:
    code = "import source_kustomer; print(source_kustomer.__file__)"
    assert Path(run(installed / "python", "-c", code).strip()).is_relative_to(installed.parent)


def test_given_the_wheel_when_a_client_is_type_checked_then_its_types_are_seen(
    installed: Path, tmp_path: Path
) -> None:
    client = tmp_path / "client.py"
    client.write_text(
        "from source_kustomer import SourceKustomer\n"
        "reveal_type(SourceKustomer().raise_exception_on_missing_stream)\n"
        "reveal_type(SourceKustomer().streams)\n"
    )
    written = run(
        *(sys.executable, "-m", "mypy", "--strict", "--follow-imports", "silent"),
        *("--config-file", os.devnull, "--cache-dir", tmp_path),
        *("--python-executable", installed / "python", client),
    )
    assert 'Revealed type is "bool"' in written
    assert "list[airbyte_cdk." in written
