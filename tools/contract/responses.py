"""What single responses show: the key, errors, and the rate limit's headers."""

import re
from itertools import pairwise

from sandbox import LISTS
from tools.contract import pages
from tools.contract.api import MADE_UP_KEY, Api, Response, number
from tools.contract.check import Seen

PROBE = "auth/tokens/current"
UNKNOWN_PATH = "no-such-list-27d1c2"
RESOURCES = ("customer", "conversation", "user")

_PLANS = frozenset({300, 500, 1000, 2000})
_REFUSED = frozenset({401, 403})


def own_address(api: Api) -> str | None:
    """Say whether the organization's address answers, where it is Kustomer's."""
    if not api.is_kustomer:
        return None
    return "answers" if api.get(PROBE).status is not None else api.get(PROBE).outcome


def probe(api: Api) -> str:
    """Say what the probe answers the key."""
    response = api.get(PROBE)
    if not response.is_ok:
        return response.outcome
    roles = response.member("data", "attributes", "roles")
    return f"200, {'with' if isinstance(roles, list) else 'without'} the key's roles"


def wrong_key(api: Api) -> str:
    """Say what a key that nobody has is answered."""
    return _wrong_key(api).outcome


def missing_role(api: Api) -> str | None:
    """Say what a key without the role is answered, where it works for something else."""
    paths = [*(f"{name}?page=1&pageSize={pages.largest(name)}" for name in LISTS), *_metadata()]
    responses = [api.get(path) for path in paths]
    if not any(response.is_ok for response in (api.get(PROBE), *responses)):
        return None
    statuses = {response.status for response in responses}
    return " and ".join(str(s) for s in sorted(_REFUSED) if s in statuses) or None


def unknown_path(api: Api) -> str:
    """Say what comes for a path that does not exist."""
    return api.get(UNKNOWN_PATH).outcome


def unknown_organization(api: Api) -> str:
    """Say what comes for an organization that does not exist."""
    return api.get_elsewhere("customers").outcome


def tags(api: Api) -> str:
    """Say whether the list that is not documented is there."""
    return pages.first(api, "tags").outcome


def metadata(api: Api) -> str | None:
    """Say what the metadata of custom attributes look like, where the key may read them."""
    responses = [r for path in _metadata() if (r := api.get(path)).status not in _REFUSED]
    seen = dict.fromkeys(
        r.outcome if not r.is_ok else "properties by name" if _properties(r) else "another form"
        for r in responses
    )
    return " and ".join(seen) or None


def flagged(api: Api, resource: str) -> dict[str, bool] | None:
    """Return of each custom attribute whether it has many values, None without metadata."""
    response = api.get(f"metadata/{resource}")
    if not response.is_ok or not _properties(response):
        return None
    properties = response.member("data", "attributes", "properties")
    return {
        name: isinstance(d, dict) and True in (d.get("multi"), d.get("array"))
        for name, d in properties.items()
    }


def limit(api: Api) -> str | None:
    """Say whether the limit is one of the plans', without naming it."""
    limits = {number(r.headers.get("x-ratelimit-limit")) for r in api.successes} - {None}
    return ("a plan's" if limits <= _PLANS else "another") if limits else None


def remaining(api: Api) -> str | None:
    """Say whether what remains of the limit falls as requests are sent."""
    said = [number(r.headers.get("x-ratelimit-remaining")) for r in api.successes]
    steps = [after < before for before, after in pairwise(n for n in said if n is not None)]
    if not steps:
        return None
    # It rises where others' requests leave the window.
    return "falls with the requests" if sum(steps) * 2 > len(steps) else "does not fall"


def headers_of_success(api: Api) -> str | None:
    """Say which of the limit's headers a success carries."""
    return _headers(api.successes[0]) if api.successes else None


def headers_of_errors(api: Api) -> str | None:
    """Say which of the limit's headers errors carry."""
    errors = [r for r in (_wrong_key(api), api.get(UNKNOWN_PATH)) if r.status is not None]
    return "; ".join(dict.fromkeys(map(_headers, errors))) or None


def reset_of_success(api: Api) -> str | None:
    """Say whether successes tell when the limit is free again."""
    return _reset(api.successes[0]) if api.successes else None


def refusal(api: Api) -> str | None:
    """Say what a 429 tells, where one came."""
    if not api.refusals:
        return None
    headers = api.refusals[0].headers
    after = headers.get("retry-after")
    said = "no" if after is None else "seconds in" if after.isdigit() else "a date in"
    return f"reset: {_reset(api.refusals[0])}; {said} Retry-After"


def error_bodies(api: Api) -> Seen | None:
    """Say which form the bodies of errors have: both documented ones will do."""
    errors = {"wrong key": _wrong_key(api), "unknown path": api.get(UNKNOWN_PATH)}
    forms = {name: _error_form(r) for name, r in errors.items() if r.status is not None}
    if not forms:
        return None
    texts = {text for text, _ in forms.values()}
    named = "; ".join(f"{name}: {text}" for name, (text, _) in forms.items())
    return Seen(
        texts.pop() if len(texts) == 1 else named, all(known for _, known in forms.values())
    )


def _wrong_key(api: Api) -> Response:
    return api.get(PROBE, key=MADE_UP_KEY)


def _metadata() -> list[str]:
    return [f"metadata/{resource}" for resource in RESOURCES]


def _properties(response: Response) -> bool:
    return isinstance(response.member("data", "attributes", "properties"), dict)


def _headers(response: Response) -> str:
    seen = [
        name.removeprefix("x-ratelimit-")
        for name in ("x-ratelimit-limit", "x-ratelimit-remaining")
        if name in response.headers
    ]
    return " and ".join(seen) or "neither"


def _reset(response: Response) -> str:
    value = response.headers.get("x-ratelimit-reset")
    if value is None:
        return "absent"
    for pattern, form in (
        (r"\d{1,6}", "seconds to wait"),
        (r"\d{10}", "epoch seconds"),
        (r"\d{13}", "epoch milliseconds"),
        (r"\d{4}-\d\d-\d\dT\S+", "an ISO date"),
    ):
        if re.fullmatch(pattern, value, re.ASCII):
            return form
    return "another form"


def _error_form(response: Response) -> tuple[str, bool]:
    """Return an error body's form, and whether it is documented."""
    if not response.is_json:
        return "HTML" if response.is_html else "no JSON", False
    errors = response.member("errors")
    error = errors[0] if isinstance(errors, list) and errors else None
    if not isinstance(error, dict) or not {"message", "detail", "title"} & error.keys():
        return "JSON of another form", False
    words = next(name for name in ("detail", "message", "title") if name in error)
    status = error.get("status")
    kind = "text" if isinstance(status, str) else "number"
    return (f"{words}, status as a {kind}" if status is not None else words), True
