"""Realistic, related data for the six lists, the same for the same seed and day."""

import random
from bisect import bisect_right
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Any

from sandbox.names import BRANDS, CHANNELS, FIRST, LAST, SUBJECTS, TAGS, TEAMS, TIERS
from sandbox.records import LISTS, Records, Resource

__all__ = ["LISTS", "Resource", "World"]

_BEFORE_THE_YEAR = timedelta(days=30)


class World(Records):
    """Makes the resources of one organization; each call of a maker adds one to its list.

    They are of the year up to `today`, in the order of their creation.
    """

    def __init__(self, seed: int, today: date | None = None) -> None:
        super().__init__(seed, today)
        self._customers_since: list[datetime] = []

    def fill(self, **counts: int) -> None:
        """Fill the lists, those that others refer to first."""
        self._moment = self._calendar.begin - _BEFORE_THE_YEAR
        for name in ("brands", "tags", "users", "teams"):
            self.lists[name] = self._list(name, counts[name], counts[name])
        for name in ("customers", "conversations"):
            moments = self._calendar.moments(counts[name], self._dice)
            self._moment = self._calendar.begin
            self.lists[name] = self._list(name, counts[name], counts[name], moments)

    def make(self, name: str, count: int) -> list[Resource]:
        """Make more resources of a list, newer than all there are."""
        self._moment = max(self._moment, self._calendar.end)
        return self._list(name, count, 2 * count)

    def _brands(self, number: int, _: int) -> Resource:
        attributes = {"name": _name(BRANDS, number), "default": number == 0}
        return self._resource("brand", attributes | {"iconUrl": None}, {})

    def _tags(self, number: int, count: int) -> Resource:
        deleted = number >= max(1, count * 9 // 10)
        attributes = {"name": _name(TAGS, number), "color": "#3b82f6", "deleted": deleted}
        if deleted:
            attributes["deletedAt"] = self._by_now(timedelta(days=150))
        return self._resource("tag", attributes, {"createdBy": ("user", self._any("users"))})

    def _users(self, number: int, _: int) -> Resource:
        name = f"{FIRST[number % len(FIRST)]} {LAST[number * 7 % len(LAST)]}"
        return self._resource(
            "user",
            {
                "name": name,
                "displayName": name,
                "email": f"agent{number}@acme.example",
                "userType": "machine" if number % 10 == 9 else "user",
                "roles": ["org.user"] + ["org.admin"] * (number == 0),
                "roleGroups": [],
                "isEmailValid": True,
                "emailVerifiedAt": self._at(timedelta(minutes=5)),
                "mobile": None,
                "custom": {"shiftStr": ("early", "late")[number % 2], "seniorityNum": number % 9},
            },
            {},
        )

    def _teams(self, number: int, count: int) -> Resource:
        deleted = count > 3 and number == count - 1
        name = _name(TEAMS, number)
        return self._resource(
            "team",
            {
                "name": name,
                "displayName": name,
                "icon": None,
                "members": self._some("users", 6),
                "roleGroups": [],
                "deleted": deleted,
                **({"deletedAt": self._by_now(timedelta(days=200))} if deleted else {}),
            },
            {"createdBy": ("user", self._any("users"))},
        )

    def _customers(self, number: int, count: int) -> Resource:
        dice, old = self._dice, number < count // 2
        self._customers_since.append(self._moment)
        first, last = dice.choice(FIRST), dice.choice(LAST)
        nothing: Any = {} if old else None
        custom: dict[str, Any] = {
            "loyaltyTierStr": TIERS[int(dice.random() ** 2 * len(TIERS))],
            "lifetimeValueNum": round(dice.expovariate(1 / 250), 2) if number % 7 else 300,
            "isVipBool": dice.random() < 0.1,
            "renewalAt": self._at(timedelta(days=365)) if number % 3 else None,
            "notesTxt": "***-**-1234" if number % 11 == 0 else None,
            "regionTree": "emea.dach.de" if number % 2 else "amer.us.ny",
        }
        if number % 4 == 0:
            custom |= {"interestsStr": ["boats", "chess"], "scoresNum": [1, 2.5], "fridgeSize": "L"}
        attributes: dict[str, Any] = {
            "name": f"{first} {last}",
            "firstName": first,
            "lastName": last,
            "displayName": f"{first} {last}",
            "displayColor": "green",
            "displayIcon": "turtle",
            "externalId": number if number % 50 == 0 else f"crm-{number:06d}",
            "emails": [
                {"type": "home", "email": f"customer{number}@mail.example", "verified": True}
            ],
            "phones": [{"type": "mobile", "phone": f"+1 555 ***{number % 10000:04d}"}],
            "socials": [],
            "locations": [],
            "tags": self._some("tags", 2),
            "deleted": "false" if number % 97 == 0 else False,
            "lastActivityAt": self._by_now(timedelta(days=number % 60)),
            "lastSeenAt": self._by_now(timedelta(days=number % 30)),
            "lastMessageIn": nothing
            if number % 5
            else {"sentiment": None, "meta": {"to": "a@b.c"}},
            "sentiment": nothing if number % 3 else {"polarity": 1, "confidence": 0.87},
            "conversationCounts": {"open": 1, "done": 2, "snoozed": 0, "all": 3},
            "rev": 3 + number % 9,
            "verified": bool(number % 2),
            "locale": "de" if number % 2 else "en_US",
            "custom": custom,
        }
        if not old:
            attributes |= {"companyName": None, "birthdayAt": None, "emailScore": 0.5}
        resource = self._resource("customer", attributes, {})
        itself = f"/v1/customers/{resource['id']}"
        resource["relationships"]["messages"] = {"links": {"self": f"{itself}/messages"}}
        if number % 10 == 0:
            orders = {"self": f"{itself}/kobjects/shopify-orders"}
            resource["relationships"]["shopify-orders"] = {"links": orders, "meta": {"count": 2}}
        return resource

    def _conversations(self, number: int, _: int) -> Resource:
        dice = self._dice
        brand = int(len(self.lists["brands"]) * dice.random() ** 1.9)
        channel = _channel(brand, dice)
        is_bad = self._calendar.is_bad(self._moment)
        dissatisfied = (0.08, 0.2, 0.45)[brand % 3] + 0.4 * is_bad
        slowness = (1.0, 1.3, 1.9)[brand % 3] * (4 if is_bad else 1)
        minutes = CHANNELS[channel][1] * slowness * dice.lognormvariate(0, 1.1)
        waited = self._calendar.until_open(self._moment) + timedelta(minutes=minutes)
        hours = (40 if channel in {"chat", "voice"} else 200) * dice.lognormvariate(0, 1.7)
        closed = waited + timedelta(hours=hours)
        left = self._calendar.end - self._moment
        is_done = closed < left
        status = "done" if is_done else ("open", "open", "snoozed")[dice.randrange(3)]
        is_inbound = number % 6 > 0
        is_answered = is_inbound and waited < left and dice.random() < 0.96
        is_assigned = dice.random() < (0.97 if is_done else 0.75)
        agent = self._any("users", 1.5)
        attributes: dict[str, Any] = {
            "name": dice.choice(SUBJECTS),
            "preview": dice.choice(SUBJECTS),
            "status": status,
            "channels": [channel],
            "direction": "in" if is_inbound else "out",
            "priority": 1 + number % 5,
            "messageCount": 1 + number % 12,
            "noteCount": number % 3,
            "satisfaction": _score(dice, dice.random() < dissatisfied) if is_done else None,
            "tags": self._some("tags", 3, 1.6),
            "assignedUsers": [agent] if agent and is_assigned else [],
            "assignedTeams": [team]
            if (team := self._any("teams", 1.7)) and dice.random() < 0.92
            else [],
            "firstResponse": {
                "createdAt": self._at(waited),
                "responseTime": waited // timedelta(milliseconds=1),
            }
            if is_answered
            else {},
            "reopenCount": number % 3,
            "reopenFromDoneCount": int(dice.random() < 0.04 * (1 + number % 3)),
            "snoozeCount": int(status == "snoozed"),
            "ended": is_done,
            "endedAt": self._at(closed) if is_done else None,
            "lastDone": {"createdAt": self._at(closed)} if is_done else {},
            "lastActivityAt": self._by_now(closed if is_done else waited),
            "rev": 1 + number % 5,
            "custom": {
                "orderIdStr": f"A-{number:05d}",
                "refundNum": round(dice.uniform(5, 90), 2) if number % 5 == 0 else None,
                "escalatedBool": number % 13 == 0,
                "topicTree": "orders.delivery.late",
            },
        }
        brands = self.lists["brands"]
        resource = self._resource(
            "conversation",
            attributes,
            {
                "customer": ("customer", self._writer()),
                "brand": ("brand", brands[brand]["id"] if brands else None),
                "queue": ("queue", "5e1c0ffee0ddba11cafe0aaa" if number % 3 == 0 else None),
            },
            changed_after=closed if is_done else waited,
        )
        itself = f"/v1/conversations/{resource['id']}"
        resource["relationships"]["messages"] = {"links": {"self": f"{itself}/messages"}}
        return resource

    def _writer(self) -> str | None:
        """Return the id of a customer of that time: new ones and a few others write often."""
        customers = self.lists["customers"]
        if not customers:
            return None
        # Records that a test removed leave fewer than were made.
        known = min(len(customers), bisect_right(self._customers_since, self._moment))
        place = int(max(1, known) * (1 - self._dice.random() ** 2))
        identifier: str = customers[place - place % 25 * (self._dice.random() < 0.25)]["id"]
        return identifier


def _name(names: Sequence[str], number: int) -> str:
    name = names[number % len(names)]
    return name if number < len(names) else f"{name} {number}"


def _channel(brand: int, dice: random.Random) -> str:
    (channel,) = dice.choices([*CHANNELS], [share for share, _ in CHANNELS.values()])
    if brand and channel == "email" and dice.random() < 0.5:
        return ("chat", "whatsapp")[brand % 2]
    return channel


def _score(dice: random.Random, is_bad: bool) -> float | str | None:  # noqa: FBT001
    """Return a satisfaction with its drift of types; most customers give none."""
    if dice.random() > 0.38:
        return None
    weights = (30, 20, 20, 15, 5, 10) if is_bad else (4, 4, 9, 26, 15, 42)
    (score,) = dice.choices((1, 2, 3, 4, 4.5, "5"), weights)
    return score
