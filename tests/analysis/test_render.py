"""Tables of text in every form: nothing in a cell is taken for something else."""

import io

import pandas as pd
import pytest
from rich.console import Console

from rethinking.analysis.render import on_screen, render

TEXTS = pd.DataFrame({"data set": ["[b]", "*"], "difference": ["-0.2\n[-1.2, +0.7]", "keys=[a, b]"]})


@pytest.mark.parametrize("markup", [True, False])
def test_brackets_on_the_screen(markup: bool) -> None:
    shown = io.StringIO()
    on_screen(Console(file=shown, width=100, markup=markup), TEXTS, "title", ["a [note]"])
    for text in ("[b]", "[-1.2, +0.7]", "keys=[a, b]", "a [note]"):
        assert text in shown.getvalue()
    assert "\\" not in shown.getvalue()


def test_no_bracket_or_star_comes_after_a_line_break_of_latex() -> None:
    """There they would be its arguments: an interval would be a length."""
    text = render(TEXTS, "latex", "title", [])
    after = [part.lstrip()[:1] for part in text.split("\\\\")[1:]]
    assert len(after) == 4 and not {"[", "*"} & set(after)
    assert "{[}-1.2, +0.7]" in text and "keys=[a, b]" in text
