"""HTTP on loopback: requests come in, responses go out, whole or as broken as they are meant."""

import socket
import struct
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from sandbox.messages import Reply, Request


class Server(ThreadingHTTPServer):
    """Answers each request on a thread of its own."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, port: int, answer: Callable[[Request], Reply]) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.answer = answer

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of clients that went away."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    server: Server

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Log nothing: `Sandbox.requests` has it all."""

    def do_GET(self) -> None:
        address = urlsplit(self.path)
        headers = {name.lower(): value for name, value in self.headers.items()}
        request = Request(
            time=time.monotonic(),
            method=self.command,
            path=address.path,
            query=address.query,
            params=dict(parse_qsl(address.query)),
            headers=headers,
            key=headers.get("authorization", "").removeprefix("Bearer "),
        )
        self._send(self.server.answer(request))

    def _send(self, reply: Reply) -> None:
        content = reply.content
        if reply.hang:
            time.sleep(reply.hang)
        if reply.reset:
            linger = struct.pack("ii", 1, 0)
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            self.close_connection = True
            self.connection.close()
            return
        self.send_response(reply.status)
        headers = {"Content-Type": "application/json; charset=utf-8", **reply.headers}
        headers["Content-Length"] = str(len(content))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content[: reply.truncate_at])
        self.close_connection = self.close_connection or reply.truncate_at is not None
        self.wfile.flush()
