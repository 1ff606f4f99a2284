"""Show what the connector does: the four commands as processes, and the data that arrives.

Reads from a sandbox, or from the real account where `secrets/config.json` is filled in.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from rich.cells import cell_len
from rich.console import Console
from rich.table import Table

PROJECT = Path(__file__).parents[1]
SECRETS = PROJECT / "secrets" / "config.json"
TARGET = PROJECT / ".try"

_SCRIPT = Path(sys.executable).with_name("source-kustomer")
_ROWS = 3
_CUSTOM = "custom_"
_COLUMNS = ("id", "name", "status", "customerId", _CUSTOM, "email", "deleted", "createdAt")
_WIDEST = 24
# A column's two blanks and its line.
_AROUND = 3
_READY_WITHIN = 60.0

Message = dict[str, Any]


class CommandError(Exception):
    """A command of the connector failed; the text is what it says."""


@dataclass
class Arrived:
    """What a read brought of each stream."""

    counts: Counter[str] = field(default_factory=Counter)
    rows: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)


def main() -> int:
    """Run the tour; returns 1 if a command fails."""
    console = Console(highlight=False)
    TARGET.mkdir(mode=0o700, exist_ok=True)
    began = time.monotonic()
    try:
        with _account(console) as (environment, config, expected):
            arrived = _commands(console, environment, config)
    except CommandError as e:
        console.print(f"[red]{e}[/]", soft_wrap=True)
        return 1
    except KeyboardInterrupt:
        console.print("\nStopped.")
        return 130
    _show(console, arrived, expected)
    console.print(
        f"\n{arrived.counts.total():,} records in {time.monotonic() - began:.1f} s, commands "
        f"included. They lie in [bold]{TARGET.relative_to(PROJECT)}/[/], one file of JSON lines a "
        "stream."
    )
    return 1 if arrived.failures or (expected and arrived.counts != expected) else 0


@contextmanager
def _account(console: Console) -> Iterator[tuple[dict[str, str], Path, Counter[str] | None]]:
    """Yield the environment, the configuration's path, and the counts where they are known."""
    if SECRETS.exists():
        console.print("Reading the account of [bold]secrets/config.json[/].")
        yield dict(os.environ), SECRETS, None
        return
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        ready = folder / "ready.json"
        server = subprocess.Popen(
            [sys.executable, "-m", "sandbox", "--port", "0", "--ready-file", ready],
            cwd=PROJECT,
            stdout=subprocess.DEVNULL,
        )
        stack.callback(server.wait)
        stack.callback(server.terminate)
        deadline = time.monotonic() + _READY_WITHIN
        while not ready.exists():
            if server.poll() is not None or time.monotonic() > deadline:
                raise CommandError("The sandbox did not start.")
            time.sleep(0.05)
        told = json.loads(ready.read_text())
        config = folder / "config.json"
        config.write_text(json.dumps({"org_name": "acme", "api_key": told["key"]}))
        console.print(
            f"A sandbox of Kustomer answers at {told['url']}. To read your own account, put "
            "org_name and api_key into [bold]secrets/config.json[/]."
        )
        yield {**os.environ, "KUSTOMER_API_URL": told["url"]}, config, Counter(told["counts"])


def _commands(console: Console, environment: dict[str, str], config: Path) -> Arrived:
    for message in _messages(console, environment, "spec"):
        if message["type"] == "SPEC":
            options = message["spec"]["connectionSpecification"]["properties"]
            console.print(f"Asks for {', '.join(options)}.")

    for message in _messages(console, environment, "check", "--config", config):
        if message["type"] == "CONNECTION_STATUS":
            status = message["connectionStatus"]
            if status["status"] != "SUCCEEDED":
                raise CommandError(status["message"])
            console.print("[green]The key works.[/]")

    found = [*_messages(console, environment, "discover", "--config", config)]
    streams = next(m["catalog"]["streams"] for m in found if m["type"] == "CATALOG")
    console.print(
        ", ".join(f"{s['name']} ({len(s['json_schema']['properties'])} columns)" for s in streams)
    )
    catalog = TARGET / "catalog.json"
    configured = [
        {"stream": s, "sync_mode": "full_refresh", "destination_sync_mode": "overwrite"}
        for s in streams
    ]
    catalog.write_text(json.dumps({"streams": configured}))

    arrived = Arrived()
    with ExitStack() as stack:
        files: dict[str, IO[str]] = {
            s["name"]: stack.enter_context((TARGET / f"{s['name']}.jsonl").open("w"))
            for s in streams
        }
        read = _messages(console, environment, "read", "--config", config, "--catalog", catalog)
        for message in read:
            if message["type"] == "RECORD":
                stream, data = message["record"]["stream"], message["record"]["data"]
                arrived.counts[stream] += 1
                rows = arrived.rows.setdefault(stream, [])
                if len(rows) < _ROWS:
                    rows.append(data)
                files[stream].write(json.dumps(data, ensure_ascii=False) + "\n")
            elif message["type"] == "TRACE" and message["trace"]["type"] == "ERROR":
                arrived.failures.append(message["trace"]["error"]["message"])
    return arrived


def _messages(
    console: Console, environment: dict[str, str], *arguments: str | Path
) -> Iterator[Message]:
    """Run a command and yield its messages as they come, its warnings shown."""
    shown = [a.name if isinstance(a, Path) else a for a in arguments]
    console.print(f"\n[bold cyan]$ source-kustomer {' '.join(shown)}[/]")
    error = ""
    with subprocess.Popen(
        [_SCRIPT, *arguments], env=environment, stdout=subprocess.PIPE, encoding="utf-8"
    ) as process:
        for line in process.stdout or ():
            message: Message = json.loads(line)
            if message["type"] == "LOG" and message["log"]["level"] in {"WARN", "ERROR"}:
                console.print(f"[yellow]{message['log']['message']}[/]", soft_wrap=True)
            elif message["type"] == "TRACE" and message["trace"]["type"] == "ERROR":
                error = message["trace"]["error"]["message"]
            yield message
    if process.returncode and "read" not in arguments:
        raise CommandError(error or f"source-kustomer ended with {process.returncode}.")


def _show(console: Console, arrived: Arrived, expected: Counter[str] | None) -> None:
    for stream, rows in arrived.rows.items():
        table = Table()
        left, shown = console.width - 1, list[list[str]]()
        for name in _columns(rows):
            cells = [_cell(row.get(name)) for row in rows]
            width = min(_WIDEST, max(cell_len(text) for text in (name, *cells)))
            left -= width + _AROUND
            if left < 0:
                break
            table.add_column(name, width=width, no_wrap=True)
            shown.append(cells)
        for row in zip(*shown, strict=True):
            table.add_row(*row)
        console.print(f"\n{stream}: {arrived.counts[stream]:,} records")
        console.print(table)
    for stream, count in (expected or {}).items():
        if arrived.counts[stream] != count:
            arrived.failures.append(
                f"{stream}: {count:,} records are in the sandbox, {arrived.counts[stream]:,} came."
            )
    for failure in arrived.failures:
        console.print(f"[red]{failure}[/]", soft_wrap=True)


def _columns(rows: list[dict[str, Any]]) -> list[str]:
    """Return the columns that have values, those that say most of a row first."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    found = {wanted: [n for n in names if n.startswith(wanted)] for wanted in _COLUMNS}
    return [n for wanted in _COLUMNS for n in found[wanted] if wanted in {n, _CUSTOM}]


def _cell(value: object) -> str:
    return value if isinstance(value, str) else "" if value is None else json.dumps(value)


if __name__ == "__main__":
    sys.exit(main())
