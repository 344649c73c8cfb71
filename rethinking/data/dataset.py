"""A data set in memory: all graphs as flat arrays, and what can be measured of them."""

import hashlib
from dataclasses import dataclass, fields
from functools import cached_property

import numpy as np

from rethinking.errors import UserError
from rethinking.graphs.fields import Fields


@dataclass(frozen=True)
class GraphDataset:
    """All graphs of a data set, one after another.

    name: the data set's key in `conf/dataset`.
    node_ptr: int64 [G+1]; the nodes of graph g are `node_ptr[g] … node_ptr[g+1]−1`.
    in_ptr, in_rows: int64 [nodes+1], [edges]; node i receives from `in_rows[in_ptr[i]:in_ptr[i+1]]`.
    out_ptr, out_rows: the transpose; the same objects as `in_*` if every edge has its reverse.
    x: float32 [nodes, F], node features. y: int64 [G], class of each graph, or float32 [G], a number to predict.
    edge_fields: int64 [edges, fields], beside `in_rows`. fields: given if features are categorical, as of molecules.
    """

    name: str
    node_ptr: np.ndarray
    in_ptr: np.ndarray
    in_rows: np.ndarray
    out_ptr: np.ndarray
    out_rows: np.ndarray
    x: np.ndarray
    y: np.ndarray
    edge_fields: np.ndarray | None = None
    fields: Fields | None = None

    def __len__(self) -> int:
        return len(self.node_ptr) - 1

    @property
    def directed(self) -> bool:
        """Whether some edge has no reverse."""
        return self.in_rows is not self.out_rows

    @property
    def in_features(self) -> int:
        """The width of a node's features."""
        return self.x.shape[1]

    @property
    def classes(self) -> int:
        """The number of classes; 0 where the target is a number."""
        return int(self.y.max()) + 1 if np.issubdtype(self.y.dtype, np.integer) else 0

    @cached_property
    def sizes(self) -> np.ndarray:
        """The number of nodes of each graph. Returns int64 [G]."""
        return np.diff(self.node_ptr)

    @cached_property
    def kinds(self) -> np.ndarray | None:
        """The column of the one in each node's features, int64 [nodes]; None unless every row is one-hot."""
        one_hot = ((self.x == 1).sum(axis=1) == 1) & ((self.x != 0).sum(axis=1) == 1)
        return self.x.argmax(axis=1) if one_hot.all() else None

    @cached_property
    def edge_index(self) -> np.ndarray:
        """All edges in PyG's form, (source, target). Returns int64 [2, edges]."""
        return np.stack([self.in_rows, np.repeat(np.arange(len(self.x)), np.diff(self.in_ptr))])

    @cached_property
    def fingerprint(self) -> str:
        """A hash of the content, whatever files it came from; part of every run's identity."""
        digest = hashlib.sha256()
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, np.ndarray):
                digest.update(f"{field.name}{value.dtype}{value.shape}".encode())
                digest.update(np.ascontiguousarray(value).data)
        return digest.hexdigest()[:16]

    def statistics(self) -> dict[str, float]:
        """The columns of Table S1. Undirected edges count once, directed ones each."""
        edges = len(self.in_rows) / (1 if self.directed else 2)
        return {
            "graphs": len(self),
            "classes": self.classes,
            "features": self.in_features,
            "nodes": len(self.x) / len(self),
            "edges": edges / len(self),
        }

    def without_edges(self) -> int:
        """How many graphs have no edges."""
        return int(np.count_nonzero(self.in_ptr[self.node_ptr[1:]] == self.in_ptr[self.node_ptr[:-1]]))


def build_dataset(
    name: str,
    graph_of_node: np.ndarray,
    edge_index: np.ndarray,
    x: np.ndarray,
    y: np.ndarray,
    edge_fields: np.ndarray | None = None,
    fields: Fields | None = None,
) -> GraphDataset:
    """Flat arrays from an edge list. Self-loops and repeated edges are dropped, as PyG does for TU data.

    graph_of_node: int64 [nodes], ascending. edge_index: whole numbers [2, edges], (source, target).
    x: float32 [nodes, F]. y: [G], whole numbers for classes.
    edge_fields: int64 [edges, fields]; of repeated edges the first counts.
    Raises UserError when an edge leaves its graph, a graph has no nodes, a class is negative or a feature is not a
    number. Graphs without edges are fine.
    """
    nodes = len(graph_of_node)
    if nodes == 0 or len(x) != nodes:
        raise UserError(f"{name}: {nodes} nodes but {len(x)} rows of features; expected as many, and not none.")
    if np.any(np.diff(graph_of_node) < 0):
        raise UserError(f"{name}: the nodes of a graph do not lie together; expected an ascending indicator.")
    sizes = np.bincount(graph_of_node, minlength=len(y))
    if len(sizes) > len(y):
        raise UserError(f"{name}: the nodes are of {len(sizes)} graphs but there are {len(y)} graph labels.")
    if sizes.min() == 0:
        empty = np.flatnonzero(sizes == 0)
        raise UserError(
            f"{name}: graph {empty[0] + 1} has no nodes ({len(empty)} of {len(y)} graphs); leave such graphs out."
        )
    if edge_index.size and (edge_index.min() < 0 or edge_index.max() >= nodes):
        wrong = edge_index.max() if edge_index.max() >= nodes else edge_index.min()
        raise UserError(f"{name}: an edge names node {wrong + 1} of {nodes}.")
    if np.any(graph_of_node[edge_index[0]] != graph_of_node[edge_index[1]]):
        raise UserError(f"{name}: an edge joins nodes of different graphs.")
    for values, what in ((x, "node features"), (y, "targets")):
        if not np.isfinite(values).all():
            raise UserError(f"{name}: some {what} are not finite numbers; correct or leave out those graphs.")
    if np.issubdtype(y.dtype, np.integer) and y.min() < 0:
        raise UserError(f"{name}: a graph has the class {y.min()}; expected 0, 1, … up to the number of classes.")
    _check_fields(name, x, edge_index, edge_fields, fields)
    proper = edge_index[0] != edge_index[1]
    if not proper.all():
        edge_index = edge_index[:, proper]
        edge_fields = None if edge_fields is None else edge_fields[proper]
    # One number an edge, row · nodes + column, to be sorted; in place, as large data sets have many.
    edge = edge_index[1].astype(np.int64)
    edge *= nodes
    edge += edge_index[0]
    if edge_fields is None:
        edge.sort()
        repeated = edge[1:] == edge[:-1]
        if repeated.any():
            edge = np.delete(edge, np.flatnonzero(repeated))
    else:
        edge, first = np.unique(edge, return_index=True)
        edge_fields = np.ascontiguousarray(edge_fields[first], dtype=np.int64)
    transposed = (edge % nodes) * nodes + edge // nodes
    transposed.sort()
    in_ptr, in_rows = _compress(edge, nodes)
    out_ptr, out_rows = in_ptr, in_rows
    if not np.array_equal(edge, transposed):
        out_ptr, out_rows = _compress(transposed, nodes)
    return GraphDataset(
        name=name,
        node_ptr=np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64),
        in_ptr=in_ptr,
        in_rows=in_rows,
        out_ptr=out_ptr,
        out_rows=out_rows,
        x=np.ascontiguousarray(x, dtype=np.float32),
        y=y.astype(np.int64 if np.issubdtype(y.dtype, np.integer) else np.float32),
        edge_fields=edge_fields,
        fields=fields,
    )


def _check_fields(
    name: str, x: np.ndarray, edge_index: np.ndarray, edge_fields: np.ndarray | None, fields: Fields | None
) -> None:
    """Raises UserError if categorical features are not what `fields` says."""
    if fields is None:
        return
    if edge_fields is None or len(edge_fields) != edge_index.shape[1]:
        raise UserError(f"{name}: categorical features need a row of fields for each of {edge_index.shape[1]} edges.")
    for values, sizes, what in ((x, fields.node, "node"), (edge_fields, fields.edge, "edge")):
        whole = values.shape[1] == len(sizes) and np.all(values == np.floor(values))
        if not whole or np.any(values < 0) or np.any(values >= np.array(sizes)):
            raise UserError(f"{name}: the fields of a {what} are not whole numbers below {', '.join(map(str, sizes))}.")


def _compress(edge: np.ndarray, nodes: int) -> tuple[np.ndarray, np.ndarray]:
    """Compressed rows from sorted numbers row · nodes + column."""
    ptr = np.searchsorted(edge, np.arange(nodes + 1) * nodes)
    return ptr.astype(np.int64), (edge % nodes).astype(np.int64)
