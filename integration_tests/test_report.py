"""The page that `make try` leaves, in a real browser, and the questions that it answers."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import duckdb
import pytest
from typing_extensions import override

from docs.pictures import PICTURES, version
from integration_tests.browser import render, served
from sandbox import Sandbox
from source_kustomer.config import Config
from tools.tour.account import Account
from tools.tour.answers import Answer, Question, ask, questions
from tools.tour.charts import draw
from tools.tour.report import write_report

pytestmark = pytest.mark.xdist_group("tour")

QUESTIONS = {question.file: question for question in questions()}

HOSTILE = (
    '<script>document.title = "taken"</script>',
    '"><img src=x onerror="document.title = 1">',
    "</pre></details><h1>not ours</h1>",
    "{{ 7 * 7 }} {% raw %}",
    "' OR 1=1; DROP TABLE customers; --",
)
# Measures the page in a frame as wide as a screen, or as on paper, and writes what it finds.
FRAME = """<!doctype html><title></title>
<iframe src="report.html" style="border: 0; width: %dpx; height: 800px"></iframe>
<script>
onload = () => {
  const page = document.querySelector("iframe").contentDocument;
  for (const rule of %s ? page.styleSheets[0].cssRules : []) {
    if (!rule.media) continue;
    if (rule.media.mediaText == "print") rule.media.mediaText = "all";
    else if (rule.media.mediaText.includes("screen")) rule.media.mediaText = "not all";
  }
  const light = (color) => {
    const [r, g, b] = color.match(/[\\d.]+/g).map((part) => {
      const share = part / 255;
      return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const color = getComputedStyle(at).backgroundColor;
      if (!color.endsWith(", 0)")) return color;
    }
    return "rgb(255, 255, 255)";
  };
  const contrast = (color, element) => {
    const [low, high] = [light(color), light(behind(element))].sort((a, b) => a - b);
    return (high + 0.05) / (low + 0.05);
  };
  const least = (elements, color) =>
    Math.min(...elements.map((element) => contrast(color(getComputedStyle(element)), element)));
  const all = (selector) => [...page.querySelectorAll(selector)];
  const says = (element) => [...element.childNodes].some(
    (node) => node.nodeType == 3 && node.data.trim());
  document.title = JSON.stringify({
    wide: page.documentElement.scrollWidth,
    screen: page.documentElement.clientWidth,
    text: least(all("body :not(style):not(svg *)").filter(says), (style) => style.color),
    label: least(all("svg text"), (style) => style.fill),
    mark: least(all(".mark-rect path, .mark-symbol path"), (style) => style.fill),
    line: least(all(".mark-line path"), (style) => style.stroke),
    dashes: new Set(all(".mark-line path").map((line) => getComputedStyle(line).strokeDasharray))
      .size,
    folds: all("details").filter((fold) => fold.offsetHeight).length,
    background: light(behind(page.body)),
  });
};
</script>
"""


class Page(HTMLParser):
    """What a document holds: its elements, its attributes, and its text."""

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
def page(folder: Path) -> Page:
    """What it holds, as it was written."""
    return Page((folder / "report.html").read_text())


@pytest.fixture(scope="module")
def address(folder: Path) -> Iterator[str]:
    """Where a browser finds it."""
    with served(folder) as address:
        yield address


@pytest.fixture
def account(folder: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """The account's tables, to be changed."""
    (file,) = folder.glob("*.duckdb")
    with duckdb.connect() as connection:
        connection.execute(
            f"ATTACH '{file}' AS read (READ_ONLY); COPY FROM DATABASE read TO memory"
        )
        yield connection


def test_given_hostile_names_then_the_browser_shows_them_as_text(
    folder: Path,
) -> None:
    document, console = render(f"file://{folder}/report.html")
    assert console == []
    page = Page(document)
    # Whatever the names hold, the browser made no element of it.
    assert {"script", "img", "b", "i"} & set(page.elements) == {"b"}
    assert page.elements.count("h1") == 1
    assert "Customer support at acme" in page.texts
    for name in HOSTILE:
        assert name in page.texts


def test_given_the_page_of_today_then_the_pictures_of_the_readme_are_of_it() -> None:
    assert [path for path in PICTURES if version() not in path.read_bytes()] == [], "make pictures"


def test_given_the_page_then_it_needs_nothing_but_itself(page: Page) -> None:
    assert {"script", "link", "img", "iframe", "object", "form"}.isdisjoint(page.elements)
    names = {name for name, value in page.attributes if "://" in value}
    assert all(name.startswith("xmlns") for name in names)
    assert {"src", "href", "onerror", "onclick", "onload"}.isdisjoint(n for n, _ in page.attributes)


def test_given_the_questions_then_each_is_on_the_page_with_its_chart(page: Page) -> None:
    text = " ".join(page.texts)
    drawn = [value for name, value in page.attributes if name == "aria-label"]
    for question in QUESTIONS.values():
        assert question.title in text
        assert f"docs/queries/{question.file}" in text
        assert (question.title in drawn) == (question.chart not in {"number", "table"})
    charts = [question.chart for question in QUESTIONS.values()]
    assert {"number", "line", "histogram", "heatmap", "bars"} <= {*charts}
    assert charts.count("line") >= 2
    assert "the key may read all six lists" in text


@pytest.mark.parametrize(
    ("width", "way"), [(320, "light"), (390, "dark"), (1200, "light"), (700, "print")]
)
def test_given_a_screen_or_paper_then_the_page_fits_and_everything_can_be_told_apart(
    folder: Path, address: str, width: int, way: str
) -> None:
    (folder / "frame.html").write_text(FRAME % (width, json.dumps(way == "print")))
    document, _ = render(f"{address}/frame.html", dark=way != "light")
    found = json.loads(Page(document).texts[0])
    assert found["wide"] == found["screen"]
    assert min(found["text"], found["label"]) >= 4.5
    assert min(found["mark"], found["line"]) >= 3
    assert found["dashes"] >= 2
    assert (found["background"] < 0.1) == (way == "dark")
    assert (found["folds"] == 0) == (way == "print")


def test_given_no_names_to_lend_then_ids_answer(
    account: duckdb.DuckDBPyConnection,
) -> None:
    for table in ("brands", "tags", "teams", "users"):
        account.execute(f"DROP TABLE {table}")
    answers = {file: ask(account, question) for file, question in QUESTIONS.items()}
    assert {file: answer.unanswered for file, answer in answers.items() if answer.unanswered} == {
        "04_load_of_agents.sql": "There is no table users: this key may not read it.",
        "11_tags_in_use_and_deleted.sql": "There is no table tags: this key may not read it.",
    }
    by_team = answers["01_open_conversations_by_team.sql"]
    assert by_team.note.endswith("The key may not read teams: ids stand for names.")
    ids = account.execute("SELECT DISTINCT assignedTeams ->> 0 FROM conversations").fetchall()
    assert {team for team, _ in by_team.rows} <= {"(no team)", *(team for (team,) in ids)}
    account.execute("DROP TABLE conversations")
    answer = ask(account, QUESTIONS["14_open_now.sql"])
    assert answer.unanswered == "There is no table conversations: this key may not read it."


def test_given_an_attribute_of_the_account_then_it_takes_the_place_of_the_sandbox_s(
    account: duckdb.DuckDBPyConnection,
) -> None:
    asked, strange = QUESTIONS["03_customers_by_loyalty_tier.sql"], 'custom_" AS x; --Str'
    account.execute("ALTER TABLE customers DROP custom_loyaltyTierStr")
    account.execute("ALTER TABLE customers DROP custom_regionTree")
    needs = ask(account, asked).unanswered
    assert needs.startswith("This needs a text attribute of customers with 2 to 12 values")
    quoted = strange.replace('"', '""')
    account.execute(f'ALTER TABLE customers ADD COLUMN "{quoted}" VARCHAR')
    account.execute(f"""UPDATE customers SET "{quoted}" = 'kind ' || rev % 3""")
    answer = ask(account, asked)
    assert sorted(row[0] for row in answer.rows) == ["kind 0", "kind 1", "kind 2"]
    assert strange in answer.note


@pytest.mark.parametrize(
    ("text", "unanswered"),
    [
        ("-- Which?\n-- chart: pie n\nSELECT 1 AS n", "There is no chart pie"),
        ("-- Which?\n-- chart: bars m\nSELECT 'a', 1 AS n", "There are no numbers m"),
        ("-- Which?\n-- chart: bars n\nSELECT 1, 'a' AS n", "There are no numbers n"),
        ("-- Which?\nSELECT nothing FROM customers", "There is no column nothing here"),
        ("-- Which?\nSELECT 1 WHERE false", "There is nothing to count."),
        ("-- Which?\nSELEKT", "Parser Error"),
        ("SELECT 1 AS n", ""),
    ],
)
def test_given_a_file_that_somebody_adds_then_it_is_a_question(
    account: duckdb.DuckDBPyConnection, tmp_path: Path, text: str, unanswered: str
) -> None:
    (tmp_path / "99_mine.sql").write_text(text)
    (mine,) = questions(tmp_path)
    assert mine.title == ("Which?" if text.startswith("--") else "99_mine.sql")
    assert ask(account, mine).unanswered.startswith(unanswered)


def test_given_long_answers_and_names_then_they_are_whole_and_can_be_drawn(tmp_path: Path) -> None:
    asked = Question("1.sql", "Who?", "", "", "bars", ("n",))
    # Vega fails where it has to cut an emoji in two.
    rows = tuple(("🌸" * 60 + f" {number}", number) for number in range(1500))
    answer = Answer(asked, "", "", ("name", "n"), rows)
    assert "…" in draw(answer)
    whose = Account(tmp_path, Config.parse({"org_name": "acme", "api_key": "a" * 20}, {}), {})
    path = tmp_path / "report.html"
    write_report(path, whose, [], [], [answer], failures=[], refusals=[], warnings=[])
    page = Page(path.read_text())
    assert page.elements.count("tr") == 1 + 1000 + 1
    assert "All 1,500 rows and the query" in page.texts
    assert len((tmp_path / "1.csv").read_text().splitlines()) == 1 + 1500
