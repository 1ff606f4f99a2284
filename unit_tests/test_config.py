"""What a user may enter, and what is refused, before any request."""

from urllib.parse import urlsplit

import pytest
from fakes import KEY
from hypothesis import given, settings
from hypothesis import strategies as st

from source_kustomer.config import Config, InvalidConfigError, is_loopback, organization_name

NAMES = st.from_regex(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?", fullmatch=True).filter(
    lambda name: name not in {"api", "www", "app"} and not name.startswith("prod")
)


def parse(environment: dict[str, str] | None = None, **raw: object) -> Config:
    return Config.parse({"org_name": "acme", "api_key": KEY} | raw, environment or {})


@pytest.mark.parametrize(
    "entered",
    [
        "acme",
        "  Acme\n",
        "https://acme.kustomerapp.com",
        "https://acme.kustomerapp.com/app/customers/5f?tab=1#top",
        "HTTPS://ACME.kustomerapp.com/",
        "http://acme.kustomerapp.com",
        "www.acme.kustomerapp.com",
        "acme.api.kustomerapp.com",
        "https://acme.api.kustomerapp.com/v1/customers",
        "acme.kustomerapp.com:443",
        "acme.kustomerapp.com.",
    ],
)
def test_an_organization_is_found_in_what_is_pasted(entered: str) -> None:
    assert organization_name(entered) == "acme"


@settings(deadline=None)
@given(
    name=NAMES,
    scheme=st.sampled_from(["", "https://", "HTTP://"]),
    before=st.sampled_from(["", "www."]),
    after=st.sampled_from(["", ".api"]),
    port=st.sampled_from(["", ":443"]),
    path=st.sampled_from(["", "/", "/app/x?y=z#w"]),
    blank=st.sampled_from(["", " ", "\n\t"]),
)
def test_every_address_of_an_organization_gives_its_name(
    name: str, scheme: str, before: str, after: str, port: str, path: str, blank: str
) -> None:
    address = f"{blank}{scheme}{before}{name}{after}.kustomerapp.com{port}{path}{blank}"
    assert organization_name(address) == name
    assert organization_name(address.upper()) == name


@settings(deadline=None)
@given(st.text() | st.from_regex(r"[a-z0-9.:/@_-]{1,80}", fullmatch=True))
def test_whatever_is_entered_leads_to_kustomer_or_is_refused(entered: str) -> None:
    try:
        config = parse(org_name=entered)
    except InvalidConfigError as refusal:
        assert "acme" in str(refusal)
    else:
        label = config.base_url.removeprefix("https://").removesuffix(".api.kustomerapp.com/v1/")
        assert label == config.organization
        assert label.isascii()
        assert label.replace("-", "").isalnum()


NOT_AN_ORGANIZATION = [
    None,
    7,
    "",
    " \n",
    "a_b",
    "acme.evil.com",
    "acme.kustomerapp.com.evil.com",
    "evil.com/.kustomerapp.com",
    "evil.com#.kustomerapp.com",
    "127.0.0.1",
    "[::1]",
    "user:word@acme.kustomerapp.com",
    "user@acme",
    "ácme",
    "аcme",
    "a" * 64,
    "-acme",
    "acme-",
    "ac me",
    "ac\nme",
    "acme\\evil",
    "api",
    "www",
    "app",
    "kustomerapp.com",
    "api.kustomerapp.com",
    "www.kustomerapp.com",
    "https://app.kustomerapp.com/",
    "api.prod2.kustomerapp.com",
    "prod4.kustomerapp.com",
    "acme.kustomerapp.com:99999",
    "acme.kustomerapp.com:0",
    "https://",
    "https:///acme",
    "/acme",
    "?acme",
    "acme.kustomerapp.com:",
    "acme.kustomerapp.com/a b",
    "acme.kustomerapp.com/a\tb",
    "acme.kustomerapp.com/a\\b",
    "acme.kustomerapp.com/é",
    "ftp://acme.kustomerapp.com",
    "https://https://acme.kustomerapp.com",
]


ENTER = (
    "Enter the first part of the web address at which you use Kustomer: "
    "'acme' for https://acme.kustomerapp.com."
)


def told(entered: object) -> str:
    """Return the organization that is found, or the refusal."""
    try:
        return parse(org_name=entered).organization
    except InvalidConfigError as refusal:
        return str(refusal)


def test_what_is_no_organization_is_refused_with_what_to_enter() -> None:
    outcomes = [(entered, told(entered)) for entered in NOT_AN_ORGANIZATION]
    assert [outcome for outcome in outcomes if not outcome[1].endswith(ENTER)] == []


LONGEST = "_" * (8 + 63 + 16)


@pytest.mark.parametrize(
    ("entered", "wrong"),
    [
        (None, "The organization name (org_name) is missing."),
        ("", "The organization name is empty."),
        (" \n", "The organization name is empty."),
        (7, "The organization name is not text."),
        ([], "The organization name is not text."),
        ("a_b", "'a_b' is not the name of a Kustomer organization."),
        (" a\tb\u2028c ", "'a?b?c' is not the name of a Kustomer organization."),
        (LONGEST, f"'{LONGEST}' is not the name of a Kustomer organization."),
        (f"{LONGEST}_", "What was entered is not the name of a Kustomer organization."),
        ("a@b", "What was entered is not the name of a Kustomer organization."),
        # Its lower case is a letter of ASCII.
        ("\u212aacme", "'\u212aacme' is not the name of a Kustomer organization."),
    ],
    ids=repr,
)
def test_a_wrong_organization_is_told_in_a_sentence(entered: object, wrong: str) -> None:
    with pytest.raises(InvalidConfigError) as refusal:
        parse(org_name=entered)
    assert str(refusal.value) == f"{wrong} {ENTER}"


@pytest.mark.parametrize(
    ("entered", "wrong"),
    [
        (None, "The API key (api_key) is missing."),
        ("", "The API key is empty."),
        (" \n", "The API key is empty."),
        (5, "The API key is not text."),
        ("k\u00e9y", "The API key contains a character that no key has (it is not ASCII)."),
        ("k y", "The API key contains a blank, a line break or a control character."),
        (f"{KEY}\nx", "The API key contains a blank, a line break or a control character."),
        ("k\x7f", "The API key contains a blank, a line break or a control character."),
        ("k", "The API key is too short to be one."),
        (" seven77 ", "The API key is too short to be one."),
    ],
    ids=repr,
)
def test_a_wrong_key_is_told_in_a_sentence(entered: object, wrong: str) -> None:
    with pytest.raises(InvalidConfigError) as refusal:
        parse(api_key=entered)
    assert str(refusal.value) == (
        f"{wrong} Copy the whole key once more from Settings > Security > API Keys."
    )


def test_a_wrong_share_or_address_is_told_in_a_sentence() -> None:
    with pytest.raises(InvalidConfigError) as refusal:
        parse(rate_limit_share=0)
    assert str(refusal.value) == (
        "The share of the rate limit (rate_limit_share) must be a whole number from 1 to 100; "
        "leave it out for 80."
    )
    with pytest.raises(InvalidConfigError) as refusal:
        parse({"KUSTOMER_API_URL": "x"})
    assert str(refusal.value) == (
        "The environment variable KUSTOMER_API_URL must be an https address, or plain http to this "
        "machine only, such as http://127.0.0.1:8080: correct it, or unset it to use Kustomer."
    )


def test_a_key_or_password_in_the_wrong_field_is_not_shown() -> None:
    for entered in (f"{'e' * 150}.payload.signature", "user:word@acme.kustomerapp.com"):
        with pytest.raises(InvalidConfigError) as refusal:
            parse(org_name=entered)
        assert entered not in str(refusal.value)


@pytest.mark.parametrize("entered", [f" {KEY}", f"{KEY}\r\n", f"\t{KEY} \n"])
def test_blanks_round_a_key_are_taken_off(entered: str) -> None:
    assert parse(api_key=entered).api_key == KEY


@pytest.mark.parametrize("entered", [[KEY], {"key": KEY}, f"{KEY} x", f"{KEY}\0", f"{KEY}é"])
def test_a_key_that_cannot_be_one_is_never_shown(entered: object) -> None:
    with pytest.raises(InvalidConfigError) as refusal:
        parse(api_key=entered)
    assert KEY not in str(refusal.value)


def test_the_shortest_key_has_eight_characters() -> None:
    assert parse(api_key="eight888").api_key == "eight888"


def test_a_configuration_without_its_members_says_which_is_missing() -> None:
    with pytest.raises(InvalidConfigError, match=r"\(org_name\) is missing"):
        Config.parse({"organization": "acme", "api_key": KEY}, {})
    with pytest.raises(InvalidConfigError, match=r"\(api_key\) is missing"):
        Config.parse({"org_name": "acme", "key": KEY}, {})


def test_the_key_is_not_in_the_representation() -> None:
    assert KEY not in repr(parse())


@pytest.mark.parametrize(("entered", "share"), [(None, 80), (1, 1), (100, 100), (25.0, 25)])
def test_the_share_is_a_whole_percent(entered: object, share: int) -> None:
    assert parse(rate_limit_share=entered).share == share


@pytest.mark.parametrize("entered", [0, 101, -1, 2.5, True, "80", [80], float("nan"), float("inf")])
def test_another_share_is_refused(entered: object) -> None:
    with pytest.raises(InvalidConfigError, match="whole number from 1 to 100"):
        parse(rate_limit_share=entered)


@pytest.mark.parametrize(
    ("url", "base"),
    [
        ("https://example.test", "https://example.test/v1/"),
        ("https://example.test:8443/", "https://example.test:8443/v1/"),
        ("https://example.test/v1", "https://example.test/v1/"),
        ("https://example.test//", "https://example.test/v1/"),
        ("https://example.test/X", "https://example.test/X/v1/"),
        ("https://example.test/kustomer/v1/", "https://example.test/kustomer/v1/"),
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080/v1/"),
        ("http://127.8.0.1", "http://127.8.0.1/v1/"),
        ("http://localhost:8080", "http://localhost:8080/v1/"),
        ("http://[::1]:8080", "http://[::1]:8080/v1/"),
        (" ", "https://acme.api.kustomerapp.com/v1/"),
    ],
)
def test_the_operator_may_send_requests_elsewhere(url: str, base: str) -> None:
    assert parse({"KUSTOMER_API_URL": url}).base_url == base


@pytest.mark.parametrize(
    "url",
    [
        "http://example.test",
        "http://127.0.0.1.example.test",
        "http://10.0.0.1",
        "ftp://127.0.0.1",
        "127.0.0.1:8080",
        "https://",
        "https://user:word@example.test",
        "https://example.test/?x=1",
        "https://example.test:x",
        "https://example.test:0",
        "https://example.test/#x",
        "https://[::1",
    ],
)
def test_an_operators_address_that_could_leak_the_key_is_refused(url: str) -> None:
    with pytest.raises(InvalidConfigError, match="KUSTOMER_API_URL"):
        parse({"KUSTOMER_API_URL": url})


@pytest.mark.parametrize(
    ("url", "is_own"),
    [
        ("http://localhost", True),
        ("http://127.0.0.1:8080", True),
        ("http://127.8.0.1", True),
        ("http://[::1]:8080", True),
        ("http://localhost.example.test", False),
        ("http://10.0.0.1", False),
        ("http://[::2]", False),
        ("http:", False),
    ],
)
def test_only_this_machines_own_addresses_are_loopback(url: str, *, is_own: bool) -> None:
    assert is_loopback(urlsplit(url)) is is_own
