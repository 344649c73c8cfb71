"""`conf/scorecard.yaml`: the numbers of each experiment."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rethinking.errors import UserError
from rethinking.own_files import own_file
from rethinking.scorecard.card import COST, EXPRESSIVE, FEATURES, STRUCTURE, Part, kind_of


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


@dataclass(frozen=True)
class DrawnSettings:
    """`drawn`. edges: how many, the heaviest, are kept of a graph to draw it. eigenvalues: at most, of its spectrum."""

    edges: int
    eigenvalues: int


@dataclass(frozen=True)
class CardSettings:
    """A scorecard of one of the `sizes`. A measurement that is None is left out.

    tolerance: see `row_sums`. graphs: what makes each of those that are measured.
    """

    autoencoder: AutoencoderSettings
    spectral: SpectralSettings
    expressive: ExpressiveSettings | None
    cost: CostSettings | None
    tolerance: float
    drawn: DrawnSettings
    graphs: dict[str, Any]

    def is_whole(self, name: str, part: Part) -> bool:
        """Whether a part, by its name, has all its runs."""
        return part.runs >= self.runs_of(name)

    def runs_of(self, name: str) -> int:
        """How many numbers there are of each measure of a part when it is whole: runs, or of costs sizes."""
        expressive, cost = self.expressive, self.cost
        return {
            FEATURES: self.autoencoder.runs,
            STRUCTURE: self.spectral.runs,
            EXPRESSIVE: expressive.runs if expressive else 0,
            COST: len(cost.nodes) if cost else 0,
        }[kind_of(name)]


def section(name: str) -> Any:
    """A part of the file, as it stands there."""
    return _file()[name]


def card_settings(size: str) -> CardSettings:
    """The scorecard of this size. Raises UserError if there is none."""
    file = _file()
    sizes = file["sizes"]
    if size not in sizes:
        raise UserError(f"There is no scorecard of the size {size}; expected one of {', '.join(sizes)}.")
    changed = _merged(file, sizes[size])
    autoencoder, spectral = _autoencoder(changed["autoencoder"]), _spectral(changed["spectral"])
    return CardSettings(
        autoencoder,
        spectral,
        ExpressiveSettings(**changed["expressive"]) if changed["expressive"] else None,
        CostSettings(**changed["cost"]) if changed["cost"] else None,
        float(file["expressive"]["tolerance"]),
        DrawnSettings(**changed["drawn"]),
        {name: file["graphs"][name] for name in {*autoencoder.graphs, *spectral.graphs}},
    )


def _file() -> dict[str, Any]:
    return own_file("scorecard")


def _autoencoder(values: dict[str, Any]) -> AutoencoderSettings:
    return AutoencoderSettings(**{**values, "fit": FitSettings(**values["fit"])})


def _spectral(values: dict[str, Any]) -> SpectralSettings:
    return SpectralSettings(**{**values, "fit": FitSettings(**values["fit"])})


def _merged(values: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """With other values in the place of some, at any depth."""
    merged = dict(values)
    for key, change in changes.items():
        merged[key] = _merged(values[key], change) if isinstance(change, dict) else change
    return merged
