"""One request and its whole response, over real sockets."""

import gzip
import ssl
import tracemalloc
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from socket import create_server, socket

import pytest
import requests
import trustme
from fakes import BASE, KEY, VirtualClock
from sockets import Server, Talk, hangs, http, read_head, says, then

from source_kustomer import __version__
from source_kustomer.api.transport import HttpTransport, Response
from source_kustomer.config import Config
from source_kustomer.errors import Evidence, Fault, cause_of
from source_kustomer.timing import DEFAULT_TIMING, Timing

MIB = 2**20
CERTIFICATES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE")
HOST = "acme.api.kustomerapp.com"
GOOD = says(http())

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
def tls(tmp_path_factory: pytest.TempPathFactory) -> tuple[ssl.SSLContext, str]:
    """Return what a server with a company's own certificates takes, and the file of these."""
    context, authority = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), trustme.CA()
    authority.issue_cert("127.0.0.1", HOST).configure_cert(context)
    bundle = tmp_path_factory.mktemp("tls") / "certificates.pem"
    authority.cert_pem.write_to_path(bundle)
    return context, str(bundle)


def to(base_url: str, timing: Timing = DEFAULT_TIMING) -> HttpTransport:
    return HttpTransport(Config("acme", KEY, 80, base_url), timing)


def get(server: Server, timing: Timing = DEFAULT_TIMING, **options: int) -> Response:
    return to(server.url, timing).get(f"{server.url}tags?page=1", **options)


def cause_of_failure(base_url: str, timing: Timing = DEFAULT_TIMING) -> str:
    with pytest.raises(Exception, match=r".") as raised:
        to(base_url, timing).get(f"{base_url}tags")
    return cause_of(Evidence(exception=raised.value)).name


def test_a_response_is_whole(serve: Serve) -> None:
    server = serve(
        GOOD, says(http(b"no", "429 Too Many", "Retry-After: 7", "X-Odd: a", "x-odd: b"))
    )
    clock = VirtualClock()
    asks = HttpTransport(Config("acme", KEY, 80, server.url), clock=clock)
    clock.advance(5)
    good = asks.get(f"{server.url}tags")
    assert (good.status, good.content, good.is_error, good.sent_at) == (200, b"{}", False, 1005)
    refused = asks.get(f"{server.url}tags")
    assert (refused.status, refused.content, refused.is_error) == (429, b"no", True)
    assert refused.headers["retry-after"] == "7"
    assert refused.headers["x-odd"] == "a, b"
    assert server.connections == 1


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
    assert f"User-Agent: airbyte-source-kustomer/{__version__}" in lines


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
    with pytest.raises(requests.ConnectionError):
        asks.get(f"{server.url}tags")
    assert len(server.heads) == 3
    assert other.connections == 0


@pytest.mark.parametrize(
    "first",
    [[], [b"HTTP/1.1 200 OK\r\nX"], [b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{"]],
    ids=["nothing", "a part of the headers", "a part of the body"],
)
def test_silence_is_a_timeout(serve: Serve, first: list[bytes]) -> None:
    server = serve(then(says(*first), hangs))
    assert cause_of_failure(server.url, Timing(silence=0.1)) == "timeout"


def test_a_connection_that_is_refused_is_no_timeout() -> None:
    with create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    assert cause_of_failure(f"http://127.0.0.1:{port}/v1/") == "connection"


def test_a_body_may_be_as_large_as_asked_and_no_larger(serve: Serve) -> None:
    server = serve(says(http(b"x" * MIB)))
    assert len(get(server, largest_body=MIB).content) == MIB
    server = serve(says(http(b"x" * (MIB + 1))))
    with pytest.raises(Fault) as raised:
        get(server, largest_body=MIB)
    assert (raised.value.name, raised.value.details) == ("large_body", {"megabytes": 1})
    assert len(get(server).content) == MIB + 1


PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "deflate": zlib.compress,
    "gzip, gzip": lambda body: gzip.compress(gzip.compress(body)),
}


@pytest.mark.parametrize("encoding", PACKERS)
def test_a_packed_body_is_unpacked_and_takes_little_memory_where_that_does_not_end(
    serve: Serve, encoding: str
) -> None:
    bodies = (b'{"a": 1}' * 20_000, bytes(32 * MIB))
    packed = [http(PACKERS[encoding](b), "200 OK", f"Content-Encoding: {encoding}") for b in bodies]
    server = serve(*map(says, packed))
    assert get(server).content == bodies[0]
    tracemalloc.start()
    try:
        with pytest.raises(Fault, match="large_body"):
            get(server, largest_body=MIB)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 8 * MIB


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
    assert cause_of_failure(server.url) == "broken_body"
    server = serve(says(b"HTTP/1.1 503 No\r\nRetry-After: 7\r\n" + cut, then_closes=True))
    response = get(server)
    assert (response.status, response.headers["retry-after"]) == (503, "7")
    assert response.content in {b"", b"begin"}


def test_of_an_error_the_beginning_is_read(serve: Serve) -> None:
    server = serve(says(http(b"x" * MIB, "400 No")), GOOD)
    asks = to(server.url)
    response = asks.get(f"{server.url}tags")
    assert (response.status, response.is_error) == (400, True)
    assert 64 * 1024 <= len(response.content) <= 128 * 1024
    assert asks.get(f"{server.url}tags").content == b"{}"


def test_an_error_whose_body_falls_silent_is_known(serve: Serve) -> None:
    head = b"HTTP/1.1 429 No\r\nRetry-After: 7\r\nContent-Length: 99999\r\n\r\nbegin"
    server = serve(then(says(head), hangs))
    response = get(server, Timing(silence=0.5))
    assert (response.status, response.headers["retry-after"]) == (429, "7")
    assert response.content == b"begin"


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


@pytest.mark.parametrize(
    ("variable", "address"),
    [
        ("HTTPS_PROXY", "socks5://127.0.0.1:1080"),
        ("https_proxy", "ftp://proxy"),
        ("ALL_PROXY", "http://"),
        ("HTTPS_PROXY", "http://[::1"),
        ("HTTPS_PROXY", "proxy:99999"),
    ],
)
def test_a_proxy_that_cannot_be_used_is_told(
    monkeypatch: pytest.MonkeyPatch, variable: str, address: str
) -> None:
    monkeypatch.setenv(variable, address)
    assert cause_of_failure(BASE) == "proxy"


@pytest.mark.parametrize("variable", CERTIFICATES)
def test_a_companys_own_certificates_are_those_of_the_first_variable_that_names_a_file(
    serve: Serve, tls: tuple[ssl.SSLContext, str], monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    context, bundle = tls
    server = serve(GOOD, tls=context)
    assert cause_of_failure(server.url) == "tls"
    monkeypatch.setenv(variable, f"{bundle}.missing")
    assert cause_of_failure(server.url) == "tls"
    assert (server.connections, server.heads) == (1, [])
    monkeypatch.setenv(variable, bundle)
    for other in CERTIFICATES[CERTIFICATES.index(variable) + 1 :]:
        monkeypatch.setenv(other, "/missing.pem")
    assert get(server).content == b"{}"


@pytest.mark.parametrize("status", ["407 Proxy Authentication Required", "502 Bad Gateway"])
def test_a_proxy_that_refuses_is_told_apart_and_never_sees_the_key(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, status: str
) -> None:
    proxy = serve(says(http(b"", status)))
    monkeypatch.setenv("HTTPS_PROXY", f"http://ann:secret@127.0.0.1:{proxy.port}")
    assert cause_of_failure(BASE) == "proxy"
    (head,) = proxy.heads
    assert head.startswith(f"CONNECT {HOST}:443 HTTP")
    assert "\r\nProxy-Authorization: Basic " in head
    assert "\r\nauthorization:" not in head.lower()
    assert KEY not in head


def test_https_goes_through_the_tunnel_of_a_proxy(
    serve: Serve, tls: tuple[ssl.SSLContext, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    context, bundle = tls
    asked: list[str] = []

    def talk(connection: socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        with context.wrap_socket(connection, server_side=True) as tunnel:
            asked.append(read_head(tunnel))
            GOOD(tunnel)

    # An address without a scheme is an http one.
    monkeypatch.setenv("HTTPS_PROXY", f"127.0.0.1:{serve(talk).port}")
    monkeypatch.setenv("SSL_CERT_FILE", bundle)
    assert to(BASE).get(f"{BASE}brands").content == b"{}"
    assert f"Authorization: Bearer {KEY}\r\n" in asked[0]
