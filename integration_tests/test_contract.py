"""The contract's report says what a server did, for every server that was thought of."""

import contextlib
import io
import itertools
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from integration_tests.conftest import NewSandbox
from sandbox import LISTS, SWITCHES, Reply, Request, Sandbox
from sandbox.__main__ import parse_options
from source_kustomer.timing import Timing
from tools.contract import asking, run
from tools.contract.checks import ANSWERED, CHECKS, DIFFERENT, FAILED, SAME, Check
from tools.contract.checks import NOT_OBSERVABLE as UNSEEN
from tools.contract.observations import MADE_UP_KEY

PROJECT = Path(__file__).parents[1]
PROBE = "auth/tokens/current"
SIZES: dict[str, Any] = {"customers": 250, "conversations": 230, "tags": 130, "users": 25}

# The limit's minute, and with it the pace, is a moment.
TIMING = replace(asking.TIMING, window=0.2, backoff=0.01)

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

    @property
    def verdicts(self) -> list[str]:
        return [verdict for verdict, _ in self.rows.values()]

    def row(self, prefix: str) -> tuple[str, str]:
        """The row whose title begins so."""
        (found,) = (row for title, row in self.rows.items() if title.startswith(prefix))
        return found

    def assert_says(self, rows: Iterable[tuple[str, str, str]]) -> None:
        """Each row begins with its title, has its verdict, and holds its text."""
        for title, verdict, text in rows:
            assert self.row(title)[0] == verdict, title
            assert text in self.row(title)[1]
        assert FAILED not in self.verdicts
        assert len(self.sandbox.requests) <= asking.MOST_REQUESTS

    @property
    def options(self) -> dict[str, Any]:
        """The options of the sandbox that answers so."""
        (command,) = (line for line in self.written.splitlines() if "-m sandbox" in line)
        options = parse_options(shlex.split(command)[3:])
        return {name: value for name, value in options.items() if name != "ready_file"}


Contract = Callable[..., Report]
Play = Callable[[Sandbox], object]


def compared(folder: Path, sandbox: Sandbox, key: str = "", timing: Timing = TIMING) -> Report:
    """Run the contract in this process."""
    config, path, shown = folder / "config.json", folder / "report.md", io.StringIO()
    raw = {"org_name": "acme", "api_key": key or sandbox.key, "rate_limit_share": 100}
    config.write_text(json.dumps(raw))
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(shown):
        patch.setenv("COLUMNS", "80")
        patch.setenv("KUSTOMER_API_URL", sandbox.url)
        code = run.main(config, path, timing=timing)
    written = sorted(filter(Path.is_file, folder.glob("report*.md")), key=os.path.getmtime)
    return Report(code, shown.getvalue(), "".join(p.read_text() for p in written[-1:]), sandbox)


@pytest.fixture
def contract(tmp_path: Path, new_sandbox: NewSandbox) -> Contract:
    """Run it against a sandbox that was played with."""

    def run_it(*plays: Play, timing: Timing = TIMING, **options: Any) -> Report:
        sandbox = new_sandbox(**{**SIZES, **options})
        for play in plays:
            play(sandbox)
        return compared(tmp_path, sandbox, timing=timing)

    return run_it


@pytest.fixture(scope="module")
def documented(tmp_path_factory: pytest.TempPathFactory) -> Report:
    """The report on a sandbox that was not."""
    with Sandbox(**SIZES) as sandbox:
        return compared(tmp_path_factory.mktemp("documented"), sandbox)


Row = tuple[str, str, str]

# Rows of the report, by the beginning of their title.
DOCUMENTED: list[Row] = [
    ("The order", GUESSED, "only 3 brands"),
    ("Masked", ANSWERED, "phones 250"),
    ("Types", SAME, "converted: externalId: integer 5"),
    ("Attributes", GUESSED, "(custom objects) 25"),
    ("How doc", ANSWERED, "never came: externalId (6 teams)"),
    ("Metadata", SAME, "displayName string 12, type string 10"),
]


def test_given_the_sandbox_then_it_does_what_is_documented(documented: Report) -> None:
    documented.assert_says(DOCUMENTED)
    assert {*documented.verdicts} == {SAME, GUESSED, ANSWERED, UNSEEN}
    unseen = {title for title, (verdict, _) in documented.rows.items() if verdict == UNSEEN}
    assert unseen == {"Around 10,000 records", "Where sla is"}
    assert len(documented.rows) == len(CHECKS) == len({check.title for check in CHECKS})
    requests = documented.sandbox.requests
    assert {request.method for request in requests} == {"GET"}
    assert {r.key for r in requests if r.path[:4] != "/v1/"} == {MADE_UP_KEY}
    (agent,) = {request.headers["user-agent"] for request in requests}
    assert f"User-Agent `{agent}`" in documented.written
    assert documented.written.rindex(GUESSED) < documented.written.index("<details>")
    assert documented.written.index("): same") > documented.written.index("<details>")


def test_given_80_columns_then_nothing_is_cut(documented: Report) -> None:
    assert max(map(len, documented.shown.splitlines())) <= 80
    shown = " ".join(documented.shown.split())
    for title, (verdict, seen) in documented.rows.items():
        if verdict != SAME:
            assert title in shown
            assert " ".join(seen.split()) in shown


def test_every_check_has_the_number_of_a_quirk() -> None:
    page = (PROJECT / "CONTRIBUTING.md").read_text("utf-8").partition("## The API's quirks\n")[2]
    known = {int(line.partition(".")[0]) for line in page.splitlines() if line[:1].isdigit()}
    assert {check.quirk for check in CHECKS} <= known


# Switches that show beside each other, the lengths of lists that show them, and more of the report.
SWITCHED: list[tuple[dict[str, Any], dict[str, int], list[Row]]] = [
    ({"past_end": "onward", "order": "newest_first", "totals": "all", "numbers_as_text": True,
      "too_large": "refused", "default_page": 100, "links": "absolute", "parameters": "honoured",
      "reset": "milliseconds", "retry_after": "seconds", "missing_role": 401,
      "metadata": "closed", "error_form": "long_text", "unknown_organization": 401},
     {}, [("Parameters", OTHERWISE, "begins after the record (customers, page[after]")]),
    ({"past_end": "404", "last_link": "missing", "totals": "none", "largest_page": 100,
      "links": "object", "parameters": "refused", "reset": "iso", "reset_when": "always",
      "retry_after": "date", "probe_roles": False, "metadata": "404", "error_form": "short"},
     {"users": 200}, []),
    ({"past_end": "400", "last_link": "when_full", "links": "without_size", "reset": "none",
      "probe": False, "error_form": "html"}, {"customers": 300, "tags": 100}, []),
    ({"meta": "missing", "cap": "cut", "rate_headers": "never"}, {"customers": 10_050}, []),
    ({"cap": "refused", "rate_headers": "success"}, {"customers": 10_050}, []),
    ({"cap": "unlinked", "rate_headers": "exceeded"}, {"customers": 10_050},
     [("Around", OTHERWISE, "no link, then more records"),
      ("The link on", DIFFERENT, "null, but pages follow page 100")]),
    ({"cursors": ("conversations",)}, {"conversations": 900},
     [("The link on", SAME, "its cursors lead no further than 800 conversations"),
      ("The link to", DIFFERENT, "relative path with page[after] (conversations")]),
    ({"cursors": LISTS}, {}, [("The link on", SAME, "tags: 2 pages")]),
]  # fmt: skip


def test_every_value_of_every_switch_is_among_them() -> None:
    shown = {(name, value) for switches, *_ in SWITCHED for name, value in switches.items()}
    assert shown == {(name, value) for name, values in SWITCHES.items() for value in values[1:]}


@pytest.mark.parametrize(("switches", "lengths", "rows"), SWITCHED)
def test_given_switches_then_a_sandbox_with_those_of_the_report_is_the_same(
    contract: Contract, switches: dict[str, Any], lengths: dict[str, int], rows: list[Row]
) -> None:
    is_refused = not {"reset", "retry_after", "rate_headers"}.isdisjoint(switches)
    closed = ["brands"] if "missing_role" in switches else []
    plays = [exceeded(4, 0.1)] * is_refused
    report = contract(*plays, **lengths, **switches, closed=closed, limit=500)
    report.assert_says(rows)
    expected = dict(switches)
    if "cursors" in switches:
        # A list of one page does not show that it is read by cursors.
        readable = {"customers", "conversations", "tags"}
        expected["cursors"] = tuple(name for name in switches["cursors"] if name in readable)
    assert {name: value for name, value in report.options.items() if name in SWITCHES} == expected
    assert report.options["closed"] == closed


def test_given_a_report_when_replayed_then_the_verdicts_are_the_same(contract: Contract) -> None:
    report = contract(past_end="404", cursors=("tags",), limit=500, closed=["brands"])
    assert report.options["limit"] == 500
    again = contract(**{**report.options, "port": 0})
    assert again.options == report.options
    assert again.verdicts == report.verdicts


def answering(path: str, reply: Callable[[Sandbox, Request], Reply | None], first: int = 1) -> Play:
    """Answer the requests for a path, from a page on, with what `reply` returns."""

    def play(sandbox: Sandbox) -> None:
        place = f"/v1/{path}"
        sandbox.before(lambda r: reply(sandbox, r) if r.path == place and r.page >= first else None)

    return play


def changed(path: str, pattern: bytes, new: bytes) -> Play:
    """Change the documents of a path before they leave."""
    return answering(path, lambda s, r: Reply(200, re.sub(pattern, new, s.respond(r).content)))


def second(name: str, change: Callable[[Sandbox], None]) -> Play:
    """Change a list when its first page is asked for again."""
    return answering(name, lambda s, _: change(s) if len(s.of(name)) == 2 else None)


def front(sandbox: Sandbox, request: Request) -> Reply:
    return sandbox.respond(replace(request, params={"page": "1", "pageSize": "100"}))


def refuse(sandbox: Sandbox, _: Request) -> Reply:
    return sandbox.error(403, "forbidden", "")


def exceeded(number: int, seconds: float) -> Play:
    """Refuse one request for the limit."""
    return lambda s: s.before(lambda _: s.refusal(seconds) if len(s.requests) == number else None)


def odd_records(sandbox: Sandbox) -> None:
    tag, other = sandbox.lists["tags"][3:5]
    tag["attributes"] |= {"name": ["a"], "createdAt": "2024-01-01", "brandNew": 1}
    tag["relationships"] |= {"newKind": {"data": None}, "org": {"links": {"self": "/v1/orgs/1"}}}
    tag |= {"extra": {}, "links": {"self": "/tags/1"}}
    other["attributes"] |= {"name": "***", "color": "*** red"}
    conversations = sandbox.lists["conversations"]
    conversations[3]["attributes"]["sla"] = {}
    conversations[101] = conversations[3]
    for user in sandbox.lists["users"]:
        user["attributes"]["createdAt"] = "2024-01-01T00:00:00.000Z"
    user["attributes"]["custom"] = {"seniorityNum": "x", "shiftStr": ["x"]}


def reverse(sandbox: Sandbox) -> None:
    sandbox.lists["teams"].reverse()
    sandbox.touch()


NESTED = "[" * 200_000 + "]" * 200_000
HUGE = '{"meta": {"total": ' + "9" * 400 + '}, "data": [], "links": {"next": null}}'

# What a server does, and what its report says of it.
PLAYED: dict[str, tuple[dict[str, Any], list[Play], list[Row]]] = {
    "odd records, and a list without a role": ({"conversations": 1230, "closed": ("teams",)}, [
        odd_records
    ], [
        ("Types", DIFFERENT, "name: array of string 1; createdAt: string of another form 1"),
        ("Attributes", OTHERWISE, "extra 1, brandNew 1, newKind 1"),
        ("Relationships", DIFFERENT, "org 1"),
        ("Ids", DIFFERENT, "24 hexadecimals, its type 1"),
        ("Masked", ANSWERED, "none in 130 tags"),
        ("Where", ANSWERED, "attributes 1"),
        ("Custom", DIFFERENT, "string 1 (Num:"),
        ("Metadata", DIFFERENT, "1 without their arrays (users"),
        ("The first page", DIFFERENT, "records repeat on the next page (conversations"),
        ("The order", OTHERWISE, "by updatedAt, ascending (users"),
        ("The page after", GUESSED, "conversations: 1 page"),
        ("The list of teams", UNSEEN, "the key may not read it (403)"),
        ("What a role", GUESSED, "403 without its role (teams"),
    ]),
    "odd pages": ({}, [
        answering("tags", front, 3), answering("customers", lambda *_: Reply(200, {}), 4),
        answering("conversations", lambda *_: Reply(200, {"data": None}), 4),
        answering("teams", lambda *_: Reply(500)), answering("brands", lambda *_: Reply(200, HUGE)),
        answering(PROBE, lambda s, r: s.respond(r)),
        second("users", lambda s: s.insert("users", 2)),
    ], [
        ("The page after", OTHERWISE, "200, the first page again"),
        ("The page after", OTHERWISE, "data that is no list (conversations"),
        ("The page after", OTHERWISE, "200, no data (customers"),
        ("The list of teams", DIFFERENT, "page 1: 500"),
        ("The list of brands", SAME, "200 (0 brands)"),
        ("Rate-limit", OTHERWISE, "neither (key: 2 of them"),
        ("The first page", SAME, "new records in front (users"),
    ]),
    "odd answers": ({}, [
        answering("tags", refuse, 2), answering("brands", refuse),
        answering("users", lambda *_: Reply(200, NESTED)),
        changed("customers", rb'"next": ?"[^"]+"', b'"next":null'), second("teams", reverse),
        changed("conversations", rb'"pageSize": ?\d+', b'"pageSize":1000'),
    ], [
        ("The list of users", DIFFERENT, "page 1: 200 without JSON"),
        ("The list of tags", DIFFERENT, "page 2: 403"),
        ("What a role", OTHERWISE, "403 with its role (brands: org.permission.brand.read)"),
        ("The link on", DIFFERENT, "null, but pages follow page 1"),
        ("The largest", OTHERWISE, "100, but meta.pageSize tells 1000"),
        ("The first page", DIFFERENT, "another order (teams"),
    ]),
    "page 1 after 10,000": ({"customers": 10_150}, [
        answering("customers", front, 101), answering(PROBE, refuse),
    ], [
        ("Around", OTHERWISE, "a link, then no new record"),
        ("The account", DIFFERENT, "403 (read as: "),
    ]),
    "a 429": ({}, [exceeded(9, 1.2), second("users", lambda s: s.remove("users", 1, at=4))], [
        ("x-rate", GUESSED, "epoch seconds (429: 1 of them)"),
        ("The first page", SAME, "records removed in between (users"),
    ]),
}  # fmt: skip


@pytest.mark.parametrize("played", PLAYED)
def test_given_a_server_then_the_report_says_what_it_did(contract: Contract, played: str) -> None:
    options, plays, rows = PLAYED[played]
    report = contract(*plays, **options)
    report.assert_says(rows)
    # What the server asks to wait is waited for with words.
    assert ("asks to wait: " in report.shown) == (429 in report.sandbox.statuses)


PAGE = Reply(503, "<html>Back soon", {"Content-Type": "text/html"})
LONG = Reply(429, "", {"Retry-After": "3600"})


@pytest.mark.parametrize(
    ("after", "reply", "words"),
    [
        (0, PAGE, "web page"),
        (0, replace(PAGE, status=200), "web page"),
        (0, Reply(302, "", {"Location": "https://login.example"}), "redirect"),
        (0, Reply(407), "proxy"),
        (0, LONG, "rate limit"),
        (0, Reply(429, "", {"Retry-After": "0"}), "rate limit"),
        (0, Reply(reset=True), "connect to"),
        (0, Reply(hang=1.0), "in time"),
        (20, Reply(500), "status 500"),
        (20, LONG, "rate limit"),
    ],
    ids=["503", "200", "302", "407", "long", "for ever", "reset", "silence", "500", "long, later"],
)
def test_given_an_outage_then_it_ends_in_a_sentence_and_leaves_the_last_report(
    tmp_path: Path, contract: Contract, after: int, reply: Reply, words: str
) -> None:
    last = tmp_path / "report.md"
    last.write_text("yesterday's")

    def break_down(sandbox: Sandbox) -> None:
        sandbox.before(lambda _: reply if len(sandbox.requests) > after else None)

    report = contract(break_down, timing=replace(TIMING, response=0.2, silence=0.2))
    assert report.code == 1
    assert words in " ".join(report.shown.split())
    assert last.read_text() == "yesterday's"
    assert len(report.sandbox.requests) <= after + 6
    assert ("Unfinished" in report.written) == (after > 0)
    assert FAILED not in report.verdicts


@pytest.mark.parametrize(
    ("flaw", "cause"),
    [
        ("expired", "401 (read as: expired key)"),
        ("other_region", "401 (read as: other region)"),
        ("ip_restricted", "403 (read as: ip restricted)"),
    ],
)
def test_given_a_key_that_opens_nothing_then_that_is_an_answer_all_the_same(
    tmp_path: Path, sandbox: Sandbox, flaw: str, cause: str
) -> None:
    report = compared(tmp_path, sandbox, sandbox.add_key(**{flaw: True}))
    assert report.code == 1
    assert [path.name for path in tmp_path.glob("*.md")] == ["report-unfinished.md"]
    assert cause in report.row("The account")[1]
    assert report.verdicts.count(DIFFERENT) == 1


@pytest.mark.parametrize(
    ("bound", "value", "words"),
    [("MOST_REQUESTS", 20, "the requests were used up"), ("LONGEST_RUN", 0.3, "the time was used")],
)
def test_given_a_bound_then_what_was_not_asked_for_is_not_observable(
    contract: Contract, monkeypatch: pytest.MonkeyPatch, bound: str, value: float, words: str
) -> None:
    monkeypatch.setattr(asking, bound, value)
    report = contract(latency=0.02)
    assert report.code == 0
    assert report.row("Metadata")[0] == UNSEEN
    assert words in report.row("Metadata")[1]
    assert DIFFERENT not in report.verdicts


@pytest.mark.parametrize(("window", "told"), [("sliding", "slides"), ("fixed", "fixed")])
def test_given_almost_a_minute_then_it_shows_how_it_is_counted(
    contract: Contract, window: str, told: str
) -> None:
    timing = replace(TIMING, window=9.0)
    report = contract(timing=timing, window=window, window_seconds=9.0)
    assert f"seen: {told}" in report.row("How the")[1]
    assert "to see how the limit's minute is counted" in " ".join(report.shown.split())
    assert report.options["window"] == window


def test_given_a_check_that_fails_then_it_says_so_and_the_others_stand(
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


@pytest.mark.parametrize(
    ("documents", "status"), [*(([document], 200) for document in ODD), (ODD, 400)]
)
def test_whatever_comes_every_check_ends(
    contract: Contract, documents: list[Any], status: int
) -> None:
    def reply(sandbox: Sandbox) -> None:
        turns = itertools.cycle(json.dumps(document) for document in documents)
        sandbox.before(lambda _: Reply(status, next(turns)))

    report = contract(reply)
    report.assert_says([])
    assert len(report.rows) == len(CHECKS)


MARK, NUMBER = "zq", 8_191_817


def marked(value: Any, *, is_own: bool = False) -> Any:
    """Mark every value, and the names of members that are an organization's."""
    if isinstance(value, dict):
        return {
            f"{MARK}-{k}" if is_own else k: marked(v, is_own=is_own or k in {"custom", "meta"})
            for k, v in value.items()
        }
    if isinstance(value, list):
        return [marked(item, is_own=is_own) for item in value]
    if isinstance(value, str):
        return f"{MARK}-{value}"
    return value if isinstance(value, bool) or value is None else NUMBER


def mark_everything(sandbox: Sandbox) -> str:
    """Return a key that is marked too."""
    custom = {"custom": {f"{MARK}Str": MARK, f"{MARK}Own": 1}, f"{MARK}Str": 1, f"{MARK}Own": 2}
    classes = {
        f"{MARK}-orders": {"links": {"self": f"/{MARK}"}, "meta": {}},
        f"{MARK}orders": {"links": {"self": f"/v1/kobjects/{MARK}"}},
    }
    for resource in itertools.chain(*sandbox.lists.values()):
        resource["attributes"] = marked(resource["attributes"]) | custom
        resource["relationships"] = marked(resource["relationships"]) | classes
        resource["id"], resource["type"] = f"{MARK}{resource['id']}", MARK
        resource[f"{MARK}-Member"] = resource["links"] = {"self": MARK}
    for properties in sandbox.metadata.values():
        properties |= {f"{MARK}Str": {"displayName": MARK, f"{MARK}-kind": MARK}}
    sandbox.before(lambda request: marked_reply(request, len(sandbox.requests)))
    key = f"{MARK}-key-of-the-account-5f1e27"
    sandbox.keys[key] = sandbox.keys[sandbox.key]
    return key


# What is answered in place of the sandbox, every part of it marked.
MARKED: dict[str, Any] = {
    PROBE: {"data": {"attributes": {"roles": [MARK], "name": MARK}}},
    "teams": {
        "data": [],
        "meta": {MARK: MARK, "total": MARK},
        "links": {"next": f"https://{MARK}.example/v1/teams"},
    },
    "brands": {
        "data": [{"id": MARK}],
        "meta": dict.fromkeys(("page", "pageSize", "total"), NUMBER),
        "links": {"next": f"?{MARK}-1={MARK}"},
    },
}


def marked_reply(request: Request, count: int) -> Reply | None:
    headers = dict.fromkeys(("x-ratelimit-limit", "x-ratelimit-remaining", "Retry-After"), MARK)
    headers |= {"x-ratelimit-reset": f"{MARK}-1", MARK: MARK}
    name = request.path.removeprefix("/v1/")
    if count == 5 or request.key == MADE_UP_KEY:
        body = {"errors": [{MARK: MARK, "detail": MARK, "status": MARK}]}
        return Reply(429 if count == 5 else 401, body, headers)
    if name in MARKED:
        return Reply(200, MARKED[name], headers)
    if name.startswith((*LISTS, "metadata")):
        return None
    return Reply(301, f"<html>{MARK}", {**headers, "Location": f"https://{MARK}.example/v1"})


def test_given_an_account_then_the_report_holds_nothing_of_it(
    tmp_path: Path, new_sandbox: NewSandbox
) -> None:
    sandbox = new_sandbox(**SIZES)
    report = compared(tmp_path, sandbox, mark_everything(sandbox))
    assert report.code == 0
    assert len(report.rows) == len(CHECKS)
    # Enough was seen that there was something to give away.
    assert sum(verdict != UNSEEN for verdict in report.verdicts) > 25
    for text in (report.written, report.shown):
        assert MARK not in text.lower()
        assert str(NUMBER) not in text.replace(",", "")
        assert report.sandbox.url.rpartition(":")[2] not in text
        assert "acme" not in text


@pytest.mark.parametrize("count", [0, 30])
def test_given_an_interrupt_then_what_was_seen_is_left_and_no_traceback(
    new_sandbox: NewSandbox, tmp_path: Path, count: int
) -> None:
    sandbox, config, report = new_sandbox(**SIZES), tmp_path / "config.json", tmp_path / "report.md"
    config.write_text(json.dumps({"org_name": "acme", "api_key": sandbox.key}))
    report.write_text("yesterday's")
    with subprocess.Popen(
        [sys.executable, "-m", "tools.contract", config, report],
        cwd=PROJECT,
        env={**os.environ, "KUSTOMER_API_URL": sandbox.url},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as running:

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
    assert report.read_text() == "yesterday's"
    assert (tmp_path / "report-unfinished.md").exists() == (count > 0)


def test_given_no_configuration_then_the_contract_ends_in_a_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run.main(tmp_path / "config.json") == 2
    assert "There is no " in capsys.readouterr().out


def test_given_a_place_that_cannot_be_written_then_the_contract_ends_in_a_sentence(
    tmp_path: Path, sandbox: Sandbox
) -> None:
    (tmp_path / "report.md").mkdir()
    report = compared(tmp_path, sandbox)
    assert report.code == 1
    assert "cannot be used: " in " ".join(report.shown.split())


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
