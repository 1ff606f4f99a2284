"""The contract's report says what a server did, for every server that was thought of."""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from integration_tests.conftest import NewSandbox
from sandbox import LISTS, SWITCHES, Reply, Request, Sandbox
from sandbox.__main__ import parse_options
from sandbox.switches import spelled
from source_kustomer.timing import Timing
from tools.contract import asking, run
from tools.contract.checks import CHECKS
from tools.contract.observations import MADE_UP_KEY
from tools.contract.reading import Check

PROJECT = Path(__file__).parents[1]
PROBE = "auth/tokens/current"
SIZES = {"customers": 250, "conversations": 230, "tags": 130, "users": 25}

# The limit's minute, and with it the pace, is a moment.
TIMING = replace(asking.TIMING, window=0.2, backoff=0.01)

SAME, DIFFERENT, UNSEEN, FAILED = "same", "different", "not observable", "failed"
ANSWERED = "open question answered"
GUESSED, OTHERWISE = f"{ANSWERED}, as guessed", f"{ANSWERED}, otherwise than guessed"


@dataclass
class Report:
    """What a run showed and wrote; `rows` are the verdict and what was seen, by title."""

    code: int
    shown: str
    written: str
    sandbox: Sandbox

    @property
    def rows(self) -> dict[str, tuple[str, str]]:
        found = re.findall(
            r"^\*\*(.+)\*\* \(quirk \d+\): (.+)\n((?:- .*\n)*)", self.written, re.MULTILINE
        )
        return {title: (verdict, seen) for title, verdict, seen in found}

    def row(self, prefix: str) -> tuple[str, str]:
        """The row whose title begins so."""
        (found,) = (row for title, row in self.rows.items() if title.startswith(prefix))
        return found

    @property
    def switches(self) -> dict[str, Any]:
        """The options of the sandbox that answers so."""
        (command,) = (line for line in self.written.splitlines() if "-m sandbox" in line)
        return parse_options(shlex.split(command)[3:])


Contract = Callable[..., Report]
Play = Callable[[Sandbox], object]


@pytest.fixture
def contract(
    tmp_path: Path,
    new_sandbox: NewSandbox,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Contract:
    """Run the contract in this process against a sandbox that was played with."""
    monkeypatch.setenv("COLUMNS", "80")

    def run_it(play: Play | None = None, timing: Timing = TIMING, **options: Any) -> Report:
        sandbox = new_sandbox(**{**SIZES, **options})
        config, path = tmp_path / "config.json", tmp_path / "report.md"
        # What `play` returns may be a key.
        played = play(sandbox) if play else None
        key = played if isinstance(played, str) else sandbox.key
        raw = {"org_name": "acme", "api_key": key, "rate_limit_share": 100}
        config.write_text(json.dumps(raw))
        monkeypatch.setenv("KUSTOMER_API_URL", sandbox.url)
        code = run.main([f"--config={config}", f"--report={path}"], timing)
        written = sorted(tmp_path.glob("report*.md"), key=lambda report: report.stat().st_mtime_ns)
        text = written[-1].read_text("utf-8") if written else ""
        return Report(code, capsys.readouterr().out, text, sandbox)

    return run_it


def test_the_sandbox_does_what_is_documented(contract: Contract) -> None:
    report = contract()
    assert {verdict for verdict, _ in report.rows.values()} == {SAME, GUESSED, ANSWERED, UNSEEN}
    unseen = {title for title, (verdict, _) in report.rows.items() if verdict == UNSEEN}
    assert unseen == {"Around 10,000 records", "Where sla is"}
    assert len(report.rows) == len(CHECKS) == len({check.title for check in CHECKS})
    requests = report.sandbox.requests
    assert len(requests) <= asking.MOST_REQUESTS
    assert {request.method for request in requests} == {"GET"}
    assert {r.key for r in requests if r.path[:4] != "/v1/"} == {MADE_UP_KEY}
    (agent,) = {request.headers["user-agent"] for request in requests}
    assert f"User-Agent `{agent}`" in report.written
    assert report.written.rindex(GUESSED) < report.written.index("<details>")
    assert report.written.index("): same") > report.written.index("<details>")


def test_at_80_columns_nothing_is_cut(contract: Contract) -> None:
    report = contract()
    assert max(map(len, report.shown.splitlines())) <= 80
    shown = " ".join(report.shown.split())
    for title, (verdict, seen) in report.rows.items():
        if verdict != SAME:
            assert title in shown
            assert " ".join(seen.split()) in shown


def test_every_check_has_the_number_of_a_quirk() -> None:
    page = (PROJECT / "CONTRIBUTING.md").read_text("utf-8").partition("## The API's quirks\n")[2]
    known = {int(line.partition(".")[0]) for line in page.splitlines() if line[:1].isdigit()}
    assert {check.quirk for check in CHECKS} <= known


LENGTHS: Mapping[str, Mapping[str, int]] = {
    "cap": {"customers": 10_050},
    "last_link": {"customers": 300, "tags": 100},
    "largest_page": {"users": 200},
}
VALUES = [(name, value) for name, values in SWITCHES.items() for value in values[1:]]


@pytest.mark.parametrize(("name", "value"), VALUES, ids=[f"{n}={spelled(v)}" for n, v in VALUES])
def test_each_switch_of_a_sandbox_is_found_again_in_its_report(
    contract: Contract, name: str, value: Any
) -> None:
    def refuse(sandbox: Sandbox) -> None:
        if name in {"reset", "retry_after", "rate_headers"}:
            sandbox.before(lambda _: sandbox.refusal(0.1) if len(sandbox.requests) == 4 else None)

    closed = ("brands",) if name == "missing_role" else ()
    report = contract(refuse, **{**LENGTHS.get(name, {}), name: value, "closed": closed})
    found = {key: v for key, v in report.switches.items() if key in SWITCHES}
    if name == "cursors":
        # A list of one page does not show that it is read by cursors.
        value = tuple(n for n in value if n in {"customers", "conversations", "tags"})
    assert found == {name: value}
    assert report.switches["closed"] == [*closed]


def test_a_report_can_be_replayed(contract: Contract) -> None:
    switches = {
        "past_end": "404",
        "last_link": "missing",
        "order": "newest_first",
        "totals": "none",
        "numbers_as_text": True,
        "default_page": 100,
        "links": "absolute",
        "cursors": ("tags",),
        "rate_headers": "success",
        "error_form": "short",
        "parameters": "honoured",
    }
    report = contract(**switches, limit=500, closed=("brands",))
    options = report.switches
    assert {name: options[name] for name in switches} == switches
    assert (options["limit"], options["closed"]) == (500, ["brands"])
    del options["ready_file"], options["port"]
    again = contract(**options)
    assert again.switches == report.switches
    assert [again.rows[title][0] for title in report.rows] == [v for v, _ in report.rows.values()]


def answering(path: str, reply: Callable[[Sandbox, Request], Reply | None]) -> Play:
    """Answer the requests for a path with what `reply` returns."""

    def play(sandbox: Sandbox) -> None:
        sandbox.before(lambda r: reply(sandbox, r) if r.path == f"/v1/{path}" else None)

    return play


def changed(path: str, change: Callable[[Any, Request], object]) -> Play:
    """Change the documents of a path before they leave."""

    def reply(sandbox: Sandbox, request: Request) -> Reply:
        reply = sandbox.respond(request)
        document = json.loads(reply.content)
        if reply.status == 200:
            change(document, request)
        return replace(reply, body=document)

    return answering(path, reply)


def record(name: str, **changes: Any) -> Play:
    """Change the members of a list's fourth record."""

    def play(sandbox: Sandbox) -> None:
        changed = sandbox.lists[name][3]
        for member, value in changes.items():
            changed[member] = {**changed[member], **value} if member in changed else value
        sandbox.touch()

    return play


def past(reply: Any) -> Play:
    return answering("tags", lambda _, r: Reply(200, reply) if r.page > 2 else None)


def again(name: str, pages: int) -> Play:
    def reply(sandbox: Sandbox, request: Request) -> Reply | None:
        first = replace(request, params={**request.params, "page": "1"})
        return sandbox.respond(first) if request.page > pages else None

    return answering(name, reply)


def refused(sandbox: Sandbox) -> Reply:
    return sandbox.error(403, "forbidden", "")


def equal_times(sandbox: Sandbox) -> None:
    for record in sandbox.lists["users"]:
        record["attributes"]["createdAt"] = "2024-01-01T00:00:00.000Z"
    sandbox.touch()


def between(change: Callable[[Sandbox], object]) -> Play:
    def play(sandbox: Sandbox) -> None:
        def hook(request: Request) -> None:
            if request.path == "/v1/users" and len(sandbox.of("users")) == 2:
                change(sandbox)
                sandbox.touch()

        sandbox.before(hook)

    return play


def echo(document: Any, request: Request) -> None:
    document["meta"]["pageSize"] = int(request.params["pageSize"])


def unlink(document: Any, _: Request) -> None:
    document["links"]["next"] = None


CAPPED = {"customers": 10_150}
NESTED = "[" * 200_000 + "]" * 200_000
HUGE = '{"meta": {"total": ' + "9" * 400 + '}, "data": [], "links": {"next": null}}'

# What a server does, and what its report says of it.
PLAYED: dict[str, tuple[dict[str, Any], Play | None, str, str, str]] = {
    "no link on page 100": ({**CAPPED, "cap": "unlinked"}, None, "Around", OTHERWISE,
        "no link, then more records"),
    "an end at page 100": ({**CAPPED, "cap": "unlinked"}, None, "The link on", DIFFERENT,
        "null, but pages follow page 100"),
    "page 1 after 10,000": (CAPPED, again("customers", 100), "Around", OTHERWISE,
        "a link, then no new record"),
    "page 1 after the end": ({}, again("tags", 2), "The page after", OTHERWISE,
        "200, the first page again"),
    "pageSize is an echo": ({}, changed("tags", echo), "The largest", OTHERWISE,
        "100, but meta.pageSize tells 1000"),
    "a list fails": ({}, answering("teams", lambda *_: Reply(500)), "The list of teams",
        DIFFERENT, "page 1: 500"),
    "403 from page 2 on": ({}, answering("tags", lambda s, r: refused(s) if r.page > 1 else None),
        "The list of tags", DIFFERENT, "page 2: 403"),
    "no headers of the probe": ({}, answering(PROBE, lambda s, r: s.respond(r)), "Rate-limit",
        OTHERWISE, "neither (key: 2 of them"),
    "a total but no link": ({}, changed("customers", unlink), "The link on", DIFFERENT,
        "null, but pages follow page 1"),
    "no role": ({"closed": ("tags",)}, None, "The list of tags", UNSEEN,
        "the key may not read it (403)"),
    "no role, by role": ({"closed": ("tags",)}, None, "What a role", GUESSED,
        "403 without its role (tags"),
    "a role in vain": ({}, answering("tags", lambda s, _: refused(s)), "What a role", OTHERWISE,
        "403 with its role (tags: org.permission.tag.read)"),
    "only the probe refuses": ({}, answering(PROBE, lambda s, _: refused(s)),
        "The account", DIFFERENT,
        "403 (read as: "),
    "null after the end": ({}, past({"data": None}), "The page after", OTHERWISE,
        "data that is no list"),
    "nothing after the end": ({}, past({"links": {}}), "The page after", OTHERWISE, "200, no data"),
    "equal createdAt": ({}, equal_times, "The order", OTHERWISE, "by updatedAt, ascending (users"),
    "few brands": ({}, None, "The order", GUESSED, "only 3 brands"),
    "new in front": ({}, between(lambda s: s.insert("users", 2)), "The first page", SAME,
        "new records in front (users"),
    "one removed": ({}, between(lambda s: s.remove("users", 1, at=4)), "The first page", SAME,
        "records removed in between (users"),
    "another order": ({}, between(lambda s: s.lists["users"].reverse()),
        "The first page", DIFFERENT,
        "another order (users"),
    "on two pages": ({}, lambda s: s.lists["tags"].__setitem__(101, s.lists["tags"][3]),
        "The first page",
        DIFFERENT, "records repeat on the next page (tags"),
    "asterisks in a text": ({}, record("tags", attributes={"name": "***"}), "Masked", ANSWERED,
        "none in 130 tags"),
    "a masked phone": ({}, None, "Masked", ANSWERED, "phones 250"),
    "400 digits": ({}, answering("brands", lambda *_: Reply(200, HUGE)), "The list of brands",
        SAME, "200 (0 brands)"),
    "200,000 deep": ({}, answering("brands", lambda *_: Reply(200, NESTED)), "The list of brands",
        DIFFERENT, "page 1: 200 without JSON"),
    "a cursor": ({"cursors": ("tags",)}, None, "The link to", DIFFERENT,
        "relative path with page[after] (tags"),
    "its end": ({"cursors": ("tags",)}, None, "The link on", SAME, "null ("),
    "its end, far away": ({"cursors": ("conversations",), "conversations": 900}, None,
        "The link on", SAME,
        "its cursors lead no further than 800 conversations"),
    "an end without total": ({"conversations": 1230}, None, "The page after", GUESSED,
        "200, empty, no next link ("),
    "a cursor of one's own": ({"parameters": "honoured"}, None, "Parameters", OTHERWISE,
        "begins after the record (customers, page[after]"),
    "a type": ({}, record("tags", attributes={"name": ["a"]}), "Types", DIFFERENT,
        "name: array of string 1 (130 tags)"),
    "a time": ({}, record("tags", attributes={"createdAt": "2024-01-01"}), "Types", DIFFERENT,
        "createdAt: string of another form 1"),
    "converted": ({}, None, "Types", SAME, "converted: externalId: integer 5"),
    "an attribute": ({}, record("tags", attributes={"brandNew": 1}), "Attributes", OTHERWISE,
        "brandNew 1 (130 tags)"),
    "a relationship": ({}, record("tags", relationships={"newKind": {"data": None}}), "Attributes",
        OTHERWISE, "newKind 1"),
    "a member": ({}, record("tags", extra={}), "Attributes", OTHERWISE, "extra 1"),
    "custom objects": ({}, None, "Attributes", GUESSED, "(custom objects) 25"),
    "only a link": ({}, record("tags", relationships={"org": {"links": {"self": "/v1/orgs/1"}}}),
        "Relationships", DIFFERENT, "org 1"),
    "another link": ({}, record("tags", links={"self": "/tags/1"}), "Ids",
        DIFFERENT, "24 hexadecimals, its type 1"),
    "sla": ({}, record("conversations", attributes={"sla": {}}), "Where", ANSWERED,
        "attributes 1"),
    "never came": ({}, None, "How doc", ANSWERED, "never came: externalId (6 teams)"),
    "a suffix": ({}, record("users", attributes={"custom": {"seniorityNum": "x"}}),
        "Custom", DIFFERENT, "string 1 (Num:"),
    "an array": ({}, record("users", attributes={"custom": {"shiftStr": ["x"]}}), "Metadata",
        DIFFERENT, "1 without their arrays (users"),
    "metadata": ({}, None, "Metadata", SAME, "displayName string 12, type string 10"),
    "a 429": ({}, lambda s: s.before(lambda _: s.refusal(1.2) if len(s.requests) == 9 else None),
        "x-rate", GUESSED, "epoch seconds (429: 1 of them)"),
}  # fmt: skip


@pytest.mark.parametrize("played", PLAYED)
def test_the_report_says_what_the_server_did(contract: Contract, played: str) -> None:
    options, play, title, verdict, text = PLAYED[played]
    report = contract(play, **options)
    assert report.row(title)[0] == verdict
    assert text in report.row(title)[1]
    assert FAILED not in {result for result, _ in report.rows.values()}
    assert len(report.sandbox.requests) <= asking.MOST_REQUESTS
    # What the server asks to wait is waited for with words.
    assert ("asks to wait: " in report.shown) == (429 in report.sandbox.statuses)


PAGE = Reply(503, "<html>Back soon", {"Content-Type": "text/html"})


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        (PAGE, "web page"),
        (replace(PAGE, status=200), "web page"),
        (Reply(302, "", {"Location": "https://login.example"}), "redirect"),
        (Reply(407), "proxy"),
        (Reply(500), "status 500"),
        (Reply(429, "", {"Retry-After": "3600"}), "rate limit"),
        (Reply(429, "", {"Retry-After": "0"}), "rate limit"),
        (Reply(reset=True), "connect to"),
        (Reply(hang=1.0), "in time"),
    ],
    ids=["503", "200", "302", "407", "500", "429 long", "429 for ever", "reset", "silence"],
)
@pytest.mark.parametrize("after", [0, 20])
def test_an_outage_ends_in_a_sentence_and_leaves_the_last_report(
    tmp_path: Path, contract: Contract, reply: Reply, words: str, after: int
) -> None:
    last = tmp_path / "report.md"
    last.write_text("yesterday's")

    def break_down(sandbox: Sandbox) -> None:
        sandbox.before(lambda _: reply if len(sandbox.requests) > after else None)

    report = contract(break_down, replace(TIMING, response=0.2, silence=0.2))
    assert report.code == 1
    assert words in " ".join(report.shown.split())
    assert last.read_text() == "yesterday's"
    assert len(report.sandbox.requests) <= after + 6
    assert ("Unfinished" in report.written) == (after > 0)


@pytest.mark.parametrize(
    ("flaw", "cause"),
    [
        ("expired", "401 (read as: expired key)"),
        ("other_region", "401 (read as: other region)"),
        ("ip_restricted", "403 (read as: ip restricted)"),
    ],
)
def test_a_key_that_opens_nothing_is_an_answer_all_the_same(
    tmp_path: Path, contract: Contract, flaw: str, cause: str
) -> None:
    report = contract(lambda sandbox: sandbox.add_key(**{flaw: True}))
    assert report.code == 1
    assert [path.name for path in tmp_path.glob("*.md")] == ["report-unfinished.md"]
    assert cause in report.row("The account")[1]
    assert [verdict for verdict, _ in report.rows.values()].count(DIFFERENT) == 1


@pytest.mark.parametrize(
    ("bound", "value", "words"),
    [("MOST_REQUESTS", 20, "the requests were used up"), ("LONGEST_RUN", 0.3, "the time was used")],
)
def test_what_was_not_asked_for_is_not_observable(
    contract: Contract, monkeypatch: pytest.MonkeyPatch, bound: str, value: float, words: str
) -> None:
    monkeypatch.setattr(asking, bound, value)
    report = contract(latency=0.02)
    assert report.code == 0
    assert report.row("Metadata")[0] == UNSEEN
    assert words in report.row("Metadata")[1]
    assert DIFFERENT not in {verdict for verdict, _ in report.rows.values()}


@pytest.mark.parametrize(("window", "told"), [("sliding", "slides"), ("fixed", "fixed")])
def test_how_the_minute_is_counted_shows_when_it_has_almost_passed(
    contract: Contract, window: str, told: str
) -> None:
    timing = replace(TIMING, window=8.0)
    report = contract(timing=timing, window=window, window_seconds=8.0)
    assert f"seen: {told}" in report.row("How the")[1]
    assert "to see how the limit's minute is counted" in " ".join(report.shown.split())
    assert report.switches["window"] == window


def test_a_check_that_fails_says_so_and_the_others_stand(
    contract: Contract, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: object) -> Any:
        raise RecursionError

    monkeypatch.setattr(run, "CHECKS", (*reversed(CHECKS), Check(7, "A broken check", {}, fail)))
    report = contract()
    assert report.row("A broken")[0] == FAILED
    assert "RecursionError" in report.row("A broken")[1]
    assert len(report.rows) == len(CHECKS) + 1
    assert report.written.index("A broken check") < report.written.index(GUESSED)


ODD: list[Any] = [
    None,
    [],
    7,
    {"data": None, "links": [], "meta": "x"},
    {"data": [None, 5, {"id": None}], "links": {"next": 5}, "meta": {"pageSize": {}}},
    {"data": [{"id": 1, "attributes": [], "relationships": 5}], "links": {"next": "http://[::1"}},
    {"data": {"attributes": {"properties": []}}, "errors": [None]},
]


@pytest.mark.parametrize("status", [200, 400])
@pytest.mark.parametrize("document", ODD, ids=map(json.dumps, ODD))
def test_whatever_comes_every_check_ends(contract: Contract, document: Any, status: int) -> None:
    report = contract(lambda s: s.before(lambda _: Reply(status, json.dumps(document))))
    assert len(report.rows) == len(CHECKS)
    assert FAILED not in {verdict for verdict, _ in report.rows.values()}
    assert len(report.sandbox.requests) <= asking.MOST_REQUESTS


MARK, NUMBER = "zq", 8_191_817


def marked(value: Any, *, is_own: bool = False) -> Any:
    """Mark every value, and the names of members that are an organization's."""
    if isinstance(value, dict):
        names = {k: f"{MARK}-{k}" if is_own else k for k in value}
        return {
            names[k]: marked(v, is_own=is_own or k in {"custom", "meta"}) for k, v in value.items()
        }
    if isinstance(value, list):
        return [marked(item, is_own=is_own) for item in value]
    if isinstance(value, str):
        return f"{MARK}-{value}"
    return value if isinstance(value, bool) or value is None else NUMBER


def mark_everything(sandbox: Sandbox) -> str:
    """Return a key that is marked too."""
    for name in LISTS:
        for record in sandbox.lists[name]:
            record["attributes"] = marked(record["attributes"]) | {
                f"{MARK}Str": 1,
                "custom": {f"{MARK}Str": MARK, f"{MARK}Own": 1},
                f"{MARK}Own": 2,
            }
            record["relationships"] = {
                **marked(record["relationships"]),
                f"{MARK}-orders": {"links": {"self": f"/{MARK}"}, "meta": {}},
                f"{MARK}orders": {"links": {"self": f"/v1/kobjects/{MARK}"}},
            }
            record["id"], record["type"] = f"{MARK}{record['id']}", MARK
            record[f"{MARK}-Member"] = record["links"] = {"self": MARK}
    for properties in sandbox.metadata.values():
        properties |= {f"{MARK}Str": {"displayName": MARK, f"{MARK}-kind": MARK}}
    sandbox.before(lambda request: marked_reply(request, len(sandbox.requests)))
    key = f"{MARK}-key-of-the-account-5f1e27"
    sandbox.keys[key] = sandbox.keys[sandbox.key]
    return key


def marked_reply(request: Request, count: int) -> Reply | None:
    """Answer what is no list of records in the sandbox, every part of it marked."""
    headers = dict.fromkeys(("x-ratelimit-limit", "x-ratelimit-remaining", "Retry-After"), MARK)
    headers |= {"x-ratelimit-reset": f"{MARK}-1", MARK: MARK}
    url = f"https://{MARK}.example/v1"
    body: dict[str, Any] = {}
    if count == 5 or request.key == MADE_UP_KEY:
        body = {"errors": [{MARK: MARK, "detail": MARK, "status": MARK}]}
        return Reply(429 if count == 5 else 401, body, headers)
    if request.path == "/v1/auth/tokens/current":
        body = {"data": {"attributes": {"roles": [MARK], "name": MARK}}}
    elif request.path == "/v1/teams":
        body = {"data": [], "meta": {MARK: MARK, "total": MARK}, "links": {"next": f"{url}/teams"}}
    elif request.path == "/v1/brands":
        meta = {"page": NUMBER, "pageSize": NUMBER, "total": NUMBER}
        body = {"data": [{"id": MARK}], "meta": meta, "links": {"next": f"?{MARK}-1={MARK}"}}
    elif not request.path.removeprefix("/v1/").startswith((*LISTS, "metadata")):
        return Reply(301, f"<html>{MARK}", {**headers, "Location": url})
    return Reply(200, body, headers) if body else None


def test_the_report_holds_nothing_of_the_account(contract: Contract) -> None:
    report = contract(mark_everything)
    assert report.code == 0
    assert len(report.rows) == len(CHECKS)
    # Enough was seen that there was something to give away.
    assert sum(verdict != UNSEEN for verdict, _ in report.rows.values()) > 25
    for text in (report.written, report.shown):
        assert MARK not in text.lower()
        assert str(NUMBER) not in text.replace(",", "")
        assert report.sandbox.url.rpartition(":")[2] not in text
        assert "acme" not in text


def process(folder: Path, sandbox: Sandbox) -> subprocess.Popen[str]:
    config = folder / "config.json"
    config.write_text(json.dumps({"org_name": "acme", "api_key": sandbox.key}))
    command = [sys.executable, "-m", "tools.contract", f"--config={config}"]
    return subprocess.Popen(
        [*command, f"--report={folder / 'report.md'}"],
        cwd=PROJECT,
        env={**os.environ, "KUSTOMER_API_URL": sandbox.url, "COLUMNS": "80"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize("count", [0, 1, 30])
def test_an_interrupt_leaves_what_was_seen_and_no_traceback(
    new_sandbox: NewSandbox, tmp_path: Path, count: int
) -> None:
    sandbox = new_sandbox(**SIZES)
    (tmp_path / "report.md").write_text("yesterday's")
    with process(tmp_path, sandbox) as running:

        @sandbox.before
        def interrupt(_: Request) -> None:
            if len(sandbox.requests) == count:
                running.send_signal(signal.SIGINT)

        if not count:
            # While it loads.
            time.sleep(0.3)
            running.send_signal(signal.SIGINT)
        stdout, stderr = running.communicate(timeout=60)
    assert running.returncode == (130 if count else -signal.SIGINT)
    assert not stderr
    assert ("Stopped." in stdout) == (count > 0)
    assert (tmp_path / "report.md").read_text() == "yesterday's"
    assert (tmp_path / "report-unfinished.md").exists() == (count > 1)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "There is no "),
        ("{", "not JSON"),
        ('{"org_name": "acme", "api_key": ""}', "The API key"),
    ],
)
def test_a_configuration_that_cannot_be_used_ends_it_in_a_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str | None, words: str
) -> None:
    config = tmp_path / "config.json"
    if content is not None:
        config.write_text(content)
    assert run.main([f"--config={config}"]) == 2
    assert words in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize(
    ("switch", "words"),
    [("past_end=500", "past_end is one of empty"), ("pages=1", "no switch pages")],
)
def test_a_switch_that_does_not_exist_is_refused_with_those_that_do(
    capsys: pytest.CaptureFixture[str], switch: str, words: str
) -> None:
    with pytest.raises(SystemExit):
        parse_options(["--switch", switch])
    assert words in " ".join(capsys.readouterr().err.split())
