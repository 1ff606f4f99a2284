"""One command of the protocol: the CDK's entrypoint, with every failure as a message."""

import argparse
import ctypes
import gc
import logging
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import suppress
from itertools import groupby
from typing import Any

import orjson
from airbyte_cdk.entrypoint import AirbyteEntrypoint
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
from source_kustomer.files import check_files
from source_kustomer.output import Output, OutputError
from source_kustomer.source import SourceKustomer, parsed
from source_kustomer.timing import DEFAULT_TIMING, Timing

# A page's records are many small objects without cycles: looking for cycles after every 700
# allocations, as Python does by itself, costs a tenth of a read.
_ALLOCATIONS_BETWEEN_COLLECTIONS = 50_000

# What glibc calls the setting in malloc.h.
_M_ARENA_MAX = -8

# How the CDK begins the lines of a failure and of the status of a check.
_ERROR = '{"type":"TRACE","trace":{"type":"ERROR"'
_STATUS = '{"type":"CONNECTION_STATUS"'

# As deep as orjson reads JSON; what is too deep for it to write, json writes by recursion.
_DEEPEST = 1024


def run(command: argparse.Namespace, output: Output, timing: Timing | None = None) -> int:
    """Write the messages of one command to the output and return the exit code.

    Raises `OutputError` if the output cannot be written.
    """
    # A line of the log that nobody reads any more must not become a traceback on stderr.
    logging.raiseExceptions = False
    handler = logging.StreamHandler(output)
    handler.setFormatter(_LogFormatter())
    logging.getLogger().handlers[:] = [handler]
    gc.set_threshold(_ALLOCATIONS_BETWEEN_COLLECTIONS)
    sys.setrecursionlimit(max(sys.getrecursionlimit(), 2 * _DEEPEST))
    _share_memory_between_threads()
    source = SourceKustomer(timing or DEFAULT_TIMING)
    has_failed = has_status = False
    try:
        _check_temporary_folder()
        check_files(source, command)
        for line in _Entrypoint(source, output).run(command):
            output.write_lines([f"{line}\n".encode()])
            has_failed = has_failed or line.startswith(_ERROR)
            has_status = has_status or line.startswith(_STATUS)
    except OutputError:
        raise
    except Exception as e:  # noqa: BLE001
        failure = _traced(e)
        # A failed check has written it already, and a failed stream more than the CDK's summary.
        if not has_failed:
            _write(output, failure.as_sanitized_airbyte_message())
        if command.command == "check" and not has_status:
            _write(output, _failed_status(failure))
        return 1
    return 0


class _Entrypoint(AirbyteEntrypoint):
    def __init__(self, source: SourceKustomer, output: Output) -> None:
        super().__init__(source)
        self._output = output

    @staticmethod
    @override
    def set_up_secret_filter(config: Mapping[str, Any], _: Mapping[str, Any]) -> None:
        # The key as it is sent; the CDK would also mask what is too short to be one in all words.
        key = str(config.get("api_key", "")).strip()
        update_secrets([key] if len(key) >= SHORTEST_KEY else [])

    @staticmethod
    @override
    def validate_connection(source_spec: ConnectorSpecification, config: Mapping[str, Any]) -> None:
        # The CDK's own check by JSON schema quotes a mistyped value, which can be the key.
        parsed(config)

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

    @override
    def read(
        self, source_spec: ConnectorSpecification, config: Any, catalog: Any, state: list[Any]
    ) -> Iterator[AirbyteMessage]:
        """Write the records, and yield all other messages."""
        # The CDK copies each record, and turns it into bytes, text, a line and bytes again.
        messages = super().read(source_spec, config, catalog, state)
        for are_records, group in groupby(messages, lambda message: message.record is not None):
            if are_records:
                self._output.write_lines([*map(_line, group)])
            else:
                yield from group


class _LogFormatter(logging.Formatter):
    """Makes every line of the log a message, at debug level too, and without tracebacks.

    The trace message has the traceback.
    """

    _LEVELS: Mapping[int, Level] = {
        logging.DEBUG: Level.DEBUG,
        logging.INFO: Level.INFO,
        logging.WARNING: Level.WARN,
        logging.ERROR: Level.ERROR,
        logging.CRITICAL: Level.FATAL,
    }

    @override
    def format(self, record: logging.LogRecord) -> str:
        level = self._LEVELS.get(record.levelno, Level.INFO)
        log = AirbyteLogMessage(level=level, message=filter_secrets(record.getMessage()))
        return AirbyteEntrypoint.airbyte_message_to_string(AirbyteMessage(Type.LOG, log=log))


def _line(message: AirbyteMessage) -> bytes:
    """Return a record message as a line of JSON."""
    record = message.record
    assert record  # noqa: S101
    data = {"stream": record.stream, "data": record.data, "emitted_at": record.emitted_at}
    try:
        return orjson.dumps({"type": "RECORD", "record": data}, option=orjson.OPT_APPEND_NEWLINE)
    except orjson.JSONEncodeError:
        # The CDK knows a slower way, for what is nested very deeply.
        return f"{AirbyteEntrypoint.airbyte_message_to_string(message)}\n".encode()


def _write(output: Output, message: AirbyteMessage) -> None:
    output.write_lines([f"{AirbyteEntrypoint.airbyte_message_to_string(message)}\n".encode()])


def _share_memory_between_threads() -> None:
    """Keep glibc from giving each thread memory of its own, which stays when the thread is done."""
    # Other libraries do without such a setting.
    with suppress(AttributeError, OSError, TypeError):
        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, 1)


def _check_temporary_folder() -> None:
    """Find the folder that the CDK writes to; raises `AirbyteTracedException`."""
    try:
        tempfile.gettempdir()
    except FileNotFoundError:
        raise AirbyteTracedException(
            internal_message="no_temporary_folder",
            message="No folder for temporary files can be written to: name one in the environment "
            "variable TMPDIR where the connector runs, or make /tmp writable.",
            failure_type=FailureType.config_error,
        ) from None


def _traced(error: Exception) -> AirbyteTracedException:
    if isinstance(error, AirbyteTracedException):
        return error
    return AirbyteTracedException.from_exception(
        error,
        message="The connector failed in a way that it does not know: please report this, with the "
        "log, to its maintainers.",
        failure_type=FailureType.system_error,
    )


def _failed_status(failure: AirbyteTracedException) -> AirbyteMessage:
    message = filter_secrets(failure.message or "")
    status = AirbyteConnectionStatus(status=Status.FAILED, message=message)
    return AirbyteMessage(Type.CONNECTION_STATUS, connectionStatus=status)
