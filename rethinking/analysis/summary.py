"""The table that a sweep ends in: every cell it trained, and each variant against the learned one."""

from collections.abc import Sequence
from string import ascii_lowercase
from typing import Any

from rich.console import Console
from rich.table import Table

from rethinking.analysis.pairs import same_arguments
from rethinking.analysis.questions import question
from rethinking.analysis.scores import Scores
from rethinking.analysis.settings import differing
from rethinking.analysis.statistics import summarise
from rethinking.analysis.tidy import tidy
from rethinking.configuration.composition import LEARNED
from rethinking.configuration.identity import identity
from rethinking.configuration.settings import Settings
from rethinking.data.load import load
from rethinking.runs.identity import cell_id, run_id
from rethinking.runs.store import Entry, RunStore, State
from rethinking.tasks.task import Unit

LOCAL = LEARNED


def states_of(jobs: Sequence[Settings]) -> set[State]:
    """The states of a sweep's runs in the store."""
    return {entry.state for job in jobs for entry in _entries(job)}


def print_summary(jobs: Sequence[Settings]) -> None:
    """Print mean ± standard deviation of every cell of a sweep, from the store."""
    entries = {id(job): _entries(job) for job in jobs}
    scores = {id(job): _scores(job, entries[id(job)]) for job in jobs}
    settings = _what_differs(jobs)
    # Settings can be long, so a letter stands for them and they are listed below.
    letters = {text: letter for text, letter in zip(dict.fromkeys(settings), ascii_lowercase, strict=False)}
    letters |= {text: text for text in settings if text not in letters}
    own_letters = {id(job): letters[text] for job, text in zip(jobs, settings, strict=True)}
    console = Console(markup=False)
    table = Table(title="Test scores", title_style="bold", title_justify="left")
    for heading in ("data set", "family", "variant", "seeds", "mean ± std"):
        table.add_column(heading, no_wrap=console.width >= 80)
    table.add_column(f"minus {LOCAL} [{question().confidence:.0%}]")
    if any(settings):
        table.add_column("with")
    order = sorted(range(len(jobs)), key=lambda j: (jobs[j].cell.dataset.name, jobs[j].cell.family))
    for job, differs in [(jobs[j], settings[j]) for j in order]:
        unit, values = scores[id(job)]
        summary = summarise(values.values.to_numpy()) if len(values) else None
        table.add_row(
            job.cell.dataset.title,
            job.cell.family,
            job.cell.variant,
            f"{len(values)}/{len(job.seeds)}",
            unit.show(summary.mean, summary.std) if summary else "—",
            _against_local(job, own_letters, jobs, scores),
            *([letters[differs]] if any(settings) else []),
        )
    console.print(table)
    if any(settings):
        for text, letter in letters.items():
            console.print(f"{letter}: {text}", highlight=False, soft_wrap=True)
    folders = ", ".join(sorted({str(job.runs) for job in jobs}))
    console.print(
        "Score at each seed's best validation epoch. Last column: mean paired difference and its interval.\n"
        f"Every run's scores, learning curve, predictions and provenance lie in {folders}/",
        highlight=False,
        soft_wrap=True,
    )


def _against_local(
    job: Settings, letters: dict[int, str], jobs: Sequence[Settings], scores: dict[int, tuple[Unit, Scores]]
) -> str:
    """This cell minus the learned variant of the same sweep, where the two differ in nothing else.

    Where there are several such, as this one lacks an argument that they have, a line for each, with its letter.
    """
    if job.cell.variant == LOCAL:
        return ""
    fitting = [
        other
        for other in jobs
        if other.cell.variant == LOCAL
        and _shared(other) == _shared(job)
        and same_arguments(other.cell.select, job.cell.select)
    ]
    unit, values = scores[id(job)]
    lines = []
    for other in fitting:
        d = values.minus(scores[id(other)][1])
        text = unit.interval(d.mean, *d.interval(question().confidence)) if d else "—"
        lines.append(f"{text} ({letters[id(other)]})" if len(fitting) > 1 else text)
    return "\n".join(lines)


def _shared(job: Settings) -> dict[str, Any]:
    """All of a cell but its variant."""
    return identity(job.cell, None) | {"variant": None, "select": None}


def _entries(job: Settings) -> list[Entry]:
    cell = cell_id(job.cell, load(job.cell.dataset, job.places).fingerprint)
    return [RunStore(job.runs).entry(run_id(cell, seed)) for seed in job.seeds]


def _scores(job: Settings, entries: Sequence[Entry]) -> tuple[Unit, Scores]:
    """The unit, and the test scores of the job's finished seeds."""
    task = job.cell.task()
    runs = tidy([entry for entry in entries if entry.state == "done"])
    chosen = runs[(runs["split"] == "test") & (runs["metric"] == task.metric)]
    values = task.unit.scale * chosen.set_index("seed")["value"].astype(float)
    return task.unit, Scores(values)


def _what_differs(jobs: Sequence[Settings]) -> list[str]:
    """What tells each job from those of the same family, variant and data set."""
    texts: dict[int, str] = {}
    for title in {job.cell.title for job in jobs}:
        alike = [j for j, job in enumerate(jobs) if job.cell.title == title]
        texts |= dict(zip(alike, differing([identity(jobs[j].cell, "") for j in alike]), strict=True))
    return [texts[j] for j in range(len(jobs))]
