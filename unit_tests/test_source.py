"""What the platform asks of the source, answered by a sandbox over a real socket."""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from airbyte_cdk.models import FailureType
from airbyte_cdk.utils.traced_exception import AirbyteTracedException
from fakes import KEY
from reading import LOGGER, read

from sandbox import Request, Sandbox
from source_kustomer import SourceKustomer
from source_kustomer.config import DEFAULT_SHARE
from source_kustomer.timing import Timing

NAMES = ["customers", "conversations", "users", "teams", "tags", "brands"]


@pytest.fixture
def sandbox(monkeypatch: pytest.MonkeyPatch) -> Iterator[Sandbox]:
    with Sandbox(customers=250, conversations=5, users=3, tags=5) as it:
        monkeypatch.setenv("KUSTOMER_API_URL", it.url)
        yield it


@pytest.fixture
def source() -> SourceKustomer:
    # Over a real clock, a wait must be short.
    return SourceKustomer(Timing(silence=30, backoff=0.01, longest_backoff=0.02))


def config(sandbox: Sandbox, **settings: object) -> dict[str, Any]:
    return {"org_name": "acme", "api_key": sandbox.key, **settings}


def test_the_source_has_six_streams_and_sends_no_request_to_say_so(
    source: SourceKustomer, sandbox: Sandbox
) -> None:
    assert [stream.name for stream in source.streams(config(sandbox))] == NAMES
    assert sandbox.requests == []


def test_streams_share_what_is_known_of_the_key(source: SourceKustomer, sandbox: Sandbox) -> None:
    key = sandbox.add_key(roles=("org.permission.brand.read",))
    it = read(source, "teams", "tags", "brands", config=config(sandbox, api_key=key))
    assert [error.internal_message for error in it.errors] == ["missing_role"] * 2
    assert it.ids == [resource["id"] for resource in sandbox.lists["brands"]]
    assert [r.path for r in sandbox.requests].count("/v1/auth/tokens/current") == 1


def test_hidden_options_of_the_cdk_are_dropped_and_no_file_is_written(
    source: SourceKustomer, sandbox: Sandbox, tmp_path: Path
) -> None:
    shown = config(sandbox, rate_limit_share=50)
    assert source.configure({**shown, "_limit": 5, "_page_size": 1}, str(tmp_path)) == shown
    assert [*tmp_path.iterdir()] == []


def test_an_unknown_stream_is_named_and_the_others_are_read(
    source: SourceKustomer, sandbox: Sandbox
) -> None:
    it = read(source, "companies", "tags", config=config(sandbox))
    (error,) = it.errors
    assert error.failure_type is FailureType.config_error
    assert error.internal_message == "unknown_stream"
    assert "'companies'" in error.message
    assert ", ".join(NAMES) in error.message
    assert it.error
    assert it.error.message == error.message
    assert it.statuses[-1] == ("tags", "COMPLETE")
    assert it.ids == [resource["id"] for resource in sandbox.lists["tags"]]


def test_a_wrong_configuration_is_told_before_an_unknown_stream(source: SourceKustomer) -> None:
    it = read(source, "companies", config={"org_name": "acme"})
    assert it.errors == []
    assert it.error
    assert it.error.internal_message == "invalid_config"


def test_discover_asks_for_all_custom_attributes_at_once(
    source: SourceKustomer, sandbox: Sandbox
) -> None:
    together = threading.Barrier(3)

    @sandbox.before
    def wait(request: Request) -> None:
        if request.path.startswith("/v1/metadata/"):
            together.wait(60)

    found = source.discover(LOGGER, config(sandbox))
    assert not together.broken
    assert [stream.name for stream in found.streams] == NAMES


def test_a_wrong_configuration_is_a_config_error_that_shows_no_key(source: SourceKustomer) -> None:
    with pytest.raises(AirbyteTracedException) as raised:
        source.check(LOGGER, {"org_name": "acme", "api_key": [KEY]})
    error = raised.value
    assert error.failure_type is FailureType.config_error
    assert error.internal_message == "invalid_config"
    assert "API key (api_key)" in (error.message or "")
    assert KEY not in repr(error.as_airbyte_message())


def test_what_the_user_is_asked_for_is_what_is_read(source: SourceKustomer) -> None:
    properties = source.spec(LOGGER).connectionSpecification["properties"]
    share = properties["rate_limit_share"]
    assert {*properties} == {"org_name", "api_key", "rate_limit_share"}
    assert (share["minimum"], share["maximum"], share["default"]) == (1, 100, DEFAULT_SHARE)
