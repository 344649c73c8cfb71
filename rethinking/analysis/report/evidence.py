"""What the answer rests on: the paper's tables and figures, learning curves, clusters, and every run."""

import re

import numpy as np
import pandas as pd

from rethinking import paths
from rethinking.analysis.figures import draw, figure_names, score_curves, style
from rethinking.analysis.leaderboard import leaderboards
from rethinking.analysis.report.page import PageTable, Section, page_picture, page_table
from rethinking.analysis.suites import load_suite, table_names
from rethinking.analysis.tables import (
    caption,
    hyperparameter_tables,
    hyperparameters,
    make_table,
    missing_cells,
    table_texts,
)
from rethinking.analysis.tidy import Results
from rethinking.errors import UserError

# Figures that stand with the answer, as those of leaderboards stand with these.
ELSEWHERE = ("verdicts", "answer", "calibration")
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


def tables(results: Results, fidelity: str) -> Section:
    """Those of the paper, with its own numbers beside ours."""
    tables = []
    for name in table_names():
        made = make_table(name, results, fidelity)
        lacking = len(missing_cells(made))
        notes = [caption(made)]
        if lacking:
            notes.append(f"Partial: {lacking} cells lack seeds.")
        tables.append(page_table(made.title, table_texts(made), notes, tools=False))
    for name in hyperparameter_tables():
        title, texts = hyperparameters(name)
        tables.append(page_table(title, texts, [], tools=False, folded=True))
    return Section("tables", "The paper's tables", [], tables)


def figures(results: Results, fidelity: str) -> Section:
    """All that the runs allow."""
    pictures, absent = [], []
    elsewhere = {*ELSEWHERE, *(load_suite(name).figure for name in leaderboards())}
    for name in figure_names():
        if name in elsewhere:
            continue
        try:
            pictures.append(page_picture(draw(name, results, fidelity)))
        except UserError as error:
            absent.append(str(error))
    return Section("figures", "Figures", absent, [], pictures)


def curves(results: Results, fidelity: str) -> Section:
    """Validation scores over the epochs, a picture a data set and family."""
    with style():
        pictures = [page_picture(picture) for picture in score_curves(results, fidelity)]
    words = [
        "Validation score over the epochs, the median of the seeds that still train; the strip below says how many "
        "these are. Where seeds stop, a curve may jump."
    ]
    if not pictures:
        words = ["The learning curves of these runs are not here."]
    return Section("curves", "Learning curves", words, [], pictures)


def clusters(runs: pd.DataFrame) -> Section:
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
    return Section("clusters", "How local the clusters are", words, [page_table("Means over the seeds", texts, [])])


# Its tables, in their order.
LEDGERS = ("The fidelity ledger", "The classifier and the operators of Grattarola et al. 2022")


def ledger() -> Section:
    """Where the text and the released code part."""
    page = paths.PACKAGE.parent / "docs" / "fidelity.md"
    words = ["Where the paper's text and the code released with it part, and what was done here."]
    if not page.is_file():
        return Section("fidelity", "Fidelity", [*words, "The ledger is docs/fidelity.md of the project's repository."])
    tables = []
    for title, text in zip(
        LEDGERS, re.findall(r"(?:^\|.*\n)+", page.read_text(encoding="utf-8"), re.MULTILINE), strict=True
    ):
        lines = [re.sub("[`*]", "", line).strip("|").split("|") for line in text.splitlines()]
        heading, _, *rows = ([part.strip() for part in line] for line in lines)
        tables.append(PageTable(title, heading, rows))
    return Section("fidelity", "Fidelity", words, tables)


def runs(results: Results, runs: pd.DataFrame) -> Section:
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
    return Section("runs", "Runs", words, [page_table("All runs", texts.astype(str), [], folded=True), *configurations])


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
