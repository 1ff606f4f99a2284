"""The report: Markdown that a terminal shows as it is, without the account's data."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timezone

from source_kustomer import __version__
from source_kustomer.api.transport import USER_AGENT
from tools.contract.asking import Seen
from tools.contract.checks import ANSWERED, SAME, VERDICTS, Row
from tools.contract.observations import CAP, Observations

WHERE_TO_SEND = (
    'Send the report with the form "Contract report" among the project\'s issues. It holds no '
    "record, no key, no name of your organization and none of its custom attributes: read it "
    "before you send it."
)


def summary(rows: Sequence[Row]) -> str:
    counts = {v: sum(row.verdict == v for row in rows) for v in VERDICTS}
    return f"{len(rows)} checks: " + ", ".join(f"{n} {v}" for v, n in counts.items() if n) + "."


def differences(rows: Sequence[Row]) -> str:
    """Return all that is not the same, with what asks for a change in front."""
    shown = [row for row in rows if row.verdict != SAME]
    shown.sort(key=lambda row: (VERDICTS.index(row.verdict), row.is_expected))
    return "\n\n".join(map(_shown, shown))


def markdown(rows: Sequence[Row], seen: Observations, unfinished: str = "") -> str:
    today = datetime.now(timezone.utc).date()
    address = "Kustomer's own address" if seen.is_kustomer else "the address KUSTOMER_API_URL"
    opened = [each.sample for each in seen.lists.values() if each.first.is_ok]
    closed = [f"{n} ({e.first.outcome})" for n, e in seen.lists.items() if not e.first.is_ok]
    others = f" Lists that did not: {', '.join(closed)}."
    by = f"by version {__version__} (User-Agent `{USER_AGENT}`)"
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
        f"```console\n{_command(rows, seen)}\n```",
        WHERE_TO_SEND,
    ]
    return "\n\n".join(paragraphs) + "\n"


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


def _command(rows: Sequence[Row], seen: Observations) -> str:
    """Return the command of a sandbox that answers as the account did."""
    readings = {row.check.title: row.seen for row in rows}
    switches = [
        row.check.switches[reading.value]
        for row in rows
        for reading in row.seen.values()
        if reading.value in row.check.switches
    ]
    switches += [*_lists(seen), *_limit(readings)]
    minutes = [reading.value for reading in readings["How the minute is counted"].values()]
    window = ["--window fixed"] * ("fixed" in minutes)
    options = [*_options(seen), *window, *(f"--switch {s}" for s in dict.fromkeys(switches))]
    return " ".join([".venv/bin/python -m sandbox", *options])


def _options(seen: Observations) -> Iterator[str]:
    for name, each in seen.lists.items():
        is_long = each.at_cap > 1 and each.has_new(each.at_cap)
        size = f"--{name} {CAP + 50 if is_long else each.sample.split()[0]}"
        yield f"--closed {name}" if each.first.is_refused else size
    if any(came.is_refused for came in seen.metadata.values()):
        yield "--switch metadata=closed"
    if limits := [n for e in seen.exchanges if (n := e.header("x-ratelimit-limit"))]:
        yield f"--limit {limits[-1]}"


def _lists(seen: Observations) -> Iterator[str]:
    opened = {name: each for name, each in seen.lists.items() if each.first.is_ok}
    if cursors := [name for name, each in opened.items() if each.is_by_cursor]:
        yield f"cursors={'+'.join(cursors)}"
    totals = [name for name, each in opened.items() if each.first.number("total") is not None]
    has_meta = any(each.first.member("meta") for each in opened.values())
    if has_meta and totals != ["customers"]:
        yield f"totals={'all' if totals else 'none'}"
    pages = (each.first.member("meta", "pageSize") for each in opened.values())
    if any(isinstance(size, str) for size in pages):
        yield "numbers_as_text=yes"
    if len(seen.lists["users"].too_large.records) == 100:
        yield "largest_page=100"
    if len(seen.lists["customers"].default.records) == 100:
        yield "default_page=100"


def _limit(readings: Mapping[str, Mapping[str, Seen]]) -> Iterator[str]:
    kinds = readings["Rate-limit headers by response"]
    on = {kind for kind, seen in kinds.items() if seen.value != "neither"}
    if kinds.keys() - on:
        yield f"rate_headers={'exceeded' if '429' in on else 'success' if on else 'never'}"
    resets = {k: s.value for k, s in readings["x-ratelimit-reset by response"].items()}
    if any(value != "none" for kind, value in resets.items() if kind != "429"):
        yield "reset_when=always"
    if "429" in on and resets["429"] == "none":
        yield "reset=none"
