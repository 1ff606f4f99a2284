"""What `make try` installs, and from where."""

import os
import re
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

from tools.install import explanation, uv_environment

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


def ended(
    *command: str | Path, text: str = "", **environment: str
) -> "subprocess.CompletedProcess[str]":
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("PIP_")}
    return subprocess.run(
        command,
        input=text,
        capture_output=True,
        text=True,
        timeout=120,
        cwd=PROJECT,
        env={**inherited, **environment},
        check=False,
    )


def run(*command: str | Path, text: str = "", **environment: str) -> str:
    done = ended(*command, text=text, **environment)
    assert done.returncode == 0, done.stderr
    return done.stdout


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
    assert uv_environment([]) == {}


def test_a_machine_without_a_network_is_told_so_in_a_sentence(tmp_path: Path) -> None:
    download = (sys.executable, "-m", "pip", "download", "--no-deps", "--dest", tmp_path, "uv")
    unreachable = {"PIP_INDEX_URL": "http://127.0.0.1:9/simple", "PIP_RETRIES": "1"}
    done = ended(*download, **unreachable, PIP_CONFIG_FILE=os.devnull, NO_PROXY="127.0.0.1")
    assert explanation(done.stdout + done.stderr).startswith("The package index, needed once")
    assert explanation("error: dns error: no such host").count(".") == 1
    assert explanation("No space left on device") == "No space left on device"


def test_make_sql_answers_with_all_rows_from_the_accounts_database_or_else_the_sandboxs(
    tmp_path: Path,
) -> None:
    for name in (".venv/try", ".try/kustomer.duckdb", ".try/sandbox/kustomer.duckdb"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / ".venv/try").touch()
    (tmp_path / ".venv/bin").symlink_to(Path(sys.executable).parent)
    makefile = "--makefile", PROJECT / "Makefile", "--old-file", ".venv/try"
    ask: list[str | Path] = ["make", "--silent", "--directory", tmp_path, *makefile, "sql"]
    assert (
        ended(*ask).stdout == "There is no .try/sandbox/kustomer.duckdb yet: make try writes it.\n"
    )
    for rows, folder in ((154, "sandbox"), (155, "")):
        with duckdb.connect(tmp_path / ".try" / folder / "kustomer.duckdb") as connection:
            connection.execute(f"CREATE TABLE numbers AS FROM range({rows}) AS numbers(number)")
    for rows in (154, 155):
        csv = run(*ask, "ARGS=-csv", text="FROM numbers;")
        assert csv.split() == ["number", *map(str, range(rows))]
        assert run(*ask, text="FROM numbers;").count("\n") > rows
        (tmp_path / "secrets").mkdir(exist_ok=True)
        (tmp_path / "secrets" / "config.json").touch()


def test_help_tells_of_every_target() -> None:
    makefile = (PROJECT / "Makefile").read_text()
    (phony,) = re.findall(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)
    shown = run("make", "--silent", "--no-print-directory", "help")
    told = {line.split()[0] for line in shown.splitlines()[:-1]}
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
    done = ended("make", "--silent", "try", f"PYTHON={old}", f"VENV={tmp_path}/venv")
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
