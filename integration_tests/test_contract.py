"""The sandbox is held to the contract, and the report says what differs and nothing else."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from integration_tests.conftest import NewSandbox
from sandbox import EVERY_ROLE, LISTS, SWITCHES, Reply, Request, Sandbox
from sandbox.switches import spelled
from source_kustomer.config import Config
from tools.contract.__main__ import main
from tools.contract.api import MADE_UP_KEY, MOST_REQUESTS, Api
from tools.contract.checks import CHECKS
from tools.contract.report import Row

PROJECT = Path(__file__).parents[1]
SIZES = {"customers": 250, "conversations": 230, "tags": 130, "users": 25}


def config_of(sandbox: Sandbox, key: str = "", share: int = 80) -> Config:
    raw = {"org_name": "acme", "api_key": key or sandbox.key, "rate_limit_share": share}
    return Config.parse(raw, {"KUSTOMER_API_URL": sandbox.url})


def rows_of(sandbox: Sandbox, key: str = "") -> list[Row]:
    api = Api(config_of(sandbox, key), sleep=lambda _: None)
    return [Row(check, check.observe(api)) for check in CHECKS]


def titles(rows: list[Row], result: str) -> set[str]:
    return {row.check.title for row in rows if row.result == result}


def test_the_sandbox_does_what_is_documented(new_sandbox: NewSandbox) -> None:
    sandbox = new_sandbox(**SIZES)
    rows = rows_of(sandbox)
    assert not titles(rows, "different")
    assert titles(rows, "not observable") == {
        "The organization's address",
        "A missing role",
        "After 10,000 records",
        "A 429",
        "sla of conversations",
    }
    assert len(sandbox.requests) <= MOST_REQUESTS
    assert {request.method for request in sandbox.requests} == {"GET"}


def test_every_check_has_the_number_of_a_quirk_in_their_order() -> None:
    page = (PROJECT / "CONTRIBUTING.md").read_text("utf-8").partition("## The API's quirks\n")[2]
    known = {int(line.partition(".")[0]) for line in page.splitlines() if line[:1].isdigit()}
    numbers = [check.quirk for check in CHECKS]
    assert set(numbers) <= known
    assert numbers == sorted(numbers)


LINK, NUMBERING, LAST = (
    "The link to the next page",
    "How the next page is named",
    "The link on the last page",
)
META = "What a page says of itself"
LARGEST, CAP, PAST = "The largest page", "After 10,000 records", "A page past the last one"
SUCCESS, ERROR = "Rate-limit headers of a success", "Rate-limit headers of an error"
RESET, REFUSAL = "x-ratelimit-reset of a success", "A 429"

# What each value of a switch, away from its default, makes the report say.
DIFFERENCES: dict[tuple[str, str], set[str]] = {
    ("past_end", "onward"): {PAST},
    ("past_end", "404"): {PAST},
    ("past_end", "400"): {PAST},
    ("last_link", "missing"): {LAST},
    ("last_link", "when_full"): {LAST},
    ("order", "newest_first"): {"The order of a list"},
    ("totals", "all"): {"Totals"},
    ("totals", "none"): {"Totals"},
    ("numbers_as_text", "yes"): {"Numbers in meta"},
    ("too_large", "refused"): {LARGEST},
    ("largest_page", "100"): {LARGEST},
    ("default_page", "100"): {"The default page"},
    ("links", "absolute"): {LINK},
    ("links", "object"): {LINK},
    ("links", "without_size"): {LINK},
    ("meta", "missing"): {META, "Totals"},
    ("cursors", "conversations"): {NUMBERING},
    # A list of one page does not show that it is read by cursors.
    ("cursors", "+".join(LISTS)): {NUMBERING, META, PAST},
    ("cap", "cut"): {CAP},
    ("cap", "refused"): {CAP},
    ("rate_headers", "never"): {SUCCESS, ERROR, REFUSAL},
    ("rate_headers", "success"): {ERROR, REFUSAL},
    ("rate_headers", "exceeded"): {SUCCESS, ERROR},
    ("reset", "milliseconds"): {REFUSAL},
    ("reset", "iso"): {REFUSAL},
    ("reset", "none"): {REFUSAL},
    ("reset_when", "always"): {RESET},
    ("retry_after", "seconds"): {REFUSAL},
    ("retry_after", "date"): {REFUSAL},
    ("missing_role", "401"): {"A missing role"},
    ("probe", "no"): {"The probe of the key"},
    ("probe_roles", "no"): {"The probe of the key"},
    # A key without the role sees the same; only a missing path is a difference.
    ("metadata", "closed"): set(),
    ("metadata", "404"): {"Metadata of custom attributes"},
    ("error_form", "long_text"): set(),
    ("error_form", "short"): set(),
    ("error_form", "html"): {"Bodies of errors"},
    ("unknown_organization", "401"): {"An unknown organization"},
}


def test_every_value_of_every_switch_is_tried() -> None:
    values = {(name, spelled(value)) for name, values in SWITCHES.items() for value in values[1:]}
    assert values == DIFFERENCES.keys()


@pytest.mark.parametrize(("name", "value"), DIFFERENCES, ids=map("=".join, DIFFERENCES))
def test_a_switch_away_from_its_default_is_what_differs(
    new_sandbox: NewSandbox, name: str, value: str
) -> None:
    chosen = {spelled(v): v for v in SWITCHES[name]}[value]
    lengths = {
        "cap": {"customers": 10_050},
        "last_link": {"customers": 300, "tags": 100},
        "largest_page": {"users": 200},
    }
    sandbox = new_sandbox(**(SIZES | lengths.get(name, {})), **{name: chosen})
    key = ""
    if name == "missing_role":
        key = sandbox.add_key(roles=tuple(role for role in EVERY_ROLE if "brand" not in role))
    if name in {"reset", "retry_after", "rate_headers"}:
        sandbox.before(lambda _: sandbox.refusal(5) if len(sandbox.requests) == 4 else None)
    assert titles(rows_of(sandbox, key), "different") == DIFFERENCES[name, value]
    assert len(sandbox.requests) <= MOST_REQUESTS


def configured(folder: Path, key: str, org: str = "acme", share: int = 100) -> Path:
    path = folder / "config.json"
    path.write_text(json.dumps({"org_name": org, "api_key": key, "rate_limit_share": share}))
    return path


@contextmanager
def sandbox_process(folder: Path, *arguments: str) -> Iterator[dict[str, Any]]:
    ready = folder / "ready.json"
    command = [sys.executable, "-m", "sandbox", "--port=0", f"--ready-file={ready}", *arguments]
    with subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.DEVNULL) as process:
        try:
            while not ready.exists():
                assert process.poll() is None
                time.sleep(0.05)
            yield json.loads(ready.read_text())
        finally:
            process.terminate()


def contract_command(folder: Path, key: str) -> list[str | Path]:
    config, report = configured(folder, key), folder / "contract.md"
    module = "tools.contract"
    return [sys.executable, "-m", module, "--config", config, "--report", report]


def environment(url: str) -> dict[str, str]:
    return {**os.environ, "KUSTOMER_API_URL": url, "COLUMNS": "200"}


def test_as_processes_the_report_names_exactly_the_switches_that_were_set(tmp_path: Path) -> None:
    switches = ["past_end=404", "order=newest_first", "totals=none", "error_form=html"]
    options = [word for switch in switches for word in ("--switch", switch)]
    sizes = [f"--{name}={count}" for name, count in SIZES.items()]
    with sandbox_process(tmp_path, *sizes, "--limit", "2000", *options) as told:
        done = subprocess.run(
            contract_command(tmp_path, told["key"]),
            cwd=PROJECT,
            env=environment(told["url"]),
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    assert not done.stderr
    report = (tmp_path / "contract.md").read_text("utf-8")
    cells = [line.split(" | ") for line in report.splitlines() if line.startswith("| ")]
    assert [(row[0], row[1]) for row in cells if row[-1] == "different |"] == [
        ("| 9", "Totals"),
        ("| 16", "Bodies of errors"),
        ("| 24", PAST),
        ("| 25", "The order of a list"),
    ]
    assert "4 differ" in report
    assert "4 differ" in done.stdout
    assert done.stdout.count(" different ") == 4
    assert "another address" in report
    assert "Contract report" in report


def test_when_it_is_interrupted_what_was_seen_so_far_is_written(
    new_sandbox: NewSandbox, tmp_path: Path
) -> None:
    sandbox = new_sandbox(**SIZES)
    with subprocess.Popen(
        contract_command(tmp_path, sandbox.key),
        cwd=PROJECT,
        env=environment(sandbox.url),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:

        @sandbox.before
        def interrupt(_: Request) -> None:
            if len(sandbox.requests) == 15:
                process.send_signal(signal.SIGINT)

        stdout, stderr = process.communicate(timeout=60)
    assert process.returncode == 130
    assert not stderr
    assert "Stopped." in stdout
    report = (tmp_path / "contract.md").read_text("utf-8")
    assert "It was stopped before all checks were made." in report
    rows = [line for line in report.splitlines() if line.endswith(("same |", "observable |"))]
    assert 4 <= len(rows) < len(CHECKS)


MARK = "zq"
NUMBER = 8_191_817


def marked(value: Any, *, names: bool = False) -> Any:
    """Mark every string and number in a value, and with `names` the names of its members."""
    if isinstance(value, dict):
        return {
            f"{MARK}-{k}" if names else k: marked(v, names=names or k in {"custom", "meta"})
            for k, v in value.items()
        }
    if isinstance(value, list):
        return [marked(item, names=names) for item in value]
    if isinstance(value, str):
        return f"{MARK}-{value}"
    return value if isinstance(value, bool) or value is None else NUMBER


def mark_everything(sandbox: Sandbox) -> None:
    """Let every value, custom name, header and error word of the sandbox carry the mark."""
    for name in LISTS:
        for record in sandbox.lists[name]:
            record["attributes"] = marked(record["attributes"]) | {f"{MARK}Unlisted": NUMBER}
            record["relationships"] = {
                **marked(record["relationships"]),
                f"{MARK}-orders": {"links": {"self": f"/{MARK}"}, "meta": {}},
                f"{MARK}Owner": {"data": {"type": MARK, "id": MARK}},
                f"{MARK}Link": {"links": {"self": f"/{MARK}"}},
            }
            record["id"], record["type"] = f"{MARK}{record['id']}", MARK
            record[f"{MARK}Member"] = MARK
    sandbox.touch()
    for properties in sandbox.metadata.values():
        properties |= {f"{MARK}Str": {"displayName": MARK}}
    sandbox.before(lambda request: marked_reply(request, len(sandbox.requests)))


def marked_reply(request: Request, count: int) -> Reply | None:
    """Answer what is no list of records in the sandbox, every part of it marked."""
    headers = dict.fromkeys(("x-ratelimit-limit", "x-ratelimit-remaining", "Retry-After"), MARK)
    headers |= {"x-ratelimit-reset": f"{MARK}-1", MARK: MARK}
    status, body = 200, dict[str, Any]()
    if count == 5:
        status, body = 429, {"errors": [{MARK: MARK}]}
    elif request.key == MADE_UP_KEY:
        status, body = 401, {"errors": [{"detail": MARK, "status": MARK}]}
    elif request.path == "/v1/auth/tokens/current":
        body = {"data": {"attributes": {"roles": [MARK], "name": MARK}}}
    elif request.path == "/v1/teams":
        link = f"https://{MARK}.example/v1/teams?page=2"
        body = {"data": [], "meta": {MARK: MARK, "total": MARK}, "links": {"next": link}}
    elif request.path == "/v1/brands":
        meta = {"page": NUMBER, "pageSize": NUMBER, "total": NUMBER}
        body = {"data": [{"id": MARK}], "meta": meta, "links": {"next": f"?{MARK}={MARK}"}}
    elif not request.path.removeprefix("/v1/").startswith((*LISTS, "metadata")):
        status, headers = 301, {**headers, "Location": f"https://{MARK}.example"}
        return Reply(status, f"<html>{MARK}", headers)
    return Reply(status, body, headers) if body else None


def test_the_report_holds_nothing_of_the_account(
    new_sandbox: NewSandbox,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    sandbox = new_sandbox(**SIZES)
    mark_everything(sandbox)
    key = f"{MARK}-key-of-the-account-5f1e27"
    sandbox.keys[key] = sandbox.keys[sandbox.key]
    monkeypatch.setenv("KUSTOMER_API_URL", f"{sandbox.url}/")
    monkeypatch.setenv("COLUMNS", "300")
    report = tmp_path / "contract.md"
    config = configured(tmp_path, key, org=f"{MARK}-organization")
    assert main(["--config", str(config), "--report", str(report)], lambda _: None) == 0
    shown = capsys.readouterr()
    written = report.read_bytes().decode()
    assert written.count("\n| ") == len(CHECKS) + 2
    # Enough was seen that there was something to give away.
    assert written.count("different |") + written.count("same |") > 25
    for text in (written, shown.out.replace(str(report), ""), shown.err):
        assert MARK not in text.lower()
        assert str(NUMBER) not in text.replace(",", "")
        assert sandbox.url.rpartition(":")[2] not in text
        assert "127.0.0.1" not in text


def test_custom_names_are_counted_by_their_suffix(new_sandbox: NewSandbox) -> None:
    rows = rows_of(new_sandbox(**SIZES))
    (row,) = (row for row in rows if row.check.title == "Custom attributes by suffix")
    assert row.seen
    assert row.seen.text == "At 1, Bool 2, Num 4, Str 4, Tree 2, Txt 1, without 1"


RECORD = {"type": "tag", "id": "1", "attributes": {}, "relationships": {}, "links": {}}


@pytest.mark.parametrize(
    ("change", "title", "text"),
    [
        ({"attributes": {"name": ["a"]}}, "Types of values", "do not fit: tags.name"),
        ({"attributes": {"createdAt": "2024-01-01"}}, "Times", "otherwise: tags.createdAt"),
        ({"attributes": {"brandNew": 1}}, "Attributes without a column", "1 (tags)"),
        (
            {"relationships": {"org": {"links": {"self": "/v1/orgs/1"}}}},
            "Relationships without an id",
            "org",
        ),
        (
            {"relationships": {"newKind": {"data": {"type": "a", "id": "1"}}}},
            "Relationships and members without a column",
            "other relationships: 1",
        ),
        ({"meta": {}}, "Relationships and members without a column", "other members: 1"),
    ],
    ids=["type", "time", "attribute", "link only", "relationship", "member"],
)
def test_a_record_that_is_not_as_documented_differs(
    new_sandbox: NewSandbox, change: dict[str, Any], title: str, text: str
) -> None:
    sandbox = new_sandbox(customers=0, conversations=0, users=0, teams=0, brands=0, tags=1)
    sandbox.lists["tags"] = [RECORD | change]
    rows = rows_of(sandbox)
    assert titles(rows, "different") == {title}
    (row,) = (row for row in rows if row.check.title == title)
    assert row.seen
    assert text in row.seen.text


def test_a_custom_value_of_another_type_than_its_suffix_differs(new_sandbox: NewSandbox) -> None:
    sandbox = new_sandbox(**SIZES)
    sandbox.lists["users"][3]["attributes"]["custom"] = {"seniorityNum": "many", "newStr": ["a"]}
    rows = rows_of(sandbox)
    assert titles(rows, "different") == {
        "Custom attributes by suffix",
        "Custom attributes with arrays",
    }


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda records: records.reverse(), "another order"),
        (lambda records: records.pop(0), "other records"),
    ],
    ids=["moved", "vanished"],
)
def test_a_page_that_changes_between_two_reads_differs(
    new_sandbox: NewSandbox, change: Callable[[list[Any]], object], text: str
) -> None:
    sandbox = new_sandbox(**SIZES)

    @sandbox.before
    def move(request: Request) -> None:
        earlier = [r.query for r in sandbox.of("users")[:-1]]
        if request.path == "/v1/users" and earlier.count(request.query) == 1:
            change(sandbox.lists["users"])
            sandbox.touch()

    rows = rows_of(sandbox)
    (row,) = (row for row in rows if row.check.title == "A page read twice")
    assert row.seen
    assert f"{text} (users)" in row.seen.text
    assert row.result == "different"


def test_records_that_repeat_on_the_next_page_differ(new_sandbox: NewSandbox) -> None:
    sandbox = new_sandbox(**SIZES)
    sandbox.lists["tags"][101] = sandbox.lists["tags"][3]
    assert "Two neighbouring pages" in titles(rows_of(sandbox), "different")


ODD: list[Any] = [
    None,
    [],
    7,
    "text",
    {"data": None, "links": [], "meta": "x"},
    {"data": [None, 5, {"id": None}], "links": {"next": 5}, "meta": {"pageSize": {}}},
    {"data": [{"id": 1, "attributes": [], "relationships": 5}], "links": {"next": "http://[::1"}},
    {"data": {"attributes": {"properties": []}}, "errors": [None]},
    {"errors": {"detail": []}},
]


@pytest.mark.parametrize("status", [200, 400])
@pytest.mark.parametrize("document", ODD, ids=map(json.dumps, ODD))
def test_whatever_comes_every_check_ends(
    new_sandbox: NewSandbox, document: Any, status: int
) -> None:
    sandbox = new_sandbox()
    sandbox.before(lambda _: Reply(status, json.dumps(document)))
    assert len(rows_of(sandbox)) == len(CHECKS)
    assert len(sandbox.requests) <= MOST_REQUESTS


@pytest.mark.parametrize(
    "reply",
    [Reply(reset=True), Reply(500), Reply(200, "{", truncate_at=1)],
    ids=["reset", "500", "cut off"],
)
def test_when_nothing_can_be_read_it_ends_in_a_sentence(
    new_sandbox: NewSandbox,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    reply: Reply,
) -> None:
    sandbox = new_sandbox()
    sandbox.before(lambda _: replace(reply))
    monkeypatch.setenv("KUSTOMER_API_URL", sandbox.url)
    config = configured(tmp_path, sandbox.key)
    report = str(tmp_path / "contract.md")
    assert main(["--config", str(config), "--report", report], lambda _: None) == 1
    shown = capsys.readouterr().out
    assert "The API does not answer" in shown or "No list could be read" in shown
    assert len(sandbox.requests) <= MOST_REQUESTS


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, 'it holds {"org_name": "acme", "api_key": "..."}'),
        ("{", "not JSON"),
        ("[]", "not a JSON object"),
        ('{"org_name": "acme", "api_key": ""}', "API key is empty"),
    ],
)
def test_a_configuration_that_cannot_be_used_ends_it_in_a_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str | None, words: str
) -> None:
    config = tmp_path / "config.json"
    if content is not None:
        config.write_text(content)
    assert main(["--config", str(config)]) == 2
    assert words in " ".join(capsys.readouterr().out.split())


class Clock:
    """A clock that only `sleep` moves."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.mark.parametrize(
    ("switches", "seconds"),
    [({}, 9 * 60 / 500), ({"rate_headers": "never"}, 9 * 60 / 150)],
    ids=["limit of 1000", "limit unknown"],
)
def test_requests_leave_evenly_within_the_share(
    new_sandbox: NewSandbox, switches: dict[str, str], seconds: float
) -> None:
    sandbox, clock = new_sandbox(**switches), Clock()
    api = Api(config_of(sandbox, share=50), sleep=clock.sleep, clock=clock)
    for number in range(10):
        api.get(f"tags?page={number + 1}")
    # Before the first response the smallest plan's limit counts.
    assert seconds - 0.001 <= clock.now <= seconds + 60 / 150
    assert len(sandbox.requests) == 10


@pytest.mark.parametrize("retry_after", ["none", "seconds"])
def test_after_a_429_it_waits_as_long_as_it_is_told(
    new_sandbox: NewSandbox, retry_after: str
) -> None:
    sandbox, clock = new_sandbox(retry_after=retry_after), Clock()
    sandbox.before(lambda _: sandbox.refusal(20) if len(sandbox.requests) == 1 else None)
    api = Api(config_of(sandbox), sleep=clock.sleep, clock=clock)
    assert api.get("tags").status == 200
    assert 18 <= clock.now <= 22
    assert sandbox.statuses == [429, 200]


def test_the_key_goes_to_its_own_organization_only(new_sandbox: NewSandbox) -> None:
    sandbox, other = new_sandbox(**SIZES), new_sandbox()
    elsewhere = {"Location": f"{other.url}/v1/tags"}
    sandbox.before(lambda r: Reply(302, "", elsewhere) if r.path == "/v1/tags" else None)
    rows_of(sandbox)
    assert not other.requests
    foreign = [r for r in sandbox.requests if not r.path.startswith("/v1/")]
    assert foreign
    assert {r.key for r in foreign} == {MADE_UP_KEY}


@pytest.mark.parametrize(
    ("switch", "words"),
    [
        ("past_end=500", "past_end is one of empty, onward, 404, 400"),
        ("pages=1", "no switch pages"),
    ],
)
def test_a_switch_that_does_not_exist_is_refused_with_those_that_do(
    switch: str, words: str
) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "sandbox", "--switch", switch],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert words in " ".join(done.stderr.split())
