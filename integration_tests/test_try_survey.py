"""What `make try` says that a read will take, before it reads."""

from pathlib import Path
from typing import Any

import pytest

from sandbox import EVERY_ROLE, SWITCHES, Reply, Sandbox
from source_kustomer.config import Config
from tools.tour.account import Account
from tools.tour.survey import Survey, survey


def found_in(sandbox: Sandbox, key: str | None = None) -> Survey:
    environment = {"KUSTOMER_API_URL": sandbox.url}
    raw = {"org_name": "acme", "api_key": key or sandbox.key}
    return survey(Account(Path("config.json"), Config.parse(raw, environment), environment))


@pytest.mark.parametrize("totals", SWITCHES["totals"])
@pytest.mark.parametrize(
    ("records", "pages"), [((0, 99), (1, 1)), ((100, 101), (1, 2)), ((401, 1733), (5, 18))]
)
def test_given_lists_of_any_length_then_their_pages_are_counted_exactly(
    records: tuple[int, int], pages: tuple[int, int], totals: str
) -> None:
    customers, conversations = records
    lists: dict[str, Any] = dict.fromkeys(("conversations", "tags"), conversations)
    with Sandbox(customers=customers, users=501, teams=501, totals=totals, **lists) as sandbox:
        found = found_in(sandbox)
        asked = len(sandbox.requests)
    small = {"users": 2, "teams": 2, "brands": 1}
    assert found.pages == {"customers": pages[0], **dict.fromkeys(lists, pages[1]), **small}
    assert (found.requests, found.limit) == (pages[0] + 2 * pages[1] + 5, 1000)
    # A few requests for one record each.
    assert asked <= 40


@pytest.mark.parametrize(
    ("switch", "value"),
    [(s, v) for s in ("past_end", "last_link", "meta", "links", "order") for v in SWITCHES[s]],
)
def test_given_a_switch_then_pages_are_counted_all_the_same(switch: str, value: Any) -> None:
    options: dict[str, Any] = {switch: value}
    with Sandbox(customers=250, conversations=250, **options) as sandbox:
        found = found_in(sandbox)
    assert [found.pages[name] for name in ("customers", "conversations", "tags")] == [3, 3, 1]


def test_given_a_list_by_cursors_then_its_pages_are_not_known() -> None:
    with Sandbox(customers=300, conversations=300, cursors=("conversations",)) as sandbox:
        found = found_in(sandbox)
    assert found.pages["conversations"] is None
    assert found.pages["customers"] == 3


@pytest.mark.parametrize("status", [401, 403, 404])
def test_given_a_key_without_a_role_then_its_list_is_closed(status: int) -> None:
    with Sandbox(customers=3, conversations=3) as sandbox:
        roles = tuple(role for role in EVERY_ROLE if "team" not in role)
        found = found_in(sandbox, sandbox.add_key(roles=roles, missing_role_status=status))
    assert found.closed == {"teams"}
    assert "teams" not in found.pages


@pytest.mark.parametrize(
    "broken", [Reply(status=500), Reply(body="<html>"), Reply(body={}), Reply(reset=True)]
)
def test_given_a_list_that_fails_then_that_is_left_to_the_read(broken: Reply) -> None:
    with Sandbox(customers=3, conversations=3, rate_headers="never") as sandbox:
        sandbox.before(lambda request: broken if request.path == "/v1/tags" else None)
        found = found_in(sandbox)
    assert (found.pages["tags"], found.closed, found.limit) == (None, frozenset(), None)
    assert found.requests == 6
