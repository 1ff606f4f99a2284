"""What a check is: a quirk's number, what is documented, and how it is looked at."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from sandbox import LISTS
from tools.contract.api import Api


@dataclass(frozen=True)
class Seen:
    """What was seen, in words of ours only, and whether it is what is documented."""

    text: str
    is_same: bool


# Returns None where the account has nothing to look at.
Observe = Callable[[Api], Seen | None]


@dataclass(frozen=True)
class Check:
    """One thing that the connector takes for granted; `(?)` in `documented` marks a guess."""

    quirk: int
    title: str
    documented: str
    observe: Observe


def single(expected: str, look: Callable[[Api], str | None]) -> Observe:
    """Compare one observation with what is expected."""

    def observe(api: Api) -> Seen | None:
        seen = look(api)
        return None if seen is None else Seen(seen, seen == expected)

    return observe


def each_list(
    expected: str | Mapping[str, str],
    look: Callable[[Api, str], str | None],
    default: str = "",
) -> Observe:
    """Compare an observation of each list with what is expected of it, or else with `default`."""

    def observe(api: Api) -> Seen | None:
        seen = {name: text for name in LISTS if (text := look(api, name)) is not None}
        if not seen:
            return None
        wanted = expected if isinstance(expected, Mapping) else dict.fromkeys(LISTS, expected)
        return Seen(
            grouped(seen), all(text == wanted.get(name, default) for name, text in seen.items())
        )

    return observe


def grouped(seen: Mapping[str, str]) -> str:
    """Return what was seen, and of which lists where it differs or was not seen of all."""
    names: dict[str, list[str]] = {}
    for name, text in seen.items():
        names.setdefault(text, []).append(name)
    if len(names) == 1 and len(seen) == len(LISTS):
        return next(iter(names))
    return "; ".join(f"{text} ({', '.join(lists)})" for text, lists in names.items())
