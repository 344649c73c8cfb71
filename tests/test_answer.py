"""README.md says what the runs in results/ say, and shows the picture of these."""

import re
from html import unescape

import pytest

from rethinking.errors import UserError
from scripts.answer import BEGIN, END, PAGE, PICTURE, RESULTS, answer, inserted, read


@pytest.fixture(scope="module")
def said() -> str:
    return answer(read())


def test_the_readme_says_what_the_results_say(said: str) -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert inserted(page, said) == page, "make results writes it anew"


def test_the_picture_is_of_the_same_results(said: str) -> None:
    """By the words at its top, which are the first half of the sentence."""
    assert (RESULTS / PICTURE).is_file() and f"]({RESULTS.name}/{PICTURE})" in said
    drawn = (RESULTS / PICTURE).with_suffix(".svg").read_text(encoding="utf-8")
    words = " ".join(unescape(text) for text in re.findall(r"<(?:text|tspan)[^>]*>([^<]+)<", drawn))
    lead = said.removeprefix("**").partition(";")[0]
    assert lead in " ".join(words.split())


def test_what_stands_around_the_answer_stays() -> None:
    page = f"before\n{BEGIN}\n\nold\n\n{END}\nafter\n"
    once = inserted(page, "new")
    assert once == f"before\n{BEGIN}\n\nnew\n\n{END}\nafter\n" == inserted(once, "new")
    with pytest.raises(UserError, match="lacks the lines"):
        inserted("before\nafter\n", "new")
