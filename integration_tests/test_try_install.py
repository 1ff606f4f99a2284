"""What `make try` installs, and from where."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tools.install import uv_environment

PROJECT = Path(__file__).parents[1]
POETRY = PROJECT / ".tools/bin/poetry"
REQUIREMENTS = PROJECT / "tools/requirements.txt"
PIP_CONF = """[global]
index-url = https://user:secret@mirror.example/simple
extra-index-url =
    https://one.example/simple
    https://two.example/simple
trusted-host = mirror.example two.example
timeout = 7
[install]
find-links = /opt/wheels /opt/more
"""


def run(*command: str | Path, **environment: str) -> str:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("PIP_")}
    return subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=120,
        cwd=PROJECT,
        env={**inherited, **environment},
        check=True,
    ).stdout


def test_the_requirements_are_those_of_the_lock() -> None:
    if not POETRY.exists():
        pytest.skip("left out, no Poetry to export with: make installs it into .tools")
    # After a change of the lock, `make requirements` writes them anew.
    assert run(POETRY, "export", "--with", "try") == REQUIREMENTS.read_text()


def test_the_requirements_are_hashes_and_name_no_place_to_install_from() -> None:
    text = REQUIREMENTS.read_text()
    assert "://" not in text
    packages = re.findall(r"^\S.*?(?=^\S|\Z)", text, re.MULTILINE | re.DOTALL)
    assert len(packages) > 50
    assert [package for package in packages if "--hash=sha256:" not in package] == []


def test_what_only_tests_need_is_left_out() -> None:
    names = set(re.findall(r"^([\w.-]+)==", REQUIREMENTS.read_text(), re.MULTILINE))
    assert {"airbyte-cdk", "duckdb", "jinja2", "rich"} <= names
    assert {"airbyte", "pytest", "mypy", "ruff", "docker", "hypothesis"}.isdisjoint(names)


def test_uv_is_told_what_the_configuration_of_pip_says(tmp_path: Path) -> None:
    configuration = tmp_path / "pip.conf"
    configuration.write_text(PIP_CONF)
    listed = run(
        *(sys.executable, "-m", "pip", "config", "list"),
        PIP_CONFIG_FILE=str(configuration),
        # The environment takes precedence, as it does for pip.
        PIP_TIMEOUT="9",
        PIP_CERT="/etc/ssl/mine.pem",
    )
    told = uv_environment(listed.splitlines())
    expected = {
        "UV_DEFAULT_INDEX": "https://user:secret@mirror.example/simple",
        "UV_INDEX": "https://one.example/simple https://two.example/simple",
        "UV_INSECURE_HOST": "mirror.example two.example",
        "UV_FIND_LINKS": "/opt/wheels,/opt/more",
        "UV_HTTP_TIMEOUT": "9",
        "SSL_CERT_FILE": "/etc/ssl/mine.pem",
    }
    # This machine's own configuration may say more.
    assert expected.items() <= told.items()


def test_a_machine_without_such_a_configuration_tells_uv_nothing() -> None:
    assert uv_environment([]) == {}


def test_help_tells_of_every_target() -> None:
    makefile = (PROJECT / "Makefile").read_text()
    (phony,) = re.findall(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)
    shown = run("make", "--silent", "--no-print-directory", "help")
    told = {line.split()[0] for line in shown.splitlines()}
    # `python` is a check that others begin with.
    assert told == {*phony.split()} - {"python"}


def test_an_environment_whose_python_is_gone_is_made_anew(tmp_path: Path) -> None:
    venv = tmp_path / "venv"
    (venv / "bin").mkdir(parents=True)
    (venv / "bin" / "python").symlink_to("/nowhere/python3")
    (venv / "try").touch()
    planned = run("make", "--dry-run", "try", f"VENV={venv}")
    assert f"rm -rf {venv}" in planned
    assert "tools/install.py" in planned


def test_a_python_that_is_too_old_is_told_so_in_a_sentence(tmp_path: Path) -> None:
    old = tmp_path / "python"
    # The version is all that differs: the check itself runs.
    old.write_text(
        f'#!/bin/sh\nexec {sys.executable} -c "import sys; sys.version_info = (3, 9, 18); $2"\n'
    )
    old.chmod(0o755)
    done = subprocess.run(
        ["make", "--silent", "try", f"PYTHON={old}", f"VENV={tmp_path}/venv"],
        capture_output=True,
        text=True,
        timeout=60,
        cwd=PROJECT,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr.splitlines()[0] == (
        f"Python 3.10 to 3.14 is needed, {old} is 3.9: name another, as in PYTHON=python3.12."
    )
    assert len(done.stderr.splitlines()) == 2
    assert not (tmp_path / "venv").exists()


def test_clean_leaves_nothing_that_git_does_not_know(tmp_path: Path) -> None:
    for made in (
        *(".venv/bin/python", ".tools/done", ".try/kustomer.duckdb", "dist/a.whl", "build/a"),
        *(".hypothesis/a", ".ruff_cache/a", ".mypy_cache/a", ".pytest_cache/a", "a.egg-info/b"),
        "tools/tour/__pycache__/a.pyc",
    ):
        (tmp_path / made).parent.mkdir(parents=True)
        (tmp_path / made).touch()
    (tmp_path / "tools/tour/kept.py").touch()
    run("make", "--silent", "--directory", tmp_path, "--makefile", PROJECT / "Makefile", "clean")
    left = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    assert left == {"tools/tour/kept.py"}
