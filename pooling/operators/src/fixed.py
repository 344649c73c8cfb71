"""Clusters that hang on the edges alone, and are found once for each graph: NMF, NDP and Graclus."""

import math
from dataclasses import dataclass
from hashlib import blake2b

import numpy as np
import torch
from numpy.linalg import LinAlgError
from scipy.sparse import csr_array
from torch import Tensor

from rethinking.pooling.operators.interface import Assignment, Graphs, MatrixAssignment
from rethinking.pooling.operators.src.factors import nonnegative_factors
from rethinking.pooling.operators.src.graphwise import GraphwiseOperator, PooledGraph, kept_only, listed


@dataclass(frozen=True, eq=False)
class Found:
    """assignment: the clusters. adjacency: between them, [k, k]."""

    assignment: Assignment
    adjacency: Tensor


class FixedOperator(GraphwiseOperator):
    """The base of the three: X' = SᵀX, with clusters and their edges kept for the graphs that were seen.

    What is random about them follows from the graph and from a number that torch's generator gives when the operator is
    made: neither from when a graph is met, nor from what was met before it.
    """

    sees_features = False

    def __init__(self) -> None:
        super().__init__()
        # A buffer, so that each replica has its own, as it has its own weights (`layers/copies.py`).
        self.seed: Tensor
        self.register_buffer("seed", torch.randint(2**62, ()))
        self._found: dict[bytes, Found] = {}

    def pool(self, graph: Graphs, given: Assignment | None) -> PooledGraph:
        """See `GraphwiseOperator`."""
        found = self._look_up(graph) if given is None else Found(given, self.connect(_matrix(graph), given))
        x = found.assignment.reduce(graph.x)
        return PooledGraph(x, found.assignment, lambda: listed(found.adjacency.to(x)))

    def select(self, graph: Graphs, adjacency: np.ndarray, rng: np.random.Generator) -> Assignment:
        """The clusters of one graph. adjacency: [n, n]."""
        raise NotImplementedError

    def connect(self, adjacency: np.ndarray, assignment: Assignment) -> Tensor:
        """The edges between clusters. adjacency: [n, n]. Returns [k, k]; rows of both are where edges lead to."""
        raise NotImplementedError

    def find(self, graph: Graphs, rng: np.random.Generator) -> Found:
        """Clusters and their edges."""
        adjacency = _matrix(graph)
        assignment = self.select(graph, adjacency, rng)
        return Found(assignment, self.connect(adjacency, assignment))

    def _look_up(self, graph: Graphs) -> Found:
        parts = (self.seed, torch.tensor(len(graph.x)), graph.edge_index, graph.weights.detach().double())
        digest = blake2b(b"".join(part.cpu().numpy().tobytes() for part in parts)).digest()
        if digest not in self._found:
            self._found[digest] = self.find(graph, np.random.default_rng(list(digest)))
        return self._found[digest]


class NMF(FixedOperator):
    """Â ≈ WH without negative entries, S = Hᵀ with ⌈ratio · n⌉ clusters, A' = SᵀÂS (Bacciu and Di Sotto 2019).

    Â = D^−½ (A + I) D^−½, so the pooled graph is that of Â and not of A. iterations: at most, of `nonnegative_factors`.
    """

    def __init__(self, in_features: int, clusters: int, ratio: float, max_nodes: int, iterations: int) -> None:
        super().__init__()
        self.ratio, self.iterations = ratio, iterations

    def select(self, graph: Graphs, adjacency: np.ndarray, rng: np.random.Generator) -> Assignment:
        """See `FixedOperator`."""
        _, h = nonnegative_factors(
            csr_array(_filter(adjacency)),
            math.ceil(self.ratio * len(adjacency)),
            self.iterations,
            np.random.RandomState(int(rng.integers(2**31))),
        )
        return MatrixAssignment(torch.from_numpy(h.T.copy()).to(graph.x))

    def connect(self, adjacency: np.ndarray, assignment: Assignment) -> Tensor:
        """See `FixedOperator`."""
        s = assignment.dense().detach().double()
        return s.T @ torch.from_numpy(_filter(adjacency)) @ s


class NDP(FixedOperator):
    """One side of a cut across as many edges as can be is kept, X' = X[kept] (Bianchi et al. 2019).

    The side is that of the eigenvector of the normalised Laplacian with the largest eigenvalue where it is not
    negative; where the cut has less than `least_cut` of the edges, a random one. A' is the Kron reduction of the
    Laplacian, without entries of at most `dropped` in size. damping: is added to the diagonal of what is inverted if
    that is singular.
    """

    def __init__(
        self,
        in_features: int,
        clusters: int,
        ratio: float,
        max_nodes: int,
        least_cut: float,
        dropped: float,
        damping: float,
    ) -> None:
        super().__init__()
        self.least_cut, self.dropped, self.damping = least_cut, dropped, damping

    def select(self, graph: Graphs, adjacency: np.ndarray, rng: np.random.Generator) -> Assignment:
        """See `FixedOperator`. Where one side has a node or none, the first node alone is kept, as in the code.

        Raises ValueError for directed graphs, of whose Laplacian it needs the eigenvectors.
        """
        self._expect_undirected(adjacency)
        side = np.ones(len(adjacency)) if len(adjacency) == 1 else _last_eigenvector(adjacency, rng)
        if len(adjacency) > 1 and _cut(adjacency, side >= 0) < self.least_cut:
            side = rng.choice([-1.0, 1.0], len(adjacency))
        kept = np.flatnonzero(side >= 0)
        node = torch.from_numpy(kept if len(kept) > 1 else np.zeros(1, np.int64)).to(graph.batch)
        return kept_only(graph, node, graph.x.new_ones(len(node)))

    def connect(self, adjacency: np.ndarray, assignment: Assignment) -> Tensor:
        """See `FixedOperator`. Raises ValueError for directed graphs, whose Laplacian is not symmetric."""
        self._expect_undirected(adjacency)
        laplacian = np.diag(adjacency.sum(axis=1)) - adjacency
        kept = assignment.node[assignment.cluster.argsort()].cpu().numpy()
        dropped = np.setdiff1d(np.arange(len(adjacency)), kept)
        between = laplacian[np.ix_(dropped, kept)]
        reduced = laplacian[np.ix_(kept, kept)] - between.T @ self._solved(laplacian[np.ix_(dropped, dropped)], between)
        coarse = -(reduced + reduced.T) / 2
        np.fill_diagonal(coarse, 0)
        return torch.from_numpy(np.where(np.abs(coarse) > self.dropped, coarse, 0))

    def _expect_undirected(self, adjacency: np.ndarray) -> None:
        if not np.allclose(adjacency, adjacency.T):
            raise ValueError("NDP pools undirected graphs, and this one has an edge without its opposite.")

    def _solved(self, inner: np.ndarray, between: np.ndarray) -> np.ndarray:
        from scipy.linalg import cho_factor, cho_solve

        if not len(inner):
            return between
        try:
            return cho_solve(cho_factor(inner), between)
        except LinAlgError:
            return cho_solve(cho_factor(inner + self.damping * np.eye(len(inner))), between)


class Graclus(FixedOperator):
    """Pairs of neighbours by w_ij(1/d_i + 1/d_j), greedily in random order; one of them is kept (Dhillon et al. 2007).

    X' has the *second* node of each pair in the order they are numbered, and zeros for a node without a partner, as the
    released code pairs it with a node that is added, and keeps that. So a cluster's features are those of one node or
    none. A' has the sums of weights between pairs, loops for those within, normalised as D^−½ A' D^−½.
    The code also adds pairs of such nodes for a second level that is not used; here there are none.
    """

    # Which node a kept one was paired with cannot be seen from the assignment.
    says_assignment = False

    def __init__(self, in_features: int, clusters: int, ratio: float, max_nodes: int) -> None:
        super().__init__()

    def find(self, graph: Graphs, rng: np.random.Generator) -> Found:
        """See `FixedOperator`."""
        adjacency = _matrix(graph)
        cluster = _matched(adjacency, rng)
        count = int(cluster.max()) + 1
        s = np.zeros((len(cluster), count))
        s[np.arange(len(cluster)), cluster] = 1
        # A node without edges has a loop, so that its degree is not zero.
        adjacency = adjacency + np.diag(adjacency.sum(axis=1) == 0)
        coarse = s.T @ adjacency @ s
        scale = 1 / np.sqrt(coarse.sum(axis=1))
        paired = np.flatnonzero(np.bincount(cluster) == 2)
        second = np.array([np.flatnonzero(cluster == pair)[1] for pair in paired], dtype=np.int64)
        node = torch.from_numpy(second).to(graph.batch)
        batch = torch.zeros(count).to(graph.batch)
        assignment = Assignment(
            node, torch.from_numpy(paired).to(graph.batch), graph.x.new_ones(len(node)), batch, len(cluster)
        )
        return Found(assignment, torch.from_numpy(scale[:, None] * coarse * scale))

    def connect(self, adjacency: np.ndarray, assignment: Assignment) -> Tensor:
        """Raises ValueError: see the class."""
        raise ValueError("Graclus that keeps one node of a pair takes no clusters of others")


def _matched(adjacency: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The cluster of each node, numbered in the order of visits. Returns int64 [n]."""
    degree = adjacency.sum(axis=1) - adjacency.diagonal()
    cluster = np.full(len(adjacency), -1)
    count = 0
    for node in rng.permutation(len(adjacency)):
        if cluster[node] >= 0:
            continue
        cluster[node] = count
        free = np.flatnonzero((adjacency[node] > 0) & (cluster < 0))
        if len(free):
            with np.errstate(divide="ignore"):  # A node that no edge leads to scores infinitely.
                score = adjacency[node, free] * (1 / degree[node] + 1 / degree[free])
            cluster[free[score.argmax()]] = count
        count += 1
    return cluster


def _last_eigenvector(adjacency: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Of D^−½ L D^−½, as ARPACK finds it from a vector of ones; random signs where it finds none.

    rng: of a regular graph the ones are an eigenvector themselves, and ARPACK goes on from a random one.
    """
    from scipy.sparse import csr_matrix
    from scipy.sparse.linalg import ArpackError, eigsh

    degree = adjacency.sum(axis=1)
    scale = np.where(degree > 0, 1 / np.sqrt(np.where(degree > 0, degree, 1)), 0)
    normalised = csr_matrix(np.eye(len(adjacency)) - scale[:, None] * adjacency * scale)
    try:
        return eigsh(normalised, k=1, which="LM", v0=np.ones(len(adjacency)), rng=rng)[1][:, 0]
    except (ArpackError, TypeError):  # The latter says that there are too few nodes.
        return rng.choice([-1.0, 1.0], len(adjacency))


def _cut(adjacency: np.ndarray, side: np.ndarray) -> float:
    """The share of the weight of edges that is between the two sides, zᵀLz / 2ΣA; 0 for a graph without edges."""
    total = adjacency.sum()
    return float(2 * adjacency[np.ix_(side, ~side)].sum() / total) if total else 0.0


def _filter(adjacency: np.ndarray) -> np.ndarray:
    """Â = D^−½ (A + I) D^−½, D the degrees with the loops."""
    looped = adjacency + np.eye(len(adjacency))
    scale = 1 / np.sqrt(looped.sum(axis=1))
    return scale[:, None] * looped * scale


def _matrix(graph: Graphs) -> np.ndarray:
    """A of one graph, with a row for the node an edge leads to, as `listed` takes it. Returns float64 [n, n]."""
    nodes = len(graph.x)
    zeros = torch.zeros(nodes, nodes, dtype=torch.double)
    weights = graph.weights.detach().cpu().double()
    return zeros.index_put(tuple(graph.edge_index.flip(0).cpu()), weights, accumulate=True).numpy()
