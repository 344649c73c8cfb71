"""Each configuration file composes and instantiates, alone and in every combination."""

import numpy as np
import pytest
import torch

from rethinking.analysis.suites import load_suite, suite_names
from rethinking.configuration import composition
from rethinking.configuration.check import check
from rethinking.configuration.composition import (
    compose_by_hydra,
    compose_cell,
    compose_job,
    expand_sweep,
    options,
    pairs_table,
    possible_variants,
)
from rethinking.configuration.settings import ImpossiblePairError
from rethinking.data.batches import Batches
from rethinking.layers.initial import initialise
from tests.conftest import ROOT, random_dataset
from tests.spanning import spanning

GROUPS = ("model", "pooling", "dataset", "trainer", "fidelity")


def base(group: str, option: str) -> list[str]:
    chosen = {"model": "graclus", "pooling": "learned", "dataset": "digits", group: option}
    if group == "model":
        chosen["pooling"] = possible_variants(option)[0]
    if group == "pooling":
        chosen["model"] = next(model for model in options("model") if option in possible_variants(model))
    return [f"{key}={value}" for key, value in chosen.items()]


FILES = [(group, option) for group in GROUPS for option in options(group)]


@pytest.mark.parametrize(("group", "option"), FILES)
def test_each_file_composes_and_is_named_as_its_file(group: str, option: str) -> None:
    cell = compose_cell(base(group, option))
    check(cell)
    named = {"model": cell.family, "pooling": cell.variant, "dataset": cell.dataset.name, "fidelity": cell.fidelity}
    assert named.get(group, option) == option


POSSIBLE = {model: possible_variants(model) for model in options("model")}


@pytest.mark.parametrize("model", POSSIBLE)
def test_all_other_pairs_are_impossible(model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Which is known without Hydra."""
    monkeypatch.setattr(composition, "_compose", None)
    for pooling in set(options("pooling")) - set(POSSIBLE[model]):
        words = [f"model={model}", f"pooling={pooling}", "dataset=digits"]
        with pytest.raises(ImpossiblePairError, match="cannot be combined"):
            compose_cell(words)
        with pytest.raises(ImpossiblePairError, match="cannot be combined"):
            compose_job([*words, "skip_impossible=true"])


@pytest.mark.parametrize(("model", "pooling"), spanning([(m, p) for m, possible in POSSIBLE.items() for p in possible]))
def test_each_possible_pair_predicts(model: str, pooling: str) -> None:
    cell = compose_cell([f"model={model}", f"pooling={pooling}", "dataset=digits"])
    check(cell)
    dataset = random_dataset(0)
    network = cell.build(dataset, cell.task())(2)
    initialise(network, [0, 1])
    batch = Batches(dataset, torch.device("cpu")).batch(np.array([[0, 1], [2, 3]]), np.zeros(2, np.uint64))
    prediction, _ = network(batch.x, batch.level)
    assert prediction.shape == (2, 2, 2)


# Tables S2, S3 and S4, and the released code's settings of what they do not have: these keys of the network, and the
# batch size.
PUBLISHED = {
    "graclus": (
        ("layers", "hidden"),
        {"nci1": (3, 64, 8), "imdb_b": (2, 64, 8), "smnist": (2, 64, 8), "zinc": (3, 64, 8), "proteins": (3, 64, 64),
         "nci109": (3, 64, 64), "dd": (3, 64, 64), "molhiv": (2, 128, 64)},
    ),
    "diffpool": (
        ("pools", "hidden", "mlp_hidden"),
        {"nci1": (1, 32, 32, 16), "imdb_b": (1, 32, 50, 8), "smnist": (1, 32, 50, 64), "zinc": (1, 56, 56, 64),
         "proteins": (2, 32, 50, 8), "nci109": (1, 32, 32, 16), "dd": (2, 32, 50, 8), "molhiv": (2, 32, 50, 32)},
    ),
    "diffpool_v2": (
        ("pools", "hidden", "mlp_hidden"),
        {"nci1": (1, 32, 50, 16), "imdb_b": (1, 32, 50, 16), "smnist": (1, 32, 50, 64), "zinc": (2, 56, 56, 64),
         "proteins": (1, 32, 50, 16), "nci109": (1, 32, 50, 16), "dd": (1, 32, 50, 16), "molhiv": (1, 32, 50, 64)},
    ),
    "gmn": (
        ("keys", "heads", "memory_hidden"),
        {"nci1": ([10, 1], 5, 100, 128), "imdb_b": ([32, 1], 1, 16, 128), "smnist": ([32, 1], 10, 16, 128),
         "zinc": ([10, 1], 5, 100, 128), "proteins": ([32, 1], 5, 16, 128), "nci109": ([32, 1], 5, 16, 128),
         "dd": ([32, 8, 1], 5, 64, 128), "molhiv": ([32, 1], 5, 16, 128)},
    ),
    "mincut": (
        ("layers", "hidden"),
        {"nci1": (3, 32, 16), "imdb_b": (3, 32, 16), "smnist": (3, 32, 16), "zinc": (3, 32, 16),
         "proteins": (3, 32, 16), "nci109": (3, 32, 16), "dd": (3, 32, 16), "molhiv": (3, 64, 32)},
    ),
}  # fmt: skip


@pytest.mark.parametrize("model", PUBLISHED)
def test_the_published_hyper_parameters(model: str) -> None:
    keys, table = PUBLISHED[model]
    for name, (*row, batch_size) in table.items():
        digits = [f"model={model}", "pooling=learned", "dataset=digits"]
        # The name alone decides, so that data sets that are not there yet are checked too.
        cell = compose_cell([*digits, f"dataset.name={name}"])
        found = {**cell.network, "heads": cell.select.get("heads")}
        assert [found[key] for key in keys] == row
        assert cell.trainer.batch_size == batch_size
        if model.startswith("diffpool"):
            assert cell.network["ratio"] == {1: 0.1, 2: 0.25}[row[0]]


def test_a_cell_composed_the_fast_way_is_the_one_hydra_composes() -> None:
    for overrides in (
        ["model=graclus", "pooling=complement", "dataset=nci1"],
        ["model=diffpool", "pooling=learned", "dataset=imdb_b", "model.convs_before_pool=1"],
        ["model=gmn", "pooling=uniform", "dataset=proteins", "fidelity=released_code"],
        ["model=mincut", "pooling=normal", "dataset=digits", "fidelity.mincut_normal=released_code"],
    ):
        assert repr(compose_cell(overrides)) == repr(compose_by_hydra(overrides).cell)


@pytest.mark.parametrize(
    "words",
    [
        ["seeds=[3,1]", "runs=mine/there", "threads=2", "replicas=3", "fast=false", "checkpoint_minutes=1e-3"],
        ["device=cpu", "evaluation_batch_size=7", "retry_failed=true", "save_model=true", "data.cache=here", "seeds=1"],
        ["logger=tensorboard", "logger.folder=there", "skip_impossible=true", "diagnosed_graphs=0", "data.mirror=null"],
    ],
)
def test_so_is_a_job(words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    overrides = ["model=graclus", "pooling=complement", "dataset=digits", *words]
    expected = compose_by_hydra(overrides)
    with monkeypatch.context() as patched:
        patched.setattr(composition, "compose_by_hydra", None)
        assert repr(compose_job(overrides)) == repr(expected)


@pytest.mark.slow
@pytest.mark.parametrize(("group", "option"), FILES)
def test_so_is_each_file(group: str, option: str) -> None:
    assert repr(compose_cell(base(group, option))) == repr(compose_by_hydra(base(group, option)).cell)


@pytest.mark.slow
@pytest.mark.parametrize("name", suite_names())
def test_every_cell_of_a_suite_composed_the_fast_way_is_the_one_hydra_composes(name: str) -> None:
    suite = load_suite(name)
    for dataset in suite.columns:
        for row in filter(None, suite.rows.values()):
            overrides = [*row, f"dataset={dataset}", "fidelity=paper"]
            assert repr(compose_cell(overrides)) == repr(compose_by_hydra(overrides).cell)


def test_the_readme_shows_which_pairs_there_are() -> None:
    assert pairs_table("github") in (ROOT / "README.md").read_text()
    for model, variants in POSSIBLE.items():
        assert variants, f"{model} can be combined with nothing"


def test_the_training_protocol() -> None:
    trainer = compose_job(base("dataset", "nci1")).cell.trainer
    assert (trainer.learning_rate, trainer.min_learning_rate) == (1e-3, 1e-5)
    assert (trainer.decay_factor, trainer.decay_patience) == (0.5, 10)
    assert (trainer.stop_patience, trainer.max_epochs) == (50, 1000)


def test_a_sweep_expands_to_every_combination() -> None:
    jobs = expand_sweep(["model=graclus", "pooling=learned,complement", "dataset=nci1,imdb_b", "seeds=[0,1]"])
    assert len(jobs) == 4
    assert all("seeds=[0,1]" in job for job in jobs)


def test_seeds() -> None:
    assert compose_job([*base("dataset", "digits"), "seeds=3"]).seeds == [0, 1, 2]
    assert compose_job([*base("dataset", "digits"), "seeds=[7,2]"]).seeds == [7, 2]
    assert compose_job(base("dataset", "digits")).seeds == list(range(20))
