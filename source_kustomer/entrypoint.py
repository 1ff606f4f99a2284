"""One command of the protocol: the CDK's entrypoint, with every failure as a message."""

import argparse
import gc
import json
import logging
import sys
from collections import defaultdict
from collections.abc import Iterable, Mapping
from itertools import groupby
from operator import attrgetter
from typing import Any

import orjson
from airbyte_cdk.entrypoint import AirbyteEntrypoint
from airbyte_cdk.logger import AirbyteLogFormatter, is_platform_debug_log_enabled
from airbyte_cdk.models import (
    AirbyteConnectionStatus,
    AirbyteLogMessage,
    AirbyteMessage,
    AirbyteStateStats,
    ConnectorSpecification,
    FailureType,
    Level,
    Status,
    Type,
)
from airbyte_cdk.utils.airbyte_secrets_utils import filter_secrets, update_secrets
from airbyte_cdk.utils.traced_exception import AirbyteTracedException
from typing_extensions import override

from source_kustomer.config import SHORTEST_KEY
from source_kustomer.files import read_catalog, read_config, read_state
from source_kustomer.output import Output
from source_kustomer.source import SourceKustomer
from source_kustomer.timing import Timing

# A page's records are many small objects without cycles: looking for cycles after every 700
# allocations, as Python does by itself, costs a tenth of a read.
_ALLOCATIONS_BETWEEN_COLLECTIONS = 50_000

# Twice the 1,024 levels that orjson reads: json, which writes what orjson does not, recurses.
_RECURSION = 2048


def run(command: argparse.Namespace, output: Output, timing: Timing) -> int:
    """Write the messages of one command to the output and return the exit code."""
    handler = logging.StreamHandler(output)
    handler.setFormatter(_LogFormatter())
    logging.getLogger().handlers[:] = [handler]
    if command.debug or is_platform_debug_log_enabled():
        logging.getLogger("airbyte").setLevel(logging.DEBUG)
    gc.set_threshold(_ALLOCATIONS_BETWEEN_COLLECTIONS)
    sys.setrecursionlimit(max(sys.getrecursionlimit(), _RECURSION))
    entrypoint = _Entrypoint(SourceKustomer(timing))
    has_told_error = False
    try:
        for kind, messages in groupby(entrypoint.messages(command), attrgetter("type")):
            if kind is Type.RECORD:
                output.write_lines(map(_line, messages))
                continue
            for message in messages:
                output.write_lines([_line(message)])
                has_told_error = has_told_error or bool(message.trace and message.trace.error)
    except Exception as e:  # noqa: BLE001
        failure = _traced(e)
        # The error of a failed stream is written already; the CDK's summary adds nothing.
        if not has_told_error:
            output.write_lines([_line(failure.as_sanitized_airbyte_message())])
        if command.command == "check":
            output.write_lines([_line(_failed_status(failure))])
        return 1
    return 0


class _Entrypoint(AirbyteEntrypoint):
    def messages(self, command: argparse.Namespace) -> Iterable[AirbyteMessage]:
        """Return a command's messages; unlike the CDK's `run`, without a temporary folder."""
        spec = self.source.spec(self.logger)
        if command.command == "spec":
            return [AirbyteMessage(Type.SPEC, spec=spec)]
        config = self.source.configure(read_config(command.config), "")
        if command.command == "check":
            return self.check(spec, config)
        if command.command == "discover":
            return self.discover(spec, config)
        catalog, state = read_catalog(command.catalog), read_state(command.state)
        return self.read(spec, config, catalog, state)

    @staticmethod
    @override
    def set_up_secret_filter(config: Mapping[str, Any], _: Mapping[str, Any]) -> None:
        # The key as it is sent; the CDK would also mask what is too short to be one in all words.
        key = str(config.get("api_key", "")).strip()
        update_secrets([key] if len(key) >= SHORTEST_KEY else [])

    @staticmethod
    @override
    def validate_connection(source_spec: ConnectorSpecification, config: Mapping[str, Any]) -> None:
        """Leave it to the source: the CDK quotes a mistyped value, which can be the key."""

    @staticmethod
    @override
    def handle_record_counts(
        message: AirbyteMessage, stream_message_count: defaultdict[Any, float]
    ) -> AirbyteMessage:
        # The CDK makes and hashes a descriptor for each record, a tenth of all that a record costs.
        if message.record:
            stream_message_count[message.record.stream] += 1
        elif message.state and message.state.stream:
            name = message.state.stream.stream_descriptor.name
            count = stream_message_count.pop(name, 0.0)
            message.state.sourceStats = AirbyteStateStats(recordCount=count)
        return message


class _LogFormatter(AirbyteLogFormatter):
    """Makes every line of the log a message, at debug level too; the trace has the traceback."""

    @override
    def format(self, record: logging.LogRecord) -> str:
        level = self.level_mapping.get(record.levelno, Level.INFO)
        log = AirbyteLogMessage(level=level, message=filter_secrets(record.getMessage()))
        return AirbyteEntrypoint.airbyte_message_to_string(AirbyteMessage(Type.LOG, log=log))


def _line(message: AirbyteMessage) -> bytes:
    """Return a message as a line of JSON."""
    if record := message.record:
        # The CDK copies each record, leaves out its nulls, and turns it into bytes and text.
        data = {"stream": record.stream, "data": record.data, "emitted_at": record.emitted_at}
        line = {"type": "RECORD", "record": data}
        try:
            return orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE)
        except orjson.JSONEncodeError:
            # What orjson refuses, such as half a character or 300 levels of lists, json writes.
            return f"{json.dumps(line)}\n".encode()
    return f"{AirbyteEntrypoint.airbyte_message_to_string(message)}\n".encode()


def _traced(error: Exception) -> AirbyteTracedException:
    if isinstance(error, AirbyteTracedException):
        return error
    return AirbyteTracedException.from_exception(
        error,
        message="Unexpected error: please report it to the connector's maintainers and attach the "
        "log.",
        failure_type=FailureType.system_error,
    )


def _failed_status(failure: AirbyteTracedException) -> AirbyteMessage:
    message = filter_secrets(failure.message or "")
    status = AirbyteConnectionStatus(status=Status.FAILED, message=message)
    return AirbyteMessage(Type.CONNECTION_STATUS, connectionStatus=status)
