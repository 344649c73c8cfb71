"""Whether learning curves and predictions that were read are what their run's record says.

The files are data of whoever made them. What is wrong is a ValueError with the reason, for the caller to name the file.
"""

import math
from collections.abc import Callable
from typing import Any

import pandas as pd

from rethinking.analysis.cells import StoredCell
from rethinking.analysis.known import known_task
from rethinking.runs.predictions import PARTS, score_of

# A recorded score follows from the predictions bit by bit where both are computed by the same libraries.
ROUNDING = 1e-12


def whole(read: Callable[[], pd.DataFrame], check: Callable[[pd.DataFrame], None]) -> pd.DataFrame:
    """What `read` gives, if it passes a check. Raises ValueError with the reason, whatever goes wrong."""
    try:
        frame = read()
        check(frame)
    except Exception as error:  # A Parquet file of somebody's may make its reader raise nearly anything.
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ValueError(reason if type(error) is ValueError else f"cannot be read ({reason[:200]})") from error
    return frame


def check_history(frame: pd.DataFrame, metric: str, key: tuple[str, ...] = ("epoch",)) -> None:
    """Learning curves, a row an epoch. key: what tells rows apart; with the seed where the file holds several runs."""
    _check_columns(frame, [*key, "val_loss", f"val_{metric}"], whole_numbers=key)
    _check_rows(frame, key)


def check_predictions(frame: pd.DataFrame, key: tuple[str, ...] = ("part", "graph")) -> None:
    """Predictions, a row a part and graph; see `runs/predictions.py`."""
    numbers = frame.drop(columns="part", errors="ignore")
    _check_columns(numbers, [name for name in (*key, "target", "prediction") if name != "part"], key)
    if "part" not in frame or not frame["part"].isin(PARTS).all():
        raise ValueError(f"has a part that is none of {', '.join(PARTS)}")
    _check_rows(frame, key)


def check_tested(frame: pd.DataFrame) -> None:
    """The graphs of a part, a row each."""
    _check_columns(frame, ["graph"], ("graph",))
    if frame.duplicated().any():
        raise ValueError("has two rows of one part and graph")


def check_scores(cell: StoredCell, record: dict[str, Any], predictions: pd.DataFrame) -> None:
    """Whether the recorded scores follow from the predictions, for the tasks that `conf/tasks.yaml` names."""
    task = known_task(cell.config["dataset"]["task"]["_target_"])
    if task is None:
        return
    if cell.measure.metric != task.metric:
        raise ValueError(f"has the metric {cell.measure.metric}, where its task has {task.metric}")
    for part in PARTS:
        recorded = record[f"{part}_{task.metric}"]
        try:
            score = score_of(task, predictions, part)
        except Exception as error:  # Of columns that are none of this task's, or without a row.
            reason = " ".join(str(error).split()) or type(error).__name__
            raise ValueError(f"has predictions of which there is no {part} {task.metric} ({reason[:200]})") from error
        same = math.isclose(score, recorded, rel_tol=ROUNDING, abs_tol=ROUNDING)
        if not same and not (math.isnan(score) and math.isnan(recorded)):
            raise ValueError(f"gives a {part} {task.metric} of {score:g}, recorded is {recorded:g}")


def _check_columns(frame: pd.DataFrame, needed: list[str], whole_numbers: tuple[str, ...]) -> None:
    lacking = [name for name in needed if name not in frame]
    if lacking:
        raise ValueError(f"lacks the column {', '.join(lacking)}")
    for name in map(str, frame):
        if not pd.api.types.is_numeric_dtype(frame[name]):
            raise ValueError(f"has something else than numbers in the column {name}")
        if name in whole_numbers and not pd.api.types.is_integer_dtype(frame[name]):
            raise ValueError(f"has something else than whole numbers in the column {name}")
        if name in whole_numbers and (frame[name] < 0).any():
            raise ValueError(f"has a number below 0 in the column {name}")


def _check_rows(frame: pd.DataFrame, key: tuple[str, ...]) -> None:
    if frame.empty:
        raise ValueError("has no rows")
    if frame.duplicated(list(key)).any():
        raise ValueError(f"has two rows of one {' and '.join(key)}")
