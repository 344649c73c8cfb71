"""A cell: what is trained, as plain objects, and the network, task and split that it names."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hydra.utils import instantiate

from rethinking.data.dataset import GraphDataset
from rethinking.data.load import DatasetConfig
from rethinking.data.split import Splitter
from rethinking.tasks.task import Task
from rethinking.training.settings import TrainerConfig

if TYPE_CHECKING:
    from torch import nn

# What a row of the fidelity ledger can follow.
PAPER, RELEASED_CODE = "paper", "released_code"


@dataclass(frozen=True)
class Cell:
    """Family × variant × data set × the rest of the configuration, without the seed.

    network, select: Hydra targets with their arguments. is_local: whether the Select clusters nodes that are near each
    other, None if nobody says; no part of what names a run.
    """

    family: str
    variant: str
    fidelity: str
    dataset: DatasetConfig
    network: dict[str, Any]
    select: dict[str, Any]
    trainer: TrainerConfig
    is_local: bool | None

    @property
    def title(self) -> str:
        """The cell in words, without its numbers."""
        return f"{self.family} / {self.variant} / {self.dataset.name}"

    def build(self, dataset: GraphDataset, task: Task) -> "Callable[[int], nn.Module]":
        """The function that makes the network for a number of replicas."""
        from rethinking.models.inputs import DataShape  # Late: networks need torch, and most cells are only looked up.

        network = instantiate(self.network, _partial_=True)
        return lambda replicas: network(
            replicas=replicas,
            shape=DataShape(
                dataset.in_features,
                task.out_features(dataset),
                int(dataset.sizes.max()),
                dataset.fields,
                float(dataset.sizes.mean()),
            ),
            select=instantiate(self.select),
        )

    def task(self) -> Task:
        """What the model is trained for."""
        return instantiate(self.dataset.task)

    def splitter(self) -> Splitter:
        """What splits the data set for a seed."""
        return instantiate(self.dataset.split)
