"""What people, teams and tags are called, and what conversations are about."""

FIRST = (
    "Ada", "Noël", "Zoë", "Łukasz", "María", "Jürgen", "李雷", "さくら", "محمد", "נועה", "Ngũgĩ",
    "Olivia 🌸", "Søren", "Chloé", "Иван", "Priya", "Thandiwe", "Kofi", "Aoife", "Min-jun",
)  # fmt: skip
LAST = (
    "Lovelace", "Dvořák", "García", "Müller", "王", "佐藤", "الفارسي", "כהן", "O’Neill", "Šimić",
    "Nguyễn", "Петров", "Okafor", "Kim 🚀", "da Silva", "van der Berg", "Hansen", "Iyer",
)  # fmt: skip
SUBJECTS = (
    "Where is my order?", "Refund for #10482", "Wrong size 😞", "تأخر التسليم", "החזר כספי",
    "Can’t log in", "Änderung der Adresse", "Rechnung fehlt", "Merci !", "返品について",
)  # fmt: skip
BRANDS = ("Acme", "Acme Kids 🧸", "أكمي")
TEAMS = ("Customer care", "Shipping 📦", "Billing", "Returns", "דחוף", "Chat (until March)")
TAGS = (
    "delivery late", "refund", "where is my order", "wrong item", "damaged", "return label",
    "bug 🐞", "vip", "إرجاع", "invoice", "login", "address change", "wholesale", "payment failed",
    "size exchange", "gift card", "promo code", "warranty", "החזר", "feedback", "cancel order",
    "missing part", "customs", "subscription", "newsletter", "duplicate charge", "stock question",
    "product advice", "complaint", "praise 🎉", "fraud check", "press", "spam", "partner",
    "job application", "accessibility", "black friday", "store pickup", "catalog 2019", "test",
)  # fmt: skip

TIERS = ("bronze", "silver", "gold", "platinum")
# By channel: how often it is used, and the minutes that half of the first responses take at most.
CHANNELS = {
    "email": (42, 190.0),
    "chat": (27, 3.0),
    "whatsapp": (12, 18.0),
    "voice": (9, 1.0),
    "sms": (6, 25.0),
    "instagram": (4, 75.0),
}
