"""Small batches of graphs, and the operators of conf/pooler."""

from collections.abc import Iterator
from typing import Any

import pytest
import torch
import yaml
from hydra.utils import instantiate
from torch import Tensor

from rethinking import paths
from rethinking.pooling.operators import anything
from rethinking.pooling.operators.interface import Assignment, Coarse, Graphs, Operator
from rethinking.pooling.operators.sentences import checked
from rethinking.pooling.operators.tgp import poolers

FEATURES = 4
SIZES = {"in_features": FEATURES, "clusters": 3, "ratio": 0.5, "max_nodes": 12}
FILES = sorted((paths.CONF / "pooler").glob("*/*.yaml"))
# Of libraries: those of a publication's code (src) and the harness' own parts have laws of their own, and two need
# packages that are not here.
ELSEWHERE = ("src/", "native/", "tgp/graclus", "tgp/pan")
NAMES = [name for file in FILES if not (name := f"{file.parent.name}/{file.stem}").startswith(ELSEWHERE)]


def config(name: str) -> dict[str, Any]:
    """The file of an operator."""
    return yaml.safe_load((paths.CONF / "pooler" / f"{name}.yaml").read_text())


def operator(name: str) -> Operator:
    """The operator as the harness makes it, always with the same weights."""
    if name.startswith("tgp/"):
        needs_tgp()
    torch.manual_seed(3)
    return instantiate(config(name)["operator"])(**SIZES)


def pooled(path: str, graphs: Graphs, **arguments: object) -> tuple[Operator, Coarse]:
    """The pooler at an import path, always with the same weights, and what it makes of graphs."""
    torch.manual_seed(3)
    pool = anything.operator(**SIZES, path=path, arguments=arguments)
    return pool, checked(pool(graphs), graphs, path)


def needs_tgp() -> None:
    """Skip, with the command to type, where torch-geometric-pool is not installed."""
    try:
        poolers()
    except ValueError as error:
        pytest.skip(str(error))


def batch(sizes: list[int], seed: int = 0, density: float = 0.5, weighted: bool = False) -> Graphs:
    """Random graphs of these sizes, undirected, each in one piece unless density is 0."""
    generator = torch.Generator().manual_seed(seed)
    pairs, first = [], 0
    for size in sizes:
        adjacency = torch.triu(torch.rand(size, size, generator=generator) < density, 1)
        if density and size > 1:
            path = torch.arange(size - 1)
            adjacency[path, path + 1] = True
        pairs.append((adjacency | adjacency.t()).nonzero().t() + first)
        first += size
    edges = torch.cat(pairs, 1)
    # The same weight for both directions of an edge.
    weight = (1 + (edges.sum(0) + edges.prod(0)) % 7).to(torch.get_default_dtype()) if weighted else None
    graph = torch.arange(len(sizes)).repeat_interleave(torch.tensor(sizes))
    return Graphs(torch.randn(first, FEATURES, generator=generator), edges, weight, graph, len(sizes))


def one_of(graphs: Graphs, graph: int) -> Graphs:
    """One graph of a batch."""
    nodes = graphs.batch == graph
    edges = nodes[graphs.edge_index[0]]
    first = int(nodes.nonzero()[0])
    weight = None if graphs.edge_weight is None else graphs.edge_weight[edges]
    return Graphs(graphs.x[nodes], graphs.edge_index[:, edges] - first, weight, graphs.batch[nodes] * 0, 1)


def together(parts: list[Graphs]) -> Graphs:
    """A batch of single graphs."""
    sizes = torch.tensor([len(part.x) for part in parts])
    first = (sizes.cumsum(0) - sizes).tolist()
    weights = [part.edge_weight for part in parts if part.edge_weight is not None]
    return Graphs(
        torch.cat([part.x for part in parts]),
        torch.cat([part.edge_index + start for part, start in zip(parts, first, strict=True)], 1),
        torch.cat(weights) if weights else None,
        torch.arange(len(parts)).repeat_interleave(sizes),
        len(parts),
    )


def assigned_together(parts: list[Assignment]) -> Assignment:
    """The assignment of a batch of single graphs."""
    nodes, clusters = torch.tensor([[part.nodes, part.clusters] for part in parts]).t()
    node, cluster = (nodes.cumsum(0) - nodes).tolist(), (clusters.cumsum(0) - clusters).tolist()
    return Assignment(
        torch.cat([part.node + first for part, first in zip(parts, node, strict=True)]),
        torch.cat([part.cluster + first for part, first in zip(parts, cluster, strict=True)]),
        torch.cat([part.weight for part in parts]),
        torch.arange(len(parts)).repeat_interleave(clusters),
        int(nodes.sum()),
    )


def matrix(graphs: Graphs) -> Tensor:
    """The adjacency matrix of all graphs, [N, N]."""
    edges = tuple(graphs.edge_index)
    return graphs.x.new_zeros(len(graphs.x), len(graphs.x)).index_put(edges, graphs.weights.to(graphs.x), True)


def assert_same(one: Coarse, other: Coarse) -> None:
    """The same graphs of clusters, up to rounding: libraries compute in single precision."""
    assert torch.equal(one.graphs.batch, other.graphs.batch)
    assert (one.graphs.edge_weight is None) == (other.graphs.edge_weight is None)
    torch.testing.assert_close(one.graphs.x, other.graphs.x, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(matrix(one.graphs), matrix(other.graphs), atol=1e-4, rtol=1e-4)
    if one.assignment is not None and other.assignment is not None:
        torch.testing.assert_close(one.assignment.dense(), other.assignment.dense(), atol=1e-5, rtol=1e-4)


def shuffled(assignment: Assignment, graphs: Graphs) -> Assignment:
    """The clusters with the nodes of each graph permuted."""
    generator = torch.Generator().manual_seed(5)
    by_graph = (graphs.batch + torch.rand(len(graphs.x), generator=generator)).argsort()
    return assignment.permuted(by_graph)


@pytest.fixture
def graphs() -> Iterator[Graphs]:
    return batch([9, 7, 12, 8])
