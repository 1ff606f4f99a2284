"""What can go wrong, what is done about it, and what the user reads."""

from source_kustomer.errors.cause import Cause
from source_kustomer.errors.causes import CAUSES, cause_of
from source_kustomer.errors.failures import Failure, failure
from source_kustomer.errors.outcome import Fault, Outcome, Verdict
from source_kustomer.errors.refusals import NEW_KEY
from source_kustomer.errors.warnings import WARNINGS

__all__ = [
    "CAUSES",
    "NEW_KEY",
    "WARNINGS",
    "Cause",
    "Failure",
    "Fault",
    "Outcome",
    "Verdict",
    "cause_of",
    "failure",
]
