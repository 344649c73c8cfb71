"""What an operator of elsewhere does wrong, said in one sentence."""

import os
import sysconfig
import traceback
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor

import rethinking
from rethinking.errors import not_ending
from rethinking.pooling.operators.interface import Assignment, Coarse, Graphs, MatrixAssignment

# Where the program and the libraries lie: what fails in them fails by what it was given.
LIBRARIES = (*map(sysconfig.get_path, ("stdlib", "purelib", "platlib")), *rethinking.__path__)
NOT_OF_USERS = ("<", *(f"{place}{os.sep}" for place in LIBRARIES))


@contextmanager
def in_one_sentence(name: str, graphs: Graphs) -> Iterator[None]:
    """What a library raises becomes a ValueError that says on which graphs; want of memory stays what it is."""
    try:
        with quiet(), not_ending():
            yield
    except (MemoryError, torch.OutOfMemoryError):
        raise
    except Exception as error:
        raise ValueError(f"{name} fails on {described(graphs)}: {in_words(error)}") from error


def in_words(error: Exception) -> str:
    """Its kind and the first line of its text, and where in a file of a user's own it came up, if it did in one."""
    text = ": ".join([type(error).__name__, *str(error).strip().splitlines()[:1]])
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if not frame.filename.startswith(NOT_OF_USERS)]
    return f"{text} ({Path(own[-1].filename).name}, line {own[-1].lineno})" if own else text


@contextmanager
def quiet() -> Iterator[None]:
    """Without torch's notes on sparse tensors, which are for those who wrote the library."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Sparse (invariant|CSR)")
        yield


def described(graphs: Graphs) -> str:
    """The graphs in words: how many, how large, how many without edges."""
    low, high = (int(size) for size in graphs.sizes.aminmax())
    edges = torch.bincount(graphs.batch[graphs.edge_index[0]], minlength=graphs.count)
    words = f"{graphs.count} graph(s) of {low if low == high else f'{low} to {high}'} nodes"
    edgeless = int((edges == 0).sum())
    return f"{words}, {edgeless} without edges" if edgeless else words


def checked(coarse: Coarse, graphs: Graphs, name: str, numbers: bool = True) -> Coarse:
    """The same, if it is what the interface promises. numbers: whether these must be finite, too.

    Raises ValueError, with one sentence that says what was expected, for anything else.
    """
    pooled = coarse.graphs
    _expect(_is(pooled.x, 2, floating=True), name, "the clusters' features as floats [K, F]", pooled.x)
    _expect(pooled.x.dtype == graphs.x.dtype, name, f"features as {graphs.x.dtype}, as those of the nodes,", pooled.x)
    if pooled.x.device != graphs.x.device:
        raise ValueError(f"{name} returns features on {pooled.x.device}, where the nodes' are on {graphs.x.device}.")
    clusters = len(pooled.x)
    _expect(_is(pooled.batch, 1) and len(pooled.batch) == clusters, name,
            f"the graph of each of its {clusters} clusters as int64 [{clusters}]", pooled.batch)  # fmt: skip
    _expect(_is(pooled.edge_index, 2) and len(pooled.edge_index) == 2, name, "edges as int64 [2, E]", pooled.edge_index)
    edges = pooled.edge_index.shape[1]
    if pooled.edge_weight is not None:
        _expect(_is(pooled.edge_weight, 1, floating=True) and len(pooled.edge_weight) == edges, name,
                f"the weight of each of its {edges} edges as floats [{edges}]", pooled.edge_weight)  # fmt: skip
    _graphs_are_kept(pooled.batch, graphs, name)
    if edges:
        low, high = pooled.edge_index.aminmax()
        if low < 0 or high >= clusters:
            raise ValueError(f"{name} returns edges of clusters {int(low)} to {int(high)}, but {clusters} clusters.")
        source, target = pooled.batch[pooled.edge_index]
        if not torch.equal(source, target):
            raise ValueError(f"{name} returns edges between clusters of different graphs.")
    if coarse.assignment is not None:
        _assignment_fits(coarse.assignment, pooled, graphs, name)
    for what, values in _numbers(coarse) if numbers else ():
        if not bool(torch.isfinite(values).all()):
            raise ValueError(f"{name} returns {what} that are not finite, on {described(graphs)}.")
    return coarse


def _graphs_are_kept(batch: Tensor, graphs: Graphs, name: str) -> None:
    if bool((batch.diff() < 0).any()):
        raise ValueError(f"{name} returns clusters that are not in the order of their graphs: batch must ascend.")
    if len(batch) and (batch[0] < 0 or batch[-1] >= graphs.count):
        raise ValueError(
            f"{name} returns clusters of graphs {int(batch[0])} to {int(batch[-1])}, of {graphs.count} it was given."
        )
    lost = int((torch.bincount(batch, minlength=graphs.count) == 0).sum())
    if lost:
        raise ValueError(f"{name} leaves nothing of {lost} of {described(graphs)}: each must keep a cluster.")


def _assignment_fits(assignment: Assignment, pooled: Graphs, graphs: Graphs, name: str) -> None:
    nodes, clusters = len(graphs.x), len(pooled.x)
    if assignment.nodes != nodes or not torch.equal(assignment.batch, pooled.batch):
        raise ValueError(
            f"{name} assigns {assignment.nodes} nodes to {assignment.clusters} clusters, but was given {nodes} nodes "
            f"and returns {clusters} clusters, or the graphs of these differ."
        )
    # A matrix has no entries beyond its clusters, and none between graphs.
    if isinstance(assignment, MatrixAssignment) or not len(assignment.node):
        return
    for found, count in ((assignment.node, nodes), (assignment.cluster, clusters)):
        low, high = found.aminmax()
        if low < 0 or high >= count:
            raise ValueError(f"{name} assigns nodes that were not given, or to clusters that are not returned.")
    if not torch.equal(graphs.batch[assignment.node], assignment.batch[assignment.cluster]):
        raise ValueError(f"{name} assigns nodes of one graph to clusters of another.")


def _numbers(coarse: Coarse) -> Iterator[tuple[str, Tensor]]:
    yield "features", coarse.graphs.x
    if coarse.graphs.edge_weight is not None:
        yield "weights of edges", coarse.graphs.edge_weight
    if coarse.assignment is not None:
        yield "weights of its assignment", coarse.assignment.weight
    for name, loss in coarse.losses.items():
        yield f"values of its loss '{name}'", loss


def _is(value: object, dimensions: int, floating: bool = False) -> bool:
    if not isinstance(value, Tensor) or value.dim() != dimensions:
        return False
    return value.is_floating_point() if floating else value.dtype == torch.int64


def _expect(holds: bool, name: str, expected: str, found: object) -> None:
    if not holds:
        what = f"{found.dtype} {list(found.shape)}" if isinstance(found, Tensor) else type(found).__name__
        raise ValueError(f"{name} returns {what} where {expected} were expected.")
