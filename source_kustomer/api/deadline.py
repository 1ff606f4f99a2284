"""A deadline for a whole response: a socket's timeout begins anew with every byte that trickles."""

import io
import time
from functools import partial
from http.client import HTTPResponse
from socket import socket
from typing import Any

from requests.adapters import HTTPAdapter
from typing_extensions import Buffer, override
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool


class _Bytes(io.RawIOBase):
    """What a socket receives in time, from when it is asked for the first byte."""

    def __init__(self, received: io.RawIOBase, connected: socket, seconds: float) -> None:
        self._received = received
        self._connected = connected
        self._silence = connected.gettimeout() or seconds
        self._ends_at = time.monotonic() + seconds

    @override
    def readable(self) -> bool:
        return True

    @override
    def readinto(self, buffer: Buffer) -> int | None:
        left = self._ends_at - time.monotonic()
        if left <= 0:
            raise TimeoutError("the whole response took too long")
        self._connected.settimeout(min(left, self._silence))
        return self._received.readinto(buffer)

    @override
    def close(self) -> None:
        self._received.close()
        super().close()


class _Response(HTTPResponse):
    """A response, of a proxy to a request for a tunnel too, with a deadline."""

    def __init__(self, sock: socket, *args: Any, seconds: float, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        self.fp = io.BufferedReader(_Bytes(self.fp.detach(), sock, seconds))


class DeadlineAdapter(HTTPAdapter):
    """Raises a timeout where a response is not whole some seconds after its request was sent."""

    def __init__(self, seconds: float, **options: Any) -> None:
        self._pools = {
            "http": _pool(HTTPConnectionPool, seconds),
            "https": _pool(HTTPSConnectionPool, seconds),
        }
        super().__init__(**options)

    @override
    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = self._pools

    @override
    def proxy_manager_for(self, *args: Any, **kwargs: Any) -> Any:
        manager = super().proxy_manager_for(*args, **kwargs)
        manager.pool_classes_by_scheme = self._pools
        return manager


def _pool(pool: type[HTTPConnectionPool], seconds: float) -> type[HTTPConnectionPool]:
    """Derive a pool whose connections return responses with a deadline."""
    response_class = staticmethod(partial(_Response, seconds=seconds))
    connection = type("Connection", (pool.ConnectionCls,), {"response_class": response_class})
    return type("Pool", (pool,), {"ConnectionCls": connection})
