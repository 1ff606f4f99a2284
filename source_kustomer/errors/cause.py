"""A row of the table of causes."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from airbyte_cdk.models import FailureType

from source_kustomer.errors.outcome import Outcome

CONFIG: Final = FailureType.config_error
TRANSIENT: Final = FailureType.transient_error
SYSTEM: Final = FailureType.system_error

# What cannot help is not tried again.
ONCE: Final = 1
# A second look, where the first may have met a server that is being replaced.
TWICE: Final = 2
# What seldom passes, but costs little to ask for again.
SOME: Final = 3
# Long enough to outlast a restart of the server; the platform starts a failed sync again anyway.
MANY: Final = 6


@dataclass(frozen=True)
class Cause:
    """How an outcome is recognized, how often a page is tried, and what the user reads.

    `closes_list` says that the list is not for this key, while others may be; `ends_list`, that an
    API may answer so past a list's end; `is_size`, that a smaller page may succeed.
    """

    name: str
    recognized_by: str
    attempts: float
    failure_type: FailureType
    sentence: str
    recognizes: Callable[[Outcome], bool] = lambda _: False
    closes_list: bool = False
    ends_list: bool = False
    is_size: bool = False
