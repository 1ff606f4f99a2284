"""What goes wrong is told in the sentence of its cause, read back from the real process.

Each kind of evidence is played once; all other rows of the table are tested without a process.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from integration_tests.conftest import NewSandbox
from integration_tests.connector import Connector
from sandbox import LISTS, ROLES, Reply, Sandbox
from source_kustomer.errors import CAUSES

MAINTENANCE = Reply(503, "<!DOCTYPE html><html>We'll be back</html>")
PROBE = "/v1/auth/tokens/current"


def error(status: int, text: str, **headers: str) -> Reply:
    return Reply(status, {"errors": [{"code": "x", "message": text, "meta": {}}]}, headers)


@dataclass(frozen=True)
class Case:
    """How a cause is brought about, and what the user reads of it after a command."""

    command: str
    cause: str
    words: str
    # What every request is answered with, and the one that asks for the key.
    reply: Reply | None = None
    probe: Reply | None = None
    roles: tuple[str, ...] | None = None
    url: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)


CASES = {
    "refused key": Case(
        "check", "refused_key", "does not accept the API key", error(401, "Unauthorized")
    ),
    "expired key that only the probe tells of": Case(
        "discover",
        "expired_key",
        "API key has expired",
        error(401, "Unauthorized"),
        error(401, "Expired token"),
    ),
    "missing role": Case("read", "missing_role", "org.permission.tag.read", roles=()),
    "no role at all": Case("check", "missing_role", "org.permission.brand.read", roles=()),
    "unknown organization by DNS": Case(
        "read",
        "unknown_organization",
        "knows no organization 'acme'",
        url="https://acme.kustomer.invalid",
    ),
    "rate limit that does not end": Case(
        "read", "rate_limit", "rate limit", error(429, "Too many", **{"Retry-After": "3600"})
    ),
    "maintenance page": Case("check", "no_api", "a web page", MAINTENANCE),
    "certificates that are not there": Case(
        "read",
        "tls",
        "REQUESTS_CA_BUNDLE, CURL_CA_BUNDLE or SSL_CERT_FILE must name their file",
        url="https://127.0.0.1:9",
        environment={"REQUESTS_CA_BUNDLE": "/nowhere"},
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_a_command_ends_in_the_sentence_of_its_cause(
    case: Case, sandbox: Sandbox, tmp_path: Path
) -> None:
    sandbox.before(lambda r: case.probe if case.probe and r.path == PROBE else case.reply)
    key = sandbox.key if case.roles is None else sandbox.add_key(roles=case.roles)
    connector = Connector(tmp_path, case.url or sandbox.url, key)
    arguments = [case.command, "--config", connector.config]
    if case.command == "read":
        arguments += ["--catalog", connector.bare_catalog("tags")]
    result = connector.run(*arguments, environment=case.environment)
    error = result.errors[0]
    (failure_type,) = [c.failure_type.value for c in CAUSES if c.name == case.cause]
    assert (error["internal_message"], error["failure_type"]) == (case.cause, failure_type)
    assert case.words in error["message"]
    if case.command == "check":
        status = {"status": "FAILED", "message": error["message"]}
        assert result.of_type("CONNECTION_STATUS") == [status]
        assert result.code == (failure_type != "config_error")
    else:
        assert result.code == 1
    assert {m["type"] for m in result.messages} <= {"LOG", "TRACE", "CONNECTION_STATUS"}
    assert "Traceback" not in "".join(result.logs)
    assert not result.stderr
    assert key not in result.stdout


def test_a_list_that_fails_ends_in_its_sentence_after_its_last_state_and_others_go_on(
    new_sandbox: NewSandbox, sandbox: Sandbox, connector: Connector
) -> None:
    other = new_sandbox(customers=10)
    failures = {
        "customers": (Reply(502), "busy_server", "status 502"),
        "conversations": (Reply(302, "", {"Location": other.url}), "no_api", "a redirect"),
        "users": (Reply(body='{"data": [', truncate_at=5), "broken_body", "truncated"),
        "teams": (Reply(reset=True), "connection", "attempt to connect"),
        "tags": (Reply(body={"data": None}), "unexpected_document", "does not match Kustomer's"),
    }
    replies = {f"/v1/{name}": reply for name, (reply, _, _) in failures.items()}
    sandbox.before(
        lambda r: None if r.path in "/v1/customers" and r.page < 4 else replies.get(r.path)
    )
    result = connector.read(*LISTS)
    assert result.code == 1
    assert result.counts == {"customers": 300, "brands": 3}
    assert result.states("customers")[-1]["next"] == "page=4&pageSize=100"
    assert result.failures.keys() == failures.keys()
    for name, (_, cause, words) in failures.items():
        assert result.failures[name]["internal_message"] == cause
        assert words in result.failures[name]["message"]
    assert result.errors[-1]["failure_type"] == "transient_error"
    assert not other.requests


def test_check_names_each_closed_list_and_the_role_to_add(
    new_sandbox: NewSandbox, tmp_path: Path
) -> None:
    sandbox = new_sandbox(closed=("teams", "brands"))
    result = Connector(tmp_path, sandbox.url, sandbox.key).check()
    assert result.code == 0
    assert result.of_type("CONNECTION_STATUS") == [{"status": "SUCCEEDED"}]
    for warning, name in zip(result.warnings, ("teams", "brands"), strict=True):
        assert f"may not read the {name} list" in warning
        assert ROLES[name][0] in warning
        assert "make a new key" in warning
    assert not result.errors
    assert not result.stderr


@pytest.mark.parametrize("command", ["check", "discover", "read"])
def test_bad_input_is_refused_in_a_sentence_before_any_request(
    connector: Connector, sandbox: Sandbox, command: str
) -> None:
    config: dict[str, Any] = {"org_name": "acme", "api_key": ["secret-in-a-list"]}
    arguments, words = ["--config", connector.write("bad.json", config)], "API key (api_key)"
    if command == "read":
        words = f"{connector.folder / 'catalog.json'} given as --catalog cannot be opened"
        arguments = ["--config", connector.config, "--catalog", words.partition(" ")[0]]
    result = connector.run(command, *arguments)
    (error,) = result.errors
    assert error["failure_type"] == "config_error"
    assert words in error["message"]
    statuses = [status["status"] for status in result.of_type("CONNECTION_STATUS")]
    assert (result.code, statuses) == ((0, ["FAILED"]) if command == "check" else (1, []))
    assert "secret" not in result.stdout + result.stderr
    assert not result.stderr
    assert not sandbox.requests
