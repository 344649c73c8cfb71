"""Whether a cell can be trained at all, tried on two tiny graphs before any work."""

from functools import partial
from typing import Any, get_type_hints

import numpy as np
import torch
from hydra.errors import HydraException
from hydra.utils import instantiate
from torch import nn

from rethinking.configuration.cell import Cell
from rethinking.errors import UserError, not_ending
from rethinking.graphs.levels import SparseLevel
from rethinking.graphs.nodes import Origin
from rethinking.graphs.topology import Topology
from rethinking.layers.initial import initialise
from rethinking.models.inputs import DataShape
from rethinking.tasks.task import Task


def check(cell: Cell) -> None:
    """Raises UserError if the network cannot be made as configured, or does not predict two tiny graphs.

    Classes of one's own may fail in any way, so any failure is told in one sentence.
    """
    pair = f"model={cell.family} with pooling={cell.variant}"
    try:
        with not_ending():
            network = instantiate(cell.network, _partial_=True)
            _check_types(network)
            select = instantiate(cell.select)
            made = network(replicas=2, shape=DataShape(1, 3, 2, mean_nodes=4.0), select=select)
            initialise(made, [0, 1])
    except Exception as error:
        raise UserError(f"{pair} cannot be made with these settings: {reason(error)}") from error
    try:
        with not_ending():
            _check_output(made(torch.ones(2, 3, 1), _two_tiny_graphs()))
    except Exception as error:
        raise UserError(f"{pair} does not predict: {reason(error)}") from error
    try:
        with not_ending():
            task = cell.task()
            cell.splitter()
    except Exception as error:
        raise UserError(f"dataset={cell.dataset.name} has an unusable split or task: {reason(error)}") from error
    if not isinstance(task, Task):
        raise UserError(f"dataset={cell.dataset.name} has a task that is no rethinking.tasks.task.Task: {task}.")
    try:
        _ = task.measure
    except UserError as error:
        raise UserError(f"dataset={cell.dataset.name}: {error}") from error


def reason(error: Exception) -> str:
    """What was wrong, on one line, without what Hydra says around it."""
    cause = (error.__cause__ or error) if isinstance(error, HydraException) else error
    text = " ".join(str(cause).split())
    if isinstance(cause, ModuleNotFoundError) or "No module named" in text:
        text += " (a module of your own is found if its folder is on PYTHONPATH)"
    if "missing" in text and "positional argument" in text:
        text += " (what a family makes itself, for each of its layers, needs `_partial_: true` in its file)"
    return text if isinstance(cause, (HydraException, TypeError, ValueError)) else f"{type(cause).__name__}: {text}"


def _two_tiny_graphs() -> SparseLevel:
    """For two replicas: two nodes joined by an edge, and one alone."""
    edges = np.array([1, 0, 4, 3])
    pointers = np.array([0, 1, 2, 2, 3, 4, 4])
    topology = Topology(2, 3, np.array([0, 2, 3, 5]), np.array([2, 1, 2, 1]), pointers, edges, pointers, edges)
    origin = Origin(np.array([0, 1, 0, 1]))
    return SparseLevel(topology, torch.device("cpu"), np.zeros(4, np.uint64), origin=origin)


def _check_output(output: Any) -> None:
    """Raises ValueError if a network does not return what the engine asks for, for the two tiny graphs."""
    if not isinstance(output, tuple) or len(output) != 2 or not isinstance(output[1], dict):
        raise ValueError("forward returns no pair of predictions and a dictionary of losses")
    prediction, losses = output
    if tuple(prediction.shape) != (2, 2, 3):
        raise ValueError(f"predictions have the shape {list(prediction.shape)}; expected [R, B, out], here [2, 2, 3]")
    if not bool(torch.isfinite(prediction).all()):
        raise ValueError("predictions of two tiny graphs, one of them a single node, are NaN or infinite")
    for name, loss in losses.items():
        if tuple(loss.shape) != (2,):
            raise ValueError(f"the loss {name} has the shape {list(loss.shape)}; expected [R], here [2]")


def _check_types(network: partial[nn.Module]) -> None:
    """Raises TypeError for an argument that is not of the plain type the constructor declares."""
    try:
        declared = get_type_hints(network.func.__init__)
    except NameError:
        return  # Hints that only a type checker can read.
    for name, value in network.keywords.items():
        expected = declared.get(name)
        # In Python a truth value is a whole number, and a whole number is a number; only the latter is meant here.
        accepted = (int, float) if expected is float else (expected,)
        if expected in (int, float, bool, str) and type(value) not in accepted:
            raise TypeError(f"{name}={value}; expected {expected.__name__}")
