"""The figure of all comparisons: each with its intervals and its verdict in words, and what they say together."""

from collections import Counter
from collections.abc import Sequence
from textwrap import fill
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from rethinking.analysis.checks import SIDES
from rethinking.analysis.comparisons import Comparison, compare
from rethinking.analysis.figures.colours import INK, MARGIN, reach, verdict_look
from rethinking.analysis.figures.picture import Picture, difference_label, say_within
from rethinking.analysis.older import MARK, MEANING
from rethinking.analysis.overall import MARGINS, Overall, by_data_set, overall
from rethinking.analysis.questions import Question, question
from rethinking.analysis.tidy import Results
from rethinking.analysis.wording import margin_texts, sentence

BAND = "Grey band: the margin; a difference within it does not matter."


def verdicts(results: Results, fidelity: str, narrow: bool = False) -> Picture:
    """A forest: of each comparison the interval on this data set and on new graphs, below them what all say.

    narrow: for a page of the width of a phone.
    """
    asked = question()
    comparisons, _ = compare(results, asked, fidelity)
    answer = overall(comparisons, asked)
    made = _forest(comparisons, answer, asked, answer.comparisons[0].sides, answer.pooled is not None, narrow)
    letters = 45 if narrow else 105
    made.suptitle(fill(sentence(answer, asked), letters), x=0.01, ha="left", fontsize=9.5, fontweight="bold")
    where = "Behind its name, if it is decided" if narrow else "At the right"
    say_within(
        made,
        f"A row: a family and the non-local variant that takes the place of its local one. {where}: the "
        f"verdict on this data set. Thick: {asked.confidence:.0%} interval of the mean difference on this data "
        "set (A). Thin: on new graphs of the same kind (B), dashed where it is approximate. Coloured: decided, "
        "grey: undecided; that holds for all comparisons and looks together, so it asks for more than one "
        f"interval. {BAND} Diamond: the mean of all comparisons with its interval. Below it: where the true "
        "difference of a further one is expected." + (f" {MEANING}" if any(c.older for c in comparisons) else ""),
    )
    return Picture(made, "Local against non-local pooling, every comparison.")


def against_controls(comparisons: Sequence[Comparison], asked: Question, narrow: bool = False) -> Picture:
    """A forest of operators against their controls; no mean, as controls ask different questions."""
    answer = overall(comparisons, asked)
    made = _forest(comparisons, answer, asked, SIDES, with_mean=False, narrow=narrow)
    say_within(
        made,
        f"A row: an operator and the control that takes its place. Thick: {asked.confidence:.0%} interval of the mean "
        "difference on this data set (A). Thin: on new graphs of the same kind (B), dashed where it is approximate. "
        f"Coloured: decided, which holds for all comparisons and looks together. {BAND}",
    )
    return Picture(made, "Each control against its operator.")


def _forest(
    comparisons: Sequence[Comparison],
    answer: Overall,
    asked: Question,
    sides: tuple[str, str],
    with_mean: bool,
    narrow: bool = False,
) -> Figure:
    """A row a comparison, under the title of its data set; below them their mean, if it is wanted.

    narrow: what a row is called stands above its intervals, with the verdict if it is decided.
    """
    rows = len(comparisons) + len({c.title for c in comparisons}) + 3 * with_mean
    size = (3.6, 0.35 * rows + 1.9) if narrow else (8, 0.21 * rows + 1.9)
    made = plt.figure(figsize=size, layout="constrained")
    axis = made.add_subplot()
    labels, place = {}, 0
    for title in dict.fromkeys(c.title for c in comparisons):
        labels[place], place = title, place + 1
        for c in comparisons:
            if c.title == title:
                _draw_comparison(axis, place, c, answer, asked)
                if not narrow:
                    _tell_verdict(axis, place, c)
                told = f": {c.words(c.answer_a)}" if narrow and c.verdict.decided else ""
                labels[place], place = f"{_name(c)}{told}", place + 1
    if with_mean:
        axis.axhline(place - 0.5, color=INK, lw=0.8)
        labels |= _draw_pooled(axis, place, answer, asked)
    _dress(axis, answer, labels, sides)
    titles = {c.title for c in comparisons}
    for tick, text in zip(axis.get_yticklabels(), labels.values(), strict=True):
        tick.set_fontweight("bold" if text in titles else "normal")
    if narrow:
        axis.set_yticks([])
        for place, text in labels.items():
            weight = "bold" if text in titles else "normal"
            name = axis.text(0.01, place - 0.12, fill(text, 58), transform=axis.get_yaxis_transform(), in_layout=False)
            name.set(va="bottom", fontsize=6.5, fontweight=weight, linespacing=0.95)
    return made


def answer_in_brief(results: Results, fidelity: str) -> Picture:
    """The same in small: a row a data set, with a mark for each of its comparisons."""
    asked = question()
    comparisons, _ = compare(results, asked, fidelity)
    answer = overall(comparisons, asked)
    parts = by_data_set(comparisons, asked)
    made = plt.figure(figsize=(5, 0.36 * len(parts) + 2.9), layout="constrained")
    axis = made.add_subplot()
    labels = {}
    for place, part in enumerate(parts):
        for c in part.comparisons:
            _draw_mean(axis, place - 0.22, c, answer, ms=6, alpha=0.8, mew=0)
        if part.pooled:
            scale = 1 if part.unit == answer.unit else 1 / part.margin
            ends = [scale * end for end in part.pooled.interval(asked.confidence)]
            _draw_interval(axis, place + 0.18, scale * part.pooled.mean, ends, answer)
        labels[place] = f"{part.title} ({len(part.comparisons)})"
    place = len(parts)
    if answer.pooled:
        axis.axhline(place - 0.5, color=INK, lw=0.8)
        labels |= _draw_pooled(axis, place, answer, asked)
    _dress(axis, answer, labels, answer.comparisons[0].sides)
    # The rest of the sentence is how many are decided, which the legend says.
    lead = sentence(answer, asked).partition(";")[0].rstrip(".")
    made.suptitle(fill(f"{lead}.", 64), x=0.01, ha="left", fontsize=9.5, fontweight="bold")
    say_within(
        made,
        "Beside a data set: how many comparisons. Small marks: each of them. Diamonds: their mean with its "
        f"{asked.confidence:.0%} interval. {BAND}",
        size=8,
    )
    told = [c.words(c.answer_a, answer.amount) if c.verdict.decided else "not decided" for c in comparisons]
    looks = {words: verdict_look(c.verdict) for words, c in zip(told, comparisons, strict=True)}
    counts = Counter(told)
    handles = [
        Line2D([], [], ls="", color=looks[words][0], marker=looks[words][1], label=f"{count} {words}")
        for words, count in counts.most_common()
    ]
    axis.legend(handles=handles, fontsize=8, loc="upper center", bbox_to_anchor=(0.3, -0.17), frameon=False)
    return Picture(made, "Local against non-local pooling, a row a data set.")


def _draw_comparison(axis: Axes, place: float, c: Comparison, answer: Overall, asked: Question) -> None:
    """One row: the interval of A thick, that of B thin below it."""
    colour, scale = verdict_look(c.verdict)[0], _scale(c, answer)
    if c.answer_b is not None:
        low, high = c.answer_b.estimate.interval(asked.confidence)
        dashes, own = "--" if c.answer_b.approximate else "-", verdict_look(c.answer_b.verdict)[0]
        axis.plot([low * scale, high * scale], [place + 0.24] * 2, color=own, ls=dashes, lw=1)
        _draw_beyond(axis, place + 0.24, low * scale, high * scale, answer, color=own, ms=2.5)
    low, high = c.answer_a.estimate.interval(asked.confidence)
    axis.plot([low * scale, high * scale], [place] * 2, color=colour, lw=3, solid_capstyle="butt")
    _draw_beyond(axis, place, low * scale, high * scale, answer, color=colour, ms=5)
    _draw_mean(axis, place, c, answer, ms=5, mec="white", mew=0.5)
    _tell_beyond(axis, place, c.answer_a.estimate.mean * scale, answer)


def _tell_verdict(axis: Axes, place: float, c: Comparison) -> None:
    """At the right of a row."""
    text = axis.text(1.01, place, c.words(c.answer_a), transform=axis.get_yaxis_transform())
    weight = "bold" if c.verdict.decided else "normal"
    text.set(color=verdict_look(c.verdict)[0], va="center", fontsize=7, fontweight=weight)


def _draw_mean(axis: Axes, place: float, c: Comparison, answer: Overall, **look: Any) -> None:
    colour, marker = verdict_look(c.verdict)
    _draw_mark(axis, place, c.answer_a.estimate.mean * _scale(c, answer), answer, marker, color=colour, **look)


def _draw_mark(axis: Axes, place: float, mean: float, answer: Overall, marker: str, **look: Any) -> None:
    """A mean; where it lies beyond the axis, an arrow at its end."""
    most = reach() * answer.margin
    if abs(mean) > most:
        marker, look = ">" if mean > 0 else "<", look | {"clip_on": False}
    axis.plot(float(np.clip(mean, -most, most)), place, marker, **look)


def _draw_beyond(axis: Axes, place: float, low: float, high: float, answer: Overall, **look: Any) -> None:
    """An arrow at each end of an interval that lies beyond the axis."""
    most = reach() * answer.margin
    for end, marker, beyond in ((-most, "<", low < -most), (most, ">", high > most)):
        if beyond:
            axis.plot(end, place, marker, clip_on=False, mew=0, **look)


def _tell_beyond(axis: Axes, place: float, mean: float, answer: Overall) -> None:
    """How much a mean is, beside its arrow, where it lies beyond the axis."""
    most = reach() * answer.margin
    if abs(mean) > most:
        at, side = (0.97 * most, "right") if mean > 0 else (-0.97 * most, "left")
        axis.text(at, place, answer.unit.signed(mean), ha=side, va="center", fontsize=7)


def _draw_pooled(axis: Axes, place: int, answer: Overall, asked: Question) -> dict[int, str]:
    """Two rows: the mean of all, and where a further one is expected. Returns what they are called."""
    assert answer.pooled is not None
    _draw_interval(axis, place, answer.pooled.mean, answer.pooled.interval(asked.confidence), answer, size=9)
    labels = {place: f"mean of all {answer.pooled.comparisons}"}
    if answer.pooled.between:
        ends = [answer.pooled.between.new_low, answer.pooled.between.new_high]
        axis.plot(ends, [place + 1] * 2, "|-", color=INK, lw=1.2, ms=7)
        labels[place + 1] = "expected of a further one"
    return labels


def _draw_interval(
    axis: Axes, place: float, mean: float, ends: Sequence[float], answer: Overall, size: float = 7
) -> None:
    axis.plot(list(ends), [place] * 2, color=INK, lw=1.8)
    _draw_mark(axis, place, mean, answer, "D", color=INK, ms=size, mec="white", mew=0.5)
    _tell_beyond(axis, place, mean, answer)


def _dress(axis: Axes, answer: Overall, labels: dict[int, str], sides: tuple[str, str]) -> None:
    """Margin, zero, the labels of rows, and which side is which."""
    axis.axvspan(-answer.margin, answer.margin, color=MARGIN, zorder=0)
    axis.axvline(0, color="0.4", lw=1, zorder=1)
    axis.set_yticks(list(labels), list(labels.values()), fontsize=8)
    left, right = axis.get_xlim()
    most = reach() * answer.margin
    axis.set_xlim(max(left, -most), min(right, most))
    axis.set_ylim(max(labels) + 0.6, -0.6)
    axis.grid(axis="y", visible=False)
    axis.locator_params(axis="x", nbins=7)
    axis.tick_params(axis="x", labelsize=8)
    axis.set_xlabel(f"difference, test, {_unit(answer)}", fontsize=8)
    first, second = sides
    axis.set_title(f"← {first} better", loc="left", fontsize=8)
    axis.set_title(f"{second} better →", loc="right", fontsize=8)


def _unit(answer: Overall) -> str:
    if answer.unit != MARGINS:
        return difference_label(answer.unit)
    return f"in margins ({', '.join(margin_texts(answer.comparisons))})"


def _scale(c: Comparison, answer: Overall) -> float:
    """From a comparison's unit to that of the axis."""
    return 1 / c.margin if answer.unit == MARGINS else 1.0


def _name(c: Comparison) -> str:
    settings = f" ({c.settings})" if c.settings else ""
    return f"{c.family}, {c.variant}{settings}, {len(c.seeds)} seeds{MARK if c.older else ''}"
