"""Data sets of which something is known beforehand: is a difference found where one is, and none where none is?"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from rethinking.analysis.comparisons import compare
from rethinking.analysis.overall import Overall, overall
from rethinking.analysis.questions import Question
from rethinking.analysis.suites import load_suite, suite_names
from rethinking.analysis.tidy import Results
from rethinking.analysis.wording import overall_texts
from rethinking.errors import UserError

FOUND = "what was found, on this data set"


@dataclass(frozen=True)
class Control:
    """One data set. suite: whose it is. known: what is known or expected of it. answer: what its comparisons say.

    unpaired: sentences on what could not be compared.
    """

    suite: str
    known: str
    answer: Overall
    unpaired: Sequence[str]

    @property
    def verdicts(self) -> str:
        """How many comparisons have which verdict on this data set; those that need more seeds or graphs alike."""
        words = (c.words(c.answer_a) if c.verdict.decided else "undecided" for c in self.answer.comparisons)
        count = len(self.answer.comparisons)
        return "; ".join(f"{n} of {count}: {text}" for text, n in Counter(words).most_common())


def controls(results: Results, asked: Question, fidelity: str) -> list[Control]:
    """Of each suite that says what is known, the data sets that the runs allow to compare."""
    made = []
    for name in suite_names():
        for dataset, known in load_suite(name).known.items():
            try:
                comparisons, unpaired = compare(results, asked, fidelity, [dataset])
            except UserError:
                continue
            made.append(Control(name, known, overall(comparisons, asked, comparisons[0].title), unpaired))
    return made


def control_texts(some: Sequence[Control], asked: Question) -> pd.DataFrame:
    """A row for each, as one reads it."""
    rows = overall_texts([control.answer for control in some], asked)
    rows.insert(1, "what is known", [control.known for control in some])
    rows.insert(2, FOUND, [control.verdicts for control in some])
    return rows[["data set", "what is known", FOUND, "mean difference"]]
