"""Verdicts on made-up runs whose truth is known, and what is compared with what."""

import json
import subprocess
from collections.abc import Callable
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from statsmodels.stats.multitest import multipletests

from rethinking.analysis.collect import collect
from rethinking.analysis.comparisons import Comparison, compare
from rethinking.analysis.inference.verdicts import Finding
from rethinking.analysis.long_comparisons import frame
from rethinking.analysis.named import named_pairs
from rethinking.analysis.overall import MARGINS, by_data_set, overall
from rethinking.analysis.questions import question
from rethinking.analysis.tables import make_table
from rethinking.analysis.tidy import read_results
from rethinking.analysis.wording import new_cell, overall_texts, row_texts, sentence
from rethinking.configuration.cell import PAPER
from rethinking.configuration.composition import compose_cell
from rethinking.errors import UserError
from rethinking.runs.store import RunStore
from tests.analysis.conftest import NCI1, NOISE, RNG, ZINC, fill
from tests.records import made_up

Call = Callable[..., subprocess.CompletedProcess[str]]
ROWS = ("Graclus", "Complement")


def made(store: RunStore, *datasets: str, **asked: Any) -> dict[tuple[str, str, str], Comparison]:
    comparisons, _ = compare(read_results(store, Path("none")), question(**asked), datasets=datasets)
    return {(c.title, c.settings, c.variant): c for c in comparisons}


def test_verdicts_are_the_truth(store: RunStore) -> None:
    found = made(store)
    words = {key: c.words(c.answer_a) for key, c in found.items()}
    # A larger error is worse.
    uniform = found["ZINC", "", "uniform"]
    assert words["ZINC", "", "uniform"] == "local better by more than 0.01" and uniform.answer_a.estimate.mean < 0
    assert words["ZINC", "", "complement"] == "does not matter (within 0.01)"
    assert words["NCI1", "convs_before_pool=1", "complement"] == "local better by more than 1 point"
    # Too noisy for more: the same spread that is shared by the two of ZINC is not shared here.
    assert words["NCI1", "convs_before_pool=2", "complement"] == "local not needed (helps by less than 1 point)"


def test_positive_is_better_for_errors_too(store: RunStore) -> None:
    for comparison in made(store).values():
        sign = 1 if comparison.higher_is_better else -1
        mean = sign * (comparison.a - comparison.b).mean()
        assert comparison.answer_a.estimate.mean == pytest.approx(mean)
        if comparison.answer_b is not None and abs(mean) > comparison.margin:
            # Of graphs, of which seeds have more and fewer.
            assert comparison.answer_b.estimate.mean == pytest.approx(mean, rel=0.2)


def test_cells_are_compared_that_differ_in_the_variant_only(store: RunStore) -> None:
    found = made(store)
    assert set(found) == {
        ("ZINC", "", "uniform"),
        ("ZINC", "", "complement"),
        ("NCI1", "convs_before_pool=1", "complement"),
        ("NCI1", "convs_before_pool=2", "complement"),
    }
    partial = found["NCI1", "convs_before_pool=1", "complement"]
    assert len(partial.seeds) == len(partial.a) == len(partial.b) == 5
    # Left out unless named.
    assert set(made(store, "digits")) == {("Digits", "", "complement")}


def test_what_is_shown_changes_no_verdict(store: RunStore) -> None:
    """p-values are adjusted for all comparisons there are; only data sets that are left out are apart."""
    everything = made(store)
    for chosen in (["zinc"], ["nci1"], ["zinc", "nci1", "digits"]):
        for key, c in made(store, *chosen).items():
            if key in everything:
                assert c.verdict == everything[key].verdict
                assert c.answer_a.adjusted == pytest.approx(everything[key].answer_a.adjusted)
    p = np.array([c.answer_a.p[0] for c in everything.values()])
    adjusted = [c.answer_a.adjusted[0] for c in everything.values()]
    assert adjusted == pytest.approx(multipletests(p, method="fdr_bh")[1])
    digits = made(store, "digits")["Digits", "", "complement"].answer_a
    assert digits.adjusted == pytest.approx(digits.p, nan_ok=True), "alone in its family"


def test_each_data_set_that_is_left_out_is_a_family_by_itself(store: RunStore) -> None:
    """What is certain on one of them eases no verdict on another, however they are shown."""
    apart = {"left_out": ["zinc", "nci1", "digits"]}
    together = made(store, "zinc", "nci1", **apart)
    for dataset in ("zinc", "nci1"):
        alone = made(store, dataset, **apart)
        p = np.array([c.answer_a.p for c in alone.values()])
        for claim in range(4):
            expected = multipletests(p[:, claim], method="fdr_bh")[1]
            assert [c.answer_a.adjusted[claim] for c in alone.values()] == pytest.approx(expected)
        assert all(together[key].answer_a.adjusted == pytest.approx(c.answer_a.adjusted) for key, c in alone.items())


def test_holm_is_stricter_and_looks_have_their_price(store: RunStore) -> None:
    usual, holm, once = made(store), made(store, adjust="holm"), made(store, looks=[20])
    for key, comparison in usual.items():
        assert (holm[key].answer_a.adjusted >= comparison.answer_a.adjusted - 1e-12).all()
        if len(comparison.seeds) == 20:
            assert (comparison.answer_a.p <= 6 * once[key].answer_a.p + 1e-12).all(), "a sixth of the level at 20 seeds"
    partial = once["NCI1", "convs_before_pool=1", "complement"]
    assert partial.verdict.more == 15 and (partial.answer_a.p == 1).all(), "nobody has looked yet"


def test_the_answer_in_one_sentence_and_as_a_frame(store: RunStore) -> None:
    asked, comparisons = question(), list(made(store).values())
    text = sentence(overall(comparisons, asked), asked)
    assert text.startswith("Over 4 comparisons, non-local pooling differs from local pooling by -")
    assert " margins (positive is better; one is 1 point of accuracy or 0.01 of MAE) on average, 95% interval [" in text
    assert "equivalent only within" in text
    assert "one by one, 4 are decided (" in text and text.endswith(", 0 undecided.")
    assert "1 × does not matter, within a margin" in text and text.count(". ") == 0
    (alone,) = [c for c in comparisons if c.verdict.words(c.sides, "0.01").startswith("does not matter")]
    text = sentence(overall([alone], asked), asked)
    assert text.startswith(f"On {alone.title}, non-local pooling differs from local pooling by ")
    assert f"over {len(alone.seeds)} seeds" in text and text.endswith("; verdict: does not matter (within 0.01).")
    parts = overall_texts(by_data_set(comparisons, asked), asked).set_index("data set")
    assert parts["comparisons"].to_dict() == {"NCI1": "2", "ZINC": "2"} and parts["decided"].tolist() == ["2", "2"]
    assert parts.loc["NCI1", "equivalent within"].endswith(" points")
    table = frame(comparisons, asked)
    assert table["A method"].tolist() == ["paired t"] * 4
    assert (table["A low"] <= table["difference"]).all() and (table["bootstrap low"] <= table["bootstrap high"]).all()


def test_collected_results_compare_alike(store: RunStore, tmp_path: Path) -> None:
    collect(store, tmp_path / "results")
    again, _ = compare(read_results(RunStore(tmp_path / "none"), tmp_path / "results"), question())
    one, other = (frame(list(some), question()) for some in (again, made(store).values()))
    for name in ("A verdict", "B verdict"):
        assert one[name].tolist() == other[name].tolist()
    for name in ("difference", "A low", "B standard error"):
        assert np.allclose(one[name], other[name], atol=1e-3, equal_nan=True)


def test_one_seed_and_nothing_to_compare(tmp_path: Path) -> None:
    store = RunStore(tmp_path / "runs")
    fill(store, ZINC + "learned", np.array([0.4]))
    with pytest.raises(UserError, match="nothing to compare with fidelity=paper"):
        made(store)
    fill(store, ZINC + "complement", np.array([0.5]))
    (only,) = made(store).values()
    assert only.verdict.finding is Finding.FEW_SEEDS and np.isnan(only.answer_a.p).all()
    assert "None of 1 comparison has" in sentence(overall([only], question()), question())
    frame([only], question())


@pytest.mark.parametrize(
    ("seeds", "reason"),
    [
        pytest.param(2, "too few seeds", marks=pytest.mark.slow),
        (4, "too few seeds"),
        (5, "no variance"),
        pytest.param(20, "no variance", marks=pytest.mark.slow),
    ],
)
def test_networks_at_chance_are_not_called_equivalent(tmp_path: Path, seeds: int, reason: str) -> None:
    """They all predict one class, so that their scores are the same; others are judged as if they were not there."""
    store = RunStore(tmp_path / "runs")
    for variant in ("learned", "complement"):
        fill(store, NCI1 + variant, np.full(seeds, 0.5))
    fill(store, ZINC + "learned", 0.42 + 0.01 * NOISE)
    fill(store, ZINC + "complement", 0.421 + 0.01 * NOISE + 0.002 * RNG.normal(size=20))
    asked, found = question(), made(store)
    chance, sound = found["NCI1", "", "complement"], found["ZINC", "", "complement"]
    assert chance.verdict.finding == reason and not chance.judged and chance.answer_a.needed is None
    assert sound.verdict.finding is Finding.EQUIVALENT
    assert sound.answer_a.adjusted == pytest.approx(sound.answer_a.p), "it is alone"
    row = row_texts(chance, asked)
    assert row["on this data set"] == row["on new graphs"] == f"no verdict: {reason}"
    assert (row["still needed"], row["difference"]) == ("— / —", "+0.0")
    assert "0 undecided, 1 without a verdict" in sentence(overall(list(found.values()), asked), asked)
    graclus, complement = (make_table("1", read_results(store, Path("none"))).cells[name, "NCI1"] for name in ROWS)
    assert graclus.mark == complement.mark == ""


def test_the_published_means_give_the_published_finding(tmp_path: Path) -> None:
    """Scores with the printed means and deviations of Table 1 on ZINC, paired at random: no verdict of a difference."""
    store = RunStore(tmp_path / "runs")
    for variant, mean, std in (("learned", 0.42, 0.02), ("complement", 0.43, 0.02)):
        noise = RNG.normal(size=20)
        fill(store, ZINC + variant, mean + std * (noise - noise.mean()) / noise.std(ddof=1))
    (only,) = made(store).values()
    assert only.answer_a.estimate.mean == pytest.approx(-0.01) and not only.verdict.decided


def with_graphs(store: RunStore, overrides: str, wrong: np.ndarray) -> None:
    """Runs that all test the same graphs. wrong: [seeds, graphs], whether a graph's class is wrong."""
    cell = compose_cell(overrides.split())
    for seed, row in enumerate(wrong):
        columns = {"graph": np.arange(len(row)), "target": 0, "prediction": row.astype(int)}
        part = pd.DataFrame(columns | {"log_probability": np.float32(-0.5)})
        predictions = pd.concat([part.assign(part=name) for name in ("val", "test")], ignore_index=True)
        store.write_result(replace(made_up(cell, seed, float(1 - row.mean())), predictions=predictions))


def test_on_new_graphs_it_counts_how_variants_differ_by_graph(tmp_path: Path) -> None:
    """One variant gets other graphs right than the other, with each seed the same: seeds agree, graphs do not."""
    store = RunStore(tmp_path / "runs")
    store.check_writable()
    first, second = np.random.default_rng(6).random((2, 200)) < 0.3
    noise = np.random.default_rng(7).random((2, 20, 200)) < 0.01
    with_graphs(store, NCI1 + "learned", first ^ noise[0])
    with_graphs(store, NCI1 + "complement", second ^ noise[1])
    (only,) = made(store).values()
    assert only.answer_b is not None and not only.answer_b.approximate
    assert only.answer_b.estimate.mean == pytest.approx(only.answer_a.estimate.mean, abs=1e-3)
    assert only.answer_b.estimate.error > 5 * only.answer_a.estimate.error
    assert only.verdict.decided and only.answer_b.verdict.finding is Finding.FEW_GRAPHS
    assert row_texts(only, question())["still needed"] == "— / ∞"


@pytest.mark.parametrize("form", ["screen", "markdown", "latex", "html", "csv"])
def test_every_form(store: RunStore, rethinking: Call, form: str) -> None:
    result = rethinking("compare", "--format", form, "--runs", str(store.folder))
    assert result.returncode == 0, result.stderr
    for word in ("ZINC", "complement", "does not matter", "local better", "Over 4 comparisons"):
        assert word in result.stdout or (form == "csv" and word.startswith("Over"))
    if form == "latex":
        body = result.stdout.partition(r"\end{table}")[0]
        assert r"\toprule" in body and body.isascii()


def test_margins_from_the_command_line(store: RunStore, rethinking: Call) -> None:
    runs = ("--runs", str(store.folder))
    wide = rethinking("compare", "--dataset", "nci1", "--margin", "accuracy=0.2", "--format", "csv", *runs).stdout
    assert wide.count("does not matter (within 20 points)") >= 2
    for wrong in ("accuracy", "accuracy=x", "speed=1", "accuracy=-1"):
        refused = rethinking("compare", "--margin", wrong, *runs)
        assert refused.returncode == 2 and "Traceback" not in refused.stderr
    refused = rethinking("compare", "--fidelity", "released_code", *runs)
    assert refused.returncode == 2 and "fidelity=released_code" in refused.stderr


def test_the_sentence_is_what_one_sees_first(store: RunStore, rethinking: Call) -> None:
    """At the end of a terminal, and at the beginning of a file."""
    runs = ("--runs", str(store.folder))
    screen = " ".join(rethinking("compare", *runs).stdout.split())
    assert screen.rpartition("Over 4 comparisons")[2].endswith("0 undecided.")
    assert rethinking("compare", "--format", "markdown", *runs).stdout.startswith("Over 4 comparisons")


def test_keys_of_the_configuration_from_the_command_line(store: RunStore, rethinking: Call) -> None:
    runs = ("--runs", str(store.folder))
    assert (
        "level 0.01 over the looks at 5, 20 seeds and, by Holm"
        in rethinking(
            "compare",
            "compare.level=0.01",
            "compare.looks=[5,20]",
            "compare.adjust=holm",
            "--format",
            "markdown",
            *runs,
        ).stdout
    )
    for wrong in ("compare.level=2", "compare.looks=[20,5]", "compare.adjust=no", "compare.speed=1", "compare.looks=[",
                  "compare.level", "compare.fewest=1", "level=0.1", "model=graclus"):  # fmt: skip
        refused = rethinking("compare", wrong, *runs)
        assert refused.returncode == 2 and refused.stderr.count("\n") == 1, (wrong, refused.stderr)


def test_any_two_cells(store: RunStore, rethinking: Call) -> None:
    first, second = "model=graclus pooling=complement", "model=gin pooling=none"
    asked = ("compare", "--runs", str(store.folder), "--format", "csv")
    one = pd.read_csv(StringIO(rethinking(*asked, first, second, "dataset=nci1").stdout))
    names = ["data set", "family", "variant", "reference"]
    assert one.loc[0, names].tolist() == [
        "NCI1",
        "graclus",
        "complement",
        "gin none",
    ]
    assert one["A verdict"].tolist() == ["gin none not needed (helps by less than 1 point)"]
    other = pd.read_csv(StringIO(rethinking(*asked, second, first).stdout))
    assert other["difference"].iloc[0] == pytest.approx(-one["difference"].iloc[0])
    # A pair of the standing comparisons keeps its verdict.
    usual = pd.read_csv(StringIO(rethinking(*asked).stdout)).query("variant == 'uniform'")
    named = pd.read_csv(StringIO(rethinking(*asked, ZINC + "uniform", ZINC + "learned").stdout))
    for column in ("A verdict", "A p different adjusted", "difference"):
        assert named[column].tolist() == usual[column].tolist()
    # In the other order it is the same question, which counts once.
    turned = pd.read_csv(StringIO(rethinking(*asked, ZINC + "learned", ZINC + "uniform").stdout))
    assert turned["difference"].tolist() == [-usual["difference"].item()]
    for claim in ("different", "equivalent"):
        assert turned[f"A p {claim} adjusted"].tolist() == usual[f"A p {claim} adjusted"].tolist()
    for wrong, text in (
        ((first,), "expected two cells"),
        ((first, first, "dataset=nci1"), "are the same cell"),
        ((first, "model=mlp pooling=none", "dataset=nci1"), "There are no finished runs of model=mlp"),
        ((first, "model=speed pooling=none", "dataset=nci1"), "speed"),
        ((ZINC + "learned", NCI1 + "learned"), "other graphs"),
        ((first, second, "--dataset", "nci1"), "write dataset=nci1 beside the two"),
        ((first, second, "--family", "gin"), "compared with each other and with nothing else"),
        ((first, second, "dataset=nci1", "compare.reference=none"), "compared with each other and with nothing else"),
    ):
        refused = rethinking(*asked, *wrong)
        assert refused.returncode == 2 and text in refused.stderr and "Traceback" not in refused.stderr


def test_two_cells_with_other_splits_have_no_seed_in_common(tmp_path: Path) -> None:
    store, half = RunStore(tmp_path / "runs"), "dataset.split.test=0.2"
    fill(store, NCI1 + "learned", 0.80 + 0.01 * NOISE)
    fill(store, f"{NCI1}complement {half}", 0.80 + 0.01 * RNG.normal(size=20))
    results = read_results(store, tmp_path / "none")
    words = [(NCI1 + name).split() for name in ("complement", "learned")]
    with pytest.raises(UserError, match="split NCI1 otherwise"):
        named_pairs(results, [*words[0], half], words[1], [], PAPER)


def test_is_pooling_needed_at_all(store: RunStore, rethinking: Call) -> None:
    """Each cell that pools, against each model that does not; each of these is a family of tests."""
    asked = ("compare", "compare.reference=none", "compare.without_pooling=[gin]", "--runs", str(store.folder))
    shown = rethinking(*asked, "--format", "markdown").stdout
    assert "### Is pooling needed at all?" in shown and "gin: Over 3 comparisons, no pooling differs from pool" in shown
    table = pd.read_csv(StringIO(rethinking(*asked, "--format", "csv").stdout)).set_index(["variant", "settings"])
    one = "convs_before_pool=1"
    assert table.loc[("learned", one), "A verdict"] == "no pooling better by more than 1 point"
    assert set(table["reference"]) == {"gin"} and table.loc[("learned", one), "difference"] > 9
    # Of NCI1's, as they were made: a name has its own mean.
    assert table.loc[("learned", one), "variant mean"] == pytest.approx(70, abs=1)
    assert table.loc[("learned", one), "reference mean"] == pytest.approx(80, abs=1)
    refused = rethinking("compare", "compare.reference=none", "--runs", str(store.folder))
    assert refused.returncode == 2 and "global_mean" in refused.stderr


def test_what_is_held_against_the_same_runs_is_no_more_certain_for_being_much(tmp_path: Path) -> None:
    """Four networks that differ from one model without pooling by its noise alone: together they know what one knows.

    Of a further network, which would be held against the same runs again, nothing is expected.
    """
    store = RunStore(tmp_path / "runs")
    fill(store, "model=global_mean dataset=nci1 pooling=none", 0.7 + 0.02 * NOISE)
    for number, family in enumerate(("graclus", "diffpool", "mincut", "gmn")):
        still = 0.75 + 0.01 * number + 1e-5 * np.cos(np.arange(20) + number)
        fill(store, f"model={family} dataset=nci1 pooling=learned", still)
    asked = question(reference="none", without_pooling=["global_mean"])
    made = compare(read_results(store, tmp_path / "none"), asked)[0]
    together, of_nci1 = overall(made, asked), by_data_set(made, asked)[0]
    assert len(made) == 4
    for answer in (together, of_nci1):
        assert answer.pooled is not None and answer.pooled.between is None
        assert answer.pooled.error == pytest.approx(made[0].answer_a.estimate.error, rel=0.02)
        assert answer.pooled.freedom == pytest.approx(19, abs=0.1)
    assert new_cell(together, asked) == ""


def test_metrics_in_points_are_told_apart(store: RunStore) -> None:
    """Accuracy and ROC-AUC have margins of a point each, and are no points of one thing."""
    asked = question()
    first, *_ = compare(read_results(store, Path("none")), asked, datasets=["nci1"])[0]
    assert overall([first, first], asked).unit == first.unit
    assert overall([first, replace(first, metric="rocauc")], asked).unit is MARGINS


def test_no_runs(rethinking: Call) -> None:
    for command in (["compare"], ["figure"], ["report"], ["export"]):
        refused = rethinking(*command, "--runs", "none")
        assert refused.returncode == 2 and "There are no finished runs" in refused.stderr, command


def test_export(store: RunStore, rethinking: Call, tmp_path: Path) -> None:
    assert rethinking("export", "--to", "out", "--runs", str(store.folder)).returncode == 0
    dictionary = pd.read_csv(tmp_path / "out" / "dictionary.csv")
    for name in ("runs", "provenance", "histories", "comparisons"):
        table = pd.read_csv(tmp_path / "out" / f"{name}.csv")
        assert list(pd.read_parquet(tmp_path / "out" / f"{name}.parquet").columns) == list(table.columns)
        known = dictionary.loc[dictionary.file == name, "column"]
        exact = {column for column in known if "…" not in column}
        parts = [column.split("…") for column in known if "…" in column]
        for column in table.columns:
            fits = any(column.startswith(before) and column.endswith(after) for before, after in parts)
            assert column in exact or fits, f"{name}.csv has {column}, which the dictionary does not explain"
    assert json.loads(pd.read_parquet(tmp_path / "out" / "runs.parquet").head(1).to_json(orient="records"))
