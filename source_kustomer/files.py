"""The files of a command: each is read once, and what is wrong with one is said in a sentence."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from airbyte_cdk.models import (
    AirbyteStateMessage,
    AirbyteStateMessageSerializer,
    AirbyteStateType,
    ConfiguredAirbyteCatalog,
    ConfiguredAirbyteCatalogSerializer,
)

from source_kustomer.errors import InputError

Document = TypeVar("Document")


def read_config(path: str) -> Mapping[str, Any]:
    """Return a configuration, not checked any further; raises `InputError`."""
    return _read("config", path, lambda document: {**document}, "configuration")


def read_catalog(path: str) -> ConfiguredAirbyteCatalog:
    """Return a configured catalog; raises `InputError`."""
    return _read("catalog", path, ConfiguredAirbyteCatalogSerializer.load, "catalog")


def read_state(path: str | None) -> list[AirbyteStateMessage]:
    """Return the states of streams, none without a path; raises `InputError`."""
    kind = "state, which is a list of states of type STREAM"
    return _read("state", path, _states, kind) if path else []


def _states(document: Any) -> list[AirbyteStateMessage]:
    states = [AirbyteStateMessageSerializer.load(state) for state in document or []]
    # The CDK ignores other states, and would read the list from its start without a word.
    if not all(state.type is AirbyteStateType.STREAM and state.stream for state in states):
        raise ValueError
    return states


def _read(option: str, path: str, load: Callable[[Any], Document], kind: str) -> Document:
    try:
        document = json.loads(Path(path).read_bytes().decode("utf-8-sig"))
    except OSError as e:
        reason = f"cannot be opened ({e.strerror})"
    except UnicodeDecodeError:
        reason = "is not encoded in UTF-8 (but in UTF-16, perhaps)"
    except ValueError as e:
        reason = f"is not JSON ({e})"
    else:
        try:
            return load(document)
        except Exception:  # noqa: BLE001
            # Which exceptions its serializers raise, the CDK leaves open.
            reason = f"is JSON but not an Airbyte {kind}"
    raise InputError(
        f"unusable_{option}",
        f"The file {path} given as --{option} {reason}: correct the file or the path.",
    )
