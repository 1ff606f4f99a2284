"""What a user may enter, and what is refused, before any request."""

import re
from urllib.parse import urlsplit

import pytest
from fakes import KEY
from hypothesis import given
from hypothesis import strategies as st

from source_kustomer.config import Config, InvalidConfigError, is_loopback

NO_ORGANIZATION = "The organization name (org_name) is missing or invalid"
NO_KEY = "The API key (api_key) is missing or invalid"
NO_SHARE = "The share of the rate limit (rate_limit_share) must be a whole number from 1 to 100"
NO_ADDRESS = (
    "The environment variable KUSTOMER_API_URL must be an https address, or an http address of "
    "this machine such as http://127.0.0.1:8080"
)

NAMES = st.from_regex(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?", fullmatch=True).filter(
    lambda name: name not in {"api", "www", "app"} and not name.startswith("prod")
)


def parse(environment: dict[str, str] | None = None, **raw: object) -> Config:
    return Config.parse({"org_name": "acme", "api_key": KEY} | raw, environment or {})


def refusal(environment: dict[str, str] | None = None, **raw: object) -> str:
    """Return what is wrong by the sentence that refuses a configuration, "" if none does."""
    try:
        parse(environment, **raw)
    except InvalidConfigError as error:
        wrong, _, remedy = str(error).partition(": ")
        assert re.fullmatch(r"(copy|correct|enter) .{20,}\.", remedy)
        assert KEY not in remedy
        return wrong
    return ""


@given(
    name=NAMES,
    scheme=st.sampled_from(["", "https://", "HTTP://"]),
    host=st.sampled_from(
        ["{}", "{}.kustomerapp.com", "www.{}.kustomerapp.com", "{}.api.kustomerapp.com"]
    ),
    port=st.sampled_from(["", ":443", ":8443", "."]),
    path=st.sampled_from(["", "/", "/app/customers/5f?tab=1#top", "?y=~z!", "#[top]"]),
    blank=st.sampled_from(["", " ", "\n\t"]),
)
def test_every_address_of_an_organization_gives_its_name(
    name: str, scheme: str, host: str, port: str, path: str, blank: str
) -> None:
    address = f"{blank}{scheme}{host.format(name)}{port}{path}{blank}"
    assert parse(org_name=address).organization == name
    assert parse(org_name=address.upper()).organization == name


@given(st.text() | st.from_regex(r"[a-z0-9.:/@_-]{1,80}", fullmatch=True))
def test_whatever_is_entered_leads_to_kustomer_or_is_refused(entered: str) -> None:
    if refusal(org_name=entered) != NO_ORGANIZATION:
        host = urlsplit(parse(org_name=entered).base_url).netloc
        label = host.removesuffix(".api.kustomerapp.com")
        assert label.isascii()
        assert label.replace("-", "").isalnum()


def test_a_name_that_only_begins_like_a_host_of_kustomers_is_an_organizations() -> None:
    names = ["apis", "application", "production", "prod2b", "p", "a" * 63]
    assert [parse(org_name=name).organization for name in names] == names


OTHER_ADDRESSES = """
    a_b acme.evil.com acme.kustomerapp.com.evil.com evil.com/.kustomerapp.com 127.0.0.1 [::1]
    evil.com#.kustomerapp.com user:word@acme.kustomerapp.com user@acme ácme аcme \u212aacme -acme
    acme- acme\\evil api www app kustomerapp.com api.kustomerapp.com www.kustomerapp.com prod2
    https://app.kustomerapp.com/ api.prod2.kustomerapp.com prod14.kustomerapp.com www.acme acme..
    acme.kustomerapp.com:99999 acme.kustomerapp.com:0 https:// https:///acme /acme ?acme
    acme.kustomerapp.com: acme.kustomerapp.com:x acme.kustomerapp.com/a\\b acme.kustomerapp.com/é
    acme.kustomerapp.com/\x7f ftp://acme.kustomerapp.com https://https://acme.kustomerapp.com
""".split()  # noqa: SIM905


def test_what_is_no_organization_is_refused() -> None:
    odd: list[object] = [None, 7, [], "", " \n", "ac me", "ac\nme", "acme/a b", "a" * 64]
    entered = odd + OTHER_ADDRESSES
    assert [it for it in entered if refusal(org_name=it) != NO_ORGANIZATION] == []


@pytest.mark.parametrize("key", [KEY, "!eight8~"])
@pytest.mark.parametrize("around", [" {}", "{}\r\n", "\t{} \n"])
def test_a_key_has_eight_printable_characters_or_more_and_spaces_around_are_ignored(
    key: str, around: str
) -> None:
    assert parse(api_key=around.format(key)).api_key == key


def test_what_is_no_key_is_refused() -> None:
    odd: list[object] = [None, "", " \n", 5, [KEY], {"key": KEY}, " seven77 "]
    entered = odd + [f"{KEY}{sign}x" for sign in (" ", "\n", "\0", "\x7f", "é", "\u2028")]
    assert [it for it in entered if refusal(api_key=it) != NO_KEY] == []


def test_a_key_is_shown_neither_in_a_refusal_nor_in_a_representation() -> None:
    url = f"https://{KEY}@x.example"
    assert refusal(org_name=f"{KEY}.x.y") == NO_ORGANIZATION
    assert refusal({"KUSTOMER_API_URL": url}) == NO_ADDRESS
    assert KEY not in repr(parse())


def test_what_is_missing_is_named() -> None:
    with pytest.raises(InvalidConfigError, match=r"\(org_name\) is missing"):
        Config.parse({"api_key": KEY}, {})
    with pytest.raises(InvalidConfigError, match=r"\(api_key\) is missing"):
        Config.parse({"org_name": "acme"}, {})


@pytest.mark.parametrize(("entered", "share"), [(None, 80), (1, 1), (100, 100), (25.0, 25)])
def test_the_share_is_a_whole_percent(entered: object, share: int) -> None:
    assert repr(parse(rate_limit_share=entered).share) == repr(share)


@pytest.mark.parametrize("entered", [0, 101, -1, 2.5, True, "80", [80], float("nan"), float("inf")])
def test_another_share_is_refused(entered: object) -> None:
    assert refusal(rate_limit_share=entered) == NO_SHARE


@pytest.mark.parametrize(
    ("url", "base"),
    [
        ("https://example.test", "https://example.test/v1/"),
        (" https://example.test:8443/\n", "https://example.test:8443/v1/"),
        ("https://example.test/v1", "https://example.test/v1/"),
        ("https://example.test//", "https://example.test/v1/"),
        ("https://example.test/X", "https://example.test/X/v1/"),
        ("https://example.test/kustomer/v1/", "https://example.test/kustomer/v1/"),
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080/v1/"),
        ("http://[::1]:8080", "http://[::1]:8080/v1/"),
        (" ", "https://acme.api.kustomerapp.com/v1/"),
    ],
)
def test_the_operator_may_send_requests_elsewhere(url: str, base: str) -> None:
    assert parse({"KUSTOMER_API_URL": url}).base_url == base


UNUSABLE = """
    http://example.test http://127.0.0.1.example.test http://10.0.0.1 ftp://127.0.0.1 x https://
    127.0.0.1:8080 https://user:word@example.test https://example.test/?x=1 https://example.test:x
    https://example.test:0 https://example.test/#x https://[::1 https://.example.test
    https://*.example.test https://exämple.test
""".split()  # noqa: SIM905


def test_an_operators_address_that_is_invalid_or_could_leak_the_key_is_refused() -> None:
    told = [(url, refusal({"KUSTOMER_API_URL": url})) for url in UNUSABLE]
    assert told == [(url, NO_ADDRESS) for url in UNUSABLE]


def test_only_this_machines_own_addresses_are_loopback() -> None:
    hosts = "localhost 127.0.0.1:80 127.8.0.1 [::1]:80 localhost.example.test 10.0.0.1 [::2]"
    urls = [*(f"http://{host}" for host in hosts.split()), "http:"]
    assert [is_loopback(urlsplit(url)) for url in urls] == [True] * 4 + [False] * 4
