"""The control data sets are what they say: what one convolution sees is alike in both classes, or is not."""

import numpy as np
import pytest

from rethinking.configuration.composition import dataset_config
from rethinking.data.control import BLUE, INNER, RED, read_control
from rethinking.data.dataset import GraphDataset


def kinds_and_partners(dataset: GraphDataset) -> tuple[np.ndarray, np.ndarray]:
    """What each node is, and the colours at both ends of the path of each inner node."""
    kind = dataset.x.argmax(axis=1)
    source, target = dataset.edge_index
    end = np.zeros(len(kind), int)
    from_end = kind[source] != INNER
    end[target[from_end]] = kind[source[from_end]]
    inner = (kind[source] == INNER) & (kind[target] == INNER)
    return kind, np.stack([end[source[inner]], end[target[inner]]])


@pytest.mark.parametrize("joint", [True, False])
def test_every_graph_is_made_of_paths(joint: bool) -> None:
    dataset = read_control(None, "control", graphs=20, paths=8, joint=joint, seed=0)
    kind, _ = kinds_and_partners(dataset)
    degree = np.diff(dataset.in_ptr)
    assert not dataset.directed and (dataset.sizes == 32).all() and np.bincount(dataset.y).tolist() == [10, 10]
    assert (degree == np.where(kind == INNER, 2, 1)).all()
    assert (kind == INNER).sum() == 20 * 16


def test_in_the_positive_control_only_the_two_ends_of_a_path_tell() -> None:
    dataset = read_control(None, "control", graphs=20, paths=8, joint=True, seed=0)
    kind, ends = kinds_and_partners(dataset)
    graph = np.repeat(np.arange(20), dataset.sizes)
    # As many of each colour in every graph, so a node and its neighbours look alike in both classes.
    for colour in (RED, BLUE):
        assert (np.bincount(graph[kind == colour], minlength=20) == 8).all()
    source, target = dataset.edge_index
    of_pair = graph[source[(kind[source] == INNER) & (kind[target] == INNER)]]
    assert np.array_equal(ends[0] == ends[1], dataset.y[of_pair] == 1)


def test_in_the_negative_control_the_colours_tell() -> None:
    dataset = read_control(None, "control", graphs=20, paths=8, joint=False, seed=0)
    kind, _ = kinds_and_partners(dataset)
    red = np.bincount(np.repeat(np.arange(20), dataset.sizes)[kind == RED], minlength=20)
    assert np.array_equal(red, np.where(dataset.y == 1, 10, 6))


@pytest.mark.parametrize("name", ["control_local", "control_composition"])
def test_the_content_is_the_one_in_the_configuration(name: str) -> None:
    config = dataset_config(name)
    arguments = {key: value for key, value in config.read.items() if key != "_target_"}
    assert read_control(None, name, **arguments).fingerprint == config.fingerprint


def test_paths_that_cannot_be_halved_and_halved_again() -> None:
    with pytest.raises(ValueError, match="multiple of 4"):
        read_control(None, "control", graphs=2, paths=6, joint=True, seed=0)
