"""Learning curves for Weights & Biases (`logger=wandb`), kept in a folder until somebody sends them off."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rethinking.tracking.tracker import Tracker


class WeightsAndBiases(Tracker):
    """A run of theirs for each run, of one group a cell.

    folder: where runs lie, for `wandb sync FOLDER/wandb/offline-run-*`. mode: offline, or online, which sends them to
    the service as they train.
    """

    packages, extra = ("wandb",), "wandb"

    def __init__(self, folder: str, project: str, mode: str) -> None:
        self._folder = Path(folder).expanduser()
        self._project = project
        self._mode = mode
        self._runs: dict[str, Any] = {}

    def begin(self, run_id: str, cell: str, settings: Mapping[str, Any]) -> None:
        """Open the run; one that was interrupted has the same id and goes on."""
        if self._mode == "offline":
            # It would tell its makers of errors.
            os.environ.setdefault("WANDB_ERROR_REPORTING", "false")
        import wandb

        self._folder.mkdir(parents=True, exist_ok=True)
        self._runs[run_id] = wandb.init(
            project=self._project, group=cell.replace(" / ", "-"), name=run_id, id=run_id, dir=str(self._folder),
            mode=self._mode, config=dict(settings), resume="allow" if self._mode == "online" else None,
            reinit="create_new", settings=wandb.Settings(silent=True, console="off", disable_git=True),
        )  # fmt: skip

    def epoch(self, run_id: str, values: Mapping[str, float]) -> None:
        """A point of each curve."""
        self._runs[run_id].log(dict(values), step=int(values["epoch"]))

    def end(self, run_id: str, scores: Mapping[str, float]) -> None:
        """The scores of the best epoch, as the run's summary."""
        run = self._runs.pop(run_id)
        run.summary.update({f"best/{name}": value for name, value in scores.items()})
        run.finish(exit_code=0 if scores else 1)
