"""`rethinking verify`: are stored runs as they were written, and do they come out again?"""

import secrets
from collections.abc import Iterator, Sequence
from pathlib import Path

from rethinking.analysis.integrity import integrity
from rethinking.analysis.retrained import DIFFERS, EQUAL, WITHIN, Difference, Trained, platforms_differ
from rethinking.analysis.tidy import Results
from rethinking.analysis.verifying import (
    Asked,
    StoredRun,
    asked,
    compared,
    drawn,
    group_in_words,
    in_its_group,
    train_again,
    trainable,
)
from rethinking.commands.left_out import tell
from rethinking.commands.run import tell_compilation
from rethinking.configuration.cell import Cell
from rethinking.errors import UserError
from rethinking.operators import before_compilation

LARGEST = 10**6  # of the numbers that a draw is named after where none is given


def verify(
    folder: Path,
    sample: int | None,
    seed: int | None,
    exact: bool,
    splits: Path | None,
    datasets: Sequence[str],
    families: Sequence[str],
) -> int:
    """Check all files of a results folder or run store, then train a sample of its runs again and compare.

    Returns the exit status: 1 if anything is not as it was written or does not come out again.
    """
    question = asked()
    sample, seed = question.sample if sample is None else sample, secrets.randbelow(LARGEST) if seed is None else seed
    found = integrity(folder)
    order = drawn(found.results, seed, datasets, families) if sample else []
    _print_integrity(folder, found.files, found.problems, found.results, question.shown)
    if not sample:
        return 1 if found.problems else 0
    with before_compilation(tell_compilation):
        verdicts = _train_again(order, sample, exact, splits, question)
    print(_in_words(folder, verdicts, seed, question))
    return 1 if found.problems or not verdicts or DIFFERS in verdicts else 0


def _print_integrity(folder: Path, files: int, problems: Sequence[str], results: Results, shown: int) -> None:
    tell(problems[:shown])
    if len(problems) > shown:
        tell([f"… and {len(problems) - shown} more."])
    runs = results.runs["run_id"].nunique()
    said = f"{len(problems)} of these things are wrong" if problems else "all are as they were written"
    print(f"{folder}/: {files} files with checksums, {runs} runs with their scores, curves and predictions: {said}.")
    schema1 = [id for id, cell in results.cells.items() if cell.older]
    older = results.runs.loc[results.runs["cell_id"].isin(schema1), "run_id"].nunique()
    if older:
        print(f"{older} runs are of schema 1, without predictions; these are not trained again.")


def _train_again(
    order: Sequence[StoredRun], sample: int, exact: bool, splits: Path | None, question: Asked
) -> list[str]:
    """Train so many runs again, the first of these that can be had here, and print a line on each.

    Returns their verdicts.
    """
    verdicts: list[str] = []
    unlike: dict[str, None] = {}
    # Runs that trained together are trained again once.
    groups: dict[tuple[str, tuple[int, ...]], dict[int, Trained]] = {}
    for number, (run, cell) in enumerate(_trainable(order, sample, splits)):
        if not number:
            print(f"{'run':<18}{'stored':>9}{'again':>9}{'difference':>12}  {'from epoch':<12}verdict")
        run = in_its_group(run) if exact else run
        try:
            group = run.cell.id, tuple(run.group)
            if run.seed not in groups.get(group, {}):
                groups[group] = train_again(run, cell)
            again = groups[group][run.seed]
            result = compared(run, again, question)
        except (UserError, ValueError) as error:
            verdicts.append(DIFFERS)
            print(f"{run.name:<18}{DIFFERS}: {error}", flush=True)
            continue
        unlike |= dict.fromkeys(platforms_differ(run.origin, again.origin))
        verdicts.append(result.verdict)
        print(_line(run, cell, result), flush=True)
    if unlike:
        print(f"Not the same here as then, or not known of then: {', '.join(unlike)}.")
    return verdicts


def _trainable(order: Sequence[StoredRun], sample: int, splits: Path | None) -> Iterator[tuple[StoredRun, Cell]]:
    """The first runs that can be trained here, with their cells. Why others cannot is told once for each reason."""
    told: set[tuple[str, str]] = set()
    for run in order:
        if not sample:
            return
        try:
            cell = trainable(run, splits)
        except UserError as error:
            if (run.cell.id, str(error)) not in told:
                told.add((run.cell.id, str(error)))
                tell([f"{run.cell.id} ({run.cell.config['family']} / {run.cell.dataset}) is passed over: {error}."])
            continue
        sample -= 1
        yield run, cell


def _line(run: StoredRun, cell: Cell, result: Difference) -> str:
    """What became of a run, scores in the unit in which tables show them."""
    unit = run.cell.measure.unit
    scores = [unit.number(result.stored), unit.number(result.again)]
    change = unit.signed(unit.scale * (result.again - result.stored))
    reason = f": {result.reason}" if result.reason else ""
    about = f"{cell.title}, seed {run.seed}, {group_in_words(run)}"
    where = str(result.first or "none")
    return f"{run.name:<18}{scores[0]:>9}{scores[1]:>9}{change:>12}  {where:<12}{result.verdict}{reason} ({about})"


def _in_words(folder: Path, verdicts: Sequence[str], seed: int, question: Asked) -> str:
    """The sentence to quote."""
    if not verdicts:
        return f"No run of {folder}/ could be trained again here."
    counts = {verdict: verdicts.count(verdict) for verdict in (EQUAL, WITHIN, DIFFERS)}
    said = [f"{counts[EQUAL]} equal to the last bit"]
    if counts[WITHIN]:
        said.append(
            f"{counts[WITHIN]} within tolerance (losses of the first epoch within {question.first_epoch:g} of "
            f"themselves, test scores within {question.score:g} standard deviations over seeds, or the margin)"
        )
    said.append(f"{counts[DIFFERS]} different")
    runs = "run" if len(verdicts) == 1 else "runs"
    return f"{len(verdicts)} {runs} of {folder}/, drawn with --seed {seed}, trained again: {', '.join(said)}."
