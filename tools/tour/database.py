"""What arrived, as typed tables of a DuckDB file."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb
import orjson

from tools.tour.connector import Stream

# The column that Airbyte's destinations add: when a record was read.
EXTRACTED_AT = "_airbyte_extracted_at"

_TYPES = {"string": "VARCHAR", "integer": "BIGINT", "number": "DOUBLE", "boolean": "BOOLEAN"}


@dataclass(frozen=True)
class Table:
    """What a table holds: records, how many of its columns have a value, and from when to when."""

    name: str
    records: int
    columns: int
    filled: int
    first: datetime | None
    last: datetime | None


class Database:
    """A DuckDB file with a table for each stream."""

    def __init__(self, path: Path, streams: Iterable[Stream]) -> None:
        self.connection = duckdb.connect(path)
        self.connection.execute("SET TimeZone = 'UTC'")
        self._columns = {
            stream["name"]: column_types(stream["json_schema"]["properties"]) for stream in streams
        }

    def close(self) -> None:
        """Close the file; what was not committed is not in it."""
        self.connection.close()

    def prepare(self) -> None:
        """Make the tables that are not there yet, as discover declares them."""
        for name, columns in self._columns.items():
            declared = ", ".join(f"{quoted(column)} {kind}" for column, kind in columns.items())
            self.connection.execute(f"CREATE TABLE IF NOT EXISTS {quoted(name)} ({declared})")

    def load(self, stream: str, records: Sequence[Mapping[str, Any]]) -> None:
        """Add records, each in place of one with the same id."""
        # One line of JSON a record, and all that is typed happens in DuckDB: a fifth of the time
        # of a statement with values. What does not fit its type becomes null.
        lines = {record["id"]: orjson.dumps(record).decode() for record in records}
        table = quoted(stream)
        structure = json.dumps(self._columns[stream]).replace("'", "''")
        delete = f"DELETE FROM {table} WHERE id IN (SELECT unnest(?::VARCHAR[]))"  # noqa: S608
        insert = (
            f"INSERT INTO {table} SELECT unnest(from_json(line, '{structure}')) "  # noqa: S608
            "FROM (SELECT unnest(?::VARCHAR[]) AS line)"
        )
        self.connection.begin()
        self.connection.execute(delete, [list(lines)])
        self.connection.execute(insert, [list(lines.values())])
        self.connection.commit()

    def replace_tables(self, path: Path, closed: Iterable[str]) -> None:
        """Take over the tables of another file, and drop those of lists that are closed."""
        # In one transaction; whatever else is in this file stays.
        file = str(path).replace("'", "''")
        self.connection.execute(f"ATTACH '{file}' AS arrived (READ_ONLY)")
        self.connection.begin()
        for table in map(quoted, self._columns):
            self.connection.execute(f"CREATE OR REPLACE TABLE {table} AS FROM arrived.{table}")
        for name in {*closed} - {*self._columns}:
            self.connection.execute(f"DROP TABLE IF EXISTS {quoted(name)}")
        self.connection.commit()

    def tables(self) -> Iterator[Table]:
        for name, columns in self._columns.items():
            counts = ", ".join(f"count({quoted(column)})" for column in columns)
            span = "min(createdAt), max(createdAt)" if "createdAt" in columns else "NULL, NULL"
            query = f"SELECT count(*), {span}, {counts} FROM {quoted(name)}"  # noqa: S608
            ((records, first, last, *filled),) = self.connection.execute(query).fetchall()
            yield Table(name, records, len(columns), sum(map(bool, filled)), first, last)


def column_types(properties: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """Return the columns of a JSON schema with their types in DuckDB."""
    # Names that differ only in case are one for DuckDB.
    names = {EXTRACTED_AT: ""}
    for name in properties:
        names.setdefault(name.lower(), name)
    columns = {name: _type(properties[name]) for name in names.values() if name}
    return {**columns, EXTRACTED_AT: "TIMESTAMPTZ"}


def quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _type(schema: Mapping[str, Any]) -> str:
    named = schema["type"]
    kinds = [kind for kind in ([named] if isinstance(named, str) else named) if kind != "null"]
    if len(kinds) == 1 and schema.get("format") == "date-time":
        return "TIMESTAMPTZ"
    return _TYPES.get(kinds[0], "JSON") if len(kinds) == 1 else "JSON"
