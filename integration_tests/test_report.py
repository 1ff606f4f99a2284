"""The page that `make try` leaves, in a real browser."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path

import pytest
from typing_extensions import override

from integration_tests.browser import render, served
from sandbox import Sandbox
from tools.tour.answers import QUESTIONS

pytestmark = pytest.mark.xdist_group("tour")

HOSTILE = (
    '<script>document.title = "taken"</script>',
    '"><img src=x onerror="document.title = 1">',
    "</pre></details><h1>not ours</h1>",
    "{{ 7 * 7 }} {% raw %}",
    "' OR 1=1; DROP TABLE customers; --",
)
# Measures the page in a frame as wide as a phone's screen, and writes what it finds.
FRAME = """<!doctype html><title></title>
<iframe src="report.html" style="border: 0; width: %dpx; height: 800px"></iframe>
<script>
onload = () => {
  const page = document.querySelector("iframe").contentDocument;
  const style = getComputedStyle(page.body);
  document.title = JSON.stringify({
    wide: page.documentElement.scrollWidth,
    screen: page.documentElement.clientWidth,
    cut: [...page.querySelectorAll(".rows td")].filter(
      (cell) => cell.scrollWidth > cell.clientWidth + 1).map((cell) => cell.textContent),
    background: style.backgroundColor,
    color: style.color,
  });
};
</script>
"""


class Page(HTMLParser):
    """What a document holds: its elements, its attributes, its text, and its title."""

    def __init__(self, document: str) -> None:
        super().__init__()
        self.elements: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.texts: list[str] = []
        self.feed(document)

    @override
    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]

    @override
    def handle_data(self, data: str) -> None:
        if data.strip():
            self.texts.append(data.strip())


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a tour left of an account in which somebody gave hostile names."""
    folder = tmp_path_factory.mktemp("report")
    with Sandbox(customers=150, conversations=150) as sandbox:
        for name, kind in (("teams", "name"), ("brands", "name"), ("users", "displayName")):
            for number, resource in enumerate(sandbox.lists[name]):
                resource["attributes"][kind] = HOSTILE[number % len(HOSTILE)]
        for number, customer in enumerate(sandbox.lists["customers"]):
            customer["attributes"]["custom"]["loyaltyTierStr"] = HOSTILE[number % len(HOSTILE)]
        sandbox.metadata["customer"]['<b onclick="x">"; DROP TABLE tags; --Str'] = {
            "displayName": "<i>hostile</i>"
        }
        (folder / "config.json").write_text(
            json.dumps({"org_name": "acme", "api_key": sandbox.key})
        )
        options = "--config", str(folder / "config.json"), "--into", str(folder)
        done = subprocess.run(
            [sys.executable, "-m", "tools.tour", *options],
            cwd=Path(__file__).parents[1],
            env={**os.environ, "KUSTOMER_API_URL": sandbox.url},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    return folder


@pytest.fixture(scope="module")
def address(folder: Path) -> Iterator[str]:
    """Where a browser finds it."""
    with served(folder) as address:
        yield address


def test_the_browser_has_nothing_to_say_against_the_page(folder: Path) -> None:
    _, console = render(f"file://{folder}/report.html")
    assert console == []


def test_the_page_needs_nothing_but_itself(folder: Path) -> None:
    page = Page((folder / "report.html").read_text())
    assert {"script", "link", "img", "iframe", "object", "form"}.isdisjoint(page.elements)
    assert {name for name, value in page.attributes if "://" in value} == set()
    assert {"src", "href", "onerror", "onclick", "onload"}.isdisjoint(n for n, _ in page.attributes)


def test_hostile_names_are_shown_as_text(folder: Path) -> None:
    document, _ = render(f"file://{folder}/report.html")
    page = Page(document)
    # Whatever the names hold, the browser made no element of it.
    assert {"script", "img", "b", "i"} & set(page.elements) == {"b"}
    assert page.elements.count("h1") == 1
    assert "What arrived from acme" in page.texts
    for name in HOSTILE:
        assert name in page.texts


def test_the_page_shows_tables_joins_answers_and_their_sql(folder: Path) -> None:
    page = Page((folder / "report.html").read_text())
    text = " ".join(page.texts)
    for question in QUESTIONS:
        assert f"docs/queries/{question.file}" in text
    assert page.elements.count("details") == len(QUESTIONS)
    assert "FROM conversations" in text
    for join in ("conversations.customerId", "conversations.assignedTeams", "teams.members"):
        assert join in page.texts
    # A bar for each table, and more for the answers; one picture of the joins.
    assert [value for name, value in page.attributes if name == "aria-label"].count(
        "The tables and their joins"
    ) == 1
    assert page.elements.count("svg") > 6 + len(QUESTIONS)


def test_a_key_that_may_read_all_is_told_so(folder: Path) -> None:
    text = " ".join(Page((folder / "report.html").read_text()).texts)
    assert "the key may read all six lists" in text


@pytest.mark.parametrize("width", [320, 390, 1200])
def test_the_page_fits_into(folder: Path, address: str, width: int) -> None:
    page = measured(folder, address, width=width)
    assert page.wide == page.screen
    # What is wider than its cell runs over the next one.
    assert page.cut == []


def test_the_page_is_light_or_dark_as_the_reader_likes(folder: Path, address: str) -> None:
    light, dark = (measured(folder, address, dark=dark) for dark in (False, True))
    assert light.background - light.ink > 150
    assert dark.ink - dark.background > 150


@dataclass(frozen=True)
class Measured:
    """How wide a page and its screen are, and how bright are background and ink, from 0 to 255.

    `cut` are the cells that are narrower than their text.
    """

    wide: int
    screen: int
    cut: list[str]
    background: float
    ink: float


def measured(folder: Path, address: str, width: int = 390, *, dark: bool = False) -> Measured:
    (folder / "frame.html").write_text(FRAME % width)
    document, _ = render(f"{address}/frame.html", dark=dark)
    found = json.loads(Page(document).texts[0])
    brightness = [
        sum(map(int, re.findall(r"\d+", found[name]))) / 3 for name in ("background", "color")
    ]
    return Measured(found["wide"], found["screen"], found["cut"], *brightness)
