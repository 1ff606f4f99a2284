"""Whose data it is: an account of one's own, or the sandbox's."""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from source_kustomer.config import Config, InvalidConfigError
from tools.tour.connector import TourError

PROJECT = Path(__file__).parents[2]

_READY_WITHIN = 60.0

_EXAMPLE = 'it holds {"org_name": "acme", "api_key": "..."}.'


@dataclass(frozen=True)
class Account:
    """An organization, and the configuration and environment that the connector reads it with."""

    path: Path
    config: Config
    environment: Mapping[str, str] = field(repr=False)
    # The records of each stream, where they are known.
    expected: Mapping[str, int] = field(default_factory=dict)

    @property
    def url(self) -> str:
        """The address of the API."""
        return self.config.base_url.removesuffix("/v1/")

    @property
    def name(self) -> str:
        """Whose data it is, for a title."""
        return "the sandbox" if self.is_sandbox else self.config.organization

    @property
    def is_sandbox(self) -> bool:
        """Whether it is nobody's data."""
        return bool(self.expected)


@contextmanager
def open_account(path: Path) -> Iterator[Account]:
    """Yield the account of a configuration, or a sandbox's where there is no such file.

    Raises `TourError` for a configuration that cannot be used.
    """
    if _is_there(path):
        yield Account(path, read_config(path, os.environ), os.environ)
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
        yield Account(config, read_config(config, environment), environment, told["counts"])


def _is_there(path: Path) -> bool:
    try:
        path.lstat()
    except FileNotFoundError:
        return False
    except OSError as e:
        raise TourError(f"{path} cannot be read: {e.strerror}.") from None
    return True


def read_config(path: Path, environment: Mapping[str, str]) -> Config:
    """Read a configuration; raises `TourError` with what is wrong, and never with a value."""
    try:
        raw = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise TourError(f"There is no {path}: {_EXAMPLE}") from None
    except OSError as e:
        raise TourError(f"{path} cannot be read: {e.strerror}.") from None
    except (ValueError, RecursionError):
        raise TourError(f"{path} is not JSON: {_EXAMPLE}") from None
    if not isinstance(raw, dict):
        raise TourError(f"{path} is not a JSON object: {_EXAMPLE}")
    try:
        return Config.parse(raw, environment)
    except InvalidConfigError as e:
        raise TourError(f"{path}: {e}") from None
