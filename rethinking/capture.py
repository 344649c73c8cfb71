"""Steps recorded as CUDA graphs: the kernels of a step, started all at once, again and again at the same addresses.

Elsewhere a recorded step is the step itself, so that all but the few calls of CUDA's here is tested on a CPU. None of
those has ever run on a GPU; docs/design.md (Captured steps) says which lines they are.
"""

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from rethinking.operators import compiled_is_chosen

# How far a recorded step may be from the same step as it is, relative to the largest number of a row: sums are taken in
# any order on a GPU.
TOLERANCE = 1e-3


def pays(device: torch.device) -> bool:
    """Whether recorded steps are faster there, and the host has time to work ahead of it; never with `fast=false`."""
    return device.type == "cuda" and compiled_is_chosen()


def send(array: np.ndarray, to: Tensor) -> None:
    """Copy an array to a tensor of its shape, without waiting for the device."""
    source = torch.from_numpy(array)
    if to.is_cuda:
        source = source.pin_memory()
    to.copy_(source, non_blocking=True)


def new_pool(device: torch.device) -> Any:
    """Memory that recorded steps share, as one runs after the other; for `record`."""
    return torch.cuda.graph_pool_handle() if device.type == "cuda" else None


def record(
    step: Callable[[], None], changed: Sequence[Tensor], compared: Sequence[Tensor], pool: Any
) -> Callable[[], None]:
    """A function that does what `step` does, faster on a GPU.

    step: works on tensors at fixed addresses and needs no host (`rethinking/dry_run.py`). changed: all tensors that it
    changes; here they stay as they are. compared: those of them, [R, …], by which the recording is held against the
    step; where it differs, or cannot be made, there is a warning, and the step itself comes back.
    """
    before = [tensor.clone() for tensor in changed]
    # Twice: the first time libraries set themselves up.
    for _ in range(2):
        _restore(changed, before)
        _beside(step, changed[0].device)
    expected = [tensor.clone() for tensor in compared]
    _restore(changed, before)
    try:
        recorded = _recorded(step, changed[0].device, pool)
        recorded()
        alike = all(map(_alike, compared, expected))
    except RuntimeError as error:
        alike, reason = False, str(error).partition("\n")[0]
    else:
        reason = "it gives other numbers"
    _restore(changed, before)
    if alike:
        return recorded
    warnings.warn(f"A training step could not be recorded and is run as it is, which is slower: {reason}", stacklevel=2)
    return step


def _beside(step: Callable[[], None], device: torch.device) -> None:
    """The step on a stream of its own, as CUDA wants it before it is recorded."""
    if device.type != "cuda":
        step()
        return
    stream = torch.cuda.Stream(device)
    stream.wait_stream(torch.cuda.current_stream(device))
    with torch.cuda.stream(stream):
        step()
    torch.cuda.current_stream(device).wait_stream(stream)


def _recorded(step: Callable[[], None], device: torch.device, pool: Any) -> Callable[[], None]:
    if device.type != "cuda":
        return step
    graph = torch.cuda.CUDAGraph()
    # A thread lays out the next batches meanwhile; what it does is no part of this.
    with torch.cuda.graph(graph, pool=pool, capture_error_mode="thread_local"):
        step()
    return graph.replay


def _alike(result: Tensor, expected: Tensor) -> bool:
    result, expected = result.flatten(1) if result.dim() > 1 else result[:, None], expected.view(len(expected), -1)
    scale = expected.abs().amax(dim=1, keepdim=True)
    close = (result - expected).abs() <= TOLERANCE * scale
    return bool((close | (result == expected) | (result.isnan() & expected.isnan())).all())


def _restore(changed: Sequence[Tensor], values: Sequence[Tensor]) -> None:
    for tensor, value in zip(changed, values, strict=True):
        tensor.copy_(value)
