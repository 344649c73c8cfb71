"""Draws stored runs, and trains them again as they were trained, into a store of their own that is gone at the end."""

import hashlib
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from rethinking.analysis.cells import StoredCell
from rethinking.analysis.retrained import Difference, Trained, difference, platforms_differ, tolerance
from rethinking.analysis.tidy import Results
from rethinking.configuration.cell import Cell
from rethinking.configuration.check import check
from rethinking.configuration.rebuilt import rebuilt
from rethinking.configuration.settings import Settings
from rethinking.data.load import load
from rethinking.data.sources import Places
from rethinking.errors import UserError
from rethinking.own_files import own_file
from rethinking.progress import JobProgress
from rethinking.runs.execute import execute
from rethinking.runs.identity import cell_id, run_id
from rethinking.runs.store import RunStore
from rethinking.runs.together import as_text, from_text

HERE = Places(None, None)
# What `conf/logger/none.yaml` names: nobody else is told of what is trained here.
NO_LOGGER = {"_target_": "rethinking.tracking.tracker.Tracker"}


@dataclass(frozen=True)
class Asked:
    """`conf/verify.yaml`."""

    sample: int
    first_epoch: float
    score: float
    fewest: int
    shown: int


def asked() -> Asked:
    """What the configuration asks."""
    return Asked(**own_file("verify"))


@dataclass(frozen=True)
class StoredRun:
    """A run that is to be trained again. group: the seeds that are trained for that, together."""

    results: Results
    cell: StoredCell
    seed: int
    group: Sequence[int]

    @property
    def name(self) -> str:
        """Its id."""
        return run_id(self.cell.id, self.seed)

    @cached_property
    def origin(self) -> Mapping[str, Any]:
        """Where it came from."""
        provenance = self.results.provenance
        rows = provenance[provenance["run_id"] == self.name]
        return {} if rows.empty else {str(key): value for key, value in rows.iloc[0].items()}

    @property
    def group_is_known(self) -> bool:
        """Whether these seeds are those that trained together then."""
        return sorted(self.group) == (_together(self.origin) or [])

    def stored(self) -> Trained:
        """What is stored of it. Raises UserError if anything lacks."""
        metric = self.cell.measure.metric
        history, predictions = self.results.history(self.cell.id), self.results.predictions(self.cell.id, self.seed)
        history = history[history["seed"] == self.seed].drop(columns="seed").reset_index(drop=True)
        predictions = predictions[predictions["seed"] == self.seed].drop(columns="seed")
        scores = self.results.scores(self.cell.id, metric)
        if history.empty or predictions.empty or self.seed not in scores.index:
            raise UserError("its learning curve, predictions or score is missing")
        return Trained(float(scores[self.seed]), history, predictions, self.origin)


def drawn(results: Results, seed: int, datasets: Sequence[str], families: Sequence[str]) -> list[StoredRun]:
    """All runs that have predictions, in an order that the seed draws; none hangs on which others there are.

    datasets, families: only these, if any are named. Raises UserError for one that no run is of.
    """
    cells = {id: cell for id, cell in results.cells.items() if not cell.older}
    for key, names, known in (
        ("data set", datasets, {cell.dataset for cell in cells.values()}),
        ("family", families, {cell.config["family"] for cell in cells.values()}),
    ):
        for name in names:
            if name not in known:
                raise UserError(f"No run is of the {key} {name}; expected one of {', '.join(sorted(known))}.")
    chosen = [
        StoredRun(results, cell, number, [number])
        for cell in cells.values()
        if (not datasets or cell.dataset in datasets) and (not families or cell.config["family"] in families)
        for number in sorted(results.seeds[cell.id])
    ]
    return sorted(chosen, key=lambda run: hashlib.sha256(f"{seed} {run.name}".encode()).digest())


def in_its_group(run: StoredRun) -> StoredRun:
    """The same run, to be trained with the seeds that it trained with, as far as they are known; else alone."""
    group = _together(run.origin)
    if group is None:
        # Records of earlier versions say how many they were: all of the cell, if that is as many.
        provenance = run.results.provenance
        of_cell = [run_id(run.cell.id, seed) for seed in sorted(run.results.seeds[run.cell.id])]
        replicas = provenance[provenance["run_id"].isin(of_cell)].get("replicas", pd.Series(dtype=float))
        group = sorted(run.results.seeds[run.cell.id]) if (replicas == len(of_cell)).all() else None
    return StoredRun(run.results, run.cell, run.seed, group if group and run.seed in group else [run.seed])


def trainable(run: StoredRun, splits: Path | None) -> Cell:
    """The cell of a run. Raises UserError, with the reason as half a sentence, if it cannot be had here."""
    cell = rebuilt(run.cell.config, splits)
    try:
        dataset = load(cell.dataset, HERE)
        fingerprint = dataset.fingerprint
    except UserError as error:
        raise UserError(f"its data set cannot be had: {str(error).removesuffix('.')}") from error
    if fingerprint != run.cell.fingerprint:
        raise UserError(f"its data set had the fingerprint {run.cell.fingerprint[:16]}, here it has {fingerprint}")
    if cell_id(cell, fingerprint) != run.cell.id:
        raise UserError("what is stored of its configuration gives another cell here")
    check(cell)
    return cell


def train_again(run: StoredRun, cell: Cell) -> dict[int, Trained]:
    """Train the group of a run as it was trained then. Returns what came out, by seed.

    Raises UserError, with the reason as half a sentence, if the run itself fails.
    """
    origin, task = run.origin, cell.task()
    with tempfile.TemporaryDirectory(prefix="rethinking-verify-") as folder:
        settings = Settings(
            cell=cell,
            seeds=list(run.group),
            device="cpu" if origin.get("device") == "cpu" else "auto",
            replicas=len(run.group),
            threads=_whole(origin.get("threads")) or 1,
            fast=str(origin.get("fast")) != "False",
            evaluation_batch_size=_whole(origin.get("evaluation_batch_size")),
            runs=Path(folder),
            retry_failed=False,
            save_model=False,
            diagnosed_graphs=0,
            checkpoint_minutes=0,
            logger=NO_LOGGER,
            places=HERE,
        )
        title, epochs = f"{cell.title}, seed {run.seed}", cell.trainer.max_epochs
        shown = task.metric, task.higher_is_better, task.unit.number
        with JobProgress(title, len(run.group), epochs, *shown) as progress:
            outcome = execute(settings, progress)
        if run.seed not in outcome.trained:
            reason = (outcome.failed | outcome.lost).get(run.seed, "it was not trained").strip().splitlines()[-1]
            raise UserError(f"it cannot be trained again: {reason}")
        store = RunStore(Path(folder))
        names = {seed: run_id(outcome.cell_id, seed) for seed in outcome.trained}
        records = {seed: store.read(name).record for seed, name in names.items()}
        return {
            seed: Trained(
                records[seed][f"test_{task.metric}"], store.history(name), store.predictions(name), records[seed]
            )
            for seed, name in names.items()
        }


def compared(run: StoredRun, again: Trained, asked: Asked) -> Difference:
    """The verdict on a run. Raises UserError if something of it is missing."""
    measure = run.cell.measure
    scores = run.results.scores(run.cell.id, measure.metric)
    allowed = tolerance(scores, measure.margin, asked.first_epoch, asked.score, asked.fewest)
    same = run.group_is_known and not platforms_differ(run.origin, again.origin)
    return difference(run.stored(), again, allowed, same)


def group_in_words(run: StoredRun) -> str:
    """With which seeds it is trained."""
    return "alone" if len(run.group) == 1 else f"with seeds {as_text(run.group)}"


def _together(origin: Mapping[str, Any]) -> list[int] | None:
    return from_text(origin.get("together"))


def _whole(value: Any) -> int | None:
    """A whole number of a record or a table; None for none."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value != value or not 1 <= value <= 10**6:
        return None
    return int(value)
