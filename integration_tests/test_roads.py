"""The roads of the README, as they can be pasted, and the file for dbt."""

import os
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
import yaml

from docs.tables import DBT, dbt_sources, joins
from sandbox import LISTS, Sandbox

pytest_plugins = ["integration_tests.database_fixtures"]

PROJECT = Path(__file__).parents[1]
README = (PROJECT / "README.md").read_text("utf-8")


def blocks(language: str) -> list[str]:
    """Return the README's blocks of code in a language."""
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def test_the_commands_of_the_readme_are_no_longer_than_can_be_read_and_parse() -> None:
    for commands in blocks("console"):
        assert len(commands.splitlines()) < 10
        subprocess.run(["sh", "-n"], input=commands, text=True, check=True)


def test_the_images_of_the_readme_are_tagged_with_the_version() -> None:
    metadata = yaml.safe_load((PROJECT / "metadata.yaml").read_text("utf-8"))["data"]
    tags = re.findall(r"source-kustomer:(\S+)", README)
    assert {*tags} == {metadata["dockerImageTag"]}


def test_the_places_that_the_readme_names_are_those_of_make_try() -> None:
    programs = re.findall(r"`(\.venv/bin/\S+?)[ `]", README)
    # A checkout may have its environment elsewhere: the programs beside this one are what counts.
    assert {*map(os.path.basename, programs)} == {"source-kustomer", "python"}
    assert all((Path(sys.executable).parent / Path(name).name).exists() for name in programs)


def test_the_file_for_dbt_is_current_and_has_each_join_by_one_value_as_a_test() -> None:
    assert DBT.read_text("utf-8") == dbt_sources(), "run `make docs`"
    (source,) = yaml.safe_load(dbt_sources())["sources"]
    assert [table["name"] for table in source["tables"]] == list(LISTS)
    tested = {
        (table["name"], column["name"], test["relationships"]["arguments"]["to"])
        for table in source["tables"]
        for column in table["columns"]
        for test in column["data_tests"]
        if isinstance(test, dict)
    }
    assert tested == {
        (name, column, f"source('kustomer', '{target}')")
        for (name, target, is_array), columns in joins().items()
        for column in columns
        if not is_array
    }


# PyAirbyte and what it builds upon warn of their own matters.
@pytest.mark.filterwarnings("ignore")
@pytest.mark.xdist_group("databases")
@pytest.mark.skipif(find_spec("airbyte") is None, reason="PyAirbyte needs Python 3.11 or 3.12")
def test_the_readme_leads_from_python_into_postgresql(
    airbyte_folder: Path, postgres: str, tmp_path: Path
) -> None:
    import psycopg

    example, into_postgresql = blocks("python")
    # The tests' server listens on a socket only, which PGHOST names.
    local = into_postgresql.replace('"localhost"', '""').replace('"me"', '"postgres"')
    with Sandbox(customers=120, conversations=5) as sandbox:
        environment = {
            **os.environ,
            "KUSTOMER_API_KEY": sandbox.key,
            "KUSTOMER_API_URL": sandbox.url,
            "PGPASSWORD": "any",
            "PGHOST": postgres,
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        }
        done = subprocess.run(
            [sys.executable, "-c", example + local],
            capture_output=True,
            text=True,
            timeout=300,
            cwd=tmp_path,
            env=environment,
            check=False,
        )
    assert done.returncode == 0, done.stderr[-4000:]
    assert "120 entries" in done.stdout
    with psycopg.connect(host=postgres, user="postgres") as connection:
        assert connection.execute("SELECT count(*) FROM kustomer.customers").fetchall() == [(120,)]
