"""What `make try` says that a read will take, before it reads."""

import json
from pathlib import Path
from typing import Any

import pytest

from sandbox import EVERY_ROLE, SWITCHES, Reply, Sandbox
from source_kustomer.config import Config
from tools.tour.account import Account, open_account
from tools.tour.survey import survey


def account_of(sandbox: Sandbox, key: str | None = None) -> Account:
    environment = {"KUSTOMER_API_URL": sandbox.url}
    raw = {"org_name": "acme", "api_key": key or sandbox.key}
    return Account(Path("config.json"), Config.parse(raw, environment), environment)


@pytest.mark.parametrize("totals", SWITCHES["totals"])
@pytest.mark.parametrize(
    ("records", "pages"), [(1, 1), (99, 1), (100, 1), (101, 2), (400, 4), (401, 5), (1733, 18)]
)
def test_pages_are_counted_exactly(records: int, pages: int, totals: str) -> None:
    with Sandbox(customers=records, conversations=records, users=501, totals=totals) as sandbox:
        found = survey(account_of(sandbox))
        asked = len(sandbox.requests)
    assert found.pages == {
        "customers": pages,
        "conversations": pages,
        "users": 2,
        "teams": 1,
        "tags": 1,
        "brands": 1,
    }
    assert found.requests == 2 * pages + 5
    assert found.limit == 1000
    # A few requests for one record each.
    assert asked <= 40


@pytest.mark.parametrize(
    ("switch", "value"),
    [(s, v) for s in ("past_end", "last_link", "meta", "links", "order") for v in SWITCHES[s]],
)
def test_pages_are_counted_whatever_the_api_does_where_nobody_could_look(
    switch: str, value: Any
) -> None:
    options: dict[str, Any] = {switch: value}
    with Sandbox(customers=250, conversations=250, **options) as sandbox:
        found = survey(account_of(sandbox))
    assert [found.pages[name] for name in ("customers", "conversations", "tags")] == [3, 3, 1]


def test_an_empty_list_takes_one_request() -> None:
    with Sandbox(customers=0, conversations=0) as sandbox:
        found = survey(account_of(sandbox))
    assert (found.pages["customers"], found.pages["conversations"]) == (1, 1)


def test_a_list_that_counts_no_pages_is_not_known_before_it_is_read() -> None:
    with Sandbox(customers=300, conversations=300, cursors=("conversations",)) as sandbox:
        found = survey(account_of(sandbox))
    assert found.pages["conversations"] is None
    assert found.pages["customers"] == 3


@pytest.mark.parametrize("status", [401, 403])
def test_lists_that_the_key_may_not_read_are_closed(status: int) -> None:
    with Sandbox(customers=3, conversations=3) as sandbox:
        roles = tuple(role for role in EVERY_ROLE if "team" not in role)
        key = sandbox.add_key(roles=roles, missing_role_status=status)
        found = survey(account_of(sandbox, key))
    assert found.closed == {"teams"}
    assert "teams" not in found.pages


@pytest.mark.parametrize(
    "broken",
    [Reply(status=500), Reply(body="<html>"), Reply(body={}), Reply(reset=True)],
    ids=["status", "not-json", "no-data", "reset"],
)
def test_what_goes_wrong_is_left_to_the_read(broken: Reply) -> None:
    with Sandbox(customers=3, conversations=3) as sandbox:
        sandbox.before(lambda request: broken if request.path == "/v1/tags" else None)
        found = survey(account_of(sandbox))
    assert found.pages["tags"] is None
    assert found.closed == frozenset()
    assert found.requests == 6


def test_without_rate_headers_no_limit_is_known() -> None:
    with Sandbox(customers=3, conversations=3, rate_headers="never") as sandbox:
        assert survey(account_of(sandbox)).limit is None


def test_the_key_of_the_configuration_is_sent_whatever_a_netrc_file_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".netrc").write_text("default login somebody password else\n")
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    with Sandbox(customers=3, conversations=3) as sandbox:
        survey(account_of(sandbox))
        assert {request.key for request in sandbox.requests} == {sandbox.key}


@pytest.mark.parametrize(
    ("entered", "url"),
    [
        ("acme", "https://acme.api.kustomerapp.com"),
        (" Acme ", "https://acme.api.kustomerapp.com"),
        ("https://acme.kustomerapp.com/app", "https://acme.api.kustomerapp.com"),
        ("acme.api.kustomerapp.com", "https://acme.api.kustomerapp.com"),
    ],
)
def test_the_address_is_that_of_the_organization(
    entered: str, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("KUSTOMER_API_URL", raising=False)
    (tmp_path / "config.json").write_text(
        json.dumps({"org_name": entered, "api_key": "a-key-for-acme"})
    )
    with open_account(tmp_path / "config.json") as account:
        assert account.url == url
