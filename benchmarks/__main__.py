"""Measure speed, memory and pace, and write the table and the chart that the README shows."""

import json
import statistics
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from benchmarks.measure import COLUMNS, OURS, PLAIN, RAW, ManyCustomers, Run, read, run
from sandbox import Sandbox

README = Path(__file__).parents[1] / "README.md"
_BEGIN = "<!-- begin benchmarks: written by `make bench` -->\n"
_END = "<!-- end benchmarks -->"

# Each figure is the least of so many runs: whatever disturbs one makes it longer. They are taken in
# turn, so that a busy machine is as unkind to one as to the other.
_TURNS = 5
_PAGE = 100
_LIMIT, _SHARE = 300, 240
_LATENCY = 0.5
_MINUTES = 12


@dataclass(frozen=True)
class Row:
    """A measured ratio, and what it is to be: at most the goal, or at least."""

    measured: str
    goal: float
    value: float
    at_least: bool = False
    unit: str = ""

    @property
    def met(self) -> bool:
        return self.value >= self.goal if self.at_least else self.value <= self.goal

    @property
    def cells(self) -> tuple[str, str, str]:
        bound = "none" if not self.goal else f"at {'least' if self.at_least else 'most'} "
        goal = bound if not self.goal else f"{bound}{self.goal:g}{self.unit}"
        return self.measured, goal, f"{self.value:.3g}{self.unit}"


def main() -> int:
    """Run all benchmarks; returns 1 if a goal is missed."""
    print(f"This takes about {_MINUTES} minutes. The figures go into README.md.")
    rows, seconds = list[Row](), dict[str, float]()
    measures: Mapping[str, Callable[[], Iterator[Row]]] = {
        "start of a command": _start,
        "records without latency": _throughput,
        "custom attributes": _custom,
        "memory": _memory,
        "latency": lambda: _latency(seconds),
        "round trips": _round_trips,
        "pace": _pace,
    }
    for what, measure in measures.items():
        print(f"{what} ...", flush=True)
        for row in measure():
            rows.append(row)
            print(f"  {'met' if row.met else 'MISSED'}: {', '.join(row.cells)}", flush=True)
    _write(rows, seconds)
    return 0 if all(row.met for row in rows) else 1


def _in_turns(*runs: Callable[[], Run], turns: int = _TURNS) -> list[list[Run]]:
    """Return the runs of each, taken in turn."""
    taken = [[run() for run in runs] for _ in range(turns)]
    return [list(runs) for runs in zip(*taken, strict=True)]


def _seconds(runs: list[Run]) -> float:
    return min(run.seconds for run in runs)


def _start() -> Iterator[Row]:
    spec, cdk = _in_turns(
        lambda: run(*OURS, "spec"), lambda: run(sys.executable, "-c", "import airbyte_cdk")
    )
    yield Row("`spec`, start to end / `import airbyte_cdk`", 1.1, _seconds(spec) / _seconds(cdk))


def _throughput() -> Iterator[Row]:
    records = 100_000
    with ManyCustomers(records) as many, ManyCustomers(_PAGE) as few:
        all_of_it = _in_turns(*(lambda c=c: read(c, many) for c in (PLAIN, OURS, RAW)))
        start_up = _in_turns(*(lambda c=c: read(c, few) for c in (PLAIN, OURS, RAW)))
    plain, ours, raw = (
        _seconds(whole) - _seconds(start) for whole, start in zip(all_of_it, start_up, strict=True)
    )
    what = f"{records:,} records without latency, start-up aside"
    yield Row(f"{what}, plain / ours", 1.3, plain / ours, at_least=True)
    yield Row("the same, ours / raw loop", 3, ours / raw)


def _custom() -> Iterator[Row]:
    with ManyCustomers(30_000) as many, ManyCustomers(_PAGE) as few:
        runs = _in_turns(
            lambda: read(OURS, many, COLUMNS),
            lambda: read(OURS, many),
            lambda: read(OURS, few),
            # Short runs and many of them, because a tenth is what shall be seen.
            turns=3 * _TURNS,
        )
    # Runs next to each other meet the same machine, whose speed changes by more than a tenth.
    with_columns, without, start = ([each.cpu for each in taken] for taken in runs)
    start_up = statistics.median(start)
    ratios = [(w - start_up) / (o - start_up) for w, o in zip(with_columns, without, strict=True)]
    yield Row(
        "CPU a record, 20 custom attributes as columns / only as an object",
        1.1,
        statistics.median(ratios),
    )


def _memory() -> Iterator[Row]:
    with ManyCustomers(400_000) as many, ManyCustomers(10_000) as few:
        peaks = read(OURS, many).megabytes, read(OURS, few).megabytes
    yield Row("peak memory, 400,000 records / 10,000 records", 1.15, peaks[0] / peaks[1])


def _latency(seconds: dict[str, float]) -> Iterator[Row]:
    records, latency = 20_000, 0.2
    with ManyCustomers(records, latency=latency) as sandbox:
        seconds |= {"plain": read(PLAIN, sandbox).seconds, "ours": read(OURS, sandbox).seconds}
    yield Row(
        f"{records:,} customers at 200 ms a response, plain / ours",
        8,
        seconds["plain"] / seconds["ours"],
        at_least=True,
    )


def _round_trips() -> Iterator[Row]:
    for command, at_most in (("discover", 2.3), ("check", 2.3)):
        with (
            Sandbox(customers=_PAGE, conversations=_PAGE, latency=_LATENCY) as sandbox,
            tempfile.NamedTemporaryFile("w", suffix=".json") as config,
        ):
            json.dump({"org_name": "acme", "api_key": sandbox.key}, config)
            config.flush()
            run(*OURS, command, "--config", config.name, url=sandbox.url)
            times = [request.time for request in sandbox.requests]
        # From when the first request came until the last was answered.
        trips = (max(times) - min(times)) / _LATENCY + 1
        what = f"`{command}` at {1000 * _LATENCY:.0f} ms a response: round trips"
        yield Row(what, at_most, trips)


def _pace() -> Iterator[Row]:
    # Four minutes' share.
    records = 4 * _SHARE * _PAGE
    with (
        ManyCustomers(records, limit=_LIMIT) as alone,
        ManyCustomers(records // 2, limit=_LIMIT, others_per_minute=90) as shared,
        ThreadPoolExecutor() as threads,
    ):
        list(threads.map(lambda sandbox: read(OURS, sandbox), (alone, shared)))
    times = [request.time for request in alone.requests]
    seconds = int(times[-1] - times[0])
    # The first minute begins with a burst, and ends in a wait until that is a minute old.
    starts = [times[0] + second for second in range(60, seconds - 60 + 1)]
    a_minute = statistics.mean(sum(s <= time < s + 60 for time in times) for s in starts)
    what = f"a limit of {_LIMIT} a minute"
    used = 100 * a_minute / _SHARE
    yield Row(
        f"{what}, nobody else: share used in a minute after the first",
        95,
        used,
        at_least=True,
        unit=" %",
    )
    yield Row(f"{what}, nobody else: responses 429", 0, alone.statuses.count(429))
    yield Row(f"{what}, others take 90 evenly: responses 429", 0, shared.statuses.count(429))


def _write(rows: list[Row], seconds: dict[str, float]) -> None:
    lines = [f"| {' | '.join(row.cells)} |" for row in rows]
    table = "\n".join(("| measured in one run | goal | now |", "|---|---|---|", *lines))
    chart = f"""```mermaid
xychart-beta horizontal
    title "Seconds for 20,000 customers at 200 ms a response"
    x-axis ["plain HttpStream", "source-kustomer"]
    y-axis "seconds, start-up included" 0 --> {5 * (seconds["plain"] // 5 + 1):.0f}
    bar [{seconds["plain"]:.1f}, {seconds["ours"]:.1f}]
```"""
    before, _, rest = README.read_text().partition(_BEGIN)
    after = rest.partition(_END)[2]
    README.write_text(f"{before}{_BEGIN}{table}\n\n{chart}\n{_END}{after}")


if __name__ == "__main__":
    sys.exit(main())
