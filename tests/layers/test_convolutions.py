"""Convolutions equal PyG's, or the formula of the release they come from."""

import torch
from torch import Tensor
from torch_geometric.nn import DenseGraphConv as PyGDenseGraphConv
from torch_geometric.nn import GraphConv as PyGGraphConv

from rethinking.graphs.levels import DenseLevel, SparseLevel
from rethinking.graphs.topology import Topology
from rethinking.layers.convolutions import DenseGraphConv, GraphConv, SageConv, SageStack
from rethinking.layers.initial import initialise
from tests.conftest import CPU, replica_batch


def test_the_convolution_equals_pyg(topology: Topology) -> None:
    conv = GraphConv(3, 4, 6)
    initialise(conv, [0, 1, 2])
    x = torch.randn(3, topology.width, 4)
    level = SparseLevel(topology, CPU)
    ours = conv(x, level)
    edge_index = torch.from_numpy(topology.edge_index)
    for replica in range(3):
        pyg = PyGGraphConv(4, 6)
        with torch.no_grad():
            pyg.lin_root.weight.copy_(conv.weight[replica, :4].T)
            pyg.lin_rel.weight.copy_(conv.weight[replica, 4:].T)
            pyg.lin_rel.bias.copy_(conv.bias[replica, 0])
        expected = pyg(x.view(-1, 4), edge_index).view(3, topology.width, 6) * level.present
        assert torch.allclose(ours[replica], expected[replica], atol=1e-6)


def test_initial_values_are_drawn_as_pyg_draws_them() -> None:
    """Uniform on ±1/√in, each replica its own."""
    conv = GraphConv(2, 25, 400)
    initialise(conv, [3, 4])
    for replica in range(2):
        weight = conv.weight[replica].detach()
        assert weight.abs().max() <= 0.2
        assert weight.abs().max() > 0.199
        assert abs(float(weight.mean())) < 0.005
    assert not torch.equal(conv.weight[0], conv.weight[1])


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
