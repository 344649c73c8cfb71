"""Tells a tracker of the runs of a job; what goes wrong there costs no run."""

from collections.abc import Callable, Mapping
from typing import Any

from rethinking.runs.identity import run_id
from rethinking.runs.outcome import Outcome
from rethinking.tracking.tracker import Tracker
from rethinking.training.state import GroupState


class Told:
    """The runs of a job of which a tracker is told; as a context, those of one group. settings: flat, of the cell."""

    def __init__(self, tracker: Tracker, outcome: Outcome, settings: Mapping[str, Any]) -> None:
        self._tracker: Tracker | None = tracker
        self._outcome = outcome
        self._settings = settings
        self._open: set[int] = set()

    def __enter__(self) -> "Told":
        return self

    def __exit__(self, *error: object) -> None:
        for seed in sorted(self._open):
            self.end(seed, {})

    def after_epoch(self, state: GroupState) -> None:
        """The seeds that still train have ended an epoch; those that are new have begun."""
        for seed, history in zip(state.seeds, state.histories, strict=True):
            if seed not in self._open:
                self._begin(seed)
            run, values = run_id(self._outcome.cell_id, seed), history[-1]
            self._do(lambda tracker, run=run, values=values: tracker.epoch(run, values))  # type: ignore[misc]

    def end(self, seed: int, scores: Mapping[str, float]) -> None:
        """A seed is done, or, without scores, ended otherwise."""
        if seed in self._open:
            self._open.remove(seed)
            self._do(lambda tracker: tracker.end(run_id(self._outcome.cell_id, seed), scores))

    def _begin(self, seed: int) -> None:
        self._open.add(seed)
        run = run_id(self._outcome.cell_id, seed)
        self._do(lambda tracker: tracker.begin(run, self._outcome.title, {**self._settings, "seed": seed}))

    def _do(self, tell: Callable[[Tracker], None]) -> None:
        if self._tracker is None:
            return
        try:
            tell(self._tracker)
        except Exception as error:  # Programs of others may raise anything.
            reason = " ".join(str(error).split()) or type(error).__name__
            self._outcome.untold = f"{type(self._tracker).__name__}: {reason}"
            self._tracker = None
