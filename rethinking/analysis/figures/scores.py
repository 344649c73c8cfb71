"""Figures of scores: 1, 2, 4, 8 and S1."""

from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns

from rethinking.analysis.figures.picture import (
    Picture,
    column_scores,
    difference_label,
    nothing_to_draw,
    older_text,
    partial_text,
    row_cell,
    say_within,
    score_label,
    suite_colours,
)
from rethinking.analysis.questions import question
from rethinking.analysis.scores import suite_scores
from rethinking.analysis.suites import Suite
from rethinking.analysis.tidy import Results


def distributions(suite: Suite, results: Results, fidelity: str) -> Picture:
    """Figures 1, 2, 4 and S1: the test scores of all seeds, a panel a data set."""
    panels = {}
    for dataset, title in suite.columns.items():
        scores = {
            row: values for row, values in column_scores(suite, dataset, results, fidelity).items() if len(values)
        }
        if scores:
            panels[title] = (dataset, scores)
    missing = [title for title in suite.columns.values() if title not in panels]
    if not panels:
        raise nothing_to_draw(suite)
    made, axes = plt.subplots(
        1, len(panels), figsize=(2.6 * len(panels) + 0.4, 3.5), squeeze=False, layout="constrained"
    )
    fewest = question().fewest
    few: list[str] = []
    older: list[str] = []
    for axis, (title, (dataset, scores)) in zip(axes[0], panels.items(), strict=True):
        unit = row_cell(suite, next(iter(scores)), dataset, fidelity).task().unit
        frame = pd.concat([pd.DataFrame({"row": row, "score": own.values}) for row, own in scores.items()])
        boxed = frame[frame["row"].isin([row for row, own in scores.items() if len(own) >= fewest])]
        options: dict[str, Any] = {
            "x": "row",
            "y": "score",
            "hue": "row",
            "palette": suite_colours(suite, dataset, fidelity),
        }
        options |= {"order": list(scores), "ax": axis, "legend": False}
        sns.boxplot(boxed, **options, width=0.55, fliersize=0, boxprops={"alpha": 0.45})
        sns.swarmplot(frame, **options, size=3, warn_thresh=1)
        axis.set(title=title, xlabel="", ylabel=score_label("test", unit))
        axis.tick_params(axis="x", rotation=30)
        few += [f"{row} on {title}: {len(own)}" for row, own in scores.items() if len(own) < suite.seeds]
        older += [f"{row} on {title}" for row, own in scores.items() if own.older]
    say_within(made, f"A point a seed; boxes: quartiles and median, from {fewest} seeds on.")
    return Picture(made, f"{suite.title}." + partial_text(missing, few) + older_text(older))


def gaps(suite: Suite, results: Results, fidelity: str) -> Picture:
    """Figure 8: the first of each pair of rows minus the second, over the suite's two axes (layers × hidden size)."""
    panels, missing, older = [], [], []
    for dataset, title in suite.columns.items():
        rows = []
        for first, second in suite.compare:
            cells = [row_cell(suite, row, dataset, fidelity) for row in (first, second)]
            scores = [suite_scores(cell, results, suite.seeds) for cell in cells]
            difference = scores[0].minus(scores[1])
            if difference:
                setting = {axis: cells[1].network[axis] for axis in suite.axes}
                both = scores[1].values.index.intersection(scores[0].values.index)
                own_mean = scores[1].values[both].mean()
                rows.append(setting | {"gap": difference.mean, "score": own_mean, "seeds": len(both)})
                older += [f"{first} and {second} on {title}"] if scores[1].older else []
        if rows:
            panels.append((dataset, title, pd.DataFrame(rows)))
        if len(rows) < len(suite.compare):
            missing.append(f"{title} ({len(rows)} of {len(suite.compare)} settings)")
    if not panels:
        raise nothing_to_draw(suite)
    theirs, own = (row_cell(suite, row, next(iter(suite.columns)), fidelity).variant for row in suite.compare[0])
    made, axes = plt.subplots(1, len(panels), figsize=(4.4 * len(panels), 3.9), squeeze=False, layout="constrained")
    for axis, (dataset, title, frame) in zip(axes[0], panels, strict=True):
        task = row_cell(suite, suite.compare[0][0], dataset, fidelity).task()
        unit = task.unit
        cells = [row_cell(suite, row, dataset, fidelity) for _, row in suite.compare]
        across = [sorted({cell.network[axis] for cell in cells}) for axis in suite.axes]
        by_setting = frame.set_index(list(suite.axes)).reindex(
            pd.MultiIndex.from_product(across, names=list(suite.axes))
        )
        gaps, ours = (by_setting[name].unstack() for name in ("gap", "score"))
        most = max(float(np.nanmax(np.abs(gaps.to_numpy()))), 0.05 * unit.scale)
        sign = 1 if task.higher_is_better else -1
        sns.heatmap(
            sign * gaps,
            annot=ours,
            fmt=f".{unit.digits}f",
            # So few colours that the bar is drawn, not an image: two alike would have one id in a page.
            cmap=plt.get_cmap("RdBu_r", 31),
            vmin=-most,
            vmax=most,
            ax=axis,
            cbar_kws={"label": f"{theirs} better by, {difference_label(unit)}"},
        )
        axis.grid(False)
        axis.set_facecolor("0.93")
        axis.set(title=f"{title} ({score_label('test', unit)})")
    seeds = sorted({int(n) for _, _, frame in panels for n in frame["seeds"]})
    span = f"{seeds[0]}" if len(seeds) == 1 else f"{seeds[0]} to {seeds[-1]}"
    say_within(
        made,
        f"Number: the mean test score of {own}. Colour: by how much {theirs} is better (red) or worse "
        f"(blue), in the same unit, the mean over the seeds that both have ({span}). "
        "Grey: not trained.",
    )
    return Picture(made, f"{suite.title}.{partial_text(missing, [])}{older_text(older)}")
