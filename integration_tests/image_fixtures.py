"""Builds the image before the first test that runs it, or leaves all such tests out in one line.

A test module that runs it says `pytest_plugins = ["integration_tests.image_fixtures"]`.
"""

import pytest

from integration_tests.image import TAG, why_none


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip from this one place: pytest sums up what was skipped at the same line."""
    if item.get_closest_marker("image_tests") and (reason := why_none()):
        pytest.skip(f"tests of the container image are left out: {reason}")


@pytest.fixture(scope="session")
def tag() -> str:
    """The image under test."""
    return TAG
