"""The sandbox that answers as an account did, as a command line."""

from collections.abc import Iterator, Sequence

from tools.contract.observations import CAP, Observations
from tools.contract.reading import Row


def command(rows: Sequence[Row], seen: Observations) -> str:
    """Return a command that takes the report's values as they stand."""
    words = [*_lists(seen), *dict.fromkeys(_switches(rows, seen))]
    return " ".join([".venv/bin/python -m sandbox", *words])


def unknown(rows: Sequence[Row]) -> list[str]:
    """Return the checks that saw what the sandbox cannot answer."""
    return [
        f"{row.check.title} ({seen.value})" + f", {subject}" * bool(subject)
        for row in rows
        if row.check.switches
        for subject, seen in row.seen.items()
        if not row.check.takes(subject, seen.value) and seen.value not in row.check.switches
    ]


def _lists(seen: Observations) -> Iterator[str]:
    for name, each in seen.lists.items():
        if not each.first.is_ok:
            yield f"--closed {name}"
            continue
        records = {i for page in (*each.numbered.values(), each.second, *each.walked)
                   for i in page.ids}
        at_cap = -(-CAP // max(1, each.size))
        yield f"--{name} {CAP + 50 if each.has_new(at_cap) and at_cap > 1 else len(records)}"
    if any(came.status in {401, 403} for came in seen.metadata.values()):
        yield "--closed metadata"


def _switches(rows: Sequence[Row], seen: Observations) -> Iterator[str]:
    values = {(row.check.title, name): s.value for row in rows for name, s in row.seen.items()}
    limit = values.get(("The limit", ""), "")
    if limit.isdigit():
        yield f"--limit {limit}"
    if values.get(("How the minute is counted", "")) == "fixed":
        yield "--window fixed"
    for row in rows:
        for reading in row.seen.values():
            if reading.value in row.check.switches:
                yield f"--switch {row.check.switches[reading.value]}"
    if cursors := "+".join(name for name, each in seen.lists.items() if each.is_by_cursor):
        yield f"--switch cursors={cursors}"
    told = {name for name in seen.lists if values.get(("Totals", name)) == "total"}
    if told != {"customers"} and (told or "customers" in seen.lists):
        yield f"--switch totals={'all' if told else 'none'}"
    for title, name, size in (
        ("The largest page", "users", "largest_page"),
        ("The page size without pageSize", "customers", "default_page"),
    ):
        if values.get((title, name)) == "100":
            yield f"--switch {size}=100"
    if sorts := [n for n in ("customers", "conversations") if "desc" in values.get(("sort=desc", n), "")]:
        yield f"--switch sort={'all' if len(sorts) == 2 else sorts[0]}"
    yield from _headers(values)


def _headers(values: dict[tuple[str, str], str]) -> Iterator[str]:
    """Yield the switches of the limit's headers, of those kinds of responses that came."""
    title = "Rate-limit headers by response"
    carried = {kind: value != "neither" for (t, kind), value in values.items() if t == title}
    success = [there for kind, there in carried.items() if not kind.isdigit()]
    errors = [there for kind, there in carried.items() if kind.isdigit() and kind != "429"]
    if success and not all(success):
        yield f"--switch rate_headers={'exceeded' if carried.get('429') else 'never'}"
    elif errors and not any(errors):
        yield "--switch rate_headers=success"
    forms = {kind: v for (t, kind), v in values.items() if t == "x-ratelimit-reset by response"}
    if any(v != "none" for kind, v in forms.items() if kind != "429"):
        yield "--switch reset_when=always"
    reset = {"epoch milliseconds": "milliseconds", "an ISO date": "iso"}
    for form in forms.values():
        if form in reset:
            yield f"--switch reset={reset[form]}"
    if forms.get("429") == "none" and carried.get("429"):
        yield "--switch reset=none"
    after = {"seconds": "seconds", "a date": "date"}.get(values.get(("A 429", "Retry-After"), ""))
    if after:
        yield f"--switch retry_after={after}"
