"""What the platform asks of the source, answered by a sandbox over a real socket."""

import logging
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from airbyte_cdk.models import FailureType, Status, SyncMode
from airbyte_cdk.utils.traced_exception import AirbyteTracedException
from fakes import KEY
from reading import LOGGER, Read, read

from sandbox import Reply, Request, Sandbox
from source_kustomer import SourceKustomer
from source_kustomer.config import DEFAULT_SHARE
from source_kustomer.source import parsed
from source_kustomer.timing import Timing

# Over a real clock, a wait must be short.
QUICK = Timing(silence=30, backoff=0.01, longest_backoff=0.02)
NAMES = ["customers", "conversations", "users", "teams", "tags", "brands"]
ASKED_BY_DISCOVER = sorted(
    f"/v1/{path}"
    for path in (*NAMES[:3], "metadata/customer", "metadata/conversation", "metadata/user")
)


@pytest.fixture
def sandbox(monkeypatch: pytest.MonkeyPatch) -> Iterator[Sandbox]:
    with Sandbox(customers=250, conversations=5, users=3, tags=5) as it:
        monkeypatch.setenv("KUSTOMER_API_URL", it.url)
        yield it


@pytest.fixture
def source() -> SourceKustomer:
    return SourceKustomer(QUICK)


def config(sandbox: Sandbox, **settings: object) -> dict[str, Any]:
    return {"org_name": "acme", "api_key": sandbox.key, **settings}


def read_of(source: SourceKustomer, sandbox: Sandbox, *names: str, **settings: object) -> Read:
    configured = source.configure(config(sandbox, **settings), "")
    return read(source, *names, config=configured)


def ids(sandbox: Sandbox, name: str) -> list[str]:
    return [resource["id"] for resource in sandbox.lists[name]]


def test_the_source_has_six_streams_and_asks_nothing_to_say_so(
    source: SourceKustomer, sandbox: Sandbox
) -> None:
    assert [stream.name for stream in source.streams(config(sandbox))] == NAMES
    assert sandbox.requests == []


def test_streams_share_what_is_known_of_the_key(source: SourceKustomer, sandbox: Sandbox) -> None:
    key = sandbox.add_key(roles=("org.permission.brand.read",))
    it = read_of(source, sandbox, "teams", "tags", "brands", api_key=key)
    assert [error.internal_message for error in it.errors] == ["missing_role"] * 2
    assert it.ids == ids(sandbox, "brands")
    assert [r.path for r in sandbox.requests].count("/v1/auth/tokens/current") == 1


def test_hidden_options_of_the_framework_are_dropped_and_no_file_is_written(
    source: SourceKustomer, sandbox: Sandbox, tmp_path: Path
) -> None:
    shown = config(sandbox, rate_limit_share=50)
    assert source.configure({**shown, "_limit": 5, "_page_size": 1}, str(tmp_path)) == shown
    assert [*tmp_path.iterdir()] == []


def test_a_read_with_a_hidden_limit_is_whole(source: SourceKustomer, sandbox: Sandbox) -> None:
    it = read_of(source, sandbox, "customers", "tags", _limit=1, _page_size=1)
    assert it.error is None
    assert it.ids == ids(sandbox, "customers") + ids(sandbox, "tags")
    assert it.statuses == [
        (name, status)
        for name in ("customers", "tags")
        for status in ("STARTED", "RUNNING", "COMPLETE")
    ]


def test_an_unknown_stream_is_named_and_the_others_are_read(
    source: SourceKustomer, sandbox: Sandbox
) -> None:
    it = read_of(source, sandbox, "companies", "tags")
    (told,) = it.errors
    assert told.failure_type is FailureType.config_error
    assert told.internal_message == "unknown_stream"
    assert "'companies'" in (told.message or "")
    assert ", ".join(NAMES) in (told.message or "")
    assert it.error is not None
    assert it.error.message == told.message
    assert it.statuses[-1] == ("tags", "COMPLETE")
    assert it.ids == ids(sandbox, "tags")


def test_a_stream_that_fails_leaves_the_others(source: SourceKustomer, sandbox: Sandbox) -> None:
    sandbox.before(lambda r: sandbox.error(500, "x", "no") if r.path == "/v1/tags" else None)
    it = read_of(source, sandbox, "tags", "brands")
    (told,) = it.errors
    assert told.internal_message == "server_failure"
    assert told.failure_type is FailureType.transient_error
    assert it.error is not None
    assert it.statuses[:2] == [("tags", "STARTED"), ("tags", "INCOMPLETE")]
    assert it.statuses[-1] == ("brands", "COMPLETE")
    assert it.ids == ids(sandbox, "brands")


def test_check_succeeds_where_the_key_reads(source: SourceKustomer, sandbox: Sandbox) -> None:
    assert source.check(LOGGER, config(sandbox)).status is Status.SUCCEEDED
    first, *others = [r.path for r in sandbox.requests]
    assert first == "/v1/auth/tokens/current"
    assert sorted(others) == sorted(f"/v1/{name}" for name in NAMES)


def test_check_fails_with_the_sentence_of_the_cause(
    source: SourceKustomer, sandbox: Sandbox
) -> None:
    with pytest.raises(AirbyteTracedException) as raised:
        source.check(LOGGER, config(sandbox, api_key=sandbox.add_key(expired=True)))
    assert raised.value.internal_message == "expired_key"
    assert (raised.value.message or "").startswith("The API key has expired: ")
    assert raised.value.failure_type is FailureType.config_error


def test_check_with_no_list_at_all_does_not_speak_of_roles(
    source: SourceKustomer, sandbox: Sandbox
) -> None:
    not_found = sandbox.error(404, "not_found", "Not found")
    sandbox.before(lambda r: None if r.path.endswith("/current") else not_found)
    with pytest.raises(AirbyteTracedException) as raised:
        source.check(LOGGER, config(sandbox))
    assert raised.value.internal_message == "unavailable_list"
    assert "lacks the role" not in (raised.value.message or "")


def test_discover_describes_what_can_be_read(source: SourceKustomer, sandbox: Sandbox) -> None:
    found = source.discover(LOGGER, config(sandbox))
    assert [stream.name for stream in found.streams] == NAMES
    for stream in found.streams:
        assert stream.supported_sync_modes == [SyncMode.full_refresh]
        assert stream.source_defined_primary_key == [["id"]]
        assert stream.is_resumable
        columns = stream.json_schema["properties"]
        has_custom = any(name.startswith("custom_") for name in columns)
        assert has_custom == (stream.name in NAMES[:3])
    assert {r.path for r in sandbox.requests} <= {*ASKED_BY_DISCOVER}


def test_discover_asks_for_all_metadata_and_samples_at_once(
    source: SourceKustomer, sandbox: Sandbox
) -> None:
    together = threading.Barrier(len(ASKED_BY_DISCOVER))

    @sandbox.before
    def wait(_: Request) -> None:
        together.wait(60)

    source.discover(LOGGER, config(sandbox))
    assert not together.broken
    assert sorted(r.path for r in sandbox.requests) == ASKED_BY_DISCOVER


def test_a_sample_that_hangs_does_not_hold_up_discover_where_the_metadata_are_open(
    source: SourceKustomer, sandbox: Sandbox
) -> None:
    over = threading.Event()

    @sandbox.before
    def hang(request: Request) -> Reply | None:
        if request.path in {f"/v1/{name}" for name in NAMES}:
            over.wait(60)
        return None

    found = {stream.name: stream for stream in source.discover(LOGGER, config(sandbox)).streams}
    assert not over.is_set()
    over.set()
    assert "custom_loyaltyTierStr" in found["customers"].json_schema["properties"]


def test_metadata_that_fail_for_one_list_fail_discover(
    source: SourceKustomer, sandbox: Sandbox
) -> None:
    failed = sandbox.error(500, "x", "no")
    sandbox.before(lambda r: failed if r.path == "/v1/metadata/user" else None)
    with pytest.raises(AirbyteTracedException) as raised:
        source.discover(LOGGER, config(sandbox))
    assert raised.value.internal_message == "server_failure"


def test_discover_without_the_metadata_role_says_so_for_each_list(
    source: SourceKustomer, sandbox: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    lists = ("customer", "conversation", "user", "team", "tag", "brand")
    key = sandbox.add_key(roles=tuple(f"org.permission.{name}.read" for name in lists))
    with caplog.at_level(logging.WARNING, "airbyte.source_kustomer"):
        found = source.discover(LOGGER, config(sandbox, api_key=key))
    warnings = [record.getMessage() for record in caplog.records]
    assert len(warnings) == len(NAMES[:3])
    assert all("lacks the role org.permission.metadata.read" in warning for warning in warnings)
    columns = {stream.name: stream.json_schema["properties"] for stream in found.streams}
    assert "custom_loyaltyTierStr" in columns["customers"]


def test_a_configuration_is_parsed_with_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUSTOMER_API_URL", "http://127.0.0.1:9")
    it = parsed({"org_name": "acme", "api_key": KEY})
    assert it.base_url == "http://127.0.0.1:9/v1/"
    assert it.share == DEFAULT_SHARE


WRONG: dict[str, tuple[Mapping[str, object], str]] = {
    "no name": ({"organization": "acme", "org_name": None}, "(org_name) is missing"),
    "empty name": ({"org_name": ""}, "organization name is empty"),
    "key in the name": (
        {"org_name": f"https://{KEY}@acme.kustomerapp.com"},
        "What was entered is not the name",
    ),
    "key in a list": ({"api_key": [KEY]}, "API key is not text"),
    "key as share": ({"rate_limit_share": KEY}, "whole number from 1 to 100"),
}


@pytest.mark.parametrize(("wrong", "words"), WRONG.values(), ids=WRONG)
def test_a_wrong_configuration_is_the_users_to_mend_and_shows_no_key(
    source: SourceKustomer, wrong: Mapping[str, object], words: str
) -> None:
    with pytest.raises(AirbyteTracedException) as raised:
        source.check(LOGGER, {"org_name": "acme", "api_key": KEY, **wrong})
    error = raised.value
    assert error.failure_type is FailureType.config_error
    assert error.internal_message == "invalid_config"
    assert words in (error.message or "")
    assert KEY not in repr(error.as_airbyte_message())
    assert KEY not in repr(error.as_sanitized_airbyte_message())


def test_what_the_user_is_asked_for_is_what_is_read(source: SourceKustomer) -> None:
    specification = source.spec(LOGGER).connectionSpecification
    properties = specification["properties"]
    assert {*properties} == {"org_name", "api_key", "rate_limit_share"}
    assert specification["required"] == ["org_name", "api_key"]
    assert [name for name, p in properties.items() if p.get("airbyte_secret")] == ["api_key"]
    share = properties["rate_limit_share"]
    assert (share["minimum"], share["maximum"], share["default"]) == (1, 100, DEFAULT_SHARE)
