"""A stream from its first request to its last record, without a network."""

import json
import logging
from collections.abc import Callable, Mapping
from io import BytesIO
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from fakes import (
    BASE,
    PROBE,
    Reply,
    Script,
    ScriptedTransport,
    VirtualClock,
    by_path,
    connected,
    error,
    page,
)
from reading import Read, SourceOf, read

from source_kustomer.stream import KustomerStream
from source_kustomer.streams import STREAMS, Brands, Customers, Tags, Teams, Users

ACCEPTED = Reply(body={"data": {"id": "key"}})


class Api:
    """Lists that are answered by a script, and streams that read them in virtual time."""

    def __init__(self) -> None:
        self.clock = VirtualClock()
        self.transport = ScriptedTransport(self.clock)
        self.client = connected(self.transport)

    def answer(self, replies: Mapping[str, Reply | Script], otherwise: Reply | None = None) -> None:
        self.transport.script = by_path(replies, otherwise)

    def read(
        self, stream: type[KustomerStream] = Tags, state: Mapping[str, Any] | None = None,
        json_schema: dict[str, Any] | None = None,
    ) -> Read:  # fmt: skip
        it = stream(self.client)
        return read(SourceOf(it), it.name, state=state, json_schema=json_schema)

    def queries(self, path: str = "tags") -> list[str]:
        return [urlsplit(url).query for url in self.transport.asked(path)]


@pytest.fixture
def api() -> Api:
    return Api()


def cause_of(it: Read) -> str:
    (name,) = [error.internal_message for error in it.errors]
    return str(name)


def ids(count: int) -> list[str]:
    return [f"r{n}" for n in range(count)]


def listed(size: int, records: int, **meta: Any) -> Callable[[str], Reply]:
    """Answer pages of a list of records r0, r1 and so on."""

    def answer(url: str) -> Reply:
        number = int(parse_qs(urlsplit(url).query)["page"][0])
        some = ids(records)[(number - 1) * size : number * size]
        following = f"?page={number + 1}&pageSize={size}" if number * size < records else None
        return Reply(body=page(*some, following=following, page=number, **meta))

    return answer


def logged(caplog: pytest.LogCaptureFixture, level: str = "WARNING") -> list[str]:
    """Return what the connector itself logged at a level."""
    own = [r for r in caplog.records if r.name.startswith("airbyte.source_kustomer")]
    return [r.getMessage() for r in own if r.levelname == level]


def test_the_six_lists_have_their_pages_roles_and_metadata(api: Api) -> None:
    streams = [stream(api.client) for stream in STREAMS]
    assert {s.name: (s.largest_page, s.role, s.metadata) for s in streams} == {
        "customers": (100, "org.permission.customer.read", "customer"),
        "conversations": (100, "org.permission.conversation.read", "conversation"),
        "users": (500, "org.permission.user.read", "user"),
        "teams": (500, "org.permission.team.read", None),
        "tags": (100, "org.permission.tag.read", None),
        "brands": (100, "org.permission.brand.read", None),
    }
    assert all(s.primary_key == "id" for s in streams)
    assert all({"org", "createdBy", "modifiedBy"} <= {*s.to_one} for s in streams)


# Pages and states


@pytest.mark.parametrize("stream", [Tags, Users])
def test_a_list_is_asked_for_in_its_largest_pages_and_an_empty_one_again_after_a_pause(
    api: Api, stream: type[KustomerStream]
) -> None:
    it = stream(api.client)
    api.answer({it.name: Reply(body=page(total=0))})
    assert api.read(stream).ids == []
    assert api.queries(it.name) == 2 * [f"page=1&pageSize={it.largest_page}"]
    assert api.client.timing.look in api.clock.slept


def test_every_page_is_asked_for_once_in_each_read_and_comes_in_order(api: Api) -> None:
    api.answer({"tags": listed(100, 2350, total=2350)})
    stream = Tags(api.client)
    for _ in range(2):
        api.transport.sent.clear()
        assert read(SourceOf(stream), "tags").ids == ids(2350)
        assert sorted(api.queries()) == sorted(f"page={n}&pageSize=100" for n in range(1, 25))


def test_records_come_with_the_time_and_flat(api: Api) -> None:
    resource = {
        "id": "t1",
        "attributes": {"name": "vip", "unheardOf": 1},
        "relationships": {"org": {"data": {"type": "org", "id": "o1"}}},
    }
    api.answer({"tags": Reply(body=page(total=1) | {"data": [resource]})})
    (record,) = [m.record for m in api.read().messages if m.record]
    assert record.stream == "tags"
    assert 1_700_000_000_000 < record.emitted_at < 10_000_000_000_000
    values = {"name": "vip", "orgId": "o1", "additionalAttributes": {"unheardOf": 1}}
    assert values.items() <= record.data.items()


def test_each_page_ends_with_a_state_that_leads_to_the_page_after_it(api: Api) -> None:
    api.answer({"tags": listed(100, 450, total=450)})
    whole = api.read()
    kinds = [m.type.value for m in whole.messages if m.record or m.state]
    assert kinds == [*(["RECORD"] * 100 + ["STATE"]) * 4, *["RECORD"] * 50, "STATE"]
    # The first page brings an estimate.
    (estimate,) = [m.trace.estimate for m in whole.messages if m.trace and m.trace.estimate]
    assert (estimate.name, estimate.row_estimate) == ("tags", 450)
    assert "next" not in whole.states[-1]
    for number, state in enumerate(whole.states[:-1], 1):
        api.transport.sent.clear()
        rest = api.read(Tags, json.loads(json.dumps(state)))
        assert rest.ids == whole.ids[number * 100 :]
        assert api.queries()[0] == f"page={number + 1}&pageSize=100"


def test_a_completed_state_reads_nothing_and_says_so(
    api: Api, caplog: pytest.LogCaptureFixture
) -> None:
    api.answer({"tags": listed(100, 50, total=50)})
    completed = api.read().states[-1]
    api.transport.sent.clear()
    again = api.read(Tags, completed)
    assert again.ids == api.transport.sent == []
    assert again.statuses[-1] == ("tags", "COMPLETE")
    (warning,) = logged(caplog)
    assert warning.startswith("The state of tags marks the list as complete")


SAVED = {"next": "cursor=b", "size": 100}


@pytest.mark.parametrize(
    ("state", "status", "probe", "words"),
    [
        ({"page": 3}, 200, ACCEPTED, "The state of tags was not written by this version"),
        (SAVED, 400, ACCEPTED, "Kustomer no longer accepts the saved page of the tags list"),
        (SAVED, 404, ACCEPTED, "Kustomer no longer accepts the saved page of the tags list"),
        (SAVED, 404, error(404), "Kustomer no longer accepts the saved page of the tags list"),
    ],
    ids=["foreign", "rejected", "gone", "unknown"],
)
def test_a_state_that_leads_nowhere_is_read_from_the_start_with_a_warning(
    api: Api,
    caplog: pytest.LogCaptureFixture,
    state: dict[str, Any],
    status: int,
    probe: Reply,
    words: str,
) -> None:
    pages = listed(100, 150)
    api.answer({"tags": lambda url: error(status) if "cursor" in url else pages(url), PROBE: probe})
    assert api.read(Tags, state).ids == ids(150)
    (warning,) = logged(caplog)
    assert warning.startswith(words)


# Failures


@pytest.mark.parametrize(
    ("status", "cause"), [(401, "lost_access"), (400, "lost_page"), (504, "gateway_timeout")]
)
def test_a_refusal_in_the_middle_keeps_what_came_and_the_state(
    api: Api, status: int, cause: str
) -> None:
    first = Reply(body=page(*ids(100), following="?cursor=c"))
    api.answer({"tags": lambda url: error(status) if "cursor=c" in url else first, PROBE: ACCEPTED})
    it = api.read()
    assert (cause_of(it), it.ids) == (cause, ids(100))
    assert it.states[-1]["next"] == "cursor=c"
    assert it.statuses[-1] == ("tags", "INCOMPLETE")


@pytest.mark.parametrize(
    ("document", "cause", "words"),
    [
        ({"data": None}, "unexpected_document", "does not match Kustomer's API documentation"),
        (page("a", page=7), "wrong_page", "page 1 was asked for, and page 7 came"),
        (page("a", following="https://evil.example/"), "foreign_link", "of the tags list leads to"),
        (page(*ids(100), total=250), "cut_off", "ended the tags list after 100 of 250 records"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_list_that_cannot_be_trusted_ends_in_its_sentence(
    api: Api, document: object, cause: str, words: str
) -> None:
    api.answer({"tags": Reply(body=document)})
    it = api.read()
    assert cause_of(it) == cause
    assert words in (it.errors[0].message or "")


def test_a_hiccup_of_a_gateway_is_waited_for_and_pages_stay_full(api: Api) -> None:
    pages, began = listed(100, 1_050, total=1_050), api.clock.monotonic()

    def answer(url: str) -> Reply:
        is_over = api.clock.monotonic() > began + 4
        return pages(url) if is_over or "page=1&" in url else Reply(504)

    api.answer({"tags": answer})
    assert api.read().ids == ids(1_050)
    assert {query.partition("&")[2] for query in api.queries()} == {"pageSize=100"}
    assert len(api.queries()) <= 40


def test_a_page_that_times_out_for_good_is_read_in_tenths_unless_all_lists_fail(api: Api) -> None:
    small, full = listed(10, 300, total=300), listed(100, 300, total=300)

    def answer(url: str) -> Reply:
        if "page=2&pageSize=100" in url:
            return Reply(504)
        return full(url) if "pageSize=100" in url else small(url)

    api.answer({"tags": answer, "brands": Reply(504)})
    assert api.read().ids == ids(300)
    assert len([query for query in api.queries() if query.endswith("pageSize=10")]) == 10
    assert cause_of(api.read(Brands)) == "gateway_timeout"
    tried = len(api.transport.sent)
    assert cause_of(api.read(Brands)) == "gateway_timeout"
    assert len(api.transport.sent) == tried + 2


def test_a_second_look_does_not_come_from_pages_that_were_fetched_before(api: Api) -> None:
    """For four seconds from the fifth page on, the API answers as if 437 records were there."""
    behind_until: list[float] = []

    def answer(url: str) -> Reply:
        if "page=5&" in url and not behind_until:
            behind_until.append(api.clock.monotonic() + 4)
        is_behind = bool(behind_until) and api.clock.monotonic() < behind_until[0]
        records = 437 if is_behind else 1_050
        return listed(100, records, total=records)(url)

    api.answer({"tags": answer})
    assert api.read().ids == ids(1_050)
    # Each page that was fetched meanwhile would need a pause of its own.
    assert len(api.clock.slept) == 1


def test_each_list_ends_with_a_line_of_what_it_took_and_a_short_one_with_a_warning(
    api: Api, caplog: pytest.LogCaptureFixture
) -> None:
    api.answer({"tags": Reply(501), "brands": Reply(body=page("b", total=5))})
    with caplog.at_level(logging.INFO, "airbyte"):
        it = read(SourceOf(Tags(api.client), Brands(api.client)), "tags", "brands")
    assert it.ids == ["b"]
    tags, brands = [line for line in logged(caplog, "INFO") if " records on " in line]
    assert tags.startswith("tags: 0 records on 0 pages ")
    assert f"{len(api.transport.asked('tags'))} requests" in tags
    assert brands.startswith("brands: 1 records on 1 page")
    assert [line for line in logged(caplog) if "ended after 1 of 5 records:" in line]


# Schemas

METADATA = Reply(
    body={"data": {"attributes": {"properties": {"tierStr": {}, "sumNum": {}, "vipBool": {}}}}}
)


@pytest.mark.parametrize("stream", [Customers, Users])
def test_a_schema_has_a_column_for_each_custom_attribute_and_is_asked_for_once(
    api: Api, stream: type[KustomerStream]
) -> None:
    it = stream(api.client)
    api.answer({it.name: error(403), PROBE: ACCEPTED}, otherwise=METADATA)
    schema = it.get_json_schema()
    added = [name for name in schema["properties"] if name.startswith("custom_")]
    assert added == ["custom_sumNum", "custom_tierStr", "custom_vipBool"]
    assert it.get_json_schema() is schema
    assert len(api.transport.asked(f"metadata/{it.metadata}")) == 1


def test_where_the_metadata_are_closed_the_largest_page_is_looked_at(api: Api) -> None:
    resource = {"id": "u", "attributes": {"custom": {"shiftStr": "late"}}}
    api.answer({"users": Reply(body={"data": [resource]}), PROBE: ACCEPTED}, otherwise=error(403))
    assert "custom_shiftStr" in Users(api.client).get_json_schema()["properties"]
    assert api.queries("users") == ["page=1&pageSize=500"]


def test_a_list_without_custom_attributes_asks_for_none(api: Api) -> None:
    for stream in (Teams, Tags, Brands):
        columns = stream(api.client).get_json_schema()["properties"]
        assert "name" in columns
        assert not [name for name in columns if name.startswith("custom")]
    assert api.transport.sent == []


@pytest.mark.parametrize("catalog", [{}, {"properties": None}], ids=json.dumps)
def test_custom_attributes_fill_the_columns_that_the_catalog_has(
    api: Api, catalog: dict[str, Any]
) -> None:
    custom = {"tierStr": 5, "sumNum": "1.5", "laterStr": "x"}
    resource = {"id": "c1", "attributes": {"custom": custom, "name": "5"}}
    api.answer({"customers": Reply(body=page(total=1) | {"data": [resource]})})
    plain = {"id": "c1", "type": None, "name": "5", "custom": custom}
    assert api.read(Customers, json_schema=catalog).records == [plain]
    configured = {
        "properties": {
            "custom_tierStr": {"type": ["null", "string"]},
            "custom_sumNum": {"type": ["null", "number"]},
            # What is not custom is typed by the schema of today.
            "name": {"type": ["null", "integer"]},
        }
    }
    (record,) = api.read(Customers, json_schema=configured).records
    assert record == plain | {"custom_tierStr": "5", "custom_sumNum": 1.5}
    assert api.transport.asked("metadata/customer") == []


def test_what_the_framework_asks_of_a_response_is_answered_without_a_request(api: Api) -> None:
    stream = Tags(api.client)
    assert (stream.url_base, stream.path(), stream.name) == (BASE, "tags", "tags")
    first, last = requests.Response(), requests.Response()
    first.raw = BytesIO(json.dumps(page("a", following="?page=2&pageSize=100")).encode())
    last.raw = BytesIO(json.dumps(page("b")).encode())
    assert stream.next_page_token(first) == {"page": "2", "pageSize": "100"}
    assert stream.next_page_token(last) is None
    assert [record["id"] for record in stream.parse_response(first)] == ["a"]
    assert api.transport.sent == []
