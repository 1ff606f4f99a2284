"""What the platform asks of the source, without a network."""

import logging
from typing import Any

import pytest
from airbyte_cdk.models import (
    AirbyteMessage,
    AirbyteStream,
    ConfiguredAirbyteCatalog,
    ConfiguredAirbyteStream,
    DestinationSyncMode,
    FailureType,
    Status,
    SyncMode,
    Type,
)
from airbyte_cdk.utils.traced_exception import AirbyteTracedException
from wire import KEY, Reply, Wire, by_path, connected, page

from source_kustomer import SourceKustomer
from source_kustomer import source as source_module
from source_kustomer.client import PROBE_PATH
from source_kustomer.config import DEFAULT_SHARE
from source_kustomer.source import parsed

CONFIG = {"org_name": "acme", "api_key": KEY}
NAMES = ["customers", "conversations", "users", "teams", "tags", "brands"]
LOGGER = logging.getLogger("airbyte.test")
LAST_PAGE = Reply(body=page("a", "b"))


@pytest.fixture
def source(wire: Wire, monkeypatch: pytest.MonkeyPatch) -> SourceKustomer:
    monkeypatch.setattr(source_module, "Client", lambda config: connected(wire, config))
    return SourceKustomer()


def catalog(*names: str) -> ConfiguredAirbyteCatalog:
    return ConfiguredAirbyteCatalog(
        streams=[
            ConfiguredAirbyteStream(
                stream=AirbyteStream(
                    name=name,
                    json_schema={},
                    supported_sync_modes=[SyncMode.full_refresh],
                    is_resumable=True,
                ),
                sync_mode=SyncMode.full_refresh,
                destination_sync_mode=DestinationSyncMode.append,
            )
            for name in names
        ]
    )


def read(source: SourceKustomer, *names: str) -> tuple[list[AirbyteMessage], Exception | None]:
    messages: list[AirbyteMessage] = []
    config = source.configure({**CONFIG, "_limit": 1, "_page_size": 1}, "")
    try:
        for message in source.read(LOGGER, config, catalog(*names), []):
            messages.append(message)  # noqa: PERF402
    except AirbyteTracedException as error:
        return messages, error
    return messages, None


def statuses(messages: list[AirbyteMessage]) -> list[tuple[str, str]]:
    traces = [m.trace.stream_status for m in messages if m.trace and m.trace.stream_status]
    return [(s.stream_descriptor.name, s.status.value) for s in traces]


def errors(messages: list[AirbyteMessage]) -> list[Any]:
    return [m.trace.error for m in messages if m.trace and m.trace.error]


def test_the_source_has_six_streams_that_can_be_resumed(source: SourceKustomer) -> None:
    streams = source.streams(CONFIG)
    assert [stream.name for stream in streams] == NAMES
    assert all(s.as_airbyte_stream().is_resumable for s in streams if s.name in {"tags", "teams"})


def test_streams_share_one_client_and_so_one_budget(source: SourceKustomer) -> None:
    streams: list[Any] = source.streams(CONFIG)
    assert len({id(stream._client) for stream in streams}) == 1


def test_streams_are_told_without_a_request(source: SourceKustomer, wire: Wire) -> None:
    source.streams(CONFIG)
    assert wire.sent == []


def test_hidden_options_of_the_framework_are_dropped(source: SourceKustomer) -> None:
    config = {**CONFIG, "_limit": 5, "_page_size": 1, "rate_limit_share": 50}
    assert source.configure(config, "") == {**CONFIG, "rate_limit_share": 50}


def test_a_read_with_a_hidden_limit_is_whole(source: SourceKustomer, wire: Wire) -> None:
    wire.script = by_path({"tags": LAST_PAGE})
    messages, error = read(source, "tags")
    assert error is None
    assert [m.record.data["id"] for m in messages if m.record] == ["a", "b"]
    assert statuses(messages) == [("tags", "STARTED"), ("tags", "RUNNING"), ("tags", "COMPLETE")]


def test_configuring_writes_no_file(source: SourceKustomer, tmp_path: Any) -> None:
    source.configure(CONFIG, str(tmp_path))
    assert [*tmp_path.iterdir()] == []


def test_a_stream_that_does_not_exist_fails_and_the_others_are_read(
    source: SourceKustomer, wire: Wire
) -> None:
    assert source.raise_exception_on_missing_stream
    wire.script = by_path({"tags": LAST_PAGE})
    messages, error = read(source, "companies", "tags")
    assert error is not None
    assert statuses(messages)[0] == ("companies", "INCOMPLETE")
    assert statuses(messages)[-1] == ("tags", "COMPLETE")
    (told,) = errors(messages)
    assert told.failure_type is FailureType.config_error
    assert len([m for m in messages if m.record]) == 2


def test_a_stream_that_fails_leaves_the_others(source: SourceKustomer, wire: Wire) -> None:
    wire.script = by_path({"brands": LAST_PAGE, "tags": Reply(400, {"errors": []})})
    messages, error = read(source, "tags", "brands")
    assert error is not None
    assert statuses(messages)[1] == ("tags", "INCOMPLETE")
    assert statuses(messages)[-1] == ("brands", "COMPLETE")
    (told,) = errors(messages)
    assert told.internal_message == "rejected_request"


def test_the_state_of_each_page_is_told(source: SourceKustomer, wire: Wire) -> None:
    def tags(url: str) -> Reply:
        following = "?page=2&pageSize=100" if "page=1&" in url else None
        return Reply(body=page("b" if following is None else "a", following=following))

    wire.script = by_path({"tags": tags})
    messages, _ = read(source, "tags")
    states: list[Any] = [m.state for m in messages if m.type is Type.STATE]
    first, last = (s.stream.stream_state.__dict__ for s in states)
    assert first["next"] == "page=2&pageSize=100"
    assert first["records"] == 1
    assert "next" not in last


def test_check_succeeds_where_the_key_reads(source: SourceKustomer, wire: Wire) -> None:
    wire.script = by_path({PROBE_PATH: Reply(body={})}, otherwise=LAST_PAGE)
    status = source.check(LOGGER, CONFIG)
    assert status.status is Status.SUCCEEDED
    assert len(wire.sent) == 7
    assert {s.url.rpartition("/")[2].partition("?")[0] for s in wire.sent[1:]} == {*NAMES}


def test_check_fails_with_the_sentence_of_the_cause(source: SourceKustomer, wire: Wire) -> None:
    wire.script = by_path({PROBE_PATH: Reply(401, {"errors": [{"message": "Expired token"}]})})
    with pytest.raises(AirbyteTracedException) as raised:
        source.check(LOGGER, CONFIG)
    assert raised.value.internal_message == "expired_key"
    assert (raised.value.message or "").startswith("The API key has expired: ")
    assert raised.value.failure_type is FailureType.config_error


def test_discover_describes_what_can_be_read(source: SourceKustomer, wire: Wire) -> None:
    wire.script = by_path({}, otherwise=Reply(body=page()))
    found = source.discover(LOGGER, CONFIG)
    assert [stream.name for stream in found.streams] == NAMES
    for stream in found.streams:
        assert stream.supported_sync_modes == [SyncMode.full_refresh]
        assert stream.source_defined_primary_key == [["id"]]
        assert stream.is_resumable


def test_a_configuration_is_parsed_with_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUSTOMER_API_URL", "http://127.0.0.1:9")
    config = parsed(CONFIG)
    assert config.base_url == "http://127.0.0.1:9/v1/"
    assert config.share == DEFAULT_SHARE


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"org_name": ""}, "organization name is empty"),
        ({"org_name": f"https://{KEY}@acme.kustomerapp.com"}, "What was entered is not the name"),
        ({"api_key": [KEY]}, "API key is not text"),
        ({"rate_limit_share": KEY}, "whole number from 1 to 100"),
    ],
    ids=["empty name", "key in the name", "key in a list", "key as share"],
)
def test_a_wrong_configuration_is_the_users_to_mend_and_shows_no_key(
    source: SourceKustomer, wrong: dict[str, object], words: str
) -> None:
    with pytest.raises(AirbyteTracedException) as raised:
        source.check(LOGGER, {**CONFIG, **wrong})
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
