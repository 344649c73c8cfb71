"""Data sets of PyG's: any `InMemoryDataset`, one's own or one of the library's."""

from collections.abc import Sequence

import numpy as np
import torch
from torch_geometric.data import Batch, Dataset

from rethinking.data.dataset import GraphDataset, build_dataset
from rethinking.errors import UserError


def read_pyg(
    path: None, name: str, datasets: Sequence[Dataset], constant_features: int = 10, one_hot: int | None = None
) -> GraphDataset:
    """The graphs of PyG data sets, one data set after another (such as training, validation and test).

    path: unused. Of each graph `x`, `edge_index` and `y` count: one class (a whole number) or one number a graph;
    features of edges do not. constant_features: the width of constant ones where there is no `x`.
    one_hot: the number of categories, if `x` is one column of whole numbers.
    Raises UserError where `y` is not so, or `x` is not one column of numbers below `one_hot`.
    """
    graphs = [graph for dataset in datasets for graph in dataset]
    if not graphs:
        raise UserError(f"{name}: there are no graphs.")
    for number, graph in enumerate(graphs):
        if graph.get("y") is None or torch.as_tensor(graph.y).numel() != 1:
            raise UserError(f"{name}: graph {number + 1} does not have one target; expected `y` with one number.")
        if not graph.num_nodes:
            raise UserError(f"{name}: graph {number + 1} has no nodes; leave such graphs out.")
    batch = Batch.from_data_list(graphs, exclude_keys=["y"])
    y = np.array([torch.as_tensor(graph.y).item() for graph in graphs])
    edge_index = np.zeros((2, 0), np.int64) if batch.get("edge_index") is None else batch.edge_index.numpy()
    x = np.ones((batch.num_nodes, constant_features), np.float32) if batch.get("x") is None else batch.x.numpy()
    if one_hot is not None:
        x = _one_hot(name, x, one_hot)
    if x.ndim == 1:
        x = x[:, None]
    return build_dataset(name, batch.batch.numpy(), edge_index, x.astype(np.float32), y)


def _one_hot(name: str, x: np.ndarray, categories: int) -> np.ndarray:
    column = x.reshape(len(x), -1)
    if column.shape[1] != 1 or not np.isin(column, np.arange(categories)).all():
        raise UserError(f"{name}: one_hot={categories}, but `x` is not one column of whole numbers below that.")
    return column == np.arange(categories)
