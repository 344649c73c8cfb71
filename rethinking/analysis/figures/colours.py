"""What is painted in which colour, the same in all pictures: `conf/figures.yaml`."""

from functools import cache
from typing import Any
from zlib import crc32

import yaml
from matplotlib.colors import to_rgb

from rethinking import paths

Colour = tuple[float, float, float]

INK: Colour = (0.2, 0.2, 0.2)
UNDECIDED: Colour = (0.6, 0.6, 0.6)
MARGIN: Colour = (0.9, 0.9, 0.9)


def variant_colour(variant: str) -> Colour:
    """The colour of a variant; of one that the configuration does not name, by its name."""
    named, others = _conf()["variants"], _conf()["others"]
    return to_rgb(named.get(variant) or others[crc32(variant.encode()) % len(others)])


@cache
def _conf() -> dict[str, Any]:
    return yaml.safe_load((paths.CONF / "figures.yaml").read_text(encoding="utf-8"))
