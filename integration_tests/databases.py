"""Databases that PyAirbyte loads into, and what is asked of them.

PyAirbyte and the databases are installed for some Pythons only, and PyAirbyte reads its environment
when it is imported: all of it is imported where it is used.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from sandbox import Sandbox

if TYPE_CHECKING:
    from airbyte import Source
    from airbyte.caches.base import CacheBase

Rows = list[tuple[Any, ...]]

DATABASES = ("duckdb", "postgresql")

_FAMILIES = {
    "character varying": "text",
    "varchar": "text",
    "bigint": "integer",
    "numeric": "number",
    "decimal(38,9)": "number",
    "boolean": "boolean",
    "json": "json",
    # PyAirbyte declares no zone, whatever the schema says; what it writes is UTC.
    "timestamp": "timestamp",
    "timestamp without time zone": "timestamp",
}


def skip_without_pyairbyte() -> None:
    """Skip the module that is being imported where PyAirbyte cannot be installed."""
    if find_spec("airbyte") is None:
        pytest.skip(
            "left out, PyAirbyte can be installed on Python 3.11 and 3.12 only",
            allow_module_level=True,
        )


@dataclass(frozen=True)
class DuckDB:
    """A DuckDB file."""

    path: Path
    schema: str = "main"

    def cache(self) -> CacheBase:
        """Return the file as PyAirbyte's cache."""
        from airbyte.caches import DuckDBCache

        return DuckDBCache(db_path=self.path, cache_dir=self.path.parent)

    def rows(self, query: str) -> Rows:
        """Run a query."""
        import duckdb

        with duckdb.connect(self.path) as connection:
            return connection.execute(query).fetchall()


@dataclass(frozen=True)
class PostgreSQL:
    """A schema on a PostgreSQL server that listens on a socket."""

    socket: str
    folder: Path
    schema: str

    def cache(self) -> CacheBase:
        """Return the schema as PyAirbyte's cache."""
        from airbyte.caches import PostgresCache

        # A URL has no place for a socket's folder: without a host, PGHOST names it.
        return PostgresCache(
            host="",
            port=5432,
            username="postgres",
            password="",
            database="postgres",
            schema_name=self.schema,
            cache_dir=self.folder,
        )

    def rows(self, query: str) -> Rows:
        """Run a query."""
        import psycopg

        with psycopg.connect(
            host=self.socket, user="postgres", options=f"-c search_path={self.schema}"
        ) as connection:
            return connection.execute(query.encode()).fetchall()


# An empty place in a database, until something is loaded.
Database = DuckDB | PostgreSQL
NewDatabase = Callable[[str], Database]
NewSource = Callable[[str, Sandbox], "Source"]


def load(source: Source, database: Database, *streams: str) -> None:
    """Read streams, or all, into a database in place of what it had of them."""
    with database.cache() as cache:
        # By itself PyAirbyte merges by primary key, and what was deleted at Kustomer would stay.
        source.read(
            cache, streams=[*streams] or "*", write_strategy="replace", force_full_refresh=True
        )


def ids(database: Database, table: str) -> list[str]:
    """Return a table's ids, in order."""
    return sorted(identifier for (identifier,) in database.rows(f"SELECT id FROM {table}"))


def types(database: Database, table: str) -> dict[str, str]:
    """Return the family of each column's type, by the database's own catalog."""
    found = database.rows(
        "SELECT column_name, data_type FROM information_schema.columns "
        f"WHERE table_schema = '{database.schema}' AND table_name = '{table}'"
    )
    return {name: _FAMILIES[data_type.lower()] for name, data_type in found}
