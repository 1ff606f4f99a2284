"""Whose data it is: an account of one's own, or the sandbox's."""

import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sandbox.tour.connector import TourError

PROJECT = Path(__file__).parents[2]

_READY_WITHIN = 60.0
_DEFAULT_SHARE = 80
# The organization's name, also where its whole address was pasted. What it is worth says `check`.
_ORGANIZATION = re.compile(r"\s*(?:https?://)?(?:www\.)?([a-z0-9-]+)", re.IGNORECASE)


@dataclass(frozen=True)
class Account:
    """An organization, and the configuration and environment that the connector reads it with."""

    path: Path
    organization: str
    key: str = field(repr=False)
    share: int
    environment: Mapping[str, str] = field(repr=False)
    # The records of each stream, where they are known.
    expected: Mapping[str, int] = field(default_factory=dict)

    @property
    def url(self) -> str:
        """The address of the API."""
        operators = self.environment.get("KUSTOMER_API_URL", "").strip().rstrip("/")
        return operators or f"https://{self.organization}.api.kustomerapp.com"

    @property
    def name(self) -> str:
        """Whose data it is, for a title."""
        return "the sandbox" if self.is_sandbox else self.organization

    @property
    def is_sandbox(self) -> bool:
        """Whether it is nobody's data."""
        return bool(self.expected)


@contextmanager
def open_account(path: Path) -> Iterator[Account]:
    """Yield the account of a configuration, or a sandbox's where there is no such file."""
    if path.exists():
        yield _account(path, os.environ)
        return
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        ready = folder / "ready.json"
        server = subprocess.Popen(
            [sys.executable, "-m", "sandbox", "--port", "0", "--ready-file", ready],
            cwd=PROJECT,
            stdout=subprocess.DEVNULL,
            # Ctrl-C is the tour's, which stops the server last.
            start_new_session=True,
        )
        stack.callback(server.wait)
        stack.callback(server.terminate)
        deadline = time.monotonic() + _READY_WITHIN
        while not ready.exists():
            if server.poll() is not None or time.monotonic() > deadline:
                raise TourError("The sandbox did not start.")
            time.sleep(0.02)
        told = json.loads(ready.read_text())
        config = folder / "config.json"
        config.write_text(json.dumps({"org_name": "acme", "api_key": told["key"]}))
        environment = {**os.environ, "KUSTOMER_API_URL": told["url"]}
        yield _account(config, environment, told["counts"])


def _account(
    path: Path, environment: Mapping[str, str], expected: Mapping[str, int] | None = None
) -> Account:
    try:
        raw: Any = json.loads(path.read_text("utf-8"))
        organization = _ORGANIZATION.match(str(raw["org_name"]))
        key, share = str(raw["api_key"]), int(raw.get("rate_limit_share", _DEFAULT_SHARE))
    except (OSError, ValueError, TypeError, KeyError) as e:
        raise TourError(f"{path} cannot be used: {e!r}.") from None
    name = organization[1].lower() if organization else ""
    return Account(path, name, key.strip(), share, environment, expected or {})
