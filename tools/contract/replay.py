"""The sandbox that answers as an account did, as a command line."""

from collections.abc import Iterator, Mapping, Sequence

from tools.contract.exchange import REFUSALS
from tools.contract.observations import CAP, Observations
from tools.contract.reading import Row, Seen

COMMAND = ".venv/bin/python -m sandbox"


def command(rows: Sequence[Row], seen: Observations) -> str:
    """Return the command; the sandbox takes it as it stands."""
    readings = {row.check.title: row.seen for row in rows}
    switches = [
        row.check.switches[reading.value]
        for row in rows
        for reading in row.seen.values()
        if reading.value in row.check.switches
    ]
    switches += [*_lists(seen), *_limit(readings)]
    minute = readings["How the minute is counted"].get("")
    window = ["--window fixed"] * bool(minute and minute.value == "fixed")
    options = [*_options(seen), *window, *(f"--switch {s}" for s in dict.fromkeys(switches))]
    return " ".join([COMMAND, *options])


def _options(seen: Observations) -> Iterator[str]:
    for name, each in seen.lists.items():
        is_long = each.at_cap > 1 and each.has_new(each.at_cap)
        size = f"--{name} {CAP + 50 if is_long else each.sample.split()[0]}"
        yield f"--closed {name}" if each.first.status in REFUSALS else size
    if any(came.status in REFUSALS for came in seen.metadata.values()):
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
    if "users" in opened and len(opened["users"].too_large.records) == 100:
        yield "largest_page=100"
    if "customers" in opened and len(opened["customers"].default.records) == 100:
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
