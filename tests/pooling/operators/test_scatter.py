"""The stand-in for torch_scatter does what torch_scatter does, as loops over the entries show."""

import importlib.util
import sys
from types import ModuleType

import pytest
import torch
from torch import Tensor

from rethinking.pooling.operators import scatter

EMPTY = {"sum": 0, "add": 0, "mean": 0, "mul": 1, "min": 0, "max": 0}
REDUCED = {
    "sum": sum,
    "add": sum,
    "mean": lambda values: sum(values) / len(values),
    "mul": lambda values: torch.tensor(values).prod().item(),
    "min": min,
    "max": max,
}


def naive(src: Tensor, index: Tensor, size: int, reduce: str, out: Tensor | None = None) -> Tensor:
    """src: [E, F], index: [E]. Returns [size, F]."""
    result = torch.empty(size, src.shape[1], dtype=src.dtype)
    for row in range(size):
        for column in range(src.shape[1]):
            values = [] if out is None else [out[row, column].item()]
            values += [src[entry, column].item() for entry in range(len(src)) if index[entry] == row]
            result[row, column] = REDUCED[reduce](values) if values else EMPTY[reduce]
    return result


@pytest.fixture
def entries() -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    return torch.randn(9, 2, dtype=torch.double), torch.tensor([0, 2, 2, 5, 0, 2, 4, 4, 0])


@pytest.mark.parametrize("reduce", EMPTY)
def test_equals_loops(entries: tuple[Tensor, Tensor], reduce: str) -> None:
    src, index = entries
    torch.testing.assert_close(scatter.scatter(src, index, dim=0, reduce=reduce), naive(src, index, 6, reduce))
    found = scatter.scatter(src, index, dim=0, dim_size=8, reduce=reduce)
    torch.testing.assert_close(found, naive(src, index, 8, reduce))
    across = scatter.scatter(src.t(), index, reduce=reduce)
    torch.testing.assert_close(across, naive(src, index, 6, reduce).t())


@pytest.mark.parametrize("reduce", ["add", "mul", "min", "max"])
def test_out_takes_part_and_is_written_in_place(entries: tuple[Tensor, Tensor], reduce: str) -> None:
    src, index = entries
    out = torch.full((7, 2), 0.5, dtype=torch.double)
    wanted = naive(src, index, 7, reduce, out)
    getattr(scatter, f"scatter_{reduce}")(src, index, dim=0, out=out)
    torch.testing.assert_close(out, wanted)


@pytest.mark.parametrize("kind", [torch.uint8, torch.int32, torch.long, torch.float])
def test_whole_numbers(kind: torch.dtype) -> None:
    src, index = torch.tensor([[3], [1], [2]], dtype=kind), torch.tensor([1, 1, 0])
    for reduce in ("add", "mul", "min", "max"):
        torch.testing.assert_close(scatter.scatter(src, index, 0, reduce=reduce), naive(src, index, 2, reduce))


def test_extremes_say_where_they_were(entries: tuple[Tensor, Tensor]) -> None:
    src, index = entries
    for function in (scatter.scatter_min, scatter.scatter_max):
        found, where = function(src, index, dim=0)
        used = torch.isin(torch.arange(6), index)
        assert (where[~used] == len(src)).all()
        torch.testing.assert_close(src.gather(0, where[used]), found[used])


def test_gradients(entries: tuple[Tensor, Tensor]) -> None:
    src, index = entries
    for reduce in ("sum", "mean", "mul", "min", "max"):
        wanted = src.clone().requires_grad_()
        assert torch.autograd.gradcheck(lambda x, r=reduce: scatter.scatter(x, index, dim=0, reduce=r), wanted)


def test_no_entries() -> None:
    nothing = torch.zeros(0, dtype=torch.long)
    assert scatter.scatter(torch.zeros(0), nothing, reduce="min").shape == (0,)
    assert scatter.scatter(torch.zeros(0), nothing, dim_size=3, reduce="max").tolist() == [0, 0, 0]


def test_stands_in_only_where_the_real_one_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    real = ModuleType("torch_scatter")
    monkeypatch.setitem(sys.modules, "torch_scatter", real)
    scatter.stand_in_where_missing()
    assert sys.modules["torch_scatter"] is real
    monkeypatch.delitem(sys.modules, "torch_scatter")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    scatter.stand_in_where_missing()
    assert sys.modules["torch_scatter"] is scatter
