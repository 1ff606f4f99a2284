"""The six lists: what differs between them."""

from source_kustomer.stream import KustomerStream


class Customers(KustomerStream):
    """The people who contact your organization."""

    role = "org.permission.customer.read"
    to_one = (*KustomerStream.to_one, "company")
    metadata = "customer"


class Conversations(KustomerStream):
    """Conversations with customers: status, assignees, counts and times, but not the messages."""

    role = "org.permission.conversation.read"
    to_one = (
        *KustomerStream.to_one,
        "customer",
        "endedBy",
        "pinnedBy",
        "brand",
        "queue",
        "sla",
        "slaVersion",
        "subStatus",
    )
    metadata = "conversation"


class Users(KustomerStream):
    """Your agents, and machine users such as integrations."""

    role = "org.permission.user.read"
    largest_page = 500
    metadata = "user"


class Teams(KustomerStream):
    """Teams of users, to which conversations are assigned."""

    role = "org.permission.team.read"
    largest_page = 500
    to_one = (*KustomerStream.to_one, "deletedBy")


class Tags(KustomerStream):
    """Labels for customers and conversations."""

    role = "org.permission.tag.read"
    to_one = (*KustomerStream.to_one, "deletedBy")


class Brands(KustomerStream):
    """Your brands, as customers see them."""

    role = "org.permission.brand.read"


STREAMS: tuple[type[KustomerStream], ...] = (
    Customers,
    Conversations,
    Users,
    Teams,
    Tags,
    Brands,
)
