"""Checks that the arrays of a data set fit each other; compiled code that follows them looks at no bounds."""

import numpy as np

from rethinking.data.dataset import GraphDataset


def check_bounds(dataset: GraphDataset) -> None:
    """Raises ValueError, with the reason, if a data set's arrays are not what `GraphDataset` says of them."""
    nodes, graphs = len(dataset.x), len(dataset.node_ptr) - 1
    for name, dtypes, dimensions in (
        *((name, (np.int64,), 1) for name in ("node_ptr", "in_ptr", "in_rows", "out_ptr", "out_rows")),
        ("x", (np.float32,), 2),
        ("y", (np.int64, np.float32), 1),
        ("edge_fields", (np.int64,), 2),
    ):
        array = getattr(dataset, name)
        if name == "edge_fields" and array is None:
            continue
        if array.dtype not in dtypes or array.ndim != dimensions:
            raise ValueError(f"{name} is {array.dtype} with {array.ndim} dimensions")
    _check_pointers("node_ptr", dataset.node_ptr, graphs, nodes)
    if graphs < 1 or np.diff(dataset.node_ptr).min() < 1:
        raise ValueError("a graph has no nodes")
    if len(dataset.y) != graphs or (dataset.y.dtype == np.int64 and dataset.y.min() < 0):
        raise ValueError(f"y has no class or number for each of {graphs} graphs")
    _check_edges("in", dataset.node_ptr, dataset.in_ptr, dataset.in_rows)
    if dataset.directed:
        _check_edges("out", dataset.node_ptr, dataset.out_ptr, dataset.out_rows)
    if (dataset.fields is None) != (dataset.edge_fields is None):
        raise ValueError("only nodes or only edges have categorical fields")
    if dataset.fields is not None and dataset.edge_fields is not None:
        if len(dataset.edge_fields) != len(dataset.in_rows):
            raise ValueError("edge_fields has not a row for each edge")
        for values, sizes in ((dataset.x, dataset.fields.node), (dataset.edge_fields, dataset.fields.edge)):
            fits = values.shape[1] == len(sizes) and np.all(values >= 0) and np.all(values < np.array(sizes))
            if not fits:
                raise ValueError(f"a field is not among {', '.join(map(str, sizes))}")


def _check_edges(name: str, node_ptr: np.ndarray, edge_ptr: np.ndarray, edge_rows: np.ndarray) -> None:
    """Raises ValueError if an edge leaves its graph."""
    _check_pointers(f"{name}_ptr", edge_ptr, node_ptr[-1], len(edge_rows))
    # The first and last edge of each graph that has some.
    first, last = edge_ptr[node_ptr[:-1]], edge_ptr[node_ptr[1:]]
    some = last > first
    if not some.any():
        return
    lowest = np.minimum.reduceat(edge_rows, first[some])
    highest = np.maximum.reduceat(edge_rows, first[some])
    if np.any(lowest < node_ptr[:-1][some]) or np.any(highest >= node_ptr[1:][some]):
        raise ValueError(f"an edge of {name}_rows leaves its graph")


def _check_pointers(name: str, ptr: np.ndarray, rows: int, end: int) -> None:
    if len(ptr) != rows + 1 or ptr[0] != 0 or ptr[-1] != end or np.any(np.diff(ptr) < 0):
        raise ValueError(f"{name} does not divide {end} into {rows} parts")
