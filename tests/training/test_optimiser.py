"""Every replica is optimised as torch.optim.Adam with ReduceLROnPlateau would alone, also after others left."""

import pytest
import torch
from torch import Tensor, nn

from rethinking.training.optimiser import adam_step, clip, plain_adam_step
from rethinking.training.parameters import ParameterRows
from rethinking.training.settings import TrainerConfig
from rethinking.training.state import GroupState

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


def quadratic(model: nn.Module, scale: Tensor, target: Tensor) -> Tensor:
    """A random problem for each replica: Σ scale (w − target)² over both parameters."""
    weights = torch.cat([model.first.flatten(1), model.second.flatten(1)], dim=1)
    return (scale * (weights - target) ** 2).sum(dim=1)


@pytest.mark.usefixtures("double")
@pytest.mark.parametrize("higher_is_better", [True, False])
def test_equals_adam_and_plateau_alone(higher_is_better: bool) -> None:
    torch.manual_seed(0)
    replicas, size = 4, 2 * 3 + 5
    scale, target = torch.rand(replicas, size) + 0.1, torch.randn(replicas, size)
    # What the schedule sees: better and better, with noise, so that every replica decays at other epochs.
    scores = torch.rand(30, replicas) + 0.1 * torch.arange(30)[:, None] * torch.arange(replicas)
    if not higher_is_better:
        scores = 1 / (1 + scores)
    model = nn.Module()
    model.first = nn.Parameter(torch.randn(replicas, 2, 3))
    model.second = nn.Parameter(torch.randn(replicas, 5))
    rows = ParameterRows(model)
    state = GroupState.start(range(replicas), rows.copy(), {}, ["all"], CONFIG.learning_rate, higher_is_better)

    expected, rates = [], []
    for r in range(replicas):
        weight = nn.Parameter(state.parameters[r].clone())
        optimizer = torch.optim.Adam([weight], lr=CONFIG.learning_rate)
        mode = "max" if higher_is_better else "min"
        schedule = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, mode, 0.5, 1, min_lr=1e-4)
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

    grads = rows.bind(state.parameters, state.buffers)
    for epoch in range(30):
        if epoch == 10:  # replicas 0 and 2 leave
            state.keep([1, 3])
            grads = rows.bind(state.parameters, state.buffers)
        grads.zero_()
        quadratic(model, scale[state.seeds], target[state.seeds]).sum().backward()
        adam_step(state.parameters, grads, **state.moments["all"], rates=state.learning_rate)
        state.end_epoch({}, scores[epoch, state.seeds], {}, higher_is_better, CONFIG)
        for row, seed in zip(state.parameters, state.seeds, strict=True):
            assert torch.allclose(row, expected[seed][epoch], atol=1e-13)
    assert state.learning_rate.tolist() == [rates[seed] for seed in state.seeds] == [rates[1], rates[3]]


def test_parameters_of_fewer_rows_get_gradients_while_an_older_graph_is_alive() -> None:
    """Whatever holds it: an exception that was caught keeps the frames of all its callers."""
    model = nn.Module()
    model.first = nn.Parameter(torch.ones(3, 2))
    rows = ParameterRows(model)
    rows.bind(rows.copy(), {})
    older = model.first.sum()
    older.backward()
    grads = rows.bind(torch.ones(1, 2), {})
    (2 * model.first.sum()).backward()
    assert grads.tolist() == [[2.0, 2.0]]
    assert older.grad_fn is not None


def some_step(kind: torch.dtype) -> dict[str, Tensor]:
    """The arguments of a step in the midst of training, for three replicas with rates and step counts of their own."""
    generator = torch.Generator().manual_seed(0)
    values, grads, first, second = torch.randn(4, 3, 37, dtype=kind, generator=generator)
    grads[1, 5:9], first[1, 5:9], second[1, 5:9] = 0, 0, 0
    return {
        "values": values,
        "grads": grads,
        "first": first,
        "second": second.square(),
        "steps": torch.tensor([0.0, 7.0, 3000.0], dtype=torch.double),
        "rates": torch.tensor([1e-3, 1e-2, 1e-5], dtype=torch.double),
    }


@pytest.mark.parametrize(("kind", "tolerance"), [(torch.float, 1e-6), (torch.double, 1e-14)])
def test_the_compiled_form_equals_the_plain_one(kind: torch.dtype, tolerance: float) -> None:
    compiled, plain, before = some_step(kind), some_step(kind), some_step(kind)
    adam_step(**compiled)
    plain_adam_step(**plain)
    for name, value in compiled.items():
        assert torch.allclose(value, plain[name], rtol=tolerance, atol=tolerance), name
    assert (compiled["values"] != before["values"]).float().mean() > 0.9
    for step in (compiled, plain):
        # Neither gradient nor moments: what a phase does not move.
        assert torch.equal(step["values"][1, 5:9], before["values"][1, 5:9])


def test_it_says_what_it_writes_to() -> None:
    """Torch's own check of a custom operator: schema, aliases, shapes without numbers."""
    torch.library.opcheck(adam_step, tuple(some_step(torch.float).values()))


def test_a_row_that_is_not_finite_stays_alone() -> None:
    step, alone = some_step(torch.float), some_step(torch.float)
    step["grads"][1] = torch.nan
    for arguments in (step, alone):
        adam_step(**arguments)
    assert step["values"][1].isnan().all()
    assert torch.equal(step["values"][[0, 2]], alone["values"][[0, 2]])


@pytest.mark.usefixtures("double")
def test_clipping_equals_torchs_for_each_replica_alone() -> None:
    torch.manual_seed(0)
    gradients = torch.randn(3, 6) * torch.tensor([[0.1], [1.0], [10.0]])
    clipped = gradients.clone()
    clip(clipped, 2.0)
    for replica in range(3):
        weight = nn.Parameter(torch.zeros(6))
        weight.grad = gradients[replica].clone()
        torch.nn.utils.clip_grad_norm_([weight], 2.0)
        assert torch.allclose(clipped[replica], weight.grad, rtol=1e-13)
    assert torch.equal(clipped[0], gradients[0])
