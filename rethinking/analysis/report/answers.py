"""The sections that answer: every comparison, how sure one can be, controls, and whether pooling is needed at all."""

from collections.abc import Sequence

import pandas as pd
from matplotlib.colors import to_hex

from rethinking.analysis.comparisons import Comparison, compare
from rethinking.analysis.controls import FOUND, control_texts, controls
from rethinking.analysis.figures import Picture, draw, style
from rethinking.analysis.figures.colours import verdict_look
from rethinking.analysis.figures.verdicts import verdicts
from rethinking.analysis.overall import by_data_set, overall
from rethinking.analysis.questions import NO_POOLING, Question, question
from rethinking.analysis.report.page import NARROW, WIDE, PagePicture, PageTable, Section, page_picture, page_table
from rethinking.analysis.suites import load_suite
from rethinking.analysis.tables import make_table, table_texts
from rethinking.analysis.tidy import Results
from rethinking.analysis.wording import method, new_cell, overall_texts, row_texts, sentence
from rethinking.errors import UserError

# Headings of `row_texts`.
VERDICTS = ("on this data set", "on new graphs")
POOLED = "Each data set by itself"


def verdict(results: Results, fidelity: str, asked: Question) -> tuple[str, Section | None]:
    """The one sentence, and the section of all comparisons; where there are none, what is said of that."""
    try:
        made, unpaired = compare(results, asked, fidelity)
    except UserError as error:
        return str(error), None
    answer = overall(made, asked)
    pictures = [_below_the_sentence(draw("answer", results, fidelity), NARROW)]
    with style():
        pictures += [_below_the_sentence(verdicts(results, fidelity, narrow=True), NARROW)]
    pictures += [_below_the_sentence(draw("verdicts", results, fidelity), WIDE)]
    pooled = page_table(POOLED, overall_texts(by_data_set(made, asked), asked), tools=False, leads=["data set"])
    words = [*filter(None, [new_cell(answer, asked)]), *unpaired]
    table = comparison_table("Local against each non-local variant", made, asked)
    section = Section("verdict", "Every comparison", words, [pooled, table], pictures, [method(made, asked)])
    return sentence(answer, asked), section


def sure(results: Results, fidelity: str) -> Section:
    """The method in plain words, and what simulations say of it."""
    pictures, notes = [], []
    try:
        pictures.append(page_picture(draw("calibration", results, fidelity)))
    except UserError as error:
        notes.append(str(error))
    return Section("sure", "How sure can I be?", pictures=pictures, notes=notes, explained="sure.html.j2")


def with_known_answer(results: Results, fidelity: str, asked: Question) -> Section:
    """Data sets of which something is known beforehand, suite by suite."""
    title = "Would a difference have been found?"
    some = controls(results, asked, fidelity)
    if not some:
        return Section("controls", title, ["No control was trained yet; `rethinking reproduce control` trains them."])
    words = [
        "A verdict that nothing matters is worth something only if the same method finds a difference where there is "
        "one. So it was asked of data sets of which something is known beforehand. They are apart from all others, and "
        "no part of the sentence on top.",
        *dict.fromkeys(text for control in some for text in control.unpaired),
    ]
    tables = [
        page_table(
            "What is known, and what was found", control_texts(some, asked), tools=False, leads=["data set", FOUND]
        )
    ]
    for name in dict.fromkeys(control.suite for control in some):
        made = [c for control in some if control.suite == name for c in control.answer.comparisons]
        tables.append(comparison_table(load_suite(name).title, made, asked))
    for name in dict.fromkeys(control.suite for control in some):
        scores = make_table(name, results, fidelity)
        tables.append(page_table(f"Scores: {scores.title}", table_texts(scores), tools=False, folded=True))
    return Section("controls", title, words, tables)


def needed_at_all(results: Results, fidelity: str, asked: Question) -> Section | None:
    """Each cell that pools against models that do not; None without such runs."""
    against_none = question(reference=NO_POOLING)
    made: list[Comparison] = []
    for datasets in dict.fromkeys([(), tuple(asked.left_out)]):
        try:
            made += compare(results, against_none, fidelity, datasets)[0]
        except UserError:
            continue
    if not made:
        return None
    words = [
        "Every network with pooling layers, local or not, beside models without any: the mean over all nodes after the "
        "same kind of convolutions, and floors that see no graph. Positive differences: the model without pooling is "
        "better."
    ]
    tables, rows = [], []
    for name in dict.fromkeys(c.reference for c in made):
        own = [c for c in made if c.reference == name]
        asked_of = [c for c in own if c.dataset not in asked.left_out]
        if asked_of:
            text = sentence(overall(asked_of, against_none, name), against_none)
            words.append(f"Against {name}: {text[0].lower()}{text[1:]}")
        texts = overall_texts(by_data_set(own, against_none), against_none)
        texts.insert(1, "against", name)
        rows.append(texts)
    tables.append(page_table(POOLED, pd.concat(rows), tools=False, leads=["data set", "against"]))
    tables.append(comparison_table("Each network against each model without pooling", made, against_none))
    return Section("needed", "Is pooling needed at all?", words, tables)


def comparison_table(title: str, made: Sequence[Comparison], asked: Question) -> PageTable:
    """A row a comparison; verdicts come first on a narrow page, those that decide have the colour of the figures."""
    rows = []
    several = len({c.reference for c in made}) > 1
    for c in made:
        against = {"against": c.reference} if several else {}
        family = f"{c.family} ({c.settings})" if c.settings else c.family
        rows.append(against | row_texts(c, asked) | {"family": family})
    return page_table(title, pd.DataFrame(rows), leads=VERDICTS, looks=looks_of(made))


def looks_of(made: Sequence[Comparison]) -> list[dict[str, str]]:
    """The colours of the verdicts that are decided, of each row."""
    looks = []
    for c in made:
        answers = zip(VERDICTS, (c.answer_a, c.answer_b), strict=True)
        looks.append({name: to_hex(verdict_look(a.verdict)[0]) for name, a in answers if a and a.verdict.decided})
    return looks


def _below_the_sentence(picture: Picture, pages: str) -> PagePicture:
    """A figure without its title, which the page has said above it."""
    picture.figure.suptitle("")
    return page_picture(picture, pages)
