"""The report: as text for a terminal and as Markdown for an issue, without the account's data."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timezone
from importlib.metadata import PackageNotFoundError, metadata, version

from tools.contract import replay
from tools.contract.observations import Observations
from tools.contract.reading import ANSWERED, NOT_OBSERVABLE, SAME, VERDICTS, Row

_DISTRIBUTION = "airbyte-source-kustomer"

WHERE_TO_SEND = (
    'Send this report with the form "Contract report" among the project\'s issues{address}. It '
    "holds no record, no key, no name of your organization and none of its custom attributes; read "
    "it before you send it."
)


def expected(row: Row) -> str:
    """Return what is expected; (?) marks a guess."""
    by_value: dict[str, list[str]] = {}
    for subject, values in row.check.expected.items():
        by_value.setdefault(" or ".join(values), []).append(subject)
    texts = [
        value if subjects == ["*"] else f"{value} ({', '.join(s for s in subjects if s != '*')})"
        for value, subjects in by_value.items()
    ]
    return "; ".join(texts) + " (?)" * (row.check.is_open and bool(texts))


def seen(row: Row) -> str:
    """Return what was seen, and in which sample; what was not, and what would show it."""
    if row.failure:
        return f"the check failed ({row.failure}): please report this"
    values: dict[str, list[str]] = {}
    for subject, reading in row.seen.items():
        named = f"{subject}: {reading.sample}" if subject else reading.sample
        values.setdefault(reading.value, []).append(named if subject not in named.split()[1:] else reading.sample)
    reasons: dict[str, list[str]] = {}
    for subject, missing in row.unseen.items():
        reasons.setdefault(f"{missing.reason}; needs {missing.needed}", []).append(subject)
    texts = [f"{value} ({', '.join(names)})" for value, names in values.items()]
    texts += [
        f"not observable{': ' * any(names)}{', '.join(names)} ({reason})"
        for reason, names in reasons.items()
    ]
    return "; ".join(texts)


def verdict(row: Row) -> str:
    """Return the verdict, and of an open question whether the guess was right."""
    if row.verdict != ANSWERED or not row.check.expected:
        return row.verdict
    return f"{ANSWERED}, {'as guessed' if row.is_expected else 'otherwise'}"


def ordered(rows: Sequence[Row]) -> list[Row]:
    """Return the rows with those in front that ask for a change."""
    return sorted(rows, key=lambda row: (VERDICTS.index(row.verdict), row.is_expected))


def summary(rows: Sequence[Row]) -> str:
    """Count the verdicts in a sentence."""
    counts = {v: sum(row.verdict == v for row in rows) for v in VERDICTS}
    return f"{len(rows)} checks: " + ", ".join(f"{n} {v}" for v, n in counts.items() if n) + "."


def text(rows: Sequence[Row]) -> Iterator[str]:
    """Yield the rows for a terminal of any width; those that are the same by their title only."""
    for row in ordered(rows):
        if row.verdict == SAME:
            continue
        yield f"\n{verdict(row).upper()}: {row.check.title} (quirk {row.check.quirk})"
        if row.verdict != NOT_OBSERVABLE and row.check.expected:
            yield f"  expected: {expected(row)}"
        yield f"  seen: {seen(row)}"
    yield "\nSAME: " + "; ".join(row.check.title for row in rows if row.verdict == SAME)


def markdown(rows: Sequence[Row], observed: Observations, unfinished: str = "") -> str:
    """Return the report as Markdown."""
    address = "Kustomer's own address" if observed.is_kustomer else "the address KUSTOMER_API_URL"
    release, today = _version(), datetime.now(timezone.utc).date()
    readable = [each.sample for each in observed.lists.values() if each.first.is_ok]
    closed = [
        f"{name} ({each.first.outcome})"
        for name, each in observed.lists.items()
        if not each.first.is_ok
    ]
    shown = ordered(rows)
    cannot = replay.unknown(rows)
    lines = [
        "# What Kustomer's API does",
        "",
        f"{len(observed.exchanges)} requests to {address} on {today}, by version {release} "
        f"(User-Agent `{_DISTRIBUTION}/{release}`).",
        "",
        f"Lists that opened: {', '.join(readable) or 'none'}."
        + f" Lists that did not: {', '.join(closed)}." * bool(closed),
        "",
        *((f"Unfinished: {unfinished}", "") if unfinished else ()),
        summary(rows),
        "",
        *_table([row for row in shown if row.verdict != SAME]),
        "",
        "<details><summary>What is the same</summary>",
        "",
        *_table([row for row in shown if row.verdict == SAME]),
        "",
        "</details>",
        "",
        "A sandbox that answers like this:",
        "",
        "```console",
        replay.command(rows, observed),
        "```",
        "",
        *((f"It has no switch for: {'; '.join(cannot)}.", "") if cannot else ()),
        where_to_send(),
        "",
    ]
    return "\n".join(lines)


def where_to_send() -> str:
    """Say where the report goes, and what is not in it."""
    try:
        urls = metadata(_DISTRIBUTION).get_all("Project-URL") or []
    except PackageNotFoundError:
        urls = []
    address = next((f" ({url.rpartition(', ')[2]})" for url in urls), "")
    return WHERE_TO_SEND.format(address=address)


def _table(rows: Sequence[Row]) -> Iterator[str]:
    yield "| Quirk | What | Expected, (?) guessed | Seen, and in what | Verdict |"
    yield "| --- | --- | --- | --- | --- |"
    for row in rows:
        cells = (str(row.check.quirk), row.check.title, expected(row), seen(row), verdict(row))
        yield f"| {' | '.join(cells)} |"


def _version() -> str:
    try:
        return version(_DISTRIBUTION)
    except PackageNotFoundError:
        return "unknown"
