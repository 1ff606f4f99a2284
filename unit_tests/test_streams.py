"""A stream from its first request to its last record, without a network."""

import json
import logging
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from airbyte_cdk.models import AirbyteMessage, Type
from wire import BASE, Reply, Wire, by_path, page

from source_kustomer.client import PROBE_PATH, Client
from source_kustomer.errors import Failure
from source_kustomer.streams import STREAMS, Brands, Customers, KustomerStream, Tags, Teams, Users


def listed(size: int, records: int, **meta: Any) -> Callable[[str], Reply]:
    """Answer pages of a list of records r0, r1 and so on."""

    def answer(url: str) -> Reply:
        query = parse_qs(urlsplit(url).query)
        number = int(query["page"][0])
        ids = [f"r{n}" for n in range(records)][(number - 1) * size : number * size]
        following = f"?page={number + 1}&pageSize={size}" if number * size < records else None
        document = page(*ids, following=following, page=number, pageSize=size, **meta)
        return Reply(body=document)

    return answer


def read(stream: KustomerStream, state: dict[str, Any] | None = None) -> list[Any]:
    """Read from a state to the end, as the CDK does a page at a time."""
    messages: list[Any] = []
    token: Any = state
    while True:
        _, response = stream._fetch_next_page(next_page_token=token)
        messages += stream.parse_response(response)
        token = stream.next_page_token(response)
        if token is None:
            return messages


def ids(messages: list[Any]) -> list[str]:
    return [m.record.data["id"] for m in messages if m.type is Type.RECORD]


def queries(wire: Wire, path: str = "tags") -> list[str]:
    return [urlsplit(sent.url).query for sent in wire.asked(path)]


ROLES = {
    "customers": (100, "org.permission.customer.read", "customer"),
    "conversations": (100, "org.permission.conversation.read", "conversation"),
    "users": (500, "org.permission.user.read", "user"),
    "teams": (500, "org.permission.team.read", None),
    "tags": (100, "org.permission.tag.read", None),
    "brands": (100, "org.permission.brand.read", None),
}


def test_the_six_lists_have_their_pages_roles_and_metadata(client: Client) -> None:
    streams = [stream(client) for stream in STREAMS]
    assert {s.name: (s.largest_page, s.role, s.metadata) for s in streams} == ROLES
    assert all(s.primary_key == "id" for s in streams)
    assert all({"org", "createdBy", "modifiedBy"} <= {*s.to_one} for s in streams)


@pytest.mark.parametrize("stream", STREAMS)
def test_the_first_page_is_the_largest_that_the_list_has(
    client: Client, wire: Wire, stream: type[KustomerStream]
) -> None:
    it = stream(client)
    wire.script = by_path({it.name: Reply(body=page())})
    assert read(it) == []
    assert queries(wire, it.name) == [f"page=1&pageSize={it.largest_page}"]


def test_every_page_is_read_in_order_and_asked_for_once(client: Client, wire: Wire) -> None:
    wire.script = by_path({"tags": listed(100, 2350, total=2350)})
    assert ids(read(Tags(client))) == [f"r{n}" for n in range(2350)]
    assert sorted(queries(wire)) == sorted(f"page={n}&pageSize=100" for n in range(1, 25))


def test_records_come_as_messages_with_the_time_and_the_flat_record(
    client: Client, wire: Wire
) -> None:
    resource = {
        "id": "t1",
        "type": "tag",
        "attributes": {"name": "vip", "unheardOf": 1},
        "relationships": {"org": {"data": {"type": "org", "id": "o1"}}},
    }
    wire.script = by_path({"tags": Reply(body={"data": [resource], "links": {"next": None}})})
    (message,) = read(Tags(client))
    assert isinstance(message, AirbyteMessage)
    assert message.record is not None
    assert message.record.stream == "tags"
    assert message.record.emitted_at > 1_700_000_000_000
    data = message.record.data
    assert (data["id"], data["name"], data["orgId"]) == ("t1", "vip", "o1")
    assert data["additionalAttributes"] == {"unheardOf": 1}


def test_a_read_goes_on_from_its_state(client: Client, wire: Wire) -> None:
    wire.script = by_path({"tags": listed(100, 500)})
    state = {"last": "page=3&pageSize=100", "next": "page=4&pageSize=100", "size": 100}
    assert ids(read(Tags(client), state)) == [f"r{n}" for n in range(300, 500)]
    assert queries(wire)[0] == "page=4&pageSize=100"


def test_a_state_after_each_page_leads_to_the_page_after_it(client: Client, wire: Wire) -> None:
    wire.script = by_path({"tags": listed(100, 500)})
    stream, token, got = Tags(client), None, list[str]()
    while True:
        _, response = stream._fetch_next_page(next_page_token=token)
        got += ids([*stream.parse_response(response)])
        token = stream.next_page_token(response)
        if token is None:
            break
        token = json.loads(json.dumps(token))
        stream = Tags(client)
    assert got == [f"r{n}" for n in range(500)]


@pytest.mark.parametrize(
    "state",
    [{"page": 3}, {"last": None, "size": 100}, {"next": "x", "url": "https://evil.example"}],
)
def test_a_state_of_another_connector_is_told_and_read_from_the_start(
    client: Client, wire: Wire, caplog: pytest.LogCaptureFixture, state: dict[str, Any]
) -> None:
    wire.script = by_path({"tags": listed(100, 150)})
    with caplog.at_level(logging.WARNING, "airbyte"):
        assert len(ids(read(Tags(client), state))) == 150
    assert "The state of tags is not one that this connector wrote" in caplog.text


GONE = {
    "400": (Reply(400, {"errors": []}), None),
    "404 with the key accepted": (Reply(404, {"errors": []}), Reply(body={})),
    "404 without a probe": (Reply(404, {"errors": []}), Reply(404, {"errors": []})),
}
STATE = {"last": "cursor=a", "next": "cursor=b", "size": 100}


@pytest.mark.parametrize(("gone", "probe"), GONE.values(), ids=GONE)
def test_a_page_that_is_gone_since_the_last_read_is_told_and_read_from_the_start(
    client: Client,
    wire: Wire,
    caplog: pytest.LogCaptureFixture,
    gone: Reply,
    probe: Reply | None,
) -> None:
    pages = listed(100, 150)
    tags: Callable[[str], Reply] = lambda url: gone if "cursor" in url else pages(url)  # noqa: E731
    wire.script = by_path({"tags": tags}, otherwise=probe)
    with caplog.at_level(logging.WARNING, "airbyte"):
        assert len(ids(read(Tags(client), STATE))) == 150
    assert "Kustomer does not know the page of tags any more" in caplog.text


def test_a_refusal_on_the_first_page_after_a_state_is_no_page_that_is_gone(
    client: Client, wire: Wire
) -> None:
    refused = Reply(403, {"errors": []})
    wire.script = by_path({"tags": refused, PROBE_PATH: Reply(body={})})
    with pytest.raises(Failure) as raised:
        read(Tags(client), STATE)
    assert raised.value.cause.name == "missing_role"
    assert len(wire.asked("tags")) == 1


@pytest.mark.parametrize("status", [200, 400, 404, 410, 422])
@pytest.mark.parametrize("tells_total", [True, False])
def test_a_list_that_lost_its_last_page_is_read_to_its_new_end(
    client: Client, wire: Wire, *, status: int, tells_total: bool
) -> None:
    shrunk = False

    def answer(url: str) -> Reply:
        nonlocal shrunk
        number = int(parse_qs(urlsplit(url).query)["page"][0])
        shrunk = shrunk or number == 3
        left = [f"r{n}" for n in range(201) if not (shrunk and n == 5)]
        if (number - 1) * 100 >= len(left) and status != 200:
            return Reply(status, {"errors": [{"message": "no such page"}]})
        following = f"?page={number + 1}&pageSize=100" if number * 100 < len(left) else None
        some = left[(number - 1) * 100 : number * 100]
        total = {"total": len(left)} if tells_total else {}
        return Reply(body=page(*some, following=following, page=number, **total))

    accepted = Reply(body={"data": {"id": "key"}})
    wire.script = by_path({"tags": answer, PROBE_PATH: accepted})
    assert ids(read(Tags(client))) == [f"r{n}" for n in range(201)]


def test_a_page_that_is_gone_in_the_middle_of_a_read_ends_it(client: Client, wire: Wire) -> None:
    def tags(url: str) -> Reply:
        if url.endswith("cursor=b"):
            return Reply(body=page("b", following="?cursor=c"))
        return Reply(400, {"errors": []})

    wire.script = by_path({"tags": tags})
    with pytest.raises(Failure) as raised:
        read(Tags(client), STATE)
    assert raised.value.cause.name == "rejected_request"


@pytest.mark.parametrize(
    ("document", "cause", "words"),
    [
        ({"data": None}, "not_a_list", "answered for tags"),
        (page("a", page=7), "wrong_page", "asked for page 1 of tags and sent page 7"),
        (page("a", following="https://evil.example/"), "foreign_link", "/v1/tags"),
        (page("a", following="?page=1&pageSize=100"), "circling_link", "page of tags leads back"),
        ({"data": [{"id": f"{n}"} for n in range(100)]}, "no_links", "A full page of 100 tags"),
        (page(*map(str, range(100)), total=250), "cut_off", "tags after 100 of 250 records"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_list_that_cannot_be_trusted_ends_in_its_sentence(
    client: Client, wire: Wire, document: object, cause: str, words: str
) -> None:
    wire.script = by_path({"tags": Reply(body=document)})
    with pytest.raises(Failure) as raised:
        read(Tags(client))
    assert raised.value.cause.name == cause
    assert words in (raised.value.message or "")


def test_a_list_that_ends_short_is_told_with_its_numbers(
    client: Client, wire: Wire, caplog: pytest.LogCaptureFixture
) -> None:
    wire.script = by_path({"tags": Reply(body=page("a", "b", total=5))})
    with caplog.at_level(logging.WARNING, "airbyte"):
        read(Tags(client))
    (warning,) = caplog.records
    assert warning.getMessage().startswith("The list of tags ended after 2 of 5 records:")


def test_a_list_that_ends_well_ends_with_a_line_and_no_warning(
    client: Client, wire: Wire, caplog: pytest.LogCaptureFixture
) -> None:
    wire.script = by_path({"tags": Reply(body=page("a", "b", total=2))})
    with caplog.at_level(logging.INFO, "airbyte"):
        read(Tags(client))
    (line,) = caplog.records
    assert line.getMessage().startswith("tags: 2 records on 1 page in ")


def test_nothing_is_fetched_ahead_after_the_end(client: Client, wire: Wire) -> None:
    wire.script = by_path({"tags": listed(100, 150, total=150)})
    stream = Tags(client)
    read(stream)
    assert stream._ahead._closed
    assert queries(wire) == ["page=1&pageSize=100", "page=2&pageSize=100"]


def test_a_second_read_of_a_stream_starts_anew(client: Client, wire: Wire) -> None:
    wire.script = by_path({"tags": listed(100, 250)})
    stream = Tags(client)
    assert ids(read(stream)) == ids(read(stream)) == [f"r{n}" for n in range(250)]


METADATA = Reply(
    body={"data": {"attributes": {"properties": {"tierStr": {}, "sumNum": {}, "vipBool": {}}}}}
)


@pytest.mark.parametrize("stream", [Customers, Users])
def test_a_schema_has_a_column_for_each_custom_attribute_and_is_asked_for_once(
    client: Client, wire: Wire, stream: type[KustomerStream]
) -> None:
    it = stream(client)
    wire.script = by_path({it.name: Reply(body=page())}, otherwise=METADATA)
    schema = it.get_json_schema()
    assert it.get_json_schema() is schema
    added = schema["properties"].keys() - it._schema()["properties"].keys()
    assert added == {"custom_tierStr", "custom_sumNum", "custom_vipBool"}
    assert [s.url for s in wire.sent] == [
        f"{BASE}metadata/{it.metadata}",
        f"{BASE}{it.name}?page=1&pageSize={it.largest_page}",
    ]


@pytest.mark.parametrize("stream", [Teams, Tags, Brands])
def test_a_list_without_custom_attributes_asks_for_none(
    client: Client, wire: Wire, stream: type[KustomerStream]
) -> None:
    it = stream(client)
    assert it.get_json_schema() == it._schema()
    assert wire.sent == []


def test_custom_attributes_fill_the_columns_that_the_catalog_has(
    client: Client, wire: Wire
) -> None:
    custom = {"tierStr": 5, "sumNum": "1.5", "laterStr": "x"}
    resource = {"id": "c1", "attributes": {"custom": custom}}
    wire.script = by_path({"customers": Reply(body={"data": [resource], "links": {}})})
    stream = Customers(client)
    stream.configured_json_schema = {
        "properties": {
            "custom_tierStr": {"type": ["null", "string"]},
            "custom_sumNum": {"type": ["null", "number"]},
            "name": {"type": ["null", "integer"]},
        }
    }
    assert stream.configured_json_schema is not None
    (message,) = read(stream)
    data = message.record.data
    assert data["custom_tierStr"] == "5"
    assert data["custom_sumNum"] == 1.5
    assert "custom_laterStr" not in data
    assert data["custom"] == custom
    assert wire.asked("metadata/customer") == []


def test_a_catalog_does_not_change_the_columns_that_are_not_custom(
    client: Client, wire: Wire
) -> None:
    wire.script = by_path(
        {"tags": Reply(body={"data": [{"id": "t", "attributes": {"name": "5"}}], "links": {}})}
    )
    stream = Tags(client)
    stream.configured_json_schema = {"properties": {"name": {"type": "integer"}}}
    (message,) = read(stream)
    assert message.record.data["name"] == "5"


def test_the_framework_logs_no_bodies(client: Client, wire: Wire) -> None:
    assert logging.getLogger("airbyte.source_kustomer.http").level == logging.INFO
    assert Tags(client)._http_client._logger.name == "airbyte.source_kustomer.http"


def test_the_frameworks_requests_do_not_leave_by_themselves(client: Client, wire: Wire) -> None:
    wire.script = by_path({"tags": Reply(body=page("a"))})
    stream = Tags(client)
    stream.path()
    answer = stream._http_client._session.send(requests.Request("GET", "https://a.test").prepare())
    assert answer.json() == page("a")
    assert [s.url for s in wire.sent] == [f"{BASE}tags?page=1&pageSize=100"]
