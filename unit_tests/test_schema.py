"""Custom attributes become typed columns, by the metadata or else by the list's first page."""

import logging
import threading
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from fakes import BASE, PROBE, Reply, Script, ScriptedTransport, by_path, error

from source_kustomer.api.client import Client, Target
from source_kustomer.api.probe import Probe
from source_kustomer.conversion import conversion
from source_kustomer.errors import Failure
from source_kustomer.schema import Column, custom_columns

SAMPLE = f"{BASE}customers?page=1&pageSize=100"
ACCEPTED = Reply(body={"data": {"id": "key"}})
NO_ROLE = error(403)

TEXT = {"type": ["null", "string"]}
NUMBER = {"type": ["null", "number"]}
BOOLEAN = {"type": ["null", "boolean"]}
TIME = {
    "type": ["null", "string"],
    "format": "date-time",
    "airbyte_type": "timestamp_with_timezone",
}
OBJECT = {"type": ["null", "object"], "additionalProperties": True}


def many(item: Column) -> Column:
    return {"type": ["null", "array"], "items": item}


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
    target = Target("customers", "role.of.the.list", is_list=True)
    return custom_columns(client, Probe(client), target, "customer", SAMPLE)


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


BY_NAME = {
    "tierStr": TEXT,
    "noteTxt": TEXT,
    "siteUrl": TEXT,
    "orderId": TEXT,
    "reasonTree": TEXT,
    "valueNum": NUMBER,
    "renewalAt": TIME,
    "vipBool": BOOLEAN,
    "Str": TEXT,
    "numStr": TEXT,
    "paid": TEXT,
    "flat": TEXT,
    "quantum": TEXT,
    "Number": TEXT,
}


def test_a_column_has_the_type_that_the_end_of_its_name_says(
    client: Client, transport: ScriptedTransport
) -> None:
    # What else the metadata may call them says nothing.
    definitions = metadata({name: {"type": "object"} for name in BY_NAME if name[-1] != "t"})
    found = forms(columns(client, transport, definitions))
    by_suffix = {name: form for name, form in BY_NAME.items() if name in found}
    others = {name for name, form in found.items() if form == OBJECT}
    assert others == {"paid", "quantum", "Number"}
    assert {**by_suffix, **dict.fromkeys(others, OBJECT)} == found


def test_without_metadata_the_name_says_the_same_whatever_the_values_are(
    client: Client, transport: ScriptedTransport
) -> None:
    for value in ("x", 5, True, {"a": 1}, None):
        sample = customers(dict.fromkeys(BY_NAME, value))
        expected = {
            name: OBJECT if value == {"a": 1} and name in {"paid", "flat", "quantum", "Number"}
            else form
            for name, form in BY_NAME.items()
        }  # fmt: skip
        assert forms(columns(client, transport, NO_ROLE, sample)) == expected


DEFINED: dict[str, tuple[object, Column]] = {
    "aStr": ({}, TEXT),
    "bStr": ({"multi": True}, many(TEXT)),
    "cStr": ({"array": True}, many(TEXT)),
    "dStr": ({"multi": False, "array": False}, TEXT),
    "eStr": ({"multi": "true", "array": 1}, TEXT),
    "fNum": ({"multi": True, "array": False}, many(NUMBER)),
    "gAt": ({"array": True}, many(TIME)),
    "h": ({"type": "object"}, OBJECT),
    "i": ({"type": "object", "multi": True}, many(OBJECT)),
    "j": ({"type": "string"}, TEXT),
    "k": ({"type": ["object"]}, TEXT),
    "l": ({}, TEXT),
    "m": (None, TEXT),
    "n": ("odd", TEXT),
    "o": ([], TEXT),
}


def test_the_metadata_say_what_is_an_array_or_an_object(
    client: Client, transport: ScriptedTransport
) -> None:
    definitions = metadata({name: definition for name, (definition, _) in DEFINED.items()})
    found = forms(columns(client, transport, definitions))
    assert found == {name: form for name, (_, form) in DEFINED.items()}


def test_the_first_page_changes_nothing_that_the_metadata_say(
    client: Client, transport: ScriptedTransport, warnings: list[str]
) -> None:
    sample = customers({"planStr": ["a"], "address": {"street": "x"}, "laterStr": "y"})
    found = columns(client, transport, metadata({"planStr": {}, "address": {}}), sample)
    assert forms(found) == {"planStr": TEXT, "address": TEXT}
    assert warnings == []


SAMPLED: dict[str, tuple[list[object], Column]] = {
    "nothing": ([None], TEXT),
    "text": (["a"], TEXT),
    "a number": ([5], TEXT),
    "an object": ([{"street": "x"}], OBJECT),
    "objects": ([{"street": "x"}, None, {}], OBJECT),
    "an object and text": ([{"street": "x"}, "a"], TEXT),
    "an array": ([["a"]], many(TEXT)),
    "an empty array": ([[]], many(TEXT)),
    "an empty array and another": ([[], ["a"]], many(TEXT)),
    "an array and a value": ([["a"], "b"], many(TEXT)),
    "one array among values": (["a", "b", ["c"]], TEXT),
    "an empty array among values": (["a", "b", [], None], TEXT),
    "a value, nothing, an array": (["a", None, ["b"]], many(TEXT)),
    "an array of objects": ([[{"street": "x"}, {}]], many(OBJECT)),
    "an array of objects and a number": ([[{"street": "x"}, 5]], many(TEXT)),
    "an array and an object": ([["a"], {"street": "x"}], many(TEXT)),
}


@pytest.mark.parametrize(("values", "form"), SAMPLED.values(), ids=SAMPLED)
def test_without_metadata_values_say_what_is_an_array_or_an_object(
    client: Client, transport: ScriptedTransport, values: list[object], form: Column
) -> None:
    sample = customers(*({"address": value} for value in values))
    found = forms(columns(client, transport, NO_ROLE, sample))
    assert found == {"address": form}


def test_without_metadata_arrays_are_seen_where_the_name_says_the_type_too(
    client: Client, transport: ScriptedTransport
) -> None:
    sample = customers({"planStr": ["a"], "sumNum": [1], "paidAt": "x"}, {"sumNum": [2]})
    found = forms(columns(client, transport, NO_ROLE, sample))
    assert found == {"paidAt": TIME, "planStr": many(TEXT), "sumNum": many(NUMBER)}


def test_deleted_and_nameless_attributes_have_no_column(
    client: Client, transport: ScriptedTransport
) -> None:
    definitions = metadata(
        {
            "goneStr": {"deletedAt": "2020-01-01T00:00:00Z"},
            "keptStr": {"deletedAt": None},
            "emptyStr": {"deletedAt": ""},
            "": {},
        }
    )
    found = columns(client, transport, definitions, customers({"goneStr": "a", "": "b"}))
    assert [*found] == ["custom_emptyStr", "custom_keptStr"]
    assert columns(client, transport, NO_ROLE, customers({"": "b"})) == {}


def test_columns_come_in_the_order_of_their_names(
    client: Client, transport: ScriptedTransport
) -> None:
    found = columns(client, transport, metadata({"zStr": {}, "aStr": {}, "mNum": {}}))
    assert [*found] == ["custom_aStr", "custom_mNum", "custom_zStr"]


@pytest.mark.parametrize(
    ("definition", "beginning"),
    [
        ({"displayName": "Tier"}, "Tier: the"),
        ({"displayName": '{stream} %s "مرحبا'}, '{stream} %s "مرحبا: the'),
        ({"displayName": ""}, "The"),
        ({"displayName": "  "}, "The"),
        ({"displayName": 5}, "The"),
        ({}, "The"),
        (None, "The"),
    ],
    ids=repr,
)  # fmt: skip
def test_a_column_is_described_by_its_label(
    client: Client, transport: ScriptedTransport, definition: object, beginning: str
) -> None:
    (column,) = columns(client, transport, metadata({"tierStr": definition})).values()
    assert column["description"] == f"{beginning} custom attribute tierStr of Kustomer."
    assert next(iter(column)) == "description"


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
    # Once more only where that may help.
    assert len(transport.asked("metadata/customer")) == (2 if closed.status == 404 else 1)


NO_METADATA = {
    "server failure": (Reply(500), "server_failure"),
    "limit": (error(429, retry_after="700"), "rate_limit"),
    "rejected": (error(400), "rejected_request"),
    "payment required": (error(402), "rejected_request"),
    "gone": (error(410), "rejected_request"),
    "expired key": (error(401, "Expired token"), "expired_key"),
    "firewall": (Reply(403, b"error code: 1020"), "maintenance_page"),
    "web page": (Reply(200, b"<html>"), "maintenance_page"),
    "null": (Reply(body=None), "not_metadata"),
    "a list": (Reply(body=[]), "not_metadata"),
    "no data": (Reply(body={}), "not_metadata"),
    "other data": (Reply(body={"data": []}), "not_metadata"),
    "no attributes": (Reply(body={"data": {"attributes": None}}), "not_metadata"),
    "no properties": (Reply(body={"data": {"attributes": {"properties": []}}}), "not_metadata"),
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
        (Reply(500), "server_failure"),
        (error(400), "rejected_request"),
        (Reply(body=None), "not_a_list"),
        (Reply(body={"data": None}), "not_a_list"),
        (Reply(body={"data": {}}), "not_a_list"),
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
def test_without_a_probe_the_open_list_vouches_for_the_key(
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


LONG = "x" * 53 + "Str"
COLLIDING = {
    "another case": ("VIPBool", "vipBool"),
    "another sign": ("foo-barStr", "foo_barStr"),
    "another case and sign": ("FOO barStr", "foo.barStr"),
    "cut off": (f"{LONG}A", f"{LONG}B"),
}


@pytest.mark.parametrize(("first", "other"), COLLIDING.values(), ids=COLLIDING)
def test_of_attributes_that_destinations_confuse_one_has_a_column_and_both_are_named(
    client: Client, transport: ScriptedTransport, warnings: list[str], first: str, other: str
) -> None:
    found = columns(client, transport, metadata({other: {}, first: {}, "tierStr": {}}))
    assert forms(found).keys() == {first, "tierStr"}
    named = [w for w in warnings if f"columns custom_{first} and custom_{other} " in w]
    assert len(named) == 1
    assert named[0].startswith("customers: ")


def test_a_name_that_destinations_cut_is_told(
    client: Client, transport: ScriptedTransport, warnings: list[str]
) -> None:
    assert forms(columns(client, transport, metadata({LONG: {}}))).keys() == {LONG}
    assert warnings == []
    assert forms(columns(client, transport, metadata({f"x{LONG}": {}}))).keys() == {f"x{LONG}"}
    (warning,) = warnings
    assert f"the column custom_x{LONG} is longer than 63 characters" in warning
    assert warning.startswith("customers: ")


def test_more_columns_than_a_table_may_have_are_told(
    client: Client, transport: ScriptedTransport, warnings: list[str]
) -> None:
    some: dict[str, object] = {f"a{n}Str": {} for n in range(1_400)}
    assert len(columns(client, transport, metadata(some))) == 1_400
    assert warnings == []
    assert len(columns(client, transport, metadata({**some, "oneMoreStr": {}}))) == 1_401
    (warning,) = warnings
    assert warning.startswith("customers has 1401 custom attributes")


def test_records_know_how_to_fill_every_column(
    client: Client, transport: ScriptedTransport
) -> None:
    fitting: dict[str, Any] = {
        "aStr": "text",
        "aNum": 5,
        "aAt": "2020-01-01T00:00:00Z",
        "aBool": True,
        "a": "text",
    }
    for is_array in (False, True):
        found = columns(
            client, transport, metadata({name: {"multi": is_array} for name in fitting})
        )
        for name, item in fitting.items():
            convert = conversion(found[f"custom_{name}"])
            value = [item] if is_array else item
            assert convert(value) == value, name
            assert convert({}) is None, name
