"""The report: as text for a terminal and as Markdown for an issue, without the account's data."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timezone
from importlib.metadata import PackageNotFoundError, metadata

from tools.contract import replay
from tools.contract.observations import Observations
from tools.contract.reading import ANSWERED, SAME, VERDICTS, Row

_DISTRIBUTION = "airbyte-source-kustomer"


def summary(rows: Sequence[Row]) -> str:
    """Count the verdicts in a sentence."""
    counts = {v: sum(row.verdict == v for row in rows) for v in VERDICTS}
    return f"{len(rows)} checks: " + ", ".join(f"{n} {v}" for v, n in counts.items() if n) + "."


def text(rows: Sequence[Row]) -> Iterator[str]:
    """Yield the rows for a terminal of any width; those that are the same by their title only."""
    for row in _ordered(rows):
        if row.verdict != SAME:
            expected = f"\n  expected: {_expected(row)}" * bool(row.seen and row.check.expected)
            title = f"{row.check.title} (quirk {row.check.quirk})"
            seen = "\n        ".join(_seen(row))
            yield f"\n{_verdict(row).upper()}: {title}{expected}\n  seen: {seen}"
    yield "\nSAME: " + "; ".join(row.check.title for row in rows if row.verdict == SAME)


def markdown(rows: Sequence[Row], observed: Observations, unfinished: str = "") -> str:
    """Return the report as Markdown."""
    address = "Kustomer's own address" if observed.is_kustomer else "the address KUSTOMER_API_URL"
    release, today = _distribution()[0], datetime.now(timezone.utc).date()
    by = f"by version {release} (User-Agent `{_DISTRIBUTION}/{release}`)"
    opened = [each.sample for each in observed.lists.values() if each.first.is_ok]
    closed = [f"{n} ({e.first.outcome})" for n, e in observed.lists.items() if not e.first.is_ok]
    shown = _ordered(rows)
    paragraphs = [
        "# What Kustomer's API does",
        f"{len(observed.exchanges)} requests to {address} on {today}, {by}.",
        f"Unfinished: {unfinished}." if unfinished else "",
        f"Lists that opened: {', '.join(opened) or 'none'}.",
        f"Lists that did not: {', '.join(closed)}." if closed else "",
        summary(rows),
        _table(row for row in shown if row.verdict != SAME),
        "<details><summary>What is the same</summary>",
        _table(row for row in shown if row.verdict == SAME),
        "</details>",
        "A sandbox that answers like this, as far as it has switches:",
        f"```console\n{replay.command(rows, observed)}\n```",
        where_to_send(),
    ]
    return "\n\n".join(filter(None, paragraphs)) + "\n"


def where_to_send() -> str:
    """Say where the report goes, and what is not in it."""
    _, address = _distribution()
    return (
        f'Send the report with the form "Contract report" among the project\'s issues{address}. It '
        "holds no record, no key, no name of your organization and none of its custom attributes: "
        "read it before you send it."
    )


def _ordered(rows: Sequence[Row]) -> list[Row]:
    return sorted(rows, key=lambda row: (VERDICTS.index(row.verdict), row.is_expected))


def _verdict(row: Row) -> str:
    """Return the verdict, and of an open question whether the guess was right."""
    is_guess = row.verdict == ANSWERED and row.check.expected
    return row.verdict + (f", {'as guessed' if row.is_expected else 'otherwise'}" * bool(is_guess))


def _expected(row: Row) -> str:
    by_value: dict[str, list[str]] = {}
    for subject, values in row.check.expected.items():
        by_value.setdefault(" or ".join(values), []).append(subject)
    texts = [f"{v} ({', '.join(names)})".removesuffix(" (*)") for v, names in by_value.items()]
    return "; ".join(texts) + " (?)" * (row.check.is_open and bool(texts))


def _seen(row: Row) -> list[str]:
    """Return what was seen, and in which sample; what was not, and what would show it."""
    if row.failure:
        return [f"the check failed ({row.failure}): please report this"]
    values, needs = dict[str, list[str]](), dict[str, list[str]]()
    for subject, reading in row.seen.items():
        values.setdefault(reading.value, []).append(_named(subject, reading.sample))
    for subject, missing in row.unseen.items():
        needs.setdefault(missing.needed, []).append(_named(subject, missing.reason))
    return [f"{value} ({'; '.join(samples)})" for value, samples in values.items()] + [
        f"not observable: {'; '.join(reasons)} (needs {needed})"
        for needed, reasons in needs.items()
    ]


def _named(subject: str, text: str) -> str:
    return text if not subject or f" {subject}" in text else f"{subject}: {text}"


def _table(rows: Iterator[Row]) -> str:
    lines = ["| Quirk | What | Expected, (?) guessed | Seen, and in what | Verdict |"]
    lines += ["| --- | --- | --- | --- | --- |"]
    for row in rows:
        seen = "<br>".join(_seen(row))
        cells = (row.check.title, _expected(row), seen, _verdict(row))
        lines.append(f"| {row.check.quirk} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _distribution() -> tuple[str, str]:
    """Return the version, and the project's address in parentheses where it is known."""
    try:
        known = metadata(_DISTRIBUTION)
    except PackageNotFoundError:
        return "unknown", ""
    urls = known.get_all("Project-URL") or []
    return known["Version"], next((f" ({url.rpartition(', ')[2]})" for url in urls), "")
