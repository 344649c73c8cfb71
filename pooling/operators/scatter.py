"""What torch-geometric-pool takes from torch_scatter, in plain torch: for where torch_scatter cannot be installed.

This module is then found by that name. Signatures and results are those of torch_scatter 2.1, as far as
torch-geometric-pool 1.0 calls it: `out`, if given, takes part in the reduction and is written in place.
"""

import importlib.util
import sys

import torch
import torch_geometric.typing  # noqa: F401  (it looks for torch_scatter itself, and must not take this for the real one)
from torch import Tensor

# By torch_scatter's name of a reduction, torch's.
_REDUCTIONS = {"sum": "sum", "add": "sum", "mul": "prod", "mean": "mean", "min": "amin", "max": "amax"}


def stand_in_where_missing() -> None:
    """Let `import torch_scatter` find this module, unless there is the real one."""
    if "torch_scatter" not in sys.modules and importlib.util.find_spec("torch_scatter") is None:
        sys.modules["torch_scatter"] = sys.modules[__name__]


def scatter(
    src: Tensor,
    index: Tensor,
    dim: int = -1,
    out: Tensor | None = None,
    dim_size: int | None = None,
    reduce: str = "sum",
) -> Tensor:
    """Reduce the entries of src that have the same index. src: […, E, …], index: the same, or [E] along dim.

    Returns […, dim_size, …]; where nothing goes it is 0, or 1 for products.
    """
    dim, index = dim % src.dim(), _along(index, dim, src)
    taking_part = out is not None
    if out is None:
        size = list(src.shape)
        size[dim] = dim_size if dim_size is not None else int(index.max()) + 1 if index.numel() else 0
        out = src.new_ones(size) if reduce == "mul" else src.new_zeros(size)
    return out.scatter_reduce_(dim, index, src, _REDUCTIONS[reduce], include_self=taking_part)


def scatter_add(
    src: Tensor, index: Tensor, dim: int = -1, out: Tensor | None = None, dim_size: int | None = None
) -> Tensor:
    """The sums of entries with the same index; see `scatter`."""
    return scatter(src, index, dim, out, dim_size, "sum")


def scatter_mul(
    src: Tensor, index: Tensor, dim: int = -1, out: Tensor | None = None, dim_size: int | None = None
) -> Tensor:
    """The products of entries with the same index; see `scatter`."""
    return scatter(src, index, dim, out, dim_size, "mul")


def scatter_min(
    src: Tensor, index: Tensor, dim: int = -1, out: Tensor | None = None, dim_size: int | None = None
) -> tuple[Tensor, Tensor]:
    """The smallest entries with the same index, and where they were in src; the number of entries for nowhere."""
    return _extreme(src, index, dim, out, dim_size, "min")


def scatter_max(
    src: Tensor, index: Tensor, dim: int = -1, out: Tensor | None = None, dim_size: int | None = None
) -> tuple[Tensor, Tensor]:
    """The largest entries with the same index, and where they were in src; the number of entries for nowhere."""
    return _extreme(src, index, dim, out, dim_size, "max")


def _extreme(
    src: Tensor, index: Tensor, dim: int, out: Tensor | None, dim_size: int | None, reduce: str
) -> tuple[Tensor, Tensor]:
    dim, index = dim % src.dim(), _along(index, dim, src)
    found = scatter(src, index, dim, out, dim_size, reduce)
    entries = src.shape[dim]
    place = _along(torch.arange(entries, device=src.device), dim, src)
    place = place.masked_fill(src != found.gather(dim, index), entries)
    where = torch.full(found.shape, entries, dtype=torch.long, device=src.device)
    return found, where.scatter_reduce_(dim, index, place, "amin")


def _along(values: Tensor, dim: int, src: Tensor) -> Tensor:
    """values: as src, or one for each place along dim. Returns them in the shape of src."""
    if values.dim() == 1:
        values = values.view([-1 if axis == dim % src.dim() else 1 for axis in range(src.dim())])
    return values.expand_as(src)
