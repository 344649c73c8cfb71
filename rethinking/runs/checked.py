"""Files of tensors, numbers and texts, under a checksum: what is read is data, and what was written."""

import hashlib
import io
from pathlib import Path
from typing import Any

import torch

from rethinking.errors import UserError
from rethinking.runs.replacement import replaced_file

DIGEST = 64


def write_checked(path: Path, content: Any) -> None:
    """Write it as a whole, the SHA-256 of what follows first. Raises OSError if it cannot be written."""
    stream = io.BytesIO()
    torch.save(content, stream)
    payload = stream.getvalue()
    path.parent.mkdir(parents=True, exist_ok=True)
    with replaced_file(path) as part:
        part.write_bytes(hashlib.sha256(payload).hexdigest().encode() + payload)


def read_checked(path: Path) -> Any:
    """What was written, on the CPU. Raises OSError if it cannot be read, UserError if it is not as it was written."""
    content = path.read_bytes()
    digest, payload = content[:DIGEST], content[DIGEST:]
    if digest != hashlib.sha256(payload).hexdigest().encode():
        raise UserError(f"{path} is not as it was written")
    try:
        return torch.load(io.BytesIO(payload), weights_only=True, map_location="cpu")
    except Exception as error:  # torch lets through whatever it meets in a file that is none of its own.
        raise UserError(f"{path} holds no tensors, numbers and texts: {error}") from error
