"""Write the generated regions of the documentation: `make docs`, or `python -m docs.tables`."""

import json
import math
import re
import sys
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from source_kustomer.api.prefetch import MOST_AHEAD
from source_kustomer.config import DEFAULT_SHARE
from source_kustomer.errors import CAUSES, WARNINGS
from source_kustomer.schema import METADATA_ROLE
from source_kustomer.streams import STREAMS

PROJECT = Path(__file__).parents[1]
PAGE = PROJECT / "docs" / "integrations" / "sources" / "kustomer.md"
QUERIES = PROJECT / "docs" / "queries"
DBT = PROJECT / "docs" / "dbt" / "sources.yml"
SCHEMAS = PROJECT / "source_kustomer" / "schemas"

# The organization's requests a minute by plan, as Kustomer publishes them.
PLANS = {
    "Professional (legacy)": 300,
    "Business (legacy)": 500,
    "Enterprise": 1000,
    "Ultimate": 2000,
}

_RECORDS_A_PAGE = 100
_SIZES = (10_000, 100_000, 1_000_000, 10_000_000, 50_000_000, 100_000_000)
_HOUR = 60
_DAY = 24 * _HOUR

# What a sentence's details look like to an organization that is called acme.
_EXAMPLE = {
    "organization": "acme",
    "host": "acme.api.kustomerapp.com",
    "stream": "customers",
    "what": "the customers list",
    "role": "org.permission.customer.read",
    "status": "NNN",
    "records": "N",
    "total": "M",
    "before": "N",
    "megabytes": "N",
    "detail": "page N, then page M",
    "said": "",
}

_REGION = re.compile(r"(<!-- begin ([a-z]+): [^\n]* -->\n).*?(<!-- end \2 -->)", re.DOTALL)


def requests_a_minute(limit: int) -> int:
    """Return what the connector uses of a plan's limit if nobody changes the share."""
    return limit * DEFAULT_SHARE // 100


def duration(minutes: float) -> str:
    """Return a duration in the unit that is read most easily."""
    if minutes < 1:
        return "under 1 min"
    if minutes < 2 * _HOUR:
        return f"{math.ceil(minutes)} min"
    if minutes < 2 * _DAY:
        return f"{minutes / _HOUR:.1f} h"
    return f"{minutes / _DAY:.1f} days"


def _table(heads: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    heads = list(heads)
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _folded(summary: str, table: str) -> str:
    return f"<details>\n  <summary>{summary}</summary>\n\n{table}\n\n</details>"


def _text(words: str) -> str:
    """Keep words whole where a page takes some characters for a table, HTML or code."""
    return words.translate({ord(c): f"&#{ord(c)};" for c in "<{}|"})


def _sentence(words: str) -> str:
    return _text(words[0].upper() + words[1:])


_STREAMS = {stream.__name__.lower(): stream for stream in STREAMS}


def _schemas() -> Iterator[tuple[str, Mapping[str, Any]]]:
    for name in _STREAMS:
        yield name, json.loads((SCHEMAS / f"{name}.json").read_text("utf-8"))["properties"]


def _roles() -> str:
    rows = [[f"`{name}`", f"`{stream.role}`"] for name, stream in _STREAMS.items()]
    rows += [["all [custom attributes](#custom-attributes) as columns", f"`{METADATA_ROLE}`"]]
    return _table(["To read", "The key needs the role"], rows)


def _streams() -> str:
    rows = (
        [f"`{name}`", _text(str(it.__doc__)), f"`{it.primary_key}`", str(it.largest_page)]
        for name, it in _STREAMS.items()
    )
    return _table(["Stream", "What it holds", "Primary key", "Records a page"], rows)


def _type(column: Mapping[str, Any]) -> str:
    named = column["type"]
    kind = named if isinstance(named, str) else next(t for t in named if t != "null")
    if kind == "array" and "items" in column:
        return f"array of {_type(column['items'])}s"
    return "timestamp" if column.get("format") == "date-time" else str(kind)


def _columns() -> str:
    folded = []
    for stream, columns in _schemas():
        rows = (
            [f"`{name}`", _type(column), _text(column["description"])]
            for name, column in columns.items()
        )
        table = _table(["Column", "Type", "What it is"], rows)
        folded.append(_folded(f"{stream}: {len(columns)} columns", table))
    return "\n\n".join(folded)


def joins() -> Mapping[tuple[str, str, bool], list[str]]:
    """Return the columns that join one stream to another, by both and whether they are arrays."""
    found = defaultdict(list)
    for name, columns in _schemas():
        for column, schema in columns.items():
            if target := re.search(r"\b[Jj]oins ([a-z]+)\.id\b", schema["description"]):
                found[name, target[1], "array" in schema["type"]].append(column)
    return found


def _diagram() -> str:
    # A record joins one other at most, or any number.
    lines = [
        f'    {stream} }}o--o{"{" if many else "|"} {target} : "{", ".join(columns)}"'
        for (stream, target, many), columns in joins().items()
    ]
    return "\n".join(["```mermaid", "erDiagram", *lines, "```"])


def _joins() -> str:
    rows = (
        [
            ", ".join(f"`{stream}.{column}`" for column in columns),
            f"`{target}.id`",
            "each entry of an array" if many else "one value",
        ]
        for (stream, target, many), columns in joins().items()
    )
    return _table(["Column", "Joins", "By"], rows)


def dbt_sources() -> str:
    """Return a dbt file with each table as a source, and each join by one value as a test."""

    def test(target: str) -> Mapping[str, Any]:
        # A customer who was merged leaves conversations behind, which is no failure.
        arguments = {"to": f"source('kustomer', '{target}')", "field": "id"}
        return {"relationships": {"arguments": arguments, "config": {"severity": "warn"}}}

    targets = {
        (name, column): target
        for (name, target, is_array), columns in joins().items()
        for column in columns
        if not is_array
    }
    tables = [
        {
            "name": name,
            "columns": [
                {"name": "id", "data_tests": ["unique", "not_null"]},
                *(
                    {
                        "name": column,
                        "description": schema["description"],
                        "data_tests": [test(targets[name, column])],
                    }
                    for column, schema in columns.items()
                    if (name, column) in targets
                ),
            ],
        }
        for name, columns in _schemas()
    ]
    source = {"name": "kustomer", "schema": "{{ var('kustomer_schema', 'main') }}"}
    document = {"version": 2, "sources": [{**source, "tables": tables}]}
    written: str = yaml.safe_dump(document, sort_keys=False, width=100)
    return f"# Written by `make docs`.\n{written}"


def _questions() -> str:
    lines = []
    for path in sorted(QUERIES.glob("*.sql")):
        question = path.read_text("utf-8").splitlines()[0].removeprefix("-- ")
        # No link: the page is also read where the repository is not.
        lines.append(f"1. {_text(question)} `{path.name}`")
    return "\n".join(lines)


def _by_plan(first: str, cell: Callable[[int], str]) -> list[str]:
    return [first, *(cell(requests_a_minute(limit)) for limit in PLANS.values())]


def _durations() -> str:
    def of(records: int) -> Callable[[int], str]:
        return lambda pace: duration(records / _RECORDS_A_PAGE / pace)

    heads = ["", *(f"{plan}: {limit:,} a minute" for plan, limit in PLANS.items())]
    rows = [
        _by_plan(f"requests a minute at {DEFAULT_SHARE} %", "{:,}".format),
        *(_by_plan(f"{size:,} records", of(size)) for size in _SIZES),
        _by_plan("a response may take up to", lambda pace: f"{MOST_AHEAD * 60 / pace:.1f} s"),
    ]
    return _table(heads, rows)


def _reach() -> str:
    def within(minutes: int) -> Callable[[int], str]:
        return lambda pace: f"{pace * minutes * _RECORDS_A_PAGE / 1e6:,.1f} million"

    heads = ["Within", *(f"{limit:,} a minute" for limit in PLANS.values())]
    spans = {"1 hour": _HOUR, "8 hours": 8 * _HOUR, "1 day": _DAY, "3 days": 3 * _DAY}
    return _table(heads, (_by_plan(name, within(minutes)) for name, minutes in spans.items()))


def _troubles() -> str:
    rows = []
    for cause in CAUSES:
        problem, _, remedy = cause.sentence.format_map(_EXAMPLE).partition(": ")
        cells = (problem, cause.recognized_by, remedy)
        rows.append([*map(_sentence, cells), f"`{cause.failure_type.value}`"])
    table = _table(["What you read", "Cause", "What to do", "Failure type"], rows)
    return _folded(f"All {len(rows)} messages", table)


def _warnings() -> str:
    sentences = (sentence.format_map(_EXAMPLE).partition(": ") for sentence in WARNINGS.values())
    return _table(
        ["What you read", "What it means"],
        ([_sentence(told), _sentence(meaning)] for told, _, meaning in sentences),
    )


REGIONS: Mapping[str, Callable[[], str]] = {
    "roles": _roles,
    "streams": _streams,
    "columns": _columns,
    "diagram": _diagram,
    "joins": _joins,
    "questions": _questions,
    "durations": _durations,
    "reach": _reach,
    "troubles": _troubles,
    "warnings": _warnings,
}


def generated(page: str) -> str:
    """Return the page with every generated region as the code has it today."""
    return _REGION.sub(lambda m: f"{m[1]}\n{REGIONS[m[2]]()}\n\n{m[3]}", page)


def regions(page: str) -> list[str]:
    """Return the names of the page's generated regions."""
    return [match[2] for match in _REGION.finditer(page)]


def main() -> int:
    """Write the page and the file for dbt anew."""
    PAGE.write_text(generated(PAGE.read_text("utf-8")), "utf-8")
    DBT.write_text(dbt_sources(), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
