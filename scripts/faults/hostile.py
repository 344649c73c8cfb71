"""Files that are damaged, or made to do harm: they are data, and what is wrong with them is said by name."""

import contextlib
import io
import json
import pickle
import shutil
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from rethinking.analysis.collect import collect
from rethinking.analysis.tidy import read_results
from rethinking.data.load import load
from rethinking.errors import UserError
from rethinking.runs.execute import execute
from rethinking.runs.store import RunStore
from scripts.faults.lab import Held, Lab

# A file that shows that something was carried out which was only to be read.
CANARY = Path("/tmp") / "rethinking-canary"


class Act:
    """Does something when it is unpickled."""

    def __reduce__(self):  # type: ignore[no-untyped-def]
        return CANARY.touch, ()


def _zip_that_leaves_its_folder() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("../../../../tmp/rethinking-canary", "out")
        archive.writestr("/tmp/rethinking-canary", "out")
    return buffer.getvalue()


def _zip_bomb() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("DS_A.txt", bytes(50_000_000))
    return buffer.getvalue()


HOSTILE: dict[str, bytes] = {
    "empty": b"",
    "a pickle": pickle.dumps(Act()),
    "nested without end": b"[" * 200_000,
    "YAML that names an object": b"!!python/object/apply:os.system ['touch /tmp/rethinking-canary']\n",
    "a Hydra target": json.dumps({"_target_": "os.system", "_args_": [f"touch {CANARY}"]}).encode(),
    "not a number": b'{"value": NaN, "seed": 1e999}',
    "an archive that leaves its folder": _zip_that_leaves_its_folder(),
    "an archive that is a bomb": _zip_bomb(),
    "half a character": b'"\\ud800"',
    "control characters": b"\x1b]0;title\x07\x1b[31m" * 50,
}


def _damaged(content: bytes, rng: np.random.Generator) -> Iterator[tuple[str, bytes]]:
    """A file in all the ways in which it may be wrong."""
    yield "cut", content[: int(rng.integers(len(content) + 1))]
    flipped = bytearray(content)
    for place in rng.integers(len(content), size=3) if content else ():
        flipped[place] ^= 1 << int(rng.integers(8))
    yield "three bits flipped", bytes(flipped)
    yield "reversed", content[::-1]
    name = sorted(HOSTILE)[int(rng.integers(len(HOSTILE)))]
    yield name, HOSTILE[name]


def store_files(lab: Lab, count: int) -> Held:
    """Any file of a store, its checkpoints and indices too, damaged or hostile: named, and the run is trained anew."""
    held = Held()
    while held.tried < count:
        runs = lab.filled_store("hostile")
        files = [path for path in sorted(runs.rglob("*")) if path.is_file()]
        path = files[int(lab.rng.integers(len(files)))]
        for kind, content in _damaged(path.read_bytes(), lab.rng):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
            what = f"{path.relative_to(runs)}, {kind}"
            _without_harm(lambda: read_results(RunStore(runs), lab.folder / "nothing"), what, held)
            held.tried += 1
            lab.finish(runs, held)
    return held


def checkpoints(lab: Lab, count: int) -> Held:
    """A saved state, damaged or hostile: left aside, and training begins anew."""
    held = Held()

    class StopError(BaseException):
        """As Ctrl-C."""

    def stop(state, settled):  # type: ignore[no-untyped-def]
        if state.epoch == 3:
            raise StopError

    while held.tried < count:
        runs = lab.new_store("checkpoint")
        with contextlib.suppress(StopError):
            execute(lab.job(runs), stop)
        (saved,) = (runs / ".checkpoints").glob("*.pt")
        for kind, content in list(_damaged(saved.read_bytes(), lab.rng))[held.tried % 4 :][:1]:
            saved.write_bytes(content)
            _without_harm(lambda: lab.finish(runs, held), f"checkpoint, {kind}", held)
            held.tried += 1
    return held


def results_files(lab: Lab, count: int) -> Held:
    """Any file of a results folder: read as far as it is sound, refused by name when more is to be collected."""
    held, runs, whole = Held(), lab.filled_store("hostile"), lab.folder / "whole"
    collect(RunStore(runs), whole)
    while held.tried < count:
        results = lab.folder / "damaged"
        shutil.rmtree(results, ignore_errors=True)
        shutil.copytree(whole, results)
        files = [path for path in sorted(results.rglob("*")) if path.is_file()]
        path = files[int(lab.rng.integers(len(files)))]
        for kind, content in _damaged(path.read_bytes(), lab.rng):
            path.write_bytes(content)
            what = f"{path.relative_to(results)}, {kind}"
            _without_harm(lambda: read_results(RunStore(lab.folder / "none"), results), what, held)
            held.tried += 1
    return held


def splits_and_caches(lab: Lab, count: int) -> Held:
    """A file of splits, or of a processed data set: refused in a sentence, or made anew."""
    held = Held()
    job = lab.job(lab.folder / "none")
    content = load(job.cell.dataset, job.places).fingerprint
    whole = (lab.folder / "splits" / "digits.csv").read_bytes()
    split = lab.folder / "others" / "digits.csv"
    split.parent.mkdir(exist_ok=True)
    while held.tried < count:
        for kind, damaged in _damaged(whole, lab.rng):
            split.write_bytes(damaged)
            words = [f"splits={split.parent}", "trainer.max_epochs=1", "seeds=1"]
            what = f"splits, {kind}"
            _without_harm(lambda: execute(lab.job(lab.new_store("split"), *words), lambda *a: None), what, held)
            held.tried += 1
        files = [path for path in sorted((lab.folder / "cache").rglob("*")) if path.is_file()]
        if not files:
            held.remark = "the data set has no cache"
            continue
        path = files[int(lab.rng.integers(len(files)))]
        before = path.read_bytes()
        for kind, damaged in _damaged(before, lab.rng):
            path.write_bytes(damaged)
            _without_harm(
                lambda: held.expect(load(job.cell.dataset, job.places).fingerprint == content, "another content"),
                f"cache: {path.name}, {kind}", held,
            )  # fmt: skip
            held.tried += 1
    return held


def _without_harm(work: Callable[[], object], what: str, held: Held) -> None:
    """Do something that may be refused in one sentence, but in no other way, and carries nothing out."""
    CANARY.unlink(missing_ok=True)
    try:
        work()
    except UserError as error:
        held.expect(str(error).count("\n") == 0 and str(error).isprintable(), f"{what}: more than a sentence")
    except Exception as error:
        held.problems.append(f"{what}: {type(error).__name__}: {error}")
    held.expect(not CANARY.exists(), f"{what}: something was carried out")
    CANARY.unlink(missing_ok=True)
