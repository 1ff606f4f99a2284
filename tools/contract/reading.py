"""What a check reads from the observations, and the verdict on it."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field

from tools.contract.observations import ListSeen, Observations


@dataclass(frozen=True)
class Seen:
    """A value, in words of ours and of Kustomer's only, and the sample that it was seen in."""

    value: str
    sample: str


@dataclass(frozen=True)
class NotObservable:
    """Why there was nothing to see, and what would show it."""

    reason: str
    needed: str


Reading = Seen | NotObservable

# By list or by kind of response; by "" where there is one reading only.
Readings = Mapping[str, Reading]
Look = Callable[[Observations], Readings]

SAME, DIFFERENT, ANSWERED = "same", "different", "open question answered"
NOT_OBSERVABLE, FAILED = "not observable", "failed"

# In the order of the report.
VERDICTS = (FAILED, DIFFERENT, ANSWERED, NOT_OBSERVABLE, SAME)


@dataclass(frozen=True)
class Check:
    """One thing that the connector takes for granted, by the number of its quirk.

    `expected` holds values by subject, or by "*" for all others; where there are none, every
    value is an answer. `is_open` marks a guess. `switches` are the sandbox's that replay a value.
    """

    quirk: int
    title: str
    expected: Mapping[str, Collection[str]]
    look: Look
    is_open: bool = False
    switches: Mapping[str, str] = field(default_factory=dict)

    def takes(self, subject: str, value: str) -> bool:
        """Whether a value is an expected one."""
        wanted = self.expected.get(subject, self.expected.get("*"))
        return wanted is None or value in wanted


class Row:
    """A check and what it read; `failure` names the error that kept it from reading."""

    def __init__(self, check: Check, observations: Observations) -> None:
        self.check, self.failure = check, ""
        self.seen: dict[str, Seen] = {}
        self.unseen: dict[str, NotObservable] = {}
        try:
            for subject, reading in check.look(observations).items():
                if isinstance(reading, Seen):
                    self.seen[subject] = reading
                else:
                    self.unseen[subject] = reading
        except Exception as e:  # noqa: BLE001
            # The other checks stand.
            self.failure = type(e).__name__

    @property
    def is_expected(self) -> bool:
        """Whether all that was seen is as documented or guessed."""
        return all(self.check.takes(name, seen.value) for name, seen in self.seen.items())

    @property
    def verdict(self) -> str:
        """One of `VERDICTS`."""
        if self.failure or not self.seen:
            return FAILED if self.failure else NOT_OBSERVABLE
        return ANSWERED if self.check.is_open else SAME if self.is_expected else DIFFERENT


def by_list(look: Callable[[ListSeen], Reading], *, needs_records: bool = False) -> Look:
    """Read every list that opened; of the others it says why they did not."""

    def reading(seen: ListSeen) -> Reading:
        if not seen.first.is_ok:
            return NotObservable(*seen.first.unread)
        is_empty = needs_records and not seen.size
        return NotObservable("it is empty", "a list with records") if is_empty else look(seen)

    return lambda seen: {name: reading(each) for name, each in seen.lists.items()}
