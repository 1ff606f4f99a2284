"""Realistic, related data for the six lists, the same for the same seed."""

import random
from datetime import datetime, timedelta, timezone
from typing import Any

Resource = dict[str, Any]

LISTS = ("customers", "conversations", "users", "teams", "tags", "brands")

_EPOCH = datetime(2021, 1, 4, 9, 0, tzinfo=timezone.utc)
_ORG = "5e1c0ffee0ddba11cafe0001"

_FIRST = (
    "Ada", "Noël", "Zoë", "Łukasz", "María", "Jürgen", "李雷", "さくら", "محمد", "נועה", "Ngũgĩ",
    "Olivia 🌸", "Søren", "Chloé", "Иван", "Priya", "Thandiwe", "Kofi", "Aoife", "Min-jun",
)  # fmt: skip
_LAST = (
    "Lovelace", "Dvořák", "García", "Müller", "王", "佐藤", "الفارسي", "כהן", "O’Neill", "Šimić",
    "Nguyễn", "Петров", "Okafor", "Kim 🚀", "da Silva", "van der Berg", "Hansen", "Iyer",
)  # fmt: skip
_SUBJECTS = (
    "Where is my order?", "Refund for #10482", "Wrong size 😞", "تأخر التسليم", "החזר כספי",
    "Can’t log in", "Änderung der Adresse", "Rechnung fehlt", "Merci !", "返品について",
)  # fmt: skip
_TIERS = ("bronze", "silver", "gold", "platinum")
_CHANNELS = ("email", "chat", "sms", "voice", "whatsapp", "instagram")


class World:
    """Makes the resources of one organization; each call of a maker adds one to its list."""

    def __init__(self, seed: int) -> None:
        self._dice = random.Random(seed)
        self._made = 0
        self.lists: dict[str, list[Resource]] = {name: [] for name in LISTS}

    def fill(self, **counts: int) -> None:
        """Fill the lists, those that others refer to first."""
        for name in ("brands", "tags", "users", "teams", "customers", "conversations"):
            make = getattr(self, f"_{name}")
            self.lists[name] = [make(number, counts[name]) for number in range(counts[name])]

    def make(self, name: str, count: int) -> list[Resource]:
        """Make more resources of a list, newer than all there are."""
        make = getattr(self, f"_{name}")
        return [make(number, 2 * count) for number in range(count)]

    def _id(self) -> str:
        """Return an id like MongoDB's: ascending, 24 hexadecimal characters."""
        self._made += 1
        return f"{0x5FF2D800 + 60 * self._made:08x}{0xC0FFEE0DDB:010x}{self._made:06x}"

    def _at(self, offset: timedelta = timedelta()) -> str:
        moment = _EPOCH + timedelta(minutes=17 * self._made) + offset
        return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")

    def _any(self, name: str) -> str | None:
        resources = self.lists[name]
        return self._dice.choice(resources)["id"] if resources else None

    def _some(self, name: str, most: int) -> list[str]:
        count = self._dice.randint(0, most)
        return sorted({i for _ in range(count) if (i := self._any(name))})

    def _resource(
        self, kind: str, attributes: dict[str, Any], related: dict[str, tuple[str, str | None]]
    ) -> Resource:
        identifier = self._id()
        related = {"org": ("org", _ORG), "modifiedBy": ("user", self._any("users")), **related}
        return {
            "type": kind,
            "id": identifier,
            "attributes": {
                **attributes,
                "createdAt": self._at(),
                "updatedAt": self._at(timedelta(hours=3)),
                "modifiedAt": self._at(timedelta(hours=3)),
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

    def _brands(self, number: int, _: int) -> Resource:
        name = ("Acme", "Acme Kids 🧸", "أكمي")[number % 3]
        attributes = {"name": name if number < 3 else f"{name} {number}", "default": number == 0}
        return self._resource("brand", attributes | {"iconUrl": None}, {})

    def _tags(self, number: int, count: int) -> Resource:
        deleted = number >= max(1, count * 9 // 10)
        name = ("vip", "refund", "bug 🐞", "إرجاع", "wholesale")[number % 5]
        attributes = {"name": f"{name}-{number}", "color": "#3b82f6", "deleted": deleted}
        if deleted:
            attributes["deletedAt"] = self._at(timedelta(days=30))
        return self._resource("tag", attributes, {"createdBy": ("user", self._any("users"))})

    def _users(self, number: int, _: int) -> Resource:
        name = f"{_FIRST[number % len(_FIRST)]} {_LAST[number * 7 % len(_LAST)]}"
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
        name = ("Billing", "Shipping 📦", "דחוף", "Tier 2")[number % 4]
        return self._resource(
            "team",
            {
                "name": name if number < 4 else f"{name} {number}",
                "displayName": name,
                "icon": None,
                "members": self._some("users", 6),
                "roleGroups": [],
                "deleted": deleted,
                **({"deletedAt": self._at(timedelta(days=9))} if deleted else {}),
            },
            {"createdBy": ("user", self._any("users"))},
        )

    def _customers(self, number: int, count: int) -> Resource:
        dice, old = self._dice, number < count // 2
        first, last = dice.choice(_FIRST), dice.choice(_LAST)
        nothing: Any = {} if old else None
        custom: dict[str, Any] = {
            "loyaltyTierStr": _TIERS[int(dice.random() ** 2 * len(_TIERS))],
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
            "lastActivityAt": self._at(timedelta(days=number % 60)),
            "lastSeenAt": self._at(timedelta(days=number % 30)),
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
        status = dice.choice(("open", "open", "snoozed", "done", "done", "done"))
        waited = int(dice.expovariate(1 / 5_400_000))
        score: Any = dice.choice((None, 4, 4.5, "5"))
        answered = self._at(timedelta(milliseconds=waited))
        attributes: dict[str, Any] = {
            "name": dice.choice(_SUBJECTS),
            "preview": dice.choice(_SUBJECTS),
            "status": status,
            "channels": [dice.choice(_CHANNELS)],
            "direction": "in" if number % 6 else "out",
            "priority": 1 + number % 5,
            "messageCount": 1 + number % 12,
            "noteCount": number % 3,
            "satisfaction": score,
            "tags": self._some("tags", 3),
            "assignedUsers": self._some("users", 1),
            "assignedTeams": self._some("teams", 1),
            "firstResponse": {"createdAt": answered, "responseTime": waited} if number % 4 else {},
            "reopenCount": number % 3,
            "reopenFromDoneCount": number % 3 // 2,
            "snoozeCount": int(status == "snoozed"),
            "ended": status == "done",
            "endedAt": self._at(timedelta(days=1)) if status == "done" else None,
            "lastActivityAt": self._at(timedelta(hours=5)),
            "rev": 1 + number % 5,
            "custom": {
                "orderIdStr": f"A-{number:05d}",
                "refundNum": round(dice.uniform(5, 90), 2) if number % 5 == 0 else None,
                "escalatedBool": number % 13 == 0,
                "topicTree": "orders.delivery.late",
            },
        }
        resource = self._resource(
            "conversation",
            attributes,
            {
                "customer": ("customer", self._any("customers")),
                "brand": ("brand", self._any("brands")),
                "queue": ("queue", "5e1c0ffee0ddba11cafe0aaa" if number % 3 == 0 else None),
            },
        )
        itself = f"/v1/conversations/{resource['id']}"
        resource["relationships"]["messages"] = {"links": {"self": f"{itself}/messages"}}
        return resource
