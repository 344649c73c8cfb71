"""What comparisons say, in words: a row each, the method, and the answer in a few sentences."""

import math
from collections import defaultdict
from collections.abc import Sequence

from rethinking.analysis.comparisons import Comparison, Question
from rethinking.analysis.older import MARK, MEANING


def row_texts(c: Comparison, seeds: int) -> dict[str, str]:
    """What one reads of a comparison, but for its settings. seeds: with fewer it is partial."""
    d, n = c.difference, c.difference.n
    needed = "∞" if c.needed is None else str(c.needed)
    return {
        "data set": c.dataset,
        "family": c.family,
        "variant": c.variant,
        "verdict": c.verdict,
        "difference": c.unit.interval(d.mean, d.low, d.high) + ("*" if c.test_to_train else ""),
        "within": f"{c.within:.{c.unit.digits}f}" if c.judged else "—",
        "seeds": (f"{n}" if n >= seeds else f"{n}/{seeds}") + (MARK if c.older else ""),
        "needed": needed if c.judged else "—",
    }


def method(asked: Question) -> str:
    """How the numbers of `row_texts` are made."""
    return (
        f"Difference: non-local minus local, paired by seed, with its {asked.confidence:.0%} interval. With fewer than "
        f"{asked.fewest} seeds, or where all differences are the same, there is no verdict. Equivalent: two "
        "one-sided tests. Where every seed splits the same graphs anew (marked *), variances are corrected by Nadeau "
        "and Bengio (2003); otherwise the plain paired t. Within: the smallest margin at which the two would be "
        "equivalent. Needed: seeds to show it at the margin, if there is no difference (∞: none do)."
    )


def in_words(comparisons: Sequence[Comparison], asked: Question) -> str:
    """The answer, in a few sentences."""
    counts: dict[str, int] = defaultdict(int)
    for comparison in comparisons:
        counts[comparison.verdict] += 1
    order = ("local better", "non-local better", "equivalent", "undecided")
    parts = [f"{counts[verdict]} {verdict}" for verdict in order]
    parts += [f"{count} without a verdict ({reason})" for reason, count in counts.items() if reason not in order]
    margins = {c.unit.margin_text(c.margin) for c in comparisons}
    text = (
        f"Of {len(comparisons)} comparisons of a non-local with the local variant: {', '.join(parts)} "
        f"(margin {' or '.join(sorted(margins))}, level {asked.level:g} after Holm over all of them)."
    )
    intervals = [c.difference for c in comparisons if not math.isnan(c.difference.low)]
    contain = sum(interval.low <= 0 <= interval.high for interval in intervals)
    if intervals:
        text += f" {contain} of the {len(intervals)} intervals contain zero."
    partial = [c for c in comparisons if c.difference.n < asked.seeds]
    if partial:
        text += f" {len(partial)} of them are partial: fewer than {asked.seeds} seeds."
    undecided = [c for c in comparisons if c.verdict == "undecided"]
    hopeless = [c for c in undecided if c.needed is None]
    if hopeless:
        text += (
            f" For {len(hopeless)} that are undecided no number of seeds would do: every seed splits the same graphs "
            "anew, so the error stays above what the margin asks for; more graphs or a wider margin would."
        )
    if any(c.older for c in comparisons):
        text += f" {MEANING}"
    return text
