"""Made-up runs whose truth is known."""

from dataclasses import asdict

import numpy as np
import pandas as pd
import pytest

from rethinking.configuration.composition import compose_job
from rethinking.runs.identity import SCHEMA, cell_id
from rethinking.runs.store import RunStore

RNG = np.random.default_rng(0)
NOISE = RNG.normal(0, 1, 20)


def fill(store: RunStore, overrides: str, scores: np.ndarray, **more: float) -> None:
    """Runs of a cell with these test scores."""
    cell = compose_job(overrides.split()).cell
    fingerprint = cell.dataset.fingerprint or "0"
    id, metric = cell_id(cell, fingerprint), cell.task().metric
    store.check_writable()
    for seed, score in enumerate(scores):
        record = {
            "run_id": f"{id}-s{seed:02d}", "cell_id": id, "schema": SCHEMA, "family": cell.family,
            "variant": cell.variant, "dataset": cell.dataset.name, "fidelity": cell.fidelity, "seed": seed,
            "metric": metric, f"test_{metric}": float(score), f"val_{metric}": 0.9, "train_loss": 0.1, "val_loss": 0.2,
            "test_loss": 0.3, "fingerprint": fingerprint, "best_epoch": 2, "epochs": 2, **more,
        }  # fmt: skip
        history = pd.DataFrame({"epoch": [1, 2], f"val_{metric}": [0.8, 0.9], "val_loss": [0.3, 0.2]})
        config = {"schema": SCHEMA, "seed": seed, "fingerprint": fingerprint, "cell": asdict(cell)}
        store.write_result(record["run_id"], config, record, history)


ZINC = "model=graclus dataset=zinc pooling="
NCI1 = "model=graclus dataset=nci1 pooling="


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> RunStore:
    """On ZINC's fixed split: complement equal, uniform worse. On NCI1, re-split: complement about equal."""
    store = RunStore(tmp_path_factory.mktemp("made") / "runs")
    fill(store, ZINC + "learned", 0.42 + 0.01 * NOISE)
    fill(store, ZINC + "complement", 0.421 + 0.01 * NOISE + 0.002 * RNG.normal(size=20))
    fill(store, ZINC + "uniform", 0.46 + 0.01 * NOISE + 0.002 * RNG.normal(size=20))
    fill(store, NCI1 + "learned", 0.80 + 0.01 * NOISE)
    fill(store, NCI1 + "complement", 0.80 + 0.01 * RNG.normal(size=20))
    fill(store, NCI1 + "learned model.convs_before_pool=1", 0.70 + 0.001 * NOISE)
    fill(store, NCI1 + "complement model.convs_before_pool=1", 0.60 + 0.001 * NOISE[:5])
    fill(store, "model=gin pooling=none dataset=nci1", 0.80 + 0.01 * NOISE)
    fill(store, "model=graclus pooling=learned dataset=digits", 0.9 + 0.001 * NOISE)
    fill(store, "model=graclus pooling=complement dataset=digits", 0.9 + 0.001 * NOISE)
    return store
