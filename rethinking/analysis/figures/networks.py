"""Figures that look into trained networks: 3, 5 and 6. They need saved weights."""

import matplotlib.pyplot as plt
import pandas as pd
import seaborn as sns

from rethinking.analysis.figures.picture import (
    Picture,
    difference_label,
    nothing_to_draw,
    partial_text,
    row_cell,
    say_within,
    suite_colours,
)
from rethinking.analysis.suites import Suite
from rethinking.analysis.tidy import Results
from rethinking.analysis.trained import activations, all_with_weights, cosine_distances, permuted_scores, with_weights


def activations_around_pooling(suite: Suite, results: Results, fidelity: str) -> Picture:
    """Figures 5 and 6: node features of some test graphs before and after the first pooling layer, as heat maps."""
    dataset, count = next(iter(suite.columns)), suite.looked_at
    looks, missing = {}, []
    for row in suite.rows:
        run = with_weights(row_cell(suite, row, dataset, fidelity), results)
        if run is None:
            missing.append(row)
        else:
            looks[row] = (activations(run, count), run)
    if not looks:
        raise nothing_to_draw(suite, "saved weights", "save_model=true")
    size = (2.3 * count + 1, 1.9 * len(looks) + 1.1)
    made, axes = plt.subplots(len(looks), 2 * count, figsize=size, squeeze=False, layout="constrained")
    for line, (row, (graphs, run)) in zip(axes, looks.items(), strict=True):
        for number, pair in enumerate(graphs):
            kinds = (f"graph {number + 1}\n{len(pair[0])} nodes", f"pooled to\n{len(pair[1])} clusters")
            for axis, x, kind in zip(line[2 * number :], pair, kinds, strict=False):
                axis.imshow(x, aspect="auto", cmap="viridis", interpolation="nearest")
                axis.set_xticks([])
                axis.set_yticks([])
                axis.set_title(kind, fontsize=8)
        before, after = (f"{value:.2f}" for value in cosine_distances(run))
        line[0].set_ylabel(f"{row}\n(seed {run.seed})\n{before} → {after}", fontsize=9)
    say_within(
        made,
        f"{count} test graphs of {suite.columns[dataset]} before and after the first pooling layer of one trained "
        "network (one seed) a line. A row of a panel is a node, after pooling a cluster; a column is a feature. "
        "Colour: the feature's value, which has no unit, from the least (dark) to the largest (bright) of the panel. "
        "Rows that look alike cannot be told apart any more.\n"
        "Numbers at the left: the mean cosine distance of two nodes' features before → after the layer, over all test "
        "graphs of that seed; 0: all nodes are alike.",
        size=8,
    )
    return Picture(made, f"{suite.title}, on {suite.columns[dataset]}.{partial_text(missing, [])}")


def permuted(suite: Suite, results: Results, fidelity: str) -> Picture:
    """Figure 3: the score on the validation set under random permutations of each graph, random and invariant."""
    panels: dict[str, pd.DataFrame] = {}
    missing = []
    for dataset, title in suite.columns.items():
        rows = []
        for row in suite.rows:
            runs = all_with_weights(row_cell(suite, row, dataset, fidelity), results)
            for run in runs[: suite.seeds]:
                own, *others = permuted_scores(run, suite.looked_at)
                rows += [{"row": row, "seed": run.seed, "change": score - own} for score in others]
            if not runs:
                missing.append(f"{row} on {title}")
        if rows:
            panels[title] = pd.DataFrame(rows)
    if not panels:
        raise nothing_to_draw(suite, "saved weights", "save_model=true")
    made, axes = plt.subplots(1, len(panels), figsize=(3.4 * len(panels), 3.2), squeeze=False)
    drawn = [(dataset, title) for dataset, title in suite.columns.items() if title in panels]
    for axis, (dataset, title) in zip(axes[0], drawn, strict=True):
        unit = row_cell(suite, next(iter(suite.rows)), dataset, fidelity).task().unit
        frame = panels[title].assign(change=unit.scale * panels[title]["change"])
        colours = suite_colours(suite, dataset, fidelity)
        sns.stripplot(
            frame, x="row", y="change", hue="row", palette=colours, ax=axis, size=2.5, jitter=False, legend=False
        )
        axis.axhline(0, color="0.5", lw=1)
        axis.set(title=title, xlabel="", ylabel=f"permuted minus as it is, {difference_label(unit)}")
    made.tight_layout()
    text = (
        f"{suite.title}, on the validation set. A point a seed and permutation ({suite.looked_at} each), with the "
        "weights of the best epoch; invariant variants differ by rounding only."
    )
    return Picture(made, text + partial_text(missing, []))
