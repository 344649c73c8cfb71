"""What a pooler that is called as PyG's may return, and how it is understood.

An object or a mapping: `x`, `edge_index`, `edge_weight` or `edge_attr`, `batch`, `perm`, `score`, `cluster`, and `loss`
or `losses`, by these names. A tuple: x and edge_index first, as PyG's poolers have it; then, each if it is there,
weights of edges (before batch), batch and perm (whole numbers, in this order), score (after batch), an object with
`cluster`, and losses (scalars, or a mapping of them).
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from rethinking.pooling.operators.interface import Assignment, Coarse, Graphs

Parts = dict[str, Any]


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
    return Coarse(pooled, _assignment(parts, pooled, graphs, selected), parts["losses"])


def _parts(output: Any) -> Parts:
    if isinstance(output, (Mapping, Sequence)) and not hasattr(output, "_fields"):
        return _by_name(output.get) if isinstance(output, Mapping) else _by_place(list(output))
    return _by_name(lambda name: getattr(output, name, None))


def _by_name(get: Any) -> Parts:
    parts = {name: get(name) for name in ("x", "edge_index", "edge_weight", "batch", "perm", "score", "cluster")}
    if parts["edge_weight"] is None:
        parts["edge_weight"] = get("edge_attr")
    losses = get("losses") if get("losses") is not None else get("loss")
    return parts | {"losses": _losses([] if losses is None else [losses])}


def _by_place(output: Sequence[Any]) -> Parts:
    parts: Parts = dict(zip(("x", "edge_index"), output, strict=False))
    edges = parts["edge_index"].shape[-1] if isinstance(parts.get("edge_index"), Tensor) else 0
    losses = []
    for value in output[2:]:
        if hasattr(value, "cluster"):
            parts |= {"cluster": value.cluster, "score": getattr(value, "new_edge_score", None)}
        elif isinstance(value, Mapping) or (isinstance(value, Tensor) and value.dim() == 0):
            losses.append(value)
        elif isinstance(value, Tensor) and not value.is_floating_point():
            parts["perm" if "batch" in parts else "batch"] = value
        elif isinstance(value, Tensor) and "batch" in parts:
            parts["score"] = value
        elif isinstance(value, Tensor) and len(value) == edges:
            parts["edge_weight"] = value
    return parts | {"losses": _losses(losses)}


def _losses(values: Sequence[Any]) -> dict[str, Tensor]:
    found: dict[str, Tensor] = {}
    for value in values:
        named = value if isinstance(value, Mapping) else {f"loss_{len(found)}" if found else "loss": value}
        found |= {str(name): loss for name, loss in named.items() if isinstance(loss, Tensor) and loss.dim() == 0}
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
        return f"one tensor {list(output.shape)}"
    if isinstance(output, (tuple, list)):
        return f"a {type(output).__name__} of {len(output)}"
    return f"a {type(output).__name__}"
