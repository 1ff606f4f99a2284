"""What a check reads from the observations, and the verdict on it."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tools.contract.observations import Observations


@dataclass(frozen=True)
class Seen:
    """A value that was seen, in words of ours only, and the sample that it was seen in."""

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

SAME, DIFFERENT, ANSWERED = "same", "different", "open question answered"
NOT_OBSERVABLE, FAILED = "not observable", "failed"

# What stands in front.
VERDICTS = (FAILED, DIFFERENT, ANSWERED, NOT_OBSERVABLE, SAME)


@dataclass(frozen=True)
class Check:
    """One thing that the connector takes for granted, by the number of its quirk.

    `expected` holds the values that are the same, by subject or for all others by "*"; none means
    that every value is an answer. `is_open` marks a guess. `switches` are those of the sandbox that
    replay a value.
    """

    quirk: int
    title: str
    expected: Mapping[str, Collection[str]]
    look: "Callable[[Observations], Readings]"
    is_open: bool = False
    switches: Mapping[str, str] = field(default_factory=dict)

    def takes(self, subject: str, value: str) -> bool:
        """Whether a value is an expected one."""
        expected = self.expected.get(subject, self.expected.get("*", ()))
        return not self.expected or value in expected


@dataclass(frozen=True)
class Row:
    """A check and what it read; `failure` names the error if it could not."""

    check: Check
    readings: Readings
    failure: str = ""

    @classmethod
    def of(cls, check: Check, observations: "Observations") -> "Row":
        """Make a check; one that fails leaves the others alone."""
        try:
            return cls(check, check.look(observations))
        except Exception as e:  # noqa: BLE001
            return cls(check, {}, type(e).__name__)

    @property
    def seen(self) -> dict[str, Seen]:
        """What was seen, by subject."""
        return {name: r for name, r in self.readings.items() if isinstance(r, Seen)}

    @property
    def unseen(self) -> dict[str, NotObservable]:
        """What was not, by subject."""
        return {name: r for name, r in self.readings.items() if isinstance(r, NotObservable)}

    @property
    def is_expected(self) -> bool:
        """Whether all that was seen is as documented or guessed."""
        return all(self.check.takes(name, seen.value) for name, seen in self.seen.items())

    @property
    def verdict(self) -> str:
        """One of `VERDICTS`."""
        if self.failure:
            return FAILED
        if not self.seen:
            return NOT_OBSERVABLE
        if self.check.is_open:
            return ANSWERED
        return SAME if self.is_expected else DIFFERENT
