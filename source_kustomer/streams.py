"""The six lists: what differs between them."""

from source_kustomer.stream import KustomerStream


class Customers(KustomerStream):
    """The people who write to the organization."""

    role = "org.permission.customer.read"
    to_one = (*KustomerStream.to_one, "company")
    metadata = "customer"


class Conversations(KustomerStream):
    """What customers and agents write to each other."""

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
    """The organization's agents and machines."""

    role = "org.permission.user.read"
    largest_page = 500
    metadata = "user"


class Teams(KustomerStream):
    """Groups of users."""

    role = "org.permission.team.read"
    largest_page = 500
    to_one = (*KustomerStream.to_one, "deletedBy")


class Tags(KustomerStream):
    """Labels of customers and conversations."""

    role = "org.permission.tag.read"
    to_one = (*KustomerStream.to_one, "deletedBy")


class Brands(KustomerStream):
    """The names under which the organization writes."""

    role = "org.permission.brand.read"


STREAMS: tuple[type[KustomerStream], ...] = (
    Customers,
    Conversations,
    Users,
    Teams,
    Tags,
    Brands,
)
