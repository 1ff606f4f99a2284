"""What the organization says of its custom attributes."""

from typing import Any

METADATA: dict[str, dict[str, dict[str, Any]]] = {
    "customer": {
        "loyaltyTierStr": {"displayName": "Loyalty tier", "type": "string", "enumeration": []},
        "lifetimeValueNum": {"displayName": "Lifetime value", "type": "number"},
        "isVipBool": {"displayName": "VIP", "type": "boolean"},
        "renewalAt": {"displayName": "Renewal", "type": "date"},
        "websiteUrl": {"displayName": "Website", "type": "string"},
        "crmId": {"displayName": "CRM number", "type": "string"},
        "notesTxt": {"displayName": "Notes", "type": "string", "hasSensitiveAttributes": True},
        "regionTree": {"displayName": "Region", "type": "tree", "tree": "region"},
        "interestsStr": {"displayName": "Interests", "type": "string", "multi": True},
        "scoresNum": {"displayName": "Scores", "type": "number", "array": True},
        "fridgeSize": {"displayName": "Fridge size"},
        "oldCodeStr": {"displayName": "Old code", "deletedAt": "2022-02-02T00:00:00.000Z"},
    },
    "conversation": {
        "orderIdStr": {"displayName": "Order", "type": "string"},
        "refundNum": {"displayName": "Refund", "type": "number"},
        "escalatedBool": {"displayName": "Escalated", "type": "boolean"},
        "topicTree": {"displayName": "Topic", "type": "tree", "multi": False},
    },
    "user": {"shiftStr": {"displayName": "Shift"}, "seniorityNum": {"displayName": "Seniority"}},
}
