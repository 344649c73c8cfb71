"""Every replica is optimised as torch.optim.Adam with ReduceLROnPlateau would alone, also after others left."""

import torch
from torch import nn

from rethinking.training.parameters import ReplicaParameters
from rethinking.training.replica import Replica, TrainerConfig

CONFIG = TrainerConfig(
    batch_size=1,
    learning_rate=1e-2,
    min_learning_rate=1e-4,
    decay_factor=0.5,
    decay_patience=1,
    stop_patience=50,
    max_epochs=100,
    gradient_clip=None,
)


def quadratic(model: nn.Module, scale: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """A random problem for each replica: Σ scale (w − target)² over both parameters."""
    weights = torch.cat([model.first.flatten(1), model.second.flatten(1)], dim=1)
    return (scale * (weights - target) ** 2).sum(dim=1)


def test_equals_adam_and_plateau_alone() -> None:
    torch.manual_seed(0)
    replicas, size = 4, 2 * 3 + 5
    scale, target = torch.rand(replicas, size) + 0.1, torch.randn(replicas, size)
    # What the schedule sees: rising, with noise, so that every replica decays at other epochs.
    scores = torch.rand(30, replicas) + 0.1 * torch.arange(30)[:, None] * torch.arange(replicas)
    model = nn.Module()
    model.first = nn.Parameter(torch.randn(replicas, 2, 3))
    model.second = nn.Parameter(torch.randn(replicas, 5))
    starts = torch.cat([model.first.detach().flatten(1), model.second.detach()], dim=1).clone()

    expected, rates = [], []
    for r in range(replicas):
        weight = nn.Parameter(starts[r].clone())
        optimizer = torch.optim.Adam([weight], lr=CONFIG.learning_rate)
        schedule = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, "max", 0.5, 1, min_lr=1e-4)
        trace = []
        for epoch in range(30):
            optimizer.zero_grad()
            (scale[r] * (weight - target[r]) ** 2).sum().backward()
            optimizer.step()
            schedule.step(float(scores[epoch, r]))
            trace.append(weight.detach().clone())
        expected.append(trace)
        rates.append(optimizer.param_groups[0]["lr"])
    assert len(set(rates)) > 1, "the problem does not tell schedules apart"

    parameters = ReplicaParameters(model)
    group = [Replica.start(seed, row, CONFIG) for seed, row in enumerate(parameters.rows)]
    for epoch in range(30):
        if epoch == 10:  # replicas 0 and 2 leave
            parameters.keep([1, 3])
            group = [group[1], group[3]]
            for replica, row in zip(group, parameters.rows, strict=True):
                replica.move_to(row)
        seeds = [replica.seed for replica in group]
        parameters.zero_grad()
        quadratic(model, scale[seeds], target[seeds]).sum().backward()
        for replica in group:
            replica.optimizer.step()
            replica.end_epoch({"loss": 0.0}, float(scores[epoch, replica.seed]), CONFIG)
        for row, seed in zip(parameters.rows, seeds, strict=True):
            assert torch.allclose(row, expected[seed][epoch], atol=1e-6)
    for replica in group:
        assert replica.learning_rate == rates[replica.seed]


def test_clipping_equals_torchs_for_each_replica_alone() -> None:
    torch.manual_seed(0)
    model = nn.Module()
    model.first = nn.Parameter(torch.randn(3, 2, 3))
    parameters = ReplicaParameters(model)
    gradients = torch.randn(3, 6) * torch.tensor([[0.1], [1.0], [10.0]])
    parameters.grads.copy_(gradients)
    parameters.clip(2.0)
    for replica in range(3):
        weight = nn.Parameter(torch.zeros(6))
        weight.grad = gradients[replica].clone()
        torch.nn.utils.clip_grad_norm_([weight], 2.0)
        assert torch.allclose(parameters.grads[replica], weight.grad)
    assert torch.equal(parameters.grads[0], gradients[0])
