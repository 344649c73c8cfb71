"""Pairs of graphs that the Weisfeiler-Leman test tells apart, and of which nothing simpler does.

Made in the manner of EXPWL1 (Bianchi and Lachi 2023), and not that data set: the class of a graph is one that networks
as powerful as the test can learn if pooling keeps what they know of every node.
"""

import numpy as np

from rethinking.data.dataset import GraphDataset, build_dataset

# Two trees of four nodes, with the same degrees when they are joined to a node by their first: on a stem, or with one.
FORK = ((0, 1), (1, 2), (1, 3))
HOOK = ((0, 1), (0, 2), (2, 3))


def read_wl_pairs(
    path: None, name: str, pairs: int, backbone: tuple[int, int], trees: tuple[int, int], margin: int, seed: int
) -> GraphDataset:
    """Graphs 2i and 2i + 1 are a pair, of classes 0 and 1; every node has the feature 1.

    A graph is a random tree, its backbone, to whose nodes forks and hooks are joined: in class 1 there are `margin`
    more forks than hooks, in class 0 the other way round. The two of a pair differ in that each fork of one is a hook
    of the other. So they have as many nodes and the same histogram of degrees, and the test tells them apart in the
    second round, which is verified. Nodes are numbered at random.
    path: unused, nothing is read. backbone: the fewest and the most nodes. trees: the fewest and the most of the rarer
    kind.
    """
    rng = np.random.default_rng(seed)
    sizes, edges, first = [], [], 0
    for _ in range(pairs):
        stem = _random_tree(rng, int(rng.integers(backbone[0], backbone[1] + 1)))
        rarer = int(rng.integers(trees[0], trees[1] + 1))
        is_fork = rng.permutation(np.repeat([True, False], [rarer, rarer + margin]))
        joined_to = rng.integers(0, len(stem) + 1, len(is_fork))
        both = [_joined(stem, joined_to, forks) for forks in (is_fork, ~is_fork)]
        nodes = len(stem) + 1 + 4 * len(is_fork)
        if told_apart(nodes, both[0], nodes, both[1]) != 2:
            raise ValueError(f"margin={margin} gives pairs that are not told apart; expected a number above 0")
        for graph in both:
            edges.append(first + rng.permutation(nodes)[graph])
            sizes.append(nodes)
            first += nodes
    one_way = np.concatenate(edges, axis=1)
    edge_index = np.concatenate([one_way, one_way[::-1]], axis=1)
    graph_of_node = np.repeat(np.arange(2 * pairs), sizes)
    x = np.ones((first, 1), np.float32)
    return build_dataset(name, graph_of_node, edge_index, x, np.arange(2 * pairs) % 2)


def told_apart(nodes: int, edges: np.ndarray, other_nodes: int, other_edges: np.ndarray) -> int | None:
    """The first round of the test in which two graphs have different histograms of colours; None if there is none.

    nodes, edges: of a graph, [2, E], one direction of each edge is enough. In round 0 all nodes have the same colour,
    after round 1 that of their degree.
    """
    joined = np.concatenate([edges, nodes + other_edges], axis=1)
    neighbours: list[list[int]] = [[] for _ in range(nodes + other_nodes)]
    for one, other in np.unique(np.sort(joined, axis=0), axis=1).T.tolist():
        neighbours[one].append(other)
        neighbours[other].append(one)
    colours = [0] * len(neighbours)
    for number in range(len(neighbours) + 1):
        if sorted(colours[:nodes]) != sorted(colours[nodes:]):
            return number
        # A node's next colour is told by its own and those of its neighbours, and numbered by the first that has it.
        seen: dict[tuple[int, tuple[int, ...]], int] = {}
        finer = [
            seen.setdefault((colour, tuple(sorted(colours[other] for other in others))), len(seen))
            for colour, others in zip(colours, neighbours, strict=True)
        ]
        if len(seen) == len(set(colours)):
            return None
        colours = finer
    return None


def _random_tree(rng: np.random.Generator, nodes: int) -> np.ndarray:
    """Each node is joined to one before it. Returns [nodes − 1, 2]."""
    return np.array([[node, rng.integers(0, node)] for node in range(1, nodes)]).reshape(-1, 2)


def _joined(stem: np.ndarray, joined_to: np.ndarray, is_fork: np.ndarray) -> np.ndarray:
    """The edges of the backbone and of the trees joined to it. Returns [2, E]."""
    edges = list(stem)
    for number, (place, fork) in enumerate(zip(joined_to, is_fork, strict=True)):
        root = len(stem) + 1 + 4 * number
        edges.append(np.array([place, root]))
        edges.extend(root + np.array(edge) for edge in (FORK if fork else HOOK))
    return np.stack(edges, axis=1)
