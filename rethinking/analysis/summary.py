"""The table that a sweep ends in: every cell it trained, and each variant against the learned one."""

from collections.abc import Sequence

import pandas as pd
from rich.console import Console
from rich.table import Table

from rethinking.analysis.statistics import summarise
from rethinking.analysis.tables import UNITS, Unit, compare_cells, difference_text
from rethinking.analysis.tidy import tidy
from rethinking.config import Settings
from rethinking.data.load import load
from rethinking.runs.identity import cell_id, run_id
from rethinking.runs.store import RunStore

LOCAL = "learned"


def print_summary(jobs: Sequence[Settings]) -> None:
    """Print mean ± standard deviation of every cell of a sweep, from the store."""
    scores = {id(job): _scores(job) for job in jobs}
    table = Table(title="Test scores", title_style="bold", title_justify="left")
    for heading in ("data set", "family", "variant", "seeds", "mean ± std", f"minus {LOCAL} [95 %]"):
        table.add_column(heading, no_wrap=True)
    for job in sorted(jobs, key=lambda job: (job.cell.dataset.name, job.cell.family)):
        unit, values = scores[id(job)]
        summary = summarise(values.to_numpy()) if len(values) else None
        table.add_row(
            job.cell.dataset.title,
            job.cell.family,
            job.cell.variant,
            f"{len(values)}/{len(job.seeds)}",
            unit.show(summary.mean, summary.std) if summary else "—",
            _against_local(job, jobs, scores),
        )
    console = Console()
    console.print(table)
    folders = ", ".join(sorted({str(job.runs) for job in jobs}))
    console.print(
        "Score at each seed's best validation epoch. Last column: mean paired difference and its interval.\n"
        f"Every run's scores, learning curve and provenance lie in {folders}/",
        highlight=False,
        soft_wrap=True,
    )


def _against_local(job: Settings, jobs: Sequence[Settings], scores: dict[int, tuple[Unit, pd.Series]]) -> str:
    """This cell minus the learned variant of the same sweep, where the two differ in nothing else."""
    if job.cell.variant == LOCAL:
        return ""
    for other in jobs:
        same = (other.cell.family, other.cell.dataset, other.cell.network, other.cell.trainer) == (
            job.cell.family,
            job.cell.dataset,
            job.cell.network,
            job.cell.trainer,
        )
        if other.cell.variant == LOCAL and same:
            unit, values = scores[id(job)]
            difference = compare_cells(job.cell, values, scores[id(other)][1])
            return difference_text(difference, unit.digits) if difference else "—"
    return ""


def _scores(job: Settings) -> tuple[Unit, pd.Series]:
    """The unit, and the test scores of the job's finished seeds, indexed by seed."""
    unit = next(unit for unit in UNITS.values() if unit.metric == job.cell.task().metric)
    cell = cell_id(job.cell, job.cell.dataset.fingerprint or load(job.cell.dataset, job.places).fingerprint)
    store = RunStore(job.runs)
    done = [entry for seed in job.seeds if (entry := store.read(run_id(cell, seed))).state == "done"]
    runs = tidy(done)
    chosen = runs[(runs["split"] == "test") & (runs["metric"] == unit.metric)]
    return unit, unit.scale * chosen.set_index("seed")["value"].astype(float)
