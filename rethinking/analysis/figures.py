"""The paper's figures, and those it should have had, from stored runs. Each is a function that draws one picture."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from rethinking.analysis.comparisons import Comparison, compare, question
from rethinking.analysis.older import MARK, MEANING
from rethinking.analysis.scores import Scores, suite_scores
from rethinking.analysis.suites import Suite, load_suite
from rethinking.analysis.tidy import Results
from rethinking.analysis.trained import activations, all_with_weights, cosine_distances, permuted_scores, with_weights
from rethinking.configuration.cell import PAPER, Cell
from rethinking.configuration.composition import compose_cell
from rethinking.errors import UserError

# Of Figures 5 and 6, and Figure 3.
GRAPHS, PERMUTATIONS = 3, 10

# Colours that the colour-blind tell apart, and that differ in lightness on paper.
PALETTE = sns.color_palette("colorblind")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
FORMATS = ("png", "svg")


@dataclass(frozen=True)
class Picture:
    """A figure and what has to be said below it."""

    figure: Figure
    caption: str


def figure_names() -> list[str]:
    """The figures there are."""
    return list(FIGURES)


def draw(name: str, results: Results, fidelity: str = PAPER) -> Picture:
    """A figure of the paper, by its number, or another. Raises UserError if there is none, or nothing to draw."""
    if name not in FIGURES:
        raise UserError(f"There is no figure '{name}'; expected one of {', '.join(FIGURES)}.")
    matplotlib.use("Agg")
    with style():
        return FIGURES[name](results, fidelity)


@contextmanager
def style() -> Iterator[None]:
    """How pictures look, and that the same one gives the same file."""
    with sns.axes_style("whitegrid"), plt.rc_context({"svg.hashsalt": "rethinking", "svg.fonttype": "none"}):
        yield


def save(picture: Picture, folder: Path, name: str) -> list[Path]:
    """Write a picture in every format. Returns the files."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        files = [folder / f"{name}.{form}" for form in FORMATS]
        for file in files:
            # No date, so that the same runs give the same file.
            metadata = {"Date": None} if file.suffix == ".svg" else {}
            with style():
                picture.figure.savefig(file, dpi=150, bbox_inches="tight", metadata=metadata)
    except OSError as error:
        raise UserError(
            f"{folder}/{name} cannot be written ({error.strerror}); name another folder with --to."
        ) from error
    return files


def _distributions(suite_name: str) -> Callable[[Results, str], Picture]:
    """Figures 1, 2, 4 and S1: the test scores of all seeds, a panel a data set."""

    def figure(results: Results, fidelity: str) -> Picture:
        suite = load_suite(suite_name)
        panels = {}
        for dataset, title in suite.columns.items():
            scores = {row: values for row, values in _column(suite, dataset, results, fidelity).items() if len(values)}
            if scores:
                panels[title] = (dataset, scores)
        missing = [title for title in suite.columns.values() if title not in panels]
        if not panels:
            raise _nothing(suite)
        made, axes = plt.subplots(1, len(panels), figsize=(2.6 * len(panels) + 0.4, 3.2), squeeze=False)
        few: list[str] = []
        older: list[str] = []
        for axis, (title, (dataset, scores)) in zip(axes[0], panels.items(), strict=True):
            unit = _cell(suite, next(iter(scores)), dataset, fidelity).task().unit
            frame = pd.concat([pd.DataFrame({"row": row, "score": own.values}) for row, own in scores.items()])
            colours = {row: PALETTE[number] for number, row in enumerate(suite.rows)}
            options = {"data": frame, "x": "row", "y": "score", "hue": "row", "palette": colours, "ax": axis}
            sns.boxplot(**options, width=0.55, fliersize=0, boxprops={"alpha": 0.45}, legend=False)
            sns.swarmplot(**options, size=3, warn_thresh=1, legend=False)
            axis.set(title=title, xlabel="", ylabel=f"test {unit.name}" + (", %" if unit.scale == 100 else ""))
            axis.tick_params(axis="x", rotation=30)
            few += [f"{row} on {title}: {len(own)}" for row, own in scores.items() if len(own) < suite.seeds]
            older += [f"{row} on {title}" for row, own in scores.items() if own.older]
        made.tight_layout()
        text = f"{suite.title}. A point a seed; boxes: quartiles and median."
        return Picture(made, text + _partial(missing, few) + _older(older))

    return figure


def _gaps(results: Results, fidelity: str) -> Picture:
    """Figure 8: Complement minus Graclus, over layers × hidden size."""
    suite = load_suite("figure8")
    panels, missing, older = [], [], []
    for dataset, title in suite.columns.items():
        rows = []
        for first, second in suite.compare:
            complement, graclus = (_cell(suite, row, dataset, fidelity) for row in (first, second))
            theirs, own = (suite_scores(cell, results, suite.seeds) for cell in (complement, graclus))
            difference = theirs.minus(own)
            if difference:
                setting = {name: graclus.network[name] for name in ("layers", "hidden")}
                both = own.values.index.intersection(theirs.values.index)
                rows.append(setting | {"gap": difference.mean, "graclus": own.values[both].mean()})
                older += [f"{first} and {second} on {title}"] if own.older else []
        if rows:
            panels.append((dataset, title, pd.DataFrame(rows)))
        if len(rows) < len(suite.compare):
            missing.append(f"{title} ({len(rows)} of {len(suite.compare)} settings)")
    if not panels:
        raise _nothing(suite)
    made, axes = plt.subplots(1, len(panels), figsize=(4 * len(panels), 3.4), squeeze=False)
    for axis, (dataset, title, frame) in zip(axes[0], panels, strict=True):
        task = _cell(suite, suite.compare[0][0], dataset, fidelity).task()
        unit = task.unit
        by_setting = frame.set_index(["layers", "hidden"])
        gaps, ours = (by_setting[name].unstack() for name in ("gap", "graclus"))
        most = max(float(np.nanmax(np.abs(gaps.to_numpy()))), 0.05 * unit.scale)
        sign = 1 if task.higher_is_better else -1
        sns.heatmap(
            sign * gaps,
            annot=ours,
            fmt=f".{unit.digits}f",
            cmap="RdBu_r",
            center=0,
            vmin=-most,
            vmax=most,
            ax=axis,
        )
        axis.set(title=title)
    made.tight_layout()
    text = (
        f"{suite.title}. Numbers: the score of Graclus; colour: by how much Complement is better (red) or worse "
        "(blue), in the same unit, mean over the seeds that both have."
    )
    return Picture(made, text + _partial(missing, []) + _older(older))


def _auxiliary_loss(results: Results, fidelity: str) -> Picture:
    """Figure 7: the supervised loss on the validation set while training, for several weights of the link loss."""
    suite = load_suite("figure7")
    panels, missing, older = {}, [], []
    for dataset, title in suite.columns.items():
        curves = {}
        for row in suite.rows:
            cell_id = results.cell_with_runs(_cell(suite, row, dataset, fidelity))
            if cell_id:
                curves[row] = results.history(cell_id)
                older += [f"{row} on {title}"] if results.cells[cell_id].older else []
        if curves:
            panels[title] = curves
        if len(curves) < len(suite.rows):
            missing.append(f"{title} ({len(curves)} of {len(suite.rows)} weights)")
    if not panels:
        raise _nothing(suite)
    made, axes = plt.subplots(1, len(panels), figsize=(4 * len(panels), 3.2), squeeze=False)
    for axis, (title, curves) in zip(axes[0], panels.items(), strict=True):
        for number, (row, history) in enumerate(curves.items()):
            options = {"color": PALETTE[number], "linestyle": ["-", "--", ":", "-."][number % 4], "label": row}
            sns.lineplot(history, x="epoch", y="val_loss", errorbar="sd", ax=axis, **options)
        axis.set(title=title, ylabel="supervised validation loss")
        axis.legend(fontsize=8)
    made.tight_layout()
    return Picture(
        made,
        f"{suite.title}. Mean and standard deviation over the seeds that still train."
        + _partial(missing, [])
        + _older(older),
    )


def _verdicts(results: Results, fidelity: str) -> Picture:
    """All comparisons with their intervals, and the margin."""
    asked = question()
    comparisons, _ = compare(results, asked, fidelity)
    metrics = sorted({c.metric for c in comparisons})
    groups = [[c for c in comparisons if c.metric == metric] for metric in metrics]
    heights = [len(group) for group in groups]
    made, axes = plt.subplots(
        len(groups),
        1,
        figsize=(7, 0.26 * sum(heights) + 1.1 * len(groups)),
        squeeze=False,
        gridspec_kw={"height_ratios": heights},
    )
    colours = dict(zip(("equivalent", "local better", "non-local better", "undecided"), PALETTE, strict=False))
    for axis, group in zip(axes[:, 0], groups, strict=True):
        for place, c in enumerate(reversed(group)):
            d = c.difference
            marker = MARKERS[list(colours).index(c.verdict)]
            axis.plot([d.low, d.high], [place, place], color=colours[c.verdict], lw=2)
            axis.plot(d.mean, place, marker, color=colours[c.verdict], ms=5)
        margin = group[0].margin
        axis.axvspan(-margin, margin, color="0.85", zorder=0)
        axis.axvline(0, color="0.4", lw=1)
        axis.set_yticks(range(len(group)), [_name(c) for c in reversed(group)], fontsize=7)
        axis.set_ylim(-0.7, len(group) - 0.3)
        unit = group[0].unit
        axis.set_xlabel(
            f"non-local minus local, test {unit.name}" + (" in points" if unit.scale == 100 else ""), fontsize=8
        )
        axis.tick_params(axis="x", labelsize=8)
        axis.locator_params(axis="x", nbins=7)
        axis.grid(axis="y", visible=False)
    shown = [verdict for verdict in colours if any(c.verdict == verdict for c in comparisons)]
    handles = [plt.Line2D([], [], color=colours[v], marker=MARKERS[list(colours).index(v)], label=v) for v in shown]
    axes[0, 0].legend(handles=handles, fontsize=7, loc="lower left", bbox_to_anchor=(0, 1), ncols=4, frameon=False)
    made.tight_layout()
    text = "Local against non-local pooling: mean paired differences with 95 % intervals; grey: the margin."
    return Picture(made, text + (f" {MEANING}" if any(c.older for c in comparisons) else ""))


def _locality(results: Results, fidelity: str) -> Picture:
    """Score against locality: how near nodes of a cluster are, and by how much a variant beats the local one."""
    asked = question()
    panels, without = {}, 0
    for title, datasets in (("data sets", ()), ("controls", asked.left_out)):
        try:
            points = _points(compare(results, asked, fidelity, datasets)[0], results)
        except UserError:
            continue
        without += int(points["near"].isna().sum())
        points = points.dropna(subset=["near", "gain"])
        if len(points):
            panels[title] = points
    if not panels:
        raise UserError("No run that can be compared has measures of its clusters; train with diagnosed_graphs=200.")
    made, axes = plt.subplots(1, len(panels), figsize=(4.2 * len(panels) + 1, 3.6), squeeze=False)
    everything = pd.concat(panels.values())
    families, variants = (sorted(set(everything[name])) for name in ("family", "variant"))
    looks = {"hue": "family", "hue_order": families, "palette": PALETTE[: len(families)]}
    looks |= {"style": "variant", "style_order": variants, "markers": list(MARKERS[: len(variants)]), "s": 60}
    for axis, (title, points) in zip(axes[0], panels.items(), strict=True):
        last = axis is axes[0][-1]
        sns.scatterplot(points, x="near", y="gain", ax=axis, legend=last, **looks)
        axis.axhline(0, color="0.5", lw=1)
        axis.axvline(1, color="0.5", lw=1, ls=":")
        axis.set(title=title, xlabel="steps within a cluster / between any nodes", ylabel="")
        if last:
            axis.legend(fontsize=7, loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)
    axes[0][0].set_ylabel("better than the local variant by")
    made.tight_layout()
    text = (
        "Score against locality, a point a cell. Across: the mean distance of two nodes of a cluster of the first "
        "pooling layer by that of any two nodes; below 1 clusters are local, at 1 they know nothing of the graph. Up: "
        "by how much the test score is better than that of the family's local variant, in points (MAE: as it is)."
    )
    return Picture(made, text + (f" {without} cells are of runs without these measures." if without else ""))


def _points(comparisons: Sequence[Comparison], results: Results) -> pd.DataFrame:
    """A row a cell: how near nodes of a cluster are, and its gain over the local cell."""
    rows = []
    for c in comparisons:
        for variant, cell_id, gain in ((c.reference, c.local, 0.0), (c.variant, c.other, c.gain)):
            within, between = (results.scores(cell_id, name).mean() for name in ("pool1_hops", "hops"))
            rows.append([c.family, variant, cell_id, gain, within / between])
    frame = pd.DataFrame(rows, columns=["family", "variant", "cell", "gain", "near"])
    return frame.drop_duplicates(["cell", "gain"])


def _activations(suite_name: str) -> Callable[[Results, str], Picture]:
    """Figures 5 and 6: node features of three test graphs before and after the first pooling layer, as heat maps."""

    def figure(results: Results, fidelity: str) -> Picture:
        suite = load_suite(suite_name)
        dataset = next(iter(suite.columns))
        looks, missing = {}, []
        for row in suite.rows:
            run = with_weights(_cell(suite, row, dataset, fidelity), results)
            if run is None:
                missing.append(row)
            else:
                looks[row] = (activations(run, GRAPHS), run)
        if not looks:
            raise _nothing(suite, "save_model=true")
        size = (2.1 * GRAPHS + 0.6, 1.9 * len(looks))
        made, axes = plt.subplots(len(looks), 2 * GRAPHS, figsize=size, squeeze=False)
        for line, (row, (graphs, run)) in zip(axes, looks.items(), strict=True):
            for place, pair in enumerate(graphs):
                for axis, x, when in zip(line[2 * place :], pair, ("before", "after"), strict=False):
                    axis.imshow(x, aspect="auto", cmap="viridis", interpolation="nearest")
                    axis.set_xticks([])
                    axis.set_yticks([])
                    axis.set_title(f"{when} [{len(x)}]", fontsize=7)
            before, after = (f"{value:.2f}" for value in cosine_distances(run))
            line[0].set_ylabel(f"{row}\n{before} → {after}", fontsize=8)
        made.tight_layout()
        text = (
            f"{suite.title}, on {suite.columns[dataset]}. A row a node, a column a feature; in brackets the nodes. "
            "Beside the name: the mean cosine distance of two nodes' features before and after the layer, over all "
            "test graphs; 0 where all nodes are alike. Colours are not comparable between panels."
        )
        return Picture(made, text + _partial(missing, []))

    return figure


def _permuted(results: Results, fidelity: str) -> Picture:
    """Figure 3: the score on the validation set under random permutations of each graph, random and invariant."""
    suite = load_suite("figure3")
    panels: dict[str, pd.DataFrame] = {}
    missing = []
    for dataset, title in suite.columns.items():
        rows = []
        for row in suite.rows:
            runs = all_with_weights(_cell(suite, row, dataset, fidelity), results)
            for run in runs[: suite.seeds]:
                own, *others = permuted_scores(run, PERMUTATIONS)
                rows += [{"row": row, "seed": run.seed, "change": score - own} for score in others]
            if not runs:
                missing.append(f"{row} on {title}")
        if rows:
            panels[title] = pd.DataFrame(rows)
    if not panels:
        raise _nothing(suite, "save_model=true")
    made, axes = plt.subplots(1, len(panels), figsize=(3.4 * len(panels), 3.2), squeeze=False)
    drawn = [(dataset, title) for dataset, title in suite.columns.items() if title in panels]
    for axis, (dataset, title) in zip(axes[0], drawn, strict=True):
        unit = _cell(suite, next(iter(suite.rows)), dataset, fidelity).task().unit
        frame = panels[title].assign(change=unit.scale * panels[title]["change"])
        colours = {row: PALETTE[number] for number, row in enumerate(suite.rows)}
        sns.stripplot(
            frame, x="row", y="change", hue="row", palette=colours, ax=axis, size=2.5, jitter=False, legend=False
        )
        axis.axhline(0, color="0.5", lw=1)
        axis.set(title=title, xlabel="", ylabel=f"validation {unit.name}, permuted minus as it is")
    made.tight_layout()
    text = (
        f"{suite.title}. A point a seed and permutation ({PERMUTATIONS} each), with the weights of the best epoch; "
        "invariant variants differ by rounding only."
    )
    return Picture(made, text + _partial(missing, []))


FIGURES: dict[str, Callable[[Results, str], Picture]] = {
    "1": _distributions("figure1"),
    "2": _distributions("figure2"),
    "3": _permuted,
    "4": _distributions("figure4"),
    "5": _activations("figure5"),
    "6": _activations("figure6"),
    "7": _auxiliary_loss,
    "8": _gaps,
    "S1": _distributions("figureS1"),
    "verdicts": _verdicts,
    "locality": _locality,
}


def _cell(suite: Suite, row: str, dataset: str, fidelity: str) -> Cell:
    return compose_cell([*(suite.rows[row] or []), f"dataset={dataset}", f"fidelity={fidelity}"])


def _column(suite: Suite, dataset: str, results: Results, fidelity: str) -> dict[str, Scores]:
    return {row: suite_scores(_cell(suite, row, dataset, fidelity), results, suite.seeds) for row in suite.rows}


def _name(c: Comparison) -> str:
    settings = f" ({c.settings})" if c.settings else ""
    return f"{c.dataset}: {c.family}{settings}, {c.variant}{MARK if c.older else ''}"


def _nothing(suite: Suite, with_: str = "") -> UserError:
    runs = "runs with saved weights" if with_ else "runs"
    command = f"rethinking reproduce {suite.name} {with_}".strip()
    return UserError(f"There are no {runs} for {suite.title.partition(':')[0]}; `{command}` trains them.")


def _partial(missing: Sequence[str], few: Sequence[str]) -> str:
    parts = []
    if missing:
        parts.append(f"not trained yet: {', '.join(missing)}")
    if few:
        parts.append(f"fewer seeds than wanted: {', '.join(few)}")
    return f" Partial: {'; '.join(parts)}." if parts else ""


def _older(names: Sequence[str]) -> str:
    """What of a picture is of runs of schema 1."""
    return f" Of schema 1, without predictions: {', '.join(names)}." if names else ""
