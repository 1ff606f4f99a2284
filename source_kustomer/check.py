"""What this key may read: the report behind `check`."""

import logging
from collections.abc import Sequence
from functools import partial
from typing import Protocol

from source_kustomer.api import background
from source_kustomer.api.client import Client, Target
from source_kustomer.api.probe import Probe
from source_kustomer.api.retry import Patience
from source_kustomer.errors import NEW_KEY, Failure
from source_kustomer.paging.page import Page
from source_kustomer.paging.query import page_query

_UNASKED = "used_up_share"

logger = logging.getLogger("airbyte.source_kustomer")


class List(Protocol):
    """A list that may be read, and the role that it takes."""

    @property
    def name(self) -> str: ...

    @property
    def role(self) -> str: ...


def check_access(client: Client, lists: Sequence[List]) -> None:
    """Warn of each list that cannot be read; raises `Failure` if none can, or the key is bad."""
    patience = Patience.checking(client.timing)
    probe = Probe(client, patience)
    refused = probe.failure()
    # Where only the probe does not work, each list tells what the API thinks of the key.
    if refused and (refused.outcome.is_refusal or not client.host_was_reached):
        raise refused
    ask = partial(_ask, client, probe, patience)
    asked = [background.start(partial(ask, each)) for each in lists]
    reasons = {
        each: reason for each, got in zip(lists, asked, strict=True) if (reason := got.result())
    }
    # At a small share there may be no room for any list, which says nothing against the key.
    is_accepted = not refused and any(r.cause.name == _UNASKED for r in reasons.values())
    if len(reasons) == len(lists) and not is_accepted:
        raise _nothing_to_read(reasons)
    if refused:
        # The open list vouches for the key, which tells more of the others.
        reasons = {each: reason for each in reasons if (reason := ask(each))}
    for each, reason in reasons.items():
        logger.warning("%s: %s", each.name, reason.message)


def _ask(client: Client, probe: Probe, patience: Patience, each: List) -> Failure | None:
    """Ask for one record; return why none came, None if the list is open."""
    url = f"{client.base_url}{each.name}"
    try:
        client.get(
            f"{url}?{page_query(1, 1)}",
            lambda document: Page.parse(document, url, size=1),
            target=Target(each.name, each.role, is_list=True),
            explain=probe.explain,
            patience=patience,
        )
    except Failure as e:
        return e
    return None


def _nothing_to_read(reasons: dict[List, Failure]) -> Failure:
    """Return the failure of a key that may read nothing: its missing roles, or what is worse."""
    for reason in reasons.values():
        if reason.cause.name != "missing_role":
            return reason
    roles = ", ".join(f"{each.role} ({each.name})" for each in reasons)
    return Failure(
        reason.cause,
        f"The API key may read none of the six lists: it lacks the roles {roles}; {NEW_KEY} with "
        "those that you need.",
    )
