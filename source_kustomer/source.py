"""The source: what the platform asks of a connector, answered by the other modules."""

import logging
import math
import os
from collections.abc import Iterator, Mapping
from typing import Any

from airbyte_cdk.models import (
    AirbyteCatalog,
    AirbyteMessage,
    AirbyteStateMessage,
    ConfiguredAirbyteCatalog,
)
from airbyte_cdk.sources import AbstractSource
from airbyte_cdk.sources.streams import Stream
from typing_extensions import override

from source_kustomer.api import background
from source_kustomer.api.client import Client
from source_kustomer.check import check_access
from source_kustomer.config import Config, InvalidConfigError
from source_kustomer.errors import InputError
from source_kustomer.streams import STREAMS
from source_kustomer.timing import DEFAULT_TIMING, Timing


class SourceKustomer(AbstractSource):
    """Reads customers, conversations, users, teams, tags and brands from Kustomer."""

    def __init__(self, timing: Timing = DEFAULT_TIMING) -> None:
        super().__init__()
        self._timing = timing

    @override
    def check_connection(
        self, logger: logging.Logger, config: Mapping[str, Any]
    ) -> tuple[bool, Any | None]:
        client = self._client(config, seconds=self._timing.command)
        check_access(client, [stream(client) for stream in STREAMS])
        return True, None

    @override
    def streams(self, config: Mapping[str, Any]) -> list[Stream]:
        client = self._client(config)
        return [stream(client) for stream in STREAMS]

    @override
    def discover(self, logger: logging.Logger, config: Mapping[str, Any]) -> AirbyteCatalog:
        # Each asks for its custom attributes: all at once, because a person waits.
        client = self._client(config, seconds=self._timing.command)
        found = [background.start(stream(client).as_airbyte_stream) for stream in STREAMS]
        return AirbyteCatalog(streams=[stream.result() for stream in found])

    @override
    def read(
        self,
        logger: logging.Logger,
        config: Mapping[str, Any],
        catalog: ConfiguredAirbyteCatalog,
        state: list[AirbyteStateMessage] | None = None,
    ) -> Iterator[AirbyteMessage]:
        known = [stream.name for stream in self.streams(config)]
        streams = [chosen for chosen in catalog.streams if chosen.stream.name in known]
        unknown = [repr(c.stream.name) for c in catalog.streams if c not in streams]
        catalog = ConfiguredAirbyteCatalog(streams)
        if not unknown:
            yield from super().read(logger, config, catalog, state)
            return
        # The CDK says that a stream is missing, but not which.
        failure = InputError(
            "unknown_stream",
            f"The catalog names {', '.join(unknown)}, which this connector does not have: refresh "
            f"the schema, or choose among {', '.join(known)}.",
        )
        yield failure.as_sanitized_airbyte_message()
        yield from super().read(logger, config, catalog, state)
        raise failure

    def _client(self, config: Mapping[str, Any], seconds: float = math.inf) -> Client:
        try:
            parsed = Config.parse(config, os.environ)
        except InvalidConfigError as e:
            raise InputError("invalid_config", str(e)) from None
        return Client(parsed, timing=self._timing, seconds=seconds)

    @override
    def configure(self, config: Mapping[str, Any], temp_dir: str) -> Mapping[str, Any]:
        # The CDK would write the key to a file, and its hidden `_limit` never ends a read.
        return {name: value for name, value in config.items() if not name.startswith("_")}
