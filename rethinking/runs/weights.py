"""The weights of a run in a file, as torch writes them; apart from the store, as no table needs torch."""

import io
from pathlib import Path

import torch
from torch import Tensor

from rethinking.errors import UserError


def read_weights(path: Path) -> dict[str, Tensor]:
    """What `write_weights` has written: the state of a network with one replica. Raises UserError for what is none."""
    if not path.is_file():
        raise UserError(f"{path} does not exist; train with save_model=true to have it.")
    try:
        weights = torch.load(path, weights_only=True, map_location="cpu")
        if not isinstance(weights, dict) or not all(isinstance(value, Tensor) for value in weights.values()):
            raise TypeError("expected tensors by name")
    except Exception as error:  # torch lets through whatever it meets in a file that is none of its own.
        raise UserError(f"{path} holds no weights; delete the run's folder to have it trained anew.") from error
    return weights


def write_weights(weights: dict[str, Tensor], path: Path) -> None:
    """Write them down. Raises OSError if they cannot be written."""
    # Through memory: torch's own writer does not say that a disk is full.
    content = io.BytesIO()
    torch.save(weights, content)
    path.write_bytes(content.getvalue())
