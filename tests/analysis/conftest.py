"""Made-up runs whose truth is known."""

import numpy as np
import pytest

from rethinking.configuration.composition import compose_cell
from rethinking.runs.store import RunStore
from tests.records import fill_cell

RNG = np.random.default_rng(0)
NOISE = RNG.normal(0, 1, 20)


def fill(store: RunStore, overrides: str, scores: np.ndarray, **diagnostics: float) -> None:
    """Runs of a cell with these test scores."""
    fill_cell(store, compose_cell(overrides.split()), scores, **diagnostics)


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
    fill(store, NCI1 + "complement model.convs_before_pool=1", 0.60 + 0.0011 * NOISE[:5])
    fill(store, "model=gin pooling=none dataset=nci1", 0.80 + 0.01 * NOISE)
    fill(store, "model=graclus pooling=learned dataset=digits", 0.9 + 0.001 * NOISE)
    fill(store, "model=graclus pooling=complement dataset=digits", 0.9 + 0.001 * NOISE)
    return store
