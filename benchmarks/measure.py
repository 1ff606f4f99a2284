"""Processes, and what they took."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from typing_extensions import override

from sandbox import Reply, Request, Sandbox

OURS = (str(Path(sys.executable).with_name("source-kustomer")),)
PLAIN = (sys.executable, "-m", "benchmarks.plain")
RAW = (sys.executable, "-m", "benchmarks.raw")

_PROJECT = Path(__file__).parents[1]
# Twenty custom attributes, as a busy organization has them, and the columns that discover makes.
CUSTOM: Mapping[str, object] = {
    **{f"text{n}Str": f"some words {n}" for n in range(8)},
    **{f"number{n}Num": n + 0.5 for n in range(5)},
    **{f"time{n}At": f"2024-0{n + 1}-09T04:23:01.925Z" for n in range(4)},
    **{f"flag{n}Bool": bool(n % 2) for n in range(3)},
}
_KINDS: Mapping[str, object] = {
    "Str": {"type": ["null", "string"]},
    "Num": {"type": ["null", "number"]},
    "At": {"type": ["null", "string"], "format": "date-time"},
    "Bool": {"type": ["null", "boolean"]},
}
COLUMNS = {
    f"custom_{name}": next(kind for suffix, kind in _KINDS.items() if name.endswith(suffix))
    for name in CUSTOM
}

# In a process of its own, because the peak of a process includes its parent's when it was forked.
_MEASURING = """
import resource, subprocess, sys, time
began = time.perf_counter()
code = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL).returncode
seconds = time.perf_counter() - began
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print([seconds, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024])
sys.exit(code)
"""
_PAGE = 100
# More than any run sends: these runs are not about the limit.
_NO_LIMIT = 1_000_000


@dataclass(frozen=True)
class Run:
    """What a process took: seconds from start to end, seconds of CPU, and megabytes at its peak."""

    seconds: float
    cpu: float
    megabytes: float


def run(*command: str, url: str = "http://127.0.0.1:9") -> Run:
    """Run a process whose output goes nowhere; raises `RuntimeError` if it fails."""
    done = subprocess.run(
        [sys.executable, "-S", "-c", _MEASURING, *command],
        cwd=_PROJECT,
        env={**os.environ, "KUSTOMER_API_URL": url},
        stdout=subprocess.PIPE,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with {done.returncode}")
    return Run(*json.loads(done.stdout))


def read(
    command: tuple[str, ...], sandbox: Sandbox, columns: Mapping[str, object] | None = None
) -> Run:
    """Read the customers with ours, the plain way, or the raw loop."""
    if command is RAW:
        return run(*command, "customers", sandbox.key, url=sandbox.url)
    configured = {
        "stream": {
            "name": "customers",
            "json_schema": {"properties": columns or {}},
            "supported_sync_modes": ["full_refresh"],
        },
        "sync_mode": "full_refresh",
        "destination_sync_mode": "overwrite",
    }
    with tempfile.TemporaryDirectory() as folder:
        config, catalog = Path(folder, "config.json"), Path(folder, "catalog.json")
        config.write_text(json.dumps({"org_name": "acme", "api_key": sandbox.key}))
        catalog.write_text(json.dumps({"streams": [configured]}))
        options = ("--config", str(config), "--catalog", str(catalog))
        return run(*command, "read", *options, url=sandbox.url)


class ManyCustomers(Sandbox):
    """A sandbox whose customers are made as they are asked for, so that it is not what is slow."""

    def __init__(self, records: int, **options: Any) -> None:
        options.setdefault("limit", _NO_LIMIT)
        super().__init__(customers=_PAGE, **options)
        self._records, self._last = records, -(-records // _PAGE)
        self._parts = []
        for resource in self.lists["customers"]:
            resource["attributes"]["custom"] = CUSTOM
            before, _, after = json.dumps(resource).partition(resource["id"])
            self._parts.append((before, after))

    @override
    def respond(self, request: Request) -> Reply:
        if request.path != "/v1/customers":
            return super().respond(request)
        page = request.page
        data = ",".join(
            f"{before}{page:016x}{place:08x}{after}"
            for place, (before, after) in enumerate(self._parts)
        )
        link = f"/v1/customers?page={page + 1}&pageSize={_PAGE}"
        following = link if page < self._last else None
        totals = {"total": self._records, "totalPages": self._last}
        meta = json.dumps({"page": page, "pageSize": _PAGE, **totals})
        links = json.dumps({"next": following})
        return Reply(body=f'{{"meta":{meta},"links":{links},"data":[{data}]}}')
