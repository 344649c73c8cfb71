"""Jobs of a sweep in processes of their own: all get done, what fails is told, and a store knows no launcher."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
import torch
from omegaconf import OmegaConf

from rethinking.configuration import launchers
from rethinking.configuration.composition import expand_sweep
from rethinking.errors import UserError
from rethinking.runs.store import RunStore
from rethinking.training.device import take_turns
from tests.conftest import FEW_DIGITS, ROOT

Call = Callable[..., subprocess.CompletedProcess[str]]
SMALL = (
    *("pooling=learned", "dataset=digits", f"splits={FEW_DIGITS}"),
    *("trainer.max_epochs=2", "trainer.batch_size=64", "diagnosed_graphs=0"),
)


@pytest.fixture
def on_path(monkeypatch: pytest.MonkeyPatch) -> None:
    """For the processes of launchers, which start in another folder than the tests."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]))


@pytest.mark.usefixtures("on_path")
def test_joblib_trains_cells_beside_each_other_and_tells_what_fails(rethinking: Call) -> None:
    """As in one process: a weight that makes the loss overflow fails the runs of its cell, the other goes on."""
    sweep = ("model=mincut", *SMALL, "seeds=2", "model.mincut_weight=1.0,1e39")
    result = rethinking("run", "-m", *sweep, "hydra/launcher=joblib", "hydra.launcher.n_jobs=2")
    assert result.returncode == 1 and "Traceback" not in result.stderr
    # Once each: what a process writes to this terminal is not told again.
    assert result.stderr.count("not a finite number") == 2 and result.stderr.count("2/2 seeds done (2 trained") == 1
    assert "mincut_weight=1.0" in result.stdout and "mincut_weight=1e+39" in result.stdout
    again = rethinking("run", "-m", *sweep)
    assert again.returncode == 1
    assert "2/2 seeds done (0 trained, 2 done before)" in again.stderr


@pytest.mark.slow
@pytest.mark.usefixtures("on_path")
def test_a_suite_goes_on_with_another_launcher(rethinking: Call, tmp_path: Path) -> None:
    """All its rows at once; what jobs write to logs of their own is told in the end."""
    (tmp_path / "mine" / "suite").mkdir(parents=True)
    (tmp_path / "mine" / "suite" / "two.yaml").write_text(
        "title: Two\nseeds: 2\nrows: {Mean: [model=global_mean, pooling=none]}\ncolumns: {digits: Digits}\n"
    )
    words, own = SMALL[2:], ("--config-dir", "mine")
    assert "(1 trained, 0 done before)" in rethinking("reproduce", "two", *words, "seeds=1", *own).stderr
    there = ("hydra/launcher=submitit_local", f"hydra.launcher.submitit_folder={tmp_path}/jobs/%j")
    result = rethinking("reproduce", "two", *words, *there, *own)
    assert result.returncode == 0, result.stderr
    assert result.stderr.count("2/2 seeds done (1 trained, 1 done before)") == 1 and "Two" in result.stdout
    assert not list((tmp_path / "runs" / ".hydra").iterdir())


def test_a_launcher_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Is named before Hydra asks for keys that only the plugin declares."""
    monkeypatch.setattr(launchers, "_is_there", lambda module: False)
    for name in launchers.presets():
        with pytest.raises(UserError, match=rf'\'{name}\' is not .*pip install "rethinking\[{name.split("_")[0]}\]"'):
            expand_sweep(["model=gmn", *SMALL, f"hydra/launcher={name}", "hydra.launcher.partition=gpu"])


def test_presets_name_extras_that_there_are() -> None:
    pyproject = (ROOT / "pyproject.toml").read_text()
    for name in launchers.presets():
        preset = OmegaConf.load(ROOT / "conf" / launchers.GROUP / f"{name}.yaml")
        plugin = launchers.PLUGIN.match(preset["_target_"])
        assert plugin and f'\n{plugin[1]} = ["hydra-{plugin[1]}-launcher>=' in pyproject


def test_jobs_take_gpus_in_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[int] = []
    monkeypatch.setattr(torch.cuda, "set_device", taken.append)
    for count in (0, 1, 3):
        monkeypatch.setattr(torch.cuda, "device_count", lambda count=count: count)
        for number in range(5):
            take_turns(number)
    assert taken == [0, 1, 2, 0, 1]


@pytest.mark.slow
@pytest.mark.usefixtures("on_path")
def test_a_job_that_submitit_ends_is_started_again_and_goes_on(rethinking: Call, tmp_path: Path) -> None:
    """As SLURM does when a job's time is over: a signal to the process that trains."""

    def end_once() -> None:
        while not list(tmp_path.glob("runs/.checkpoints/*.pt")):
            time.sleep(0.05)
        (job,) = [
            process
            for process in psutil.Process().children(recursive=True)
            if "submitit.core._submit" in process.cmdline()
        ]
        job.send_signal(signal.SIGUSR2)

    ending = threading.Thread(target=end_once)
    ending.start()
    words = ("model=graclus", *SMALL[:3], "seeds=2", "trainer.max_epochs=150", "checkpoint_minutes=0.001")
    result = rethinking(
        "run", *words, "hydra/launcher=submitit_local", f"hydra.launcher.submitit_folder={tmp_path}/jobs/%j"
    )
    ending.join()
    assert result.returncode == 0 and "2/2 seeds done (2 trained" in result.stderr, result.stderr
    assert "2 seeds went on after epoch" in result.stderr
    assert not list(tmp_path.glob("runs/.checkpoints/*.pt")) and not list(tmp_path.glob("runs/*/error.txt"))


@pytest.mark.slow
@pytest.mark.usefixtures("on_path")
def test_ctrl_c_saves_what_trains_in_other_processes(tmp_path: Path, cache: Path) -> None:
    endless = (f"trainer.{key}=10000" for key in ("max_epochs", "stop_patience", "decay_patience"))
    sweep = ("-m", "model=graclus", "pooling=learned,complement", *SMALL[1:3], "seeds=2", *endless)
    command = subprocess.Popen(
        [sys.executable, "-m", "rethinking", "run", *sweep, "hydra/launcher=joblib", "hydra.launcher.n_jobs=2"],
        cwd=tmp_path, env=os.environ | {"RETHINKING_CACHE": str(cache)}, text=True, stderr=subprocess.PIPE,
        start_new_session=True, preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip
    # What trains holds its runs.
    store = RunStore(tmp_path / "runs")
    while sum(entry.state == "running" for entry in store.entries()) < 4:
        assert command.poll() is None
        time.sleep(0.1)
    time.sleep(10)  # A few epochs.
    os.killpg(command.pid, signal.SIGINT)
    error = command.communicate(timeout=120)[1]
    assert command.returncode == 130 and "Finished runs are kept" in error, error
    assert len(list(tmp_path.glob("runs/.checkpoints/*.pt"))) == 2


@pytest.mark.slow
def test_a_ray_cluster_of_one_machine(rethinking: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("hydra_plugins.hydra_ray_launcher.ray_launcher", reason='pip install "rethinking[ray]"')
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    start = ("start", "--head", "--block", "--num-cpus=1", "--include-dashboard=false", "--disable-usage-stats")
    ray = subprocess.Popen(
        [sys.executable, "-m", "ray.scripts.scripts", *start],
        text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
    )  # fmt: skip
    words = ("run", "model=global_mean", "pooling=none", *SMALL[1:], "seeds=2")
    try:
        assert ray.stdout and any("Ray runtime started" in line for line in ray.stdout)
        there = rethinking(*words, "hydra/launcher=ray")
        assert there.returncode == 0, there.stderr
        assert there.stderr.count("2/2 seeds done (2 trained, 0 done before)") == 1
        assert "2/2 seeds done (0 trained, 2 done before)" in rethinking(*words).stderr
    finally:
        os.killpg(ray.pid, signal.SIGTERM)
        ray.wait(60)
