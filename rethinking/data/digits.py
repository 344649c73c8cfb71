"""The bundled data set: graphs of the 1,797 handwritten digits that scikit-learn ships.

Made in the manner of SMNIST (Dwivedi et al. 2020), with a pixel in place of a superpixel, so that
the whole pipeline can be tried without a download.
"""

import numpy as np

from rethinking.data.dataset import GraphDataset, build_dataset
from rethinking.data.neighbours import neighbour_edges

FULL_INK = 16  # The intensity of a black pixel in scikit-learn's copy.


def read_digits(path: None, name: str, neighbours: int) -> GraphDataset:
    """A node for each pixel with ink; features: intensity, row and column, each in [0, 1].

    Directed edges lead from each node to its `neighbours` nearest nodes. path: unused, nothing is read.
    """
    # Late: importing it takes longer than reading any processed data set.
    from sklearn.datasets import load_digits

    digits = load_digits()
    graph_of_node, row, column = np.nonzero(digits.images)
    intensity = digits.images[graph_of_node, row, column] / FULL_INK
    centre = np.stack([row, column], axis=1) / digits.images.shape[1]
    sizes = np.bincount(graph_of_node)
    edge_index = neighbour_edges(sizes, centre, neighbours, name)
    x = np.column_stack([intensity, centre]).astype(np.float32)
    return build_dataset(name, graph_of_node, edge_index, x, digits.target)
