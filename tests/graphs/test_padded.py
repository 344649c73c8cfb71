"""What has more room than it needs is the same, and what lies in the padding gets nowhere."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from torch import Tensor

from rethinking.graphs import means, segments
from rethinking.graphs.levels import SparseLevel
from rethinking.graphs.padded import Room, Rooms, padded
from rethinking.graphs.segments import Segments
from rethinking.graphs.topology import Topology
from tests.conftest import CPU
from tests.graphs.test_segments import random_segments


def roomy(topology: Topology) -> Topology:
    """With padding of every kind."""
    need = Room.of(topology)
    return padded(topology, Room(need.width + 5, need.largest + 2, need.incoming + 9, need.outgoing + 9))


def wide(x: Tensor, topology: Topology, value: float = torch.nan) -> Tensor:
    """x: [R, N, F]. Its rows in a wider topology, [R, N', F]."""
    return torch.nn.functional.pad(x, (0, 0, 0, topology.width - x.shape[1]), value=value)


def test_a_level_offers_the_same(topology: Topology) -> None:
    """Sums over neighbours and graphs, products, matrices; rows of padding are not numbers here, and get nowhere."""
    large = roomy(topology)
    assert large.directed == topology.directed
    level, ours = SparseLevel(topology, CPU), SparseLevel(large, CPU)
    x = torch.randn(3, topology.width, 4, dtype=torch.double) * level.present
    n, r = topology.width, topology.largest
    for expected, result, filled in (
        (level, ours, wide(x, large)),
        # What the complement's padding has is multiplied by zero.
        (level.complement, ours.complement, wide(x, large, 7.0)),
    ):
        present = ours.present.expand(-1, -1, 4)
        for name in ("neighbour_sum", "neighbour_mean", "mean_with_self", "incoming_sum", "incoming_mean"):
            values = getattr(result, name)(filled)
            assert torch.allclose(values[:, :n] * level.present, getattr(expected, name)(x) * level.present), name
        for name in ("graph_sum", "graph_mean", "graph_max"):
            assert torch.equal(getattr(result, name)(filled), getattr(expected, name)(x)), name
        assert torch.allclose(result.product(filled, filled), expected.product(x, x))
        assert torch.equal(result.squared_norm, expected.squared_norm)
        assert torch.equal(result.adjacency[:, :, :r, :r], expected.adjacency)
        assert not result.adjacency[:, :, r:].any() and not result.adjacency[..., r:].any()
        assert torch.equal(result.per_graph(filled)[:, :, :r].nan_to_num(), expected.per_graph(x))
        back = result.from_graphs(result.per_graph(wide(x, large, 0.0)))
        assert torch.equal(back[present], x[level.present.expand_as(x)])
    assert torch.equal(ours.position[:, :n], level.position)


def test_gradients_are_the_same_and_nothing_comes_from_padding(topology: Topology) -> None:
    large = roomy(topology)
    x = torch.randn(3, topology.width, 4, dtype=torch.double)
    weight, bias = torch.randn(3, 8, 3, dtype=torch.double), torch.zeros(3, 1, 3, dtype=torch.double)
    grads = []
    for top, rows in ((topology, x), (large, wide(x, large, 3.0))):
        level = SparseLevel(top, CPU)
        inputs = [value.detach().requires_grad_() for value in (rows, weight)]
        h = level.convolve_incoming(inputs[0], inputs[1], bias, relu=False)
        loss = level.graph_max(level.mean_with_self(h)).sum() + level.product(h, h).square().sum()
        grads.append(torch.autograd.grad(loss, inputs))
    (expected, on_weight), (result, ours) = grads
    present = SparseLevel(topology, CPU).present
    assert torch.allclose(result[:, : topology.width] * present, expected * present)
    assert not result[~SparseLevel(large, CPU).present.expand_as(result)].any()
    assert torch.allclose(ours, on_weight)


FORMS = {
    "sum": (segments._compiled_sum, segments.plain_sum),
    "max": (segments._compiled_max, segments.plain_max),
    "mean": (partial(means._compiled, own=True), partial(means.plain_mean, own=True)),
}


@pytest.mark.parametrize("name", FORMS)
@pytest.mark.parametrize("form", [0, 1], ids=["compiled", "plain"])
def test_entries_beyond_the_last_segment_are_of_none(name: str, form: int) -> None:
    """In both forms, forward and backward, though the row that they name is not a number."""
    few, _ = random_segments(rows=25)
    more = replace(
        few,
        rows=torch.nn.functional.pad(few.rows, (0, 7), value=24),
        row_segments=torch.nn.functional.pad(few.row_segments, (0, 7), value=24),
    )
    x = torch.randn(25, 3, dtype=torch.double)
    function = FORMS[name][form]
    assert torch.equal(function(x, few.ptr, few.rows), function(x, more.ptr, more.rows))
    x = torch.cat([x[:24], torch.full((1, 3), torch.nan, dtype=torch.double)])
    expected, result = function(x, few.ptr, few.rows), function(x, more.ptr, more.rows)
    assert torch.equal(expected.nan_to_num(7), result.nan_to_num(7))
    grad = torch.randn(25, 3, dtype=torch.double)
    out = segments.plain_max(x, few.ptr, few.rows)
    backward = {
        "sum": lambda s: FORMS["sum"][form](grad, s.row_ptr, s.row_segments),
        "max": lambda s: (segments._compiled_max_backward, segments.plain_max_backward)[form](
            grad, x, out, s.ptr, s.rows, s.row_ptr
        ),
        "mean": lambda s: (means._compiled_backward, means.plain_mean_backward)[form](
            grad, s.ptr, s.row_ptr, s.row_segments, True
        ),
    }[name]
    assert torch.equal(backward(few).nan_to_num(7), backward(more).nan_to_num(7))


def test_no_entries_at_all() -> None:
    none = torch.empty(0, dtype=torch.long)
    empty = Segments(torch.zeros(4, dtype=torch.long), none, torch.zeros(4, dtype=torch.long), none)
    x = torch.randn(3, 2)
    assert not segments.plain_sum(x, empty.ptr, empty.rows).any()
    assert not segments.plain_max(x, empty.ptr, empty.rows).any()


def test_too_little_room_is_refused(topology: Topology) -> None:
    with pytest.raises(ValueError, match="expected room for"):
        padded(topology, replace(Room.of(topology), width=topology.width - 1))


def test_a_shape_comes_again_unless_that_is_a_waste() -> None:
    rooms = Rooms()
    first = rooms.fit(8, (Room(100, 30, 400, 400), Room(60, 20, 250, 250)))
    assert first[0].width >= 100 and first[1].incoming >= 250
    assert rooms.fit(8, (Room(99, 31, 390, 390), Room(55, 18, 200, 200))) == first
    assert rooms.fit(8, (Room(10, 5, 20, 20), Room(6, 3, 10, 10))) != first
    assert rooms.fit(8, (Room(500, 30, 400, 400), Room(60, 20, 250, 250)))[0].width >= 500
    # So few shapes, however many batches.
    rng = np.random.default_rng(0)
    shapes = {rooms.fit(4, (Room(*(int(n) for n in rng.normal(1000, 60, 4))),)) for _ in range(500)}
    assert len(shapes) <= 10
