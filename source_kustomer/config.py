"""The raw configuration becomes one frozen object; nothing else reads the raw one."""

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import SplitResult, urlsplit

API_URL_VARIABLE = "KUSTOMER_API_URL"

DEFAULT_SHARE = 80

# Kustomer's keys have hundreds of characters. Every word of a log that holds the key is masked, and
# a shorter one would be found in all kinds of words.
SHORTEST_KEY = 8
_KEY = re.compile(rf"[!-~]{{{SHORTEST_KEY},}}")

_DOMAIN = ".kustomerapp.com"

# An address without a user or an odd port, in ASCII: the key must not go to a host that only looks
# like Kustomer's.
_ADDRESS = re.compile(
    r"(?:https?://)?([a-z0-9.-]+?)\.?(?::[1-9][0-9]{0,3})?(?:[/?#][!-\[\]-~]*)?",
    re.ASCII | re.IGNORECASE,
)

# A DNS label (RFC 1035), which becomes the first part of the API's host name. The hosts without an
# organization, regional ones among them, are what people paste from the documentation.
_NAME = re.compile(r"(?!(?:api|www|app|prod[0-9]+)$)[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?", re.ASCII)

# A name or an IP address that requests takes.
_HOST = re.compile(r"[a-z0-9:][a-z0-9.:_-]*", re.ASCII)


class InvalidConfigError(ValueError):
    """The configuration cannot be used; the text says what to enter, and holds no value of it."""


@dataclass(frozen=True)
class Config:
    """What a connection is made from.

    `base_url` ends with a slash; `share` is in whole percent of the organization's rate limit.
    """

    organization: str
    api_key: str = field(repr=False)
    share: int
    base_url: str

    @classmethod
    def parse(cls, raw: Mapping[str, Any], environment: Mapping[str, str]) -> "Config":
        """Check and clean the user's configuration; raises `InvalidConfigError`."""
        organization = organization_name(raw.get("org_name"))
        share = _share(raw.get("rate_limit_share"))
        return cls(
            organization=organization,
            api_key=_api_key(raw.get("api_key")),
            share=share,
            base_url=_base_url(organization, environment.get(API_URL_VARIABLE, "").strip()),
        )


def organization_name(entered: object) -> str:
    """Find the organization's name in whatever was pasted; raises `InvalidConfigError`."""
    address = _ADDRESS.fullmatch(entered.strip()) if isinstance(entered, str) else None
    name = address[1].lower() if address else ""
    if name.endswith(_DOMAIN):
        name = name.removesuffix(_DOMAIN).removeprefix("www.").removesuffix(".api")
    if not _NAME.fullmatch(name):
        raise InvalidConfigError(
            "The organization name (org_name) is missing or invalid: enter the first part of the "
            "web address at which you use Kustomer, such as acme for https://acme.kustomerapp.com, "
            "or paste that address."
        )
    return name


def _api_key(entered: object) -> str:
    key = entered.strip() if isinstance(entered, str) else ""
    if not _KEY.fullmatch(key):
        raise InvalidConfigError(
            "The API key (api_key) is missing or invalid: copy the whole key from Kustomer, under "
            f"Settings > Security > API Keys. It has at least {SHORTEST_KEY} characters, all of "
            "them ASCII, and no spaces or line breaks inside; spaces around it are ignored."
        )
    return key


def _share(entered: object) -> int:
    if entered is None:
        return DEFAULT_SHARE
    # Airbyte's form and JSON write 80 as 80 or 80.0.
    if isinstance(entered, int | float) and entered is not True and entered in range(1, 101):
        return int(entered)
    raise InvalidConfigError(
        "The share of the rate limit (rate_limit_share) must be a whole number from 1 to 100: "
        f"enter one, or leave it out for {DEFAULT_SHARE}."
    )


def _base_url(organization: str, operators: str) -> str:
    if not operators:
        return f"https://{organization}.api{_DOMAIN}/v1/"
    wrong = InvalidConfigError(
        f"The environment variable {API_URL_VARIABLE} must be an https address, or an http address "
        "of this machine such as http://127.0.0.1:8080: correct it, or unset it to use Kustomer."
    )
    try:
        address = urlsplit(operators)
        port = address.port
    except ValueError:
        raise wrong from None
    plain = not (address.query or address.fragment or "@" in address.netloc)
    allowed = address.scheme == "https" or (address.scheme == "http" and is_loopback(address))
    if not (_HOST.fullmatch(address.hostname or "") and plain and allowed) or port == 0:
        raise wrong
    path = address.path.rstrip("/").removesuffix("/v1")
    return f"{address.scheme}://{address.netloc}{path}/v1/"


def is_loopback(address: SplitResult) -> bool:
    """Whether an address is this machine's own."""
    host = address.hostname or ""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
