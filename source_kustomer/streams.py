"""The six lists as full-refresh streams: what differs between them stands here."""

import logging
import time
from collections.abc import Iterable, Mapping
from concurrent.futures import Future
from functools import lru_cache
from typing import Any, ClassVar

import requests
from airbyte_cdk.models import AirbyteMessage, AirbyteRecordMessage, Type
from airbyte_cdk.sources.streams.http import HttpClient, HttpStream
from airbyte_cdk.sources.utils.schema_helpers import ResourceSchemaLoader
from typing_extensions import override

from source_kustomer.client import Answer, Client
from source_kustomer.custom import custom_columns
from source_kustomer.errors import WARNINGS, Failure, failure
from source_kustomer.pagination import InvalidStateError, ListError, Position, Walk, page_query
from source_kustomer.progress import Progress
from source_kustomer.read_ahead import ReadAhead
from source_kustomer.records import CUSTOM_PREFIX, Flattener

# How an API says that it does not know a page any more.
_GONE = frozenset({"rejected_request", "unavailable_list", "unknown_organization"})

logger = logging.getLogger("airbyte.source_kustomer")

# The CDK logs whole bodies, which hold customers' data, where its logger is set to debug.
_without_bodies = logging.getLogger("airbyte.source_kustomer.http")
_without_bodies.setLevel(logging.INFO)


class KustomerStream(HttpStream):
    """One of Kustomer's lists, read page by page."""

    primary_key = "id"
    # The largest that the API documents for the list.
    largest_page: ClassVar[int] = 100
    # The role that reads the list, as it is named where a key is made.
    role: ClassVar[str]
    to_one: ClassVar[tuple[str, ...]] = ("org", "createdBy", "modifiedBy")
    # The resource whose metadata describe the list's custom attributes.
    metadata: ClassVar[str | None] = None

    def __init__(self, client: Client) -> None:
        self._client = client
        super().__init__()
        self._http_client = HttpClient(self.name, _without_bodies, session=_Session(self))
        self._walk: Walk
        self._progress: Progress
        self._flatten: Flattener
        self._resuming: bool
        self._configured: dict[str, Any] | None = None
        self._ahead = ReadAhead(client.send)
        self._start_at(None)

    @property
    @override
    def url_base(self) -> str:
        return self._client.base_url

    @override
    def path(
        self,
        *,
        stream_state: Mapping[str, Any] | None = None,
        stream_slice: Mapping[str, Any] | None = None,
        next_page_token: Mapping[str, Any] | None = None,
    ) -> str:
        if next_page_token != self._walk.position.state:
            self._start_at(next_page_token)
        return f"{self.name}?{self._walk.query}"

    def fetch(self) -> Answer:
        """Get the page that the stream is at; raises `Failure`."""
        url = self._url(self._walk.query)
        try:
            answer = self._get(url, self._ahead.take(url))
        except Failure as e:
            is_gone = e.cause.name in _GONE
            if is_gone and self._resuming:
                self._start_over()
            elif not (is_gone and self._walk.step_back()):
                self._progress.finish(self._walk)
                raise
        else:
            # Without a total, nothing else tells that a list shrank to before this page.
            has_no_total = self._walk.position.total is None
            if not (has_no_total and _is_empty_end(answer.document)):
                return answer
            if self._resuming:
                self._start_over()
            elif not self._walk.step_back():
                return answer
        return self.fetch()

    @override
    def parse_response(
        self,
        response: requests.Response,
        *,
        stream_state: Mapping[str, Any] | None = None,
        stream_slice: Mapping[str, Any] | None = None,
        next_page_token: Mapping[str, Any] | None = None,
    ) -> Iterable[Any]:
        """Yield the page's records, and what is to be told of the list, as messages."""
        walk = self._walk
        assert isinstance(response, Answer)  # noqa: S101
        try:
            resources = walk.take(
                response.document, asked_at=response.asked_at, arrived_at=response.arrived_at
            )
        except ListError as e:
            self._progress.finish(walk)
            raise self._failure(e) from None
        self._resuming = False
        # Before this page is handed over, so that the next ones come meanwhile.
        self._ahead.plan((self._url(query), sure) for query, sure in walk.ahead())
        yield from self._progress.of_page(walk, len(resources))
        emitted_at = time.time_ns() // 1_000_000
        for resource in resources:
            record = AirbyteRecordMessage(self.name, self._flatten(resource), emitted_at)
            yield AirbyteMessage(Type.RECORD, record=record)
        if walk.finished:
            if walk.warning:
                name, details = walk.warning
                logger.warning(WARNINGS[name].format(stream=self.name, **details))
            self._progress.finish(walk)
            self._ahead.close()

    @override
    def next_page_token(self, response: requests.Response) -> Mapping[str, Any] | None:
        return None if self._walk.finished else self._walk.position.state

    @override
    @lru_cache(maxsize=None)  # noqa: B019, UP033
    def get_json_schema(self) -> Mapping[str, Any]:
        """Return the list's schema with its custom attributes, for which Kustomer is asked."""
        schema = self._schema()
        if self.metadata is None:
            return schema
        sample_url = self._url(page_query(1, self.largest_page))
        columns = custom_columns(self._client, self.name, self.role, self.metadata, sample_url)
        return {**schema, "properties": {**schema["properties"], **columns}}

    @property
    @override
    def configured_json_schema(self) -> dict[str, Any] | None:
        return self._configured

    @configured_json_schema.setter
    def configured_json_schema(self, json_schema: dict[str, Any]) -> None:
        # The CDK would hold it against the schema of today, and so ask for the metadata again.
        self._configured = json_schema

    def _schema(self) -> Mapping[str, Any]:
        return ResourceSchemaLoader("source_kustomer").get_schema(self.name)

    def _start_over(self) -> None:
        logger.warning(WARNINGS["expired_cursor"].format(stream=self.name))
        self._start_at(None)

    def _start_at(self, state: Mapping[str, Any] | None) -> None:
        position = Position.first(self.largest_page)
        self._resuming = False
        if state:
            try:
                position = Position.of_state(state)
                self._resuming = True
            except InvalidStateError:
                logger.warning(WARNINGS["foreign_state"].format(stream=self.name))
        self._walk = Walk(self._url(""), position)
        self._ahead.close()
        self._ahead = ReadAhead(self._client.send)
        self._progress = Progress(self.name, self._client)
        # What the catalog has of the custom attributes' columns was typed when it was discovered.
        configured = (self.configured_json_schema or {}).get("properties") or {}
        custom = {k: v for k, v in configured.items() if k.startswith(CUSTOM_PREFIX)}
        self._flatten = Flattener({**self._schema()["properties"], **custom}, self.to_one)

    def _get(self, url: str, ahead: Future[Answer] | None = None) -> Answer:
        return self._client.get(url, stream=self.name, role=self.role, ahead=ahead)

    def _url(self, query: str) -> str:
        url = f"{self.url_base}{self.name}"
        return f"{url}?{query}" if query else url

    def _failure(self, error: ListError) -> Failure:
        return failure(error.fault.value, host=self._client.host, stream=self.name, **error.details)


def _is_empty_end(document: Any) -> bool:
    """Whether an answer is the end of its list and has no records."""
    if not isinstance(document, dict) or document.get("data") != []:
        return False
    links = document.get("links")
    return not (isinstance(links, dict) and links.get("next"))


class _Session(requests.Session):
    """Where the CDK's requests meet our client: retries and waits are over when it answers."""

    def __init__(self, stream: KustomerStream) -> None:
        super().__init__()
        self._stream = stream
        # What the environment says of proxies is the client's business, and costs a millisecond.
        self.trust_env = False

    @override
    def send(self, request: requests.PreparedRequest, **kwargs: Any) -> Answer:
        return self._stream.fetch()


class Customers(KustomerStream):
    """The people who write to the organization."""

    role = "org.permission.customer.read"
    to_one = (*KustomerStream.to_one, "company")
    metadata = "customer"


class Conversations(KustomerStream):
    """What customers and agents write to each other."""

    role = "org.permission.conversation.read"
    to_one = (
        *KustomerStream.to_one,
        "customer",
        "endedBy",
        "pinnedBy",
        "brand",
        "queue",
        "sla",
        "slaVersion",
        "subStatus",
    )
    metadata = "conversation"


class Users(KustomerStream):
    """The organization's agents and machines."""

    role = "org.permission.user.read"
    largest_page = 500
    metadata = "user"


class Teams(KustomerStream):
    """Groups of users."""

    role = "org.permission.team.read"
    largest_page = 500
    to_one = (*KustomerStream.to_one, "deletedBy")


class Tags(KustomerStream):
    """Labels of customers and conversations."""

    role = "org.permission.tag.read"
    to_one = (*KustomerStream.to_one, "deletedBy")


class Brands(KustomerStream):
    """The names under which the organization writes."""

    role = "org.permission.brand.read"


STREAMS: tuple[type[KustomerStream], ...] = (
    Customers,
    Conversations,
    Users,
    Teams,
    Tags,
    Brands,
)
