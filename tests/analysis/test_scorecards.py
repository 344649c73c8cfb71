"""What is said of scorecards follows from their numbers."""

import re
from collections.abc import Mapping, Sequence

import numpy as np
import pytest

from rethinking.analysis.figures import scorecards as figures
from rethinking.analysis.render import render
from rethinking.analysis.report.scorecard import scorecard_sections
from rethinking.analysis.scorecards import (
    Card,
    MeasureTable,
    Scored,
    _several,
    claims,
    measure_table,
    of_operator,
    of_operators,
    problems,
    sheet,
)
from rethinking.scorecard.card import COST, EXPRESSIVE, STRUCTURE, Drawn, Part
from rethinking.scorecard.settings import section

NAN = float("nan")
CUBE = Drawn([[0.0, 0, 0], [1, 0, 0], [1, 1, 5]], [(0, 1, 1.0), (1, 2, 0.5)], 2, [0.0, 1.0, 2.0])


def features(mse: Sequence[float], constant: float = 1) -> Part:
    values = {
        name: [2.0] for name in ("clusters", "available", "entropy", "edges_inside", "hops", "hops_of_all", "lost")
    }
    sums = {"constant_sums": [constant], "least_sum": [constant], "greatest_sum": [1.0]}
    return Part({"mse": list(mse), **values, **sums}, {"graph": CUBE, "rebuilt": Drawn(CUBE.points)})


def card(name: str, ring: Sequence[float], grid: Sequence[float] = (1.0,), **parts: Part) -> Card:
    return Card(name, name, {"features/ring": features(ring), "features/grid2d": features(grid), **parts})


def test_ranks_are_means_and_what_is_missing_comes_last() -> None:
    cards = [card("a", [0.001, 0.003], [0.5]), card("b", [0.001], [0.5]), card("c", [NAN], [0.1])]
    asked = MeasureTable("errors", "mse", scale=1000, ranked=True)
    table = measure_table(cards, "features", asked, ["ring", "grid2d"]).set_index("operator")
    assert list(table.columns) == ["ring", "grid2d", "mean rank"]
    assert table.loc["a"].tolist() == ["2 ± 1.4", "500", "2.0"]  # second on the ring, and first of two on the grid
    assert table.loc["b", "mean rank"] == "1.5" and table.loc["c"].tolist() == ["—", "100", "2.0"]
    # What has no number anywhere has no rank.
    nothing = [*cards, card("e", [NAN], [NAN])]
    ranks = measure_table(nothing, "features", asked, ["ring", "grid2d"]).set_index("operator")["mean rank"]
    assert ranks["e"] == "—" and ranks["a"] == "2.0"
    alone = measure_table(cards[:1], "features", asked, ["ring", "grid2d"])
    assert list(alone.columns) == ["operator", "ring", "grid2d"]
    # A graph that was not measured of all has no ranks.
    cards.append(Card("d", "d", {"features/ring": features([0.0005])}))
    table = measure_table(cards, "features", asked, ["ring", "grid2d"]).set_index("operator")
    assert table["mean rank"].tolist() == ["3.0", "2.0", "4.0", "1.0"] and table.loc["d", "grid2d"] == "missing"


def test_claims_are_told_from_numbers_alone() -> None:
    claim = {"says": "a is best", "part": "features", "measure": "mse", "less": ["a"], "more": ["b", "c"]}

    def told(*cards: Card) -> list[str]:
        return claims(cards, [claim])

    (said,) = told(card("a", [1], [1]), card("b", [2], [0.5]), card("c", [3], [2]))
    assert said == "a is best: so on ring (mse 1 of a, 2 of b); not so on grid2d (mse 1 of a, 0.5 of b)."
    (said,) = told(card("a", [1], [1]), card("b", [2], [2]), card("c", [NAN], [2]))
    assert "so on grid2d" in said and "not known on ring" in said
    assert "not so on ring" in told(card("a", [1]), card("b", [1]), card("c", [1]))[0], "equal is not less"
    assert told(card("a", [1]), card("b", [2])) == []


def test_claims_name_operators_and_measures_that_there_are() -> None:
    names = set(section("operators"))
    for claim in section("claims"):
        assert {*claim["less"], *claim["more"]} <= names and not {*claim["less"]} & {*claim["more"]}


@pytest.mark.parametrize(("constant", "said"), [(1, "constant (1)"), (0, "not constant (0 to 1)")])
def test_sums_of_rows_in_words(constant: float, said: str) -> None:
    of = Card("a", "a", {"features/ring": features([1], constant)})
    assert of_operators(Scored([of], of, []))["sums of rows of S"].tolist() == [said]


def test_equal_runs_have_no_spread() -> None:
    """Their mean is not exactly what they all are."""
    assert _several(np.full(3, 0.1)) == "0.1 ± 0" and _several(np.array([0.1, 0.2])) == "0.15 ± 0.071"


@pytest.fixture
def scored() -> Scored:
    cost: Mapping[str, list[float]] = {
        "nodes": [10, 20],
        "first": [1, 1],
        "seconds": [0.001, 0.004],
        "memory": [NAN] * 2,
    }
    structure = Part(
        {"distance": [1.0], "density": [0.5], "density_before": [0.1], "median_weight": [NAN], "median_before": [1.0]},
        {"graph": CUBE, "pooled": Drawn([[0.0, 0.0], [0.0, 0.0]], [(0, 1, 2.0)], 1, [0.0, 2.0])},
    )
    able = card(
        "able", [1], **{"structure/ring": structure, EXPRESSIVE: Part({"test": [0.9, 0.8]}), COST: Part(dict(cost))}
    )
    cannot = Part(problem="it says nothing")
    unable = Card(
        "unable", "unable", {"features/ring": cannot, "structure/ring": cannot, EXPRESSIVE: cannot, COST: cannot}
    )
    return Scored([able, unable], Card("none", "none", {EXPRESSIVE: Part({"test": [1.0]})}), ["as it was"])


def test_what_an_operator_cannot_is_one_sentence(scored: Scored) -> None:
    assert problems(scored.cards) == [
        "Not measured of unable: features on ring, structure on ring, expressive, cost, as it says nothing."
    ]
    able, unable = of_operators(scored).to_dict("records")
    assert able["WL pairs told apart"] == "85 ± 7.1%" and able["without pooling"] == "100%"
    assert able["a step"] == "4 ms at 20 nodes, as N^2.0" and able["memory of a step"] == "—"
    assert set(unable.values()) == {"unable", "100%", "—"}
    density = measure_table(scored.cards, STRUCTURE, MeasureTable("", "density", before="density_before"), ["ring"])
    assert density["ring"].tolist() == ["0.1", "0.5", "—"]
    # Of the structure of the grid nothing was asked.
    assert (of_operator(scored.cards[0]).set_index("measure")["grid2d"] == "—").sum() == 3
    assert r"$\rightarrow$" in render(sheet(scored.cards), "latex", "Scorecard", [])


def test_the_page_has_a_picture_of_all_that_was_drawn(scored: Scored) -> None:
    """In three dimensions, with clusters in one place, and where memory is not known."""
    together, able, unable = scorecard_sections(scored)
    assert len(together.pictures) == 1 and len(able.pictures) == 2 and unable.pictures == []
    assert "Not measured of unable" in together.notes[0] and together.notes[-1] == "as it was"
    drawn = "".join(picture.svg for picture in [*together.pictures, *able.pictures])
    assert "nan" not in re.sub(r"<[^>]*>", "", drawn)
    links = re.findall(r'(?:href|src)="([^"]*)"', drawn)
    assert links and all(link.startswith(("#", "data:")) for link in links)


def test_the_page_explains_what_was_measured(scored: Scored) -> None:
    without = [Card(card.name, card.operator, {}) for card in scored.cards]
    for cards, explained in ((scored.cards, True), (without, False)):
        page = scorecard_sections(Scored(cards, scored.none, []))[0]
        assert any("EXPWL1" in text for text in page.words) is explained


def test_nothing_to_draw_is_no_picture() -> None:
    empty = Card("a", "a", {})
    assert figures.rebuilt(empty) is figures.pooled(empty) is figures.costs([empty]) is None
