"""Whose data it is: an account of one's own, or the sandbox's."""

import json
import os
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from sandbox import Sandbox
from source_kustomer.config import API_URL_VARIABLE, Config, InvalidConfigError
from tools.tour.connector import TourError

PROJECT = Path(__file__).parents[2]
SECRETS = PROJECT / "secrets" / "config.json"

_SCRIPT = Path(sys.executable).with_name("source-kustomer")
# The script without long pauses before an end is looked at again: the sandbox's lists stand still.
_FOR_SANDBOX = """
from source_kustomer.run import main
from source_kustomer.timing import Timing
main(Timing(look=0.1))
"""

_EXAMPLE = 'it should look like {"org_name": "acme", "api_key": "..."}.'


@dataclass(frozen=True)
class Account:
    """An organization, and the configuration and program that read it."""

    path: Path
    config: Config
    environment: Mapping[str, str] = field(repr=False)
    program: tuple[str, ...] = (str(_SCRIPT),)
    is_sandbox: bool = False

    @property
    def url(self) -> str:
        return self.config.base_url.removesuffix("/v1/")

    @property
    def name(self) -> str:
        """Whose data it is, for a title."""
        return "the sandbox" if self.is_sandbox else self.config.organization


@contextmanager
def open_account(path: Path) -> Iterator[Account]:
    """Yield the account of a configuration, or a sandbox's where there is no such file."""
    if path.exists():
        yield Account(path, read_config(path, os.environ), os.environ)
        return
    with Sandbox(conversations=1500) as sandbox, tempfile.TemporaryDirectory() as folder:
        config = Path(folder, "config.json")
        config.write_text(json.dumps({"org_name": "acme", "api_key": sandbox.key}))
        environment = {**os.environ, API_URL_VARIABLE: sandbox.url}
        program = sys.executable, "-c", _FOR_SANDBOX
        parsed = read_config(config, environment)
        yield Account(config, parsed, environment, program, is_sandbox=True)


def read_config(path: Path, environment: Mapping[str, str]) -> Config:
    """Read a configuration; raises `TourError` with what is wrong, and never with a value."""
    try:
        raw = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise TourError(f"There is no {path}: {_EXAMPLE}") from None
    except OSError as e:
        raise TourError(f"{path} cannot be read: {e.strerror}.") from None
    except (ValueError, RecursionError) as e:
        raise TourError(f"{path} is not JSON ({e}): {_EXAMPLE}") from None
    if not isinstance(raw, dict):
        raise TourError(f"{path} is not a JSON object: {_EXAMPLE}")
    try:
        return Config.parse(raw, environment)
    except InvalidConfigError as e:
        is_environment = API_URL_VARIABLE in str(e)
        raise TourError(str(e) if is_environment else f"{path}: {e}") from None
