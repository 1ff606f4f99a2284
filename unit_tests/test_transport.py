"""One request and its whole response, over real sockets."""

import gzip
import ssl
import threading
import time
import tracemalloc
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from socket import create_server, socket

import pytest
import trustme
from fakes import BASE, KEY, VirtualClock
from urllib3.exceptions import HTTPError

from source_kustomer.api import background, transport
from source_kustomer.api.transport import HttpTransport, Response
from source_kustomer.config import Config
from source_kustomer.errors import Fault, Outcome, cause_of
from source_kustomer.timing import DEFAULT_TIMING, Timing

MIB = 2**20
CERTIFICATES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE")
HOST = "acme.api.kustomerapp.com"

# Far more than a test takes, so that it fails where something waits for ever.
FOR_EVER = 10.0

# Whether the connection or its first response came too late, a proxy leaves open.
NO_ANSWER = {"timeout", "connect_timeout"}

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


GOOD = says(http())


def repeats(part: bytes, *first: bytes) -> Talk:
    """Say something again and again until nobody listens."""

    def talk(connection: socket) -> None:
        says(*first)(connection)
        while True:
            connection.sendall(part)
            time.sleep(0.02)

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


Serve = Callable[..., Server]


@pytest.fixture
def serve() -> Iterator[Serve]:
    servers: list[Server] = []

    def start(*talks: Talk, tls: ssl.SSLContext | None = None) -> Server:
        servers.append(Server(*talks, tls=tls))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of the machine's own settings."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    for name in CERTIFICATES:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="session")
def tls(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1", HOST).configure_cert(context)
    return context


@pytest.fixture
def bundle(authority: trustme.CA, tmp_path: Path) -> str:
    path = tmp_path / "certificates.pem"
    authority.cert_pem.write_to_path(path)
    return str(path)


def to(base_url: str, timing: Timing = DEFAULT_TIMING) -> HttpTransport:
    return HttpTransport(Config("acme", KEY, 80, base_url), timing)


def get(server: Server, timing: Timing = DEFAULT_TIMING, **options: int) -> Response:
    return to(server.url, timing).get(f"{server.url}tags?page=1", **options)


def cause_of_failure(ask: Callable[[], Response]) -> str:
    with pytest.raises(Exception, match=r".") as raised:
        ask()
    return cause_of(Outcome(exception=raised.value)).name


def test_a_response_is_whole_and_timed(serve: Serve) -> None:
    clock = VirtualClock()

    def talk(connection: socket) -> None:
        clock.advance(5)
        GOOD(connection)

    server = serve(
        talk, says(http(b"no", "429 Too Many", "Retry-After: 7", "X-Odd: a", "x-odd: b"))
    )
    asks = HttpTransport(Config("acme", KEY, 80, server.url), clock=clock)
    good = asks.get(f"{server.url}tags")
    assert (good.status, good.content, good.is_error) == (200, b"{}", False)
    assert (good.sent_at, good.received_at) == (1000, 1005)
    refused = asks.get(f"{server.url}tags")
    assert (refused.status, refused.content, refused.is_error) == (429, b"no", True)
    assert refused.headers["retry-after"] == "7"
    assert refused.headers["x-odd"] == "a, b"


def test_a_request_carries_the_key_and_says_who_asks_for_what(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login ann password secret\n")
    monkeypatch.setenv("NETRC", str(netrc))
    server = serve(GOOD)
    get(server)
    first, *lines = server.heads[0].splitlines()
    assert first == "GET /v1/tags?page=1 HTTP/1.1"
    assert f"Authorization: Bearer {KEY}" in lines
    assert "Accept: application/json" in lines
    assert "Accept-Encoding: gzip, deflate" in lines
    assert [line for line in lines if line.startswith("User-Agent: airbyte-source-kustomer/")]


def test_without_its_metadata_the_connector_still_says_who_asks(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(_: str) -> str:
        raise PackageNotFoundError

    monkeypatch.setattr(transport, "version", missing)
    server = serve(GOOD)
    get(server)
    assert "User-Agent: airbyte-source-kustomer/unknown" in server.heads[0]


def test_a_connection_is_used_again(serve: Serve) -> None:
    server = serve(GOOD)
    asks = to(server.url)
    for _ in range(3):
        asks.get(f"{server.url}tags")
    assert len(server.heads) == 3
    assert server.connections == 1


def test_a_redirect_is_not_followed_and_nothing_is_tried_again(serve: Serve) -> None:
    other = serve(GOOD)
    server = serve(
        says(http(b"", "302 Found", f"Location: {other.url}")),
        says(http(b"", "503 Unavailable", "Retry-After: 0")),
        says(then_closes=True),
    )
    asks = to(server.url)
    assert asks.get(f"{server.url}tags").status == 302
    assert asks.get(f"{server.url}tags").status == 503
    assert cause_of_failure(lambda: asks.get(f"{server.url}tags")) == "connection_lost"
    assert len(server.heads) == 3
    assert other.connections == 0


def never(_: socket) -> None:
    time.sleep(FOR_EVER)


SLOW = {
    "headers": repeats(b"x", b"HTTP/1.1 200 OK\r\nX-Trickle: "),
    "100 Continue": repeats(b"HTTP/1.1 100 Continue\r\n\r\n"),
    "body": repeats(b"x", b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n"),
    "chunks": repeats(b"1\r\nx\r\n", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"),
    "no length": repeats(b"x", b"HTTP/1.1 200 OK\r\n\r\n"),
    "silence": never,
}


@pytest.mark.parametrize("talk", SLOW.values(), ids=SLOW)
def test_a_whole_response_has_a_deadline(serve: Serve, talk: Talk) -> None:
    server = serve(talk)
    timing = Timing(silence=FOR_EVER / 2, response=0.1)
    assert cause_of_failure(lambda: get(server, timing)) == "timeout"


def test_a_deadline_cuts_no_other_response(serve: Serve) -> None:
    asked, may_respond = threading.Event(), threading.Event()

    def late(connection: socket) -> None:
        asked.set()
        may_respond.wait(FOR_EVER)
        GOOD(connection)

    patient, hanging = serve(late), serve(never)
    other = background.start(lambda: get(patient))
    assert asked.wait(FOR_EVER)
    assert cause_of_failure(lambda: get(hanging, Timing(response=0.1))) == "timeout"
    may_respond.set()
    assert other.result(FOR_EVER).content == b"{}"


@pytest.mark.parametrize(
    "first",
    [[], [b"HTTP/1.1 200 OK\r\nX"], [b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{"]],
    ids=["nothing", "a part of the headers", "a part of the body"],
)
def test_silence_is_a_timeout(serve: Serve, first: list[bytes]) -> None:
    def talk(connection: socket) -> None:
        says(*first)(connection)
        never(connection)

    timing = Timing(silence=0.1, response=FOR_EVER / 2)
    with pytest.raises((OSError, HTTPError), match="timed out") as raised:
        get(serve(talk), timing)
    assert cause_of(Outcome(exception=raised.value)).name == "timeout"


def test_a_tls_handshake_has_the_time_of_a_connection(serve: Serve) -> None:
    server = serve(never)
    url = server.url.replace("http", "https", 1)
    asks = to(url, Timing(connect=0.1, silence=FOR_EVER / 2))
    assert cause_of_failure(lambda: asks.get(url)) in NO_ANSWER


def test_a_connection_that_is_refused_is_told_apart(serve: Serve) -> None:
    with create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    url = f"http://127.0.0.1:{port}/v1/"
    assert cause_of_failure(lambda: to(url).get(url)) == "connection_refused"


def test_a_body_may_be_as_large_as_asked_and_no_larger(serve: Serve) -> None:
    server = serve(says(http(b"x" * MIB)))
    assert len(get(server, largest_body=MIB).content) == MIB
    server = serve(says(http(b"x" * (MIB + 1))))
    with pytest.raises(Fault) as raised:
        get(server, largest_body=MIB)
    assert (raised.value.name, raised.value.details) == ("large_body", {"megabytes": 1})
    assert len(get(server).content) == MIB + 1


ZEROS = bytes(32 * MIB)
PACKED = {"gzip": gzip.compress(ZEROS, 1), "deflate": zlib.compress(ZEROS, 1)}
PACKED["gzip, gzip"] = gzip.compress(PACKED["gzip"])


@pytest.mark.parametrize("encoding", PACKED)
def test_a_body_that_unpacks_without_end_takes_little_memory(serve: Serve, encoding: str) -> None:
    server = serve(says(http(PACKED[encoding], "200 OK", f"Content-Encoding: {encoding}")))
    tracemalloc.start()
    try:
        with pytest.raises(Fault, match="large_body"):
            get(server, largest_body=MIB)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 8 * MIB


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
def test_a_packed_body_is_unpacked(serve: Serve, encoding: str) -> None:
    body = b'{"a": 1}' * 20_000
    packed = gzip.compress(body) if encoding == "gzip" else zlib.compress(body)
    server = serve(says(http(packed, "200 OK", f"Content-Encoding: {encoding}")))
    assert get(server).content == body


CUT = {
    "length": b"Content-Length: 100\r\n\r\nbegin",
    "chunk": b"Transfer-Encoding: chunked\r\n\r\n20\r\nbegin",
    "between chunks": b"Transfer-Encoding: chunked\r\n\r\n5\r\nbegin\r\n",
    "no chunk": b"Transfer-Encoding: chunked\r\n\r\n5\r\nbegin\r\nnone\r\n",
    "not gzip": b"Content-Encoding: gzip\r\nContent-Length: 5\r\n\r\nbegin",
}


@pytest.mark.parametrize("cut", CUT.values(), ids=CUT)
def test_a_body_that_is_cut_is_broken_but_an_errors_status_and_headers_are_known(
    serve: Serve, cut: bytes
) -> None:
    server = serve(says(b"HTTP/1.1 200 OK\r\n" + cut, then_closes=True))
    assert cause_of_failure(lambda: get(server)) == "broken_body"
    server = serve(says(b"HTTP/1.1 503 No\r\nRetry-After: 7\r\n" + cut, then_closes=True))
    response = get(server)
    assert (response.status, response.headers["retry-after"]) == (503, "7")
    assert response.content in {b"", b"begin"}


def test_of_an_error_the_beginning_is_read(serve: Serve) -> None:
    server = serve(says(http(b"x" * MIB, "500 Oops")), GOOD)
    asks = to(server.url)
    response = asks.get(f"{server.url}tags")
    assert response.status == 500
    assert 64 * 1024 <= len(response.content) <= 128 * 1024
    assert asks.get(f"{server.url}tags").content == b"{}"


@pytest.mark.parametrize("then", [never, repeats(b"x")], ids=["falls silent", "trickles"])
def test_an_error_whose_body_does_not_end_is_known(serve: Serve, then: Talk) -> None:
    def talk(connection: socket) -> None:
        says(b"HTTP/1.1 429 No\r\nRetry-After: 7\r\nContent-Length: 99999\r\n\r\nbegin")(connection)
        then(connection)

    response = get(serve(talk), Timing(silence=0.1, response=0.2))
    assert (response.status, response.headers["retry-after"]) == (429, "7")
    assert response.content.startswith(b"begin")


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_plain_http_to_this_machine_never_goes_through_a_proxy(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, host: str
) -> None:
    proxy, server = serve(GOOD), serve(GOOD)
    for name in ("HTTP_PROXY", "ALL_PROXY", "http_proxy"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
    url = f"http://{host}:{server.port}/v1/"
    assert to(url).get(f"{url}tags").status == 200
    assert server.heads[0].startswith("GET /v1/tags HTTP")
    assert proxy.connections == 0


@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY"])
@pytest.mark.parametrize(
    "address",
    [
        "socks5://127.0.0.1:1080",
        "socks5h://proxy",
        "ftp://proxy",
        "http://",
        "http://:3128",
        "http://[::1",
        "http://proxy:99999",
        "http://proxy:0",
        "proxy:port",
    ],
)
def test_a_proxy_that_cannot_be_used_is_named_at_once(
    monkeypatch: pytest.MonkeyPatch, variable: str, address: str
) -> None:
    monkeypatch.setenv(variable, address)
    with pytest.raises(Fault) as raised:
        to(BASE).get(f"{BASE}tags")
    assert raised.value.name == "local_setting"
    assert variable.upper() in str(raised.value.details["setting"])
    assert "proxy" in str(raised.value.details["fault"])


@pytest.mark.parametrize("variable", CERTIFICATES)
def test_certificates_that_are_not_there_are_named_at_once(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, variable: str
) -> None:
    monkeypatch.setenv(variable, str(tmp_path / "missing.pem"))
    with pytest.raises(Fault) as raised:
        to(BASE).get(f"{BASE}tags")
    assert raised.value.name == "local_setting"
    assert raised.value.details["setting"] == variable
    assert "certificates" in str(raised.value.details["fault"])


@pytest.mark.parametrize("variable", CERTIFICATES)
def test_a_companys_own_certificates_are_used(
    serve: Serve,
    tls: ssl.SSLContext,
    bundle: str,
    monkeypatch: pytest.MonkeyPatch,
    variable: str,
) -> None:
    server = serve(GOOD, tls=tls)
    assert cause_of_failure(lambda: get(server)) == "tls"
    assert server.heads == []
    monkeypatch.setenv(variable, bundle)
    assert get(server).content == b"{}"


def test_of_several_bundles_the_one_for_requests_applies(
    serve: Serve, tls: ssl.SSLContext, bundle: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", bundle)
    monkeypatch.setenv("CURL_CA_BUNDLE", "/missing.pem")
    monkeypatch.setenv("SSL_CERT_FILE", "/missing.pem")
    assert get(serve(GOOD, tls=tls)).content == b"{}"


@pytest.fixture
def through(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> Callable[[Talk], Server]:
    """Start a proxy that the environment names."""

    def start(talk: Talk) -> Server:
        proxy = serve(talk)
        monkeypatch.setenv("HTTPS_PROXY", f"http://ann:secret@127.0.0.1:{proxy.port}")
        return proxy

    return start


@pytest.mark.parametrize(
    ("status", "cause"),
    [("407 Proxy Authentication Required", "proxy_login"), ("502 Bad Gateway", "proxy")],
)
def test_a_proxy_that_refuses_is_told_apart_and_never_sees_the_key(
    through: Callable[[Talk], Server], status: str, cause: str
) -> None:
    proxy = through(says(http(b"", status)))
    assert cause_of_failure(lambda: to(BASE).get(f"{BASE}tags")) == cause
    (head,) = proxy.heads
    assert head.startswith(f"CONNECT {HOST}:443 HTTP")
    assert "\r\nProxy-Authorization: Basic " in head
    assert "\r\nauthorization:" not in head.lower()
    assert KEY not in head


def test_https_goes_through_the_tunnel_of_a_proxy(
    through: Callable[[Talk], Server],
    tls: ssl.SSLContext,
    bundle: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[str] = []

    def talk(connection: socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        with tls.wrap_socket(connection, server_side=True) as tunnel:
            asked.append(read_head(tunnel))
            (GOOD if "brands" in asked[0] else repeats(b"x", b"HTTP/1.1 200 OK\r\nX: "))(tunnel)

    through(talk)
    monkeypatch.setenv("SSL_CERT_FILE", bundle)
    assert to(BASE).get(f"{BASE}brands").content == b"{}"
    assert f"Authorization: Bearer {KEY}\r\n" in asked[0]
    asked.clear()
    timing = Timing(silence=FOR_EVER / 2, response=0.2)
    assert cause_of_failure(lambda: to(BASE, timing).get(f"{BASE}tags")) == "timeout"


def handshake(connection: socket) -> None:
    says(b"HTTP/1.1 200 OK\r\n\r\n")(connection)
    connection.recv(1)
    # The beginning of a long record.
    repeats(b"\0", b"\x16\x03\x03\x3f\xff")(connection)


TUNNELS = {
    "headers": repeats(b"x", b"HTTP/1.1 200 OK\r\nX-Trickle: "),
    "handshake": handshake,
}


@pytest.mark.parametrize("talk", TUNNELS.values(), ids=TUNNELS)
def test_a_tunnel_that_trickles_has_a_deadline(
    through: Callable[[Talk], Server], talk: Talk
) -> None:
    through(talk)
    timing = Timing(connect=0.1, silence=FOR_EVER / 2, response=0.1)
    assert cause_of_failure(lambda: to(BASE, timing).get(f"{BASE}tags")) in NO_ANSWER
