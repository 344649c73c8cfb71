"""A scorecard says what was measured, or why not; what is kept of it is what was measured, or is measured anew."""

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from rethinking.errors import UserError
from rethinking.pooling.operators.interface import Assignment, Coarse, Graphs
from rethinking.runs.measured_here import measured_here
from rethinking.runs.scorecards import Scorecards, _sha256, scorecard_key
from rethinking.runs.snapshots import Snapshot
from rethinking.scorecard.card import COST, EXPRESSIVE, Drawn, Part, as_data, from_data
from rethinking.scorecard.measuring import Measure, measured, measurements
from rethinking.scorecard.settings import CardSettings, card_settings
from tests.scorecard.operators import Identity, Pairs, Silent, Soft

NOWHERE = Snapshot(Path("nowhere") / "part.pt", every=math.inf)
OPERATOR = {"_target_": "elsewhere.MyPool", "_partial_": True, "alpha": 0.5}


def small(size: str = "brief", steps: int = 3) -> CardSettings:
    """The ring alone, in a few steps."""
    settings = card_settings(size)
    autoencoder, spectral = settings.autoencoder, settings.spectral
    assert settings.expressive and settings.cost
    data = {**settings.expressive.data, "pairs": 10}
    return replace(
        settings,
        autoencoder=replace(autoencoder, graphs=["ring"], hidden=4, fit=replace(autoencoder.fit, most_steps=steps)),
        spectral=replace(spectral, graphs=["ring"], fit=replace(spectral.fit, most_steps=steps)),
        expressive=replace(settings.expressive, data=data, epochs=1),
        cost=replace(settings.cost, nodes=[8, 16], repeats=1),
    )


def card(operator: Any, settings: CardSettings) -> dict[str, Part]:
    return {name: whole(measure, operator) for name, measure in measurements(settings).items()}


def whole(measure: Measure, operator: Any) -> Part:
    return list(measured(measure, operator, Part(), NOWHERE))[-1]


def test_known_operators() -> None:
    parts = card(Pairs, replace(small(), expressive=None))
    assert not any(part.problem for part in parts.values())
    features, structure = parts["features/ring"], parts["structure/ring"]
    assert features.values["hops"] == [1] and features.values["edges_inside"] == [0.5]
    assert features.values["available"] == [32] and features.values["lost"] == [0]
    assert features.values["constant_sums"] == [1] and features.values["greatest_sum"] == [1]
    assert [len(features.drawn[role].points) for role in ("graph", "rebuilt")] == [64, 64]
    # A ring of pairs is a ring of half the nodes.
    pooled = structure.drawn["pooled"]
    assert len(pooled.points) == pooled.all_edges == len(pooled.edges) == 32
    assert structure.values["density"] == [pytest.approx(2 / 32)]
    assert structure.values["density_before"] == [pytest.approx(2 / 64)]
    # The edges inside pairs are loops of weight 2, which count to a degree and add nothing to the Laplacian.
    assert pooled.spectrum[0] == pytest.approx(0, abs=1e-4) and pooled.spectrum[-1] == pytest.approx(1, abs=1e-4)
    middle = (torch.tensor(features.drawn["graph"].points)[:2]).mean(dim=0)
    assert pooled.points[0] == pytest.approx(middle.tolist(), abs=1e-3)
    assert parts[COST].values["nodes"] == [8, 16] and min(parts[COST].values["seconds"]) > 0


class Broken(Identity):
    """Fails as a library does."""

    def forward(self, graphs: Graphs, given: Assignment | None = None) -> Coarse:
        raise KeyError("out of ideas")


class Wide(Identity):
    """Gives other features than its clusters'."""

    def forward(self, graphs: Graphs, given: Assignment | None = None) -> Coarse:
        coarse = super().forward(graphs)
        return replace(coarse, graphs=replace(graphs, x=torch.cat([graphs.x, graphs.x], dim=1)))


def test_what_an_operator_cannot_do_is_said_and_the_rest_goes_on() -> None:
    settings = replace(small(), expressive=None)
    silent = card(Silent, small())
    assert "does not say which nodes" in silent["features/ring"].problem
    assert not silent["structure/ring"].problem and silent["structure/ring"].drawn and not silent[COST].problem
    assert 0 <= silent[EXPRESSIVE].values["test"][0] <= 1
    assert "expected each signal pooled" in card(Wide, settings)["structure/ring"].problem
    (problem,) = {part.problem for part in card(Broken, settings).values()}
    assert problem.startswith("KeyError: 'out of ideas' (test_card.py, line "), "where in one's own file"


def test_what_was_begun_goes_on_after_its_last_run() -> None:
    """What it comes to is what it would have come to at once, drawings and all."""
    settings = replace(small(), cost=None)
    assert settings.expressive
    settings = replace(
        settings,
        autoencoder=replace(settings.autoencoder, runs=2),
        spectral=replace(settings.spectral, runs=2),
        expressive=replace(settings.expressive, runs=2),
    )
    for measure in measurements(settings).values():
        first, both = list(measured(measure, Soft, Part(), NOWHERE))
        (resumed,) = list(measured(measure, Soft, from_data(json.loads(json.dumps(as_data(first)))), NOWHERE))
        assert (first.runs, both.runs) == (1, 2) and as_data(resumed) == as_data(both)
        assert as_data(first)["drawn"] == as_data(both)["drawn"]
        assert list(measured(measure, Soft, both, NOWHERE)) == []


def test_the_time_is_that_of_all_runs() -> None:
    measure = measurements(replace(small(), cost=None, expressive=None))["features/ring"]
    origin = {"elapsed_seconds": 1000.0, "processor_seconds": 500.0, "git_commit": "before"}
    (part,) = measured_here(measure, Soft, Part(origin=origin), NOWHERE)
    assert 1000 < float(part.origin["elapsed_seconds"] or 0) < 1500
    assert 500 < float(part.origin["processor_seconds"] or 0) < 1000
    assert part.origin["git_commit"] != "before"


def test_only_the_heaviest_edges_are_drawn() -> None:
    settings = replace(small(), expressive=None, cost=None)
    pooled = card(Soft, replace(settings, drawn=replace(settings.drawn, edges=7)))["structure/ring"].drawn["pooled"]
    weights = [abs(weight) for *_, weight in pooled.edges]
    assert len(pooled.edges) == 7 and pooled.all_edges == 32 * 31 // 2
    assert weights == sorted(weights, reverse=True)


def test_sizes_differ_in_what_they_say_and_nothing_else() -> None:
    brief, full, experiments = map(card_settings, ("brief", "full", "experiments"))
    assert replace(full, expressive=None, cost=None) == experiments
    assert full.autoencoder.runs == 3 and full.autoencoder.fit.most_steps is None
    assert brief.autoencoder.fit.patience == full.autoencoder.fit.patience
    with pytest.raises(UserError, match="expected one of brief, experiments, full"):
        card_settings("huge")


@pytest.fixture
def parts() -> dict[str, Part]:
    drawn = Drawn([[0.0, 1.0], [2.5, -1.0]], [(0, 1, 0.5)], 1, [0.0, 2.0])
    origin = {"torch_version": "2.13", "git_dirty": False, "git_commit": None, "elapsed_seconds": 1.5}
    features = Part({"mse": [0.125, math.nan]}, {"graph": drawn}, origin=origin)
    return {"features/ring": features, COST: Part(problem="it cannot")}


def test_what_is_read_is_what_was_written(parts: dict[str, Part], tmp_path: Path) -> None:
    kept = Scorecards(tmp_path)
    assert kept.read("abc") == ({}, "")
    kept.write("abc", OPERATOR, parts)
    found, problem = kept.read("abc")
    assert not problem and list(found) == ["features/ring"], "a problem is tried again"
    assert found["features/ring"].drawn == parts["features/ring"].drawn
    assert found["features/ring"].origin == parts["features/ring"].origin
    mean, none = found["features/ring"].values["mse"]
    assert mean == 0.125 and math.isnan(none)
    assert [path.name for path in kept.folder.iterdir()] == ["abc.json"]


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"schema": 1, "parts": 3}', "\0", "[" * 100_000, "1e999"])
def test_a_damaged_file_is_measured_anew(damage: str, parts: dict[str, Part], tmp_path: Path) -> None:
    kept = Scorecards(tmp_path)
    kept.write("abc", OPERATOR, parts)
    (kept.folder / "abc.json").write_text(damage)
    found, problem = kept.read("abc")
    assert found == {} and "abc.json cannot be used" in problem and "measured anew" in problem


def test_a_changed_number_is_noticed(parts: dict[str, Part], tmp_path: Path) -> None:
    kept = Scorecards(tmp_path)
    kept.write("abc", OPERATOR, parts)
    path = kept.folder / "abc.json"
    path.write_text(path.read_text().replace("0.125", "0.120"))
    assert "not as it was written" in kept.read("abc")[1]


@pytest.mark.parametrize(
    ("where", "value", "said"),
    [
        ("edges", [[0, 2, 1.0]], "names the node 2, of 2"),
        ("edges", [[0, 1]], "two nodes and a weight"),
        ("edges", [[True, 1, 1.0]], "names the node True"),
        ("points", [[0.0, 1.0], [1.0]], "two or more coordinates"),
        ("points", [["0", 1.0]], "where a number was expected"),
        ("spectrum", None, "where a list was expected"),
    ],
)
def test_a_file_of_somebody_elses_is_checked(
    where: str, value: object, said: str, parts: dict[str, Part], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a checksum that fits."""
    kept = Scorecards(tmp_path)
    kept.write("abc", OPERATOR, parts)
    path = kept.folder / "abc.json"
    data = json.loads(path.read_text())
    data["parts"]["features/ring"]["drawn"]["graph"][where] = value
    data["sha256"] = _sha256(data["parts"])
    path.write_text(json.dumps(data))
    assert said in kept.read("abc")[1]


def test_the_key_is_of_the_operator_and_the_settings() -> None:
    settings = card_settings("brief")
    keys = [
        scorecard_key(OPERATOR, settings),
        scorecard_key({**OPERATOR, "alpha": 0.25}, settings),
        scorecard_key(OPERATOR, card_settings("full")),
        scorecard_key(OPERATOR, replace(settings, graphs={})),
    ]
    assert len(set(keys)) == len(keys)
    assert scorecard_key(dict(reversed(OPERATOR.items())), settings) == keys[0]
