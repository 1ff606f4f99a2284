"""Every row of the table of causes, through the real entrypoint, over a real socket."""

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
import trustme

from integration_tests.conftest import NewSandbox
from integration_tests.connector import QUICK, Connector, Result
from sandbox import EVERY_ROLE, LISTS, ROLES, Reply, Request, Sandbox
from source_kustomer.errors import CAUSES
from source_kustomer.timing import Timing

HTML = Reply(503, "<!DOCTYPE html><html>We'll be back</html>", {"Content-Type": "text/html"})
PAGE = '{"data": [], "meta": {"page": 1}, "links": {"next": null}}'
PROBE = "/v1/auth/tokens/current"

# For what never comes.
IMPATIENT = replace(QUICK, silence=1.0, response=1.0)


def always(reply: Reply, *paths: str) -> Callable[[Sandbox], None]:
    """Answer every request, or those of these paths, in the same way."""

    def prepare(sandbox: Sandbox) -> None:
        sandbox.before(lambda r: reply if not paths or r.path in paths else None)

    return prepare


def error(status: int, text: str, **headers: str) -> Reply:
    return Reply(status, {"errors": [{"code": "x", "message": text, "meta": {}}]}, headers)


@dataclass(frozen=True)
class Case:
    """How a cause is brought about, and what the user reads of it."""

    cause: str
    words: str
    prepare: Callable[[Sandbox], None] = lambda _: None
    key: dict[str, Any] | None = None
    url: str | None = None
    environment: dict[str, str] = field(default_factory=dict)
    timing: Timing = QUICK


def closed_port() -> int:
    with socket.socket() as it:
        it.bind(("127.0.0.1", 0))
        return int(it.getsockname()[1])


# Each kind of evidence once over a real socket; the rest of the table is tested without one.
CASES = {
    "refused key": Case("refused_key", "does not accept the API key", key={}),
    "expired key that only the probe tells of": Case(
        "expired_key",
        "has expired",
        lambda s: (
            always(error(401, "Unauthorized"), *(f"/v1/{name}" for name in LISTS))(s),
            always(error(401, "Expired token"), PROBE)(s),
        )[0],
    ),
    "key of another region": Case(
        "other_region", "another Kustomer region", key={"other_region": True}
    ),
    "missing role": Case(
        "missing_role",
        "org.permission.tag.read",
        key={"roles": ("none",), "missing_role_status": 401},
    ),
    "IP restriction": Case("ip_restricted", "IP restriction", key={"ip_restricted": True}),
    "unknown organization by DNS": Case(
        "unknown_organization", "knows no organization 'acme'", url="https://acme.kustomer.invalid"
    ),
    "rate limit that does not end": Case(
        "rate_limit", "rate limit", always(error(429, "Too many", **{"Retry-After": "3600"}))
    ),
    "server failure without a body": Case("busy_server", "status 502", always(Reply(502))),
    "maintenance page": Case("no_api", "a web page", always(HTML)),
    "redirect": Case(
        "no_api", "a redirect", always(Reply(302, "", {"Location": "https://evil.example/"}))
    ),
    "truncated chunk": Case("broken_body", "truncated", always(Reply(body=PAGE, chunked_cut=True))),
    "body that is not the gzip it says": Case(
        "broken_body", "invalid", always(Reply(body=PAGE, headers={"Content-Encoding": "gzip"}))
    ),
    "response that trickles": Case(
        "timeout", "in time on any attempt", always(Reply(body=PAGE * 40, drip=0.2)),
        timing=IMPATIENT,
    ),
    "connection reset": Case("connection", "attempt to connect", always(Reply(reset=True))),
    "connection refused": Case(
        "connection", "attempt to connect", url=f"http://127.0.0.1:{closed_port()}"
    ),
    "proxy that refuses": Case(
        "proxy",
        "The proxy",
        url="https://acme.kustomer.invalid",
        environment=dict.fromkeys(
            ("HTTPS_PROXY", "https_proxy"), f"http://127.0.0.1:{closed_port()}"
        )
        | dict.fromkeys(("NO_PROXY", "no_proxy"), ""),
    ),
    "certificates that are not there": Case(
        "local_setting",
        "REQUESTS_CA_BUNDLE names certificates",
        url="https://127.0.0.1:9",
        environment={"REQUESTS_CA_BUNDLE": "/nowhere"},
    ),
    "JSON that is no list": Case(
        "unexpected_document",
        "does not match Kustomer's API documentation",
        always(Reply(body={"data": None}), *(f"/v1/{name}" for name in LISTS)),
    ),
}  # fmt: skip


def run(case: Case, command: str, sandbox: Sandbox, folder: Path) -> tuple[Result, str]:
    case.prepare(sandbox)
    key = sandbox.key
    if case.key is not None:
        key = sandbox.add_key(**case.key) if case.key else "a-key-that-nobody-knows-1234"
    connector = Connector(folder, case.url or sandbox.url, key, timing=case.timing)
    arguments = [command, "--config", connector.config]
    if command == "read":
        arguments += ["--catalog", connector.bare_catalog("tags")]
    return connector.run(*arguments, environment=case.environment), key


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_read_ends_in_the_sentence_of_its_cause(
    case: Case, sandbox: Sandbox, tmp_path: Path
) -> None:
    result, key = run(case, "read", sandbox, tmp_path)
    cause = next(c for c in CAUSES if c.name == case.cause)
    assert result.code == 1
    error = result.errors[0]
    assert error["internal_message"] == case.cause
    assert error["failure_type"] == cause.failure_type.value
    assert case.words in error["message"]
    assert "Traceback" not in "".join(result.logs)
    assert not result.stderr
    assert key not in result.stdout


@pytest.mark.parametrize("name", ["refused key", "missing role", "server failure without a body"])
def test_check_ends_in_the_sentence_of_its_cause(
    name: str, sandbox: Sandbox, tmp_path: Path
) -> None:
    case = CASES[name]
    result, key = run(case, "check", sandbox, tmp_path)
    cause = next(c for c in CAUSES if c.name == case.cause)
    (status,) = result.of_type("CONNECTION_STATUS")
    (error,) = result.errors
    assert status == {"status": "FAILED", "message": error["message"]}
    assert error["failure_type"] == cause.failure_type.value
    assert result.code == (cause.failure_type.value != "config_error")
    assert case.words in error["message"]
    assert not result.stderr
    assert key not in result.stdout


@contextmanager
def tls_server(folder: Path) -> Iterator[str]:
    """Serve TLS with a certificate that nobody trusts."""
    certificate = trustme.CA().issue_cert("127.0.0.1")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                context.wrap_socket(listener.accept()[0], server_side=True)
            except ssl.SSLError:
                continue
            except OSError:
                return

    threading.Thread(target=serve, daemon=True).start()
    yield f"https://127.0.0.1:{listener.getsockname()[1]}"
    listener.close()


@pytest.mark.parametrize("command", ["check", "read"])
def test_a_certificate_that_nobody_trusts_is_told(
    command: str, sandbox: Sandbox, tmp_path: Path
) -> None:
    with tls_server(tmp_path) as url:
        result, _ = run(Case("tls", "TLS", url=url), command, sandbox, tmp_path)
    assert result.errors[0]["internal_message"] == "tls"
    assert "The TLS connection" in result.errors[0]["message"]


def test_check_names_each_closed_stream_and_the_role_to_add(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    for status in (401, 403):
        roles = tuple(r for r in EVERY_ROLE if "team" not in r and "brand" not in r)
        key = sandbox.add_key(roles=roles, missing_role_status=status)
        result = Connector(tmp_path, sandbox.url, key).run(
            "check",
            "--config",
            Connector(tmp_path, sandbox.url, key).config,
        )
        assert result.of_type("CONNECTION_STATUS") == [{"status": "SUCCEEDED"}]
        warnings = [log["message"] for log in result.of_type("LOG") if log["level"] == "WARN"]
        assert len(warnings) == 2
        for warning, name in zip(warnings, ("teams", "brands"), strict=True):
            assert f"may not read the {name} list" in warning
            assert ROLES[name][0] in warning
            assert "make a new key" in warning


def test_check_of_a_key_that_reads_nothing_fails_and_names_all_roles(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    key = sandbox.add_key(roles=())
    (status,) = Connector(tmp_path, sandbox.url, key).check().of_type("CONNECTION_STATUS")
    assert status["status"] == "FAILED"
    for name in LISTS:
        assert ROLES[name][0] in status["message"]


def test_check_works_without_the_probe(sandbox: Sandbox, connector: Connector) -> None:
    sandbox.probe = False
    assert connector.check().of_type("CONNECTION_STATUS") == [{"status": "SUCCEEDED"}]


def test_check_says_which_lists_a_small_share_left_no_time_for(
    new_sandbox: NewSandbox, tmp_path: Path
) -> None:
    sandbox = new_sandbox(limit=300)
    timing = replace(QUICK, command=3.0)
    connector = Connector(tmp_path, sandbox.url, sandbox.key, timing=timing)
    settings = {"org_name": "acme", "api_key": sandbox.key, "rate_limit_share": 1}
    result = connector.run("check", "--config", connector.write("config.json", settings))
    assert result.of_type("CONNECTION_STATUS") == [{"status": "SUCCEEDED"}]
    warnings = [log["message"] for log in result.of_type("LOG") if log["level"] == "WARN"]
    assert warnings
    assert all("rate limit left no capacity" in warning for warning in warnings)
    assert len(warnings) == 1 + len(LISTS) - len(sandbox.requests)


def test_a_key_that_expires_in_the_middle_of_a_read_is_told(
    sandbox: Sandbox, connector: Connector
) -> None:
    @sandbox.before
    def expire(request: Request) -> Reply | None:
        late = len(sandbox.of("customers")) > 4
        return error(401, "Expired token") if late else None

    result = connector.read("customers", "tags")
    assert [e["internal_message"] for e in result.errors[:2]] == ["expired_key", "expired_key"]
    assert len(result.states("customers")) >= 1


def test_a_page_that_fails_for_good_leaves_the_state_before_it_and_the_others_go_on(
    sandbox: Sandbox, connector: Connector
) -> None:
    sandbox.before(lambda r: Reply(500) if r.path == "/v1/customers" and r.page == 4 else None)
    result = connector.read("customers", "users", "tags")
    assert result.code == 1
    assert result.counts == {"customers": 300, "users": 25, "tags": 40}
    assert result.states("customers")[-1]["next"] == "page=4&pageSize=100"
    assert result.errors[0]["failure_type"] == "transient_error"
    assert result.errors[-1]["failure_type"] == "transient_error"


def test_the_key_is_in_no_output_even_where_the_server_echoes_it(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    echo = f"Bearer {sandbox.key} is not welcome"
    sandbox.before(lambda r: error(400, echo, **{"X-Echo": sandbox.key}))
    connector = Connector(tmp_path, sandbox.url, sandbox.key, options=("--debug",))
    for result in (connector.read("tags"), connector.check(), connector.discover()):
        assert sandbox.key not in result.stdout + result.stderr
        assert "not welcome" not in result.stdout


def test_no_customers_data_is_logged(sandbox: Sandbox, tmp_path: Path) -> None:
    connector = Connector(tmp_path, sandbox.url, sandbox.key, options=("--debug",))
    result = connector.read("customers")
    logged = [line for line in result.stdout.splitlines() if '"type":"RECORD"' not in line]
    assert result.counts["customers"] == 950
    assert not [line for line in logged if "mail.example" in line or sandbox.key in line]
