"""What is lifted and rebuilt has closed forms, and a better pooling rebuilds better."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from rethinking.pooling.operators.interface import Assignment, Operator
from rethinking.pooling.operators.neighbours import sum_over_neighbours
from rethinking.scorecard.autoencoder import Autoencoder, reconstruct
from rethinking.scorecard.fit import fit, seeded
from rethinking.scorecard.lift import _eigenvectors, pseudo_inverse_lift
from rethinking.scorecard.point_clouds import PointCloud, grid, point_cloud
from rethinking.scorecard.settings import AutoencoderSettings, card_settings
from tests.scorecard.operators import Identity, Pairs, Silent, Soft, Top
from tests.scorecard.published import published_operators

FULL = card_settings("full")


def assignment(s: Tensor) -> Assignment:
    node, cluster = s.nonzero().T
    return Assignment(node, cluster, s[node, cluster], torch.zeros(s.shape[1], dtype=torch.long), len(s))


def soft(generator: torch.Generator) -> Tensor:
    return torch.rand(7, 3, generator=generator)


def without_full_rank(generator: torch.Generator) -> Tensor:
    return torch.rand(7, 2, generator=generator)[:, [0, 1, 1]]


def of_low_rank(generator: torch.Generator) -> Tensor:
    return torch.rand(15, 2, generator=generator) @ torch.rand(2, 12, generator=generator)


def hard(generator: torch.Generator) -> Tensor:
    """A node in no cluster, one cluster without nodes, and any weights."""
    s = torch.zeros(7, 4)
    s[torch.arange(6), torch.tensor([0, 0, 1, 3, 3, 3])] = torch.randn(6, generator=generator)
    return s


@pytest.mark.usefixtures("double")
@pytest.mark.parametrize("kind", [soft, without_full_rank, of_low_rank, hard])
def test_the_lift_is_the_pseudo_inverse(kind: Callable[[torch.Generator], Tensor]) -> None:
    generator = torch.Generator().manual_seed(0)
    s = kind(generator)
    x = torch.randn(s.shape[1], 2, generator=generator)
    assert torch.allclose(pseudo_inverse_lift(x, assignment(s)), torch.linalg.pinv(s).T @ x)
    # Its least-squares property: lifting what was reduced is a projection.
    projected = pseudo_inverse_lift(s.T @ torch.ones(len(s), 1), assignment(s))
    assert torch.allclose(pseudo_inverse_lift(s.T @ projected, assignment(s)), projected)


@pytest.mark.usefixtures("double")
@pytest.mark.parametrize("kind", [soft, hard])
def test_gradients_flow_through_the_lift(kind: Callable[[torch.Generator], Tensor]) -> None:
    generator = torch.Generator().manual_seed(1)
    made = assignment(kind(generator))
    x = torch.randn(made.clusters, 2, generator=generator)

    def lifted(x: Tensor, weight: Tensor) -> Tensor:
        return pseudo_inverse_lift(x, replace(made, weight=weight))

    assert torch.autograd.gradcheck(lifted, (x.requires_grad_(), made.weight.clone().requires_grad_()))


@pytest.mark.usefixtures("double")
@pytest.mark.parametrize("kind", [soft, without_full_rank, of_low_rank])
def test_its_gradients_are_those_of_the_inverse(kind: Callable[[torch.Generator], Tensor]) -> None:
    """Also where columns of S hang on each other, where torch has the same rule for those that are left out."""
    generator = torch.Generator().manual_seed(2)
    made = assignment(kind(generator))
    x = torch.randn(made.clusters, 2, generator=generator).requires_grad_()
    weight = made.weight.clone().requires_grad_()
    along = torch.randn(made.nodes, 2, generator=generator)
    learned = replace(made, weight=weight)
    plain = torch.linalg.pinv(learned.dense()).T @ x
    ours = pseudo_inverse_lift(x, learned)
    for one, other in zip(*(torch.autograd.grad((y * along).sum(), (x, weight)) for y in (ours, plain)), strict=True):
        assert torch.allclose(one, other)


def test_where_nothing_is_in_a_cluster_nothing_is_lifted() -> None:
    made = assignment(soft(torch.Generator().manual_seed(4)))
    weight, x = torch.zeros(len(made.weight)).requires_grad_(), torch.ones(3, 2).requires_grad_()
    lifted = pseudo_inverse_lift(x, replace(made, weight=weight))
    assert lifted.shape == (7, 2) and not lifted.any()
    assert not any(gradient.any() for gradient in torch.autograd.grad(lifted.sum(), (x, weight)))


@pytest.mark.parametrize(("nodes", "clusters", "rank"), [(30, 12, 2), (30, 12, 12), (20, 30, 5), (9, 2, 1)])
def test_vectors_of_the_lift_are_orthonormal_eigenvectors(nodes: int, clusters: int, rank: int) -> None:
    """Few of them, which come from a tridiagonal form, as all."""
    generator = torch.Generator().manual_seed(6)
    s = torch.rand(nodes, rank, generator=generator).double() @ torch.rand(rank, clusters, generator=generator).double()
    values, vectors = _eigenvectors(s, 1e-9)
    assert vectors.shape == (clusters, rank)
    assert torch.allclose(s.T @ s @ vectors, vectors * values, atol=1e-12 * float(values[-1]))
    assert torch.allclose(vectors.T @ vectors, torch.eye(rank, dtype=torch.double), atol=1e-12)


@pytest.mark.parametrize(("weight", "expected"), [(1.0, [[0.4], [0.2]]), (0.0, [[0.0], [0.0]])])
def test_one_cluster_whose_entries_are_in_parts(weight: float, expected: list[list[float]]) -> None:
    """S is (2, 1), and its inverse that by its square; or it is zero."""
    node, weights = torch.tensor([0, 0, 1]), torch.full((3,), weight).requires_grad_()
    made = Assignment(node, torch.zeros_like(node), weights, torch.zeros(1, dtype=torch.long), 2)
    assert torch.allclose(pseudo_inverse_lift(torch.ones(1, 1), made), torch.tensor(expected))


def test_clusters_that_stay_are_inverted_once(monkeypatch: pytest.MonkeyPatch) -> None:
    made = assignment(soft(torch.Generator().manual_seed(5)))
    first = pseudo_inverse_lift(torch.ones(3, 1), made)
    monkeypatch.setattr(torch.linalg, "pinv", None)
    assert torch.equal(pseudo_inverse_lift(torch.ones(3, 1), made), first)


def test_small_singular_values_are_left_out_in_single_precision() -> None:
    """As of TensorFlow's `pinv`: a direction of S that rounding alone has made is none."""
    generator = torch.Generator().manual_seed(3)
    s, x = torch.rand(50, 4, generator=generator), torch.randn(4, 3, generator=generator)
    s[:, 3] = s[:, 2] + 1e-6 * torch.rand(50, generator=generator)
    plain = torch.linalg.pinv(s, rtol=10 * 50 * torch.finfo(s.dtype).eps).T @ x
    made = assignment(s)
    ours = pseudo_inverse_lift(x, replace(made, weight=made.weight.clone().requires_grad_()))
    assert plain.norm() < 100 and torch.allclose(ours, plain, rtol=1e-3, atol=1e-4)


@pytest.mark.usefixtures("double")
def test_sums_over_neighbours_are_products_with_the_matrix() -> None:
    """Repeated edges count twice; gradients flow into the weights."""
    edge_index = torch.tensor([[0, 1, 1, 2, 1], [1, 0, 2, 2, 0]])
    weight, x = torch.randn(5).requires_grad_(), torch.randn(3, 2).requires_grad_()
    matrix = torch.zeros(3, 3).index_put((edge_index[1], edge_index[0]), weight, accumulate=True)
    assert torch.allclose(sum_over_neighbours(x, edge_index, weight), matrix @ x)
    assert torch.autograd.gradcheck(lambda x, w: sum_over_neighbours(x, edge_index, w), (x, weight))


def few_steps(steps: int) -> AutoencoderSettings:
    settings = FULL.autoencoder
    return replace(settings, hidden=32, fit=replace(settings.fit, most_steps=steps, learning_rate=0.005))


@pytest.fixture(scope="module")
def cloud() -> PointCloud:
    return grid(6, 6)


def test_without_pooling_everything_can_be_rebuilt(cloud: PointCloud) -> None:
    result = reconstruct(Identity, cloud, few_steps(150), 0)
    assert result.mse < 2e-3 and result.x.shape == (36, 2)
    x = torch.from_numpy(cloud.coordinates).float()
    assert result.mse == pytest.approx(float((result.x - x).square().mean()), rel=1e-5)


@pytest.mark.parametrize("operator", [Soft, Top, Pairs])
def test_a_run_can_be_repeated_and_hangs_on_its_seed(operator: type[Operator], cloud: PointCloud) -> None:
    first, second, other = (reconstruct(operator, cloud, few_steps(10), seed).mse for seed in (0, 0, 1))
    assert first == second != other


def test_the_best_weights_are_restored(cloud: PointCloud) -> None:
    seen: list[float] = []
    with seeded(0):
        network = Autoencoder(2, 16, Top(in_features=32, ratio=0.5))
    x = torch.from_numpy(cloud.coordinates).float()

    def losses() -> tuple[Tensor, Tensor]:
        loss = (network(cloud.with_signals(x))[0] - x).square().mean()
        seen.append(float(loss.detach()))
        return loss, torch.zeros(())

    # A rate at which losses jump.
    settings = replace(few_steps(1000).fit, learning_rate=0.05, patience=10, tolerance=0.0)
    trained = fit(network, losses, settings)
    assert not network.training
    best = min(seen)
    assert trained.steps == len(seen) == seen.index(best) + 1 + 10
    assert float(losses()[0].detach()) == pytest.approx(best, rel=1e-5)


def test_a_loss_that_is_no_number_ends_it(cloud: PointCloud) -> None:
    settings = few_steps(5)
    with pytest.raises(ValueError, match="the loss is nan at step 1"):
        reconstruct(Identity, replace(cloud, coordinates=cloud.coordinates * float("nan")), settings, 0)


def test_an_operator_must_say_its_clusters(cloud: PointCloud) -> None:
    with pytest.raises(ValueError, match="does not say which nodes"):
        reconstruct(Silent, cloud, few_steps(1), 0)


def test_global_generators_are_left_as_they_were() -> None:
    torch.manual_seed(5), np.random.seed(5)
    expected = torch.rand(1), np.random.rand()
    torch.manual_seed(5), np.random.seed(5)
    with seeded(3, "any"):
        first = torch.rand(1), np.random.rand()
    with seeded(3, "any"):
        assert (torch.rand(1), np.random.rand()) == first
    assert (torch.rand(1), np.random.rand()) == expected


def test_what_is_kept_all_over_a_ring_rebuilds_it_and_one_side_does_not() -> None:
    """Grattarola et al. 2022: decimation rebuilds best, and keeping the best nodes loses whole regions."""
    operators, settings = published_operators(), few_steps(100)
    decimated, best = (reconstruct(operators[name], point_cloud("ring"), settings, 0).mse for name in ("ndp", "topk"))
    assert decimated < best / 10
