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

from sandbox import LISTS, Sandbox

PROJECT = Path(__file__).parents[1]
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
    wanted, seen = [(wheel, "")], set[tuple[str, str]]()
    while wanted:
        of, extra = wanted.pop()
        for requirement in map(Requirement, of.requires or []):
            if requirement.marker and not requirement.marker.evaluate({"extra": extra}):
                continue
            found = distribution(requirement.name)
            assert requirement.specifier.contains(found.version, prereleases=True)
            new = {(requirement.name, wanted) for wanted in ("", *requirement.extras)} - seen
            seen |= new
            wanted += [(found, extra) for _, extra in new]
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
    files = [path for path in (PROJECT / "source_kustomer").rglob("*") if path.is_file()]
    return {str(p.relative_to(PROJECT)) for p in files if "__pycache__" not in p.parts}


def test_given_the_project_when_built_then_the_wheel_holds_the_package_only(wheel: Path) -> None:
    about = "-".join(wheel.name.split("-")[:2]) + ".dist-info"
    with zipfile.ZipFile(wheel) as archive:
        assert set(archive.namelist()) == package_files() | {
            f"{about}/{file}"
            for file in ("METADATA", "WHEEL", "RECORD", "entry_points.txt", "licenses/LICENSE")
        }


def test_given_the_project_when_built_then_the_sdist_holds_the_package_only(built: Path) -> None:
    (sdist,) = built.glob("*.tar.gz")
    about = {"PKG-INFO", "pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md"}
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert names == package_files() | about


def test_given_the_wheel_when_installed_then_it_discovers_all_streams_without_the_checkout(
    installed: Path, tmp_path: Path
) -> None:
    code = "import source_kustomer; print(source_kustomer.__file__)"
    assert Path(run(installed / "python", "-c", code).strip()).is_relative_to(installed.parent)
    with Sandbox(customers=30, conversations=30) as sandbox:
        config = tmp_path / "config.json"
        config.write_text(json.dumps({"org_name": "acme", "api_key": sandbox.key}))
        written = run(
            *(installed / "source-kustomer", "discover", "--config", config),
            KUSTOMER_API_URL=sandbox.url,
        )
    (catalog,) = [m["catalog"] for m in map(json.loads, written.splitlines()) if "catalog" in m]
    assert [stream["name"] for stream in catalog["streams"]] == list(LISTS)


def test_given_the_wheel_when_a_client_is_type_checked_then_its_types_are_seen(
    installed: Path, tmp_path: Path
) -> None:
    client, settings = tmp_path / "client.py", tmp_path / "mypy.ini"
    client.write_text(
        "from source_kustomer import SourceKustomer\nreveal_type(SourceKustomer().streams)\n"
    )
    # Ours only: to look through the CDK takes a minute.
    settings.write_text(
        "[mypy]\nstrict = True\nfollow_imports = skip\n"
        "[mypy-source_kustomer.*]\nfollow_imports = silent\n"
    )
    written = run(
        *(sys.executable, "-m", "mypy", "--config-file", settings, "--cache-dir", tmp_path),
        *("--python-executable", installed / "python", client),
    )
    assert "def (config: typing.Mapping[str, Any]) -> " in written
