"""Pictures from made-up runs, and from networks that were really trained."""

import math
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from rethinking.analysis import figures, trained
from rethinking.analysis.comparisons import compare
from rethinking.analysis.figures import draw, figure_names, score_curves
from rethinking.analysis.figures.colours import reach, variant_colour, verdict_look
from rethinking.analysis.figures.curves import DASHES
from rethinking.analysis.inference.verdicts import DECIDED, Finding, Verdict
from rethinking.analysis.overall import by_data_set, overall
from rethinking.analysis.questions import question
from rethinking.analysis.suites import Suite, load_suite, suite_names
from rethinking.analysis.tidy import read_results
from rethinking.analysis.wording import sentence
from rethinking.configuration.cell import PAPER
from rethinking.configuration.composition import compose_cell, compose_job, options
from rethinking.errors import UserError
from rethinking.runs.execute import execute
from rethinking.runs.store import RunStore
from tests.analysis.conftest import NOISE, fill
from tests.conftest import random_dataset
from tests.records import made_up

Call = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(autouse=True)
def closed() -> Iterator[None]:
    yield
    plt.close("all")


@pytest.mark.parametrize("name", suite_names())
def test_every_cell_of_a_suite_can_be_trained(name: str) -> None:
    """By the fast way, and one of each row by Hydra's."""
    suite = load_suite(name)
    assert suite.seeds > 0 and suite.title
    for sweep in suite.sweeps():
        *overrides, datasets, seeds = sweep
        assert seeds == f"seeds={suite.seeds}"
        for dataset in datasets.removeprefix("dataset=").split(","):
            compose_cell([*overrides, f"dataset={dataset}", "fidelity=paper"])
    assert {row for pair in suite.compare for row in pair} <= set(suite.rows)
    *overrides, _, _ = suite.sweeps()[0]
    compose_job([*overrides, f"dataset={next(iter(suite.columns))}"])


def test_every_figure_has_its_cells_or_says_so(tmp_path: Path) -> None:
    nothing = read_results(RunStore(tmp_path), tmp_path)
    for name in figure_names():
        with pytest.raises(UserError, match=r"There are no runs|nothing to compare|No run that can be compared"):
            draw(name, nothing)
    with pytest.raises(UserError, match=r"no figure '9'; expected one of 1, 2"):
        draw("9", nothing)


def test_distributions_have_a_panel_a_data_set_and_say_what_is_missing(store: RunStore) -> None:
    picture = draw("1", read_results(store, Path("none")))
    panels = {axis.get_title(): axis for axis in picture.figure.axes}
    assert set(panels) == {"NCI1", "ZINC"}
    points = np.concatenate([path.get_offsets() for path in panels["ZINC"].collections])
    assert len(points) == 40 and points[:, 1].min() == pytest.approx(0.42 + 0.01 * NOISE.min(), abs=0.01)
    assert "not trained yet: IMDB-B, SMNIST" in picture.caption


def test_gaps_say_what_a_cell_is(store: RunStore) -> None:
    picture = draw("8", read_results(store, Path("none")))
    assert "(1 of 16 settings)" in picture.caption
    explained = " ".join(picture.figure.get_supxlabel().split())
    assert "mean test score of learned" in explained and "seeds that both have (20)" in explained


def test_every_comparison_is_a_row_with_its_intervals_and_verdict(store: RunStore) -> None:
    results = read_results(store, Path("none"))
    asked = question()
    comparisons, _ = compare(results, asked)
    answer = overall(comparisons, asked)
    figure = draw("verdicts", results).figure
    (axis,) = figure.axes
    rows = {label.get_text(): place for label, place in zip(axis.get_yticklabels(), axis.get_yticks(), strict=True)}
    assert {"NCI1", "ZINC", "graclus, uniform, 20 seeds"} <= set(rows) and "Digits" not in rows
    # Accuracy and MAE have one axis in common, that of margins.
    assert "in margins" in axis.get_xlabel() and "0.01 of MAE" in axis.get_xlabel()
    words = {text.get_text(): text for text in axis.texts}
    for c in comparisons:
        low, high = c.answer_a.estimate.interval(asked.confidence)
        drawn = [line for line in axis.lines if np.allclose(line.get_xdata(), [low / c.margin, high / c.margin])]
        assert [line.get_linewidth() for line in drawn if line.get_linewidth() > 2] or math.isnan(low)
        assert words[c.words(c.answer_a)].get_color() == verdict_look(c.verdict)[0]
    pooled = answer.pooled
    assert pooled and pooled.between
    ends = [
        line.get_xdata() for line in axis.lines if list(line.get_ydata()) == [rows["expected of a further one"]] * 2
    ]
    assert np.allclose(ends, [[pooled.between.new_low, pooled.between.new_high]])
    assert " ".join(figure.get_suptitle().split()) == sentence(answer, asked)


def test_the_answer_in_brief_has_a_row_a_data_set(store: RunStore) -> None:
    results = read_results(store, Path("none"))
    asked = question()
    comparisons, _ = compare(results, asked)
    (axis,) = draw("answer", results).figure.axes
    names = [label.get_text() for label in axis.get_yticklabels()]
    assert names == ["NCI1 (2)", "ZINC (2)", f"mean of all {len(comparisons)}", "expected of a further one"]
    diamonds = [line.get_xdata()[0] for line in axis.lines if line.get_marker() == "D"]
    parts = [part.pooled.mean / part.margin for part in by_data_set(comparisons, asked)]
    assert np.allclose(diamonds, [*parts, overall(comparisons, asked).pooled.mean])
    words = [text.get_text().partition(" ")[2] for text in axis.get_legend().get_texts()]
    assert len(words) == len(set(words)) and not any("0.01" in told or "1 point" in told for told in words)


def test_a_difference_beyond_the_axis_is_an_arrow_at_its_end(tmp_path: Path) -> None:
    store = RunStore(tmp_path / "runs")
    fill(store, "model=graclus dataset=nci1 pooling=learned", 0.8 + 0.01 * NOISE)
    fill(store, "model=graclus dataset=nci1 pooling=complement", 0.5 + 0.011 * NOISE)
    for name in ("verdicts", "answer"):
        (axis,) = draw(name, read_results(store, Path("none"))).figure.axes
        arrows = [line for line in axis.lines if line.get_marker() == "<"]
        assert axis.get_xlim()[0] == -reach() and {arrow.get_xdata()[0] for arrow in arrows} == {-reach()}
        assert not [line for line in axis.lines if line.get_marker() == "D"]
        assert "-30.0" in [text.get_text() for text in axis.texts]


def test_what_is_decided_has_its_colour_and_all_else_is_grey() -> None:
    decided = {verdict_look(Verdict(finding, other)) for finding in DECIDED for other in (False, True)}
    grey = {verdict_look(Verdict(finding))[0] for finding in Finding if finding not in DECIDED}
    assert len(decided) == 4 and len(grey) == 1 and not grey & {colour for colour, _ in decided}


def test_locality_needs_measures(store: RunStore, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="No run that can be compared has measures"):
        draw("locality", read_results(store, Path("none")))
    measured = RunStore(tmp_path / "runs")
    for variant, hops in (("learned", 1.0), ("complement", 4.0)):
        cell = f"model=graclus dataset=nci1 pooling={variant}"
        fill(measured, cell, 0.8 + 0.01 * NOISE, hops=4.0, pool1_hops=hops)
    (axis, *_) = draw("locality", read_results(measured, Path("none"))).figure.axes
    points = np.concatenate([path.get_offsets() for path in axis.collections])
    assert sorted(points[:, 0]) == [0.25, 1.0] and np.allclose(points[:, 1], 0)


def test_locality_has_a_panel_a_metric_in_margins_and_marks_schema_1(tmp_path: Path) -> None:
    store = RunStore(tmp_path / "runs")
    for dataset, score in (("nci1", 0.8), ("zinc", 0.4), ("control_local", 0.9)):
        for variant, better in (("learned", 0.0), ("complement", -0.02)):
            cell = f"model=graclus dataset={dataset} pooling={variant}"
            fill(store, cell, score + better + 0.01 * NOISE[:5], hops=4.0, pool1_hops=2.0)
    results = read_results(store, Path("none"))
    axes = draw("locality", results).figure.axes
    assert [axis.get_title() for axis in axes] == ["Data sets: accuracy", "Data sets: MAE", "Controls: accuracy"]
    gains = [np.concatenate([path.get_offsets() for path in axis.collections])[:, 1] for axis in axes]
    assert np.allclose(gains, [[0, -2], [0, 2], [0, -2]], atol=0.01)
    margins = ("1 point of accuracy", "0.01 of MAE", "1 point of accuracy")
    assert all(margin in axis.get_ylabel() for margin, axis in zip(margins, axes, strict=True))
    cells = {id: replace(cell, schema=1) if cell.dataset == "nci1" else cell for id, cell in results.cells.items()}
    picture = draw("locality", replace(results, cells=cells))
    hollow = [[len(path.get_facecolor()) == 0 for path in axis.collections] for axis in picture.figure.axes]
    assert hollow == [[True, True], [False, False], [False, False]]
    assert "Hollow: runs of schema 1" in picture.caption


def test_a_variant_has_one_colour_everywhere(store: RunStore) -> None:
    results = read_results(store, Path("none"))
    colours = {name: variant_colour(name) for name in (*options("pooling"), "learned")}
    assert len(set(colours.values())) == len(colours)
    assert variant_colour("my_own") == variant_colour("my_own") not in colours.values()
    for axis in draw("1", results).figure.axes:
        points = [path.get_facecolor()[0, :3] for path in axis.collections if len(path.get_offsets())]
        assert np.allclose(points, [colours["learned"], colours["complement"]])
    panels = [picture.figure.subfigs[0].axes[0] for picture in score_curves(results, PAPER)]
    for panel in panels:
        for line in panel.lines:
            variant = line.get_label().partition(" ")[0]
            assert variant.startswith("_") or line.get_color() == colours[variant]


def test_curves_are_told_apart_by_their_settings(store: RunStore) -> None:
    panels = [p.figure.subfigs[0].axes[0] for p in score_curves(read_results(store, Path("none")), PAPER)]
    (panel,) = [panel for panel in panels if panel.get_title() == "NCI1: graclus"]
    lines = [line for line in panel.lines if not line.get_label().startswith("_")]
    looks = {line.get_label(): (line.get_color(), line.get_linestyle()) for line in lines}
    assert looks == {
        f"{name} (convs_before_pool={n})": (variant_colour(name), DASHES[n - 1])
        for name in ("learned", "complement")
        for n in (1, 2)
    }


def test_more_settings_than_kinds_of_lines_take_further_pictures(tmp_path: Path) -> None:
    store = RunStore(tmp_path / "runs")
    for hidden in (2, 4, 8, 16, 32):
        fill(store, f"model=graclus dataset=nci1 pooling=learned model.hidden={hidden}", 0.8 + 0.01 * NOISE[:2])
    panels = [p.figure.subfigs[0].axes[0] for p in score_curves(read_results(store, Path("none")), PAPER)]
    lines = [line.get_label() for panel in panels for line in panel.lines if "hidden" in line.get_label()]
    assert len(panels) == 2 and len(set(lines)) == len(lines) == 5


def test_curves_are_the_median_of_the_seeds_that_still_train(tmp_path: Path) -> None:
    store = RunStore(tmp_path / "runs")
    cell = compose_job(["model=graclus", "pooling=learned", "dataset=nci1"]).cell
    store.check_writable()
    for seed, (epochs, score) in enumerate([(2, 0.1), (5, 0.5), (4, 0.6), (3, 0.7)]):
        history = pd.DataFrame({"epoch": range(1, epochs + 1), "val_accuracy": score, "val_loss": 1.0})
        store.write_result(replace(made_up(cell, seed, score), history=history))
    (picture,) = score_curves(read_results(store, Path("none")), PAPER)
    above, below = picture.figure.subfigs[0].axes
    # Of one seed of four, in the fifth epoch, there is no median, but it is counted.
    line, end = above.lines
    assert np.allclose(line.get_ydata(), [55, 55, 60, 55]) and np.allclose(end.get_xydata(), [[4, 55]])
    assert list(below.lines[0].get_ydata()) == [4, 4, 3, 2, 1]
    assert (above.get_ylabel(), below.get_ylabel(), below.get_xlabel()) == ("validation accuracy, %", "seeds", "epoch")
    assert "fewer than half" in picture.figure.get_supxlabel()


@pytest.mark.parametrize(("seeds", "boxes"), [(1, 0), (4, 0), (5, 1)])
def test_few_runs_are_points_without_a_box(tmp_path: Path, seeds: int, boxes: int) -> None:
    store = RunStore(tmp_path / "runs")
    fill(store, "model=graclus dataset=nci1 pooling=learned", 0.8 + 0.01 * NOISE[:seeds])
    (axis,) = draw("1", read_results(store, Path("none"))).figure.axes
    assert len(axis.patches) == boxes
    assert sum(len(path.get_offsets()) for path in axis.collections) == seeds


def test_files_are_whole_pictures_and_the_same_each_time(rethinking: Call, store: RunStore, tmp_path: Path) -> None:
    command = ("figure", "1", "--runs", str(store.folder), "--to")
    result = rethinking(*command, "a")
    assert result.returncode == 0 and "figure_1.png and a/figure_1.svg: Figure 1" in result.stdout
    assert Image.open(tmp_path / "a" / "figure_1.png").size > (400, 200)
    rethinking(*command, "b")
    assert (tmp_path / "a" / "figure_1.svg").read_bytes() == (tmp_path / "b" / "figure_1.svg").read_bytes()
    refused = rethinking("figure", "7", "--runs", str(store.folder))
    assert refused.returncode == 2 and "`rethinking reproduce figure7` trains them" in refused.stderr


def test_pictures_of_trained_networks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Figures 3, 5 and 6 on the bundled data set."""
    overrides = ["dataset=digits", "trainer.max_epochs=3", "trainer.batch_size=32"]
    random = ["model=diffpool", "pooling=normal"]
    cells = {
        "permuted": [random, [*random, "pooling.invariant=true"]],
        "activations": [["model=graclus", "pooling=complement"], random],
    }
    for cell in {tuple(cell) for rows in cells.values() for cell in rows}:
        job = compose_job([*cell, *overrides, "seeds=1", "save_model=true", f"runs={tmp_path / 'runs'}"])
        assert execute(job, lambda state, settled: None).trained == [0]
    suites = {
        drawn: Suite(
            drawn,
            drawn,
            1,
            _rows(rows, overrides),
            {"digits": "Digits"},
            [],
            figure=f"of {drawn}",
            drawn=drawn,
            looked_at=3,
        )
        for drawn, rows in cells.items()
    }
    monkeypatch.setattr(figures, "suite_names", lambda: list(suites))
    monkeypatch.setattr(figures, "load_suite", suites.__getitem__)
    results = read_results(RunStore(tmp_path / "runs"), tmp_path / "none")
    three, five = (draw(f"of {drawn}", results) for drawn in cells)
    plain, invariant = (path.get_offsets()[:, 1] for path in three.figure.axes[0].collections)
    assert np.abs(invariant).max() < 1 < np.abs(plain).max()
    assert len(plain) == 3
    assert len(five.figure.axes) == 2 * 2 * 3
    assert all("nan" not in axis.get_ylabel() for axis in five.figure.axes)
    explained = " ".join(five.figure.get_supxlabel().split())
    assert all(
        word in explained for word in ("is a node", "is a feature", "has no unit", "one seed", "cosine distance")
    )
    before, after = (axis.get_images()[0].get_array().shape for axis in five.figure.axes[:2])
    assert before[0] > after[0] >= before[0] / 2


def test_renumbering_keeps_every_graph() -> None:
    dataset = random_dataset(3, directed=True)
    other = trained.renumbered(dataset, seed=0, number=1)
    assert other.fingerprint != dataset.fingerprint
    assert trained.renumbered(dataset, seed=0, number=1).fingerprint == other.fingerprint
    for g in range(len(dataset)):
        nodes = slice(dataset.node_ptr[g], dataset.node_ptr[g + 1])
        assert sorted(map(tuple, dataset.x[nodes])) == sorted(map(tuple, other.x[nodes]))
    pairs = [sorted((tuple(d.x[i]), tuple(d.x[j])) for i, j in d.edge_index.T) for d in (dataset, other)]
    assert pairs[0] == pairs[1]


def _rows(rows: list[list[str]], overrides: list[str]) -> dict[str, list[str] | None]:
    return {str(number): [*row, *overrides[1:]] for number, row in enumerate(rows)}
