"""A client, its transport and its clock, for tests without a network."""

import pytest
from fakes import ScriptedTransport, VirtualClock, connected

from source_kustomer.api.client import Client


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture
def transport(clock: VirtualClock) -> ScriptedTransport:
    return ScriptedTransport(clock)


@pytest.fixture
def client(transport: ScriptedTransport) -> Client:
    return connected(transport)
