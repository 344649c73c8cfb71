"""Everything that is known of comparisons, as a tidy data frame: a row each."""

from collections.abc import Sequence
from typing import Any

import pandas as pd

from rethinking.analysis import statistics
from rethinking.analysis.answers import Answer
from rethinking.analysis.comparisons import Comparison
from rethinking.analysis.inference.claims import Claim
from rethinking.analysis.pairs import POOLING
from rethinking.analysis.questions import Question

# How the claims are called in a heading.
CLAIMS = {
    Claim.DIFFERENT: "different",
    Claim.EQUIVALENT: "equivalent",
    Claim.NOT_WORSE: "not worse",
    Claim.RELEVANT: "relevant",
}


def csv(comparisons: Sequence[Comparison], asked: Question) -> str:
    """The frame as text, with six digits."""
    return frame(comparisons, asked).to_csv(index=False, float_format="%.6g")


def frame(comparisons: Sequence[Comparison], asked: Question) -> pd.DataFrame:
    """In the metric's unit, with checks that ask less of the scores. A: on this data set, B: on new graphs."""
    rows = []
    for c in comparisons:
        low, high = statistics.bootstrap_interval(c.differences, asked.confidence)
        # Of a model without pooling the row has the name as reference; its difference is that of the second side, too.
        own, reference = (c.b, c.a) if c.sides == POOLING else (c.a, c.b)
        rows.append(
            {
                "data set": c.title,
                "family": c.family,
                "settings": c.settings,
                "variant": c.variant,
                "reference": c.reference,
                "fidelity": c.fidelity,
                "metric": c.metric,
                "schema 1": c.older,
                "seeds": len(c.seeds),
                "reference mean": reference.mean(),
                "variant mean": own.mean(),
                "margin": c.margin,
                "difference": c.answer_a.estimate.mean,
                **_columns("A", c, c.answer_a, asked),
                **_columns("B", c, c.answer_b, asked),
                "p Wilcoxon": statistics.p_wilcoxon(c.a, c.b),
                "bootstrap low": low,
                "bootstrap high": high,
            }
        )
    return pd.DataFrame(rows)


def _columns(name: str, c: Comparison, answer: Answer | None, asked: Question) -> dict[str, Any]:
    if answer is None:
        empty = ["standard error", "low", "high", *(f"p {claim}" for claim in CLAIMS.values())]
        empty += [f"p {claim} adjusted" for claim in CLAIMS.values()]
        return {f"{name} verdict": "cannot be said", f"{name} method": ""} | {
            f"{name} {column}": float("nan") for column in [*empty, "seeds needed"]
        }
    low, high = answer.estimate.interval(asked.confidence)
    methods = {"A": "paired t", "B": "clustered by graph and seed"}
    return {
        f"{name} verdict": c.words(answer),
        f"{name} method": "approximate, conservative" if answer.approximate else methods[name],
        f"{name} standard error": answer.estimate.error,
        f"{name} low": low,
        f"{name} high": high,
        **{f"{name} p {text}": answer.p[claim] for claim, text in CLAIMS.items()},
        **{f"{name} p {text} adjusted": answer.adjusted[claim] for claim, text in CLAIMS.items()},
        f"{name} seeds needed": float("nan") if answer.needed is None else answer.needed,
    }
