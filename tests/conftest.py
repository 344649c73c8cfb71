"""What the tests share: small random data sets, and the folder of real raw files where there is one."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from rethinking.cli import main
from rethinking.data.batches import lay_out
from rethinking.data.dataset import GraphDataset, build_dataset
from rethinking.data.digits import read_digits
from rethinking.graphs.levels import SparseLevel
from rethinking.graphs.topology import Topology, expand
from rethinking.operators import use_compiled, use_threads

use_threads(1)

CPU = torch.device("cpu")

ROOT = Path(__file__).parent.parent
# A folder with one split of few graphs, for what is trained often.
FEW_DIGITS = ROOT / "tests" / "runs" / "few_digits"


def random_dataset(seed: int, graphs: int = 30, directed: bool = False, features: int = 5) -> GraphDataset:
    """Random graphs of 1 to 12 nodes, some without edges."""
    rng = np.random.default_rng(seed)
    sizes = rng.integers(1, 13, graphs)
    graph_of_node = np.repeat(np.arange(graphs), sizes)
    pairs = []
    for first, size in zip(np.cumsum(sizes) - sizes, sizes, strict=True):
        adjacency = np.triu(rng.random((size, size)) < rng.choice([0.0, 0.2, 0.5]), 1)
        if directed:
            adjacency |= np.tril(rng.random((size, size)) < 0.2, -1)
        else:
            adjacency |= adjacency.T
        pairs.append(first + np.stack(np.nonzero(adjacency)))
    x = rng.standard_normal((len(graph_of_node), features)).astype(np.float32)
    y = np.arange(graphs) % 2
    return build_dataset("random", graph_of_node, np.concatenate(pairs, axis=1), x, y)


@pytest.fixture
def double() -> Iterator[None]:
    """Double precision, where rounding is far below what Adam makes of it: it scales up even the smallest gradient."""
    torch.set_default_dtype(torch.double)
    yield
    torch.set_default_dtype(torch.float)


@pytest.fixture
def plain() -> Iterator[None]:
    """Operators in plain torch, as `fast=false` chooses them."""
    use_compiled(False)
    yield
    use_compiled(True)


@pytest.fixture(params=[True, False], ids=["compiled", "plain"])
def both_forms(request: pytest.FixtureRequest) -> Iterator[None]:
    """Operators compiled, and in plain torch."""
    use_compiled(request.param)
    yield
    use_compiled(True)


def in_double(dataset: GraphDataset) -> GraphDataset:
    """The same data set for networks in double precision."""
    return replace(dataset, x=dataset.x.astype(np.float64))


@pytest.fixture(params=[False, True], ids=["undirected", "directed"])
def dataset(request: pytest.FixtureRequest) -> GraphDataset:
    return random_dataset(7, directed=request.param)


@pytest.fixture
def topology(dataset: GraphDataset) -> Topology:
    """Three replicas, each with another batch of six graphs."""
    graphs = np.random.default_rng(1).permutation(len(dataset))[:18].reshape(3, 6)
    return lay_out(dataset, graphs)[0]


def replica_batch(topology: Topology, replica: int) -> tuple[Tensor, Tensor, Tensor]:
    """One replica's rows, edge_index and batch vector, as PyG has them."""
    graphs = len(topology.start) // topology.replicas
    mine = slice(replica * graphs, (replica + 1) * graphs)
    rows = torch.from_numpy(expand(topology.start[mine], topology.size[mine]))
    edges = torch.from_numpy(topology.edge_index)
    first = replica * topology.width
    edges = edges[:, (edges[1] >= first) & (edges[1] < first + topology.width)] - first
    batch = torch.from_numpy(topology.graph)[rows] - replica * graphs
    return rows - first, edges, batch


@pytest.fixture
def level(topology: Topology) -> SparseLevel:
    """The graphs of `topology`, each with a random stream."""
    return SparseLevel(topology, CPU, np.arange(len(topology.start)).astype(np.uint64))


@pytest.fixture(scope="session", autouse=True)
def _disk() -> Iterator[None]:
    """Content is left to reach the disk by itself: that is waited for against power cuts, which no test makes."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(os, "fsync", lambda descriptor: None)
        yield


@pytest.fixture(scope="session")
def digits() -> GraphDataset:
    return read_digits(None, "digits", neighbours=8)


@pytest.fixture(scope="session")
def mirror() -> Path:
    """The folder with the real raw files. Tests of what a user without it meets do not ask for it."""
    chosen = os.environ.get("RETHINKING_DATA")
    if not chosen or not Path(chosen).is_dir():
        pytest.skip("no folder with raw files: set RETHINKING_DATA to check the real data sets")
    return Path(chosen)


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def rethinking(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Callable[..., subprocess.CompletedProcess[str]]:
    """The command line as a user has it in an empty folder, but in this process: starting another takes seconds.

    What another process is needed for (killing it, the console script) starts one itself.
    """

    def call(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        capfd.readouterr()
        with monkeypatch.context() as patched:
            patched.chdir(tmp_path)
            patched.setattr(sys, "argv", ["rethinking", *arguments])
            if "PYTHONPATH" in environment:
                patched.syspath_prepend(tmp_path / environment["PYTHONPATH"])
            for name, value in ({"RETHINKING_CACHE": str(cache), "COLUMNS": "200"} | environment).items():
                patched.setenv(name, value)
            try:
                status = main(arguments)
            except SystemExit as end:  # argparse
                status = end.code if isinstance(end.code, int) else 1
        out, err = capfd.readouterr()
        return subprocess.CompletedProcess(list(arguments), status, out, err)

    return call
