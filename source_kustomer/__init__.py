"""Airbyte source connector for Kustomer."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from source_kustomer.source import SourceKustomer

__all__ = ["SourceKustomer"]


def __getattr__(name: str) -> Any:
    # Imported when it is asked for: the console script handles signals before the CDK is loaded,
    # which takes a second.
    if name == "SourceKustomer":
        from source_kustomer.source import SourceKustomer  # noqa: PLC0415

        return SourceKustomer
    raise AttributeError(name)
