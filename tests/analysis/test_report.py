"""The page is whole, works in a browser, and asks the network for nothing."""

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import pytest

from rethinking import paths
from rethinking.analysis.collect import collect
from rethinking.analysis.inference.looks import weights
from rethinking.analysis.questions import question
from rethinking.analysis.report import report
from rethinking.analysis.report.answers import VERDICTS, needed_at_all, verdict, with_known_answer
from rethinking.analysis.report.evidence import ledger
from rethinking.analysis.tidy import read_results
from rethinking.configuration.cell import PAPER
from rethinking.errors import UserError
from rethinking.runs.store import RunStore
from tests.analysis.conftest import NCI1, NOISE, fill

Call = Callable[..., subprocess.CompletedProcess[str]]
BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-component-update",
    "--disable-background-networking", "--disable-sync", "--enable-logging=stderr", "--v=0",
]  # fmt: skip

# Sorts the table of comparisons by its sixth column, twice; then asks for the rows of uniform. Also measures how far
# right the verdicts and the page reach. In a frame, since Chromium's own window is never narrower than 500 pixels.
PROBE = """<script>
const table = document.querySelector("#verdict table.tools"), button = table.querySelectorAll("th button")[5];
const column = () => [...table.tBodies[0].rows].map(row => row.cells[5].textContent);
button.click();
const up = column();
button.click();
const down = column();
const input = document.querySelector("#verdict input");
input.value = "uniform ZINC";
input.dispatchEvent(new Event("input"));
const shown = [...table.tBodies[0].rows].filter(row => !row.hidden).length;
const page = document.documentElement, wide = page.scrollWidth - page.clientWidth;
const verdicts = [...table.tHead.rows[0].cells].findIndex(head => head.textContent === "on this data set");
const place = cell => cell.getBoundingClientRect(), cells = [...table.tBodies[0].rows].find(row => !row.hidden).cells;
const right = place(cells[verdicts]).right - page.clientWidth;
// Cells that begin where no other is further left or, among those, further up.
const first = [...cells].sort((a, b) => place(a).left - place(b).left || place(a).top - place(b).top)[0];
const before = table.tHead.rows[0].cells[first.cellIndex].textContent;
const wider = inner => place(inner).width > inner.parentNode.clientWidth + 1;
const scrolls = [...document.querySelectorAll("table.leads")].filter(wider).length;
const figures = [...document.querySelectorAll("#verdict figure")].filter(figure => figure.offsetParent !== null);
const cut = figures.filter(figure => wider(figure.querySelector("svg"))).length;
const told = {up, down, shown, wide, right, before, scrolls, figures: figures.length, cut, width: innerWidth};
document.title = JSON.stringify(told);
</script></body>"""


FRAME = """<!DOCTYPE html><title></title><iframe style="width: {width}px; height: 900px; border: 0"></iframe><script>
const frame = document.querySelector("iframe");
frame.onload = () => document.title = frame.contentDocument.title;
frame.srcdoc = {page};
</script>"""


class Outline(HTMLParser):
    """Whether every element is closed, and what there is."""

    void = frozenset({"meta", "link", "input", "br"})

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.rows = 0

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.ids += [value for name, value in attributes if name == "id" and value]
        self.rows += tag == "tr"
        if tag not in self.void:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.void:
            assert self.open.pop() == tag, f"</{tag}> closes another element"


@pytest.fixture(scope="module")
def page(store: RunStore, tmp_path_factory: pytest.TempPathFactory) -> str:
    """From collected results, as the repository's own."""
    folder = tmp_path_factory.mktemp("report")
    collect(store, folder / "results")
    return report(read_results(RunStore(folder / "none"), folder / "results"))


def test_the_page_is_whole(page: str) -> None:
    outline = Outline()
    outline.feed(page)
    assert not outline.open
    assert len(outline.ids) == len(set(outline.ids)), "an id is there twice"
    for section in (
        "verdict",
        "sure",
        "controls",
        "tables",
        "figures",
        "curves",
        "clusters",
        "fidelity",
        "runs",
    ):
        assert section in outline.ids and f'href="#{section}"' in page
    # Every run has its row, and every cell its settings.
    assert outline.rows > 185 and page.count("convs_before_pool") > 2
    # The answer comes first, then the forest, each data set, and all comparisons.
    order = ["Over 4 comparisons", "<svg", "Each data set by itself", "Local against each non-local variant"]
    places = [page.index(text) for text in order]
    assert places == sorted(places)


def test_the_ledger_has_all_its_rows() -> None:
    text = (paths.PACKAGE.parent / "docs" / "fidelity.md").read_text()
    numbers = re.findall(r"^\| (\d+) \|", text, re.MULTILINE)
    shown = [row[0] for table in ledger().tables for row in table.rows]
    assert shown == numbers == [str(n) for n in range(1, len(numbers) + 1)]
    assert all(len(row) == len(table.columns) for table in ledger().tables for row in table.rows)


def test_it_is_explained_by_what_the_configuration_asks(page: str) -> None:
    text = " ".join(re.sub("<[^>]*>", "", page).split())
    asked = question()
    for n, share in zip(asked.looks, weights(asked.looks), strict=True):
        assert f"{100 * share:.0f} % at {n} seeds" in text
    assert "p(i) ≤ (i / m) · 5 %" in text and "d̄ ± tK−1 · s / √K" in text
    assert "Holm" not in text


def test_controls_stand_by_themselves(tmp_path: Path) -> None:
    store = RunStore(tmp_path / "runs")
    for variant, scores in (("learned", 0.95 + 0.005 * NOISE), ("complement", 0.55 + 0.004 * NOISE[::-1])):
        words = f"model=graclus dataset=control_local pooling={variant} model.convs_before_pool=1"
        fill(store, words, scores)
    results, asked = read_results(store, tmp_path / "none"), question()
    said, nothing = verdict(results, PAPER, asked)
    assert "There is nothing to compare" in said and nothing is None
    section = with_known_answer(results, PAPER, asked)
    known, comparisons, scores_of_it = section.tables
    assert known.rows[0][:1] + known.rows[0][2:3] == ["Control, local", "1 of 1: local better by more than 1 point"]
    assert "Local clusters are needed" in known.rows[0][1]
    assert comparisons.leads == VERDICTS and VERDICTS[0] in comparisons.looks[0]
    assert "54.9" in str(scores_of_it.rows)


def test_whether_pooling_is_needed_is_asked_of_models_without(tmp_path: Path) -> None:
    store = RunStore(tmp_path / "runs")
    fill(store, "model=graclus dataset=nci1 pooling=learned", 0.8 + 0.01 * NOISE)
    asked = question()
    assert needed_at_all(read_results(store, tmp_path / "none"), PAPER, asked) is None
    fill(store, "model=global_mean dataset=nci1 pooling=none", 0.85 + 0.01 * NOISE[::-1])
    section = needed_at_all(read_results(store, tmp_path / "none"), PAPER, asked)
    assert section is not None and "Against global_mean: on NCI1, no pooling differs" in section.words[1]
    assert "no pooling better by more than 1 point" in section.tables[1].rows[0]


def test_where_nothing_is_left_out_nothing_is_counted_twice(tmp_path: Path) -> None:
    store = RunStore(tmp_path / "runs")
    fill(store, "model=graclus dataset=nci1 pooling=learned", 0.8 + 0.01 * NOISE)
    fill(store, "model=global_mean dataset=nci1 pooling=none", 0.85 + 0.01 * NOISE[::-1])
    section = needed_at_all(read_results(store, tmp_path / "none"), PAPER, question(left_out=[]))
    assert section is not None and len(section.tables[1].rows) == 1


def test_nothing_is_fetched(page: str) -> None:
    assert not re.search(r"""(src|href)\s*=\s*["']?(https?:)?//""", re.sub(r"xmlns\S*", "", page))
    assert "@import" not in page


@pytest.mark.skipif(BROWSER is None, reason="no Chromium here")
@pytest.mark.parametrize("width", [1200, 400])
def test_sorting_and_filtering_work_in_a_browser(page: str, tmp_path: Path, width: int) -> None:
    probed = json.dumps(page.replace("</body>", PROBE)).replace("</", r"<\/")
    (tmp_path / "report.html").write_text(FRAME.format(width=width, page=probed))
    command = [str(BROWSER), *FLAGS, f"--user-data-dir={tmp_path}/profile", "--window-size=1300,950", "--dump-dom"]
    result = subprocess.run(
        [*command, (tmp_path / "report.html").as_uri()], capture_output=True, text=True, timeout=120
    )
    title = re.search(r"<title>(.*?)</title>", result.stdout)
    assert title is not None, result.stderr[-2000:]
    seen = json.loads(title[1].replace("&quot;", '"'))
    numbers = [float(re.split(r"[ \[]", text)[0]) for text in seen["up"]]
    assert numbers == sorted(numbers) and seen["down"] == seen["up"][::-1]
    assert seen["shown"] == 1
    assert seen["width"] == width
    assert seen["wide"] <= 0, "the page is wider than the window"
    assert seen["right"] <= 0, "one has to scroll to see the verdict"
    assert seen["before"] == ("on this data set" if width == 400 else "data set")
    assert not seen["scrolls"], "a table of verdicts is wider than its box"
    assert seen["figures"] == (2 if width == 400 else 1), (
        "the answer in brief is for narrow pages, and a forest for each"
    )
    assert not seen["cut"], "a picture of verdicts is wider than its box"
    console = [line for line in result.stderr.splitlines() if "CONSOLE" in line]
    assert not console, console


def test_of_another_fidelity_there_is_nothing(store: RunStore) -> None:
    with pytest.raises(UserError, match="no finished runs with fidelity=released_code"):
        report(read_results(store, Path("none")), "released_code")


def test_the_command(rethinking: Call, tmp_path: Path) -> None:
    store = RunStore(tmp_path / "few")
    for variant in ("learned", "complement"):
        fill(store, NCI1 + variant, 0.8 + 0.01 * NOISE[:6])
    result = rethinking("report", "--runs", str(store.folder), "--to", "out/page.html")
    assert result.returncode == 0 and "it needs no network" in result.stdout
    assert (tmp_path / "out" / "page.html").read_text().endswith("</html>\n")
    refused = rethinking("report", "--runs", str(store.folder), "--to", "/proc/page.html")
    assert refused.returncode == 2 and "cannot be written" in refused.stderr
