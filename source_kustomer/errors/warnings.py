"""What a user is warned of, by name; `format` fills in the numbers."""

from typing import Final

WARNINGS: Final = {
    "short_list": "The list of {stream} ended after {records} of {total} records: the API key may "
    "not see the others, or they were removed while the list was read.",
    "suspected_cap": "The list of {stream} ended on exactly {records} records: if there are more, "
    "Kustomer cut it off; ask Kustomer's support.",
    "refused_end": "Kustomer promised a page of {stream} after {records} records and refused it "
    "again and again: it is taken for the end of the list.",
    "expired_position": "Kustomer does not know the page of {stream} any more at which the last "
    "sync stopped: the list is read from its start.",
    "foreign_state": "The state of {stream} is not one that this connector wrote: the list is read "
    "from its start.",
    "completed_state": "The state of {stream} says that the list was read to its end, so nothing "
    "is read again: leave the state out, or clear it (in PyAirbyte, force_full_refresh=True), to "
    "read the list anew.",
}
