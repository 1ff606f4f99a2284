"""Runs the connector as its users do: the console script as a process."""

import json
import os
import sys
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from integration_tests import preloaded
from source_kustomer.timing import Timing

SCRIPT = Path(sys.executable).with_name("source-kustomer")

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

    @property
    def warnings(self) -> list[str]:
        """The warnings among the log lines."""
        return [log["message"] for log in self.of_type("LOG") if log["level"] == "WARN"]

    @property
    def failures(self) -> dict[str, dict[str, Any]]:
        """The error of each stream that failed."""
        of_streams = [error for error in self.errors if error.get("stream_descriptor")]
        return {error["stream_descriptor"]["name"]: error for error in of_streams}

    def states(self, stream: str) -> list[dict[str, Any]]:
        """The states of a stream, in order."""
        states = [s["stream"] for s in self.of_type("STATE")]
        return [s["stream_state"] for s in states if s["stream_descriptor"]["name"] == stream]


@dataclass(frozen=True)
class Connector:
    """The connector with a configuration, in a folder of its own."""

    folder: Path
    url: str
    key: str
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

    @cached_property
    def config(self) -> str:
        """The path of the configuration."""
        return self.write("config.json", {"org_name": "acme", "api_key": self.key})

    def run(self, *arguments: str, environment: Mapping[str, str] | None = None) -> Result:
        """Run a command to its end."""
        environment = {**self.environment, **(environment or {})}
        done = preloaded.run(arguments, environment, self.timing, timeout=300)
        result = Result(done.code, done.stdout, done.stderr)
        # Whatever a test is about: what the states count is what arrived.
        counted = Counter[str]()
        for state in result.of_type("STATE"):
            name = state["stream"]["stream_descriptor"]["name"]
            counted[name] += int(state["sourceStats"]["recordCount"])
        assert counted == result.counts
        return result

    def check(self) -> Result:
        """Run `check`."""
        return self.run("check", "--config", self.config)

    def discover(self) -> Result:
        """Run `discover`."""
        return self.run("discover", "--config", self.config)

    def catalog(self) -> str:
        """Discover, configure all streams, and return the catalog's path."""
        (catalog,) = self.discover().of_type("CATALOG")
        return self._configured(catalog["streams"])

    def bare_catalog(self, *names: str) -> str:
        """Configure streams without asking the API for their schemas."""
        modes = ["full_refresh"]
        return self._configured(
            [{"name": name, "json_schema": {}, "supported_sync_modes": modes} for name in names]
        )

    def _configured(self, streams: list[dict[str, Any]]) -> str:
        modes = {"sync_mode": "full_refresh", "destination_sync_mode": "overwrite"}
        return self.write("catalog.json", {"streams": [{"stream": s, **modes} for s in streams]})

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
