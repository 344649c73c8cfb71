"""Reads NumPy archives, which may come from anywhere: plain arrays only, whole or not at all."""

import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from rethinking.errors import UserError


def read_arrays(path: Path, names: Sequence[str]) -> dict[str, np.ndarray]:
    """The arrays of an `.npz` file. Raises UserError if one is missing, or the file is damaged."""
    try:
        with np.load(path, allow_pickle=False) as archive:
            missing = [name for name in names if name not in archive]
            if missing:
                raise UserError(f"{path} has no {', '.join(missing)}; replace it by a whole copy.")
            return {name: archive[name] for name in names}
    except (zipfile.BadZipFile, zlib.error, ValueError, EOFError, OSError) as error:
        raise UserError(f"{path} is damaged ({error}); delete it or replace it by a whole copy.") from error
