"""Learning curves for MLflow (`logger=mlflow`), by default in a local database."""

import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rethinking.tracking.tracker import Tracker

FINISHED, FAILED = "FINISHED", "FAILED"
MOST_LETTERS = 500  # Of a value, to MLflow.


class MLflow(Tracker):
    """An experiment a cell, and in it a run of theirs for each run.

    folder: where the database and what belongs to it lie, for
    `mlflow ui --backend-store-uri sqlite:///FOLDER/mlflow.db`. uri: of another tracking store; null for that database.
    """

    packages, extra = ("mlflow", "sqlalchemy", "alembic"), "mlflow"

    def __init__(self, folder: str, uri: str | None) -> None:
        self._folder = Path(folder).expanduser().absolute()
        self._uri = uri or f"sqlite:///{self._folder / 'mlflow.db'}"
        self._client: Any = None
        self._runs: dict[str, str] = {}

    def begin(self, run_id: str, cell: str, settings: Mapping[str, Any]) -> None:
        """Open the run; one that was interrupted begins anew under its name."""
        if self._client is None:
            # It would tell its makers that it is used.
            os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
            # Each migration of the database would be a line.
            logging.getLogger("alembic").setLevel(logging.WARNING)
            from mlflow.tracking import MlflowClient

            self._folder.mkdir(parents=True, exist_ok=True)
            self._client = MlflowClient(tracking_uri=self._uri)
        run = self._client.create_run(self._experiment(cell), run_name=run_id, tags={"rethinking.run": run_id})
        self._runs[run_id] = run.info.run_id
        for key, value in settings.items():
            self._client.log_param(run.info.run_id, key, str(value)[:MOST_LETTERS])

    def epoch(self, run_id: str, values: Mapping[str, float]) -> None:
        """A point of each curve."""
        for name, value in values.items():
            if name != "epoch":
                self._client.log_metric(self._runs[run_id], name, value, step=int(values["epoch"]))

    def end(self, run_id: str, scores: Mapping[str, float]) -> None:
        """The scores of the best epoch."""
        run = self._runs.pop(run_id)
        for name, value in scores.items():
            self._client.log_metric(run, f"best_{name}", value)
        self._client.set_terminated(run, FINISHED if scores else FAILED)

    def _experiment(self, cell: str) -> str:
        """Its id; another process may make the same one at the same time."""
        from mlflow.exceptions import MlflowException

        name = cell.replace(" / ", "-")
        try:
            return self._client.create_experiment(name, artifact_location=(self._folder / "artifacts").as_uri())
        except MlflowException:
            found = self._client.get_experiment_by_name(name)
            if found is None:
                raise
            return found.experiment_id
