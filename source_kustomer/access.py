"""What this key may read: the report behind `check`."""

import logging
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

from source_kustomer.client import Client, Patience
from source_kustomer.errors import NEW_KEY, Failure, failure
from source_kustomer.pagination import ListError, Page, page_query

# A user waits for the answer: probe and lists together stay below a minute.
_PROBING = Patience(tries=2, seconds=20, read_timeout=9)
_LISTING = Patience(tries=2, seconds=30, read_timeout=13)

_CLOSED = frozenset({"missing_role", "unavailable_list"})

# At a small share there is no room for all lists in a minute, which says nothing against the key.
_ONLY_WARNED = _CLOSED | {"used_up_share"}

# What a closed list looks like where there is no probe and no other list has answered yet.
_SEEM_REFUSED = frozenset({"refused_key", "unknown_organization"})

logger = logging.getLogger("airbyte.source_kustomer")


class List(Protocol):
    """A list that may be read, and the role that it takes."""

    @property
    def name(self) -> str: ...

    @property
    def role(self) -> str: ...


def check_access(client: Client, lists: Sequence[List]) -> None:
    """Warn of each list that is closed or was not asked for; raises `Failure` if all are closed.

    Whatever else is wrong with an answer raises its `Failure` too.
    """
    refused = client.probe(_PROBING)
    # An API without the probe tells what it thinks of a key with each list.
    if refused is not None and refused.status != 404:  # noqa: PLR2004
        raise client.failure_of(refused)
    with ThreadPoolExecutor(max_workers=len(lists)) as threads:
        failures = list(threads.map(lambda each: _ask(client, each), lists))
    if None in failures:
        failures = [
            _ask(client, each) if reason and reason.cause.name in _SEEM_REFUSED else reason
            for each, reason in zip(lists, failures, strict=True)
        ]
    told = [(each, reason) for each, reason in zip(lists, failures, strict=True) if reason]
    for _, reason in told:
        if reason.cause.name not in _ONLY_WARNED:
            raise reason
    if sum(reason.cause.name in _CLOSED for _, reason in told) == len(lists):
        raise _nothing_to_read(told)
    for _, reason in told:
        logger.warning(reason.message)


def _ask(client: Client, each: List) -> Failure | None:
    """Ask for one record; return why none came, None if the list is open."""
    url = f"{client.base_url}{each.name}"
    try:
        answer = client.get(
            f"{url}?{page_query(1, 1)}", stream=each.name, role=each.role, patience=_LISTING
        )
        Page.parse(answer.document, url, asked_size=1)
    except Failure as e:
        return e
    except ListError as e:
        return failure(e.fault.value, host=client.host, stream=each.name, **e.details)
    return None


def _nothing_to_read(closed: Iterable[tuple[List, Failure]]) -> Failure:
    reasons = [reason for _, reason in closed]
    roles = ", ".join(f"{each.role} ({each.name})" for each, _ in closed)
    return Failure(
        reasons[0].cause,
        f"The API key may read none of the six lists: it lacks the roles {roles}; {NEW_KEY} with "
        "those that you need.",
    )
