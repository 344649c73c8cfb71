"""How local the clusters of a run are: measured when it is finished, or later from its saved weights."""

import logging
from collections.abc import Callable
from typing import Any

from torch import Tensor

from rethinking.configuration.settings import Settings
from rethinking.data.dataset import GraphDataset
from rethinking.data.split import Split
from rethinking.errors import UserError
from rethinking.runs.outcome import Outcome, reason_of
from rethinking.runs.reading import WEIGHTS
from rethinking.runs.record import DIAGNOSTIC, head_of
from rethinking.runs.store import RunStore
from rethinking.training.diagnostics import diagnose, has_pools

log = logging.getLogger(__name__)

# In a record: on how many test graphs its clusters were measured.
DIAGNOSED = "diagnosed_graphs"
NO_WEIGHTS = (
    "their weights were not saved; save_model=true trains them again, keeps the weights, and measures them on "
    "diagnosed_graphs={graphs} test graphs"
)


def lacks_measures(record: dict[str, Any], graphs: int) -> bool:
    """Whether the clusters of a finished run were measured on fewer test graphs than are asked for now.

    Older records do not say on how many, if on any.
    """
    measured = record.get(DIAGNOSED)
    if measured is None:
        return graphs > 0 and not any(name.startswith(DIAGNOSTIC) for name in record)
    return graphs > measured


def measures_of(
    settings: Settings, dataset: GraphDataset, split: Split, seed: int, weights: dict[str, Tensor], epoch: int
) -> dict[str, float] | None:
    """Measures of a run's assignments on its first test graphs; empty where none can be seen, None where that failed.

    weights: those of the epoch.
    """
    try:
        network = settings.cell.build(dataset, settings.cell.task())(1)
        network.load_state_dict(weights)
        graphs = split.test[: settings.diagnosed_graphs]
        return diagnose(network, dataset, graphs, seed, epoch, settings.evaluation_batch_size)
    except Exception as error:  # Somebody's own Select may return anything; the run is finished all the same.
        log.warning("The clusters of %s could not be measured (%s).", settings.cell.title, error)
        return None


def measured_on(settings: Settings, split: Split) -> dict[str, int]:
    """What a record says of the number of graphs."""
    return {DIAGNOSED: min(settings.diagnosed_graphs, len(split.test))}


def measure_finished(
    settings: Settings, dataset: GraphDataset, store: RunStore, outcome: Outcome, check: Callable[[], None]
) -> None:
    """Measure the finished runs that lack it, those whose weights were saved; nothing is trained.

    check: called for every run, to stop at Ctrl-C.
    """
    waiting, outcome.unmeasured = list(outcome.unmeasured), {}
    if not waiting or not has_pools(settings.cell.build(dataset, settings.cell.task())(1)):
        return
    for seed in waiting:
        check()
        split = settings.cell.splitter()(dataset, seed)
        head = head_of(settings.cell, outcome.cell_id, seed)
        record = store.read(head["run_id"]).record
        if not lacks_measures(record, len(split.test[: settings.diagnosed_graphs])):
            continue
        if WEIGHTS not in record.get("files", ()):
            outcome.unmeasured[seed] = NO_WEIGHTS.format(graphs=settings.diagnosed_graphs)
            continue
        try:
            with store.claim(head["run_id"], head) as mine:
                if not mine:
                    continue  # Another process has it, and measures it or trains it anew.
                epoch = settings.cell.trainer.weights_epoch(record["best_epoch"], record["epochs"])
                weights = store.weights(head["run_id"])
                measures = measures_of(settings, dataset, split, seed, weights, epoch)
                if measures is not None:
                    store.write_diagnostics(head["run_id"], measures, measured_on(settings, split))
                    outcome.measured.append(seed)
        except OSError as error:
            outcome.unmeasured[seed] = reason_of(error)
        except (UserError, LookupError, TypeError) as error:  # The record and the weights may be anything.
            outcome.unmeasured[seed] = str(error)
