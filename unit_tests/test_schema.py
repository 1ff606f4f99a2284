"""Custom attributes become typed columns, by the metadata or else by the list's first page."""

import logging
import threading
from collections.abc import Iterator, Mapping

import pytest
from fakes import BASE, PROBE, Reply, Script, ScriptedTransport, by_path, error
from source_kustomer.api.probe import Probe

from source_kustomer.api.client import Client, Target
from source_kustomer.columns import Column
from source_kustomer.errors import Failure
from source_kustomer.schema import custom_columns

SAMPLE = f"{BASE}customers?page=1&pageSize=100"
ACCEPTED = Reply(body={"data": {"id": "key"}})
NO_ROLE = error(403)

TEXT = {"type": ["null", "string"]}
NUMBER = {"type": ["null", "number"]}


def metadata(properties: Mapping[str, object]) -> Reply:
    return Reply(body={"data": {"attributes": {"properties": properties}}})


def customers(*customs: object) -> Reply:
    return Reply(body={"data": [{"id": "c", "attributes": {"custom": c}} for c in customs]})


def columns(
    client: Client,
    transport: ScriptedTransport,
    definitions: Reply | Script,
    sample: Reply | Script | None = None,
    probe: Reply | Script = ACCEPTED,
) -> dict[str, Column]:
    transport.script = by_path(
        {"metadata/customer": definitions, "customers": sample or customers(), PROBE: probe}
    )
    target = Target.of_list("customers", "role.of.the.list")
    return custom_columns(client, Probe(client), target, SAMPLE, "customers", "customer")


def forms(columns: Mapping[str, Column]) -> dict[str, Column]:
    """Return the columns by their attributes, without their descriptions."""
    return {
        name.removeprefix("custom_"): {k: v for k, v in column.items() if k != "description"}
        for name, column in columns.items()
    }


@pytest.fixture
def warnings(caplog: pytest.LogCaptureFixture) -> Iterator[list[str]]:
    """Collect the warnings; they are complete when the columns have been returned."""
    told: list[str] = []

    class Collect(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            told.append(record.getMessage())

    handler = Collect(logging.WARNING)
    logger = logging.getLogger("airbyte.source_kustomer")
    logger.addHandler(handler)
    yield told
    logger.removeHandler(handler)


def test_the_first_page_changes_nothing_that_the_metadata_say(
    client: Client, transport: ScriptedTransport, warnings: list[str]
) -> None:
    sample = customers({"planStr": ["a"], "laterStr": "y"})
    assert forms(columns(client, transport, metadata({"planStr": {}}), sample)) == {"planStr": TEXT}
    assert warnings == []


CLOSED = {
    "missing role": (NO_ROLE, "lacks the role org.permission.metadata.read"),
    "missing role as 401": (error(401), "lacks the role org.permission.metadata.read"),
    "not there": (error(404), "does not offer the metadata of customers"),
}


@pytest.mark.parametrize(("closed", "reason"), CLOSED.values(), ids=CLOSED)
def test_where_the_metadata_are_closed_the_first_page_tells_and_the_warning_says_why(
    client: Client,
    transport: ScriptedTransport,
    warnings: list[str],
    closed: Reply,
    reason: str,
) -> None:
    sample = customers({"tierStr": "a"}, {"tierStr": "b", "sumNum": 1}, None, "odd", [])
    found = columns(client, transport, closed, sample)
    assert forms(found) == {"sumNum": NUMBER, "tierStr": TEXT}
    (warning,) = warnings
    assert warning.startswith("The custom attributes of customers are those of its first page only")
    assert reason in warning
    assert {*transport.sent} == {f"{BASE}metadata/customer", SAMPLE, f"{BASE}{PROBE}"}


NO_METADATA = {
    "server failure": (Reply(500), "busy_server"),
    "limit": (error(429, retry_after="700"), "rate_limit"),
    "rejected": (error(400), "rejected_request"),
    "payment required": (error(402), "rejected_request"),
    "gone": (error(410), "rejected_request"),
    "web page": (Reply(200, b"<html>"), "no_api"),
    "null": (Reply(body=None), "unexpected_document"),
    "a list": (Reply(body=[]), "unexpected_document"),
    "no data": (Reply(body={}), "unexpected_document"),
    "other data": (Reply(body={"data": []}), "unexpected_document"),
    "no attributes": (Reply(body={"data": {"attributes": None}}), "unexpected_document"),
    "no properties": (
        Reply(body={"data": {"attributes": {"properties": []}}}),
        "unexpected_document",
    ),
}


@pytest.mark.parametrize(("answer", "cause"), NO_METADATA.values(), ids=NO_METADATA)
def test_whatever_else_the_metadata_answer_is_a_failure_and_not_fewer_columns(
    client: Client, transport: ScriptedTransport, warnings: list[str], answer: Reply, cause: str
) -> None:
    with pytest.raises(Failure) as raised:
        columns(client, transport, answer, customers({"tierStr": "a"}))
    assert raised.value.cause.name == cause
    assert not [warning for warning in warnings if "first page only" in warning]


@pytest.mark.parametrize(
    ("sample", "cause"),
    [
        (Reply(500), "busy_server"),
        (error(400), "rejected_request"),
        (Reply(body=None), "unexpected_document"),
        (Reply(body={"data": None}), "unexpected_document"),
        (Reply(body={"data": {}}), "unexpected_document"),
    ],
    ids=["server failure", "rejected", "null", "no data", "other data"],
)
def test_without_metadata_a_page_that_does_not_come_is_a_failure(
    client: Client, transport: ScriptedTransport, sample: Reply, cause: str
) -> None:
    with pytest.raises(Failure) as raised:
        columns(client, transport, NO_ROLE, sample)
    assert raised.value.cause.name == cause
    assert columns(client, transport, metadata({"tierStr": {}}), sample).keys() == {
        "custom_tierStr"
    }


@pytest.mark.parametrize("sample", [NO_ROLE, error(404)], ids=["missing role", "not there"])
def test_a_list_that_is_closed_itself_has_no_columns_to_look_for(
    client: Client, transport: ScriptedTransport, sample: Reply
) -> None:
    assert columns(client, transport, NO_ROLE, sample) == {}
    assert [*columns(client, transport, metadata({"tierStr": {}}), sample)] == ["custom_tierStr"]


def test_what_failed_once_is_asked_for_again(client: Client, transport: ScriptedTransport) -> None:
    answers = iter([Reply(503), Reply(body={"data": None}), metadata({"tierStr": {}})])
    found = columns(client, transport, lambda _: next(answers), customers({"laterStr": "a"}))
    assert [*found] == ["custom_tierStr"]


@pytest.mark.parametrize("status", [401, 404])
def test_without_a_probe_the_first_page_tells_all_the_same(
    client: Client, transport: ScriptedTransport, status: int
) -> None:
    probed = threading.Event()

    def probe(_: str) -> Reply:
        probed.set()
        return error(404)

    def opens_late(_: str) -> Reply:
        probed.wait(60)
        return customers({"tierStr": "a"})

    found = columns(client, transport, error(status), opens_late, probe=probe)
    assert [*found] == ["custom_tierStr"]


def test_a_key_that_is_refused_is_a_failure(client: Client, transport: ScriptedTransport) -> None:
    refused = error(401, "Expired token")
    with pytest.raises(Failure) as raised:
        columns(client, transport, refused, refused, probe=refused)
    assert raised.value.cause.name == "expired_key"


def test_the_metadata_and_the_page_are_asked_for_at_once(
    client: Client, transport: ScriptedTransport
) -> None:
    together = threading.Barrier(2)

    def answer(reply: Reply) -> Script:
        def when_both_are_asked(_: str) -> Reply:
            together.wait(60)
            return reply

        return when_both_are_asked

    columns(client, transport, answer(metadata({})), answer(customers()))
    assert sorted(transport.sent) == [SAMPLE, f"{BASE}metadata/customer"]


def test_a_page_that_hangs_does_not_hold_up_what_the_metadata_say(
    client: Client, transport: ScriptedTransport
) -> None:
    over = threading.Event()

    def hang(_: str) -> Reply:
        over.wait(60)
        return customers()

    assert [*columns(client, transport, metadata({"tierStr": {}}), hang)] == ["custom_tierStr"]
    assert not over.is_set()
    over.set()
