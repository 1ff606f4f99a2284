"""What Kustomer's documentation leaves open, as switches: each has a name and a few values."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from sandbox.data import LISTS

Value = bool | int | str | tuple[str, ...]


def _one_of(values: tuple[Value, ...]) -> Any:
    """Make a field that takes one of these values, the first by default."""
    return field(default=values[0], metadata={"values": values})


@dataclass(frozen=True)
class Switches:
    """How the API behaves where nobody could look; raises `ValueError` for an unknown value."""

    # A page after the last one: no records and no link, no records and a link, or an error.
    past_end: str = _one_of(("empty", "onward", "404", "400"))
    # `links.next` of the last page; `when_full` leads past the end if the last page is full.
    last_link: str = _one_of(("null", "missing", "when_full"))
    order: str = _one_of(("oldest_first", "newest_first"))
    # The lists whose `meta` has a total.
    totals: str = _one_of(("customers", "all", "none"))
    numbers_as_text: bool = _one_of((False, True))
    # A `pageSize` above the largest.
    too_large: str = _one_of(("clamped", "refused"))
    # The largest page of users and teams.
    largest_page: int = _one_of((500, 100))
    # The page size of customers where the request has none.
    default_page: int = _one_of((30, 100))
    links: str = _one_of(("relative", "absolute", "object", "without_size"))
    meta: str = _one_of(("full", "missing"))
    # The lists that are read by cursors.
    cursors: tuple[str, ...] = _one_of(((), ("conversations",), LISTS))
    # Lists end at 10,000 records: without a word, with an error for the page beyond, or by the link
    # only, while the page beyond answers by its number.
    cap: str = _one_of(("none", "cut", "refused", "unlinked"))
    # `sort`, `page[after]` and `fromDate` of lists by number.
    parameters: str = _one_of(("ignored", "honoured", "refused"))
    # The responses that carry `x-ratelimit-*`.
    rate_headers: str = _one_of(("always", "never", "success", "exceeded"))
    reset: str = _one_of(("seconds", "milliseconds", "iso", "none"))
    reset_when: str = _one_of(("exceeded", "always"))
    # `Retry-After` of a 429.
    retry_after: str = _one_of(("none", "seconds", "date"))
    missing_role: int = _one_of((403, 401))
    probe: bool = _one_of((True, False))
    probe_roles: bool = _one_of((True, False))
    metadata: str = _one_of(("open", "closed", "404"))
    error_form: str = _one_of(("long", "long_text", "short", "html"))
    unknown_organization: int = _one_of((404, 401))

    def __post_init__(self) -> None:
        for name, values in SWITCHES.items():
            value = getattr(self, name)
            if value not in values and not _are_lists(value):
                raise ValueError(f"{name} is one of {', '.join(map(spelled, values))}")


SWITCHES: Mapping[str, tuple[Value, ...]] = {
    switch.name: switch.metadata["values"] for switch in fields(Switches)
}


def _are_lists(value: Value) -> bool:
    """Whether a value names lists, of which every combination is possible."""
    return isinstance(value, tuple) and set(value) <= set(LISTS)


def spelled(value: Value) -> str:
    """Return a value as it is written on a command line."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "+".join(value) or "none" if isinstance(value, tuple) else str(value)


def parse(argument: str) -> tuple[str, Value]:
    """Read `name=value`; raises `ValueError` with the names or values that there are."""
    name, _, text = argument.partition("=")
    if name not in SWITCHES:
        raise ValueError(f"there is no switch {name}: there are {', '.join(SWITCHES)}")
    values = {spelled(value): value for value in SWITCHES[name]}
    lists = tuple(text.split("+"))
    if isinstance(SWITCHES[name][0], tuple) and _are_lists(lists):
        return name, lists
    if text not in values:
        raise ValueError(f"{name} is one of {', '.join(values)}")
    return name, values[text]
