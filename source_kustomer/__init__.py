"""Airbyte source connector for Kustomer."""

from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from source_kustomer.source import SourceKustomer

__all__ = ["SourceKustomer", "__version__"]

try:
    __version__ = version("airbyte-source-kustomer")
except PackageNotFoundError:
    __version__ = "unknown"


def __getattr__(name: str) -> Any:
    # Imported when it is asked for: the console script handles signals before the CDK is loaded,
    # which takes a second.
    if name == "SourceKustomer":
        from source_kustomer.source import SourceKustomer  # noqa: PLC0415

        return SourceKustomer
    raise AttributeError(name)
