"""What single responses show: the key, roles, errors, and the limit."""

import re
from collections import Counter
from collections.abc import Callable
from itertools import pairwise

from sandbox import ROLES
from tools.contract.asking import Exchange, NotObservable, Reading, Readings, Seen, explain
from tools.contract.observations import Observations

_RESET, _REMAINING, _LIMIT = (f"x-ratelimit-{name}" for name in ("reset", "remaining", "limit"))
_RESETS = {
    r"\d{1,6}": "seconds to wait",
    r"\d{10}": "epoch seconds",
    r"\d{13}": "epoch milliseconds",
    r"\d{4}-\d\d-\d\dT\S+": "an ISO date",
}
# The members of errors that are documented; whatever else there is may be a value.
_ERROR_MEMBERS = ("code", "title", "message", "detail", "status", "source", "meta", "id", "links")


def answered(seen: Observations, came: Exchange, *, needs_key: bool = False) -> Reading:
    """Read a status; an error's sample is what the connector takes it for."""
    if came.unasked or (needs_key and came.is_refused):
        return came.unread
    sample = "1 request" if came.is_ok else f"read as: {explain(came, seen.config)[0]}"
    return Seen(came.outcome, sample)


def answers(name: str, seen: Observations) -> Reading:
    """Read what one list answers; a refusal proves that it is there."""
    each = seen.lists[name]
    if each.first.unasked or each.first.is_refused:
        return each.first.unread
    pages = {"page 1": each.first, "page 2": each.second, "no pageSize": each.default}
    odd = [f"{page}: {e.outcome}" for page, e in pages.items() if not (e.is_ok or e.unasked)]
    return Seen("; ".join(odd) or "200", each.sample)


def probe_roles(seen: Observations) -> Reading:
    known = Seen("no roles" if _roles(seen) is None else "roles", "1 request")
    return known if seen.key.is_ok else seen.key.unread


def roles(seen: Observations) -> Reading | Readings:
    held = _roles(seen)
    asked = {name: (each.first, ROLES[name]) for name, each in seen.lists.items()}
    of_metadata = ROLES["metadata"]
    asked |= {f"metadata of {name}": (came, of_metadata) for name, came in seen.metadata.items()}
    if not any(came.is_ok for came, _ in (*asked.values(), (seen.key, ()))):
        return NotObservable("the key opens nothing", "a key that works")
    readings: dict[str, Reading] = {}
    if not any(came.is_refused for came, _ in asked.values()):
        readings["refused"] = NotObservable("the key may read all", "a key that lacks a role")
    for name, (came, known) in asked.items():
        own = ", ".join(role for role in known if role in (held or []))
        what = "" if held is None else " with its role" if own else " without its role"
        value = f"{'opened' if came.is_ok else came.outcome}{what}"
        is_told = came.is_ok or came.is_refused
        readings[name] = Seen(value, own or "1 request") if is_told else came.unread
    return readings


def limit(seen: Observations) -> Reading:
    told = Counter(n for e in seen.exchanges if (n := e.header(_LIMIT)) is not None)
    steps = [after - before for before, after in pairwise(_remaining(seen))]
    if not told or not steps:
        return NotObservable("no two responses tell it", "headers of the rate limit")
    # It rises where others' requests leave the window.
    falls = "" if sum(step < 0 for step in steps) * 2 > len(steps) else ", remaining does not fall"
    sample = f"{told.total()} of {len(seen.exchanges)} responses"
    return Seen(", ".join(map(str, sorted(told))) + falls, sample)


def minute(seen: Observations) -> Reading:
    left, most = seen.later.header(_REMAINING), seen.later.header(_LIMIT)
    if left is None or most is None:
        needed = "a whole run, and headers of the rate limit"
        return NotObservable("no response tells it almost a minute later", needed)
    began = seen.later.sent_at - seen.window
    own, counted = sum(e.is_ok and e.sent_at > began for e in seen.exchanges), most - left
    rise = max(after - before for before, after in pairwise(_remaining(seen)))
    resets = {e.headers[_RESET] for e in seen.exchanges if _RESET in e.headers}
    sample = f"{own} requests, {counted} counted, {len(resets)} values of the reset"
    if counted >= own and rise > own / 4:
        return NotObservable(f"others' requests came and went ({sample})", "a quiet moment")
    return Seen("fixed" if counted < own else "slides", sample)


def headers(came: Exchange) -> str:
    told = [n.removeprefix("x-ratelimit-") for n in (_LIMIT, _REMAINING) if n in came.headers]
    after = came.headers.get("retry-after")
    waits = f", Retry-After {'in seconds' if str(after).isdigit() else 'a date'}"
    return " and ".join(told or ["neither"]) + waits * (after is not None)


def reset(came: Exchange) -> str:
    value = came.headers.get(_RESET)
    forms = (f for pattern, f in _RESETS.items() if re.fullmatch(pattern, value or "", re.ASCII))
    return "none" if value is None else next(forms, "another form")


def body(came: Exchange) -> str:
    errors = came.member("errors")
    error = errors[0] if isinstance(errors, list) and errors else None
    if not isinstance(error, dict):
        text = came.content.lstrip()
        form = "HTML" if text[:1] == b"<" else "text" if text else "empty"
        return "JSON without errors" if came.is_json else form
    as_text = " as text" * isinstance(error.get("status"), str)
    told = [n + as_text * (n == "status") for n in _ERROR_MEMBERS if n in error]
    return ", ".join([*told, *["another"] * (len(error) - len(told))]) or "no member"


def by_kind(form: Callable[[Exchange], str], seen: Observations) -> Readings:
    """Read successes by what was asked for, and errors by their status."""
    kinds: dict[str, list[str]] = {}
    for came in seen.exchanges:
        if came.status is not None and not (form is body and came.is_ok):
            kinds.setdefault(came.kind if came.is_ok else f"{came.status}", []).append(form(came))
    needed = NotObservable("the limit was not exceeded", "a run while it is, by others")
    return {"429": needed} | {
        kind: Seen(" or ".join(dict.fromkeys(forms)), f"{len(forms)} of them")
        for kind, forms in kinds.items()
    }


def parameters(seen: Observations) -> Reading | dict[str, Reading]:
    readings: dict[str, Reading] = {}
    for name, came in seen.parameters.items():
        before, after = seen.lists[name.partition(",")[0]].first.ids, came.ids
        change = "orders by id, descending" if after == sorted(after, reverse=True) else "others"
        if after[:1] == before[1:2]:
            change = "begins after the record"
        elif after and after[0] in before:
            change = "nothing" if after == before else "leaves out records in front"
        told = Seen(change if came.is_ok else came.outcome, f"{len(after)} records")
        readings[name] = came.unread if came.unasked else told
    return readings or NotObservable("no list has two records", "a longer list")


def _roles(seen: Observations) -> list[str] | None:
    told = seen.key.member("data", "attributes", "roles")
    return [r for r in told if isinstance(r, str)] if isinstance(told, list) else None


def _remaining(seen: Observations) -> list[int]:
    """Return what successes tell; a made-up organization has a limit of its own."""
    told = (e.header(_REMAINING) for e in seen.exchanges if e.is_ok)
    return [n for n in told if n is not None]
