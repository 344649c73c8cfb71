"""The tasks that `conf/` names, where a stored cell's own is looked up: nothing is made from what was stored."""

from functools import cache
from typing import Any

from hydra.utils import instantiate

from rethinking.configuration.identity import class_name
from rethinking.own_files import own_file
from rethinking.tasks.task import Task


def known_task(target: Any) -> Task | None:
    """The task of `conf/tasks.yaml` whose class has the name that a stored `_target_` ends in, if there is one."""
    return _task(class_name(target))


@cache
def _task(name: str) -> Task | None:
    tasks = own_file("tasks")["tasks"].values()
    return next((instantiate(task) for task in tasks if class_name(task["_target_"]) == name), None)
