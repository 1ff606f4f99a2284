"""What this key can read: the report behind `check`."""

import logging
from collections.abc import Sequence
from functools import partial

from source_kustomer.api import background
from source_kustomer.api.client import Client
from source_kustomer.errors import NEW_KEY, Failure
from source_kustomer.stream import KustomerStream

logger = logging.getLogger("airbyte.source_kustomer")


def check_access(client: Client, streams: Sequence[KustomerStream]) -> None:
    """Warn of each list that cannot be read; raises `Failure` if none can, or the key is bad."""
    # All at once, because a person waits.
    probe = background.start(client.probe)
    asked = {stream.name: background.start(partial(_failure_of, stream)) for stream in streams}
    failed = {name: failure for name, future in asked.items() if (failure := future.result())}
    if len(failed) == len(streams):
        refusal = probe.result()
        if refusal and refusal.evidence.is_refusal:
            raise refusal
        # At a small share there may be no room for any list, which says nothing against the key.
        has_no_room = any(failure.cause.name == "rate_limit" for failure in failed.values())
        if refusal or not has_no_room:
            raise _nothing_to_read(streams, failed)
    for name, failure in failed.items():
        logger.warning("%s: %s", name, failure.message)


def _failure_of(stream: KustomerStream) -> Failure | None:
    """Ask for one record; return why none came, None if the list is open."""
    try:
        stream.first_page(1)
    except Failure as e:
        return e
    return None


def _nothing_to_read(streams: Sequence[KustomerStream], failed: dict[str, Failure]) -> Failure:
    """Return the failure of a key that can read nothing: its missing roles, or what is worse."""
    for failure in failed.values():
        if failure.cause.name != "missing_role":
            return failure
    roles = ", ".join(f"{stream.role} ({stream.name})" for stream in streams)
    return Failure(
        failure.cause,
        f"The API key may read none of the six lists: it lacks the roles {roles}; {NEW_KEY} with "
        "those that you need.",
    )
