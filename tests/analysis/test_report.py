"""The page is whole, works in a browser, and asks the network for nothing."""

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import pytest

from rethinking.analysis.collect import collect
from rethinking.analysis.report import report
from rethinking.analysis.tidy import read_results
from rethinking.errors import UserError
from rethinking.runs.store import RunStore

Call = Callable[..., subprocess.CompletedProcess[str]]
BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-component-update",
    "--disable-background-networking", "--disable-sync", "--enable-logging=stderr", "--v=0",
]  # fmt: skip

# Sorts the table of comparisons by its sixth column, twice; then asks for the rows of uniform. Also measures how far
# right the verdicts and the page reach. In a frame, since Chromium's own window is never narrower than 500 pixels.
PROBE = """<script>
const table = document.querySelector("#verdict table"), button = table.querySelectorAll("th button")[5];
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
const right = table.rows[1].cells[verdicts].getBoundingClientRect().right - page.clientWidth;
document.title = JSON.stringify({up, down, shown, wide, right, width: innerWidth});
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
    for section in ("verdict", "controls", "tables", "figures", "curves", "clusters", "fidelity", "runs"):
        assert section in outline.ids and f'href="#{section}"' in page
    # Every run has its row, and every cell its settings.
    assert outline.rows > 185 and page.count("convs_before_pool") > 2
    # The verdict comes first.
    assert page.index("Over 4 comparisons") < page.index("<table")


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
    console = [line for line in result.stderr.splitlines() if "CONSOLE" in line]
    assert not console, console


def test_of_another_fidelity_there_is_nothing(store: RunStore) -> None:
    with pytest.raises(UserError, match="no finished runs with fidelity=released_code"):
        report(read_results(store, Path("none")), "released_code")


def test_the_command(rethinking: Call, store: RunStore, tmp_path: Path) -> None:
    result = rethinking("report", "--runs", str(store.folder), "--to", "out/page.html")
    assert result.returncode == 0 and "it needs no network" in result.stdout
    assert (tmp_path / "out" / "page.html").read_text().endswith("</html>\n")
    refused = rethinking("report", "--runs", str(store.folder), "--to", "/proc/page.html")
    assert refused.returncode == 2 and "cannot be written" in refused.stderr
