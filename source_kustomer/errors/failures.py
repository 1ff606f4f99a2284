"""The failure that ends a stream or a check, and what of the server's words it may quote."""

import re
from typing import Final

from airbyte_cdk.models import FailureType
from airbyte_cdk.utils.traced_exception import AirbyteTracedException

from source_kustomer.errors.causes import Cause, cause_of
from source_kustomer.errors.evidence import Evidence, Fault

# What a user is warned of, by name; `format` fills in the numbers.
WARNINGS: Final = {
    "short_list": "The {stream} list ended after {records} of {total} records: the API key cannot "
    "see the others, or they were removed while the list was read.",
    "suspected_cap": "The {stream} list ended after exactly {records} records: if there are more, "
    "Kustomer cut it off; ask Kustomer's support.",
    "expired_position": "Kustomer no longer accepts the saved page of the {stream} list: the list "
    "is read from its start.",
    "foreign_state": "The state of {stream} was not written by this version: the list is read from "
    "its start.",
    "completed_state": "The state of {stream} marks the list as complete, so nothing is read: omit "
    "the state, or clear it (in PyAirbyte, force_full_refresh=True), to read the list anew.",
}

# Words of a server worth showing to a user fit into a line of a log.
_LONGEST_QUOTE = 200

# A key, or a part of one, has no blank in it; no word of a language is as long.
_LIKE_A_SECRET = re.compile(r"\S{24,}")

# No eight characters of a key in a row are ever quoted, whatever stands between them.
_SECRET_RUN = 8


class InputError(AirbyteTracedException):
    """What the user gave cannot be used; the message says what to correct, and quotes no key."""

    def __init__(self, name: str, message: str) -> None:
        super().__init__(
            internal_message=name, message=message, failure_type=FailureType.config_error
        )


class Failure(AirbyteTracedException):
    """A cause that ends a stream or a check, with the sentence that the user reads."""

    def __init__(self, cause: Cause, message: str, evidence: Evidence | None = None) -> None:
        super().__init__(
            internal_message=cause.name, message=message, failure_type=cause.failure_type
        )
        self.cause = cause
        self.evidence = evidence or Evidence()


def failure(evidence: Evidence, *, secret: str, **details: object) -> Failure:
    """Return the failure that an attempt ends in; `details` fill its sentence."""
    cause = cause_of(evidence)
    known = {**details, "status": evidence.status, "said": _quote(evidence, secret)}
    if isinstance(evidence.exception, Fault):
        known |= evidence.exception.details
    return Failure(cause, cause.sentence.format_map(known), evidence)


def _quote(evidence: Evidence, secret: str) -> str:
    """Quote the server's own words where they are short and hold no secret."""
    first = next(iter(evidence.errors), {})
    words = first.get("detail") or first.get("message") or first.get("title")
    if not isinstance(words, str):
        return ""
    quote = " ".join(words.split())
    harmless = "@" not in quote and not _LIKE_A_SECRET.search(quote) and not _holds(quote, secret)
    if not quote.isprintable() or not harmless or not 0 < len(quote) <= _LONGEST_QUOTE:
        return ""
    return f" Kustomer said: '{quote}'."


def _holds(quote: str, secret: str) -> bool:
    """Whether the quote holds a part of the secret, in any case and with anything in between."""
    starts = range(max(1, len(secret) - _SECRET_RUN + 1))
    plain = _letters(quote)
    return any(_letters(secret[start : start + _SECRET_RUN]) in plain for start in starts)


def _letters(text: str) -> str:
    return re.sub(r"[\W_]", "", text).casefold()
