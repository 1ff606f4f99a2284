"""A stream from its first request to its last record, without a network."""

import json
import logging
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from fakes import BASE, PROBE, Reply, ScriptedTransport, VirtualClock, by_path, error, page
from reading import Read, SourceOf, read

from sandbox import Sandbox
from source_kustomer.api.client import Client
from source_kustomer.api.probe import Probe
from source_kustomer.config import Config
from source_kustomer.stream import KustomerStream
from source_kustomer.streams import STREAMS, Brands, Customers, Tags, Teams, Users

ACCEPTED = Reply(body={"data": {"id": "key"}})


def made(stream: type[KustomerStream], client: Client) -> KustomerStream:
    return stream(client, Probe(client))


def read_stream(
    stream: KustomerStream,
    state: Mapping[str, Any] | None = None,
    json_schema: dict[str, Any] | None = None,
) -> Read:
    return read(SourceOf(stream), stream.name, state=state, json_schema=json_schema)


def read_tags(client: Client, state: Mapping[str, Any] | None = None) -> Read:
    return read_stream(made(Tags, client), state)


def cause_of(it: Read) -> str:
    (name,) = [error.internal_message for error in it.errors]
    return str(name)


def listed(size: int, records: int, **meta: Any) -> Callable[[str], Reply]:
    """Answer pages of a list of records r0, r1 and so on."""

    def answer(url: str) -> Reply:
        number = int(parse_qs(urlsplit(url).query)["page"][0])
        ids = [f"r{n}" for n in range(records)][(number - 1) * size : number * size]
        following = f"?page={number + 1}&pageSize={size}" if number * size < records else None
        document = page(*ids, following=following, page=number, pageSize=size, **meta)
        return Reply(body=document)

    return answer


def queries(transport: ScriptedTransport, path: str = "tags") -> list[str]:
    return [urlsplit(url).query for url in transport.asked(path)]


def told(caplog: pytest.LogCaptureFixture, level: str = "WARNING") -> list[str]:
    """Return what the connector itself logged at a level."""
    own = [r for r in caplog.records if r.name.startswith("airbyte.source_kustomer")]
    return [r.getMessage() for r in own if r.levelname == level]


ROLES = {
    "customers": (100, "org.permission.customer.read", "customer"),
    "conversations": (100, "org.permission.conversation.read", "conversation"),
    "users": (500, "org.permission.user.read", "user"),
    "teams": (500, "org.permission.team.read", None),
    "tags": (100, "org.permission.tag.read", None),
    "brands": (100, "org.permission.brand.read", None),
}


def test_the_six_lists_have_their_pages_roles_and_metadata(client: Client) -> None:
    streams = [made(stream, client) for stream in STREAMS]
    assert {s.name: (s.largest_page, s.role, s.metadata) for s in streams} == ROLES
    assert all(s.primary_key == "id" for s in streams)
    assert all({"org", "createdBy", "modifiedBy"} <= {*s.to_one} for s in streams)


@pytest.mark.parametrize("stream", STREAMS)
def test_the_first_page_is_the_largest_that_the_list_has(
    client: Client, transport: ScriptedTransport, stream: type[KustomerStream]
) -> None:
    it = made(stream, client)
    transport.script = by_path({it.name: Reply(body=page(total=0))})
    assert read_stream(it).ids == []
    # An empty list is asked for once more.
    assert queries(transport, it.name) == 2 * [f"page=1&pageSize={it.largest_page}"]


def test_every_page_is_read_in_order_and_asked_for_once(
    client: Client, transport: ScriptedTransport
) -> None:
    transport.script = by_path({"tags": listed(100, 2350, total=2350)})
    assert read_tags(client).ids == [f"r{n}" for n in range(2350)]
    assert sorted(queries(transport)) == sorted(f"page={n}&pageSize=100" for n in range(1, 25))


def test_records_come_with_the_time_and_flat(client: Client, transport: ScriptedTransport) -> None:
    resource = {
        "id": "t1",
        "type": "tag",
        "attributes": {"name": "vip", "unheardOf": 1},
        "relationships": {"org": {"data": {"type": "org", "id": "o1"}}},
    }
    document = {"data": [resource], "links": {"next": None}, "meta": {"total": 1}}
    transport.script = by_path({"tags": Reply(body=document)})
    (record,) = [m.record for m in read_tags(client).messages if m.record]
    assert record.stream == "tags"
    assert record.emitted_at > 1_700_000_000_000
    assert record.data == {
        "id": "t1",
        "type": "tag",
        "name": "vip",
        "additionalAttributes": {"unheardOf": 1},
        "relationships": resource["relationships"],
        "orgId": "o1",
    }


def test_each_page_ends_with_a_state_that_leads_to_the_page_after_it(
    client: Client, transport: ScriptedTransport
) -> None:
    transport.script = by_path({"tags": listed(100, 450, total=450)})
    whole = read_tags(client)
    assert [state.get("next") for state in whole.states] == [
        *(f"page={n}&pageSize=100" for n in range(2, 6)),
        None,
    ]
    kinds = [m.type.value for m in whole.messages if m.record or m.state]
    assert kinds == [*(["RECORD"] * 100 + ["STATE"]) * 4, *["RECORD"] * 50, "STATE"]
    for number, state in enumerate(whole.states[:-1], 1):
        transport.sent.clear()
        rest = read_tags(client, json.loads(json.dumps(state)))
        assert rest.ids == whole.ids[number * 100 :]
        assert queries(transport)[0] == f"page={number + 1}&pageSize=100"


def test_a_completed_state_reads_nothing_and_says_so(
    client: Client, transport: ScriptedTransport, caplog: pytest.LogCaptureFixture
) -> None:
    transport.script = by_path({"tags": listed(100, 50, total=50)})
    completed = read_tags(client).states[-1]
    transport.sent.clear()
    with caplog.at_level(logging.INFO, "airbyte"):
        again = read_tags(client, completed)
    assert again.ids == transport.sent == []
    assert again.statuses[-1] == ("tags", "COMPLETE")
    (warning,) = told(caplog)
    assert warning.startswith("The state of tags says that the list was read to its end")
    assert "force_full_refresh=True" in warning


@pytest.mark.parametrize(
    "state",
    [
        {"page": 3},
        {"size": 100},
        {"last": "page=1&pageSize=100", "size": 0},
        {"next": "x", "url": "https://evil.example"},
    ],
    ids=json.dumps,
)
def test_a_state_of_another_connector_is_told_and_read_from_the_start(
    client: Client,
    transport: ScriptedTransport,
    caplog: pytest.LogCaptureFixture,
    state: dict[str, Any],
) -> None:
    transport.script = by_path({"tags": listed(100, 150, total=150)})
    assert len(read_tags(client, state).ids) == 150
    (warning,) = told(caplog)
    assert warning.startswith("The state of tags is not one that this connector wrote")


STATE = {"last": "cursor=a", "next": "cursor=b", "size": 100}
GONE = {
    "400": (error(400), ACCEPTED),
    "404 with the key accepted": (error(404), ACCEPTED),
    "404 without a probe": (error(404), error(404)),
}


@pytest.mark.parametrize(("gone", "probe"), GONE.values(), ids=GONE)
def test_a_page_that_is_gone_since_the_last_read_is_told_and_read_from_the_start(
    client: Client,
    transport: ScriptedTransport,
    caplog: pytest.LogCaptureFixture,
    gone: Reply,
    probe: Reply,
) -> None:
    pages = listed(100, 150)
    transport.script = by_path(
        {"tags": lambda url: gone if "cursor" in url else pages(url), PROBE: probe}
    )
    assert len(read_tags(client, STATE).ids) == 150
    (warning,) = told(caplog)
    assert warning.startswith("Kustomer does not know the page of tags any more")


def test_a_refusal_on_the_first_page_after_a_state_is_no_page_that_is_gone(
    client: Client, transport: ScriptedTransport
) -> None:
    transport.script = by_path({"tags": error(403), PROBE: ACCEPTED})
    assert cause_of(read_tags(client, STATE)) == "missing_role"
    assert len(transport.asked("tags")) == 1


@pytest.mark.parametrize("status", [401, 403])
def test_a_refusal_after_the_first_page_is_no_missing_role(
    client: Client, transport: ScriptedTransport, status: int
) -> None:
    def tags(url: str) -> Reply:
        first = page(*map(str, range(100)), following="?cursor=b")
        return error(status) if "cursor" in url else Reply(body=first)

    transport.script = by_path({"tags": tags, PROBE: ACCEPTED})
    it = read_tags(client)
    assert cause_of(it) == "lost_access"
    assert "role" not in (it.errors[0].message or "")
    assert len(it.ids) == 100
    assert len(transport.asked("tags")) > 2


def test_a_refused_page_that_the_total_still_promises_ends_the_read(
    client: Client, transport: ScriptedTransport
) -> None:
    pages = listed(100, 500, total=500)
    transport.script = by_path({"tags": lambda url: error(400) if "page=4&" in url else pages(url)})
    it = read_tags(client)
    assert cause_of(it) == "lost_page"
    assert it.ids == [f"r{n}" for n in range(300)]


@pytest.mark.parametrize("status", [200, 400, 404, 410, 422])
@pytest.mark.parametrize("has_total", [True, False], ids=["total", "no total"])
def test_a_list_that_lost_its_last_page_is_read_to_its_new_end(
    client: Client, transport: ScriptedTransport, *, status: int, has_total: bool
) -> None:
    shrunk = False

    def answer(url: str) -> Reply:
        nonlocal shrunk
        number = int(parse_qs(urlsplit(url).query)["page"][0])
        shrunk = shrunk or number == 3
        left = [f"r{n}" for n in range(201) if not (shrunk and n == 5)]
        if (number - 1) * 100 >= len(left) and status != 200:
            return error(status, "no such page")
        following = f"?page={number + 1}&pageSize=100" if number * 100 < len(left) else None
        some = left[(number - 1) * 100 : number * 100]
        total = {"total": len(left)} if has_total else {}
        return Reply(body=page(*some, following=following, page=number, **total))

    transport.script = by_path({"tags": answer, PROBE: ACCEPTED})
    it = read_tags(client)
    assert it.ids == [f"r{n}" for n in range(201)]
    assert it.statuses[-1] == ("tags", "COMPLETE")


def test_a_page_that_is_gone_in_the_middle_of_a_read_ends_it(
    client: Client, transport: ScriptedTransport
) -> None:
    def tags(url: str) -> Reply:
        if url.endswith("cursor=b"):
            return Reply(body=page(*map(str, range(100)), following="?cursor=c"))
        return error(400)

    transport.script = by_path({"tags": tags})
    it = read_tags(client, STATE)
    assert cause_of(it) == "lost_page"
    assert it.states[-1]["next"] == "cursor=c"
    assert it.statuses[-1] == ("tags", "INCOMPLETE")


@pytest.mark.parametrize(
    ("document", "cause", "words"),
    [
        ({"data": None}, "not_a_list", "answered for tags"),
        (page("a", page=7), "wrong_page", "asked for page 1 of tags and sent page 7"),
        (page("a", following="https://evil.example/"), "foreign_link", "/v1/tags"),
        (page("a", following="?page=1&pageSize=100"), "circling_link", "page of tags leads back"),
        (page("a", following="?page=3&pageSize=100"), "skipped_pages", "from page 1 to page 3"),
        ({"data": [{"id": f"{n}"} for n in range(100)]}, "no_links", "A full page of 100 tags"),
        (page(*map(str, range(100)), total=250), "cut_off", "tags after 100 of 250 records"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_list_that_cannot_be_trusted_ends_in_its_sentence(
    client: Client, transport: ScriptedTransport, document: object, cause: str, words: str
) -> None:
    transport.script = by_path({"tags": Reply(body=document)})
    it = read_tags(client)
    assert cause_of(it) == cause
    assert words in (it.errors[0].message or "")
    assert it.statuses[-1] == ("tags", "INCOMPLETE")


def test_a_page_that_is_too_large_is_asked_for_in_smaller_ones(
    client: Client, transport: ScriptedTransport
) -> None:
    small = listed(10, 150, total=150)
    transport.script = by_path(
        {"tags": lambda url: error(413) if "pageSize=100" in url else small(url)}
    )
    assert read_tags(client).ids == [f"r{n}" for n in range(150)]
    assert {*queries(transport)} == {"page=1&pageSize=100"} | {
        f"page={n}&pageSize=10" for n in range(1, 16)
    }


def test_a_list_that_ends_short_is_told_with_its_numbers(
    client: Client, transport: ScriptedTransport, caplog: pytest.LogCaptureFixture
) -> None:
    transport.script = by_path({"tags": Reply(body=page("a", "b", total=5))})
    assert read_tags(client).ids == ["a", "b"]
    (warning,) = told(caplog)
    assert warning.startswith("The list of tags ended after 2 of 5 records:")


def test_a_list_that_ends_well_ends_with_a_line_and_no_warning(
    client: Client, transport: ScriptedTransport, caplog: pytest.LogCaptureFixture
) -> None:
    transport.script = by_path({"tags": Reply(body=page("a", "b", total=2))})
    with caplog.at_level(logging.INFO, "airbyte"):
        read_tags(client)
    assert told(caplog) == []
    (line,) = told(caplog, "INFO")
    assert line.startswith("tags: 2 records on 1 page in ")


def test_a_list_that_fails_ends_with_a_line_of_what_it_took(
    client: Client, transport: ScriptedTransport, caplog: pytest.LogCaptureFixture
) -> None:
    transport.script = by_path({"tags": Reply(501), "brands": Reply(body=page("b", total=1))})
    streams = [made(stream, client) for stream in (Tags, Brands)]
    with caplog.at_level(logging.INFO, "airbyte"):
        it = read(SourceOf(*streams), "tags", "brands")
    assert it.ids == ["b"]
    tags, brands = [line for line in told(caplog, "INFO") if " records a second" in line]
    requests = len(transport.asked("tags"))
    assert tags.startswith("tags: 0 records on 0 pages in ")
    assert f": {requests} requests, {requests - 1} retries, " in tags
    assert brands.startswith("brands: 1 record on 1 page in ")
    assert ": 1 request, 0 retries, " in brands


def test_nothing_is_fetched_after_the_end(client: Client, transport: ScriptedTransport) -> None:
    transport.script = by_path({"tags": listed(100, 150, total=150)})
    read_tags(client)
    assert queries(transport) == ["page=1&pageSize=100", "page=2&pageSize=100"]


def test_a_second_read_of_a_stream_starts_anew(
    client: Client, transport: ScriptedTransport
) -> None:
    transport.script = by_path({"tags": listed(100, 250, total=250)})
    stream = made(Tags, client)
    ids = [f"r{n}" for n in range(250)]
    assert [read_stream(stream).ids, read_stream(stream, {}).ids] == [ids, ids]


METADATA = Reply(
    body={"data": {"attributes": {"properties": {"tierStr": {}, "sumNum": {}, "vipBool": {}}}}}
)


@pytest.mark.parametrize("stream", [Customers, Users])
def test_a_schema_has_a_column_for_each_custom_attribute_and_is_asked_for_once(
    client: Client, transport: ScriptedTransport, stream: type[KustomerStream]
) -> None:
    it = made(stream, client)
    transport.script = by_path({it.name: error(403), PROBE: ACCEPTED}, otherwise=METADATA)
    schema = it.get_json_schema()
    added = [name for name in schema["properties"] if name.startswith("custom_")]
    assert added == ["custom_sumNum", "custom_tierStr", "custom_vipBool"]
    assert it.get_json_schema() is schema
    assert len(transport.asked(f"metadata/{it.metadata}")) == 1


def test_where_the_metadata_are_closed_the_largest_page_is_looked_at(
    client: Client, transport: ScriptedTransport
) -> None:
    resource = {"id": "u", "attributes": {"custom": {"shiftStr": "late"}}}
    transport.script = by_path(
        {"users": Reply(body={"data": [resource]}), PROBE: ACCEPTED}, otherwise=error(403)
    )
    assert "custom_shiftStr" in made(Users, client).get_json_schema()["properties"]
    assert queries(transport, "users") == ["page=1&pageSize=500"]


@pytest.mark.parametrize("stream", [Teams, Tags, Brands])
def test_a_list_without_custom_attributes_asks_for_none(
    client: Client, transport: ScriptedTransport, stream: type[KustomerStream]
) -> None:
    columns = made(stream, client).get_json_schema()["properties"]
    assert "name" in columns
    assert not [name for name in columns if name.startswith("custom")]
    assert transport.sent == []


def test_custom_attributes_fill_the_columns_that_the_catalog_has(
    client: Client, transport: ScriptedTransport
) -> None:
    custom = {"tierStr": 5, "sumNum": "1.5", "laterStr": "x"}
    resource = {"id": "c1", "attributes": {"custom": custom, "name": "5"}}
    document = {"data": [resource], "links": {}, "meta": {"total": 1}}
    transport.script = by_path({"customers": Reply(body=document)})
    configured = {
        "properties": {
            "custom_tierStr": {"type": ["null", "string"]},
            "custom_sumNum": {"type": ["null", "number"]},
            # What is not custom is typed by the schema of today.
            "name": {"type": ["null", "integer"]},
        }
    }
    (record,) = read_stream(made(Customers, client), json_schema=configured).records
    assert record == {
        "id": "c1",
        "type": None,
        "name": "5",
        "custom": custom,
        "custom_tierStr": "5",
        "custom_sumNum": 1.5,
    }
    assert transport.asked("metadata/customer") == []


@pytest.mark.parametrize("json_schema", [{}, {"properties": None}], ids=json.dumps)
def test_a_catalog_without_columns_is_read_all_the_same(
    client: Client, transport: ScriptedTransport, json_schema: dict[str, Any]
) -> None:
    transport.script = by_path({"customers": Reply(body=page("c1", total=1))})
    assert read_stream(made(Customers, client), json_schema=json_schema).ids == ["c1"]


def test_what_the_framework_asks_of_a_response_is_answered_without_a_request() -> None:
    with Sandbox(tags=250) as sandbox:
        config = Config.parse(
            {"org_name": "acme", "api_key": sandbox.key}, {"KUSTOMER_API_URL": sandbox.url}
        )
        stream = made(Tags, Client(config))
        headers = {"Authorization": f"Bearer {sandbox.key}"}
        url = f"{stream.url_base}{stream.path()}"
        first = requests.get(url, {"page": 1, "pageSize": 100}, headers=headers, timeout=60)
        token = stream.next_page_token(first)
        last = requests.get(url, {"page": 3, "pageSize": 100}, headers=headers, timeout=60)
        asked = len(sandbox.requests)
        records = [*stream.parse_response(first)]
        assert url == f"{sandbox.url}/v1/tags"
        assert token == {"page": "2", "pageSize": "100"}
        assert stream.next_page_token(last) is None
        assert [record["id"] for record in records] == [
            r["id"] for r in sandbox.lists["tags"][:100]
        ]
        assert {record["orgId"] for record in records} != {None}
        assert len(sandbox.requests) == asked == 2


def test_the_base_of_all_addresses_is_the_organizations(client: Client) -> None:
    stream = made(Tags, client)
    assert (stream.url_base, stream.path(), stream.name) == (BASE, "tags", "tags")


def test_the_estimate_and_the_lines_of_a_long_list_come_while_it_is_read(
    client: Client,
    clock: VirtualClock,
    transport: ScriptedTransport,
    caplog: pytest.LogCaptureFixture,
) -> None:
    pages = listed(100, 1_000, total=1_000)

    def slow(url: str) -> Reply:
        return Reply(body=pages(url).body, takes=31)

    transport.script = by_path({"tags": slow})
    with caplog.at_level(logging.INFO, "airbyte"):
        it = read_tags(client)
    (estimate,) = [m.trace.estimate for m in it.messages if m.trace and m.trace.estimate]
    assert (estimate.name, estimate.row_estimate) == ("tags", 1_000)
    lines = told(caplog, "INFO")
    assert lines[0].startswith("tags: about 1,000 records; 9 pages to come ")
    assert len([line for line in lines if " to go at this pace." in line]) >= 1
