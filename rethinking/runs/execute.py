"""Trains the runs of a cell that the store does not have yet."""

import time
import traceback
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

import pandas as pd
import torch

from rethinking.config import Cell, Settings, choose_device
from rethinking.data.dataset import GraphDataset
from rethinking.data.load import load
from rethinking.errors import UserError
from rethinking.runs import provenance
from rethinking.runs.identity import SCHEMA, cell_id, run_id
from rethinking.runs.store import RunStore
from rethinking.training.group import train_group
from rethinking.training.memory import keep_freed_memory
from rethinking.training.replica import Replica


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


OnEpoch = Callable[[Sequence[Replica], Outcome], None]


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
    with ExitStack() as claims:
        seeds = _claim_missing(settings, store, outcome, claims)
        size = settings.replicas or max(len(seeds), 1)
        groups = [seeds[first : first + size] for first in range(0, len(seeds), size)]
        while groups:
            group = groups.pop(0)
            try:
                _train(settings, dataset, group, device, store, outcome, on_epoch)
            except (MemoryError, torch.OutOfMemoryError):
                left = [seed for seed in group if seed not in outcome.trained and seed not in outcome.failed]
                if settings.replicas is None and len(left) > 1:
                    # auto: fewer seeds at once need less memory.
                    half = len(left) // 2
                    groups[:0] = [left[:half], left[half:]]
                else:
                    _fail(settings.cell, store, outcome, left, "Out of memory.\n" + traceback.format_exc())
            except UserError:
                raise
            except Exception:
                left = [seed for seed in group if seed not in outcome.trained and seed not in outcome.failed]
                _fail(settings.cell, store, outcome, left, traceback.format_exc())
    return outcome


def _claim_missing(settings: Settings, store: RunStore, outcome: Outcome, claims: ExitStack) -> list[int]:
    """Sort the job's seeds into those that are done, failed or held elsewhere, and claim the rest."""
    missing = []
    for seed in settings.seeds:
        run = run_id(outcome.cell_id, seed)
        claim = ExitStack()
        if not claim.enter_context(store.claim(run, _head(settings.cell, outcome, seed))):
            outcome.elsewhere.append(seed)
            continue
        # Read under the claim: another process may just have finished it.
        entry = store.read(run)
        if entry.state == "done":
            outcome.kept.append(seed)
        elif entry.state == "failed" and not settings.retry_failed:
            outcome.failed[seed] = entry.problem
        else:
            missing.append(seed)
            claims.push(claim.pop_all())
        claim.close()
    return missing


def _train(
    settings: Settings,
    dataset: GraphDataset,
    seeds: list[int],
    device: torch.device,
    store: RunStore,
    outcome: Outcome,
    on_epoch: OnEpoch,
) -> None:
    cell = settings.cell
    task, splitter = cell.task(), cell.splitter()
    started = time.perf_counter()
    replicas = train_group(
        build=cell.build(dataset, task),
        dataset=dataset,
        splits=[splitter(dataset, seed) for seed in seeds],
        seeds=seeds,
        task=task,
        config=cell.trainer,
        evaluation_batch_size=settings.evaluation_batch_size,
        device=device,
        on_epoch=lambda group: on_epoch(group, outcome),
    )
    for replica in replicas:
        if replica.error:
            _fail(cell, store, outcome, [replica.seed], replica.error)
            continue
        scores = replica.history[replica.best_epoch - 1]
        record = {
            **_head(cell, outcome, replica.seed),
            "metric": task.metric,
            **{name: value for name, value in scores.items() if name not in ("epoch", "learning_rate")},
            "best_epoch": replica.best_epoch,
            "epochs": len(replica.history),
            "fingerprint": dataset.fingerprint,
            "seconds": round(replica.seconds, 3),
            "elapsed_seconds": round(time.perf_counter() - started, 3),
            "replicas": len(seeds),
            "threads": settings.threads,
            "finished": datetime.now(UTC).isoformat(timespec="seconds"),
            **provenance.hardware(device),
            **provenance.software(),
        }
        config = _config(cell, replica.seed, dataset.fingerprint)
        store.write_result(record["run_id"], config, record, pd.DataFrame(replica.history))
        outcome.trained.append(replica.seed)


def _fail(cell: Cell, store: RunStore, outcome: Outcome, seeds: list[int], reason: str) -> None:
    for seed in seeds:
        head = _head(cell, outcome, seed)
        store.write_failure(head["run_id"], _config(cell, seed, None), head, reason)
        outcome.failed[seed] = reason


def _head(cell: Cell, outcome: Outcome, seed: int) -> dict[str, Any]:
    return {
        "run_id": run_id(outcome.cell_id, seed),
        "cell_id": outcome.cell_id,
        "schema": SCHEMA,
        "family": cell.family,
        "variant": cell.variant,
        "dataset": cell.dataset.name,
        "fidelity": cell.fidelity,
        "seed": seed,
    }


def _config(cell: Cell, seed: int, fingerprint: str | None) -> dict[str, Any]:
    return {"schema": SCHEMA, "seed": seed, "fingerprint": fingerprint, "cell": asdict(cell)}
