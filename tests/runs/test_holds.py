"""One holder at a time, on one host and on several; what the dead held is free, and the living lose nothing.

Another host is a process that has another host's name, and for which locks are not there.
"""

import errno
import fcntl
import json
import multiprocessing
import os
import random
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from rethinking.configuration.composition import compose_job
from rethinking.progress import TrainingState
from rethinking.runs import locks, workers
from rethinking.runs.execute import execute
from rethinking.runs.holds import Holds
from rethinking.runs.store import RunStore
from rethinking.runs.workers import Worker, Workers
from tests.conftest import FEW_DIGITS
from tests.runs.test_store import head

FORK = multiprocessing.get_context("fork")
NAMES = ("a-s00", "a-s01", "a-s02")
PROCESSES, SECONDS = 8, 2.0


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beats and silence of a test's length."""
    monkeypatch.setattr(workers, "BEAT", 0.05)
    monkeypatch.setattr(workers, "SILENCE", 1.0)


def on_host(name: str) -> None:
    """Let this process be one of another host, for which the locks of others are not there."""
    workers.host_id = lambda: name  # type: ignore[assignment]
    fcntl.flock = lambda *arguments: None


def lives(process: str) -> bool:
    """Whether a process is there that has not been killed."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] not in "XZ"
    except OSError:
        return False


def _take_and_let_go(folder: Path, host: str, broken: Any, counts: Any, seed: int) -> None:
    """Take names for ever; each holder notes that it holds, which fails if another does."""
    if host:
        workers.host_id = lambda: host  # type: ignore[assignment]
    draw = random.Random(seed)
    seen = Workers(folder)
    with Worker(folder) as worker:
        while True:
            name = draw.choice(NAMES)
            if not Holds(folder, seen).take(name, worker.name, ""):
                time.sleep(0.01)
                continue
            note = folder / ".notes" / f"{name}.{os.getpid()}"
            note.touch()
            # Notes of the dead stay; of the living there may be no other.
            if any(lives(path.suffix[1:]) for path in (folder / ".notes").glob(f"{name}.*") if path != note):
                broken.value += 1
            counts[seed] += 1
            time.sleep(draw.random() * 0.01)
            note.unlink()
            Holds(folder, seen).release(name, worker.name)


@pytest.mark.parametrize("hosts", [("",), ("one", "two")], ids=["one host", "two hosts"])
def test_eight_processes_that_are_killed_never_hold_the_same(
    tmp_path: Path, quick: None, monkeypatch: pytest.MonkeyPatch, hosts: tuple[str]
) -> None:
    # Longer than a busy machine may leave a process without its turn.
    monkeypatch.setattr(workers, "SILENCE", 5.0)
    (tmp_path / ".notes").mkdir()
    # Without locks, which a process may hold when it is killed; each has a number of its own.
    broken, counts = FORK.Value("i", 0, lock=False), FORK.Array("i", 100, lock=False)
    draw, began = random.Random(0), time.monotonic()

    def start(seed: int) -> Any:
        arguments = (tmp_path, hosts[seed % len(hosts)], broken, counts, seed)
        process = FORK.Process(target=_take_and_let_go, args=arguments)
        process.start()
        return process

    processes, started = [start(seed) for seed in range(PROCESSES)], PROCESSES
    while time.monotonic() - began < SECONDS:
        time.sleep(0.3)
        victim = draw.randrange(PROCESSES)
        os.kill(processes[victim].pid, signal.SIGKILL)
        processes[victim].join()
        processes[victim] = start(started)
        started += 1
    at_the_end = list(counts[:started])
    deadline = time.monotonic() + 30
    # What the dead held is free again: the names go on being taken.
    while sum(counts[:started]) < sum(at_the_end) + 10 and time.monotonic() < deadline:
        time.sleep(0.1)
    for process in processes:
        process.kill()
        process.join()
    assert broken.value == 0
    assert sum(counts[:started]) >= sum(at_the_end) + 10 > PROCESSES + 10
    # Nothing of theirs outlives the next command.
    store = RunStore(tmp_path)
    if hosts == ("",):
        store.check_writable()
        assert not list((tmp_path / workers.NAME).iterdir()) and not store.entries()
        assert not list((tmp_path / ".claims").iterdir())


@pytest.fixture
def far(tmp_path: Path, quick: None) -> Iterator[Callable[[], Any]]:
    """Starts a process of another host that holds a run and beats."""
    processes = []

    def hold(folder: Path, claimed: Any) -> None:
        on_host("far")
        with RunStore(folder).claim(NAMES[0], head(NAMES[0])) as mine:
            claimed.put(mine)
            time.sleep(60)

    def start() -> Any:
        claimed = FORK.Queue()
        processes.append(FORK.Process(target=hold, args=(tmp_path, claimed)))
        processes[-1].start()
        assert claimed.get(timeout=60)
        return processes[-1]

    yield start
    for process in processes:
        process.kill()
        process.join()


def test_a_process_on_another_host_is_alive_as_long_as_it_beats(tmp_path: Path, far: Callable[[], Any]) -> None:
    far()
    store = RunStore(tmp_path)
    assert store.entry(NAMES[0]).state == "running"
    with store.claim(NAMES[0], {}) as mine:
        assert not mine
    assert not store.will_be_left(NAMES[0])
    time.sleep(2 * workers.SILENCE)
    assert not store.will_be_left(NAMES[0])


def test_one_that_died_after_it_was_seen_alive_is_found_dead(tmp_path: Path, far: Callable[[], Any]) -> None:
    process = far()
    store = RunStore(tmp_path)
    assert not store.will_be_left(NAMES[0])
    process.kill()
    process.join()
    assert store.will_be_left(NAMES[0])


@pytest.mark.parametrize("clock", [0.0, 2e9], ids=["1970", "2033"])
def test_what_a_dead_one_on_another_host_held_is_free_after_a_silence(
    tmp_path: Path, far: Callable[[], Any], clock: float
) -> None:
    """Whatever its clock said."""
    process = far()
    process.kill()
    process.join()
    store = RunStore(tmp_path)
    (file,) = (tmp_path / workers.NAME).iterdir()
    os.utime(file, (clock, clock))
    with store.claim(NAMES[0], {}) as mine:
        assert not mine
    began = time.monotonic()
    assert store.will_be_left(NAMES[0]) and time.monotonic() - began >= workers.SILENCE
    with store.claim(NAMES[0], {}) as mine:
        assert mine
    store.check_writable()
    assert not list((tmp_path / workers.NAME).iterdir())


def test_one_that_was_taken_for_dead_says_so_no_more(tmp_path: Path, far: Callable[[], Any]) -> None:
    process = far()
    os.kill(process.pid, signal.SIGSTOP)
    store = RunStore(tmp_path)
    assert store.will_be_left(NAMES[0])
    store.check_writable()
    os.kill(process.pid, signal.SIGCONT)
    time.sleep(10 * workers.BEAT)
    assert not list((tmp_path / workers.NAME).iterdir())
    with store.claim(NAMES[0], {}) as mine:
        assert mine


def test_of_many_that_inherit_one_does(tmp_path: Path) -> None:
    for _ in range(20):
        with Worker(tmp_path) as gone:
            assert Holds(tmp_path, Workers(tmp_path)).take("a", gone.name, "")
        barrier, won = threading.Barrier(8), []

        def inherit(barrier: threading.Barrier = barrier, won: list[str] = won) -> None:
            with Worker(tmp_path) as worker:
                barrier.wait()
                if Holds(tmp_path, Workers(tmp_path)).take("a", worker.name, ""):
                    won.append(worker.name)
                barrier.wait()

        threads = [threading.Thread(target=inherit) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(won) == 1


def test_where_there_are_no_locks_beats_tell(tmp_path: Path, quick: None, monkeypatch: pytest.MonkeyPatch) -> None:
    def none(*arguments: Any) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(locks.fcntl, "flock", none)
    store = RunStore(tmp_path)
    store.check_writable()
    with RunStore(tmp_path).claim(NAMES[0], {}) as held, store.claim(NAMES[0], {}) as mine:
        assert held and not mine
        assert not store.will_be_left(NAMES[0])
    with store.claim(NAMES[0], {}) as mine:
        assert mine


@pytest.mark.parametrize("content", [b"", b"[]", b"\xff" * 5000, b"[" * 4000, b'{"host_id": {}, "locked": []}'])
def test_what_makes_no_sense_is_a_silent_worker(tmp_path: Path, quick: None, content: bytes) -> None:
    (tmp_path / workers.NAME).mkdir()
    (tmp_path / workers.NAME / ("0" * 12)).write_bytes(content)
    seen = Workers(tmp_path)
    assert seen.said("0" * 12) == (json.loads(content) if b"host" in content else {})
    assert seen.is_dead("0" * 12) is None and seen.is_dead_at_last("0" * 12)


def test_a_claim_that_is_none_is_an_error_that_names_it(tmp_path: Path) -> None:
    (tmp_path / ".claims" / NAMES[0]).mkdir(parents=True)
    (tmp_path / ".claims" / NAMES[0] / "somebody's").touch()
    with (
        pytest.raises(OSError, match=r"\.claims.*a-s00") as error,
        RunStore(tmp_path).claim(NAMES[0], {}),
    ):
        pass
    assert error.value.errno == errno.ENOTEMPTY
    assert RunStore(tmp_path).entries() == []


def test_eight_processes_share_a_cell_in_parts(tmp_path: Path) -> None:
    """Two hosts of four, started together; each run is trained once."""
    words = ("model=graclus", "pooling=learned", "dataset=digits", f"splits={FEW_DIGITS}", "seeds=16", "replicas=2")
    job = compose_job([*words, "trainer.max_epochs=2", f"runs={tmp_path}", "diagnosed_graphs=0"])
    trained, together = FORK.Queue(), FORK.Barrier(PROCESSES)

    def work(host: str) -> None:
        workers.host_id = lambda: host  # type: ignore[assignment]
        together.wait()
        outcome = execute(job, lambda state, settled: None)
        trained.put((outcome.trained, outcome.failed, outcome.lost))

    processes = [FORK.Process(target=work, args=("one" if number % 2 else "two",)) for number in range(PROCESSES)]
    for process in processes:
        process.start()
    outcomes = [trained.get(timeout=120) for _ in processes]
    for process in processes:
        process.join()
    assert sorted(seed for seeds, _, _ in outcomes for seed in seeds) == list(range(16))
    assert not any(failed or lost for _, failed, lost in outcomes)
    assert [entry.state for entry in RunStore(tmp_path).entries()] == ["done"] * 16
    assert not list((tmp_path / workers.NAME).iterdir()) and not list((tmp_path / ".claims").iterdir())


def test_who_was_silent_for_too_long_leaves_its_runs_to_others(tmp_path: Path, quick: None) -> None:
    """Nothing of it is written in their place, and its checkpoint is theirs."""
    words = ("model=graclus", "pooling=learned", "dataset=digits", f"splits={FEW_DIGITS}", "seeds=3")
    job = compose_job([*words, "trainer.max_epochs=4", f"runs={tmp_path}", "checkpoint_minutes=1e-9"])
    other = RunStore(tmp_path)
    epochs = []

    def after_epoch(state: TrainingState, settled: int) -> None:
        epochs.append(state.epoch)
        if state.epoch == 2:
            time.sleep(2 * workers.BEAT)  # So that it looks.
            for place in (tmp_path / ".claims").glob("*-s*"):
                (own,) = place.iterdir()
                own.rename(place / stranger.name)

    with other.at_work() as stranger:
        outcome = execute(job, after_epoch)
        assert outcome.elsewhere == [0, 1, 2] and outcome.trained == [] and epochs == [1, 2]
        assert [entry.state for entry in other.entries()] == ["running"] * 3
    assert len(list((tmp_path / ".checkpoints").glob("*.pt"))) == 1
    again = execute(job, after_epoch)
    assert again.resumed == [(3, 2)] and again.trained == [0, 1, 2]
