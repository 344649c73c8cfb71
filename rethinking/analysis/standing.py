"""How far every cell of a suite is."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rethinking.analysis.remaining import Rates
from rethinking.analysis.suites import Suite
from rethinking.analysis.tidy import Results
from rethinking.configuration.cell import PAPER, Cell
from rethinking.configuration.composition import compose_cell
from rethinking.runs.reading import WEIGHTS
from rethinking.runs.store import Entry, State, is_stale

Place = tuple[str, str]


@dataclass(frozen=True)
class Standing:
    """Of the seeds that a suite wants of a cell, how many are done, train, or failed; older: of schema 1.

    without_weights: done, but of no use to a suite that is made of weights. seconds: that the others take on one core,
    None if nobody has measured anything alike.
    """

    wanted: int
    done: int
    running: int
    failed: int
    older: int
    without_weights: int
    seconds: float | None

    @property
    def missing(self) -> int:
        """Those of which there is nothing."""
        return self.wanted - self.done - self.running - self.failed

    @property
    def is_whole(self) -> bool:
        """Whether all are done."""
        return self.done == self.wanted


def wanted_of(suite: Suite) -> dict[Place, Cell]:
    """The cells of a suite by row and column, in the order in which a table is read."""
    return {
        (row, title): compose_cell([*overrides, f"dataset={dataset}", f"fidelity={PAPER}"])
        for dataset, title in suite.columns.items()
        for row, overrides in suite.rows.items()
        if overrides is not None
    }


def standing_of(
    wanted: Mapping[Place, Cell], suite: Suite, results: Results, entries: Sequence[Entry], rates: Rates
) -> dict[Place, Standing]:
    """How far each cell of a suite is. entries: of the run store as it is now, which `results` may have been before."""
    states: dict[str, dict[State, set[int]]] = defaultdict(lambda: defaultdict(set))
    with_weights: dict[str, set[int]] = defaultdict(set)
    for entry in entries:
        refused = entry.state == "done" and entry.run_id in results.refused
        if "seed" in entry.record and not is_stale(entry) and not refused:
            states[entry.record["cell_id"]][entry.state].add(entry.record["seed"])
            if entry.state == "done" and WEIGHTS in entry.record.get("files", ()):
                with_weights[entry.record["cell_id"]].add(entry.record["seed"])
    first = set(range(suite.seeds))
    standing = {}
    for place, cell in wanted.items():
        ids = results.ids_of(cell)
        there = [first & (results.seeds.get(id, set()) | states[id]["done"]) for id in ids]
        useful = [first & with_weights[id] for id in ids] if suite.keeps_weights else there
        done = max(useful, key=len, default=set())
        without_weights = len(max(there, key=len, default=set()) - done)
        # A run of a results folder may train again here.
        running, failed = (
            len({seed for id in ids for seed in first & states[id][state]} - done) for state in ("running", "failed")
        )
        older = max((len(first & results.seeds.get(results.older.get(id, ""), set())) for id in ids), default=0)
        left = suite.seeds - len(done)
        each = rates.seconds(cell, ids) if left else 0.0
        seconds = None if each is None else each * left
        standing[place] = Standing(suite.seeds, len(done), running, failed, older, without_weights, seconds)
    return standing
