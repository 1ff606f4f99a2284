"""When things happen: a year of weekdays, hours and growth, with one week that goes wrong."""

import random
from bisect import bisect_right
from datetime import date, datetime, time, timedelta, timezone
from itertools import accumulate

_DAYS = 364
_BAD_WEEK = range(252, 259)
_WEEKDAYS = (1.2, 1.1, 1.0, 1.0, 0.95, 0.45, 0.35)
_HOURS = (2, 1, 1, 1, 1, 2, 4, 8, 14, 19, 21, 19, 15, 16, 17, 17, 15, 13, 12, 13, 12, 9, 6, 4)
_OPEN = range(8, 20)


class Calendar:
    """The 52 weeks up to a day, which itself is not part of them."""

    def __init__(self, end: date) -> None:
        self.end = datetime.combine(end, time(), timezone.utc)
        self.begin = self.end - timedelta(days=_DAYS)
        self._busy = [
            *accumulate(
                _HOURS[hour]
                * _WEEKDAYS[(self.begin.weekday() + day) % 7]
                * (0.7 + 0.6 * day / _DAYS)
                * (2.3 if day in _BAD_WEEK else 1)
                for day in range(_DAYS)
                for hour in range(24)
            )
        ]

    def moments(self, count: int, dice: random.Random) -> list[datetime]:
        """Return so many moments in ascending order, more of them where it is busy."""
        return sorted(self._moment(dice) for _ in range(count))

    def _moment(self, dice: random.Random) -> datetime:
        hour = bisect_right(self._busy, dice.random() * self._busy[-1])
        return self.begin + timedelta(hours=hour, milliseconds=dice.randrange(3_600_000))

    def is_bad(self, moment: datetime) -> bool:
        """Whether a moment is in the week that goes wrong."""
        return (moment - self.begin).days in _BAD_WEEK

    @staticmethod
    def until_open(moment: datetime) -> timedelta:
        """Return how long after a moment people are at work."""
        hours = 0 if moment.hour in _OPEN else (_OPEN[0] - moment.hour) % 24
        return timedelta(hours=hours)
