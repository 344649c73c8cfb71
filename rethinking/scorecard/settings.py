"""`conf/scorecard.yaml`: the numbers of each experiment."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from rethinking import paths


@dataclass(frozen=True)
class FitSettings:
    """How long something is trained on one graph, a step an epoch.

    epsilon: of Adam. patience: how many steps without an improvement by more than `tolerance` end it, and `most_steps`
    at the latest; None for no limit.
    """

    learning_rate: float
    epsilon: float
    patience: int
    tolerance: float
    most_steps: int | None


@dataclass(frozen=True)
class AutoencoderSettings:
    """`autoencoder`. graphs: by name, those of the publication. ratio: of clusters to nodes."""

    graphs: Sequence[str]
    runs: int
    ratio: float
    hidden: int
    fit: FitSettings


@dataclass(frozen=True)
class SpectralSettings:
    """`spectral`. eigenvectors: how many are signals. threshold: of the weight of an edge. squared: see `distance`."""

    graphs: Sequence[str]
    runs: int
    ratio: float
    eigenvectors: int
    squared: bool
    threshold: float
    fit: FitSettings


@dataclass(frozen=True)
class ExpressiveSettings:
    """`expressive`. data: arguments of `read_wl_pairs`. validation: the share of graphs; as many are for the test."""

    tolerance: float
    data: dict[str, Any]
    runs: int
    validation: float
    ratio: float
    hidden: int
    dropout: float
    learning_rate: float
    epochs: int
    batch_size: int


@dataclass(frozen=True)
class CostSettings:
    """`cost`. nodes: of each graph, in increasing order. neighbours: of a node. repeats: steps after the first."""

    nodes: Sequence[int]
    neighbours: int
    features: int
    ratio: float
    repeats: int
    seed: int


def section(name: str) -> dict[str, Any]:
    """A part of the file, as it stands there."""
    return yaml.safe_load((paths.CONF / "scorecard.yaml").read_text(encoding="utf-8"))[name]


def autoencoder_settings() -> AutoencoderSettings:
    """The first experiment's."""
    values = section("autoencoder")
    return AutoencoderSettings(**{**values, "fit": FitSettings(**values["fit"])})


def spectral_settings() -> SpectralSettings:
    """The second experiment's."""
    values = section("spectral")
    return SpectralSettings(**{**values, "fit": FitSettings(**values["fit"])})


def expressive_settings() -> ExpressiveSettings:
    """Those of the measure of expressiveness."""
    return ExpressiveSettings(**section("expressive"))


def cost_settings() -> CostSettings:
    """Those of the measure of time and memory."""
    return CostSettings(**section("cost"))
