"""The same six streams written the plain way on `HttpStream`: what ours is measured against."""

import os
import sys
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import requests
from airbyte_cdk.entrypoint import launch
from airbyte_cdk.sources import AbstractSource
from airbyte_cdk.sources.streams import Stream
from airbyte_cdk.sources.streams.http import HttpStream
from airbyte_cdk.sources.streams.http.requests_native_auth import TokenAuthenticator
from airbyte_cdk.sources.utils.schema_helpers import ResourceSchemaLoader


class PlainStream(HttpStream):
    """One list: a page is asked for, parsed, handed over, and then the next is asked for."""

    primary_key = "id"
    url_base = os.environ["KUSTOMER_API_URL"] + "/v1/"

    def path(self, *_: Any, **__: Any) -> str:
        return self.name

    def request_params(
        self,
        stream_state: Mapping[str, Any] | None,
        stream_slice: Mapping[str, Any] | None = None,
        next_page_token: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        return dict(next_page_token or {"page": 1, "pageSize": 100})

    def request_kwargs(self, *_: Any, **__: Any) -> Mapping[str, Any]:
        return {"timeout": (10, 30)}

    def parse_response(
        self, response: requests.Response, *_: Any, **__: Any
    ) -> Iterable[Mapping[str, Any]]:
        for resource in response.json()["data"]:
            record = {"id": resource["id"], "type": resource["type"], **resource["attributes"]}
            for name, relationship in resource["relationships"].items():
                if "data" in relationship:
                    record[f"{name}Id"] = relationship["data"]["id"]
            yield record

    def next_page_token(self, response: requests.Response) -> Mapping[str, Any] | None:
        link = response.json()["links"]["next"]
        return dict(parse_qsl(urlsplit(link).query)) if link else None

    @cache  # noqa: B019
    def get_json_schema(self) -> Mapping[str, Any]:
        return ResourceSchemaLoader("source_kustomer").get_schema(self.name)


NAMES = ("Customers", "Conversations", "Users", "Teams", "Tags", "Brands")
STREAMS = [type(name, (PlainStream,), {}) for name in NAMES]


class SourcePlain(AbstractSource):
    """A source without anything that the issues of this project ask for."""

    def check_connection(self, logger: Any, config: Mapping[str, Any]) -> tuple[bool, Any]:
        return True, None

    def streams(self, config: Mapping[str, Any]) -> list[Stream]:
        key = TokenAuthenticator(config["api_key"])
        return [stream(authenticator=key) for stream in STREAMS]

    def spec(self, logger: Any) -> Any:
        from source_kustomer import SourceKustomer

        return SourceKustomer().spec(logger)


if __name__ == "__main__":
    launch(SourcePlain(), sys.argv[1:])
