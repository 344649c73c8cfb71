"""Trains the runs of a cell that the store does not have yet."""

import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

import pandas as pd
import torch

from rethinking.configuration.settings import Settings
from rethinking.data.dataset import GraphDataset
from rethinking.data.load import load
from rethinking.data.split import Split
from rethinking.errors import UserError
from rethinking.operators import use_compiled, use_threads
from rethinking.progress import TrainingState
from rethinking.runs import provenance
from rethinking.runs.checkpoints import Checkpoint, Checkpoints, Saved
from rethinking.runs.claims import Claims
from rethinking.runs.identity import cell_id
from rethinking.runs.interrupts import Interrupts
from rethinking.runs.measured import measure_finished, measured_on, measures_of
from rethinking.runs.outcome import Outcome, is_of_surroundings
from rethinking.runs.predictions import predictions_of
from rethinking.runs.record import RunRecord, cell_record, head_of
from rethinking.runs.store import RunStore
from rethinking.runs.together import as_text
from rethinking.runs.told import Told
from rethinking.tracking.tracker import flat, tracker_of
from rethinking.training.device import choose_device
from rethinking.training.group import train_group
from rethinking.training.memory import is_out_of_memory, keep_freed_memory, limit_to_free_memory
from rethinking.training.sizes import NODES, in_equal_parts, replicas_at_once
from rethinking.training.state import GroupState, Replica

# Why fewer seeds than there are train together, where that was chosen here.
ENOUGH = f"more than {NODES:,} nodes in a step gain nothing"
NO_ROOM = "the memory has no room for more"

# Told after every epoch: the seeds that still train, and how many need no more work.
OnEpoch = Callable[[TrainingState, int], None]


class AllTakenError(Exception):
    """Another host has taken all runs of a group, as this process was silent for too long."""


def execute(settings: Settings, on_epoch: OnEpoch) -> Outcome:
    """Train what is missing of a job, group by group; finished runs are in the store as soon as they are done.

    A run that fails is recorded and does not stop the others; nor does one that cannot be written, which is not
    recorded, so that it is tried again. Finished runs whose clusters lack measures are measured if they can be.
    """
    device = choose_device(settings.device)
    use_threads(settings.threads)
    use_compiled(settings.fast)
    keep_freed_memory()
    store = RunStore(settings.runs)
    store.check_writable()
    dataset = load(settings.cell.dataset, settings.places)
    outcome = Outcome(settings.cell.title, cell_id(settings.cell, dataset.fingerprint))
    waiting = list(settings.seeds)
    checkpoints = Checkpoints(
        settings.runs, outcome.cell_id, outcome.title, {**provenance.program(), "fast": settings.fast},
        _platform(settings, device), 60 * settings.checkpoint_minutes,
    )  # fmt: skip
    most, why = len(waiting), ENOUGH
    if device.type == "cpu":
        most = replicas_at_once(dataset, settings.cell.trainer.batch_size)
    told = Told(tracker_of(settings.logger), outcome, _told_of(settings))
    while waiting:
        # With replicas=auto, what does not fit is tried again with fewer; so it must be told, not killed.
        limited = limit_to_free_memory() if settings.replicas is None and device.type == "cpu" else nullcontext()
        with Interrupts() as interrupts, Claims(settings, store, outcome) as claims, limited, told:
            size = settings.replicas or in_equal_parts(len(waiting), most)
            all_at_once = settings.replicas is not None or size == len(waiting)
            with store.alone(outcome.cell_id):
                saved = claims.take_saved(waiting, checkpoints, settings.replicas or most)
                if waiting and not claims.held:
                    claims.take(waiting, size)
            if waiting and not claims.held and not claims.some_are_left(waiting):
                outcome.elsewhere += waiting
                break
            try:
                if claims.held:
                    if not all_at_once:
                        outcome.together = len(claims.held), why
                    _train(claims, dataset, device, on_epoch, interrupts, checkpoints, saved, told)
            except UserError:
                raise
            except Exception as error:
                interrupts.check()
                if _may_need_less(error, claims):
                    waiting[:0] = claims.held
                    most, why = len(claims.held) // 2, NO_ROOM
                    continue
                for seed in list(claims.held):
                    _note(error, seed, claims)
    with Interrupts() as interrupts:
        measure_finished(settings, dataset, store, outcome, interrupts.check)
    return outcome


def _platform(settings: Settings, device: torch.device) -> dict[str, Any]:
    """On what the last digits of numbers depend, beside the program; as a record has it."""
    hardware = provenance.hardware(device)
    hardware.pop("peak_memory_mib")
    return {**hardware, "threads": settings.threads, "evaluation_batch_size": settings.evaluation_batch_size}


def _train(
    claims: Claims,
    dataset: GraphDataset,
    device: torch.device,
    on_epoch: OnEpoch,
    interrupts: Interrupts,
    checkpoints: Checkpoints,
    saved: Saved | None,
    told: Told,
) -> None:
    """Train the claimed runs together, as far as their splits allow, and write each when it is done.

    saved: where they go on from, if they were interrupted. Those done meanwhile train along, as the numbers of the
    others depend, in their last digits, on how many there are.
    """
    settings, outcome, cell = claims.settings, claims.outcome, claims.settings.cell
    task, splitter = cell.task(), cell.splitter()
    splits = {seed: splitter(dataset, seed) for seed in (saved.seeds if saved else claims.held)}
    where: dict[str, Any] = {}
    if saved:
        outcome.resumed.append((len(claims.held), saved.epoch))
        if unlike := checkpoints.elsewhere(saved):
            where = {"resumed_with_other": ",".join(unlike)}
    for together in _of_equal_sizes(splits):
        with _noting(together, claims, interrupts), checkpoints.of_group(together, saved) as checkpoint:
            interrupts.save = checkpoint.write

            def after_epoch(state: GroupState, checkpoint: Checkpoint = checkpoint) -> None:
                if not claims.some_are_held():
                    checkpoint.leave()
                    raise AllTakenError
                checkpoint.note(state)
                interrupts.check()
                claims.say(
                    {
                        "seeds": len(state.seeds), "epoch": state.epoch, "max_epochs": cell.trainer.max_epochs,
                        "seconds": round(checkpoint.elapsed, 1),
                    }
                )  # fmt: skip
                outcome.unsaved = checkpoint.problem
                told.after_epoch(state)
                on_epoch(state, outcome.settled)

            replicas = train_group(
                build=cell.build(dataset, task),
                dataset=dataset,
                splits=[splits[seed] for seed in together],
                seeds=together,
                task=task,
                config=cell.trainer,
                evaluation_batch_size=settings.evaluation_batch_size,
                device=device,
                on_epoch=after_epoch,
                save_weights=settings.save_model or settings.diagnosed_graphs > 0,
                resume=saved.state if saved else None,
            )
            try:
                for replica in replicas:
                    if claims.is_held(replica.seed):
                        how: dict[str, Any] = {"elapsed_seconds": round(checkpoint.elapsed, 3), **where}
                        group = saved.group if saved else together
                        how.update({"replicas": len(group), "together": as_text(group)})
                        how.update(provenance.hardware(device))
                        scores = _keep(claims, dataset, splits[replica.seed], replica, how, interrupts)
                        told.end(replica.seed, scores)
            except Exception:
                interrupts.check()  # Here, so that the checkpoint sees an interruption, not what was made of it.
                raise


@contextmanager
def _noting(seeds: Sequence[int], claims: Claims, interrupts: Interrupts) -> Iterator[None]:
    """Of a group that fails its own seeds do, not those of another that has yet to train.

    Raises what concerns all of them: UserError, AllTakenError, and want of memory that fewer seeds at once may help.
    """
    try:
        yield
    except (UserError, AllTakenError):
        raise
    except Exception as error:
        interrupts.check()
        if _may_need_less(error, claims):
            raise
        for seed in set(seeds) & claims.held.keys():
            _note(error, seed, claims)


def _may_need_less(error: Exception, claims: Claims) -> bool:
    """Whether memory is wanted and replicas=auto, as fewer seeds at once need less."""
    return is_out_of_memory(error) and claims.settings.replicas is None and len(claims.held) > 1


def _keep(
    claims: Claims, dataset: GraphDataset, split: Split, replica: Replica, how: dict[str, Any], interrupts: Interrupts
) -> dict[str, float]:
    """Write a replica that has left its group, and let its run go. Returns its scores, none if it is not done."""
    if replica.error:
        claims.fail(replica.seed, replica.error)
        return {}
    try:
        record = _record(claims, dataset, split, replica, how)
        claims.store.write_result(record)
    except OSError as error:
        # Of a group, only the run that cannot be written is lost.
        interrupts.check()
        claims.lose(replica.seed, error)
    except Exception as error:
        if is_out_of_memory(error):
            raise
        interrupts.check()
        _note(error, replica.seed, claims)
    else:
        claims.outcome.trained.append(replica.seed)
        claims.release(replica.seed)
        return record.scores
    return {}


def _record(claims: Claims, dataset: GraphDataset, split: Split, replica: Replica, how: dict[str, Any]) -> RunRecord:
    """What is kept of a finished replica. how: how it was trained, where `Replica` does not say it."""
    settings, cell = claims.settings, claims.settings.cell
    task = cell.task()
    best = replica.history[replica.best_epoch - 1]
    raw = {part: outputs.numpy() for part, outputs in (replica.predictions or {}).items()}
    measures = None
    if replica.weights is not None and settings.diagnosed_graphs:
        measures = measures_of(settings, dataset, split, replica.seed, replica.weights, replica.weights_epoch)
    return RunRecord(
        head=head_of(cell, claims.outcome.cell_id, replica.seed),
        cell=cell_record(cell, dataset.fingerprint, task.measure, cell.splitter().test_to_train),
        scores={name: value for name, value in best.items() if name not in ("epoch", "learning_rate")},
        history=pd.DataFrame(replica.history),
        predictions=predictions_of(task, task.targets(dataset), split, raw),
        diagnostics=measures or {},
        provenance={
            "best_epoch": replica.best_epoch,
            "epochs": len(replica.history),
            # Also where nothing can be seen, as in a black box: looking again would not help.
            **(measured_on(settings, split) if measures is not None else {}),
            "fingerprint": dataset.fingerprint,
            "seconds": round(replica.seconds, 3),
            "threads": settings.threads,
            "fast": settings.fast,
            "evaluation_batch_size": settings.evaluation_batch_size,
            "finished": datetime.now(UTC).isoformat(timespec="seconds"),
            **how,
            **provenance.software(),
        },
        weights=replica.weights if settings.save_model else None,
    )


def _told_of(settings: Settings) -> dict[str, Any]:
    """What a tracker is told of a cell."""
    cell = settings.cell
    parts = {"network": cell.network, "select": cell.select, "trainer": asdict(cell.trainer)}
    names = {"family": cell.family, "variant": cell.variant, "dataset": cell.dataset.name, "fidelity": cell.fidelity}
    return {**names, **flat(parts)}


def _note(error: Exception, seed: int, claims: Claims) -> None:
    """Sort out whether it is the run that failed or what is around it."""
    if is_of_surroundings(error):
        claims.lose(seed, error)
    else:
        reason = "Out of memory.\n" if is_out_of_memory(error) else ""
        claims.fail(seed, reason + "".join(traceback.format_exception(error)))


def _of_equal_sizes(splits: dict[int, Split]) -> list[list[int]]:
    """The seeds whose splits have equal sizes, group by group: replicas take the same steps."""
    groups: dict[tuple[int, ...], list[int]] = {}
    for seed, split in splits.items():
        groups.setdefault((len(split.train), len(split.val), len(split.test)), []).append(seed)
    return list(groups.values())
