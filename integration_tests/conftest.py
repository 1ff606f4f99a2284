"""What the integration tests share: a sandbox, and the connector that reads it."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from integration_tests.connector import Connector
from sandbox import Sandbox

NewSandbox = Callable[..., Sandbox]

# Each runs on one worker, from minutes to one minute.
_LONGEST = ("image", "databases", "tour")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the groups that take longest, while others test what is quick."""

    def place(item: pytest.Item) -> int:
        group = next((mark.args[0] for mark in item.iter_markers("xdist_group")), None)
        return _LONGEST.index(group) if group in _LONGEST else len(_LONGEST)

    items.sort(key=place)


@pytest.fixture
def new_sandbox() -> Iterator[NewSandbox]:
    """Start sandboxes that stop with the test."""
    with ExitStack() as stack:
        yield lambda **options: stack.enter_context(Sandbox(**options))


@pytest.fixture
def sandbox(new_sandbox: NewSandbox) -> Sandbox:
    """A small organization."""
    return new_sandbox(customers=950, conversations=250)


@pytest.fixture
def connector(tmp_path: Path, sandbox: Sandbox) -> Connector:
    """The connector with a key for the sandbox that may read all."""
    return Connector(tmp_path, sandbox.url, sandbox.key)
