"""Any pooler by the import path of its class: what it is called with and what it returns are known by their names.

One of torch-geometric-pool's is taken as Select, Reduce, Connect, one of our own interface as it is. All others are
called as PyG's, `forward(x, edge_index, [edge_weight or edge_attr], batch)`; `returned.py` says what they may return.
"""

import copy
import importlib
import importlib.util
import inspect
import sys
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torch_geometric.nn.pool.select import Select

from rethinking.errors import not_ending
from rethinking.pooling.operators.explained import Connect, by_clusters, explained, takes_clusters, with_weights
from rethinking.pooling.operators.interface import Assignment, Coarse, Graphs, Operator
from rethinking.pooling.operators.pyg import select_output
from rethinking.pooling.operators.replaced import constantly, replaced
from rethinking.pooling.operators.returned import read
from rethinking.pooling.operators.scatter import stand_in_where_missing
from rethinking.pooling.operators.sentences import in_one_sentence, in_words
from rethinking.pooling.operators.tgp import SelectReduceConnect
from rethinking.randomness import generators_follow

# What a constructor may call the sizes that the harness gives any operator.
NAMES = {
    "in_features": ("in_features", "in_channels", "in_dim", "input_dim", "channels"),
    "clusters": ("clusters", "k", "num_clusters", "n_clusters"),
    "ratio": ("ratio", "pooling_ratio", "pool_ratio"),
    "max_nodes": ("max_nodes", "max_num_nodes"),
}
# By how much weights are changed, a standard deviation, to see what a pooler does.
SHAKEN = 0.1
# The width of clusters' features is that of nodes', where it has to be said.
WIDTHS = ("out_features", "out_channels", "out_dim", "output_dim")


def operator(
    in_features: int,
    clusters: int,
    ratio: float,
    max_nodes: int,
    path: str | None,
    arguments: Mapping[str, Any] | None = None,
    text: str | None = None,
) -> Operator:
    """The pooler at an import path, as an Operator. arguments: of its constructor. text: what its runs are known by.

    Raises ValueError, with one sentence, for what cannot be imported, made or called.
    """
    if path is None:
        raise ValueError("a class of your own needs its import path, pooler.operator.path=my_package.MyPool")
    sizes = {"in_features": in_features, "clusters": clusters, "ratio": ratio, "max_nodes": max_nodes}
    pooler = made(imported(path), path, sizes, dict(arguments or {}))
    if isinstance(pooler, Operator):
        # One that pays no heed to the clusters it is given would be its own twin.
        if pooler.says_assignment and not takes_clusters(pooler, in_features):
            pooler.says_assignment = False
        return pooler
    library = sys.modules.get("tgp.src")
    if library is not None and isinstance(pooler, library.SRCPooling):
        pooler.sparse_output = True  # Whether results are block-diagonal; a subclass may not ask for it.
        found = SelectReduceConnect(pooler, path)
        found.says_assignment = takes_clusters(found, in_features)
        return found
    return AsPyg(pooler, path, in_features)


def imported(path: str) -> type[nn.Module]:
    """The class at an import path.

    Raises ValueError if there is none, or no class of torch modules.
    """
    module, _, name = path.rpartition(".")
    if not module:
        raise ValueError(f"'{path}' is no import path: package.module.Class was expected.")
    if importlib.util.find_spec("tgp") is not None:
        stand_in_where_missing()
    try:
        with not_ending():
            found = getattr(importlib.import_module(module), name)
    except Exception as error:
        raise ValueError(f"{path} cannot be imported: {in_words(error)}") from error
    if not (isinstance(found, type) and issubclass(found, nn.Module)):
        what = "a class of something else" if isinstance(found, type) else f"a {type(found).__name__}"
        raise ValueError(f"{path} is {what}, where a class derived from torch.nn.Module was expected.")
    return found


def made(cls: type[nn.Module], path: str, sizes: Mapping[str, Any], arguments: dict[str, Any]) -> nn.Module:
    """A pooler of this class, with those of the sizes that its constructor asks for.

    Raises ValueError if it asks for anything else that the arguments do not give, or does not know one of these.
    """
    parameters = inspect.signature(cls).parameters
    variable = any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in parameters.values())
    unknown = set(arguments) - set(parameters)
    if unknown and not variable:
        raise ValueError(f"{path} has no argument '{min(unknown)}'; it has: {', '.join(parameters) or 'none'}.")
    called = {name: sizes[size] for size, names in NAMES.items() for name in names}
    required = _required(parameters)
    taken = {name: value for name, value in called.items() if name in parameters}
    taken |= {name: sizes["in_features"] for name in WIDTHS if name in required}
    # One whose results can be dense says so by an argument of this name.
    taken |= {"sparse_output": True} if "sparse_output" in parameters else {}
    missing = [name for name in required if name not in taken | arguments]
    if missing:
        raise ValueError(
            f"{path} cannot be made without '{missing[0]}', which 'pooler.operator.arguments={{{missing[0]}: VALUE}}' "
            f"gives it: its constructor is given {', '.join(called)}, as far as it asks for them."
        )
    try:
        with not_ending():
            pooler = cls(**(taken | arguments))
    except Exception as error:
        raise ValueError(f"{path} cannot be made: {in_words(error)}") from error
    lazy = next((name for name, value in pooler.named_parameters() if nn.parameter.is_lazy(value)), None)
    if lazy is not None:
        raise ValueError(
            f"{path} has a lazy layer, whose {lazy} is not there before a first call: one with a width was expected, "
            "such as the `in_channels` that its constructor is given if it asks for it."
        )
    return pooler


class AsPyg(Operator):
    """A pooler that is called as PyG's are.

    If it has a `select` that returns PyG's SelectOutput, that is its assignment, and others can be given in its place.
    So they can if it returns which nodes it keeps, or which cluster each is in, and its features and edges follow from
    that (`explained.py`).
    """

    def __init__(self, pooler: Any, name: str, in_features: int) -> None:
        super().__init__()
        self.pooler = pooler
        self.name = name
        self._selects = isinstance(getattr(pooler, "select", None), Select)
        self._connect: Connect | None = None
        widths = [getattr(pooler, width, None) for width in WIDTHS]
        self.out_features = next((width for width in widths if isinstance(width, int)), None)
        self._parameters_of_call()
        self.says_assignment = True
        # One that has a `select` may yet select in its own way.
        self._selects = self._selects and takes_clusters(self, in_features)
        if not self._selects:
            self._connect = self._explained(in_features)
        self.says_assignment = self._selects or self._connect is not None

    def forward(self, graphs: Graphs, given: Assignment | None = None) -> Coarse:
        """Pool.

        Raises ValueError for given clusters, if they cannot be put in place of its own, and for what it does wrong.
        """
        if given is not None and not self.says_assignment:
            raise ValueError(f"{self.name} does not say what it selects, so it cannot pool by given clusters.")
        if given is not None and self._connect is not None:
            return by_clusters(graphs, given, self._connect)
        selected: list[Any] = []
        with ExitStack() as stack:
            if given is not None:
                stack.enter_context(replaced(self.pooler.select, forward=constantly(select_output(given))))
            if self._selects:
                hook = self.pooler.select.register_forward_hook(lambda _, __, output: selected.append(output))
                stack.callback(hook.remove)
            stack.enter_context(in_one_sentence(self.name, graphs))
            output = self.pooler(**self._call(graphs))
        coarse = read(output, graphs, selected[0] if selected else None, self.name)
        if given is not None and len(coarse.graphs.x) != given.clusters:
            raise ValueError(f"{self.name} makes {len(coarse.graphs.x)} clusters of {given.clusters} that it is given.")
        width, wanted = coarse.graphs.x.shape[-1], self.out_features or graphs.x.shape[1]
        if coarse.graphs.x.dim() == 2 and width != wanted:
            raise ValueError(
                f"{self.name} returns features of width {width}, where {wanted} were expected: one whose features "
                f"change their width must have it as an attribute '{WIDTHS[0]}' or '{WIDTHS[1]}'."
            )
        return replace(coarse, assignment=with_weights(coarse, graphs)) if self._connect is not None else coarse

    def _explained(self, in_features: int) -> Connect | None:
        """See `explained.py`: in training as in evaluation, so that layers of the pooler's own are seen.

        And with other weights than at the beginning, when a branch may be multiplied by zero.
        """
        own = self.pooler
        try:
            self.pooler = _shaken(own)
            found = []
            for training in (True, False):
                self.pooler.train(training)
                with torch.no_grad(), generators_follow(0):
                    found.append(explained(self.forward, in_features))
        finally:
            self.pooler = own.train()
        return found[0] if found[0] is found[1] else None

    def _call(self, graphs: Graphs) -> dict[str, Tensor | None]:
        """Copies, as a pooler may change what it is given."""
        parameters = self._parameters_of_call()
        call: dict[str, Tensor | None] = {"x": graphs.x, "edge_index": graphs.edge_index, "batch": graphs.batch}
        for weight in ("edge_weight", "edge_attr"):
            if weight in _required(parameters):
                call[weight] = graphs.weights
            elif weight in parameters:
                call[weight] = graphs.edge_weight
        return {name: None if value is None else value.clone() for name, value in call.items()}

    def _parameters_of_call(self) -> Mapping[str, inspect.Parameter]:
        parameters = inspect.signature(self.pooler.forward).parameters
        known = {"x", "edge_index", "batch"}
        if not known <= set(parameters) or not set(_required(parameters)) <= known | {"edge_weight", "edge_attr"}:
            raise ValueError(
                f"{self.name} is called as forward({', '.join(parameters)}), where x, edge_index and batch were "
                "expected and, if it takes weights of edges, edge_weight or edge_attr; docs/check.md says what to do "
                "with a pooler of padded graphs."
            )
        return parameters


def _shaken(pooler: nn.Module) -> nn.Module:
    """A copy with other weights; the pooler itself if it cannot be copied."""
    try:
        with not_ending():
            copied = copy.deepcopy(pooler)
    except Exception:  # Somebody's own module may hold anything.
        return pooler
    with torch.no_grad(), generators_follow(0):
        for parameter in copied.parameters():
            if parameter.is_floating_point():
                parameter.add_(SHAKEN * torch.randn_like(parameter))
    return copied


def _required(parameters: Mapping[str, inspect.Parameter]) -> list[str]:
    variable = (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)
    return [
        name
        for name, parameter in parameters.items()
        if parameter.default is inspect.Parameter.empty and parameter.kind not in variable
    ]
