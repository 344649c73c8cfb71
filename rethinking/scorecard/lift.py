"""Lift: features of clusters back on the nodes they are made of, by the pseudo-inverse of the assignment."""

import torch
from torch import Tensor

from rethinking.pooling.operators.interface import Assignment


def pseudo_inverse_lift(x: Tensor, assignment: Assignment) -> Tensor:
    """X̃ = (S⁺)ᵀ X', with S⁺ the Moore–Penrose inverse, through which gradients flow (Grattarola et al. 2022).

    x: [K, F]. Returns [N, F]. Singular values below 10 · max(N, K) · ε of the largest count as zero, as in
    TensorFlow's `pinv`.
    """
    threshold = 10 * max(assignment.nodes, assignment.clusters) * torch.finfo(x.dtype).eps
    if len(assignment.node.unique()) < len(assignment.node):
        inverse = torch.linalg.pinv(assignment.dense().to(x.dtype), rtol=threshold)
        return inverse.T @ x
    # A node is in one cluster at most, so the columns of S are orthogonal, and their lengths the singular values.
    weight = assignment.weight.to(x.dtype)
    squared = weight.new_zeros(assignment.clusters).index_add(0, assignment.cluster, weight.square())
    kept = squared > threshold**2 * squared.max()
    per_cluster = x * (kept / squared.where(kept, 1))[:, None]
    entries = weight[:, None] * per_cluster[assignment.cluster]
    return x.new_zeros(assignment.nodes, x.shape[1]).index_add(0, assignment.node, entries)
