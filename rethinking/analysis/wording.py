"""What comparisons say, in words: one sentence to quote, a row each, and the method."""

import math
from collections import Counter
from collections.abc import Sequence

import pandas as pd

from rethinking.analysis.answers import Answer
from rethinking.analysis.comparisons import Comparison
from rethinking.analysis.inference.needed import MOST
from rethinking.analysis.inference.verdicts import Finding
from rethinking.analysis.older import MARK, MEANING
from rethinking.analysis.overall import MARGINS, Overall
from rethinking.analysis.questions import Question

APPROXIMATE = "*"
# Over which comparisons verdicts hold.
STANDING = "all comparisons that there are, whatever is shown"
ON_ONE_DATA_SET = "all comparisons on the data set"
TWO_QUESTIONS = (
    "On this data set (A): over all splits and initialisations of these graphs. On new graphs (B): of the same "
    "kind, after training on this data set; errors clustered by graph and seed. Of new training data (C) one data "
    "set says nothing."
)


def sentence(answer: Overall, asked: Question) -> str:
    """The answer in one sentence."""
    count, pooled = len(answer.comparisons), answer.pooled
    verdicts = Counter(c.words(c.answer_a, answer.amount) for c in answer.comparisons if c.verdict.decided)
    without = sum(not c.judged for c in answer.comparisons)
    decided = len(answer.decided)
    one_by_one = f"one by one, {decided} {'is' if decided == 1 else 'are'} decided"
    if verdicts:
        found = (f"{n} × {words.replace(' (', ', ').rstrip(')')}" for words, n in verdicts.most_common())
        one_by_one += f" ({'; '.join(found)})"
    undecided = f"{count - decided - without} undecided" + (f", {without} without a verdict" if without else "")
    if pooled is None:
        return f"None of {_comparisons(count)} has seeds and variance enough for a verdict."
    first, second = _sides(answer)
    low, high = pooled.interval(asked.confidence)
    if count == 1:
        (one,) = answer.comparisons
        return (
            f"On {one.title}, {second} differs from {first} by {_number(answer, pooled.mean)} {_unit(answer)}"
            f"{_of_how_much(answer)} on average over {len(one.seeds)} seeds, {asked.confidence:.0%} interval "
            f"[{_number(answer, low)}, {_number(answer, high)}]; verdict: {one.words(one.answer_a)}."
        )
    return (
        f"Over {_comparisons(pooled.comparisons)}, {second} differs from {first} by "
        f"{_number(answer, pooled.mean)} {_unit(answer)}{_of_how_much(answer)} on average, {asked.confidence:.0%} "
        f"interval [{_number(answer, low)}, {_number(answer, high)}]: the two are equivalent "
        f"{_only(answer, asked)}within {within(answer, asked)}; {one_by_one}, {undecided}."
    )


def within(answer: Overall, asked: Question) -> str:
    """The smallest margin at which the pooled difference is equivalent, rounded up."""
    assert answer.pooled is not None
    digits = answer.unit.digits
    size = math.ceil(answer.pooled.within(asked.level) * 10**digits) / 10**digits
    return f"{size:.{digits}f} {_unit(answer)}"


def _only(answer: Overall, asked: Question) -> str:
    """Of a margin that is larger than the one that is asked for."""
    assert answer.pooled is not None
    return "only " if answer.pooled.within(asked.level) > answer.margin else ""


def new_cell(answer: Overall, asked: Question) -> str:
    """What is to be expected of a cell that was not trained; nothing of fewer than three comparisons."""
    between = answer.pooled.between if answer.pooled else None
    if between is None:
        return ""
    low, high, new_low, new_high = (
        _number(answer, value) for value in (between.low, between.high, between.new_low, between.new_high)
    )
    return (
        f"Of a further cell like these, the true difference is expected in [{new_low}, {new_high}] {_unit(answer)} "
        f"with {asked.confidence:.0%} confidence "
        f"(random effects: mean {_number(answer, between.mean)} [{low}, {high}], "
        f"standard deviation between cells {math.sqrt(between.variance):.{answer.unit.digits + 1}f})."
    )


def overall_texts(answers: Sequence[Overall], asked: Question) -> pd.DataFrame:
    """A row for each of some pooled answers."""
    rows = []
    for answer in answers:
        pooled = answer.pooled
        interval = "" if pooled is None else [_number(answer, value) for value in pooled.interval(asked.confidence)]
        rows.append(
            {
                "data set": answer.title,
                "comparisons": str(len(answer.comparisons)),
                "mean difference": f"{_number(answer, pooled.mean)} [{', '.join(interval)}]" if pooled else "—",
                "equivalent within": _only(answer, asked) + within(answer, asked) if pooled else "—",
                "decided": str(len(answer.decided)),
            }
        )
    return pd.DataFrame(rows)


def row_texts(c: Comparison, asked: Question) -> dict[str, str]:
    """What one reads of a comparison, but for its settings."""
    a, n = c.answer_a, len(c.seeds)
    return {
        "data set": c.title,
        "family": c.family,
        "variant": c.variant,
        "on this data set": c.words(a),
        "on new graphs": answer_b_text(c),
        "difference": c.unit.interval(a.estimate.mean, *a.estimate.interval(asked.confidence)),
        "seeds": (f"{n}" if n >= asked.seeds else f"{n}/{asked.seeds}") + (MARK if c.older else ""),
        "still needed": f"{_needed(a)} / {_needed(c.answer_b)}",
    }


def answer_b_text(c: Comparison) -> str:
    """The verdict on new graphs, with a mark where it is approximate."""
    return "cannot be said" if c.answer_b is None else c.words(c.answer_b) + APPROXIMATE * c.answer_b.approximate


def method(
    comparisons: Sequence[Comparison], asked: Question, sides: tuple[str, str] | None = None, family: str = ""
) -> str:
    """How the numbers of `row_texts` are made. sides: what the two are called, where comparisons differ in that.

    family: see `judged_how`.
    """
    first, second = sides or comparisons[0].sides
    return (
        f"{by_how_much(asked, first, second)} {TWO_QUESTIONS} "
        f"{judged_how(comparisons, asked, family)} {_needed_how(asked)} {_marked(comparisons)}"
    ).strip()


def by_how_much(asked: Question, first: str, second: str) -> str:
    """What a difference is of."""
    return (
        f"Difference: by how much {second} is better than {first} (negative: worse, for errors too), paired by seed, "
        f"with the {asked.confidence:.0%} interval of Student's t."
    )


def judged_how(comparisons: Sequence[Comparison], asked: Question, family: str = "") -> str:
    """Over what verdicts hold.

    family: the comparisons that are tested together, in words; where it is empty, those that there are.
    """
    if not family:
        apart = [c.dataset in asked.left_out for c in comparisons]
        family = ON_ONE_DATA_SET if all(apart) else STANDING
        if any(apart) and not all(apart):
            family += f" (those of {', '.join(asked.left_out)}: on the data set)"
    looks = ", ".join(map(str, asked.looks))
    how = "Benjamini and Hochberg for each claim" if asked.adjust == "bh" else "Holm over all claims"
    margins = margin_texts(comparisons)
    return (
        f"Verdicts: margin {' or '.join(margins)}, level {asked.level:g} over the looks at {looks} seeds and, "
        f"by {how}, over {family}; none below {asked.fewest} seeds or without variance."
    )


def _needed_how(asked: Question) -> str:
    """What the column of seeds that are missing says."""
    return (
        "Still needed: seeds beyond these until something is decided, if mean and spread stay, for A / for B. In "
        f"brackets: more than the {asked.looks[-1]} of the last look, so seeds of a longer plan, with looks up to "
        "there (compare.looks) from its first seed on; ∞: too few graphs."
    )


def _marked(comparisons: Sequence[Comparison]) -> str:
    """What marks mean that occur."""
    texts = []
    if any(c.answer_b and c.answer_b.approximate for c in comparisons):
        texts.append(
            f"{APPROXIMATE} approximate, conservative: without predictions of single graphs, with the variance of "
            "Nadeau and Bengio (2003)."
        )
    if any(c.older for c in comparisons):
        texts.append(MEANING)
    return " ".join(texts)


def margin_texts(comparisons: Sequence[Comparison]) -> list[str]:
    """The margins that occur, each with what it is of."""
    return sorted({c.unit.margin_text(c.margin) for c in comparisons}, reverse=True)


def _needed(answer: Answer | None) -> str:
    if answer is None or not answer.verdict.judged or answer.verdict.decided:
        return "—"
    verdict = answer.verdict
    if verdict.finding == Finding.FEW_GRAPHS:
        return "∞"
    return str(verdict.more) if verdict.more is not None else f"({verdict.longer or f'>{MOST}'})"


def _comparisons(count: int) -> str:
    return f"{count} comparison{'' if count == 1 else 's'}"


def _sides(answer: Overall) -> tuple[str, str]:
    first, second = answer.comparisons[0].sides
    pooling = "" if "pooling" in first or " " in first else " pooling"
    return first + pooling, second + pooling


def _unit(answer: Overall) -> str:
    if answer.unit is MARGINS:
        return "margins"
    return "points" if answer.unit.in_points else f"of {answer.unit.name}"


def _of_how_much(answer: Overall) -> str:
    """Which sign is better, where some of it are errors, and what a margin is, where a sentence counts in margins."""
    parts = [] if all(c.higher_is_better for c in answer.comparisons) else ["positive is better"]
    if answer.unit is MARGINS:
        parts.append(f"one is {' or '.join(margin_texts(answer.comparisons))}")
    return f" ({'; '.join(parts)})" if parts else ""


def _number(answer: Overall, value: float) -> str:
    return f"{value:+z.{answer.unit.digits + 1}f}"
