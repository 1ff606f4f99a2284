"""The report: Markdown that a terminal shows as it is, without the account's data."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timezone
from importlib.metadata import PackageNotFoundError, metadata

from tools.contract.observations import Observations
from tools.contract.reading import ANSWERED, SAME, VERDICTS, Row
from tools.contract.replay import command

_DISTRIBUTION = "airbyte-source-kustomer"


def summary(rows: Sequence[Row]) -> str:
    """Count the verdicts in a sentence."""
    counts = {v: sum(row.verdict == v for row in rows) for v in VERDICTS}
    return f"{len(rows)} checks: " + ", ".join(f"{n} {v}" for v, n in counts.items() if n) + "."


def differences(rows: Sequence[Row]) -> str:
    """Return all that is not the same, with what asks for a change in front."""
    shown = [row for row in rows if row.verdict != SAME]
    shown.sort(key=lambda row: (VERDICTS.index(row.verdict), row.is_expected))
    return "\n\n".join(map(_shown, shown))


def markdown(rows: Sequence[Row], seen: Observations, unfinished: str = "") -> str:
    """Return the whole report."""
    (release, _), today = _distribution(), datetime.now(timezone.utc).date()
    address = "Kustomer's own address" if seen.is_kustomer else "the address KUSTOMER_API_URL"
    opened = [each.sample for each in seen.lists.values() if each.first.is_ok]
    closed = [f"{n} ({e.first.outcome})" for n, e in seen.lists.items() if not e.first.is_ok]
    others = f" Lists that did not: {', '.join(closed)}."
    by = f"by version {release} (User-Agent `{_DISTRIBUTION}/{release}`)"
    why = f" Unfinished: {unfinished}." * bool(unfinished)
    paragraphs = [
        "# What Kustomer's API does",
        f"{len(seen.exchanges)} requests to {address} on {today}, {by}." + why,
        f"Lists that opened: {', '.join(opened) or 'none'}." + others * bool(closed),
        f"{summary(rows)} A guess is marked with (?).",
        differences(rows),
        "<details><summary>What is the same</summary>",
        "\n\n".join(_shown(row) for row in rows if row.verdict == SAME),
        "</details>",
        "A sandbox that answers like this, as far as it has switches:",
        f"```console\n{command(rows, seen)}\n```",
        where_to_send(),
    ]
    return "\n\n".join(paragraphs) + "\n"


def where_to_send() -> str:
    """Say where the report goes, and what is not in it."""
    return (
        'Send the report with the form "Contract report" among the project\'s issues'
        f"{_distribution()[1]}. It holds no record, no key, no name of your organization and none "
        "of its custom attributes: read it before you send it."
    )


def _shown(row: Row) -> str:
    how = "as guessed" if row.is_expected else "otherwise than guessed"
    is_guess = row.verdict == ANSWERED and row.check.expected
    verdict = row.verdict + f", {how}" * bool(is_guess)
    return "\n".join([f"**{row.check.title}** (quirk {row.check.quirk}): {verdict}", *_lines(row)])


def _lines(row: Row) -> Iterator[str]:
    """Yield what is expected, what was seen in which sample, and what would show the rest."""
    if row.failure:
        yield f"- the check failed ({row.failure}): please report this"
    wanted = [(" or ".join(values), subject) for subject, values in row.check.expected.items()]
    if row.seen and wanted:
        guess = " (?)" * row.check.is_open
        yield f"- expected: {'; '.join(_grouped(wanted)).replace(' (*)', '')}{guess}"
    seen = [(reading.value, _named(name, reading.sample)) for name, reading in row.seen.items()]
    yield from (f"- seen: {text}" for text in _grouped(seen))
    unseen = [(f"needs {m.needed}", _named(name, m.reason)) for name, m in row.unseen.items()]
    yield from (f"- not observable: {text}" for text in _grouped(unseen))


def _grouped(pairs: Sequence[tuple[str, str]]) -> list[str]:
    groups: dict[str, list[str]] = {}
    for text, subject in pairs:
        groups.setdefault(text, []).append(subject)
    return [f"{text} ({'; '.join(subjects)})" for text, subjects in groups.items()]


def _named(subject: str, text: str) -> str:
    return text if not subject or f" {subject}" in text else f"{subject}: {text}"


def _distribution() -> tuple[str, str]:
    """Return the version, and the project's address in parentheses where it is known."""
    try:
        known = metadata(_DISTRIBUTION)
    except PackageNotFoundError:
        return "unknown", ""
    urls = known.get_all("Project-URL") or []
    return known["Version"], next((f" ({url.rpartition(', ')[2]})" for url in urls), "")
