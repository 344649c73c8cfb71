"""What a pooler that is called as PyG's may return, and how it is understood.

An object or a mapping: `x`, `edge_index`, `edge_weight` or `edge_attr`, `batch`, `perm`, `score`, `cluster`, by these
names, and losses by any name that has `loss` in it. A tuple: x and edge_index first, as PyG's poolers have it; then,
each if it is there, weights of edges (before batch), batch and perm (whole numbers, in this order), score (after
batch), an object with `cluster`, and losses. A loss is one number; a mapping, list or tuple has several.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from rethinking.pooling.operators.interface import Assignment, Coarse, Graphs

Parts = dict[str, Any]
NAMES = ("x", "edge_index", "edge_weight", "edge_attr", "batch", "perm", "score", "cluster")


def read(output: Any, graphs: Graphs, selected: Any, name: str) -> Coarse:
    """What was returned, as it stands; `sentences.checked` looks whether it is right.

    selected: what the pooler's `select` returned, PyG's SelectOutput, or None. Its clusters are then the assignment;
    else those of `perm` or `cluster`, else there is none.

    Raises ValueError, with one sentence, for anything that cannot be understood.
    """
    if isinstance(output, Coarse):
        return output
    parts = _parts(output)
    missing = [part for part in ("x", "edge_index") if not isinstance(parts.get(part), Tensor)]
    if missing:
        raise ValueError(
            f"{name} returns {_described(output)}, without {' and '.join(missing)}: (x, edge_index, …, batch) or an "
            "object with these names was expected."
        )
    x, batch, weight = parts["x"], parts.get("batch"), parts.get("edge_weight")
    if batch is None:
        if graphs.count > 1:
            raise ValueError(f"{name} returns {_described(output)}, without batch, the graph of each cluster.")
        batch = graphs.batch.new_zeros(len(x))
    if isinstance(weight, Tensor) and weight.dim() == 2 and weight.shape[1] == 1:
        weight = weight[:, 0]
    pooled = Graphs(x, parts["edge_index"], weight, batch, graphs.count)
    return Coarse(pooled, _assignment(parts, pooled, graphs, selected), _losses(parts["losses"], x, name))


def _parts(output: Any) -> Parts:
    if isinstance(output, Mapping):
        return _by_name(output)
    if isinstance(output, Sequence) and not hasattr(output, "_fields"):
        return _by_place(list(output))
    # An object: a named tuple, a dataclass, or one of PyG's, which lists what it has as a mapping does.
    listed = output.keys() if callable(getattr(output, "keys", None)) else dir(output)
    losses = [name for name in map(str, listed) if _is_loss(name) and not name.startswith("_")]
    return _by_name({name: getattr(output, name, None) for name in (*NAMES, *losses)})


def _by_name(output: Mapping[Any, Any]) -> Parts:
    parts = {name: output.get(name) for name in NAMES}
    if parts["edge_weight"] is None:
        parts["edge_weight"] = parts.pop("edge_attr")
    return parts | {"losses": {str(name): value for name, value in output.items() if _is_loss(str(name))}}


def _is_loss(name: str) -> bool:
    return "loss" in name.lower()


def _by_place(output: Sequence[Any]) -> Parts:
    parts: Parts = dict(zip(("x", "edge_index"), output, strict=False))
    edges = parts["edge_index"].shape[-1] if isinstance(parts.get("edge_index"), Tensor) else 0
    losses: list[Any] = []
    for value in output[2:]:
        if hasattr(value, "cluster"):
            parts |= {"cluster": value.cluster, "score": getattr(value, "new_edge_score", None)}
        elif isinstance(value, (Mapping, list, tuple)) or (isinstance(value, Tensor) and value.dim() == 0):
            losses.append(value)
        elif isinstance(value, Tensor) and not value.is_floating_point():
            parts["perm" if "batch" in parts else "batch"] = value
        elif isinstance(value, Tensor) and "score" in parts and value.numel() == 1:
            losses.append(value)
        elif isinstance(value, Tensor) and "batch" in parts:
            # One number is the score of one cluster, and else a loss.
            if value.numel() == 1 and len(parts["x"]) != 1:
                losses.append(value)
            else:
                parts["score"] = value
        elif isinstance(value, Tensor) and len(value) == edges:
            parts["edge_weight"] = value
    return parts | {"losses": {f"loss_{place}" if place else "loss": loss for place, loss in enumerate(losses)}}


def _losses(named: Mapping[str, Any], x: Tensor, name: str) -> dict[str, Tensor]:
    """Each as a scalar; those within one another are called by what they are in, too, where a name is there twice.

    Raises ValueError for a tensor that is no number; what is none (a text) is no loss.
    """
    found: dict[str, Tensor] = {}
    for own, value in named.items():
        if value is None:
            continue
        parts: Mapping[Any, Any] = {own: value}
        if isinstance(value, Mapping):
            parts = value
        elif isinstance(value, (list, tuple)):
            parts = {f"{own}_{place}": part for place, part in enumerate(value)}
        for part, loss in parts.items():
            if isinstance(loss, (int, float)):
                loss = x.new_tensor(loss)
            if not isinstance(loss, Tensor):
                continue
            if loss.numel() != 1 or not loss.is_floating_point():
                raise ValueError(
                    f"{name} returns {_described(loss)} as its loss '{part}', where one number was expected."
                )
            found[str(part) if str(part) not in found else f"{own}_{part}"] = loss.reshape(())
    return found


def _assignment(parts: Parts, pooled: Graphs, graphs: Graphs, selected: Any) -> Assignment | None:
    nodes, clusters = len(graphs.x), len(pooled.x)
    if selected is not None:
        node, cluster, weight = selected.node_index, selected.cluster_index, selected.weight
    elif _is_vector(parts.get("perm"), clusters):
        node, cluster, weight = parts["perm"], torch.arange(clusters, device=pooled.x.device), parts.get("score")
    elif _is_vector(parts.get("cluster"), nodes):
        node, cluster, weight = torch.arange(nodes, device=pooled.x.device), parts["cluster"], parts.get("score")
        weight = weight[cluster] if isinstance(weight, Tensor) and _is_vector(weight, clusters) else weight
    else:
        return None
    if not _is_vector(weight, len(node)):
        weight = pooled.x.new_ones(len(node))
    return Assignment(node, cluster, weight, pooled.batch, nodes)


def _is_vector(value: Any, length: int) -> bool:
    return isinstance(value, Tensor) and value.dim() == 1 and len(value) == length


def _described(output: Any) -> str:
    if isinstance(output, Tensor):
        return f"one tensor {str(output.dtype).removeprefix('torch.')} {list(output.shape)}"
    if isinstance(output, (tuple, list)):
        return f"a {type(output).__name__} of {len(output)}"
    return f"a {type(output).__name__}"
