"""The runs of a job that this process holds while it trains them."""

import time
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from dataclasses import asdict
from typing import Any

from rethinking.configuration.settings import Settings
from rethinking.runs import workers
from rethinking.runs.checkpoints import Checkpoints, Saved
from rethinking.runs.identity import run_id
from rethinking.runs.measured import lacks_measures
from rethinking.runs.outcome import Outcome, reason_of
from rethinking.runs.reading import WEIGHTS
from rethinking.runs.record import head_of
from rethinking.runs.store import Entry, RunStore
from rethinking.runs.workers import Worker


class Claims:
    """The runs of a job that this process holds; each is let go as soon as it is written, or cannot be."""

    def __init__(self, settings: Settings, store: RunStore, outcome: Outcome) -> None:
        self.settings = settings
        self.store = store
        self.outcome = outcome
        self.held: dict[int, ExitStack] = {}
        self._open = ExitStack()
        self._worker: Worker | None = None
        self._looked = time.monotonic()

    def __enter__(self) -> "Claims":
        with suppress(OSError):  # The claims will say so.
            self._worker = self._open.enter_context(self.store.at_work())
        return self

    def __exit__(self, *error: object) -> None:
        for seed in list(self.held):
            self.release(seed)
        self._open.close()

    def take_saved(self, waiting: list[int], checkpoints: Checkpoints, most: float) -> Saved | None:
        """Claim the runs of a group that was interrupted, if all that are left of it wait here.

        most: how many seeds may train together.
        """
        for saved in checkpoints.find():
            left = {seed for seed in saved.seeds if self._is_left(seed)}
            if not left:
                saved.remove()
            elif unlike := checkpoints.unlike(saved):
                if left & set(waiting):
                    self.outcome.passed_over[saved.path.name] = saved.epoch, unlike
            elif left <= set(waiting) and len(saved.seeds) <= most:
                own = [seed for seed in waiting if seed in saved.seeds]
                others = [seed for seed in waiting if seed not in saved.seeds]
                # Those that another process holds, it goes on with; then it holds them all.
                whole = set(self.take(own, len(own))) >= left
                waiting[:] = [*others, *own]
                return saved if whole else None
        return None

    def take(self, waiting: list[int], size: int) -> list[int]:
        """Claim up to `size` of the seeds that wait, and sort out those that are done or failed.

        Those that other processes hold go on waiting.
        """
        for seed in list(waiting):
            if len(self.held) >= size:
                break
            if self._sort_out(seed):
                waiting.remove(seed)
        return list(self.held)

    def some_are_left(self, waiting: list[int]) -> bool:
        """Whether a process that holds one of these seeds has died. Watched until it is known of all."""
        return any(self.store.will_be_left(run_id(self.outcome.cell_id, seed)) for seed in waiting)

    def say(self, doing: Mapping[str, Any]) -> None:
        """What others are told of the group that trains."""
        if self._worker:
            self._worker.say({"cell": self.outcome.cell_id, "title": self.outcome.title, **doing})

    def is_held(self, seed: int) -> bool:
        """Whether a run is. One that another host has taken meanwhile, as this process was silent, is left to it."""
        # As long as the file system does not say, it is as it was.
        with suppress(OSError):
            if seed in self.held and not self.store.is_mine(run_id(self.outcome.cell_id, seed)):
                self.outcome.elsewhere.append(seed)
                self.release(seed)
        return seed in self.held

    def some_are_held(self) -> bool:
        """Whether any run is; looked up now and then."""
        if time.monotonic() - self._looked < workers.BEAT:
            return True
        self._looked = time.monotonic()
        for seed in list(self.held):
            self.is_held(seed)
        return bool(self.held)

    def _sort_out(self, seed: int) -> bool:
        """Claim a seed, unless nothing is to be done for it. False if another process holds it."""
        # What is done needs no claim.
        if self._is_done(seed, self._entry(seed)):
            return True
        claim = ExitStack()
        head = head_of(self.settings.cell, self.outcome.cell_id, seed)
        try:
            mine = claim.enter_context(self.store.claim(head["run_id"], head))
        except OSError as error:
            self.outcome.lost[seed] = reason_of(error)
            return True
        if not mine:
            claim.close()
            return False
        # Read again under the claim: another process may just have finished it.
        entry = self._entry(seed)
        if self._is_done(seed, entry):
            claim.close()
        elif entry.state == "failed" and not self.settings.retry_failed:
            self.outcome.failed[seed] = entry.problem
            claim.close()
        else:
            self.held[seed] = claim
        return True

    def release(self, seed: int) -> None:
        """Let others have a run."""
        self.held.pop(seed).close()

    def fail(self, seed: int, reason: str) -> None:
        """Note that a run failed, here and in the store, and let it go."""
        cell = self.settings.cell
        head = head_of(cell, self.outcome.cell_id, seed)
        self.outcome.failed[seed] = reason
        config = {"schema": head["schema"], "cell": asdict(cell), "seed": seed}
        try:
            self.store.write_failure(head["run_id"], config, head, reason)
        except OSError as error:
            # The reason is still told, and the other runs go on.
            self.outcome.failed[seed] = f"{reason}\nThe failure could not be recorded: {error}"
        self.release(seed)

    def lose(self, seed: int, error: OSError) -> None:
        """Let a run go that could not be trained or written through no fault of its own."""
        self.outcome.lost[seed] = reason_of(error)
        self.release(seed)

    def _entry(self, seed: int) -> Entry:
        return self.store.read(run_id(self.outcome.cell_id, seed))

    def _is_left(self, seed: int) -> bool:
        """Whether a run is neither done nor, unless failed ones are tried again, failed."""
        entry = self._entry(seed)
        return not self._has_all(entry) and (entry.state != "failed" or self.settings.retry_failed)

    def _has_all(self, entry: Entry) -> bool:
        """Whether a run is finished, with its weights if they are asked for."""
        return entry.state == "done" and (not self.settings.save_model or WEIGHTS in entry.record.get("files", ()))

    def _is_done(self, seed: int, entry: Entry) -> bool:
        if not self._has_all(entry):
            return False
        self.outcome.kept.append(seed)
        if lacks_measures(entry.record, self.settings.diagnosed_graphs):
            self.outcome.unmeasured[seed] = ""
        return True
