"""What is painted in which colour, the same in all pictures, and how far axes go: `conf/figures.yaml`."""

from functools import cache
from typing import Any
from zlib import crc32

from matplotlib.colors import to_rgb

from rethinking.analysis.inference.verdicts import Finding, Verdict
from rethinking.own_files import own_file

Colour = tuple[float, float, float]

INK: Colour = (0.2, 0.2, 0.2)
UNDECIDED: Colour = (0.55, 0.55, 0.55)
MARGIN: Colour = (0.9, 0.9, 0.9)


def variant_colour(variant: str) -> Colour:
    """The colour of a variant; of one that the configuration does not name, by its name."""
    named, others = _conf()["variants"], _conf()["others"]
    return to_rgb(named.get(variant) or others[crc32(variant.encode()) % len(others)])


def verdict_look(verdict: Verdict) -> tuple[Colour, str]:
    """The colour of a verdict, grey where nothing is decided, and its marker, which points to what is better."""
    if not verdict.decided:
        return UNDECIDED, "o"
    colours = _conf()["verdicts"]
    if verdict.finding in (Finding.EQUIVALENT, Finding.NOT_WORSE):
        return to_rgb(colours[str(verdict.finding)]), "o" if verdict.finding == Finding.EQUIVALENT else "s"
    return to_rgb(colours["non-local better" if verdict.other else "local better"]), ">" if verdict.other else "<"


def reach() -> float:
    """How many margins the axis of verdicts shows at most on either side."""
    return float(_conf()["reach"])


@cache
def _conf() -> dict[str, Any]:
    return own_file("figures")
