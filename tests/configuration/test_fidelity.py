"""Every row of the fidelity ledger acts, alone, where it should, and nowhere else."""

import re
from typing import Any

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf
from torch import Tensor

from rethinking import paths
from rethinking.configuration.cell import Cell
from rethinking.configuration.composition import compose_cell
from rethinking.configuration.identity import identity
from rethinking.configuration.resolvers import alternatives
from rethinking.data.batches import Batches
from rethinking.data.dataset import GraphDataset
from rethinking.data.split import FixedSplit, LeakingSplit, StratifiedSplit
from rethinking.errors import UserError
from rethinking.layers.initial import initialise
from rethinking.tasks.classification import Classification
from rethinking.tasks.regression import Regression
from rethinking.training.group import train_group
from rethinking.training.settings import TrainerConfig
from rethinking.training.state import GroupState, Replica
from tests.conftest import ROOT, random_dataset

LEDGER = OmegaConf.load(paths.CONF / "ledger.yaml").ledger
PAIRS = [
    ("graclus", "learned"),
    ("gmn", "learned"),
    ("mincut", "normal"),
    ("diffpool", "normal"),
    ("diffpool_v2", "learned"),
]


def cell(model: str, pooling: str, *overrides: str) -> Cell:
    base = [f"model={model}", f"pooling={pooling}", "dataset=digits"]
    return compose_cell([*base, *overrides])


def science(cell: Cell) -> dict[str, Any]:
    return {key: value for key, value in identity(cell, "").items() if key != "fidelity"}


# Where a row acts that concerns some families or data sets only; the data sets are tried with Graclus.
CONCERNED = {
    "gmn_keys": {"gmn"},
    "graclus_batch_size": {"graclus"},
    "mincut_normal": {"mincut"},
    "gmn_min_learning_rate": {"gmn"},
    "smnist_split": set(),
    "batch_norm_padding": {"gmn", "diffpool_v2"},
    "diffpool_convolutions_before": {"diffpool"},
    "diffpool_sage": {"diffpool"},
    "directed_matching": set(),
    "molhiv_ranking": set(),
}
SWITCHES = [(row, name) for row, entry in LEDGER.items() for name in alternatives(entry)]
RELEASED = [row for row, name in SWITCHES if name == "released_code"]


@pytest.mark.parametrize(("row", "name"), SWITCHES)
@pytest.mark.parametrize(("model", "pooling"), [*PAIRS, ("diffpool", "learned")])
def test_a_row_changes_its_own_model_and_no_other(row: str, name: str, model: str, pooling: str) -> None:
    base = [f"model={model}", f"pooling={pooling}", "dataset=digits"]
    paper, other = compose_cell(base), compose_cell([*base, f"fidelity.{row}={name}"])
    said = f"released_code: {row}" if name == "released_code" else f"{row}: {name}"
    assert (paper.fidelity, other.fidelity) == ("paper", said)
    concerned = CONCERNED.get(row, {model for model, _ in PAIRS})
    assert (science(paper) != science(other)) == (model in concerned)


@pytest.mark.parametrize("row", ["smnist_split", "directed_matching", "molhiv_ranking"])
def test_a_row_changes_its_own_data_set_and_no_other(row: str) -> None:
    own = {str(LEDGER[row].dataset)}
    changed = set()
    for dataset in ("smnist", "molhiv", "digits", "nci1"):
        base = ["model=graclus", "pooling=complement", f"dataset={dataset}"]
        if science(compose_cell(base)) != science(compose_cell([*base, f"fidelity.{row}=released_code"])):
            changed.add(dataset)
    assert changed == own


def test_all_rows_together_are_the_released_code() -> None:
    assert cell("gmn", "learned", "fidelity=released_code").fidelity == "released_code"
    switched = cell("gmn", "learned", *(f"fidelity.{row}=released_code" for row in RELEASED))
    assert identity(switched, "") == identity(cell("gmn", "learned", "fidelity=released_code"), "")
    back = cell("gmn", "learned", "fidelity=released_code", *(f"fidelity.{row}=paper" for row in RELEASED))
    assert identity(back, "") == identity(cell("gmn", "learned"), "")
    both = cell("diffpool", "learned", "fidelity=released_code", "fidelity.diffpool_sage=separate_weight")
    assert both.fidelity == "released_code; diffpool_sage: separate_weight"


def test_a_row_follows_one_of_its_sources() -> None:
    with pytest.raises(UserError, match=r"fidelity\.gmn_keys=maybe is unknown; expected paper or released_code"):
        cell("gmn", "learned", "fidelity.gmn_keys=maybe")
    with pytest.raises(UserError, match=r"fidelity\.diffpool_sage=released_code .* expected paper or separate_weight"):
        cell("diffpool", "learned", "fidelity.diffpool_sage=released_code")
    with pytest.raises(UserError, match=r"fidelity\.keys"):
        cell("gmn", "learned", "fidelity.keys=paper")


def test_the_page_lists_every_row() -> None:
    page = (ROOT / "docs" / "fidelity.md").read_text()
    rows = dict(re.findall(r"^\| (\d+) \| `?([^`|]+?)`? \|", page, flags=re.MULTILINE))
    assert list(map(int, rows)) == list(range(1, len(rows) + 1))
    for row, entry in LEDGER.items():
        assert rows[str(entry.row)] == f"fidelity.{row}"


def test_row_1_is_the_phase_of_the_keys() -> None:
    """What the phases then do is tested with GMN itself."""
    assert cell("gmn", "learned").network["keys_learn"] is True
    assert cell("gmn", "learned", "fidelity.gmn_keys=released_code").network["keys_learn"] is False


def test_row_2_leaks() -> None:
    overrides = ["dataset=smnist", "fidelity.smnist_split=released_code"]
    assert isinstance(cell("graclus", "learned", *overrides[:1]).splitter(), FixedSplit)
    assert isinstance(cell("graclus", "learned", *overrides).splitter(), LeakingSplit)

    dataset = random_dataset(1, graphs=70)
    released = LeakingSplit(development=60, val=0.1)
    first, second = released(dataset, 0), released(dataset, 1)
    assert len(first.val) == 6
    assert len(np.intersect1d(first.val, first.train)) >= 3
    assert not np.array_equal(first.val, second.val)
    assert np.array_equal(first.test, np.arange(60, 70))
    paper = FixedSplit(train=[5, 60], val=[0, 5], test=[60, 70])(dataset, 0)
    assert not np.intersect1d(paper.val, paper.train).size
    assert (len(paper.train), len(paper.val), len(paper.test)) == (55, 5, 10)
    for broken in (FixedSplit([0, 60], [5, 9], [60, 70]), FixedSplit([5, 60], [0, 5], [60, 71]), LeakingSplit(70, 0.1)):
        with pytest.raises(UserError, match="fit 70 graphs"):
            broken(dataset, 0)


def test_row_3_is_a_batch_of_64() -> None:
    for released, batch in ((False, 8), (True, 64)):
        override = ["fidelity.graclus_batch_size=released_code"] if released else []
        assert cell("graclus", "complement", "dataset=nci1", *override).trainer.batch_size == batch


def train(*overrides: str) -> tuple[Cell, GraphDataset, Replica]:
    dataset = random_dataset(7)
    chosen = cell("diffpool_v2", "normal", "trainer.batch_size=8", "trainer.learning_rate=0.01", *overrides)
    build, split = chosen.build(dataset, Classification()), StratifiedSplit(0.2, 0.2)(dataset, 1)
    device = torch.device("cpu")
    group = train_group(
        build, dataset, [split], [1], Classification(), chosen.trainer, 16, device, lambda replicas: None, True
    )  # fmt: skip
    return chosen, dataset, next(iter(group))


def test_row_4_saves_the_best_or_the_last_weights() -> None:
    """The saved weights give the validation loss of their epoch again."""
    for overrides, last in (([], False), (["fidelity.best_weights=released_code"], True)):
        chosen, dataset, replica = train("trainer.max_epochs=8", *overrides)
        assert replica.best_epoch < len(replica.history), "the best epoch is the last: a weak test"
        network = chosen.build(dataset, Classification())(1)
        network.load_state_dict(replica.weights)
        val = StratifiedSplit(0.2, 0.2)(dataset, 1).val
        batch = Batches(dataset, torch.device("cpu")).batch(val[None], np.zeros(1, np.uint64))
        prediction = network.eval()(batch.x, batch.level)[0].detach()
        record = replica.history[-1 if last else replica.best_epoch - 1]
        assert float(Classification().loss(prediction, batch.y)) == pytest.approx(record["val_loss"], abs=1e-5)


def test_row_5_draws_uniform_numbers() -> None:
    def drawn(*overrides: str) -> Tensor:
        network = cell("mincut", "normal", *overrides).build(random_dataset(7), Classification())(1)
        initialise(network, [0])
        return network.get_buffer("pools.0.select.random")

    assert drawn().min() < 0
    assert drawn("fidelity.mincut_normal=released_code").min() >= 0


def test_row_6_lets_the_rate_fall_lower() -> None:
    assert cell("gmn", "learned").trainer.min_learning_rate == 1e-5
    assert cell("gmn", "learned", "fidelity.gmn_min_learning_rate=released_code").trainer.min_learning_rate == 1e-6


def test_rows_7_9_and_12_are_the_same_in_both() -> None:
    for fidelity in ("paper", "released_code"):
        assert cell("diffpool", "learned", "dataset=imdb_b").dataset.read["constant_features"] == 10
        for model, clip in {"diffpool": 2.0, "mincut": 2.0, "graclus": None, "gmn": None}.items():
            assert cell(model, "learned", f"fidelity={fidelity}").trainer.gradient_clip == clip
    assert cell("diffpool", "learned", "trainer.gradient_clip=null").trainer.gradient_clip is None


@pytest.mark.parametrize(
    ("scores", "text", "released"),
    [((3.0, 1.0, 2.0, 2.0), [1, 1, 1, 1], [1, 2, 3, 3]), ((3.0, 2.0, 1.0, 2.0), [1, 1, 1, 1], [1, 2, 2, 2])],
    ids=["the third beats the second", "the third is worse"],
)
def test_row_8_compares_from_the_third_epoch_on(
    scores: tuple[float, ...], text: list[int], released: list[int]
) -> None:
    """Text: the first is best; released: the second counts as better, and the third has to beat it."""
    best = []
    for overrides in ([], ["fidelity.early_stopping=released_code"]):
        config = cell("graclus", "learned", *overrides).trainer
        state = GroupState.start([0], torch.zeros(1, 1), {}, [], config.learning_rate, higher_is_better=True)
        epochs = []
        for score in scores:
            state.end_epoch({}, torch.tensor([score]), {}, True, config)
            epochs.append(int(state.best_epoch))
        best.append(epochs)
    assert best == [text, released]


@pytest.mark.parametrize("model", ["mincut", "gmn"])
def test_row_10_regression_works(model: str) -> None:
    dataset = random_dataset(7)
    chosen = cell(model, "learned", "trainer.max_epochs=2", "trainer.batch_size=8")
    split = StratifiedSplit(0.2, 0.2)(dataset, 0)
    config: TrainerConfig = chosen.trainer
    (replica,) = train_group(
        chosen.build(dataset, Regression()), dataset, [split], [0], Regression(), config, 16,
        torch.device("cpu"), lambda replicas: None,
    )  # fmt: skip
    assert replica.error is None
    assert replica.history[-1]["test_loss"] == pytest.approx(replica.history[-1]["test_mae"])


def test_row_13_counts_padding_in_every_norm_before_the_first_clusters() -> None:
    for model, norms in (("gmn", 1), ("diffpool_v2", 6)):
        for overrides, counts in (([], False), (["fidelity.batch_norm_padding=released_code"], True)):
            network = cell(model, "learned", *overrides).build(random_dataset(7), Classification())(1)
            found = [layer for layer in network.modules() if hasattr(layer, "counts_padding")]
            assert len(found) == norms
            assert all(layer.counts_padding == counts for layer in found)


def test_row_14_is_three_convolutions_before_the_pooling_layers_own() -> None:
    chosen = cell("diffpool", "uniform", "fidelity.diffpool_convolutions_before=three")
    network = chosen.build(random_dataset(7), Classification())(1)
    assert len(network.initial) + len(network.more.convs) == 3


def test_row_15_is_another_convolution_everywhere() -> None:
    for dataset, kinds in (("nci1", {"SeparateSageConv"}), ("imdb_b", {"SeparateSageConv", "DenseGraphConv"})):
        chosen = cell("diffpool", "learned", f"dataset={dataset}", "fidelity.diffpool_sage=separate_weight")
        network = chosen.build(random_dataset(7), Classification())(1)
        assert {type(layer).__name__ for layer in network.modules() if type(layer).__name__.endswith("Conv")} == kinds


def test_row_16_matches_one_way() -> None:
    """What that means is tested with the matchings themselves."""
    for pooling in ("learned", "complement"):
        for overrides, one_way in (([], False), (["fidelity.directed_matching=released_code"], True)):
            chosen = cell("graclus", pooling, "dataset=smnist", *overrides)
            network = chosen.build(random_dataset(7, directed=True), Classification())(1)
            assert network.pools[0].select.one_way is one_way


def test_row_17_ranks_by_one_output() -> None:
    """Two graphs that the logit and the second output rank the other way round."""
    raw, y = np.array([[0.0, 1.0], [3.0, 2.0]]), np.array([0, 1])
    scores = []
    for overrides in ([], ["fidelity.molhiv_ranking=released_code"]):
        task = cell("graclus", "learned", "dataset=molhiv", *overrides).task()
        scores.append(task.metric_of(task.predictions(raw, y)))
    assert scores == [0.0, 1.0]
