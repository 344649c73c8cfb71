"""The tables of a results folder from the content of their files: what makes sense, and a sentence on what does not.

content: of the file, None if there is none. problems: takes the sentences.
"""

import io
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd

from rethinking.analysis.cells import is_label
from rethinking.runs.identity import is_name, run_id
from rethinking.runs.plain import read_plain

KEYS = ["run_id", "cell_id", "family", "variant", "dataset", "fidelity", "seed"]
COLUMNS = [*KEYS, "split", "metric", "value"]
# What a row says of its cell, which `cells.yaml` says too.
NAMES = ("family", "variant", "dataset", "fidelity")


def parse_runs(path: Path, content: bytes | None, problems: list[str]) -> tuple[pd.DataFrame, int]:
    """The runs all of whose rows make sense, and how many others there are."""
    nothing = pd.DataFrame(columns=COLUMNS)
    if content is None:
        return nothing, 0
    try:
        # As text: pandas would guess the types of columns, and read numbers not quite as they were written. Not as its
        # own kind of text, of which every use takes ten times as long.
        frame = pd.read_csv(io.BytesIO(content), encoding="utf-8", dtype=object, keep_default_na=False)
        _need_columns(frame, COLUMNS)
    except ValueError as error:
        problems.append(_unreadable(path, error))
        return nothing, 0
    frame = frame.fillna("").drop_duplicates()  # a line that was cut has fewer columns
    wrong = pd.Series(_reasons(frame), index=frame.index, dtype=object)
    wrong = wrong.where((wrong != "") | ~frame.duplicated(["run_id", "split", "metric"], keep=False), "two values")
    bad = frame[wrong != ""]
    # A row whose run, cell or seed makes no sense is of the run that the others say.
    meant = set(bad["run_id"]) | {f"{cell}-s{seed:>02}" for cell, seed in zip(bad["cell_id"], bad["seed"], strict=True)}
    left_out = frame["run_id"].isin(meant)
    count = len({run for run in frame.loc[left_out, "run_id"] if is_name(run)}) or len(set(bad["run_id"]))
    if count:
        place = bad.index[0]
        problems.append(
            f"{path}: {count} run{'s are' if count > 1 else ' is'} left out; line {place + 2} has {wrong[place]}."
        )
    sound = frame[~left_out]
    return sound.assign(seed=sound["seed"].astype(float).astype(int), value=sound["value"].map(_number)), count


def without_misnamed(
    path: Path, runs: pd.DataFrame, cells: Mapping[str, Mapping[str, Any]], problems: list[str]
) -> tuple[pd.DataFrame, int]:
    """The runs that are called as `cells.yaml` calls their cell, and how many others there are."""
    wrong: dict[str, str] = {}
    for id, *names in runs[["cell_id", *NAMES]].drop_duplicates().itertuples(index=False):
        cell = cells.get(id, {}).get("cell")
        if not isinstance(cell, Mapping) or not isinstance(cell.get("dataset"), Mapping):
            continue  # It is said where it is read.
        own = {**cell, "dataset": cell["dataset"].get("name")}
        for name, found in zip(NAMES, names, strict=True):
            if own.get(name) != found:
                wrong[id] = f"the {name} {found}, where cells.yaml has {own.get(name)}"
    misnamed = runs["cell_id"].isin(list(wrong))
    counts = runs[misnamed].groupby("cell_id")["run_id"].nunique()
    for id, text in wrong.items():
        many = f"{counts[id]} runs are" if counts[id] > 1 else "1 run is"
        problems.append(f"{path}: {many} left out; the cell {id} has {text}.")
    return runs[~misnamed].reset_index(drop=True), int(counts.sum())


def parse_cells(path: Path, content: bytes | None, problems: list[str]) -> dict[str, dict[str, Any]]:
    """What `cells.yaml` keeps of every cell."""
    try:
        cells = {} if content is None else read_plain(content.decode("utf-8"))
    except ValueError as error:
        problems.append(_unreadable(path, error))
        return {}
    if not isinstance(cells, Mapping):
        problems.append(f"{path} holds no cells.")
        return {}
    sound = {id: stored for id, stored in cells.items() if is_name(id) and isinstance(stored, dict)}
    problems += [f"{path}: the entry {id!r} is no cell and is left out." for id in cells if id not in sound]
    return sound


def parse_provenance(path: Path, content: bytes | None, problems: list[str]) -> pd.DataFrame:
    """`provenance.csv`, a row a run."""
    nothing = pd.DataFrame(columns=["run_id"])
    if content is None:
        return nothing
    try:
        frame = pd.read_csv(io.BytesIO(content), encoding="utf-8")
        _need_columns(frame, ["run_id", "schema"])
    except ValueError as error:
        problems.append(_unreadable(path, error))
        return nothing
    twice = frame["run_id"].duplicated()
    if twice.any():
        problems.append(f"{path} has two rows of run {frame.loc[twice, 'run_id'].iloc[0]}; the first one counts.")
    return frame[~twice]


def _reasons(frame: pd.DataFrame) -> list[str]:
    """What is wrong with each row of `runs.csv`; nothing if it makes sense. Runs and metrics have many rows each."""
    run, named = cache(_reason_of_run), cache(_reason_of_name)
    rows = zip(*(frame[name] for name in COLUMNS), strict=True)
    return [
        run(*keys) or named("split", split) or named("metric", metric) or _reason_of_value(value)
        for *keys, split, metric, value in rows
    ]


def _reason_of_run(run: str, cell: str, family: str, variant: str, dataset: str, fidelity: str, seed: str) -> str:
    """What is wrong with what names a run, `KEYS`."""
    for name, word in (("run_id", run), ("cell_id", cell)):
        if not is_name(word):
            return f"the {name} {word!r}, which names no run"
    whole_number, _, zeros = seed.partition(".")
    if not whole_number.isdecimal() or not whole_number.isascii() or len(whole_number) > 9 or zeros.strip("0"):
        return f"the seed {seed!r}"
    if run != run_id(cell, int(whole_number)):
        return f"the cell {cell} and seed {whole_number}, which are of another run"
    names = {"family": family, "variant": variant, "dataset": dataset, "fidelity": fidelity}
    return next((reason for name, word in names.items() if (reason := _reason_of_name(name, word))), "")


def _reason_of_name(name: str, word: str) -> str:
    return "" if is_label(word) else f"the {name} {word!r}"


def _reason_of_value(value: str) -> str:
    return "" if _number(value) is not None else f"the value {value!r}"


def _number(text: str) -> float | None:
    try:
        return float(text) if text else float("nan")
    except ValueError:
        return None


def _unreadable(path: Path, error: Exception) -> str:
    return f"{path} cannot be read ({' '.join(str(error).split())[:200]})."


def _need_columns(frame: pd.DataFrame, needed: list[str]) -> None:
    missing = [column for column in needed if column not in frame]
    if missing:
        raise ValueError(f"it lacks the columns {', '.join(missing)}")
