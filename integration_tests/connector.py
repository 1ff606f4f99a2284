"""Runs the connector as its users do: the console script as a process."""

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from integration_tests import preloaded
from source_kustomer.timing import DEFAULT_TIMING, Timing

SCRIPT = Path(sys.executable).with_name("source-kustomer")

# The console script with timeouts and waits of a test, so that a failure takes no minutes.
_TIMED = "from source_kustomer.run import main; from source_kustomer.timing import Timing; main({})"

# Failures are tried again after moments; timeouts are as in a sync.
QUICK = Timing(backoff=0.02, longest_backoff=0.1, look=0.1)

Message = dict[str, Any]


@dataclass(frozen=True)
class Result:
    """What a command wrote, and its exit code."""

    code: int
    stdout: str
    stderr: str

    @cached_property
    def messages(self) -> list[Message]:
        """Every line of stdout, which must be a message of the protocol."""
        return [json.loads(line) for line in self.stdout.splitlines()]

    def of_type(self, kind: str) -> list[Any]:
        """The messages of a type, without their envelopes."""
        member = "connectionStatus" if kind == "CONNECTION_STATUS" else kind.lower()
        return [m[member] for m in self.messages if m["type"] == kind]

    def records(self, stream: str) -> list[dict[str, Any]]:
        """The records of a stream, in order."""
        return [r["data"] for r in self.of_type("RECORD") if r["stream"] == stream]

    @property
    def counts(self) -> Counter[str]:
        """The number of records of each stream."""
        return Counter(r["stream"] for r in self.of_type("RECORD"))

    @property
    def logs(self) -> list[str]:
        """The log lines."""
        return [log["message"] for log in self.of_type("LOG")]

    @property
    def errors(self) -> list[dict[str, Any]]:
        """The errors of the trace messages."""
        return [t["error"] for t in self.of_type("TRACE") if t["type"] == "ERROR"]

    def states(self, stream: str) -> list[dict[str, Any]]:
        """The states of a stream, in order."""
        states = [s["stream"] for s in self.of_type("STATE")]
        return [s["stream_state"] for s in states if s["stream_descriptor"]["name"] == stream]

    def state_counts(self, stream: str) -> int:
        """The number of records that the states of a stream count."""
        return int(
            sum(
                s["sourceStats"]["recordCount"]
                for s in self.of_type("STATE")
                if s["stream"]["stream_descriptor"]["name"] == stream
            )
        )


@dataclass(frozen=True)
class Connector:
    """The connector with a configuration, in a folder of its own."""

    folder: Path
    url: str
    key: str
    options: tuple[str, ...] = ()
    timing: Timing = QUICK

    @property
    def environment(self) -> dict[str, str]:
        """The environment of its process."""
        return {**os.environ, "KUSTOMER_API_URL": self.url}

    def write(self, name: str, content: object) -> str:
        """Write a JSON file and return its path."""
        path = self.folder / name
        path.write_text(json.dumps(content))
        return str(path)

    @property
    def command(self) -> tuple[str, ...]:
        """What starts its process."""
        if self.timing == DEFAULT_TIMING:
            return (str(SCRIPT),)
        return (sys.executable, "-c", _TIMED.format(self.timing))

    @cached_property
    def config(self) -> str:
        """The path of the configuration."""
        return self.write("config.json", {"org_name": "acme", "api_key": self.key})

    def run(
        self, *arguments: str, timeout: float = 300, environment: Mapping[str, str] | None = None
    ) -> Result:
        """Run a command to its end."""
        done = preloaded.run(
            [*arguments, *self.options],
            {**self.environment, **(environment or {})},
            self.timing,
            timeout,
        )
        result = Result(done.code, done.stdout, done.stderr)
        # Whatever a test is about: what the states count is what arrived.
        for stream, records in result.counts.items():
            assert result.state_counts(stream) == records
        return result

    def run_script(self, *arguments: str, environment: Mapping[str, str] | None = None) -> Result:
        """Run the console script itself to its end, loading the CDK and all."""
        done = subprocess.run(
            [SCRIPT, *arguments],
            capture_output=True,
            text=True,
            timeout=300,
            env={**self.environment, **(environment or {})},
            check=False,
        )
        return Result(done.returncode, done.stdout, done.stderr)

    def check(self) -> Result:
        """Run `check`."""
        return self.run("check", "--config", self.config)

    def discover(self) -> Result:
        """Run `discover`."""
        return self.run("discover", "--config", self.config)

    def catalog(self, *streams: str) -> str:
        """Discover and configure these streams, or all, and return the catalog's path."""
        (catalog,) = self.discover().of_type("CATALOG")
        return self.configured(catalog, *streams)

    def configured(self, catalog: dict[str, Any], *streams: str) -> str:
        """Configure streams of a discovered catalog and return the path of the result."""
        chosen = [s for s in catalog["streams"] if not streams or s["name"] in streams]
        configured = [
            {"stream": s, "sync_mode": "full_refresh", "destination_sync_mode": "overwrite"}
            for s in chosen
        ]
        return self.write("catalog.json", {"streams": configured})

    def bare_catalog(self, *streams: str) -> str:
        """Configure streams without asking the API for their schemas."""
        modes = ["full_refresh"]
        return self.configured(
            {
                "streams": [
                    {"name": name, "json_schema": {}, "supported_sync_modes": modes}
                    for name in streams
                ]
            }
        )

    def read(self, *streams: str, state: dict[str, Any] | None = None) -> Result:
        """Run `read` of these streams; `state` is a stream's state by its name."""
        arguments = ["read", "--config", self.config, "--catalog", self.bare_catalog(*streams)]
        if state is not None:
            arguments += ["--state", self.write("state.json", stream_states(state))]
        return self.run(*arguments)


def stream_states(states: dict[str, Any]) -> list[Message]:
    """Return a state file's content."""
    return [
        {
            "type": "STREAM",
            "stream": {"stream_descriptor": {"name": name}, "stream_state": state},
        }
        for name, state in states.items()
    ]
