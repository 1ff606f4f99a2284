"""The files of a command: whatever is wrong with one is said in a sentence."""

import argparse
import codecs
import getpass
import json
import os
from pathlib import Path
from typing import Any

from airbyte_cdk.models import FailureType
from airbyte_cdk.sources import Source
from airbyte_cdk.utils.traced_exception import AirbyteTracedException

_KINDS = {
    "config": "configuration",
    "catalog": "catalog",
    "state": "state, which is a list of STREAM states",
}


def check_files(source: Source, command: argparse.Namespace) -> None:
    """Read the files that a command names; raises `AirbyteTracedException`."""
    readers = {
        "config": source.read_config,
        "catalog": source.read_catalog,
        "state": source.read_state,
    }
    for option, read in readers.items():
        path = getattr(command, option, None)
        if path is None:
            continue
        try:
            content = Path(path).read_bytes()
            document = None if content.startswith(codecs.BOM_UTF8) else json.loads(content.decode())
        except (OSError, ValueError, RecursionError) as e:
            raise _unusable(option, path, _why_unreadable(e)) from None
        if content.startswith(codecs.BOM_UTF8):
            raise _unusable(option, path, "begins with a byte order mark (BOM)")
        if option == "state" and (other := _other_state(document)):
            raise _unusable(
                option, path, f"holds a state of type {other}, where each is of type STREAM"
            )
        try:
            read(path)
        except Exception:  # noqa: BLE001
            # Which of its serializer's exceptions it is, the CDK leaves open.
            raise _unusable(option, path, f"is JSON but not an Airbyte {_KINDS[option]}") from None


def _why_unreadable(error: Exception) -> str:
    if isinstance(error, PermissionError):
        return f"may not be read by {_user()}, as which the connector runs"
    if isinstance(error, OSError):
        return f"cannot be opened ({error.strerror})"
    return "is not JSON"


def _user() -> str:
    number = os.getuid()
    try:
        return f"the user {getpass.getuser()} (uid {number})"
    except (KeyError, OSError):
        return f"the user with the uid {number}"


def _other_state(document: Any) -> str | None:
    """Return the type of a state that is none of a stream, which the CDK would pass over."""
    is_alone = isinstance(document, dict) and "type" in document
    states = document if isinstance(document, list) else [document] if is_alone else []
    kinds = [state.get("type", "untyped") for state in states if isinstance(state, dict)]
    return next((str(kind) for kind in kinds if kind != "STREAM"), None)


def _unusable(option: str, path: str, why: str) -> AirbyteTracedException:
    return AirbyteTracedException(
        internal_message=f"unusable_{option}",
        message=f"The file {path} given as --{option} {why}: correct the file or the path.",
        failure_type=FailureType.config_error,
    )
