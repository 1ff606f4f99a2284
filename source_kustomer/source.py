"""The source: what the platform asks of a connector, answered by the other modules."""

import logging
import os
from collections.abc import Mapping
from typing import Any

from airbyte_cdk.models import FailureType
from airbyte_cdk.sources import AbstractSource
from airbyte_cdk.sources.streams import Stream
from airbyte_cdk.utils.traced_exception import AirbyteTracedException
from typing_extensions import override

from source_kustomer.access import check_access
from source_kustomer.client import Client
from source_kustomer.config import Config, InvalidConfigError
from source_kustomer.streams import STREAMS, KustomerStream


class SourceKustomer(AbstractSource):
    """Reads customers, conversations, users, teams, tags and brands from Kustomer."""

    @override
    def check_connection(
        self, logger: logging.Logger, config: Mapping[str, Any]
    ) -> tuple[bool, Any | None]:
        client = Client(parsed(config))
        check_access(client, _streams(client))
        return True, None

    @override
    def streams(self, config: Mapping[str, Any]) -> list[Stream]:
        return [*_streams(Client(parsed(config)))]

    @property
    @override
    def raise_exception_on_missing_stream(self) -> bool:
        return True

    @override
    def configure(self, config: Mapping[str, Any], temp_dir: str) -> Mapping[str, Any]:
        # The CDK would write the key to a file, and its hidden `_limit` never ends a read.
        return {name: value for name, value in config.items() if not name.startswith("_")}


def _streams(client: Client) -> list[KustomerStream]:
    return [stream(client) for stream in STREAMS]


def parsed(config: Mapping[str, Any]) -> Config:
    """Return the user's configuration, checked; raises `AirbyteTracedException`."""
    try:
        return Config.parse(config, os.environ)
    except InvalidConfigError as e:
        raise AirbyteTracedException(
            internal_message="invalid_config",
            message=str(e),
            failure_type=FailureType.config_error,
        ) from None
