"""Verdicts on made-up runs whose truth is known, and what is compared with what."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from rethinking.analysis.collect import collect
from rethinking.analysis.comparisons import Comparison, compare, frame, question
from rethinking.analysis.tables import make_table
from rethinking.analysis.tidy import read_results
from rethinking.analysis.wording import in_words, row_texts
from rethinking.errors import UserError
from rethinking.runs.store import RunStore
from tests.analysis.conftest import NCI1, NOISE, RNG, ZINC, fill

Call = Callable[..., subprocess.CompletedProcess[str]]
ROWS = ("Graclus", "Complement")


def made(store: RunStore, *datasets: str) -> dict[tuple[str, str, str], Comparison]:
    comparisons, _ = compare(read_results(store, Path("none")), question(), datasets=datasets)
    return {(c.dataset, c.settings, c.variant): c for c in comparisons}


def test_verdicts_are_the_truth(store: RunStore) -> None:
    found = made(store)
    # A larger error is worse.
    assert found["ZINC", "", "uniform"].verdict == "local better" and found["ZINC", "", "uniform"].gain < 0
    assert found["ZINC", "", "complement"].verdict == "equivalent"
    assert found["NCI1", "convs_before_pool=1", "complement"].verdict == "local better"
    # The same spread as of ZINC's would do, but for the correction.
    assert found["NCI1", "convs_before_pool=2", "complement"].verdict == "undecided"
    assert found["NCI1", "convs_before_pool=2", "complement"].test_to_train == pytest.approx(1 / 8)
    assert found["ZINC", "", "complement"].test_to_train == 0


def test_cells_are_compared_that_differ_in_the_variant_only(store: RunStore) -> None:
    found = made(store)
    assert set(found) == {
        ("ZINC", "", "uniform"),
        ("ZINC", "", "complement"),
        ("NCI1", "convs_before_pool=1", "complement"),
        ("NCI1", "convs_before_pool=2", "complement"),
    }
    partial = found["NCI1", "convs_before_pool=1", "complement"]
    assert partial.difference.n == 5 and len(partial.a) == len(partial.b) == 5
    # Left out unless named.
    assert set(made(store, "digits")) == {("Digits", "", "complement")}


def test_adjusted_for_all_that_are_compared_together(store: RunStore) -> None:
    alone = made(store, "zinc")["ZINC", "", "complement"]
    among = made(store)["ZINC", "", "complement"]
    assert among.p_equivalent == pytest.approx(2 * alone.p_equivalent) or among.p_equivalent > alone.p_equivalent


def test_the_answer_in_words_and_as_a_frame(store: RunStore) -> None:
    comparisons = list(made(store).values())
    text = in_words(comparisons, question())
    assert "Of 4 comparisons" in text and "2 local better" in text and "1 equivalent" in text and "1 undecided" in text
    assert "0.01 of MAE or 1 point of accuracy" in text and "1 of them are partial" in text
    table = frame(comparisons)
    assert set(table["verdict"]) == {"local better", "equivalent", "undecided"}
    assert table["test"].tolist().count("paired t") == 2
    assert (table["low"] <= table["difference"]).all() and (table["bootstrap low"] <= table["bootstrap high"]).all()


def test_collected_results_compare_alike(store: RunStore, tmp_path: Path) -> None:
    collect(store, tmp_path / "results")
    again, _ = compare(read_results(RunStore(tmp_path / "none"), tmp_path / "results"), question())
    expected = frame(list(made(store).values()))
    assert frame(again)["verdict"].tolist() == expected["verdict"].tolist()
    assert np.allclose(frame(again)["difference"], expected["difference"], atol=1e-3)


def test_one_seed_and_nothing_to_compare(tmp_path: Path) -> None:
    store = RunStore(tmp_path / "runs")
    fill(store, ZINC + "learned", np.array([0.4]))
    with pytest.raises(UserError, match="nothing to compare with fidelity=paper"):
        made(store)
    fill(store, ZINC + "complement", np.array([0.5]))
    (only,) = made(store).values()
    assert only.verdict == "too few seeds" and np.isnan(only.p_different)
    frame([only])


@pytest.mark.parametrize(("seeds", "reason"), [(4, "too few seeds"), (5, "no variance")])
def test_networks_at_chance_are_not_called_equivalent(
    tmp_path: Path, rethinking: Call, seeds: int, reason: str
) -> None:
    """They all predict one class, so that their scores are the same; others are judged as if they were not there."""
    store = RunStore(tmp_path / "runs")
    for variant in ("learned", "complement"):
        fill(store, NCI1 + variant, np.full(seeds, 0.5))
    fill(store, ZINC + "learned", 0.42 + 0.01 * NOISE)
    fill(store, ZINC + "complement", 0.421 + 0.01 * NOISE + 0.002 * RNG.normal(size=20))
    found = made(store)
    chance, sound = found["NCI1", "", "complement"], found["ZINC", "", "complement"]
    assert chance.verdict == reason and not chance.judged and chance.needed is None
    assert (
        sound.verdict == "equivalent"
        and sound.p_equivalent == made(store, "zinc")["ZINC", "", "complement"].p_equivalent
    )
    row = row_texts(chance, 20)
    assert (row["verdict"], row["within"], row["needed"], row["difference"]) == (reason, "—", "—", "+0.0*")
    assert f"1 equivalent, 0 undecided, 1 without a verdict ({reason})" in in_words(list(found.values()), question())
    graclus, complement = (make_table("1", read_results(store, Path("none"))).cells[name, "NCI1"] for name in ROWS)
    assert graclus.mark == complement.mark == ""
    assert reason in rethinking("compare").stdout


def test_the_published_means_give_the_published_finding(tmp_path: Path) -> None:
    """Scores with the printed means and deviations of Table 1 on ZINC, paired at random: no verdict of a difference."""
    store = RunStore(tmp_path / "runs")
    for variant, mean, std in (("learned", 0.42, 0.02), ("complement", 0.43, 0.02)):
        noise = RNG.normal(size=20)
        fill(store, ZINC + variant, mean + std * (noise - noise.mean()) / noise.std(ddof=1))
    (only,) = made(store).values()
    assert only.difference.mean == pytest.approx(0.01) and only.verdict == "undecided"


@pytest.mark.parametrize("form", ["screen", "markdown", "latex", "html", "csv"])
def test_every_form(store: RunStore, rethinking: Call, form: str) -> None:
    result = rethinking("compare", "--format", form, "--runs", str(store.folder))
    assert result.returncode == 0, result.stderr
    for word in ("ZINC", "complement", "equivalent", "local better"):
        assert word in result.stdout
    if form == "latex":
        body = result.stdout.partition(r"\end{table}")[0]
        assert r"\toprule" in body and body.isascii()


def test_margins_from_the_command_line(store: RunStore, rethinking: Call) -> None:
    runs = ("--runs", str(store.folder))
    wide = rethinking("compare", "--dataset", "nci1", "--margin", "accuracy=0.2", "--format", "csv", *runs).stdout
    assert wide.count("equivalent,") >= 2
    for wrong in ("accuracy", "accuracy=x", "speed=1", "accuracy=-1"):
        refused = rethinking("compare", "--margin", wrong, *runs)
        assert refused.returncode == 2 and "Traceback" not in refused.stderr
    refused = rethinking("compare", "--fidelity", "released_code", *runs)
    assert refused.returncode == 2 and "fidelity=released_code" in refused.stderr


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
