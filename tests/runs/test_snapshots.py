"""A part of a scorecard goes on after a kill where it was, and comes to what it would have come to."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from rethinking.pooling.operators.interface import Assignment, Coarse, Graphs
from rethinking.runs import snapshots
from rethinking.runs.checked import read_checked, write_checked
from rethinking.runs.measured_here import measured_here
from rethinking.runs.snapshots import Snapshot
from rethinking.scorecard.card import Part, as_data
from rethinking.scorecard.measuring import measurements
from rethinking.scorecard.settings import card_settings
from tests.scorecard.operators import Soft

STEPS = 6
CALLS = STEPS + 1  # the last for what was found


class Noisy(Soft):
    """Draws from torch's and NumPy's own generators, counts in a buffer, and may be killed."""

    calls = 0
    killed_at: int | None = None

    def __init__(self, **sizes: Any) -> None:
        super().__init__(**sizes)
        self.seen: torch.Tensor
        self.register_buffer("seen", torch.zeros(()))

    def forward(self, graphs: Graphs, given: Assignment | None = None) -> Coarse:
        type(self).calls += 1
        if type(self).calls == type(self).killed_at:
            raise KeyboardInterrupt
        self.seen += 1
        noise = torch.randn_like(graphs.x) * np.random.standard_normal() / self.seen
        return super().forward(replace(graphs, x=graphs.x + 0.01 * noise), given)


@pytest.fixture(autouse=True)
def anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Noisy, "calls", 0)
    monkeypatch.setattr(Noisy, "killed_at", None)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "part.pt"


def parts(name: str, path: Path, so_far: Part | None = None, runs: int = 1, every: float = 0.0) -> Iterator[Part]:
    settings = card_settings("brief")
    autoencoder, spectral = settings.autoencoder, settings.spectral
    fit = replace(autoencoder.fit, most_steps=STEPS, learning_rate=0.01)
    small = replace(
        settings,
        autoencoder=replace(autoencoder, graphs=["ring"], hidden=4, fit=fit, runs=runs),
        spectral=replace(spectral, graphs=["ring"], fit=fit, runs=runs),
        expressive=None,
        cost=None,
    )
    return measured_here(measurements(small)[name], Noisy, so_far or Part(), Snapshot(path, every))


def told(part: Part) -> dict[str, Any]:
    return {key: value for key, value in as_data(part).items() if key != "origin"}


def killed(name: str, path: Path, monkeypatch: pytest.MonkeyPatch, at: int, **how: Any) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(Noisy, "killed_at", Noisy.calls + at)
        with pytest.raises(KeyboardInterrupt):
            list(parts(name, path, **how))


@pytest.mark.parametrize("name", ["features/ring", "structure/ring"])
def test_a_killed_run_goes_on_where_it_was(name: str, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (alone,) = parts(name, path.with_name("other.pt"))
    assert Noisy.calls == CALLS
    killed(name, path, monkeypatch, at=3)
    assert Noisy.calls == CALLS + 3
    killed(name, path, monkeypatch, at=2)
    (resumed,) = parts(name, path)
    # Two steps, one more, and the rest; twice a step was begun in vain.
    assert Noisy.calls == 2 * CALLS + 2
    assert told(resumed) == told(alone) and resumed.values["steps"] == [STEPS]


def test_what_it_took_counts(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    killed("structure/ring", path, monkeypatch, at=3)
    whole = read_checked(path)
    write_checked(path, {**whole, "seconds": [1000.0, 500.0]})
    origin = {"elapsed_seconds": 100.0, "processor_seconds": 50.0}
    killed("structure/ring", path, monkeypatch, at=2)
    wall, processor = read_checked(path)["seconds"]
    assert 1000 < wall < 1100 and 500 < processor < 550
    (part,) = parts("structure/ring", path, Part(origin=origin))
    assert 1100 < float(part.origin["elapsed_seconds"] or 0) < 1200
    assert 550 < float(part.origin["processor_seconds"] or 0) < 600


@pytest.mark.parametrize(
    "changed",
    [
        {"conditions": {"torch_version": "0.1"}},
        {"run": 1},
        {"seconds": [1.0]},
        {"state": None},
        b"not as it was written",
    ],
)
def test_what_does_not_fit_is_begun_anew(changed: Any, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (alone,) = parts("structure/ring", path.with_name("other.pt"))
    killed("structure/ring", path, monkeypatch, at=3)
    if isinstance(changed, bytes):
        path.write_bytes(path.read_bytes()[:64] + changed)
    else:
        write_checked(path, {**read_checked(path), **changed})
    calls = Noisy.calls
    (part,) = parts("structure/ring", path)
    assert Noisy.calls == calls + CALLS and told(part) == told(alone)


def test_a_run_is_not_that_before_it(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second run of two is killed, and goes on after the first, whose own snapshot nobody has taken away."""
    both = list(parts("features/ring", path.with_name("other.pt"), runs=2))[-1]
    killed("features/ring", path, monkeypatch, at=CALLS + 1, runs=2)
    (first,) = parts("features/ring", path.with_name("first.pt"), runs=1)
    assert read_checked(path)["run"] == 0
    calls = Noisy.calls
    (resumed,) = parts("features/ring", path, first, runs=2)
    assert Noisy.calls == calls + CALLS and told(resumed) == told(both)


def test_it_is_written_now_and_then_and_costs_no_run(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    list(parts("structure/ring", path, every=3600))
    assert not path.exists()

    def full(*_: Any) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr(snapshots, "write_checked", full)
    (part,) = parts("structure/ring", path)
    assert part.values["steps"] == [STEPS] and not part.problem
