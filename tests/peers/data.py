"""Our data sets as PyG's graphs, and PyG's edges as our topology."""

import numpy as np
import torch
from torch_geometric.data import Data

from rethinking.data.dataset import GraphDataset
from rethinking.graphs.topology import Topology


def topology_of(edge_index: np.ndarray, sizes: np.ndarray, nodes: int) -> Topology:
    """One replica's topology from PyG's arrays. edge_index: int64 [2, E]. sizes: int64 [B]."""
    compressed = []
    for row, column in (edge_index[::-1], edge_index):
        order = np.argsort(row, kind="stable")
        ptr = np.concatenate([[0], np.cumsum(np.bincount(row, minlength=nodes))])
        compressed += [ptr.astype(np.int64), np.ascontiguousarray(column[order])]
    start = np.cumsum(sizes) - sizes
    return Topology(1, nodes, start, sizes, *compressed)


def to_pyg(dataset: GraphDataset) -> list[Data]:
    """The graphs of a data set as PyG objects."""
    graphs = []
    for graph in range(len(dataset)):
        first, last = dataset.node_ptr[graph], dataset.node_ptr[graph + 1]
        edges = slice(dataset.in_ptr[first], dataset.in_ptr[last])
        target = np.repeat(np.arange(first, last), np.diff(dataset.in_ptr[first : last + 1]))
        edge_index = torch.from_numpy(np.stack([dataset.in_rows[edges], target]) - first)
        x = torch.from_numpy(np.array(dataset.x[first:last]))
        graphs.append(Data(x=x, edge_index=edge_index, y=torch.tensor([int(dataset.y[graph])])))
    return graphs
