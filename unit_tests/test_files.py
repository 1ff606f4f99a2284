"""The files of a command: whatever is wrong with one is said in a sentence."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from airbyte_cdk.models import FailureType
from airbyte_cdk.utils.traced_exception import AirbyteTracedException
from fakes import KEY

from source_kustomer import SourceKustomer
from source_kustomer.cli import parse
from source_kustomer.files import check_files

CONFIG = {"org_name": "acme", "api_key": KEY}
STREAM = {
    "stream": {"name": "tags", "json_schema": {}, "supported_sync_modes": ["full_refresh"]},
    "sync_mode": "full_refresh",
    "destination_sync_mode": "append",
}
CATALOG: dict[str, Any] = {"streams": [STREAM]}
STATE = [
    {
        "type": "STREAM",
        "stream": {"stream_descriptor": {"name": "tags"}, "stream_state": {"next": "page=2"}},
    }
]
GLOBAL = {"type": "GLOBAL", "global": {"shared_state": {}, "stream_states": []}}
MISSING = object()

Check = Callable[..., None]


@pytest.fixture
def check(tmp_path: Path) -> Check:
    """Check the files of a read, one of which has other contents than usual."""

    def check(**others: object) -> None:
        arguments = ["read"]
        for name, usual in {"config": CONFIG, "catalog": CATALOG, "state": STATE}.items():
            path, content = tmp_path / f"{name}.json", others.get(name, usual)
            if content is not MISSING:
                written = content if isinstance(content, bytes) else json.dumps(content).encode()
                path.write_bytes(written)
            arguments += [f"--{name}", str(path)]
        check_files(SourceKustomer(), parse(arguments))

    return check


def refusal(check: Check, **others: object) -> AirbyteTracedException:
    with pytest.raises(AirbyteTracedException) as raised:
        check(**others)
    return raised.value


@pytest.mark.parametrize(
    ("option", "content"),
    [
        ("config", CONFIG),
        ("config", {}),
        ("catalog", {"streams": []}),
        ("state", []),
        ("state", {}),
        ("state", STATE * 2),
    ],
)
def test_files_of_the_right_shape_are_left_alone(
    check: Check, option: str, content: object
) -> None:
    check(**{option: content})


BOM = b"\xef\xbb\xbf"
WRONG = {
    "no config": ("config", MISSING, "cannot be opened (No such file or directory)"),
    "config is not JSON": ("config", b"{", "is not JSON"),
    "config is empty": ("config", b"", "is not JSON"),
    "config is not text": ("config", b"\xff\xfe\x00", "is not JSON"),
    "config is nested too deeply": ("config", b"[" * 100_000, "is not JSON"),
    "config has a BOM": (
        "config",
        BOM + json.dumps(CONFIG).encode(),
        "begins with a byte order mark (BOM)",
    ),
    "config is a list": ("config", [CONFIG], "is JSON but not an Airbyte configuration"),
    "config is null": ("config", None, "is JSON but not an Airbyte configuration"),
    "config is text": ("config", KEY, "is JSON but not an Airbyte configuration"),
    "no catalog": ("catalog", MISSING, "cannot be opened (No such file or directory)"),
    "catalog is not JSON": ("catalog", b"{", "is not JSON"),
    "catalog has a BOM": ("catalog", BOM + b"{}", "begins with a byte order mark (BOM)"),
    "catalog is a list": ("catalog", [1], "is JSON but not an Airbyte catalog"),
    "catalog is of others": ("catalog", {"streams": 5}, "is JSON but not an Airbyte catalog"),
    "catalog is empty": ("catalog", {}, "is JSON but not an Airbyte catalog"),
    "catalog is discovered": (
        "catalog",
        {"streams": [STREAM["stream"]]},
        "is JSON but not an Airbyte catalog",
    ),
    "no state": ("state", MISSING, "cannot be opened (No such file or directory)"),
    "state is not JSON": ("state", b"[", "is not JSON"),
    "state has a BOM": ("state", BOM + b"[]", "begins with a byte order mark (BOM)"),
    "state is of others": ("state", [5], "is JSON but not an Airbyte state"),
    "state has no stream": ("state", [{"type": "STREAM"}], "is JSON but not an Airbyte state"),
    "state is a stream's alone": (
        "state",
        {"tags": {"next": "page=2"}},
        "is JSON but not an Airbyte state, which is a list of STREAM states",
    ),
    "state is one message": ("state", STATE[0], "is JSON but not an Airbyte state"),
    "state is global": ("state", [*STATE, GLOBAL], "holds a state of type GLOBAL"),
    "state is of a former kind": (
        "state",
        [{"type": "LEGACY", "data": {"tags": {}}}],
        "holds a state of type LEGACY",
    ),
    "state has no type": (
        "state",
        [{"stream": STATE[0]["stream"]}],
        "holds a state of type untyped",
    ),
    "config is UTF-16": ("config", "{}".encode("utf-16"), "is not JSON"),
    "state is one global": ("state", GLOBAL, "holds a state of type GLOBAL"),
}


@pytest.mark.parametrize(("option", "content", "words"), WRONG.values(), ids=WRONG)
def test_a_file_that_cannot_be_used_is_named_with_the_reason(
    check: Check, tmp_path: Path, option: str, content: object, words: str
) -> None:
    error = refusal(check, **{option: content})
    assert error.failure_type is FailureType.config_error
    assert error.internal_message == f"unusable_{option}"
    message = error.message or ""
    assert message.startswith(f"The file {tmp_path}/{option}.json given as --{option} ")
    assert words in message
    assert message.endswith(": correct the file or the path.")
    assert KEY not in repr(error.as_airbyte_message())


def test_a_folder_given_as_a_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(AirbyteTracedException) as raised:
        check_files(SourceKustomer(), parse(["check", "--config", str(tmp_path)]))
    assert "cannot be opened (Is a directory)" in (raised.value.message or "")


def test_a_command_without_files_needs_none() -> None:
    check_files(SourceKustomer(), parse(["spec"]))
