"""What docs/extending.md says is true: its files work, its commands run, its Selects and families keep the laws."""

import importlib
import json
import re
import shlex
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator, Sequence
from itertools import product
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch_geometric.data import Data, InMemoryDataset
from torch_geometric.nn import TopKPooling

from rethinking.configuration.cell import Cell
from rethinking.configuration.check import check
from rethinking.configuration.composition import compose_cell, expand_sweep
from rethinking.configuration.identity import identity
from rethinking.data.batches import Batches, lay_out
from rethinking.data.dataset import GraphDataset, build_dataset
from rethinking.data.load import load
from rethinking.data.sources import Places
from rethinking.data.split import StratifiedSplit
from rethinking.graphs.levels import DenseLevel, SetLevel, SparseLevel
from rethinking.graphs.topology import Topology, expand
from rethinking.layers.initial import initialise
from rethinking.paths import own_configuration
from rethinking.pooling.reduce import SumReduce
from rethinking.tasks.classification import Classification
from rethinking.training.group import train_group
from rethinking.training.state import Replica
from tests.conftest import ROOT, in_double, random_dataset

GUIDE = ROOT / "docs" / "extending.md"
TEXT = GUIDE.read_text()
# A file is a fence after a line with nothing but its name; a command is a fence without a language.
FENCES = re.findall(r"(?:^`(my/\S+)`:\n\n)?^```(\w*)\n(.*?)^```$", TEXT, re.M | re.S)
FILES = {name: text for name, _, text in FENCES if name}
COMMANDS = [shlex.split(text.replace("\\\n", " ")) for _, language, text in FENCES if not language]
TRIED = next(command for command in COMMANDS if "trainer.max_epochs=2" in command)
CPU = torch.device("cpu")


def write(folder: Path) -> None:
    for name, text in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with the guide's files, from which they can be imported."""
    folder = tmp_path_factory.mktemp("guide")
    write(folder)
    sys.path.insert(0, str(folder))
    importlib.invalidate_caches()
    yield folder
    sys.path.remove(str(folder))
    for name in [name for name in sys.modules if name.partition(".")[0] == "my"]:
        del sys.modules[name]


@pytest.fixture(scope="module")
def module(folder: Path) -> Callable[[str], ModuleType]:
    return importlib.import_module


def cell(folder: Path, model: str, pooling: str, dataset: str = "communities", *overrides: str) -> Cell:
    chosen = [f"model={model}", f"pooling={pooling}", f"dataset={dataset}", *overrides]
    with own_configuration(folder / "my"):
        return compose_cell(chosen)


def test_the_command_to_try_with_runs_and_names_what_is_new(
    rethinking: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    write(tmp_path)
    start = TRIED.index("rethinking")
    result = rethinking(*TRIED[start + 1 :], **dict(word.split("=", 1) for word in TRIED[:start]))
    assert result.returncode == 0, result.stderr
    rows = [line for line in result.stdout.splitlines() if "Communities" in line]
    assert len(rows) == 4 and all("2/2" in row for row in rows)
    for family, variant in product(("mincut", "shallow"), ("learned", "topk")):
        assert sum(family in row and variant in row for row in rows) == 1


@pytest.mark.parametrize("command", [command for command in COMMANDS if command is not TRIED], ids=" ".join)
def test_every_other_command_composes(folder: Path, command: Sequence[str]) -> None:
    assert command[:5] == ["PYTHONPATH=.", "rethinking", "run", "-m", "--config-dir"] and command[5] == "my"
    own = {Path(path).stem for path in FILES}
    with own_configuration(folder / "my"):
        jobs = expand_sweep(command[6:]) or []
        # Pairs of the project's own are in tests/test_conf.py.
        composed = [job for job in jobs if own & {word.partition("=")[2] for word in job}]
        assert composed
        for job in composed:
            check(compose_cell(job))


def test_one_file_may_serve_several_kinds(folder: Path) -> None:
    text = FILES["my/pooling/topk.yaml"].replace("name: topk", "name: several")
    pyg = "  pyg: {_target_: torch_geometric.nn.TopKPooling, _partial_: true, ratio: 0.5}\n"
    (folder / "my" / "pooling" / "several.yaml").write_text(text + pyg)
    models = ("shallow", "gmn", "graclus", "plain")
    chosen = [cell(folder, model, "several").select["_target_"].rpartition(".")[2] for model in models]
    assert chosen == ["TopK", "TopK", "TopK", "TopKPooling"]


def test_the_guide_is_whole() -> None:
    linked = re.findall(r"\]\((\.\./[^)#]+)\)", TEXT)
    assert linked and all((GUIDE.parent / path).is_file() for path in linked)
    # Each class that a file names is in a file of the guide too.
    for name in re.findall(r"_target_: my\.(\w+)\.", "".join(FILES.values())):
        assert f"my/{name}.py" in FILES
    for path, text in FILES.items():
        assert path.endswith(".py") or f"name: {Path(path).stem}\n" in text


@pytest.mark.parametrize("path", [path for path in FILES if path.endswith(".py")])
def test_the_code_is_formatted_as_the_projects(path: str) -> None:
    for action in (["check", "--quiet"], ["format", "--diff", "--quiet"]):
        command = [sys.executable, "-m", "ruff", *action, "--stdin-filename", path, "-"]
        result = subprocess.run(command, cwd=ROOT, input=FILES[path], capture_output=True, text=True)
        assert result.returncode == 0, result.stdout + result.stderr


def top_k(module: Callable[[str], ModuleType], replicas: int, features: int, clusters: int, gate: str) -> Any:
    select = module("my.topk").TopK(replicas, features, 12, clusters, ratio=0.5, gate=gate)
    initialise(select, range(replicas))
    return select


@pytest.mark.parametrize("clusters", [1, 4, 20])
def test_topk_chooses_the_highest_scores(
    module: Callable[[str], ModuleType], topology: Topology, dataset: GraphDataset, clusters: int
) -> None:
    select = top_k(module, 3, dataset.in_features, clusters, "sigmoid")
    x = torch.randn(3, topology.width, dataset.in_features, generator=torch.Generator().manual_seed(0))
    selection = select(x, SparseLevel(topology, CPU))
    assert selection.dense().shape == (3, topology.width, clusters)
    score = ((x @ select.p.detach()).squeeze(-1) / select.p.detach().norm(dim=1)).flatten()
    for graph, (start, size) in enumerate(zip(topology.start, topology.size, strict=True)):
        rows = torch.arange(start, start + size)
        best = rows[score[rows].argsort(descending=True)][: min(clusters, (size + 1) // 2)]
        expected = torch.zeros(len(rows), len(best))
        expected[best - start, torch.arange(len(best))] = score[best].sigmoid()
        assert np.allclose(selection.of_graph(graph), expected, atol=1e-6)
    padding = np.setdiff1d(np.arange(topology.rows), expand(topology.start, topology.size))
    assert (selection.cluster[padding] == -1).all()


def test_topk_does_not_depend_on_how_nodes_are_numbered(
    module: Callable[[str], ModuleType], topology: Topology, dataset: GraphDataset
) -> None:
    select = top_k(module, 3, dataset.in_features, 4, "tanh")
    x = torch.randn(3, topology.width, dataset.in_features, generator=torch.Generator().manual_seed(0))
    order = np.arange(topology.rows)
    for start, size in zip(topology.start, topology.size, strict=True):
        order[start : start + size] = start + np.random.default_rng(start).permutation(size)
    level = SparseLevel(topology, CPU)
    renumbered = x.flatten(0, 1)[order].view_as(x)
    assert torch.equal(select(renumbered, level).dense().flatten(0, 1), select(x, level).dense().flatten(0, 1)[order])


def test_topk_on_levels_whose_rows_are_all_nodes(module: Callable[[str], ModuleType]) -> None:
    select = top_k(module, 2, 5, 3, "tanh")
    x = torch.randn(2, 4 * 6, 5, generator=torch.Generator().manual_seed(0))
    first = select(x, DenseLevel(torch.ones(2, 4, 6, 6))).dense()
    assert torch.equal(first, select(x, SetLevel(2, 4, 6, CPU)).dense())
    assert ((first.view(2, 4, 6, 3) != 0).sum(dim=2) == 1).all()


def test_topk_pools_as_pygs(module: Callable[[str], ModuleType], topology: Topology, dataset: GraphDataset) -> None:
    k = 6
    select = top_k(module, 3, dataset.in_features, k, "tanh")
    x = torch.randn(3, topology.width, dataset.in_features, generator=torch.Generator().manual_seed(0))
    level = SparseLevel(topology, CPU)
    pooled = SumReduce()(x, select(x, level).soft()).unflatten(1, (-1, k))
    for replica, start, size, ours in zip(
        np.repeat(np.arange(3), level.graphs), topology.start, topology.size, pooled.flatten(0, 1), strict=True
    ):
        peer = TopKPooling(dataset.in_features, ratio=0.5)
        peer.select.weight.data = select.p.detach()[replica].T
        first = int(start - replica * topology.width)
        expected = peer(x[replica, first : first + size], torch.zeros(2, 0, dtype=torch.long))[0]
        assert torch.allclose(ours[: len(expected)], expected, atol=1e-6)
        assert (ours[len(expected) :] == 0).all()


def test_medoids_are_far_apart_and_have_the_nearest_nodes(
    module: Callable[[str], ModuleType], topology: Topology
) -> None:
    """Against the greedy rule written out, a graph at a time."""
    level = SparseLevel(topology, CPU)
    selection = module("my.medoids").Medoids(3, 5, 12, 6, ratio=0.4)(torch.empty(3, topology.width, 0), level)
    for graph, size in enumerate(topology.size):
        hops = level.hops.flatten(0, 1)[graph, :size, :size].nan_to_num(posinf=float(level.hops.shape[-1])).numpy()
        medoids = [int(hops.sum(axis=1).argmin())]
        while len(medoids) < min(int(np.ceil(0.4 * size)), 6):
            medoids.append(int(hops[medoids].min(axis=0).argmax()))
        expected = np.eye(len(medoids))[hops[medoids].argmin(axis=0)]
        assert np.array_equal(selection.of_graph(graph), expected)


def test_decimation_keeps_one_side_of_a_graph_that_has_two(module: Callable[[str], ModuleType]) -> None:
    """An even ring is cut through all its edges; a graph without edges stays whole."""
    node = np.arange(8)
    ring = np.stack([np.repeat(node, 2), np.stack([(node + 1) % 8, (node - 1) % 8], axis=1).ravel()])
    dataset = build_dataset("ring", np.repeat([0, 1], [8, 3]), ring, np.ones((11, 1)), np.array([0, 1]))
    level = SparseLevel(lay_out(dataset, np.array([[0, 1]]))[0], CPU)
    selection = module("my.decimation").Decimation(1, 1, 8, 4)(torch.empty(1, 11, 0), level)
    members = selection.members[0]
    assert selection.count.tolist() == [4, 3]
    assert sorted(members[8:].tolist()) == [0, 1, 2]
    stays = (members[:8] >= 0).tolist()
    assert stays in ([True, False] * 4, [False, True] * 4)


def test_equal_degrees_are_matched(
    module: Callable[[str], ModuleType], topology: Topology, dataset: GraphDataset
) -> None:
    select = module("my.equal_degree").EqualDegreeMatching()
    keys = np.random.default_rng(0).integers(2**63, size=len(topology.start)).astype(np.uint64)
    partner = select.draw(topology, keys)
    rows = expand(topology.start, topology.size)
    degree = np.diff(topology.in_ptr)
    assert (partner[np.setdiff1d(np.arange(topology.rows), rows)] == -1).all()
    assert (partner[partner[rows]] == rows).all()
    for of in (topology.graph, degree):
        assert (of[partner[rows]] == of[rows]).all()
    alone = rows[partner[rows] == rows]
    assert 0 < len(alone) < len(rows)
    assert len(set(zip(topology.graph[alone], degree[alone], strict=True))) == len(alone)
    assert (select.draw(topology, keys) == partner).all()
    assert (select.draw(topology, keys + np.uint64(1)) != partner).any()
    # The same graph with the same key is matched alike wherever it lies.
    graph = int(np.argmax(dataset.sizes))
    alone, among = (lay_out(dataset, np.array(graphs))[0] for graphs in ([[graph]], [[3, graph]]))
    key = np.array([99], np.uint64)
    expected, found = select.draw(alone, key), select.draw(among, np.repeat(key, 2))
    assert (found[among.start[1] : among.start[1] + among.size[1]] - among.start[1] == expected).all()


def train(cell: Cell, dataset: GraphDataset, seeds: Sequence[int]) -> dict[int, Replica]:
    group = train_group(
        build=cell.build(dataset, Classification()),
        dataset=dataset,
        splits=[StratifiedSplit(0.2, 0.2)(dataset, seed) for seed in seeds],
        seeds=seeds,
        task=Classification(),
        config=cell.trainer,
        evaluation_batch_size=16,
        device=CPU,
        on_epoch=lambda replicas: None,
    )
    return {replica.seed: replica for replica in group}


@pytest.mark.usefixtures("double")
@pytest.mark.parametrize(
    ("model", "pooling"),
    [("shallow", "learned"), ("shallow", "uniform"), ("shallow", "complement"), ("shallow", "topk"),
     ("diffpool", "topk"), ("gmn", "topk"), ("graclus", "topk"), ("graclus", "equal_degree"), ("graclus", "medoids"),
     ("graclus", "decimation"), ("shallow", "medoids"), ("plain", "learned")],
)  # fmt: skip
def test_three_replicas_equal_three_single_runs(folder: Path, model: str, pooling: str) -> None:
    dataset = in_double(random_dataset(7, directed=True))
    chosen = cell(folder, model, pooling, "communities", "trainer.max_epochs=2", "trainer.batch_size=8")
    together = train(chosen, dataset, [0, 1, 2])
    for seed, replica in together.items():
        assert replica.error is None and len(replica.history) == 2
        for ours, expected in zip(replica.history, train(chosen, dataset, [seed])[seed].history, strict=True):
            assert ours == pytest.approx(expected, abs=1e-6)


def predict(chosen: Cell, dataset: GraphDataset, graphs: list[int]) -> Tensor:
    network = chosen.build(random_dataset(7), Classification())(1)
    initialise(network, [0])
    batch = Batches(dataset, CPU).batch(np.array([graphs]), np.zeros(1, np.uint64))
    return network.eval()(batch.x, batch.level)[0][0].detach()


@pytest.mark.parametrize(
    ("model", "pooling"),
    [("shallow", "learned"), ("shallow", "topk"), ("shallow", "medoids"), ("graclus", "topk"), ("graclus", "medoids"),
     ("graclus", "decimation")],
)  # fmt: skip
def test_the_other_graphs_of_a_batch_change_nothing(folder: Path, model: str, pooling: str) -> None:
    dataset = random_dataset(7)
    chosen = cell(folder, model, pooling)
    among = predict(chosen, dataset, [3, 9, 1, 4, 5, 6])
    alone = torch.cat([predict(chosen, dataset, [graph]) for graph in (3, 9, 1)])
    assert torch.allclose(among[:3], alone, atol=1e-5)


def test_the_entropy_applies_to_selects_that_learn_by_it_only(folder: Path) -> None:
    dataset = random_dataset(7)
    build = cell(folder, "shallow", "topk").build(dataset, Classification())
    batch = Batches(dataset, CPU).batch(np.arange(6)[None], np.zeros(1, np.uint64))
    assert build(1)(batch.x, batch.level)[1] == {}
    learned = cell(folder, "shallow", "learned").build(dataset, Classification())(1)
    initialise(learned, [0])
    assert learned(batch.x, batch.level)[1]["entropy"].shape == (1,)


def test_communities(folder: Path) -> None:
    dataset = load(cell(folder, "shallow", "learned").dataset, Places(None, None))
    source, target = dataset.edge_index
    of_edge = dataset.y[np.repeat(np.arange(len(dataset)), dataset.sizes)[source]]
    within = dataset.x[source, 1] == dataset.x[target, 1]
    assert not dataset.directed
    assert np.bincount(dataset.y).tolist() == [200, 200]
    assert np.bincount(of_edge)[1] == pytest.approx(np.bincount(of_edge)[0], rel=0.1)
    assert within[of_edge == 1].mean() > 0.7 > 0.6 > within[of_edge == 0].mean()


def test_a_zip_file_of_the_tu_collection_needs_no_code(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "tu").mkdir()
    with zipfile.ZipFile(tmp_path / "tu" / "PTC_MR.zip", "w") as archive:
        parts = {"A": "1, 2\n2, 1\n3, 4\n4, 3\n", "graph_indicator": "1\n1\n2\n2\n", "graph_labels": "1\n-1\n"}
        for part, text in parts.items():
            archive.writestr(f"PTC_MR/PTC_MR_{part}.txt", text)
    dataset = load(cell(folder, "shallow", "topk", "ptc_mr").dataset, Places(str(tmp_path), str(tmp_path / "cache")))
    assert (len(dataset), dataset.classes) == (2, 2)


def test_a_data_set_of_pygs(folder: Path, module: Callable[[str], ModuleType], monkeypatch: pytest.MonkeyPatch) -> None:
    """With a small one in the place of Peptides-struct, which would have to be downloaded."""

    class Small(InMemoryDataset):
        def __init__(self, root: str, name: str, split: str, transform: Callable[[Data], Data]) -> None:
            super().__init__(None, transform)
            assert (root, name) == ("data/lrgb", "Peptides-struct") and split in ("train", "val", "test")
            edge_index = torch.tensor([[0, 1], [1, 0]])
            self.data, self.slices = self.collate(
                [Data(x=torch.full((2, 9), i), edge_index=edge_index, y=torch.full((1, 11), i + 0.5)) for i in range(3)]
            )

    monkeypatch.setattr(module("my.peptides"), "LRGBDataset", Small)
    chosen = cell(folder, "shallow", "topk", "peptides")
    dataset = load(chosen.dataset, Places(None, None))
    assert dataset.y.tolist() == [0.5, 1.5, 2.5] * 3
    assert dataset.x[:, 0].tolist() == [0, 0, 1, 1, 2, 2] * 3
    assert chosen.task().metric == "mae"


def test_a_run_is_named_by_the_modules_of_classes_of_ones_own(folder: Path) -> None:
    """Another module may have a class of the same name."""
    named = json.dumps(identity(cell(folder, "shallow", "topk"), ""))
    assert "my.shallow.Shallow" in named and "my.topk.TopK" in named and "rethinking." not in named
