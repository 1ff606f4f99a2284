"""The files of a command: each is read once, and what is wrong with one is said in a sentence."""

import json
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from airbyte_cdk.models import FailureType
from airbyte_cdk.utils.traced_exception import AirbyteTracedException
from fakes import KEY

from source_kustomer.files import read_catalog, read_config, read_state

CONFIG = {"org_name": "acmé", "api_key": KEY}
TAGS = {"name": "tags", "json_schema": {}, "supported_sync_modes": ["full_refresh"]}
STREAM = {"stream": TAGS, "sync_mode": "full_refresh", "destination_sync_mode": "append"}
NEXT = {"stream_descriptor": {"name": "tags"}, "stream_state": {"next": "page=2"}}
STATE = {"type": "STREAM", "stream": NEXT}
GLOBAL = {"type": "GLOBAL", "global": {"shared_state": {}, "stream_states": []}}

READERS: dict[str, Callable[[str], Any]] = {
    "config": read_config,
    "catalog": read_catalog,
    "state": read_state,
}


@pytest.mark.parametrize("is_pipe", [False, True], ids=["file", "named pipe"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"], ids=["", "byte order mark"])
def test_each_file_is_read_once(tmp_path: Path, mark: bytes, *, is_pipe: bool) -> None:
    contents = {"config": CONFIG, "catalog": {"streams": [STREAM]}, "state": [STATE, STATE]}
    read = {}
    for option, content in contents.items():
        path = tmp_path / option
        written = mark + json.dumps(content, ensure_ascii=False).encode()
        if is_pipe:
            os.mkfifo(path)
            threading.Thread(target=path.write_bytes, args=(written,), daemon=True).start()
        else:
            path.write_bytes(written)
        read[option] = READERS[option](str(path))
    assert read["config"] == CONFIG
    assert [configured.stream.name for configured in read["catalog"].streams] == ["tags"]
    for state in read["state"]:
        assert state.stream.stream_descriptor.name == "tags"
        assert vars(state.stream.stream_state) == {"next": "page=2"}
    assert len(read["state"]) == 2


@pytest.mark.parametrize("content", ["[]", "{}", "null"])
def test_an_empty_state_is_no_state(tmp_path: Path, content: str) -> None:
    path = tmp_path / "state"
    path.write_text(content)
    assert read_state(str(path)) == read_state("") == read_state(None) == []


WRONG = {
    "missing": ("config", None, "cannot be opened (No such file or directory)"),
    "folder": ("catalog", ..., "cannot be opened (Is a directory)"),
    "empty": ("config", b"", "is not JSON (Expecting value: line 1 column 1 (char 0))"),
    "half": ("catalog", b"{", "is not JSON (Expecting property name"),
    "UTF-16": (
        "config",
        json.dumps(CONFIG).encode("utf-16"),
        "is not encoded in UTF-8 (but in UTF-16, perhaps)",
    ),
    "list as config": ("config", [CONFIG], "is JSON but not an Airbyte configuration"),
    "text as config": ("config", KEY, "is JSON but not an Airbyte configuration"),
    "null as config": ("config", b"null", "is JSON but not an Airbyte configuration"),
    "list as catalog": ("catalog", [1], "is JSON but not an Airbyte catalog"),
    "discovered catalog": ("catalog", {"streams": [TAGS]}, "is JSON but not an Airbyte catalog"),
    "state without stream": ("state", [{"type": "STREAM"}], "is JSON but not an Airbyte state, "),
    "state without type": ("state", [{"stream": NEXT}], "list of states of type STREAM"),
    "one state": ("state", STATE, "list of states of type STREAM"),
    "global state": ("state", [STATE, GLOBAL], "list of states of type STREAM"),
    "legacy state": ("state", [{"type": "LEGACY", "data": {"tags": {}}}], "of type STREAM"),
}


@pytest.mark.parametrize(("option", "content", "words"), WRONG.values(), ids=WRONG)
def test_a_file_that_cannot_be_used_is_named_with_the_reason(
    tmp_path: Path, option: str, content: object, words: str
) -> None:
    path = tmp_path / f"{option}.json"
    if content is ...:
        path.mkdir()
    elif content is not None:
        written = content if isinstance(content, bytes) else json.dumps(content).encode()
        path.write_bytes(written)
    with pytest.raises(AirbyteTracedException) as raised:
        READERS[option](str(path))
    error = raised.value
    assert error.failure_type is FailureType.config_error
    assert error.internal_message == f"unusable_{option}"
    message = error.message or ""
    assert message.startswith(f"The file {path} given as --{option} ")
    assert words in message
    assert message.endswith(": correct the file or the path.")
    assert KEY not in repr(error.as_airbyte_message())
