"""What this key can read: the report behind `check`."""

import logging
from collections.abc import Sequence
from functools import partial
from typing import Protocol

from source_kustomer.api import background
from source_kustomer.api.client import Client, Target
from source_kustomer.api.probe import Probe
from source_kustomer.errors import NEW_KEY, Failure
from source_kustomer.paging.page import Page
from source_kustomer.paging.query import page_query

logger = logging.getLogger("airbyte.source_kustomer")


class List(Protocol):
    """A list that may be read, and the role that it takes."""

    @property
    def name(self) -> str: ...

    @property
    def role(self) -> str: ...


def check_access(client: Client, lists: Sequence[List]) -> None:
    """Warn of each list that cannot be read; raises `Failure` if none can, or the key is bad."""
    probe = Probe(client)
    # All at once, because a person waits.
    refusal = background.start(probe.failure)
    asked = {entry.name: background.start(partial(_ask, client, probe, entry)) for entry in lists}
    closed = {name: reason for name, future in asked.items() if (reason := future.result())}
    if len(closed) == len(lists):
        refused = refusal.result()
        if refused and refused.evidence.is_refusal:
            raise refused
        # At a small share there may be no room for any list, which says nothing against the key.
        has_no_room = any(reason.cause.name == "rate_limit" for reason in closed.values())
        if refused or not has_no_room:
            raise _nothing_to_read(lists, closed)
    for name, reason in closed.items():
        logger.warning("%s: %s", name, reason.message)


def _ask(client: Client, probe: Probe, entry: List) -> Failure | None:
    """Ask for one record; return why none came, None if the list is open."""
    url = f"{client.base_url}{entry.name}"
    try:
        client.get(
            f"{url}?{page_query(1, 1)}",
            lambda document: Page.parse(document, url, size=1),
            target=Target.of_list(entry.name, entry.role),
            explain=probe.explain,
        )
    except Failure as e:
        return e
    return None


def _nothing_to_read(lists: Sequence[List], closed: dict[str, Failure]) -> Failure:
    """Return the failure of a key that can read nothing: its missing roles, or what is worse."""
    for reason in closed.values():
        if reason.cause.name != "missing_role":
            return reason
    roles = ", ".join(f"{entry.role} ({entry.name})" for entry in lists)
    return Failure(
        reason.cause,
        f"The API key may read none of the six lists: it lacks the roles {roles}; {NEW_KEY} with "
        "those that you need.",
    )
