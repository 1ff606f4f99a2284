"""A client, its wire and its clock, for tests without a network."""

import pytest
from wire import Clock, Wire, connected

from source_kustomer import client as client_module
from source_kustomer import progress as progress_module
from source_kustomer.client import Client


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    it = Clock()
    for module in (client_module, progress_module):
        monkeypatch.setattr(module, "time", it)
    return it


@pytest.fixture
def wire(clock: Clock) -> Wire:
    return Wire(clock)


@pytest.fixture
def client(wire: Wire) -> Client:
    return connected(wire)
