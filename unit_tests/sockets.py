"""A server that says what a test tells it to, byte by byte, over a real socket."""

import ssl
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from socket import create_server, socket

from source_kustomer.api import background

# Far more than a test takes, so that it fails where something waits for ever.
FOR_EVER = 10.0

Talk = Callable[[socket], object]


def http(body: bytes = b"{}", status: str = "200 OK", *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join([*lines, "", ""]).encode() + body


def says(*parts: bytes, then_closes: bool = False) -> Talk:
    def talk(connection: socket) -> None:
        for part in parts:
            connection.sendall(part)
        if then_closes:
            connection.close()

    return talk


def hangs(_: socket) -> None:
    time.sleep(FOR_EVER)


def then(*talks: Talk) -> Talk:
    def talk(connection: socket) -> None:
        for part in talks:
            part(connection)

    return talk


class Server:
    """Answers each request with the next of its talks, and with the last one from then on."""

    def __init__(self, *talks: Talk, tls: ssl.SSLContext | None = None) -> None:
        self.heads: list[str] = []
        self.connections = 0
        self._talks = [*talks]
        self._tls = tls
        self._socket = create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self.port}/v1/"
        background.start(self._accept)

    def close(self) -> None:
        self._socket.close()

    def _accept(self) -> None:
        while True:
            connection, _ = self._socket.accept()
            self.connections += 1
            connection.settimeout(FOR_EVER)
            background.start(partial(self._serve, connection))

    def _serve(self, connection: socket) -> None:
        with suppress(OSError), connection:
            if self._tls:
                connection = self._tls.wrap_socket(connection, server_side=True)
            while head := read_head(connection):
                self.heads.append(head)
                talk = self._talks.pop(0) if len(self._talks) > 1 else self._talks[0]
                talk(connection)


def read_head(connection: socket) -> str:
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        byte = connection.recv(1)
        if not byte:
            return ""
        head += byte
    return head.decode()
