"""Custom attributes as typed columns: what discover adds to the schemas."""

import logging
from functools import partial
from typing import Any

from source_kustomer.api import background
from source_kustomer.api.client import Client, Target
from source_kustomer.api.probe import Probe
from source_kustomer.columns import Column, columns_of_metadata, columns_of_values, distinct
from source_kustomer.errors import Failure, Fault
from source_kustomer.paging.page import Page

Definitions = dict[str, Any]
Values = dict[str, list[Any]]

METADATA_ROLE = "org.permission.metadata.read"

# How an API closes what a key may not read.
_CLOSED = frozenset({401, 403, 404})

logger = logging.getLogger("airbyte.source_kustomer")


def custom_columns(
    client: Client, probe: Probe, target: Target, url: str, stream: str, metadata: str
) -> dict[str, Column]:
    """Return a column for each custom attribute of a list, by name; raises `Failure`.

    They come from the metadata or, where the key may not read these, from the list's first page,
    which is at `url`.
    """
    # Both at once, because the second is needed where the first is refused.
    sample = background.start(partial(_sample, client, probe, target, url))
    try:
        columns = columns_of_metadata(_definitions(client, probe, stream, metadata))
    except Failure as e:
        # Where the key itself is refused, the sample says so.
        if e.evidence.status not in _CLOSED:
            raise
        columns = columns_of_values(sample.result())
        logger.warning(
            "The custom attributes of %s are those of its first page only: %s", stream, e.message
        )
    return distinct(columns, stream)


def _definitions(client: Client, probe: Probe, stream: str, metadata: str) -> Definitions:
    """Return what the metadata say of each attribute."""

    def definitions(document: Any) -> Definitions:
        for member in ("data", "attributes", "properties"):
            document = document.get(member) if isinstance(document, dict) else None
        if not isinstance(document, dict):
            raise Fault("unexpected_document")
        return document

    target = Target(f"the metadata of {stream}", METADATA_ROLE, is_list=True)
    url = f"{client.base_url}metadata/{metadata}"
    return client.get(url, definitions, target=target, explain=probe.explain)


def _sample(client: Client, probe: Probe, target: Target, url: str) -> Values:
    """Return the values of each custom attribute on a page of the list."""
    values: Values = {}
    try:
        page = client.get(
            url,
            lambda document: Page.parse(document, url, size=1),
            target=target,
            explain=probe.explain,
        )
    except Failure as e:
        # A list that this key may not read has no values to look at.
        if e.cause.closes_list:
            return values
        raise
    for resource in page.resources:
        attributes = resource.get("attributes")
        custom = attributes.get("custom") if isinstance(attributes, dict) else None
        for name, value in custom.items() if isinstance(custom, dict) else ():
            values.setdefault(name, []).append(value)
    return values
