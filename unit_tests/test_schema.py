"""Custom attributes become typed columns, by the metadata or else by the list's first page."""

import threading
from collections.abc import Callable
from functools import partial

import pytest
from fakes import PROBE, Reply, Script, ScriptedTransport, by_path, error
from sockets import FOR_EVER

from source_kustomer.api.client import Client
from source_kustomer.errors import Failure
from source_kustomer.schema import custom_columns
from source_kustomer.streams import Customers

NO_ROLE = error(403)
EXPIRED = error(401, "Expired token")
TEXT, NUMBER = ["null", "string"], ["null", "number"]

Ask = Callable[..., dict[str, list[str]]]


def metadata(properties: object) -> Reply:
    return Reply(body={"data": {"attributes": {"properties": properties}}})


def customers(*customs: object) -> Reply:
    return Reply(body={"data": [{"id": "c", "attributes": {"custom": c}} for c in customs]})


GOLD = customers({"tierStr": "gold"})


@pytest.fixture
def ask(client: Client, transport: ScriptedTransport) -> Ask:
    """Return the types of the columns, by what the metadata, the first page and the probe say."""

    def types(
        answer: Reply | Script, sample: Reply | Script, probe: Reply | None = None
    ) -> dict[str, list[str]]:
        replies = {"metadata/customer": answer, "customers": sample}
        transport.script = by_path({**replies, PROBE: probe or Reply(body={})})
        first_page = partial(Customers(client).first_page, 100)
        columns = custom_columns(client, "customers", "customer", first_page)
        return {name: column["type"] for name, column in columns.items()}

    return types


@pytest.mark.parametrize(
    "sample", [customers({"planStr": ["a"], "laterStr": "y"}), NO_ROLE, Reply(500)]
)
def test_what_the_metadata_say_counts_whatever_the_first_page_answers(
    ask: Ask, caplog: pytest.LogCaptureFixture, sample: Reply
) -> None:
    assert ask(metadata({"planStr": {}}), sample) == {"custom_planStr": TEXT}
    assert "first page only" not in caplog.text


CLOSED = {
    "missing role": (NO_ROLE, None, "lacks the role org.permission.metadata.read"),
    "missing role as 401": (error(401), None, "lacks the role org.permission.metadata.read"),
    "not there": (error(404), None, "does not offer the metadata of customers"),
    "401 without a probe": (error(401), error(404), "does not accept the API key"),
    "404 without a probe": (error(404), error(404), "knows no organization"),
}


@pytest.mark.parametrize(("closed", "probe", "reason"), CLOSED.values(), ids=CLOSED)
def test_where_the_metadata_are_closed_the_first_page_tells_and_the_warning_says_why(
    ask: Ask, caplog: pytest.LogCaptureFixture, closed: Reply, probe: Reply | None, reason: str
) -> None:
    sample = customers({"tierStr": "a"}, {"tierStr": "b", "sumNum": 1}, None, "odd", [])
    assert ask(closed, sample, probe) == {"custom_tierStr": TEXT, "custom_sumNum": NUMBER}
    (warning,) = (m for m in caplog.messages if m.startswith("The custom attributes of customers"))
    assert "are those of its first page only" in warning
    assert reason in warning


@pytest.mark.parametrize("sample", [NO_ROLE, error(404)], ids=["missing role", "not there"])
def test_a_list_that_is_closed_itself_has_no_columns_to_look_for(ask: Ask, sample: Reply) -> None:
    assert ask(NO_ROLE, sample) == {}


NO_COLUMNS = {
    "server failure": (Reply(500), GOLD, None, "busy_server"),
    "limit": (error(429, retry_after="700"), GOLD, None, "rate_limit"),
    "rejected": (error(402), GOLD, None, "rejected_request"),
    "null": (Reply(body=None), GOLD, None, "unexpected_document"),
    "a list": (Reply(body=[]), GOLD, None, "unexpected_document"),
    "other data": (Reply(body={"data": []}), GOLD, None, "unexpected_document"),
    "no attributes": (Reply(body={"data": {}}), GOLD, None, "unexpected_document"),
    "other properties": (metadata([]), GOLD, None, "unexpected_document"),
    "no page": (NO_ROLE, Reply(500), None, "busy_server"),
    "a page that is rejected": (NO_ROLE, error(400), None, "rejected_request"),
    "no data": (NO_ROLE, Reply(body={"data": None}), None, "unexpected_document"),
    "expired key": (EXPIRED, EXPIRED, EXPIRED, "expired_key"),
}


@pytest.mark.parametrize(
    ("answer", "sample", "probe", "cause"), NO_COLUMNS.values(), ids=NO_COLUMNS
)
def test_whatever_else_comes_is_a_failure_and_not_fewer_columns(
    ask: Ask, answer: Reply, sample: Reply, probe: Reply | None, cause: str
) -> None:
    with pytest.raises(Failure) as raised:
        ask(answer, sample, probe)
    assert raised.value.cause.name == cause


def test_both_are_asked_for_at_once_and_a_page_that_hangs_does_not_hold_up_the_metadata(
    ask: Ask,
) -> None:
    asked, over = threading.Event(), threading.Event()

    def hang(_: str) -> Reply:
        asked.set()
        over.wait(FOR_EVER)
        return GOLD

    def answer(_: str) -> Reply:
        assert asked.wait(FOR_EVER)
        return metadata({"planStr": {}})

    assert ask(answer, hang) == {"custom_planStr": TEXT}
    assert not over.is_set()
    over.set()
