"""Learning curves for TensorBoard (`logger=tensorboard`)."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rethinking.tracking.tracker import Tracker


class TensorBoard(Tracker):
    """A folder of events a run, FOLDER/CELL/RUN, for `tensorboard --logdir FOLDER`."""

    packages, extra = ("tensorboard",), "tensorboard"

    def __init__(self, folder: str) -> None:
        self._folder = Path(folder).expanduser()
        self._writers: dict[str, Any] = {}

    def begin(self, run_id: str, cell: str, settings: Mapping[str, Any]) -> None:
        """Open the run's events; those of one that was interrupted are added to."""
        from torch.utils.tensorboard import SummaryWriter

        folder = self._folder / cell.replace(" / ", "-") / run_id
        writer = self._writers[run_id] = SummaryWriter(str(folder))
        writer.add_text("settings", "\n".join(f"    {key}: {value}" for key, value in settings.items()))

    def epoch(self, run_id: str, values: Mapping[str, float]) -> None:
        """A point of each curve."""
        for name, value in values.items():
            if name != "epoch":
                self._writers[run_id].add_scalar(name, value, int(values["epoch"]))

    def end(self, run_id: str, scores: Mapping[str, float]) -> None:
        """The scores of the best epoch, as curves of one point."""
        writer = self._writers.pop(run_id)
        for name, value in scores.items():
            writer.add_scalar(f"best/{name}", value)
        writer.close()
