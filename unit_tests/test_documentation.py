"""What the pages say is what the code does, and their links lead somewhere."""

import re
from pathlib import Path
from urllib.parse import unquote

import yaml
from fakes import BASE, Reply, ScriptedTransport, VirtualClock, by_path, page
from source_kustomer.api.probe import Probe

import source_kustomer
from docs.tables import (
    PAGE,
    PLANS,
    PROJECT,
    REGIONS,
    generated,
    regions,
    requests_a_minute,
)
from source_kustomer.api.client import Client, Target
from source_kustomer.api.headers import RateHeaders
from source_kustomer.api.rate_limit import RateLimiter
from source_kustomer.config import DEFAULT_SHARE
from source_kustomer.errors import CAUSES, WARNINGS
from source_kustomer.schema import METADATA_ROLE, custom_columns
from source_kustomer.streams import STREAMS

GUIDE = PAGE.read_text("utf-8")
CONTRIBUTING = (PROJECT / "CONTRIBUTING.md").read_text("utf-8")
PAGES = [
    *(PROJECT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md")),
    *sorted((PROJECT / "docs").rglob("*.md")),
]

# What Kustomer documents that the names of custom attributes end with.
SUFFIXES = {"Str", "Txt", "Url", "Id", "Tree", "Num", "At", "Bool"}

# The order that Airbyte asks for; others may stand between.
HEADINGS = [
    "Kustomer",
    "Prerequisites",
    "Setup guide",
    "Step 1: Set up Kustomer",
    "Step 2: Set up the Kustomer connector in Airbyte",
    "For Airbyte Cloud:",
    "For Airbyte Open Source:",
    "Supported sync modes",
    "Supported Streams",
    "IP allow list",
    "Data type map",
    "Limitations & Troubleshooting",
    "Changelog",
]


def page_name(path: Path) -> str:
    return str(path.relative_to(PROJECT))


def without_code(page: str) -> str:
    return re.sub(r"```.*?```|`[^`\n]*`", "", page, flags=re.DOTALL)


def headings(page: str) -> list[str]:
    return re.findall(r"^#+ (.+)$", re.sub(r"```.*?```", "", page, flags=re.DOTALL), re.MULTILINE)


def anchors(page: str) -> set[str]:
    """The fragments by which a page's headings are linked."""
    return {re.sub(r"[^\w\- ]", "", h).strip().lower().replace(" ", "-") for h in headings(page)}


def links(path: Path) -> list[str]:
    page = without_code(path.read_text("utf-8"))
    found = re.findall(r"\]\(\s*<?([^)\s>]+)", page) + re.findall(r'(?:src|href)="([^"]+)"', page)
    return [link for link in found if not re.match(r"[a-z]+:", link)]


def section(page: str, heading: str) -> str:
    """The text under a heading, down to the next one."""
    return re.split(r"^#+ ", page.split(f"# {heading}\n", 1)[1], maxsplit=1, flags=re.MULTILINE)[0]


def test_given_the_code_of_today_then_every_generated_region_is_current() -> None:
    assert sorted(regions(GUIDE)) == sorted(REGIONS)
    assert generated(GUIDE) == GUIDE, "run `make docs`"


def test_given_a_region_with_old_words_then_they_are_replaced() -> None:
    begin = GUIDE.index("<!-- begin roles")
    begin = GUIDE.index("\n", begin)
    end = GUIDE.index("<!-- end roles")
    assert generated(f"{GUIDE[:begin]}\nold words\n{GUIDE[end:]}") == GUIDE


def test_every_role_stands_in_the_steps_of_the_setup() -> None:
    steps = section(GUIDE, "Step 1: Set up Kustomer")
    roles = [*(stream.role for stream in STREAMS), METADATA_ROLE]
    assert [role for role in roles if f"`{role}` |" not in steps] == []


def test_every_stream_has_a_row_and_its_columns() -> None:
    streams = section(GUIDE, "Supported Streams")
    names = [stream.__name__.lower() for stream in STREAMS]
    assert [name for name in names if f"\n| `{name}` |" not in streams] == []
    assert re.findall(r"<summary>(\w+): ", streams) == names


def test_every_custom_suffix_is_explained_with_its_type(
    client: Client, transport: ScriptedTransport
) -> None:
    rows = re.findall(
        r"^\| `(\w+)` \| (\w+) \|$", section(GUIDE, "Custom attributes"), re.MULTILINE
    )
    assert {suffix for suffix, _ in rows} == SUFFIXES
    properties: dict[str, object] = {f"a{suffix}": {} for suffix in SUFFIXES}
    metadata = Reply(body={"data": {"attributes": {"properties": properties}}})
    transport.script = by_path({"metadata/user": metadata}, otherwise=Reply(body=page()))
    target = Target.of_list("users", "")
    columns = custom_columns(client, Probe(client), target, f"{BASE}users", "users", "user")
    for suffix, kind in rows:
        column = columns[f"custom_a{suffix}"]
        assert kind == ("timestamp" if "format" in column else column["type"][1]), suffix


def test_every_failure_and_warning_says_what_happened_and_what_to_do() -> None:
    rows = re.findall(r"^\| (.+) \|$", section(GUIDE, "Error messages"), re.MULTILINE)[2:]
    told = re.findall(r"^\| (.+) \|$", section(GUIDE, "Warnings in the log"), re.MULTILINE)[2:]
    assert len(rows) == len(CAUSES)
    assert len(told) == len(WARNINGS)
    for row in rows + told:
        assert all(len(cell) >= 3 for cell in row.split(" | ")), row


def test_the_pace_of_each_plan_is_what_the_limiter_keeps_to() -> None:
    for limit in PLANS.values():
        clock = VirtualClock()
        limiter = RateLimiter(DEFAULT_SHARE, clock=clock)
        headers = {"x-ratelimit-limit": str(limit), "x-ratelimit-remaining": str(limit - 1)}
        with limiter.request() as observe:
            observe(RateHeaders.parse(headers, clock.time()))
        assert limiter.requests_per_minute == requests_a_minute(limit)
    row = " | ".join(f"{requests_a_minute(limit):,}" for limit in PLANS.values())
    assert f"| requests a minute at {DEFAULT_SHARE} % | {row} |" in GUIDE


def test_the_headings_stand_in_the_order_that_airbyte_asks_for() -> None:
    assert [heading for heading in headings(GUIDE) if heading in HEADINGS] == HEADINGS


def test_given_a_page_in_mdx_then_nothing_in_its_words_is_read_as_code() -> None:
    words = re.sub(r"<!--.*?-->", "", without_code(GUIDE), flags=re.DOTALL)
    assert set(re.findall(r"<[^>]*>?", words)) == {
        f"<{slash}{tag}>" for tag in ("HideInUI", "details", "summary") for slash in ("", "/")
    }
    assert not re.search(r"[{}]", words)


def leads_nowhere(path: Path, link: str) -> bool:
    name, _, fragment = unquote(link).partition("#")
    target = path.parent / name if name else path
    if not target.exists() or not target.resolve().is_relative_to(PROJECT):
        return True
    return bool(fragment) and fragment not in anchors(target.read_text("utf-8"))


def test_every_relative_link_leads_to_a_file_and_a_heading() -> None:
    found = [(path, link) for path in PAGES for link in links(path)]
    assert len({path for path, _ in found}) > 1
    broken = [f"{page_name(path)}: {link}" for path, link in found if leads_nowhere(path, link)]
    assert broken == []


def test_the_newest_version_of_the_changelogs_is_the_version() -> None:
    project = (PROJECT / "pyproject.toml").read_text("utf-8")
    version = re.search(r'^version = "([^"]+)"', project, re.MULTILINE)
    metadata = yaml.safe_load((PROJECT / "metadata.yaml").read_text("utf-8"))["data"]
    rows = re.findall(r"^\| (\d+\.\d+\.\d+) \|", section(GUIDE, "Changelog"), re.MULTILINE)
    changelog = (PROJECT / "CHANGELOG.md").read_text("utf-8")
    released = re.findall(r"^## (\d+\.\d+\.\d+)", changelog, re.MULTILINE)
    assert version
    assert rows[0] == released[0] == version[1] == metadata["dockerImageTag"]
    assert rows == released


def test_every_make_target_that_a_page_names_exists() -> None:
    targets = set(
        re.findall(r"^([a-z]+):", (PROJECT / "Makefile").read_text("utf-8"), re.MULTILINE)
    )
    for path in PAGES:
        named = set(re.findall(r"(?:`|^)make ([a-z]+)", path.read_text("utf-8"), re.MULTILINE))
        assert named <= targets, page_name(path)


def test_the_picture_of_the_house_names_every_module_or_its_folder() -> None:
    house = Path(source_kustomer.__file__).parent
    named = set(re.findall(r"[\w/]+\.py\b|\b\w+/(?=`)", CONTRIBUTING))
    named |= {name.rpartition("/")[2] for name in named}
    modules = [path.relative_to(house) for path in house.rglob("[a-z]*.py")]
    unnamed = [str(m) for m in modules if not {m.name, f"{m.parent}/"} & named]
    assert unnamed == []


def test_every_module_that_the_guide_for_contributors_names_exists() -> None:
    folders = ("source_kustomer", "sandbox", "tools", "unit_tests", "integration_tests", "docs")
    files = {path.name for folder in folders for path in (PROJECT / folder).rglob("*.py")}
    named = {name.rpartition("/")[2] for name in re.findall(r"[\w/]+\.py\b", CONTRIBUTING)}
    assert named - files == set()


def test_the_readme_shows_the_example_that_is_run() -> None:
    example = (PROJECT / "docs" / "example.py").read_text()
    code = example[example.index("import airbyte") :]
    assert f"```python\n{code}```" in (PROJECT / "README.md").read_text()
