"""The sandbox that answers as an account did, as a command line."""

from collections.abc import Iterator, Sequence

from tools.contract.exchange import REFUSALS
from tools.contract.observations import CAP, Observations
from tools.contract.reading import Row

COMMAND = ".venv/bin/python -m sandbox"


def command(rows: Sequence[Row], seen: Observations) -> str:
    """Return the command; the sandbox takes it as it stands."""
    values = {
        (row.check.title, name): reading.value for row in rows for name, reading in row.seen.items()
    }
    switches = [
        row.check.switches[reading.value]
        for row in rows
        for reading in row.seen.values()
        if reading.value in row.check.switches
    ]
    switches += [*_lists(seen), *_limit(values)]
    is_fixed = values.get(("How the minute is counted", "")) == "fixed"
    window = ["--window fixed"] * is_fixed
    options = [
        *_options(seen),
        *window,
        *(f"--switch {switch}" for switch in dict.fromkeys(switches)),
    ]
    return " ".join([COMMAND, *options])


def _options(seen: Observations) -> Iterator[str]:
    for name, each in seen.lists.items():
        is_long = each.at_cap > 1 and each.has_new(each.at_cap)
        yield f"--{name} {CAP + 50 if is_long else each.sample.split()[0]}"
        if each.first.status in REFUSALS:
            yield f"--closed {name}"
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


def _limit(values: dict[tuple[str, str], str]) -> Iterator[str]:
    told = {n: v != "neither" for (t, n), v in values.items() if t.startswith("Rate-limit")}
    on_success = all(there for kind, there in told.items() if not kind.isdigit())
    on_errors = any(there for kind, there in told.items() if kind.isdigit() and kind != "429")
    if not on_success:
        yield f"rate_headers={'exceeded' if told.get('429') else 'never'}"
    elif not on_errors and {*map(str.isdigit, told)} == {True, False}:
        yield "rate_headers=success"
    resets = {n: v for (t, n), v in values.items() if t.startswith("x-ratelimit-reset")}
    if any(v != "none" for kind, v in resets.items() if kind != "429"):
        yield "reset_when=always"
    if resets.get("429") == "none" and told.get("429"):
        yield "reset=none"
