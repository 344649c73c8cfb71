"""A step moves every replica as torch would move it alone."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from rethinking.data.batches import Batches
from rethinking.graphs.levels import SparseLevel
from rethinking.models.family import Output
from rethinking.tasks.regression import Regression
from rethinking.training.parameters import ParameterRows
from rethinking.training.state import GroupState
from rethinking.training.step import Moving, supervised_step
from tests.conftest import CPU, in_double, random_dataset

REPLICAS, FEATURES = 3, 5


class Line(nn.Module):
    """Predicts wᵀx of a graph's mean features, and has ‖w‖² as auxiliary loss."""

    def __init__(self) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.weight = nn.Parameter(torch.randn(REPLICAS, FEATURES, 1, generator=generator))

    def forward(self, x: Tensor, level: SparseLevel) -> Output:
        return level.graph_mean(x) @ self.weight, {"size": self.weight.square().sum(dim=(1, 2))}


@pytest.mark.usefixtures("double")
@pytest.mark.parametrize("most", [0.5, None], ids=["clipped", "as it is"])
def test_steps_equal_those_of_each_replica_alone(most: float | None) -> None:
    """Of gradients of several sizes: Adam's first step is the same for every size, so it does not tell of clipping."""
    dataset, task = in_double(random_dataset(7, features=FEATURES)), Regression()
    order = np.stack([np.random.default_rng(replica).permutation(24) for replica in range(REPLICAS)])
    batches = Batches(replace(dataset, y=task.targets(dataset)), CPU)(order, 8, np.arange(REPLICAS, dtype=np.uint64))
    steps = [(scale * batch.x, batch.y, batch.level) for scale, batch in zip((100, 1, 10), batches, strict=True)]

    model = Line()
    rows = ParameterRows(model)
    state = GroupState.start(range(REPLICAS), rows.copy(), {}, ["all"], 1e-2, False)
    start, rates = state.parameters.clone(), torch.tensor([1e-2, 1e-3, 1e-1])
    moving = Moving(state.parameters, rows.bind(state.parameters, {}), state.moments["all"], rates)
    losses = [supervised_step(model, task, *step, moving, most) for step in steps]

    for replica in range(REPLICAS):
        weight = nn.Parameter(start[replica].clone())
        optimizer = torch.optim.Adam([weight], lr=float(rates[replica]))
        for loss, (x, y, level) in zip(losses, steps, strict=True):
            optimizer.zero_grad()
            expected = (level.graph_mean(x)[replica] @ weight - y[replica]).abs().mean()
            (expected + weight.square().sum()).backward()
            if most is not None:
                assert float(nn.utils.clip_grad_norm_([weight], most)) > most, "nothing to clip"
            optimizer.step()
            assert loss[replica].item() == pytest.approx(expected.item())
        assert torch.allclose(state.parameters[replica], weight, rtol=0, atol=1e-10)
