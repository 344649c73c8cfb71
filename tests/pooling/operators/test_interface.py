"""S as an operator has it, a matrix or its entries, is the same S."""

import pytest
import torch
from torch import Tensor

from rethinking.pooling.operators.interface import Assignment, Graphs, MatrixAssignment, over_edges
from rethinking.pooling.operators.sentences import checked
from tests.pooling.operators.conftest import batch, operator

OF = torch.tensor([0, 0, 0, 1, 1])
EXISTS = torch.tensor([[True, False, True], [True, True, True]])


@pytest.fixture
def s() -> Tensor:
    """Of five nodes of two graphs; one entry is zero, and one stands where there is no cluster."""
    s = torch.rand(5, 3, generator=torch.Generator().manual_seed(0)) + 0.1
    s[1, 0] = 0
    return s.requires_grad_()


def by_entries(s: Tensor) -> Assignment:
    """The same by hand: clusters 0 and 1 are of the first graph, 2 to 4 of the second."""
    numbers = torch.tensor([[0, -1, 1], [2, 3, 4]])[OF]
    listed = [(n, int(numbers[n, k]), s[n, k]) for n in range(5) for k in range(3) if numbers[n, k] >= 0 and s[n, k]]
    node, cluster, weight = zip(*listed, strict=True)
    return Assignment(
        torch.tensor(node), torch.tensor(cluster), torch.stack(weight), torch.tensor([0, 0, 1, 1, 1]), nodes=5
    )


def test_a_matrix_has_the_entries_that_are_not_zero(s: Tensor) -> None:
    found, expected = MatrixAssignment(s, OF, EXISTS), by_entries(s)
    for name in ("node", "cluster", "weight", "batch"):
        assert torch.equal(getattr(found, name), getattr(expected, name)), name
    assert torch.equal(found.dense(), expected.dense()) and found.dense().shape == (5, 5)
    assert found.nodes == 5 and found.clusters == expected.clusters and found.is_learned
    assert found.most_of_a_node == expected.most_of_a_node == 3
    assert MatrixAssignment(s[:3], OF[:3], EXISTS[:1]).most_of_a_node == 2, "what is no cluster does not count"
    order = torch.tensor([2, 0, 1, 4, 3])
    assert torch.equal(found.permuted(order).dense(), expected.permuted(order).dense())
    with pytest.raises(AttributeError, match="weigth"):
        _ = found.weigth


def test_of_one_graph_all_columns_are_clusters(s: Tensor) -> None:
    found = MatrixAssignment(s)
    assert found.dense() is s and len(found.node) == 14 and found.batch.tolist() == [0, 0, 0]
    x = torch.rand(5, 2)
    assert torch.allclose(found.reduce(x), s.T @ x)


@pytest.mark.parametrize(
    ("part", "said"), [("node", "a node that is none of 5"), ("cluster", "a cluster that is none")]
)
@pytest.mark.parametrize("number", [-1, 5])
def test_an_entry_of_nothing_is_refused(s: Tensor, part: str, said: str, number: int) -> None:
    found = by_entries(s)
    wrong = getattr(found, part).clone()
    wrong[2] = number
    with pytest.raises(IndexError, match=said):
        found.changed(**{part: wrong}).reduce(torch.rand(5, 2))


@pytest.mark.parametrize("number", [-1, 3])
@pytest.mark.parametrize("end", [0, 1])
def test_an_edge_of_nothing_is_refused(number: int, end: int) -> None:
    edges = torch.tensor([[0, 1, 2], [1, 2, 0]])
    edges[end, 1] = number
    with pytest.raises(IndexError, match="an edge names a node that is none of 3"):
        over_edges(Graphs(torch.rand(3, 2), edges, None, torch.zeros(3, dtype=torch.long), 1), torch.rand(3, 2))


def test_gradients_flow_into_a_matrix_whoever_asks_first(s: Tensor) -> None:
    found = MatrixAssignment(s, OF, EXISTS)
    with torch.no_grad():
        assert len(found.node) == 11
    (gradient,) = torch.autograd.grad(found.weight.square().sum(), s)
    there = EXISTS[OF]
    assert torch.allclose(gradient, 2 * s.detach() * there)


@pytest.mark.parametrize("name", ["pyg/MinCutPool", "pyg/MemPooling", "tgp/mincut", "tgp/dmon", "src/mincut"])
def test_a_step_lists_no_matrix(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pool, graphs = operator(name), batch([5])
    monkeypatch.setattr(MatrixAssignment, "__getattr__", None)
    coarse = checked(pool(graphs), graphs, name, numbers=False)
    assert isinstance(coarse.assignment, MatrixAssignment)
    (coarse.graphs.x.sum() + sum(coarse.losses.values())).backward()
    with pytest.raises(TypeError):
        _ = coarse.assignment.node
