"""Custom attributes as typed columns: what discover adds to the schemas."""

import logging
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from source_kustomer.api import background
from source_kustomer.api.client import Client
from source_kustomer.columns import Column, columns_of_metadata, columns_of_values, distinct
from source_kustomer.errors import Failure, Fault
from source_kustomer.paging.page import Page

METADATA_ROLE = "org.permission.metadata.read"

logger = logging.getLogger("airbyte.source_kustomer")


def custom_columns(
    client: Client, stream: str, metadata: str, first_page: Callable[[], Page]
) -> dict[str, Column]:
    """Return a column for each custom attribute of a list, by name; raises `Failure`.

    They come from the metadata or, where the key may not read these, from the list's first page.
    """
    # Both at once, because the second is needed where the first is refused.
    sample = background.start(first_page)
    try:
        columns = columns_of_metadata(_definitions(client, stream, metadata))
    except Failure as e:
        # Where the key itself is refused, the sample says so.
        if not e.evidence.is_denial:
            raise
        columns = columns_of_values(_values(sample))
        logger.warning(
            "The custom attributes of %s are those of its first page only: %s", stream, e.message
        )
    return distinct(columns, stream)


def _definitions(client: Client, stream: str, metadata: str) -> dict[str, Any]:
    """Return what the metadata say of each attribute."""

    def definitions(document: Any) -> dict[str, Any]:
        for member in ("data", "attributes", "properties"):
            document = document.get(member) if isinstance(document, dict) else None
        if not isinstance(document, dict):
            raise Fault("unexpected_document")
        return document

    url, what = f"{client.base_url}metadata/{metadata}", f"the metadata of {stream}"
    return client.get(url, definitions, what=what, role=METADATA_ROLE)


def _values(sample: Future[Page]) -> dict[str, list[Any]]:
    """Return the values of each custom attribute on a page of the list."""
    values: dict[str, list[Any]] = {}
    try:
        resources = sample.result().resources
    except Failure as e:
        # A list that this key may not read has no values to look at.
        if e.cause.closes_list:
            return values
        raise
    for resource in resources:
        attributes = resource.get("attributes")
        custom = attributes.get("custom") if isinstance(attributes, dict) else None
        for name, value in custom.items() if isinstance(custom, dict) else ():
            values.setdefault(name, []).append(value)
    return values
