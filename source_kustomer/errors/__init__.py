"""What can go wrong, what is done about it, and what the user reads."""

from source_kustomer.errors.causes import CAUSES, NEW_KEY, Cause, cause_of
from source_kustomer.errors.evidence import Evidence, Fault
from source_kustomer.errors.failures import WARNINGS, Failure, InputError, failure

__all__ = [
    "CAUSES",
    "NEW_KEY",
    "WARNINGS",
    "Cause",
    "Evidence",
    "Failure",
    "Fault",
    "InputError",
    "cause_of",
    "failure",
]
