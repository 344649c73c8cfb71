"""Trains the runs of a cell that the store does not have yet."""

import logging
import time
import traceback
from collections.abc import Callable
from contextlib import ExitStack, nullcontext
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime

import pandas as pd
import torch

from rethinking.configuration.cell import Cell
from rethinking.configuration.settings import Settings, choose_device
from rethinking.data.dataset import GraphDataset
from rethinking.data.load import load
from rethinking.data.split import Split
from rethinking.errors import UserError
from rethinking.progress import TrainingState
from rethinking.runs import provenance
from rethinking.runs.identity import cell_id, run_id
from rethinking.runs.interrupts import Interrupts
from rethinking.runs.predictions import predictions_of
from rethinking.runs.record import RunRecord, cell_record, head_of
from rethinking.runs.store import WEIGHTS, RunStore
from rethinking.training.diagnostics import diagnose
from rethinking.training.group import train_group
from rethinking.training.memory import is_out_of_memory, keep_freed_memory, limit_to_free_memory
from rethinking.training.state import Replica

log = logging.getLogger(__name__)


@dataclass
class Outcome:
    """What became of the seeds of a job.

    kept: finished before. trained: finished now. failed: seed → reason. elsewhere: another process has them.
    """

    title: str
    cell_id: str
    kept: list[int] = field(default_factory=list)
    trained: list[int] = field(default_factory=list)
    failed: dict[int, str] = field(default_factory=dict)
    elsewhere: list[int] = field(default_factory=list)

    @property
    def settled(self) -> int:
        """How many seeds need no more work here."""
        return len(self.kept) + len(self.trained) + len(self.failed) + len(self.elsewhere)

    def in_words(self, seeds: int) -> str:
        """The line that ends a job. seeds: how many were asked for."""
        parts = [f"{len(self.trained)} trained", f"{len(self.kept)} done before"]
        parts += [f"{len(self.failed)} FAILED"] if self.failed else []
        parts += [f"{len(self.elsewhere)} being trained by another process"] if self.elsewhere else []
        return f"{self.title}: {len(self.trained) + len(self.kept)}/{seeds} seeds done ({', '.join(parts)})"


# Told after every epoch: the seeds that still train, and how many need no more work.
OnEpoch = Callable[[TrainingState, int], None]


def execute(settings: Settings, on_epoch: OnEpoch) -> Outcome:
    """Train what is missing of a job, group by group; finished runs are in the store as soon as they are done.

    A run that fails is recorded and does not stop the others.
    """
    device = choose_device(settings.device)
    torch.set_num_threads(settings.threads)
    keep_freed_memory()
    store = RunStore(settings.runs)
    store.check_writable()
    dataset = load(settings.cell.dataset, settings.places)
    outcome = Outcome(settings.cell.title, cell_id(settings.cell, dataset.fingerprint))
    waiting = list(settings.seeds)
    size = settings.replicas or len(waiting)

    def after_epoch(state: TrainingState) -> None:
        interrupts.check()
        on_epoch(state, outcome.settled)

    while waiting:
        # With replicas=auto, what does not fit is tried again with fewer; so it must be told, not killed.
        limited = limit_to_free_memory() if settings.replicas is None and device.type == "cpu" else nullcontext()
        with Interrupts() as interrupts, _Claims(settings, store, outcome) as claims, limited:
            group = claims.take(waiting, size)
            try:
                if group:
                    _train(settings, dataset, group, device, store, outcome, claims, after_epoch)
            except UserError:
                raise
            except Exception as error:
                interrupts.check()
                if is_out_of_memory(error) and settings.replicas is None and len(claims.held) > 1:
                    # auto: fewer seeds at once need less memory.
                    waiting[:0] = claims.held
                    size = len(claims.held) // 2
                else:
                    reason = "Out of memory.\n" if is_out_of_memory(error) else ""
                    for seed in list(claims.held):
                        _fail(settings.cell, store, outcome, claims, seed, reason + traceback.format_exc())
    return outcome


class _Claims:
    """The runs of a job that this process holds; each is let go as soon as it is written."""

    def __init__(self, settings: Settings, store: RunStore, outcome: Outcome) -> None:
        self.settings = settings
        self.store = store
        self.outcome = outcome
        self.held: dict[int, ExitStack] = {}

    def __enter__(self) -> "_Claims":
        return self

    def __exit__(self, *error: object) -> None:
        for seed in list(self.held):
            self.release(seed)

    def take(self, waiting: list[int], size: int) -> list[int]:
        """Claim up to `size` of the seeds that wait, and sort out those that are done, failed or held elsewhere."""
        while waiting and len(self.held) < size:
            seed = waiting.pop(0)
            run = run_id(self.outcome.cell_id, seed)
            claim = ExitStack()
            if not claim.enter_context(self.store.claim(run, head_of(self.settings.cell, self.outcome.cell_id, seed))):
                self.outcome.elsewhere.append(seed)
                continue
            # Read under the claim: another process may just have finished it.
            entry = self.store.read(run)
            has_all = not self.settings.save_model or WEIGHTS in entry.record.get("files", ())
            if entry.state == "done" and has_all:
                self.outcome.kept.append(seed)
            elif entry.state == "failed" and not self.settings.retry_failed:
                self.outcome.failed[seed] = entry.problem
            else:
                self.held[seed] = claim
                continue
            claim.close()
        return list(self.held)

    def release(self, seed: int) -> None:
        """Let others have a run."""
        self.held.pop(seed).close()


def _train(
    settings: Settings,
    dataset: GraphDataset,
    seeds: list[int],
    device: torch.device,
    store: RunStore,
    outcome: Outcome,
    claims: _Claims,
    on_epoch: Callable[[TrainingState], None],
) -> None:
    cell = settings.cell
    task, splitter = cell.task(), cell.splitter()
    targets = task.targets(dataset)
    about = cell_record(cell, dataset.fingerprint, task.measure, splitter.test_to_train)
    started = time.perf_counter()
    splits = {seed: splitter(dataset, seed) for seed in seeds}
    replicas = (
        (replica, len(together))
        for together in _of_equal_sizes(splits)
        for replica in train_group(
            build=cell.build(dataset, task),
            dataset=dataset,
            splits=[splits[seed] for seed in together],
            seeds=together,
            task=task,
            config=cell.trainer,
            evaluation_batch_size=settings.evaluation_batch_size,
            device=device,
            on_epoch=on_epoch,
            save_weights=settings.save_model or settings.diagnosed_graphs > 0,
        )
    )
    for replica, beside in replicas:
        if replica.error:
            _fail(cell, store, outcome, claims, replica.seed, replica.error)
            continue
        split = splits[replica.seed]
        best = replica.history[replica.best_epoch - 1]
        raw = {part: outputs.numpy() for part, outputs in (replica.predictions or {}).items()}
        record = RunRecord(
            head=head_of(cell, outcome.cell_id, replica.seed),
            cell=about,
            scores={name: value for name, value in best.items() if name not in ("epoch", "learning_rate")},
            history=pd.DataFrame(replica.history),
            predictions=predictions_of(task, targets, split, raw),
            diagnostics=_diagnostics(settings, dataset, replica, split),
            provenance={
                "best_epoch": replica.best_epoch,
                "epochs": len(replica.history),
                "fingerprint": dataset.fingerprint,
                "seconds": round(replica.seconds, 3),
                "elapsed_seconds": round(time.perf_counter() - started, 3),
                "replicas": beside,
                "threads": settings.threads,
                "finished": datetime.now(UTC).isoformat(timespec="seconds"),
                **provenance.hardware(device),
                **provenance.software(),
            },
            weights=replica.weights if settings.save_model else None,
        )
        store.write_result(record)
        outcome.trained.append(replica.seed)
        claims.release(replica.seed)


def _diagnostics(settings: Settings, dataset: GraphDataset, replica: Replica, split: Split) -> dict[str, float]:
    """Measures of the assignments of a finished run on its first test graphs, with the weights that a run keeps."""
    if replica.weights is None or not settings.diagnosed_graphs:
        return {}
    try:
        network = settings.cell.build(dataset, settings.cell.task())(1)
        network.load_state_dict(replica.weights)
        graphs = split.test[: settings.diagnosed_graphs]
        return diagnose(network, dataset, graphs, replica.seed, replica.weights_epoch, settings.evaluation_batch_size)
    except Exception as error:  # Somebody's own Select may return anything; the run is finished all the same.
        log.warning("The clusters of %s could not be measured (%s).", settings.cell.title, error)
        return {}


def _of_equal_sizes(splits: dict[int, Split]) -> list[list[int]]:
    """The seeds whose splits have equal sizes, group by group: replicas take the same steps."""
    groups: dict[tuple[int, ...], list[int]] = {}
    for seed, split in splits.items():
        groups.setdefault((len(split.train), len(split.val), len(split.test)), []).append(seed)
    return list(groups.values())


def _fail(cell: Cell, store: RunStore, outcome: Outcome, claims: _Claims, seed: int, reason: str) -> None:
    head = head_of(cell, outcome.cell_id, seed)
    outcome.failed[seed] = reason
    config = {"schema": head["schema"], "cell": asdict(cell), "seed": seed}
    try:
        store.write_failure(head["run_id"], config, head, reason)
    except OSError as error:
        # A full disk, say: the reason is still told, and the other runs go on.
        outcome.failed[seed] = f"{reason}\nThe failure could not be recorded: {error}"
    claims.release(seed)
