"""Reads a source as the platform does, and sorts what comes."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from airbyte_cdk.models import (
    AirbyteErrorTraceMessage,
    AirbyteMessage,
    AirbyteStateBlob,
    AirbyteStateMessage,
    AirbyteStateType,
    AirbyteStream,
    AirbyteStreamState,
    ConfiguredAirbyteCatalog,
    ConfiguredAirbyteStream,
    DestinationSyncMode,
    StreamDescriptor,
    SyncMode,
)
from airbyte_cdk.sources import AbstractSource
from airbyte_cdk.sources.streams import Stream
from airbyte_cdk.utils.traced_exception import AirbyteTracedException
from typing_extensions import override

LOGGER = logging.getLogger("airbyte.test")


@dataclass
class Read:
    """The messages of a read, and the error that it ended with."""

    messages: list[AirbyteMessage] = field(default_factory=list)
    error: AirbyteTracedException | None = None

    @property
    def records(self) -> list[Mapping[str, Any]]:
        return [m.record.data for m in self.messages if m.record]

    @property
    def ids(self) -> list[str]:
        return [record["id"] for record in self.records]

    @property
    def states(self) -> list[dict[str, Any]]:
        streams = [m.state.stream for m in self.messages if m.state]
        return [vars(s.stream_state) for s in streams if s and s.stream_state]

    @property
    def statuses(self) -> list[tuple[str, str]]:
        traces = [m.trace.stream_status for m in self.messages if m.trace]
        return [(s.stream_descriptor.name, s.status.value) for s in traces if s]

    @property
    def errors(self) -> list[AirbyteErrorTraceMessage]:
        return [m.trace.error for m in self.messages if m.trace and m.trace.error]


class SourceOf(AbstractSource):
    """A source of given streams."""

    def __init__(self, *streams: Stream) -> None:
        super().__init__()
        self._streams = [*streams]

    @override
    def check_connection(self, *_: object) -> tuple[bool, Any | None]:
        return True, None

    @override
    def streams(self, config: Mapping[str, Any]) -> list[Stream]:
        return self._streams


def catalog(*names: str, json_schema: dict[str, Any] | None = None) -> ConfiguredAirbyteCatalog:
    """Configure streams as the platform does."""
    mode = SyncMode.full_refresh
    streams = [AirbyteStream(n, json_schema or {}, [mode], is_resumable=True) for n in names]
    append = DestinationSyncMode.append
    return ConfiguredAirbyteCatalog([ConfiguredAirbyteStream(s, mode, append) for s in streams])


def read(
    source: AbstractSource,
    *names: str,
    config: Mapping[str, Any] | None = None,
    json_schema: dict[str, Any] | None = None,
    state: Mapping[str, Any] | None = None,
) -> Read:
    """Read streams of a source to the end; `state` is that of each of them."""
    it = Read()
    states = [
        AirbyteStateMessage(
            type=AirbyteStateType.STREAM,
            stream=AirbyteStreamState(StreamDescriptor(name), AirbyteStateBlob(**state)),
        )
        for name in names
        if state is not None
    ]
    chosen = catalog(*names, json_schema=json_schema)
    try:
        for message in source.read(LOGGER, config or {}, chosen, states):
            it.messages.append(message)
    except AirbyteTracedException as e:
        it.error = e
    return it
