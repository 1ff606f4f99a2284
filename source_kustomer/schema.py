"""Custom attributes as typed columns: what discover adds to the schemas."""

import logging
from collections.abc import Callable
from functools import partial
from typing import Any

from source_kustomer.api import background
from source_kustomer.api.client import Client, Target
from source_kustomer.api.probe import Probe
from source_kustomer.columns import Column, columns_of_metadata, columns_of_values, distinct
from source_kustomer.errors import Failure, Fault, Outcome

Definitions = dict[str, Any]
Values = dict[str, list[Any]]

METADATA_ROLE = "org.permission.metadata.read"

logger = logging.getLogger("airbyte.source_kustomer")


def custom_columns(
    client: Client, probe: Probe, target: Target, metadata: str, sample_url: str
) -> dict[str, Column]:
    """Return a column for each custom attribute of a list, by name; raises `Failure`.

    They come from the metadata or, where the key may not read these, from the list's first page.
    """
    # Both at once, because the second is needed where the first is refused.
    sample = background.start(partial(_sample, client, probe, target, sample_url))
    # Without a probe, the open list vouches for the key.
    explain = partial(probe.explain, vouch=sample.result)
    try:
        columns = columns_of_metadata(_definitions(client, explain, target.name, metadata))
    except Failure as e:
        if not e.cause.closes_list:
            raise
        logger.warning(
            "The custom attributes of %s are those of its first page only: %s",
            target.name,
            e.message,
        )
        columns = columns_of_values(sample.result())
    return distinct(columns, target.name)


def _definitions(
    client: Client, explain: Callable[[Outcome], Outcome], stream: str, metadata: str
) -> Definitions:
    """Return what the metadata say of each attribute."""

    def definitions(document: Any) -> Definitions:
        for member in ("data", "attributes", "properties"):
            document = document.get(member) if isinstance(document, dict) else None
        if not isinstance(document, dict):
            raise Fault("not_metadata")
        return document

    target = Target(f"the metadata of {stream}", METADATA_ROLE, is_list=True)
    url = f"{client.base_url}metadata/{metadata}"
    return client.get(url, definitions, target=target, explain=explain)


def _sample(client: Client, probe: Probe, target: Target, url: str) -> Values:
    """Return the values of each custom attribute on a page of the list."""
    values: Values = {}
    try:
        resources = client.get(url, _resources, target=target, explain=probe.explain)
    except Failure as e:
        # A list that this key may not read has no values to look at.
        if e.cause.closes_list:
            return values
        raise
    for resource in resources:
        attributes = resource.get("attributes") if isinstance(resource, dict) else None
        custom = attributes.get("custom") if isinstance(attributes, dict) else None
        for name, value in custom.items() if isinstance(custom, dict) else ():
            values.setdefault(name, []).append(value)
    return values


def _resources(document: Any) -> list[Any]:
    resources = document.get("data") if isinstance(document, dict) else None
    if not isinstance(resources, list):
        raise Fault("not_a_list")
    return resources
