"""A deadline for a whole response: a socket's timeouts begin anew with every byte that trickles."""

import os
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from typing_extensions import override
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool


class _Deadline:
    """Shuts down the sockets that a thread uses when the time is over, and those after it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sockets: list[socket.socket] = []
        self.is_over = False

    def watch(self, connected: socket.socket) -> None:
        # A duplicate, because TLS takes the connection's socket away from it, and so does a
        # response that ends with its connection.
        duplicate = socket.socket(fileno=os.dup(connected.fileno()))
        with self._lock:
            self._sockets.append(duplicate)
            if self.is_over:
                _shut_down(duplicate)

    def expire(self) -> None:
        with self._lock:
            self.is_over = True
            for each in self._sockets:
                _shut_down(each)

    def close(self) -> None:
        with self._lock:
            for each in self._sockets:
                each.close()
            self._sockets.clear()


def _shut_down(connected: socket.socket) -> None:
    with suppress(OSError):
        connected.shutdown(socket.SHUT_RDWR)


class _Current(threading.local):
    """The deadline of the response that this thread waits for."""

    deadline: _Deadline | None = None


_current = _Current()


@contextmanager
def deadline(seconds: float) -> Iterator[None]:
    """Let this thread's requests through a `DeadlineAdapter` fail with `ReadTimeout` in time."""
    own = _current.deadline = _Deadline()
    timer = threading.Timer(seconds, own.expire)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        _current.deadline = None
        own.close()
        # Also instead of the end that a body without a length then seems to have.
        if own.is_over:
            raise requests.exceptions.ReadTimeout("the whole response took too long") from None


class _Connection(HTTPConnection):
    _connected: socket.socket | None = None

    @property
    def sock(self) -> socket.socket | None:
        return self._connected

    @sock.setter
    def sock(self, connected: socket.socket | None) -> None:
        self._connected = connected
        self._watch()

    @override
    def request(self, *args: Any, **kwargs: Any) -> None:
        self._watch()
        super().request(*args, **kwargs)

    def _watch(self) -> None:
        if _current.deadline and self._connected:
            _current.deadline.watch(self._connected)


class _TlsConnection(_Connection, HTTPSConnection):
    pass


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _TlsPool(HTTPSConnectionPool):
    ConnectionCls = _TlsConnection


_POOLS: Mapping[str, type[HTTPConnectionPool]] = {"http": _Pool, "https": _TlsPool}


class DeadlineAdapter(HTTPAdapter):
    """Makes connections that a deadline can shut down."""

    @override
    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = _POOLS

    @override
    def proxy_manager_for(self, *args: Any, **kwargs: Any) -> Any:
        manager = super().proxy_manager_for(*args, **kwargs)
        manager.pool_classes_by_scheme = _POOLS
        return manager
