"""Which device trains."""

import torch

from rethinking.errors import UserError


def choose_device(name: str) -> torch.device:
    """The device for `device=auto|cpu|cuda`. Raises UserError for cuda where there is none."""
    if name == "cuda" and not torch.cuda.is_available():
        raise UserError("device=cuda was asked for, but torch finds no CUDA device; use device=auto or device=cpu.")
    return torch.device("cuda" if name != "cpu" and torch.cuda.is_available() else "cpu")


def take_turns(number: int) -> None:
    """Give a job of a sweep, by its number, one of several GPUs, so that jobs beside each other have different ones.

    Where only one is visible (CUDA_VISIBLE_DEVICES, a batch system's share) it is that one.
    """
    count = torch.cuda.device_count()
    if count > 1:
        torch.cuda.set_device(number % count)
