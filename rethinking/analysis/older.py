"""Runs of schema 1, which have no predictions and do not say what analysis needs of their task, split and Select.

It is known here by the names of their classes, looked up among those that `conf/` names; nothing that the runs name
is imported. Once all of them are replaced, this file goes.
"""

from collections.abc import Mapping
from dataclasses import asdict
from functools import cache
from typing import Any

from rethinking import paths
from rethinking.analysis.known import known_task
from rethinking.configuration.identity import class_name
from rethinking.configuration.locality import locality
from rethinking.own_files import own_file

MARK, MEANING = "†", "† runs of schema 1, without predictions."


def completed(stored: Mapping[str, Any]) -> dict[str, Any] | None:
    """A cell of schema 1 with what schema 2 records beside it. None if its runs are stale, or nobody can tell.

    Stale are those whose metric is better when lower: their learning rate was scheduled wrongly.
    """
    cell = stored["cell"]
    task = known_task(cell["dataset"]["task"]["_target_"])
    ratio = _test_to_train(cell["dataset"]["split"])
    if task is None or not task.higher_is_better or ratio is None:
        return None
    local = _locality().get(class_name(cell["select"].get("_target_", "")))
    return {**stored, "measure": asdict(task.measure), "test_to_train": ratio, "cell": {**cell, "is_local": local}}


def _test_to_train(split: Mapping[str, Any]) -> float | None:
    """n_test / n_train where seeds split the same graphs anew, 0 where not; None for a split of somebody's own."""
    kind = class_name(split["_target_"])
    if kind == "StratifiedSplit":
        return split["test"] / (1 - split["val"] - split["test"])
    return 0.0 if kind in ("FixedSplit", "LeakingSplit") else None


@cache
def _locality() -> dict[str, bool | None]:
    """Of every Select in `conf`, by the name of its class."""
    known: dict[str, bool | None] = {}
    for group, key in (("pooling", "select"), ("model", "learned")):
        for file in (paths.CONF / group).glob("*.yaml"):
            selects = own_file(f"{group}/{file.stem}")[key]
            for select in selects.values() if isinstance(selects, dict) else ():
                if isinstance(select, dict) and "_target_" in select:
                    known[class_name(select["_target_"])] = locality(None, select)
    return known
