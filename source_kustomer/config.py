"""The raw configuration becomes one frozen object; nothing else reads the raw one."""

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import SplitResult, urlsplit

API_URL_VARIABLE = "KUSTOMER_API_URL"

DEFAULT_SHARE = 80

_DOMAIN = ".kustomerapp.com"

# Regional hosts that people paste: they belong to Kustomer, not to an organization.
_NOT_AN_ORGANIZATION = frozenset({"api", "www", "app"})
_REGION = re.compile(r"prod\d+")

# A DNS label (RFC 1035): it becomes the first part of the API's host name.
_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?", re.ASCII)

_ENTER_ORGANIZATION = (
    "Enter the first part of the web address at which you use Kustomer: "
    "'acme' for https://acme.kustomerapp.com."
)
_ENTER_KEY = "Copy the whole key once more from Settings > Security > API Keys."


# Kustomer's keys have hundreds of characters. Every word of a log that holds the key is masked, and
# a shorter one would be found in all kinds of words.
SHORTEST_KEY = 8


class InvalidConfigError(ValueError):
    """The configuration cannot be used; the text says what to enter, and never holds the key."""


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
    if entered is None:
        raise InvalidConfigError(
            f"The organization name (org_name) is missing. {_ENTER_ORGANIZATION}"
        )
    if isinstance(entered, str) and not entered.strip():
        raise InvalidConfigError(f"The organization name is empty. {_ENTER_ORGANIZATION}")
    if not isinstance(entered, str):
        raise InvalidConfigError(f"The organization name is not text. {_ENTER_ORGANIZATION}")
    pasted = entered.strip()
    wrong = InvalidConfigError(
        f"{_quoted(pasted)} is not the name of a Kustomer organization. {_ENTER_ORGANIZATION}"
    )
    host = _host(pasted)
    if host is None:
        raise wrong
    name = host
    if name.endswith(_DOMAIN):
        name = name.removesuffix(_DOMAIN).removeprefix("www.").removesuffix(".api")
    if not _LABEL.fullmatch(name) or name in _NOT_AN_ORGANIZATION or _REGION.fullmatch(name):
        raise wrong
    return name


def _host(pasted: str) -> str | None:
    """Return the host of a pasted address in lower case, None where there is no plain one."""
    if not pasted.isascii() or not pasted.isprintable() or "\\" in pasted or " " in pasted:
        return None
    try:
        address = urlsplit(pasted if "://" in pasted else f"https://{pasted}")
        # Reading the port checks it.
        port = address.port
    except ValueError:
        return None
    if address.scheme not in {"http", "https"} or port == 0:
        return None
    if "@" in address.netloc or address.netloc.endswith(":"):
        return None
    return (address.hostname or "").removesuffix(".")


def _quoted(entered: str) -> str:
    # A key or a password that was pasted into the wrong field must not be shown; a key is longer
    # than any name, which has 63 characters at most.
    if "@" in entered or len(entered) > len("https://") + 63 + len(_DOMAIN):
        return "What was entered"
    printable = "".join(c if c.isprintable() else "?" for c in entered)
    return f"'{printable}'"


def _api_key(entered: object) -> str:
    if entered is None:
        raise InvalidConfigError(f"The API key (api_key) is missing. {_ENTER_KEY}")
    if isinstance(entered, str) and not entered.strip():
        raise InvalidConfigError(f"The API key is empty. {_ENTER_KEY}")
    if not isinstance(entered, str):
        raise InvalidConfigError(f"The API key is not text. {_ENTER_KEY}")
    key = entered.strip()
    if not key.isascii():
        raise InvalidConfigError(
            f"The API key contains a character that no key has (it is not ASCII). {_ENTER_KEY}"
        )
    if any(c.isspace() or not c.isprintable() for c in key):
        raise InvalidConfigError(
            f"The API key contains a blank, a line break or a control character. {_ENTER_KEY}"
        )
    if len(key) < SHORTEST_KEY:
        raise InvalidConfigError(f"The API key is too short to be one. {_ENTER_KEY}")
    return key


def _share(entered: object) -> int:
    if entered is None:
        return DEFAULT_SHARE
    # Airbyte's form and JSON write 80 as 80 or 80.0.
    if isinstance(entered, int | float) and entered is not True and entered in range(1, 101):
        return int(entered)
    raise InvalidConfigError(
        "The share of the rate limit (rate_limit_share) must be a whole number from 1 to 100; "
        f"leave it out for {DEFAULT_SHARE}."
    )


def _base_url(organization: str, operators: str) -> str:
    if not operators:
        return f"https://{organization}.api.kustomerapp.com/v1/"
    wrong = InvalidConfigError(
        f"The environment variable {API_URL_VARIABLE} must be an https address, or plain http to "
        "this machine only, such as http://127.0.0.1:8080: correct it, or unset it to use Kustomer."
    )
    try:
        address = urlsplit(operators)
        port = address.port
    except ValueError:
        raise wrong from None
    plain = not (address.query or address.fragment or "@" in address.netloc)
    allowed = address.scheme == "https" or (address.scheme == "http" and is_loopback(address))
    if not (address.hostname and plain and allowed) or port == 0:
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
