"""What all resources have: ids, times, and relations to others."""

import random
from collections.abc import Sequence
from datetime import date, datetime, timedelta, timezone
from typing import Any

from sandbox.calendar import Calendar

Resource = dict[str, Any]

LISTS = ("customers", "conversations", "users", "teams", "tags", "brands")

_ORG = "5e1c0ffee0ddba11cafe0001"


class Records:
    """Lists that grow in the order of time; a subclass has a maker for each of them."""

    def __init__(self, seed: int, today: date | None = None) -> None:
        self._dice = random.Random(seed)
        self._calendar = Calendar(today or datetime.now(timezone.utc).date())
        self._moment = self._calendar.begin
        self._made = 0
        self.lists: dict[str, list[Resource]] = {name: [] for name in LISTS}

    def _list(
        self, name: str, count: int, total: int, moments: Sequence[datetime] = ()
    ) -> list[Resource]:
        make, resources = getattr(self, f"_{name}"), []
        for number in range(count):
            # Ascending ids and times, whatever chance says.
            least = self._moment + timedelta(milliseconds=1 if moments else 1_020_000)
            self._moment = max(least, moments[number]) if moments else least
            resources.append(make(number, total))
        return resources

    def _id(self) -> str:
        """Return an id like MongoDB's, which begins with the time: 24 hexadecimal characters."""
        self._made += 1
        return f"{int(self._moment.timestamp()):08x}{0xC0FFEE0DDB:010x}{self._made:06x}"

    def _at(self, offset: timedelta = timedelta()) -> str:
        moment = self._moment + offset
        return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")

    def _by_now(self, offset: timedelta) -> str:
        return self._at(max(timedelta(), min(offset, self._calendar.end - self._moment)))

    def _any(self, name: str, skew: float = 1.0) -> str | None:
        """Return the id of one that is not deleted yet; `skew` prefers the first ones."""
        resources = self.lists[name]
        if not resources:
            return None
        found = resources[int(len(resources) * self._dice.random() ** skew)]
        deleted_at = found["attributes"].get("deletedAt")
        identifier: str = (resources[0] if deleted_at and deleted_at < self._at() else found)["id"]
        return identifier

    def _some(self, name: str, most: int, skew: float = 1.0) -> list[str]:
        count = self._dice.randint(0, most)
        return sorted({i for _ in range(count) if (i := self._any(name, skew))})

    def _resource(
        self,
        kind: str,
        attributes: dict[str, Any],
        related: dict[str, tuple[str, str | None]],
        changed_after: timedelta = timedelta(hours=3),
    ) -> Resource:
        identifier, changed_at = self._id(), self._by_now(changed_after)
        related = {"org": ("org", _ORG), "modifiedBy": ("user", self._any("users")), **related}
        return {
            "type": kind,
            "id": identifier,
            "attributes": {
                **attributes,
                "createdAt": self._at(),
                "updatedAt": changed_at,
                "modifiedAt": changed_at,
            },
            "relationships": {
                name: {
                    "links": {"self": f"/v1/{kind}s/{target}"},
                    "data": {"type": kind, "id": target},
                }
                for name, (kind, target) in related.items()
                if target
            },
            "links": {"self": f"/v1/{kind}s/{identifier}"},
        }
