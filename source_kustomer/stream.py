"""A list of Kustomer's as a resumable full-refresh stream."""

import logging
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache, partial
from typing import Any, ClassVar
from urllib.parse import parse_qsl

import requests
from airbyte_cdk.models import AirbyteMessage, AirbyteRecordMessage, SyncMode, Type
from airbyte_cdk.sources.streams.checkpoint import ResumableFullRefreshCursor
from airbyte_cdk.sources.streams.http import HttpStream
from airbyte_cdk.sources.types import StreamSlice
from airbyte_cdk.sources.utils.schema_helpers import ResourceSchemaLoader
from typing_extensions import override

from source_kustomer.api.client import Client
from source_kustomer.api.decode import decode
from source_kustomer.api.prefetch import LARGEST_AHEAD, Prefetch
from source_kustomer.api.transport import Response
from source_kustomer.errors import WARNINGS, Failure, Fault
from source_kustomer.paging.page import Page, Resource
from source_kustomer.paging.position import Position
from source_kustomer.paging.query import page_query
from source_kustomer.paging.reader import Reader
from source_kustomer.progress import Progress
from source_kustomer.records import CUSTOM_PREFIX, Flattener
from source_kustomer.schema import custom_columns

_COMPLETE: Mapping[str, Any] = {"__ab_full_refresh_sync_complete": True}

logger = logging.getLogger("airbyte.source_kustomer")


@dataclass(frozen=True)
class _Reading:
    """One read of the list, which goes on from page to page."""

    reader: Reader
    prefetch: Prefetch
    progress: Progress
    flatten: Flattener


class KustomerStream(HttpStream):
    """One of Kustomer's lists, of which each call of `read_records` reads a page."""

    primary_key = "id"
    cursor: ResumableFullRefreshCursor
    # The largest that the API documents for the list.
    largest_page: ClassVar[int] = 100
    # The role that reads the list, as it is named where a key is made.
    role: ClassVar[str]
    to_one: ClassVar[tuple[str, ...]] = ("org", "createdBy", "modifiedBy")
    # The resource whose metadata describe the list's custom attributes.
    metadata: ClassVar[str | None] = None

    def __init__(self, client: Client) -> None:
        # With its own cursor, a stream is resumable although it overrides `read_records`.
        self.cursor = ResumableFullRefreshCursor()
        super().__init__()
        self._client = client
        self._what = f"the {self.name} list"
        self._reading: _Reading | None = None
        self._configured: dict[str, Any] | None = None

    @property
    @override
    def url_base(self) -> str:
        return self._client.base_url

    # The hooks of `HttpStream`, by whose rules the CDK would page; `read_records` pages instead.

    @override
    def path(self, **_: Any) -> str:
        return self.name

    @override
    def parse_response(self, response: requests.Response, **_: Any) -> Iterable[Mapping[str, Any]]:
        return map(self._flattener(), self._page(response).resources)

    @override
    def next_page_token(self, response: requests.Response) -> Mapping[str, Any] | None:
        return dict(parse_qsl(self._page(response).next or "")) or None

    @override
    def stream_slices(
        self, *, stream_state: Mapping[str, Any] | None = None, **options: Any
    ) -> Iterable[Mapping[str, Any] | None]:
        if stream_state == _COMPLETE:
            logger.warning(WARNINGS["completed_state"].format(stream=self.name))
        return super().stream_slices(stream_state=stream_state, **options)

    @override
    def read_records(
        self,
        sync_mode: SyncMode,
        cursor_field: list[str] | None = None,
        stream_slice: Mapping[str, Any] | None = None,
        stream_state: Mapping[str, Any] | None = None,
    ) -> Iterable[AirbyteMessage]:
        """Read the page at which the slice stands, and leave the position after it in the cursor.

        Raises `Failure` where the list cannot be read on.
        """
        reading = self._reading_at(getattr(stream_slice, "cursor_slice", None) or {})
        reader = reading.reader
        try:
            resources = self._next_page(reading)
        except Failure:
            self._finish(reading)
            raise
        # Before this page is handed over, so that the next ones come meanwhile.
        reading.prefetch.plan((self._url(query), is_sure) for query, is_sure in reader.ahead())
        yield from reading.progress.of_page(reader, len(resources))
        emitted_at = time.time_ns() // 1_000_000
        for resource in resources:
            record = AirbyteRecordMessage(self.name, reading.flatten(resource), emitted_at)
            yield AirbyteMessage(Type.RECORD, record=record)
        if reader.is_finished:
            self._finish(reading)
        state = _COMPLETE if reader.is_finished else reader.position.state
        self.cursor.close_slice(StreamSlice(cursor_slice=state, partition={}))

    def _next_page(self, reading: _Reading) -> list[Resource]:
        """Ask for the page to read now until it is accepted, and return its new resources."""
        reader, is_outage = reading.reader, self._client.is_outage

        def accept(document: Any) -> list[Resource]:
            try:
                return reader.take(document, self._client.clock.monotonic())
            except Fault as e:
                if e.wait:
                    # What was fetched at the same moment may come from the same stale server.
                    reading.prefetch.forget()
                raise

        while not reader.is_finished:
            url = self._url(reader.query)
            try:
                return self._client.get(
                    url,
                    accept,
                    what=self._what,
                    role=self.role,
                    is_reading=reader.pages > 0,
                    ahead=reading.prefetch.take(url),
                )
            except Failure as e:
                # Where other lists failed too, or no name is found, it is not this page.
                is_of_page = e.evidence.status is not None or e.cause.is_size
                may_recover = is_of_page and not (is_outage and e.cause.is_size)
                if not (may_recover and reader.recover(e.cause)):
                    raise
            finally:
                for name, numbers in reader.warnings:
                    logger.warning(WARNINGS[name].format(stream=self.name, **numbers))
                reader.warnings.clear()
        return []

    @override
    @cache  # noqa: B019
    def get_json_schema(self) -> Mapping[str, Any]:
        """Return the list's schema with its custom attributes, for which Kustomer is asked."""
        schema = self._schema()
        if self.metadata is None:
            return schema
        sample = partial(self.first_page, self.largest_page)
        columns = custom_columns(self._client, self.name, self.metadata, sample)
        return {**schema, "properties": {**schema["properties"], **columns}}

    def first_page(self, size: int) -> Page:
        """Ask for the first so many records of the list; raises `Failure`."""
        return self._client.get(
            self._url(page_query(1, size)),
            lambda document: Page.parse(document, self._url(""), size),
            what=self._what,
            role=self.role,
        )

    @property
    @override
    def configured_json_schema(self) -> dict[str, Any] | None:
        return self._configured

    @configured_json_schema.setter
    def configured_json_schema(self, json_schema: dict[str, Any]) -> None:
        # The CDK would hold it against the schema of today, and so ask for the metadata again.
        self._configured = json_schema

    def _reading_at(self, state: Mapping[str, Any]) -> _Reading:
        """Return the read that stands at a state, or begin one there."""
        if self._reading and self._reading.reader.position.state == state:
            return self._reading
        resumed = None
        if state:
            try:
                resumed = Position.parse(state)
            except ValueError:
                logger.warning(WARNINGS["foreign_state"].format(stream=self.name))

        def fetch(url: str, wanted: Callable[[], bool]) -> Response:
            return self._client.send(url, wanted=wanted, largest_body=LARGEST_AHEAD, is_ahead=True)

        look = self._client.timing.look
        self._reading = _Reading(
            reader=Reader(self._url(""), self.largest_page, look=look, resumed=resumed),
            prefetch=Prefetch(fetch, self._client.timing.response),
            progress=Progress(self.name, self._client),
            flatten=self._flattener(),
        )
        return self._reading

    def _finish(self, reading: _Reading) -> None:
        self._reading = None
        reading.prefetch.close()
        reading.progress.finish(reading.reader)

    def _flattener(self) -> Flattener:
        # What the catalog has of the custom attributes' columns was typed when it was discovered.
        configured = (self._configured or {}).get("properties")
        columns = configured if isinstance(configured, dict) else {}
        custom = {k: v for k, v in columns.items() if k.startswith(CUSTOM_PREFIX)}
        return Flattener({**self._schema()["properties"], **custom}, self.to_one)

    def _schema(self) -> Mapping[str, Any]:
        return ResourceSchemaLoader("source_kustomer").get_schema(self.name)

    def _page(self, response: requests.Response) -> Page:
        return Page.parse(decode(response.content), self._url(""), self.largest_page)

    def _url(self, query: str) -> str:
        url = f"{self.url_base}{self.path()}"
        return f"{url}?{query}" if query else url
