"""What single responses show: the key, errors, roles, and the limit."""

import re
from collections import Counter
from collections.abc import Callable, Iterable
from itertools import pairwise

from sandbox import ROLES
from tools.contract.exchange import Exchange
from tools.contract.explanation import explain
from tools.contract.observations import Observations
from tools.contract.reading import NotObservable, Reading, Readings, Seen

_HEADERS = ("x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset", "retry-after")

# The members of errors that are documented; whatever else there is may be a value.
_ERROR_MEMBERS = ("code", "title", "message", "detail", "status", "source", "meta", "id", "links")

_REFUSED = frozenset({401, 403})
_ONE = "1 request"


def own_address(seen: Observations) -> Readings:
    """Say whether the organization's address answers, where it is Kustomer's."""
    if not seen.is_kustomer:
        return {"": NotObservable("the address is not Kustomer's", "a run without KUSTOMER_API_URL")}
    is_there = any(e.status for e in seen.exchanges)
    return {"": Seen("answers" if is_there else "does not", f"{len(seen.exchanges)} requests")}


def key(seen: Observations) -> Readings:
    """Say what the probe answers the account's key, and by which cause the connector takes it."""
    return {"": _answer(seen.key, seen)}


def probe_roles(seen: Observations) -> Readings:
    """Say whether the probe names the key's roles."""
    if not seen.key.is_ok:
        return {"": seen.key.unread}
    return {"": Seen("no roles" if _roles(seen) is None else "roles", _ONE)}


def wrong_key(seen: Observations) -> Readings:
    """Say what a key that nobody has is answered."""
    return {"": _answer(seen.wrong_key, seen)}


def missing_role(seen: Observations) -> Readings:
    """Say what a list or metadata are answered that the key may not read while it works."""
    asked = {name: each.first for name, each in seen.lists.items()}
    asked |= {f"metadata of {name}": came for name, came in seen.metadata.items()}
    if not any(came.is_ok for came in (seen.key, *asked.values())):
        return {"": NotObservable("the key opens nothing", "a key that works")}
    refused = {name: came for name, came in asked.items() if came.status in _REFUSED}
    if not refused:
        return {"": NotObservable("the key may read all that was asked", "a key without a role")}
    return {name: Seen(str(came.status), _ONE) for name, came in refused.items()}


def roles(seen: Observations) -> Readings:
    """Say which role of the key's opened a list, or did not."""
    held = _roles(seen)
    if held is None:
        why = NotObservable("the probe names no roles", "an account whose probe does")
        return dict.fromkeys(seen.lists, why)
    readings: dict[str, Reading] = {}
    for name, each in seen.lists.items():
        known = [role for role in ROLES[name] if role in held]
        if not (each.first.is_ok or each.first.status in _REFUSED):
            readings[name] = each.first.unread
            continue
        sample = ", ".join(known) or "none of its roles"
        value = "opened" if each.first.is_ok else "refused"
        readings[name] = Seen(f"{value} {'with' if known else 'without'} its role", sample)
    return readings


def unknown_path(seen: Observations) -> Readings:
    """Say what comes for a path that does not exist."""
    return {"": _answer(seen.unknown_path, seen)}


def unknown_organization(seen: Observations) -> Readings:
    """Say what a made-up key gets at an organization that does not exist."""
    return {"": _answer(seen.unknown_organization, seen)}


def tags(seen: Observations) -> Readings:
    """Say whether the list that is not documented is there; a refusal proves it."""
    first = seen.lists["tags"].first
    if first.unasked or first.status is None:
        return {"": first.unread}
    return {"": Seen("there" if first.is_ok or first.status in _REFUSED else first.outcome, _ONE)}


def limit(seen: Observations) -> Readings:
    """Say what the limit is."""
    limits = [n for e in seen.exchanges if (n := e.header("x-ratelimit-limit")) is not None]
    if not limits:
        return {"": NotObservable("no response tells it", "headers of the rate limit")}
    texts = ", ".join(str(n) for n in sorted({*limits}))
    return {"": Seen(texts, f"{len(limits)} of {len(seen.exchanges)} responses")}


def remaining(seen: Observations) -> Readings:
    """Say whether what remains of the limit falls as requests are sent."""
    steps = [after - before for before, after in pairwise(_remaining(seen)[:-1])]
    if len(steps) < 2:
        return {"": NotObservable("no two responses tell it", "headers of the rate limit")}
    # It rises where others' requests leave the window.
    falls = sum(step < 0 for step in steps) * 2 > len(steps)
    return {"": Seen("falls" if falls else "does not fall", f"{len(steps) + 1} responses")}


def minute(seen: Observations) -> Readings:
    """Say how the minute is counted: where it slides, what was sent within it is still counted."""
    left, limit = seen.later.header("x-ratelimit-remaining"), seen.later.header("x-ratelimit-limit")
    if left is None or limit is None:
        needed = "a run that is not stopped, and headers of the rate limit"
        return {"": NotObservable("no response a minute after the first one tells it", needed)}
    began = seen.later.sent_at - seen.window
    own = sum(e.sent_at > began for e in seen.exchanges)
    rise = max(after - before for before, after in pairwise([*_remaining(seen)]))
    resets = {e.headers["x-ratelimit-reset"] for e in seen.exchanges if e.header(_HEADERS[2])}
    sample = f"{own} requests, {limit - left} counted; {len(resets)} values of reset"
    if rise > own / 2 and limit - left < own / 2:
        return {"": Seen("fixed", sample)}
    if rise < own / 4 and limit - left >= own / 2:
        return {"": Seen("slides", sample)}
    return {"": NotObservable(f"the counts fit neither ({sample})", "a run with nobody else's")}


def headers(seen: Observations) -> Readings:
    """Say which of the limit's headers each kind of response carries."""
    return _by_kind(seen, "another kind of response", _header_names)


def resets(seen: Observations) -> Readings:
    """Say how each kind of response writes the reset."""
    return _by_kind(seen, "a response with it", _reset_forms)


def refusal(seen: Observations) -> Readings:
    """Say what a 429 carries: its headers and its body."""
    refused = [e for e in seen.exchanges if e.status == 429]
    if not refused:
        needed = "a run while the limit is exceeded, which nobody should bring about"
        return {"": NotObservable("the limit was not exceeded", needed)}
    sample = f"{len(refused)} responses"
    after = refused[0].headers.get("retry-after")
    form = "none" if after is None else "seconds" if after.isdigit() else "a date"
    return {
        "body": Seen(_body_form(refused[0]), sample),
        "reset": Seen(_reset_form(refused[0].headers.get("x-ratelimit-reset")), sample),
        "Retry-After": Seen(form, sample),
    }


def error_bodies(seen: Observations) -> Readings:
    """Say which members the body of an error has, by status."""
    bodies: dict[str, Reading] = {}
    for came in seen.exchanges:
        if came.status is not None and came.status >= 400:
            count = sum(e.status == came.status for e in seen.exchanges)
            bodies.setdefault(str(came.status), Seen(_body_form(came), f"{count} responses"))
    return bodies or {"": NotObservable("no error came", "an error")}


def _answer(came: Exchange, seen: Observations) -> Reading:
    """Return a status, and the cause that the connector takes it for."""
    if came.unasked:
        return came.unread
    if came.is_ok:
        return Seen("200", _ONE)
    cause = explain(came, seen.config)[0]
    return Seen(cause if came.status is None else f"{came.outcome}, {cause}", _ONE)


def _roles(seen: Observations) -> list[str] | None:
    roles = seen.key.member("data", "attributes", "roles")
    return [r for r in roles if isinstance(r, str)] if isinstance(roles, list) else None


def _remaining(seen: Observations) -> list[int]:
    """Return what successes tell; a made-up organization has a limit of its own."""
    told = (e.header("x-ratelimit-remaining") for e in seen.exchanges if e.is_ok)
    return [n for n in told if n is not None]


def _by_kind(
    seen: Observations, needed: str, form: Callable[[list[Exchange]], str]
) -> Readings:
    """Read successes by what was asked for, and errors by their status."""
    kinds: dict[str, list[Exchange]] = {}
    for came in seen.exchanges:
        if came.status is not None:
            kind = came.kind if came.kind != "error" else "list"
            kinds.setdefault(kind if came.is_ok else str(came.status), []).append(came)
    if not kinds:
        return {"": NotObservable("nothing came", needed)}
    return {kind: Seen(form(came), f"{len(came)} responses") for kind, came in kinds.items()}


def _header_names(came: list[Exchange]) -> str:
    counts = Counter(name for e in came for name in _HEADERS[:2] if name in e.headers)
    names = [
        name.removeprefix("x-ratelimit-") + f" (on {count})" * (count < len(came))
        for name, count in counts.items()
    ]
    return " and ".join(names) or "neither"


def _reset_forms(came: list[Exchange]) -> str:
    return _joined(_reset_form(e.headers.get("x-ratelimit-reset")) for e in came)


def _reset_form(value: str | None) -> str:
    if value is None:
        return "none"
    for pattern, form in (
        (r"\d{1,6}", "seconds to wait"),
        (r"\d{10}", "epoch seconds"),
        (r"\d{13}", "epoch milliseconds"),
        (r"\d{4}-\d\d-\d\dT\S+", "an ISO date"),
    ):
        if re.fullmatch(pattern, value, re.ASCII):
            return form
    return "another form"


def _body_form(came: Exchange) -> str:
    """Name the documented members of an error, and count the others."""
    if not came.is_json:
        return "HTML" if came.is_html else "text" if came.content.strip() else "empty"
    errors = came.member("errors")
    error = errors[0] if isinstance(errors, list) and errors else None
    if not isinstance(error, dict):
        return "JSON without errors"
    names = [name for name in _ERROR_MEMBERS if name in error]
    if "status" in names:
        names[names.index("status")] += " as " + (
            "text" if isinstance(error["status"], str) else "a number"
        )
    others = len(error) - len(names)
    return ", ".join([*names, *([f"{others} others"] if others else [])]) or "no member"


def _joined(texts: Iterable[str]) -> str:
    return " or ".join(dict.fromkeys(texts))
