"""Soft pooling equals PyG's dense operators on random ragged batches; A need not be dense for it."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch_geometric.nn import DenseGraphConv as PyGDenseGraphConv
from torch_geometric.nn import dense_diff_pool, dense_mincut_pool
from torch_geometric.utils import to_dense_adj, to_dense_batch

from rethinking.graphs import levels
from rethinking.graphs.levels import DenseLevel, SetLevel, SparseLevel
from rethinking.graphs.topology import Topology, expand
from rethinking.layers.convolutions import DenseGraphConv, SageConv, SageStack
from rethinking.layers.initial import InitialDraw, initialise
from rethinking.layers.norm import BatchNorm
from rethinking.pooling import dense
from rethinking.pooling.assignment import LinearAssignment, OnComplement, SageAssignment
from rethinking.pooling.random_assignment import Bernoulli, Categorical, Normal, RandomAssignment, Uniform

CPU = torch.device("cpu")
EVERY_ROW = SetLevel(2, 1, 20, CPU)


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


def test_levels_agree_with_pyg(topology: Topology) -> None:
    level = SparseLevel(topology, CPU)
    x = torch.randn(3, topology.width, 4)
    for replica in range(3):
        rows, edges, batch = replica_batch(topology, replica)
        expected, mask = to_dense_batch(x[replica, rows], batch)
        n = expected.shape[1]
        assert torch.equal(level.per_graph(x)[replica, :, :n], expected)
        assert torch.equal(level.sizes[replica], mask.sum(dim=1))
        adjacency = to_dense_adj(edges, batch, max_num_nodes=n)
        assert torch.allclose(level.per_graph(level.degree)[replica, :, :n, 0], adjacency.sum(-1))
        assert torch.allclose(level.per_graph(level.neighbour_sum(x))[replica, :, :n], adjacency @ expected, atol=1e-6)
        places = torch.arange(n).expand(len(mask), n)[mask]
        assert torch.equal(level.position[replica, rows], places)


def test_products_by_size_equal_one_padded_product(topology: Topology, monkeypatch: pytest.MonkeyPatch) -> None:
    """Large graphs of unequal sizes are not all padded to the largest; nothing else changes."""
    a, b = torch.randn(3, topology.width, 4, requires_grad=True), torch.randn(3, topology.width, 5)
    once = SparseLevel(topology, CPU).product(a, b)
    monkeypatch.setattr(levels, "LARGE", 0)
    level = SparseLevel(topology, CPU)
    assert (len(level._buckets) > 1) == (level._row.numel() >= 2 * topology.size.sum())
    level._buckets = [torch.tensor([4, 0, 17]), torch.tensor([i for i in range(17) if i not in (0, 4)])]
    assert torch.allclose(level.product(a, b), once, atol=1e-5)
    ours, expected = (torch.autograd.grad(y.square().sum(), a)[0] for y in (level.product(a, b), once))
    assert torch.allclose(ours, expected, atol=1e-4)


def test_equals_pygs_mincut_pool(topology: Topology) -> None:
    """Features, adjacency and both losses, forward and backward."""
    level = SparseLevel(topology, CPU)
    x = torch.randn(3, topology.width, 5, dtype=torch.double)
    scores = torch.randn(3, topology.width, 4, dtype=torch.double, requires_grad=True)
    assignment = scores.softmax(dim=-1)
    coarse = dense.connect(assignment, level)
    pooled = dense.reduce(x, assignment, level).unflatten(1, (level.graphs, -1))
    mincut = dense.mincut_loss(assignment, coarse, level)
    apart = dense.orthogonality_loss(assignment, level)
    compared = 0
    for replica in range(3):
        rows, edges, batch = replica_batch(topology, replica)
        features, mask = to_dense_batch(x[replica, rows], batch)
        logits, _ = to_dense_batch(scores[replica, rows], batch)
        adjacency = to_dense_adj(edges, batch).double()
        out, out_adjacency, _, orthogonality = dense_mincut_pool(features, adjacency, logits, mask)
        assert torch.allclose(pooled[replica], out)
        assert torch.allclose(dense.normalise(coarse)[replica], out_adjacency)
        assert torch.allclose(apart[replica], orthogonality)
        # PyG divides zero by zero for a graph without edges; ours counts it as zero.
        edges_in = adjacency.sum(dim=(-1, -2)) > 0
        _, _, loss, _ = dense_mincut_pool(features[edges_in], adjacency[edges_in], logits[edges_in], mask[edges_in])
        compared += int(edges_in.sum())
        assert torch.allclose(mincut[replica], loss * edges_in.double().mean())
        ours, theirs = (
            torch.autograd.grad((a * torch.arange(1.0, 6)).sum() + b, scores, retain_graph=True)[0][replica]
            for a, b in ((pooled[replica], apart[replica]), (out, orthogonality))
        )
        assert torch.allclose(ours, theirs)
    assert torch.isfinite(mincut).all()
    assert compared > 0


def test_a_graph_without_edges_has_finite_gradients() -> None:
    scores = torch.randn(1, 3, 2, requires_grad=True)
    level = DenseLevel(torch.zeros(1, 1, 3, 3))
    assignment = scores.softmax(dim=-1)
    coarse = dense.connect(assignment, level)
    loss = dense.mincut_loss(assignment, coarse, level) + dense.orthogonality_loss(assignment, level)
    (loss.sum() + dense.normalise(coarse).sum()).backward()
    assert torch.isfinite(scores.grad).all()
    assert float(dense.mincut_loss(assignment, coarse, level).detach()) == 0


def test_equals_pygs_diff_pool(topology: Topology) -> None:
    """Features, adjacency and both losses, forward and backward, without the Gramian of the nodes."""
    level = SparseLevel(topology, CPU)
    x = torch.randn(3, topology.width, 5, dtype=torch.double)
    scores = torch.randn(3, topology.width, 4, dtype=torch.double, requires_grad=True)
    assignment = scores.softmax(dim=-1)
    coarse = dense.connect(assignment, level)
    pooled = dense.reduce(x, assignment, level).unflatten(1, (level.graphs, -1))
    losses = dense.link_loss(assignment, coarse, level), dense.entropy_loss(assignment, level)
    for replica in range(3):
        rows, edges, batch = replica_batch(topology, replica)
        features, mask = to_dense_batch(x[replica, rows], batch)
        logits, _ = to_dense_batch(scores[replica, rows], batch)
        adjacency = to_dense_adj(edges, batch).double()
        out, out_adjacency, *expected = dense_diff_pool(features, adjacency, logits, mask)
        assert torch.allclose(pooled[replica], out)
        assert torch.allclose(coarse[replica], out_adjacency)
        for ours, theirs in zip(losses, expected, strict=True):
            assert torch.allclose(ours[replica], theirs)
            mine, yours = (torch.autograd.grad(y, scores, retain_graph=True)[0] for y in (ours[replica], theirs))
            assert torch.allclose(mine[replica], yours[replica], atol=1e-10)


def test_the_losses_of_a_dense_level_equal_pygs() -> None:
    adjacency, scores = torch.rand(1, 3, 6, 6).double(), torch.randn(1, 18, 4).double()
    level = DenseLevel(adjacency)
    assignment = scores.softmax(dim=-1)
    coarse = dense.connect(assignment, level)
    *_, link, entropy = dense_diff_pool(torch.zeros(3, 6, 1).double(), adjacency[0], scores.view(3, 6, 4))
    assert torch.allclose(dense.link_loss(assignment, coarse, level)[0], link)
    assert torch.allclose(dense.entropy_loss(assignment, level)[0], entropy)


def test_the_sage_convolution_equals_its_formula(topology: Topology) -> None:
    """diag(A) = 1, rows averaged, one weight, every row of length one; on sparse and dense levels."""
    x = torch.randn(3, topology.width, 4)
    conv = SageConv(3, 4, 6)
    initialise(conv, [0, 1, 2])
    ours = conv(x, SparseLevel(topology, CPU))
    adjacency = torch.zeros(topology.rows, topology.rows)
    adjacency[topology.edge_index[0], topology.edge_index[1]] = 1
    for replica in range(3):
        mine = slice(replica * topology.width, (replica + 1) * topology.width)
        expected = sage_formula(adjacency[mine, mine], x[replica], conv, replica)
        assert torch.allclose(ours[replica], expected, atol=1e-6)
    weighted = 3 * torch.rand(3, 2, 5, 5)
    x = torch.randn(3, 10, 4)
    ours = conv(x, DenseLevel(weighted)).view(3, 2, 5, 6)
    for replica in range(3):
        for graph in range(2):
            rows = x[replica].view(2, 5, 4)[graph]
            expected = sage_formula(weighted[replica, graph], rows, conv, replica)
            assert torch.allclose(ours[replica, graph], expected, atol=1e-6)


def sage_formula(adjacency: Tensor, x: Tensor, conv: SageConv, replica: int) -> Tensor:
    adjacency = adjacency.clone().fill_diagonal_(1)
    mean = adjacency @ x / adjacency.sum(dim=1, keepdim=True).clamp(min=1)
    out = mean @ conv.linear.weight[replica] + conv.linear.bias[replica]
    return out / out.norm(dim=1, keepdim=True)


def test_batch_normalisation_equals_torchs() -> None:
    ours = BatchNorm(2, 4)
    initialise(ours, [0, 1])
    peers = [torch.nn.BatchNorm1d(4) for _ in range(2)]
    for _ in range(3):
        x = 3 * torch.randn(2, 20, 4) + 1
        normalised = ours(x, EVERY_ROW)
        for replica, peer in enumerate(peers):
            assert torch.allclose(normalised[replica], peer(x[replica]), atol=1e-5)
    ours.eval()
    x = torch.randn(2, 20, 4)
    for replica, peer in enumerate(peers):
        assert torch.allclose(ours(x, EVERY_ROW)[replica], peer.eval()(x[replica]), atol=1e-5)


@pytest.mark.parametrize("counts_padding", [False, True])
def test_batch_normalisation_sees_valid_nodes_or_as_released_zeros_too(
    topology: Topology, counts_padding: bool
) -> None:
    level = SparseLevel(topology, CPU)
    norm = BatchNorm(3, 4, counts_padding)
    initialise(norm, [0, 1, 2])
    x = 3 * torch.randn(3, topology.width, 4) + 1
    normalised = norm(x, level)
    for replica in range(3):
        rows, _, batch = replica_batch(topology, replica)
        padded, mask = to_dense_batch(x[replica, rows], batch)
        peer = torch.nn.BatchNorm1d(4)
        expected = peer(padded.flatten(0, 1))[mask.flatten()] if counts_padding else peer(x[replica, rows])
        assert torch.allclose(normalised[replica, rows], expected, atol=1e-5)
        assert torch.allclose(norm.running_mean[replica, 0], peer.running_mean, atol=1e-6)
        assert torch.allclose(norm.running_var[replica, 0], peer.running_var, atol=1e-5)


def test_the_complement_of_a_level_is_the_complement_graph(topology: Topology) -> None:
    """Everything a level offers, against J − I − A made dense."""
    level = SparseLevel(topology, CPU)
    other = level.complement
    x = torch.randn(3, topology.width, 4)
    for replica in range(3):
        rows, edges, batch = replica_batch(topology, replica)
        features, mask = to_dense_batch(x[replica, rows], batch)
        pairs = mask[:, :, None] & mask[:, None, :] & ~torch.eye(mask.shape[1], dtype=torch.bool)
        expected = DenseLevel((pairs.float() - to_dense_adj(edges, batch))[None])
        flat, chosen = features.flatten(0, 1)[None], mask.flatten()
        for name in ("neighbour_sum", "neighbour_mean", "mean_with_self"):
            ours = getattr(other, name)(x)[replica, rows]
            assert torch.allclose(ours, getattr(expected, name)(flat)[0, chosen], atol=1e-5)
        assert torch.allclose(other.degree[replica, rows], expected.degree[0, chosen])
        assert torch.allclose(other.squared_norm[replica], expected.squared_norm[0])
    assert not other.neighbour_sum(x)[~level.present.expand_as(x)].any()
    binary = (torch.rand(1, 2, 5, 5) < 0.5).float() * (1 - torch.eye(5))
    assert torch.equal(DenseLevel(binary).complement.complement.adjacency, binary)


def test_a_select_on_the_complement_is_that_select_on_that_graph(topology: Topology) -> None:
    level = SparseLevel(topology, CPU)
    select = OnComplement(3, 4, 12, 5, select=SageAssignment)
    initialise(select, [0, 1, 2])
    x = torch.randn(3, topology.width, 4)
    assert torch.equal(select(x, level), select.select(x, level.complement))
    assert not torch.allclose(select(x, level), select.select(x, level))
    assert isinstance(select.view(level), type(level.complement))


def test_the_sage_stack_equals_its_formula(topology: Topology) -> None:
    """No self-loop, no scaling to length one; outputs beside each other."""
    stack = SageStack(3, 4, 6, 2, norm_counts_padding=False)
    initialise(stack, [0, 1, 2])
    x = torch.randn(3, topology.width, 4)
    ours = stack(x, SparseLevel(topology, CPU))
    assert ours.shape[-1] == stack.out_features == 14
    for replica in range(3):
        rows, edges, _ = replica_batch(topology, replica)
        adjacency = torch.zeros(topology.width, topology.width)
        adjacency[edges[0], edges[1]] = 1
        mean = (adjacency / adjacency.sum(dim=1, keepdim=True).clamp(min=1))[rows][:, rows]
        hidden, outputs = x[replica, rows], []
        for number, conv in enumerate(stack.convs):
            hidden = mean @ hidden @ conv.linear.weight[replica] + conv.linear.bias[replica]
            if number < 2:
                hidden = torch.nn.BatchNorm1d(6)(hidden.relu())
            outputs.append(hidden)
        assert torch.allclose(ours[replica, rows], torch.cat(outputs, dim=1), atol=1e-4)


def test_dense_convolution_equals_pyg() -> None:
    adjacency = torch.rand(2, 3, 5, 5)
    conv = DenseGraphConv(2, 4, 6)
    initialise(conv, [0, 1])
    x = torch.randn(2, 15, 4)
    ours = conv(x, DenseLevel(adjacency))
    for replica in range(2):
        pyg = PyGDenseGraphConv(4, 6)
        with torch.no_grad():
            pyg.lin_root.weight.copy_(conv.weight[replica, :4].T)
            pyg.lin_rel.weight.copy_(conv.weight[replica, 4:].T)
            pyg.lin_rel.bias.copy_(conv.bias[replica, 0])
        expected = pyg(x[replica].view(3, 5, 4), adjacency[replica])
        assert torch.allclose(ours[replica].view(3, 5, 6), expected, atol=1e-5)


DISTRIBUTIONS: list[tuple[Callable, float, float]] = [
    (Uniform(0.0, 1.0), 0.5, 12**-0.5),
    (Normal(0.0, 1.0), 0.0, 1.0),
    (Bernoulli(0.3), 0.3, 0.21**0.5),
    (Categorical(), 1 / 50, 0.0196**0.5),
]


@pytest.mark.parametrize(("distribution", "mean", "std"), DISTRIBUTIONS)
def test_random_assignments_are_drawn_as_stated_and_stay(distribution: Callable, mean: float, std: float) -> None:
    select = RandomAssignment(2, 4, 100, 50, distribution, invariant=False)
    initialise(select, [0, 1])
    for values in select.random:
        assert float(values.mean()) == pytest.approx(mean, abs=0.06)
        assert float(values.std()) == pytest.approx(std, abs=0.05)
    assert not torch.equal(select.random[0], select.random[1])
    assert list(select.parameters()) == []
    assert "random" in select.state_dict()


def test_rows_of_every_assignment_sum_to_one_and_random_ones_go_by_position(topology: Topology) -> None:
    level = SparseLevel(topology, CPU)
    x = torch.randn(3, topology.width, 4)
    for select in (
        LinearAssignment(3, 4, 12, 5),
        RandomAssignment(3, 4, 12, 5, Normal(0.0, 1.0), invariant=False),
        RandomAssignment(3, 4, 12, 5, Normal(0.0, 1.0), invariant=True),
    ):
        initialise(select, [0, 1, 2])
        assignment = select(x, level)
        assert assignment.shape == (3, topology.width, 5)
        assert torch.allclose(assignment.sum(dim=-1), torch.ones(3, topology.width))
    plain = RandomAssignment(3, 4, 12, 5, Normal(0.0, 1.0), invariant=False)
    plain.reset(InitialDraw([0, 1, 2], "pool"))
    graphs = level.per_graph(plain(x, level))
    first, second = level.sizes[0].topk(2).indices
    n = int(level.sizes[0, second])
    assert torch.equal(graphs[0, first, :n], graphs[0, second, :n])
