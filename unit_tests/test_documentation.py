"""What the pages say is what the code does, and their links lead somewhere."""

import re
from pathlib import Path
from urllib.parse import unquote

import pytest
import yaml

import source_kustomer
from docs.tables import (
    PAGE,
    PLANS,
    PROJECT,
    QUERIES,
    REGIONS,
    generated,
    regions,
    requests_a_minute,
)
from source_kustomer.config import DEFAULT_SHARE
from source_kustomer.custom import _BY_SUFFIX, METADATA_ROLE
from source_kustomer.errors import CAUSES, WARNINGS
from source_kustomer.rate_limit import Budget
from source_kustomer.streams import STREAMS

GUIDE = PAGE.read_text("utf-8")
CONTRIBUTING = (PROJECT / "CONTRIBUTING.md").read_text("utf-8")
PAGES = [
    *(PROJECT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md")),
    *sorted((PROJECT / "docs").rglob("*.md")),
]

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


RELATIVE_LINKS = [
    pytest.param(path, link, id=f"{page_name(path)}->{link}")
    for path in PAGES
    for link in dict.fromkeys(links(path))
]


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


@pytest.mark.parametrize(
    "role", [*(stream.role for stream in STREAMS), METADATA_ROLE], ids=lambda role: role
)
def test_a_role_stands_in_the_steps_of_the_setup(role: str) -> None:
    assert f"`{role}` |" in section(GUIDE, "Step 1: Set up Kustomer")


@pytest.mark.parametrize("stream", [stream.__name__.lower() for stream in STREAMS])
def test_a_stream_has_a_row_and_its_columns(stream: str) -> None:
    assert f"\n| `{stream}` |" in section(GUIDE, "Supported Streams")
    assert f"<summary>{stream}: " in section(GUIDE, "Supported Streams")


@pytest.mark.parametrize("suffix", _BY_SUFFIX)
def test_a_custom_suffix_is_explained_with_its_type(suffix: str) -> None:
    column = _BY_SUFFIX[suffix]
    kind = "timestamp" if "format" in column else column["type"][1]
    assert f"\n| `{suffix}` | {kind} |\n" in section(GUIDE, "Custom attributes")


def test_no_custom_suffix_is_explained_that_does_not_exist() -> None:
    explained = re.findall(r"^\| `(\w+)` \|", section(GUIDE, "Custom attributes"), re.MULTILINE)
    assert sorted(explained) == sorted(_BY_SUFFIX)


def test_every_failure_and_warning_says_what_happened_and_what_to_do() -> None:
    rows = re.findall(r"^\| (.+) \|$", section(GUIDE, "Error messages"), re.MULTILINE)[2:]
    told = re.findall(r"^\| (.+) \|$", section(GUIDE, "Warnings in the log"), re.MULTILINE)[2:]
    assert len(rows) == len(CAUSES)
    assert len(told) == len(WARNINGS)
    for row in rows + told:
        assert all(len(cell) >= 3 for cell in row.split(" | ")), row


@pytest.mark.parametrize("query", sorted(path.name for path in QUERIES.glob("*.sql")))
def test_a_query_is_linked_by_its_question(query: str) -> None:
    assert re.search(rf"\[[A-Z][^\]]+\?\]\(\.\./\.\./queries/{query}\)", GUIDE)


@pytest.mark.parametrize("limit", PLANS.values(), ids=PLANS)
def test_given_a_plan_when_its_limit_is_known_then_the_table_names_the_pace(limit: int) -> None:
    now = 0.0
    budget = Budget(DEFAULT_SHARE, clock=lambda: now)
    with budget.request() as ticket:
        headers = {"x-ratelimit-limit": str(limit), "x-ratelimit-remaining": str(limit - 1)}
        budget.learn(headers, ticket)
    now = 60.0
    assert budget.requests_a_minute == requests_a_minute(limit)
    assert re.search(
        rf"^\| requests a minute .*\| {requests_a_minute(limit):,} \|", GUIDE, re.MULTILINE
    )


def test_the_headings_stand_in_the_order_that_airbyte_asks_for() -> None:
    assert [heading for heading in headings(GUIDE) if heading in HEADINGS] == HEADINGS


def test_given_a_page_in_mdx_then_nothing_in_its_words_is_read_as_code() -> None:
    words = re.sub(r"<!--.*?-->", "", without_code(GUIDE), flags=re.DOTALL)
    assert set(re.findall(r"<[^>]*>?", words)) == {
        f"<{slash}{tag}>" for tag in ("HideInUI", "details", "summary") for slash in ("", "/")
    }
    assert not re.search(r"[{}]", words)


@pytest.mark.parametrize(("path", "link"), RELATIVE_LINKS)
def test_a_relative_link_leads_to_a_file_and_a_heading(path: Path, link: str) -> None:
    name, _, fragment = unquote(link).partition("#")
    target = path.parent / name if name else path
    assert target.exists()
    assert target.resolve().is_relative_to(PROJECT)
    if fragment:
        assert fragment in anchors(target.read_text("utf-8"))


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


@pytest.mark.parametrize("path", PAGES, ids=page_name)
def test_a_make_target_that_a_page_names_exists(path: Path) -> None:
    targets = set(
        re.findall(r"^([a-z]+):", (PROJECT / "Makefile").read_text("utf-8"), re.MULTILINE)
    )
    named = set(re.findall(r"(?:`|^)make ([a-z]+)", path.read_text("utf-8"), re.MULTILINE))
    assert named <= targets


def test_the_picture_of_the_house_names_every_module() -> None:
    modules = Path(source_kustomer.__file__).parent.glob("[a-z]*.py")
    assert {path.name for path in modules} <= set(re.findall(r"\b\w+\.py\b", CONTRIBUTING))


def test_the_readme_shows_the_example_that_is_run() -> None:
    example = (PROJECT / "docs" / "example.py").read_text()
    code = example[example.index("import airbyte") :]
    assert f"```python\n{code}```" in (PROJECT / "README.md").read_text()
