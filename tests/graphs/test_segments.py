"""The neighbour sum equals PyG's and the dense product, forward and backward, directed or not."""

import torch
from torch_geometric.nn import GraphConv as PyGGraphConv

from rethinking.graphs.segments import scatter_with_neighbour_sum, with_neighbour_sum
from rethinking.graphs.topology import Topology
from rethinking.layers.convolutions import GraphConv
from rethinking.layers.initial import initialise


def test_equals_the_dense_product(topology: Topology) -> None:
    adjacency = torch.zeros(topology.rows, topology.rows, dtype=torch.double)
    source, target = topology.edge_index
    adjacency[target, source] = 1
    x = torch.randn(3, topology.width, 4, dtype=torch.double, requires_grad=True)
    dense = torch.cat([x, (adjacency @ x.view(-1, 4)).view_as(x)], dim=-1)
    weight = torch.randn_like(dense)
    (expected,) = torch.autograd.grad((dense * weight).sum(), x)
    for function in (with_neighbour_sum, scatter_with_neighbour_sum):
        out = function(x, topology)
        assert torch.allclose(out, dense)
        (gradient,) = torch.autograd.grad((out * weight).sum(), x)
        assert torch.allclose(gradient, expected)


def test_the_convolution_equals_pyg(topology: Topology) -> None:
    conv = GraphConv(3, 4, 6)
    initialise(conv, [0, 1, 2])
    x = torch.randn(3, topology.width, 4)
    ours = conv(x, topology)
    edge_index = torch.from_numpy(topology.edge_index)
    for replica in range(3):
        pyg = PyGGraphConv(4, 6)
        with torch.no_grad():
            pyg.lin_root.weight.copy_(conv.weight[replica, :4].T)
            pyg.lin_rel.weight.copy_(conv.weight[replica, 4:].T)
            pyg.lin_rel.bias.copy_(conv.bias[replica, 0])
        expected = pyg(x.view(-1, 4), edge_index).view(3, topology.width, 6)[replica]
        assert torch.allclose(ours[replica], expected, atol=1e-6)


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
