"""A client, its transport and its clock, for tests without a network."""

import pytest
from fakes import ScriptedTransport, VirtualClock, connected
from hypothesis import settings

from source_kustomer.api.client import Client

# A machine under load is no fault of an example.
settings.register_profile("unhurried", deadline=None, max_examples=60)
settings.load_profile("unhurried")


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture
def transport(clock: VirtualClock) -> ScriptedTransport:
    return ScriptedTransport(clock)


@pytest.fixture
def client(transport: ScriptedTransport) -> Client:
    return connected(transport)
