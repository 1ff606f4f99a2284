"""Serve a sandbox until it is stopped: `python -m sandbox`."""

import argparse
import json
import signal
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sandbox.data import LISTS
from sandbox.server import Sandbox
from sandbox.switches import SWITCHES, Value, parse, spelled


def parse_options(arguments: Sequence[str]) -> dict[str, Any]:
    """Return the options of a `Sandbox`, and `ready_file`, from those of the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m sandbox",
        description=__doc__,
        epilog="Switches, the default first: "
        + "; ".join(f"{name}={'|'.join(map(spelled, SWITCHES[name]))}" for name in SWITCHES),
    )
    for name in LISTS:
        parser.add_argument(f"--{name}", type=int, metavar="N", default=argparse.SUPPRESS)
    parser.add_argument("--port", type=int, default=8080, help="0 takes a free one")
    parser.add_argument("--latency", type=float, default=0.0, help="seconds an answer")
    parser.add_argument("--limit", type=int, default=1000, help="requests a minute")
    parser.add_argument("--window", choices=("sliding", "fixed"), default="sliding")
    parser.add_argument(
        "--closed",
        choices=LISTS,
        action="append",
        default=[],
        help="a list whose role the key lacks; repeatable",
    )
    parser.add_argument(
        "--switch",
        type=_switch,
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="behave in another way where the documentation is silent; repeatable",
    )
    parser.add_argument("--ready-file", type=Path, help="write address, key and counts here")
    options = vars(parser.parse_args(arguments))
    return dict(options.pop("switch")) | options


def main() -> int:
    """Serve, say where, and stop on Ctrl-C or SIGTERM."""
    options = parse_options(sys.argv[1:])
    ready_file: Path | None = options.pop("ready_file")
    stopped = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopped.set())
    try:
        sandbox = Sandbox(**options)
    except OSError as e:
        sys.stderr.write(f"Port {options['port']} cannot be used ({e.strerror}): name another.\n")
        return 1
    with sandbox:
        print(f"Kustomer sandbox:  KUSTOMER_API_URL={sandbox.url}")
        print(f"Configuration:     {json.dumps({'org_name': 'acme', 'api_key': sandbox.key})}")
        print("Stop it with Ctrl-C.", flush=True)
        if ready_file:
            ready = {"url": sandbox.url, "key": sandbox.key, "counts": sandbox.counts()}
            unfinished = ready_file.with_suffix(".part")
            unfinished.write_text(json.dumps(ready))
            unfinished.replace(ready_file)
        stopped.wait()
    return 0


def _switch(argument: str) -> tuple[str, Value]:
    try:
        return parse(argument)
    except ValueError as e:
        raise argparse.ArgumentTypeError(str(e)) from None


if __name__ == "__main__":
    sys.exit(main())
