"""What a figure needs of trained networks beyond their scores, from the saved weights of runs."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from rethinking.analysis.tidy import Results
from rethinking.configuration.cell import Cell
from rethinking.data.dataset import GraphDataset, build_dataset
from rethinking.data.load import load
from rethinking.data.sources import Places
from rethinking.data.split import Split
from rethinking.errors import UserError
from rethinking.randomness import stream
from rethinking.runs.identity import run_id
from rethinking.runs.reading import WEIGHTS
from rethinking.training.diagnostics import diagnose, look
from rethinking.training.group import ReplicaGroup


@dataclass(frozen=True)
class TrainedRun:
    """A run whose weights are in the store. epoch: that they are of."""

    cell: Cell
    cell_id: str
    seed: int
    epoch: int
    results: Results

    def network(self) -> tuple[nn.Module, GraphDataset, Split]:
        """With the saved weights; its data set, and the split of its seed.

        Raises UserError if the weights are damaged.
        """
        dataset = load(self.cell.dataset, Places(None, None))
        network = self.cell.build(dataset, self.cell.task())(1)
        run = run_id(self.cell_id, self.seed)
        try:
            network.load_state_dict(self.results.store.weights(run))
        except UserError:
            raise
        except Exception as error:  # Whatever somebody's file makes of torch's reader, which runs no code of it.
            path = self.results.store.folder / run / WEIGHTS
            reason = " ".join(str(error).split())[:200]
            raise UserError(
                f"{path} holds no weights of this network ({reason}); train it with save_model=true."
            ) from error
        return network, dataset, self.cell.splitter()(dataset, self.seed)


def all_with_weights(cell: Cell, results: Results) -> list[TrainedRun]:
    """The runs of a cell whose weights were saved, by seed."""
    known = results.cell_with_runs(cell)
    if known is None:
        return []
    found = []
    for seed in sorted(results.runs.loc[results.runs.cell_id == known, "seed"].unique()):
        run = run_id(known, int(seed))
        entry = results.store.read(run)
        if run in results.stored and WEIGHTS in entry.record["files"]:
            epoch = cell.trainer.weights_epoch(int(entry.record["best_epoch"]), int(entry.record["epochs"]))
            found.append(TrainedRun(cell, known, int(seed), epoch, results))
    return found


def with_weights(cell: Cell, results: Results) -> TrainedRun | None:
    """The first of `all_with_weights`."""
    return next(iter(all_with_weights(cell, results)), None)


def activations(run: TrainedRun, graphs: int) -> Sequence[tuple[np.ndarray, np.ndarray]]:
    """Node features of the first test graphs before and after the first pooling layer: [nodes, F], [clusters, F']."""
    network, dataset, split = run.network()
    ((_, seen),) = look(network, dataset, split.test[:graphs], run.seed, run.epoch, graphs)
    return [(seen[0].before(g), seen[0].after(g)) for g in range(graphs)]


def cosine_distances(run: TrainedRun) -> tuple[float, float]:
    """The mean cosine distance of two nodes' features before and after the first pooling layer, over test graphs."""
    network, dataset, split = run.network()
    measures = diagnose(network, dataset, split.test, run.seed, run.epoch, None)
    return measures["pool1_before"], measures["pool1_after"]


def permuted_scores(run: TrainedRun, permutations: int) -> list[float]:
    """The score on the validation set: as it is, then with the nodes of every graph renumbered at random."""
    network, dataset, split = run.network()
    task = run.cell.task()
    scores = []
    for number in range(permutations + 1):
        numbered = renumbered(dataset, run.seed, number) if number else dataset
        group = ReplicaGroup(network, numbered, [split], [run.seed], task, run.cell.trainer, torch.device("cpu"))
        scores.append(float(group.evaluate("val", run.epoch, None)[1][0]))
    return scores


def renumbered(dataset: GraphDataset, seed: int, number: int) -> GraphDataset:
    """The same graphs, the nodes of each in another order; one order for each seed and number."""
    graph = np.repeat(np.arange(len(dataset)), dataset.sizes)
    order = np.lexsort((stream(seed, "permutation", number).random(len(graph)), graph))
    place = np.empty_like(order)
    place[order] = np.arange(len(order))
    edges = place[dataset.edge_index]
    return build_dataset(dataset.name, graph, edges, dataset.x[order], dataset.y, dataset.edge_fields, dataset.fields)
