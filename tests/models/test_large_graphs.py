"""Large graphs fit: DiffPool with two pooling layers on graphs as large as DD's."""

import subprocess
import sys

import pytest

from tests.conftest import ROOT

STEP = """
import resource, sys
import numpy as np, torch
from rethinking.configuration.composition import compose_cell
from rethinking.data.dataset import build_dataset
from rethinking.data.split import Split
from rethinking.layers.initial import initialise
from rethinking.training.group import ReplicaGroup

torch.set_num_threads(1)
rng = np.random.default_rng(0)
# The sizes of DD's eight largest graphs, and many of its usual size.
sizes = np.array([5748, 4152, 2495, 1704, 1396, 1284, 1160, 1103] + [284] * 56)
graph = np.repeat(np.arange(len(sizes)), sizes)
first = np.repeat(np.cumsum(sizes) - sizes, sizes)
source = np.repeat(np.arange(len(graph)), 3)
target = np.repeat(first, 3) + (rng.random(len(source)) * np.repeat(sizes[graph], 3)).astype(int)
edges = np.stack([np.concatenate([source, target]), np.concatenate([target, source])])
x = np.eye(89, dtype=np.float32)[rng.integers(0, 89, len(graph))]
dataset = build_dataset("large", graph, edges, x, np.arange(len(sizes)) % 2)
cell = compose_cell(["model=diffpool", "pooling=learned", "dataset=dd"])
network = cell.build(dataset, cell.task())(1)
initialise(network, [0])
split = Split(np.arange(8), np.arange(len(sizes)), np.arange(len(sizes)))
group = ReplicaGroup(network, dataset, [split], [0], cell.task(), cell.trainer, torch.device("cpu"))
assert np.isfinite(float(group.train(1)))
group.evaluate("val", 1, 64)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)
"""


@pytest.mark.slow
def test_a_step_on_the_largest_graphs_of_dd_stays_below_eight_gigabytes() -> None:
    """Training on the eight largest together, and evaluating a batch of 64 with them in it."""
    run = subprocess.run([sys.executable, "-c", STEP], cwd=ROOT, capture_output=True, text=True, timeout=600)
    assert run.returncode == 0, run.stderr
    assert int(run.stdout) < 8e9
