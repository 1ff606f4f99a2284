"""The console script: the CDK's entrypoint, with every failure as a message of the protocol."""

import argparse
import ctypes
import gc
import logging
import os
import signal
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import suppress
from io import TextIOWrapper
from itertools import groupby
from typing import Any

import orjson
from airbyte_cdk.entrypoint import AirbyteEntrypoint
from airbyte_cdk.models import (
    AirbyteMessage,
    AirbyteStateStats,
    ConnectorSpecification,
    FailureType,
)
from airbyte_cdk.utils.traced_exception import AirbyteTracedException
from typing_extensions import override

from source_kustomer.source import SourceKustomer, parsed

# A page's records are many small objects without cycles: looking for cycles after every 700
# allocations, as Python does by itself, costs a tenth of a read.
_ALLOCATIONS_BETWEEN_COLLECTIONS = 50_000

# What glibc calls the setting in malloc.h.
_M_ARENA_MAX = -8

# How the CDK begins the line of a failure.
_ERROR = '{"type":"TRACE","trace":{"type":"ERROR"'

# As deep as orjson reads JSON; what is too deep for it to write, json writes by recursion.
_DEEPEST = 1024


class _Entrypoint(AirbyteEntrypoint):
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
        """Write the records to stdout, and yield all other messages."""
        # The CDK copies each record, and turns it into bytes, text, a line and bytes again. Each
        # write lets another thread run, and then waits for its turn.
        messages = super().read(source_spec, config, catalog, state)
        for are_records, group in groupby(messages, lambda message: message.record is not None):
            if are_records:
                sys.stdout.buffer.write(b"".join(map(_line, group)))
            else:
                yield from group


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


def main() -> None:
    """Run one command of the Airbyte protocol; exits with 1 if it failed."""
    # The first process of a container gets no signal that it does not handle.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    if isinstance(sys.stdout, TextIOWrapper):
        # Whatever the environment says: JSON is UTF-8 (RFC 8259), and only a buffer keeps a line in
        # one piece while other threads write to the log.
        buffered = open(sys.stdout.fileno(), "w", encoding="utf-8", closefd=False)  # noqa: SIM115
        # The CDK's log writes to the second one.
        sys.stdout = sys.__stdout__ = buffered  # type: ignore[misc]
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Write the messages of one command to stdout and return the exit code."""
    # A line of the log that nobody reads any more must not become a traceback on stderr.
    logging.raiseExceptions = False
    source = SourceKustomer()
    entrypoint = _Entrypoint(source)
    logging.getLogger().handlers[0].addFilter(_without_traceback)
    gc.set_threshold(_ALLOCATIONS_BETWEEN_COLLECTIONS)
    sys.setrecursionlimit(max(sys.getrecursionlimit(), 2 * _DEEPEST))
    _share_memory_between_threads()
    try:
        return _write(_messages(source, entrypoint, _parsed(arguments)))
    except KeyboardInterrupt:
        return 130
    except OSError as e:
        # Python would complain once more while it exits.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        # Where the pipe is broken, whoever read the messages has gone.
        if not isinstance(e, BrokenPipeError):
            sys.stderr.write(f"The messages cannot be written to stdout: {e.strerror}.\n")
        return 1


def _parsed(arguments: list[str]) -> argparse.Namespace:
    """Parse the arguments; exits after writing its help, or what is wrong with them."""
    try:
        return AirbyteEntrypoint.parse_args(arguments or ["--help"])
    finally:
        sys.stdout.flush()


def _share_memory_between_threads() -> None:
    """Keep glibc from giving each thread memory of its own, which stays when the thread is done."""
    # Other libraries do without such a setting.
    with suppress(AttributeError, OSError, TypeError):
        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, 1)


def _write(messages: Iterator[str]) -> int:
    """Write messages to stdout, where the log is written too, and return the exit code."""
    told = False
    try:
        for line in messages:
            _write_line(line)
            told = told or line.startswith(_ERROR)
    except BrokenPipeError:
        raise
    except Exception as e:  # noqa: BLE001
        # A failed check has written it already, and a failed stream more than the CDK's summary.
        if not told:
            message = _traced(e).as_sanitized_airbyte_message()
            _write_line(AirbyteEntrypoint.airbyte_message_to_string(message))
        return 1
    return 0


def _write_line(line: str) -> None:
    # In one piece, because other threads write to the log. Records before it leave with it.
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _messages(
    source: SourceKustomer, entrypoint: AirbyteEntrypoint, command: argparse.Namespace
) -> Iterator[str]:
    for option, read in (
        ("config", source.read_config),
        ("catalog", source.read_catalog),
        ("state", source.read_state),
    ):
        path = getattr(command, option, None)
        if path is not None:
            try:
                read(path)
            except Exception as e:  # noqa: BLE001
                raise _unreadable(option, path, e) from None
    yield from entrypoint.run(command)


def _unreadable(option: str, path: str, error: Exception) -> AirbyteTracedException:
    if isinstance(error, OSError):
        why = f"cannot be opened ({error.strerror})"
    elif isinstance(error, UnicodeDecodeError) or "Could not read json" in str(error):
        why = "is not JSON"
    else:
        why = f"is JSON but not an Airbyte {'configuration' if option == 'config' else option}"
    return AirbyteTracedException(
        internal_message=f"unreadable_{option}",
        message=f"The file {path} given as --{option} {why}: correct the file or the path.",
        failure_type=FailureType.config_error,
    )


def _traced(error: Exception) -> AirbyteTracedException:
    if isinstance(error, AirbyteTracedException):
        return error
    return AirbyteTracedException.from_exception(
        error,
        message="The connector failed in a way that it does not know: please report this, with the "
        "log, to its maintainers.",
        failure_type=FailureType.system_error,
    )


def _without_traceback(record: logging.LogRecord) -> bool:
    """Keep tracebacks out of the log that users read; the trace message has them."""
    record.exc_info = record.exc_text = None
    return True
