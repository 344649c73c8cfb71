"""The runs of a job that this process holds while it trains them."""

import resource
from contextlib import ExitStack
from dataclasses import asdict

from rethinking.configuration.settings import Settings
from rethinking.runs.checkpoints import Checkpoints, Saved
from rethinking.runs.identity import run_id
from rethinking.runs.measured import lacks_measures
from rethinking.runs.outcome import Outcome, reason_of
from rethinking.runs.record import head_of
from rethinking.runs.store import WEIGHTS, Entry, RunStore


class Claims:
    """The runs of a job that this process holds; each is let go as soon as it is written, or cannot be."""

    def __init__(self, settings: Settings, store: RunStore, outcome: Outcome) -> None:
        self.settings = settings
        self.store = store
        self.outcome = outcome
        self.held: dict[int, ExitStack] = {}

    def __enter__(self) -> "Claims":
        return self

    def __exit__(self, *error: object) -> None:
        for seed in list(self.held):
            self.release(seed)

    def take_saved(self, waiting: list[int], checkpoints: Checkpoints, most: float) -> Saved | None:
        """Claim the runs of a group that was interrupted, if all that are left of it wait here.

        most: how many seeds may train together.
        """
        for saved in checkpoints.find():
            left = {seed for seed in saved.seeds if self._is_left(seed)}
            if not left:
                saved.remove()
            elif left <= set(waiting) and len(saved.seeds) <= most:
                own = [seed for seed in waiting if seed in saved.seeds]
                waiting[:] = [seed for seed in waiting if seed not in own]
                # Those that another process holds, it goes on with; then it holds them all.
                return saved if set(self.take(own, len(own))) >= left else None
        return None

    def take(self, waiting: list[int], size: int) -> list[int]:
        """Claim up to `size` of the seeds that wait, and sort out those that are done, failed or held elsewhere."""
        while waiting and len(self.held) < min(size, _most_at_once()):
            seed = waiting.pop(0)
            # What is done needs no claim, and no open file.
            if self._is_done(seed, self._entry(seed)):
                continue
            claim = ExitStack()
            head = head_of(self.settings.cell, self.outcome.cell_id, seed)
            try:
                mine = claim.enter_context(self.store.claim(head["run_id"], head))
            except OSError as error:
                self.outcome.lost[seed] = reason_of(error)
                continue
            if not mine:
                self.outcome.elsewhere.append(seed)
                continue
            # Read again under the claim: another process may just have finished it.
            entry = self._entry(seed)
            if self._is_done(seed, entry):
                claim.close()
            elif entry.state == "failed" and not self.settings.retry_failed:
                self.outcome.failed[seed] = entry.problem
                claim.close()
            else:
                self.held[seed] = claim
        return list(self.held)

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
        return self._entry(seed).state not in ("done", *(() if self.settings.retry_failed else ("failed",)))

    def _is_done(self, seed: int, entry: Entry) -> bool:
        has_all = not self.settings.save_model or WEIGHTS in entry.record.get("files", ())
        if entry.state != "done" or not has_all:
            return False
        self.outcome.kept.append(seed)
        if lacks_measures(entry.record, self.settings.diagnosed_graphs):
            self.outcome.unmeasured[seed] = ""
        return True


def _most_at_once() -> float:
    """How many runs may be held at once: each needs an open file, and so does other work."""
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return float("inf") if limit == resource.RLIM_INFINITY else max(1, limit // 2)
