"""What is measured of a run's assignments is what its network really does."""

from itertools import product

import networkx as nx
import numpy as np
import pytest
import torch

from rethinking.configuration.composition import compose_cell, options, possible_variants
from rethinking.data.split import StratifiedSplit
from rethinking.graphs.hops import hop_distances
from rethinking.layers.initial import initialise
from rethinking.pooling.measures import assignment_measures
from rethinking.pooling.pool import Pooled, PoolingLayer
from rethinking.tasks.classification import Classification
from rethinking.training.diagnostics import diagnose, look
from rethinking.training.group import ReplicaGroup, train_group
from tests.conftest import CPU, random_dataset
from tests.spanning import spanning
from tests.test_pairs import AROUND_OPERATORS

PAIRS = [(model, pooling) for model, pooling in product(options("model"), options("pooling"))
         if pooling in possible_variants(model) and pooling != "none" and model not in AROUND_OPERATORS]  # fmt: skip
NAMES = ("entropy", "clusters", "edges_inside", "hops", "modularity")


def test_shuffled_clusters_are_as_many_and_as_certain_of_other_nodes() -> None:
    """What the twin of an operator keeps, and what it does not."""
    dataset = random_dataset(7)
    found = {}
    for pooling in ("learned", "shuffled"):
        words = ["model=host", "pooler=pyg/SAGPooling", f"pooling={pooling}", "dataset=digits", "model.ratio=0.3"]
        network = compose_cell(words).build(dataset, Classification())(1)
        initialise(network, [0])
        found[pooling] = diagnose(network, dataset, np.arange(len(dataset)), seed=0, epoch=1, batch_size=7)
    own, twin = found["learned"], found["shuffled"]
    for name in ("entropy", "clusters", "before"):
        assert twin[f"pool1_{name}"] == pytest.approx(own[f"pool1_{name}"])
    assert twin["pool1_after"] != pytest.approx(own["pool1_after"])


@pytest.mark.parametrize(
    ("model", "pooling", "directed"), spanning([(*pair, directed) for directed in (True, False) for pair in PAIRS])
)
def test_every_pair_with_pooling_layers_is_measured(model: str, pooling: str, directed: bool) -> None:
    dataset = random_dataset(7, directed=directed)
    network = compose_cell([f"model={model}", f"pooling={pooling}", "dataset=digits"]).build(dataset, Classification())(
        1
    )
    initialise(network, [0])
    measures = diagnose(network, dataset, np.arange(len(dataset)), seed=0, epoch=1, batch_size=7)
    assert {f"pool1_{name}" for name in (*NAMES, "before", "after")} < set(measures) and measures["hops"] >= 1
    assert 0 <= measures["pool1_entropy"] <= 1 + 1e-6 and 0 <= measures["pool1_edges_inside"] <= 1
    if model == "graclus":
        assert measures["pool1_entropy"] == 0
    if (model, pooling) == ("graclus", "learned"):
        assert measures["pool1_hops"] == 1
    if (model, pooling) == ("graclus", "complement"):
        assert measures["pool1_edges_inside"] == 0
    # How graphs are batched does not matter.
    alone = diagnose(network, dataset, np.arange(len(dataset)), seed=0, epoch=1, batch_size=1)
    assert alone == pytest.approx(measures, abs=1e-5)


def test_later_layers_are_measured_on_the_nodes_of_the_input() -> None:
    dataset = random_dataset(7)
    cell = compose_cell(["model=mincut", "pooling=learned", "dataset=digits", "model.layers=3"])
    network = cell.build(dataset, Classification())(1)
    initialise(network, [0])
    graph = int(np.argmax(np.diff(dataset.in_ptr[dataset.node_ptr])))
    arguments = (network, dataset, np.array([graph]), 0, 1, 1)
    measures = diagnose(*arguments)
    ((_, seen),) = look(*arguments)
    first, second = (layer.selection.of_graph(0).astype(float) for layer in seen)
    nodes = slice(dataset.node_ptr[graph], dataset.node_ptr[graph + 1])
    edges = dataset.edge_index[:, dataset.in_ptr[nodes.start] : dataset.in_ptr[nodes.stop]] - nodes.start
    expected = assignment_measures(first @ second, edges, hop_distances(nodes.stop - nodes.start, edges))
    assert {name: measures[f"pool2_{name}"] for name in NAMES} == pytest.approx(expected)


def test_what_is_measured_is_the_mean_over_graphs_whose_edges_lead_both_ways() -> None:
    """Of directed graphs too, of which some edges have an opposite and some have none."""
    dataset = random_dataset(7, directed=True)
    network = compose_cell(["model=mincut", "pooling=learned", "dataset=digits"]).build(dataset, Classification())(1)
    initialise(network, [0])
    graphs = np.arange(12)
    measures = diagnose(network, dataset, graphs, seed=0, epoch=1, batch_size=5)
    selections = [
        seen[0].selection.of_graph(g).astype(float)
        for topology, seen in look(network, dataset, graphs, seed=0, epoch=1, batch_size=5)
        for g in range(len(topology.start))
    ]
    found = []
    for graph, selection in zip(graphs, selections, strict=True):
        first, end = dataset.node_ptr[graph], dataset.node_ptr[graph + 1]
        edges = dataset.edge_index[:, dataset.in_ptr[first] : dataset.in_ptr[end]] - first
        undirected = nx.Graph(edges.T.tolist())
        undirected.add_nodes_from(range(end - first))
        hops = np.full((end - first, end - first), np.inf)
        for source, reached in nx.all_pairs_shortest_path_length(undirected):
            hops[source, list(reached)] = list(reached.values())
        others = hops[np.isfinite(hops) & (hops > 0)]
        both_ways = np.array(list(undirected.to_directed().edges), dtype=np.int64).reshape(-1, 2).T
        values = assignment_measures(selection, both_ways, hops)
        found.append([others.mean() if len(others) else np.nan, *(values[name] for name in NAMES)])
    assert np.isnan(found).any(), "each graph has every measure: a weak test"
    expected = np.nanmean(found, axis=0)
    assert [measures["hops"], *(measures[f"pool1_{name}"] for name in NAMES)] == pytest.approx(expected)


def test_what_is_seen_is_what_is_pooled() -> None:
    """MinCutPool's reduction is SᵀX of what its Select saw."""
    dataset = random_dataset(7)
    network = compose_cell(["model=mincut", "pooling=learned", "dataset=digits"]).build(dataset, Classification())(1)
    initialise(network, [0])
    for topology, seen in look(network, dataset, np.arange(9), seed=0, epoch=1, batch_size=4):
        for g in range(len(topology.start)):
            before, after, assignment = seen[0].before(g), seen[0].after(g), seen[0].selection.of_graph(g)
            assert before.shape[0] == topology.size[g]
            assert np.allclose(after, assignment.T @ before, atol=1e-5)


def test_families_without_pooling_have_none() -> None:
    dataset = random_dataset(7)
    network = compose_cell(["model=gin", "pooling=none", "dataset=digits"]).build(dataset, Classification())(1)
    initialise(network, [0])
    assert diagnose(network, dataset, np.arange(5), seed=0, epoch=1, batch_size=5) == {}


@pytest.mark.parametrize("which", ["paper", "released_code"])
@pytest.mark.parametrize("model", ["graclus", "diffpool", "gmn"])
def test_kept_weights_score_what_was_recorded(model: str, which: str) -> None:
    """Those of the best epoch or of the last, with that epoch's matchings."""
    dataset = random_dataset(3, graphs=60)
    overrides = ["trainer.max_epochs=6", "trainer.learning_rate=0.01", f"fidelity.best_weights={which}"]
    cell = compose_cell([f"model={model}", "pooling=learned", "dataset=digits", *overrides])
    seeds, cpu = [3, 4], torch.device("cpu")
    splits = [StratifiedSplit(0.2, 0.2)(dataset, seed) for seed in seeds]
    build = cell.build(dataset, Classification())
    group = train_group(build, dataset, splits, seeds, Classification(), cell.trainer, 16, cpu, lambda _: None, True)
    for replica in group:
        network = build(1)
        network.load_state_dict(replica.weights or {})
        split = splits[seeds.index(replica.seed)]
        alone = ReplicaGroup(network, dataset, [split], [replica.seed], Classification(), cell.trainer, cpu)
        assert replica.weights_epoch == (replica.best_epoch if which == "paper" else len(replica.history))
        loss, _ = alone.evaluate("test", replica.weights_epoch, 16)
        assert float(loss[0]) == pytest.approx(replica.history[replica.weights_epoch - 1]["test_loss"], abs=1e-5)


def test_what_is_seen_is_what_was_drawn_when_the_test_was_scored() -> None:
    """The matchings are those of the test and of the epoch, not some others."""
    dataset, task = random_dataset(7), Classification()
    cell = compose_cell(["model=graclus", "pooling=uniform", "dataset=digits"])
    network = cell.build(dataset, task)(1)
    initialise(network, [3])
    split = StratifiedSplit(0.2, 0.4)(dataset, 3)
    group = ReplicaGroup(network, dataset, [split], [3], task, cell.trainer, CPU)

    def drawn(epoch: int) -> list[list[int]]:
        """The clusters in each call of a pooling layer."""
        clusters: list[list[int]] = []

        def note(module: PoolingLayer, arguments: tuple, pooled: Pooled) -> None:
            clusters.append(pooled.selection.members.flatten().tolist())

        handles = [m.register_forward_hook(note) for m in network.modules() if isinstance(m, PoolingLayer)]
        group.predict("test", epoch, 5)
        for handle in handles:
            handle.remove()
        return clusters

    for epoch in (1, 2):
        found = look(network, dataset, split.test, seed=3, epoch=epoch, batch_size=5)
        seen = [layer.selection.members.flatten().tolist() for _, layers in found for layer in layers]
        assert seen == drawn(epoch)
    assert drawn(1) != drawn(2)
