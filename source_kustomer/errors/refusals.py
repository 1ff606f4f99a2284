"""The causes that a response's status and body tell, in the order in which they apply."""

import math
from typing import Final

from source_kustomer.errors.cause import CONFIG, MANY, ONCE, SOME, SYSTEM, TRANSIENT, TWICE, Cause
from source_kustomer.errors.outcome import Verdict

NEW_KEY: Final = (
    "the roles of a key cannot be changed after it is made, so make a new key under "
    "Settings > Security > API Keys"
)

_LOST = (
    "Kustomer refuses to go on with the list of {stream} (status {status}), although it was just "
    "read: run it again later, and tell Kustomer's support if it lasts.{said}"
)

REFUSALS: Final = (
    Cause(
        "proxy_login", "407", ONCE, CONFIG,
        "The proxy between this connector and {host} asks for a user name and a password: put them "
        "into HTTPS_PROXY or HTTP_PROXY where the connector runs.",
        lambda o: 407 in {o.status, o.tunnel_status},
    ),
    Cause(
        "rate_limit", "429", math.inf, TRANSIENT,
        "Kustomer's rate limit for the organization stayed exceeded: run the sync again later, "
        "lower the share of the rate limit, or find what else uses the API.",
        lambda o: o.status == 429,
    ),
    Cause(
        "not_modified", "304", SOME, TRANSIENT,
        "{host} answered 304 (not modified), although nothing was asked for that it could have "
        "sent before: a proxy or cache on the way intercepts the connection; run it again later.",
        lambda o: o.status == 304,
    ),
    Cause(
        "redirect", "any other 3xx", ONCE, CONFIG,
        "{host} redirects to another address, which is not followed because the API key would go "
        "there: check the organization name '{organization}'.",
        lambda o: o.status in range(300, 400),
    ),
    Cause(
        "large_page", "413, or 400 or 422 that speaks of the size of a page", ONCE, SYSTEM,
        "Kustomer refused the smallest page of {stream} for its size (status {status}): please "
        "report this to the connector's maintainers.{said}",
        lambda o: o.status == 413
        or (o.status in {400, 422} and o.says(r"page ?size|too (large|big|many)|size of|payload")),
        is_size=True,
    ),
    Cause(
        "gateway_timeout", "504", SOME, TRANSIENT,
        "Kustomer's server took too long for a page of {stream} (status {status}), again and "
        "again: run it again later, and look at Kustomer's status page if it lasts.{said}",
        lambda o: o.status == 504,
        is_size=True,
    ),
    Cause(
        "unavailable", "503 that asks for a longer wait than a sync can take", ONCE, TRANSIENT,
        "Kustomer is unavailable for {stream} (status {status}) and asks to come back later than a "
        "sync can wait: run it again later, and look at Kustomer's status page if it lasts.{said}",
        lambda o: o.status == 503 and o.asks_too_long,
    ),
    Cause(
        "maintenance_page", "a web page instead of JSON, or other text with 401, 403 or 404", MANY,
        TRANSIENT,
        "{host} answers with a web page or plain text instead of data (status {status}): Kustomer "
        "may be under maintenance, or a firewall or proxy on the way intercepts the connection; "
        "check the organization name and the network, and run it again later.",
        lambda o: o.is_foreign
        and (o.status in {401, 403, 404} or (o.is_html and o.status not in range(402, 500))),
    ),
    Cause(
        "other_region", "an error that speaks of another pod", ONCE, CONFIG,
        "The API key belongs to an organization in another Kustomer region: check that the "
        "organization name '{organization}' and the key belong together.{said}",
        lambda o: o.says(r"associated with pod|handled by prod"),
    ),
    Cause(
        "expired_key", "401 or 403 with `Expired token`, from the list or from the probe", ONCE,
        CONFIG,
        "The API key has expired: make a new key under Settings > Security > API Keys and enter "
        "it here.",
        lambda o: o.status in {401, 403} and o.says(r"expired"),
    ),
    Cause(
        "ip_restricted", "401 or 403 that speaks of an IP address, a CIDR or an allow-list", ONCE,
        CONFIG,
        "Kustomer refuses this API key from the network address of this connector: add the address "
        "to the key's IP restriction under Settings > Security > API Keys, or use a key without "
        "one.{said}",
        lambda o: o.status in {401, 403}
        and o.says(r"\bIPs?\b|\bip[ _-]?address|\bcidr|allow-?list|whitelist"),
    ),
    Cause(
        "lost_access", "401 or 403 in the middle of a list that was just read", MANY, TRANSIENT,
        "Kustomer stopped accepting the API key while {stream} was read (status {status}), and did "
        "so again and again: check that the key is still valid, and run it again.{said}",
        lambda o: o.status in {401, 403} and o.is_reading,
    ),
    Cause(
        "missing_role",
        "401 or 403 from a list while the probe accepts the key, or 403 with no probe to ask",
        ONCE, CONFIG,
        "The API key may not read {stream}: it lacks the role {role}; " + NEW_KEY + " with it.",
        lambda o: o.is_list
        and (
            (o.status in {401, 403} and o.verdict is Verdict.ACCEPTED)
            or (o.status == 403 and o.verdict is not Verdict.REFUSED)
        ),
        closes_list=True,
    ),
    Cause(
        "refused_key", "401 or 403 otherwise", ONCE, CONFIG,
        "Kustomer does not accept the API key for the organization '{organization}': copy the "
        "whole key once more from Settings > Security > API Keys, and check the organization name.",
        lambda o: o.status in {401, 403},
    ),
    Cause(
        "lost_page", "400, 404, 410, 416 or 422 in the middle of a list that was just read", SOME,
        TRANSIENT, _LOST,
        lambda o: o.is_reading and o.status in {400, 404, 410, 416, 422},
        ends_list=True,
    ),
    Cause(
        "unavailable_list", "404 from a list while the probe accepts the key", TWICE, CONFIG,
        "Kustomer does not offer {stream} to the organization '{organization}' or to this API key "
        "(404 not found): leave {stream} out, or ask Kustomer for access.",
        lambda o: o.status == 404 and o.is_list and o.verdict is Verdict.ACCEPTED,
        closes_list=True,
        ends_list=True,
    ),
    Cause(
        "unknown_organization", "404 otherwise, or a host name that does not exist", SOME, CONFIG,
        "Kustomer knows no organization '{organization}' ({host} was not found): check the "
        "organization name, and that this machine can look up names on the internet.",
        lambda o: o.status == 404 or (o.is_unknown_name and not o.host_was_reached),
        ends_list=True,
    ),
    Cause(
        "passing_refusal", "408, 421, 423, 425 or 499", MANY, TRANSIENT,
        "{host} could not take a request for {stream} (status {status}), again and again: run it "
        "again later.{said}",
        lambda o: o.status in {408, 421, 423, 425, 499},
    ),
    Cause(
        "lost_list", "any other 4xx in the middle of a list that was just read", SOME, TRANSIENT,
        _LOST,
        lambda o: o.is_reading and o.status in range(400, 500),
    ),
    Cause(
        "rejected_request", "any other 4xx", SOME, SYSTEM,
        "Kustomer rejected a request for {stream} with status {status}: please report this to the "
        "connector's maintainers.{said}",
        lambda o: o.status in range(400, 500),
        ends_list=True,
    ),
    Cause(
        "server_failure", "any other 5xx", MANY, TRANSIENT,
        "Kustomer's server failed with status {status} again and again: run it again later, and "
        "look at Kustomer's status page if it lasts.{said}",
        lambda o: o.status is not None and o.status >= 500,
    ),
)  # fmt: skip
