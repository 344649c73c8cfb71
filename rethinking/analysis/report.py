"""One self-contained HTML page: the verdict first, then what it rests on."""

import hashlib
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from jinja2 import Environment, PackageLoader, select_autoescape

from rethinking import __version__, paths
from rethinking.analysis.comparisons import Comparison, compare
from rethinking.analysis.figures import Picture, draw, figure_names, score_curves, style
from rethinking.analysis.overall import by_data_set, overall
from rethinking.analysis.questions import Question, question
from rethinking.analysis.tables import (
    caption,
    hyperparameter_tables,
    hyperparameters,
    make_table,
    missing_cells,
    table_names,
    table_texts,
)
from rethinking.analysis.tidy import Results
from rethinking.analysis.wording import method, new_cell, overall_texts, row_texts, sentence
from rethinking.configuration.cell import PAPER
from rethinking.errors import UserError

# What of a run's provenance the page shows.
PROVENANCE = [
    "schema",
    "best_epoch",
    "epochs",
    "seconds",
    "finished",
    "device_name",
    "torch_version",
    "git_commit",
    "git_dirty",
]
# Of a point of a picture, on a wide page.
PIXELS = 1.4
MEASURES = {
    "pool1_entropy": "entropy",
    "pool1_clusters": "clusters in use",
    "pool1_edges_inside": "edges inside",
    "pool1_hops": "steps inside",
    "hops": "steps between any",
    "pool1_modularity": "modularity",
    "pool1_before": "cosine distance before",
    "pool1_after": "after",
}


@dataclass(frozen=True)
class Section:
    """A part of the page: tables and pictures, with words."""

    id: str
    title: str
    words: list[str] = field(default_factory=list)
    tables: list["PageTable"] = field(default_factory=list)
    pictures: list["PagePicture"] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class PageTable:
    """A table as the template takes it. tools: whether it can be sorted and filtered."""

    title: str
    columns: list[str]
    rows: list[list[str]]
    notes: list[str] = field(default_factory=list)
    tools: bool = True
    folded: bool = False


@dataclass(frozen=True)
class PagePicture:
    """A drawing in SVG, its width and its caption. On a narrow page it becomes smaller, down to two thirds."""

    svg: str
    width: int
    caption: str


def report(results: Results, fidelity: str = PAPER) -> str:
    """The page. Raises UserError if there are no runs of this fidelity."""
    runs = results.runs[results.runs["fidelity"] == fidelity]
    if runs.empty:
        raise UserError(f"There are no finished runs with fidelity={fidelity} to report; `rethinking run` trains some.")
    sections = [
        *_verdict(results, fidelity),
        _tables(results, fidelity),
        _figures(results, fidelity),
        _curves(results, fidelity),
        _clusters(results, runs),
        _ledger(),
        _runs(results, runs),
    ]
    environment = Environment(
        loader=PackageLoader("rethinking", "analysis"),
        autoescape=select_autoescape(["j2"]),
        trim_blocks=True,
        keep_trailing_newline=True,
    )
    return environment.get_template("report.html.j2").render(
        sections=sections,
        made=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        version=__version__,
        fidelity=fidelity,
        sources="; ".join([*results.sources, *results.left_out]),
    )


def _verdict(results: Results, fidelity: str) -> list[Section]:
    """The answer, and beside it whether the question could have had another."""
    asked = question()
    sections = []
    for id, title, datasets in (
        ("verdict", "Does local pooling matter here?", ()),
        ("controls", "Would it have been seen? Controls", tuple(asked.left_out)),
    ):
        try:
            made, unpaired = compare(results, asked, fidelity, datasets)
        except UserError as error:
            sections.append(Section(id, title, [str(error)]))
            continue
        answer = overall(made, asked)
        pooled = _page_table("Each data set by itself", overall_texts(by_data_set(made, asked), asked), [])
        table = _comparison_table(made, asked)
        pictures = [] if datasets else [_picture(draw("verdicts", results, fidelity))]
        words = [sentence(answer, asked), *filter(None, [new_cell(answer, asked)]), *unpaired]
        if datasets:
            words.append(
                "In the positive control the class hangs on which nodes are near each other, so that after one "
                "convolution only local clusters can see it; in the negative control any clusters can."
            )
        sections.append(Section(id, title, words, [table, pooled], pictures, [] if datasets else [method(made, asked)]))
    return sections


def _comparison_table(comparisons: Sequence[Comparison], asked: Question) -> "PageTable":
    rows = [
        row_texts(c, asked) | {"family": f"{c.family} ({c.settings})" if c.settings else c.family} for c in comparisons
    ]
    return _page_table("Local against each non-local variant", pd.DataFrame(rows), [])


def _tables(results: Results, fidelity: str) -> Section:
    tables = []
    for name in table_names():
        made = make_table(name, results, fidelity)
        lacking = len(missing_cells(made))
        notes = [caption(made)]
        if lacking:
            notes.append(f"Partial: {lacking} cells lack seeds.")
        tables.append(_page_table(made.title, table_texts(made), notes, tools=False))
    for name in hyperparameter_tables():
        title, texts = hyperparameters(name)
        tables.append(_page_table(title, texts, [], tools=False, folded=True))
    return Section("tables", "The paper's tables", [], tables)


def _figures(results: Results, fidelity: str) -> Section:
    pictures, absent = [], []
    for name in figure_names():
        if name in ("verdicts", "answer"):
            continue
        try:
            pictures.append(_picture(draw(name, results, fidelity)))
        except UserError as error:
            absent.append(str(error))
    return Section("figures", "Figures", absent, [], pictures)


def _curves(results: Results, fidelity: str) -> Section:
    """Validation scores over the epochs, a picture a data set and family."""
    with style():
        pictures = [_picture(picture) for picture in score_curves(results, fidelity)]
    words = [
        "Validation score over the epochs, the median of the seeds that still train; the strip below says how many "
        "these are. Where seeds stop, a curve may jump."
    ]
    if not pictures:
        words = ["The learning curves of these runs are not here."]
    return Section("curves", "Learning curves", words, [], pictures)


def _clusters(results: Results, runs: pd.DataFrame) -> Section:
    """What was measured of the clusters, a row a cell."""
    measured = runs[runs["metric"].isin(MEASURES)]
    words = [
        "Of the first pooling layer, on test graphs. Entropy: of a node's assignment, 0 if it is in one cluster, 1 if "
        "in all alike. Edges inside: the share within a cluster. Steps inside: between nodes of a cluster, weighted by "
        "how far they share one; as large as between any two nodes where clusters know nothing of the graph. Cosine "
        "distance: of node features before and after the layer; 0 where all nodes are alike."
    ]
    if measured.empty:
        return Section("clusters", "How local the clusters are", ["No run has these measures yet."])
    wide = measured.pivot_table(index=["dataset", "family", "variant", "cell_id"], columns="metric", values="value")
    wide = wide.reindex(columns=list(MEASURES)).rename(columns=MEASURES)
    texts = wide.map(lambda value: "—" if np.isnan(value) else f"{value:.2f}").reset_index()
    return Section("clusters", "How local the clusters are", words, [_page_table("Means over the seeds", texts, [])])


def _ledger() -> Section:
    """Where the text and the released code part."""
    page = paths.PACKAGE.parent / "docs" / "fidelity.md"
    words = ["Where the paper's text and the code released with it part, and what was done here."]
    if not page.is_file():
        return Section("fidelity", "Fidelity", [*words, "The ledger is docs/fidelity.md of the project's repository."])
    lines = [line for line in page.read_text().splitlines() if line.startswith("|")]
    cells = [[re.sub("[`*]", "", part).strip() for part in line.strip("|").split("|")] for line in lines]
    table = PageTable("The fidelity ledger", cells[0], [row for row in cells[2:] if len(row) == len(cells[0])])
    return Section("fidelity", "Fidelity", words, [table])


def _runs(results: Results, runs: pd.DataFrame) -> Section:
    """Every run, with where it came from."""
    metrics = runs["cell_id"].map({id: cell.measure.metric for id, cell in results.cells.items()})
    scores = runs[(runs["split"] == "test") & (runs["metric"] == metrics)]
    texts = scores[["run_id", "dataset", "family", "variant", "seed", "metric", "value"]].copy()
    texts["value"] = texts["value"].map("{:.4f}".format)
    known = [column for column in PROVENANCE if column in results.provenance]
    texts = texts.merge(results.provenance[["run_id", *known]], on="run_id", how="left")
    for column in known:
        texts[column] = texts[column].map(_short)
    words = [f"{len(texts)} runs. A run's configuration is that of its cell, the part of its name before -s."]
    configurations = [
        PageTable(
            f"{_cell_title(results, cell)} ({cell})", ["setting", "value"], _settings(results, cell), [], folded=True
        )
        for cell in scores.sort_values(["dataset", "family", "variant"])["cell_id"].unique()
    ]
    return Section(
        "runs", "Runs", words, [_page_table("All runs", texts.astype(str), [], folded=True), *configurations]
    )


def _cell_title(results: Results, cell: str) -> str:
    config = results.cells[cell].config
    return f"{config['family']} / {config['variant']} / {config['dataset']['name']}"


def _settings(results: Results, cell: str) -> list[list[str]]:
    """A cell's network, Select and trainer, flat."""
    config = results.cells[cell].config
    frame = pd.json_normalize({key: config[key] for key in ("network", "select", "trainer")})
    return [[str(name), str(value)] for name, value in frame.iloc[0].items()] if len(frame) else []


def _short(value: object) -> str:
    text = str(value)
    return text[:10] if re.fullmatch(r"[0-9a-f]{40}", text) else text


def _page_table(
    title: str, texts: pd.DataFrame, notes: list[str], tools: bool = True, folded: bool = False
) -> PageTable:
    rows = [[str(text) for text in row] for row in texts.itertuples(index=False)]
    return PageTable(title, [str(column) for column in texts.columns], rows, notes, tools, folded)


def _picture(picture: Picture) -> PagePicture:
    """Inline SVG, without the declarations that belong to a file of its own."""
    file = io.StringIO()
    with style():
        picture.figure.savefig(file, format="svg", bbox_inches="tight", metadata={"Date": None})
    plt.close(picture.figure)
    svg = file.getvalue()
    svg = svg[svg.index("<svg") :]
    # Ids are the page's, so they must differ between pictures.
    prefix = f"p{hashlib.sha256(svg.encode()).hexdigest()[:8]}-"
    svg = re.sub(r'\bid="', f'id="{prefix}', svg)
    svg = re.sub(r'(xlink:href="|url\()#', rf"\1#{prefix}", svg)
    size = re.search(r'width="([\d.]+)pt" height="[\d.]+pt"', svg)
    assert size is not None, "matplotlib gives a picture's size in points"
    # The page says how large it is.
    return PagePicture(svg.replace(size[0], "", 1), round(float(size[1]) * PIXELS), picture.caption)


def write_report(page: str, path: Path) -> None:
    """Write the page beside its place and rename it; an empty one only tries. Raises UserError if that cannot be."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f".{path.name}.part")
        part.write_text(page)
        if page:
            part.replace(path)
        else:
            part.unlink()
    except OSError as error:
        raise UserError(f"{path} cannot be written ({error.strerror}); name another file with --to.") from error
