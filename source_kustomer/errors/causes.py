"""The table of causes: everything that can go wrong, and which row explains an outcome."""

from typing import Final

from source_kustomer.errors.cause import Cause
from source_kustomer.errors.faults import FAULTS
from source_kustomer.errors.network import NETWORK
from source_kustomer.errors.outcome import Fault, Outcome
from source_kustomer.errors.refusals import REFUSALS

# The first row that recognizes an outcome applies; faults are found by their name.
CAUSES: Final = (*REFUSALS, *NETWORK, *FAULTS)

_BY_NAME: Final = {cause.name: cause for cause in CAUSES}


def cause_of(outcome: Outcome) -> Cause:
    """Return the row that explains an outcome that is no success."""
    if isinstance(outcome.exception, Fault):
        return _BY_NAME[outcome.exception.name]
    return next(cause for cause in CAUSES if cause.recognizes(outcome))
