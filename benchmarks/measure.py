"""Processes, and what they took."""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sandbox import Reply, Request, Sandbox

OURS = (str(Path(sys.executable).with_name("source-kustomer")),)
PLAIN = (sys.executable, "-m", "benchmarks.plain")
RAW = (sys.executable, "-m", "benchmarks.raw")

_PROJECT = Path(__file__).parents[1]
_PAGE = 100
# More than any run sends: these runs are not about the limit.
_NO_LIMIT = 1_000_000
_MB = 1024


@dataclass(frozen=True)
class Run:
    """What a process took: seconds from start to end, seconds of CPU, and megabytes at its peak."""

    seconds: float
    cpu: float
    megabytes: float


def run(*command: str, url: str = "http://127.0.0.1:9") -> Run:
    """Run a process whose output goes nowhere; raises `RuntimeError` if it fails."""
    began = time.perf_counter()
    process = subprocess.Popen(
        command,
        cwd=_PROJECT,
        env={**os.environ, "KUSTOMER_API_URL": url},
        stdout=subprocess.DEVNULL,
    )
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with {process.returncode}")
    seconds = time.perf_counter() - began
    return Run(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / _MB)


def read(command: tuple[str, ...], sandbox: Sandbox, stream: str = "customers") -> Run:
    """Read one stream with ours, the plain way, or the raw loop."""
    if command is RAW:
        return run(*command, stream, sandbox.key, url=sandbox.url)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        configured = {
            "stream": {
                "name": stream,
                "json_schema": {},
                "supported_sync_modes": ["full_refresh"],
            },
            "sync_mode": "full_refresh",
            "destination_sync_mode": "overwrite",
        }
        (folder / "config.json").write_text(
            json.dumps({"org_name": "acme", "api_key": sandbox.key})
        )
        (folder / "catalog.json").write_text(json.dumps({"streams": [configured]}))
        options = [
            word
            for option in ("config", "catalog")
            for word in (f"--{option}", str(folder / f"{option}.json"))
        ]
        return run(*command, "read", *options, url=sandbox.url)


@contextmanager
def many_customers(records: int, latency: float = 0.0) -> Iterator[Sandbox]:
    """A sandbox whose customers are made as they are asked for, so that it is not what is slow."""
    with Sandbox(customers=_PAGE, latency=latency, limit=_NO_LIMIT) as sandbox:
        parts = [
            json.dumps(resource).replace(resource["id"], "{id}", 1).partition("{id}")
            for resource in sandbox.lists["customers"]
        ]
        pages = -(-records // _PAGE)
        headers = {
            "Content-Type": "application/json",
            "x-ratelimit-limit": str(_NO_LIMIT),
            "x-ratelimit-remaining": str(_NO_LIMIT - 1),
        }

        def page(request: Request) -> Reply | None:
            if request.path != "/v1/customers":
                return None
            number = request.page
            data = ",".join(
                f"{before}{number:016x}{place:08x}{after}"
                for place, (before, _, after) in enumerate(parts)
            )
            link = f"/v1/customers?page={number + 1}&pageSize={_PAGE}"
            meta = {"page": number, "pageSize": _PAGE, "total": records, "totalPages": pages}
            links = {"next": link if number < pages else None}
            body = f'{{"meta":{json.dumps(meta)},"links":{json.dumps(links)},"data":[{data}]}}'
            return Reply(body=body, headers=headers)

        sandbox.before(page)
        yield sandbox
