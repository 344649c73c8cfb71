"""Lift: features of clusters back on the nodes they are made of, by the pseudo-inverse of the assignment."""

from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from rethinking.pooling.operators.interface import Assignment

# (S⁺)ᵀ of assignments that nothing is learned of, as long as somebody has them: an operator that finds its clusters
# once gives the same ones in every step.
_INVERSES: WeakKeyDictionary[Assignment, Tensor] = WeakKeyDictionary()


def pseudo_inverse_lift(x: Tensor, assignment: Assignment) -> Tensor:
    """X̃ = (S⁺)ᵀ X', with S⁺ the Moore–Penrose inverse, through which gradients flow (Grattarola et al. 2022).

    x: [K, F]. Returns [N, F]. Singular values below 10 · max(N, K) · ε of the largest count as zero, as in
    TensorFlow's `pinv`.
    """
    threshold = 10 * max(assignment.nodes, assignment.clusters) * torch.finfo(x.dtype).eps
    if len(assignment.node) and int(torch.bincount(assignment.node).max()) > 1:
        if assignment.weight.requires_grad:
            return _Lift.apply(assignment.dense().to(x.dtype), x, threshold)
        return _inverse(assignment, x.dtype, threshold) @ x
    # A node is in one cluster at most, so the columns of S are orthogonal, and their lengths the singular values.
    weight = assignment.weight.to(x.dtype)
    squared = weight.new_zeros(assignment.clusters).index_add(0, assignment.cluster, weight.square())
    kept = squared > threshold**2 * squared.max()
    per_cluster = x * (kept / squared.where(kept, 1))[:, None]
    entries = weight[:, None] * per_cluster[assignment.cluster]
    return x.new_zeros(assignment.nodes, x.shape[1]).index_add(0, assignment.node, entries)


def _inverse(assignment: Assignment, dtype: torch.dtype, threshold: float) -> Tensor:
    found = _INVERSES.get(assignment)
    if found is None or found.dtype != dtype:
        found = _INVERSES[assignment] = torch.linalg.pinv(assignment.dense().to(dtype), rtol=threshold).T
    return found


class _Lift(torch.autograd.Function):
    """S (SᵀS)⁺ X', which is (S⁺)ᵀ X', with G = SᵀS of K × K in double precision.

    Its eigenvectors take half the time of the singular vectors of S, and the derivative needs products with F columns
    only, where that of torch's `pinv` has N × K × K. Double, as the condition of G is the square of that of S: then it
    is as exact as singular values in single precision.
    """

    @staticmethod
    def forward(ctx: Any, s: Tensor, x: Tensor, threshold: float) -> Tensor:
        exact = s.double()
        values, vectors = torch.linalg.eigh(exact.T @ exact)
        # What is a number of G is no smaller than its rounding, where that of S might be: in double precision alone.
        kept = values > max(threshold**2, len(values) * torch.finfo(values.dtype).eps) * values[-1]
        inverse = (vectors * (kept / values.where(kept, 1))) @ vectors.T
        u = inverse @ x.double()
        # What of X' no node has a part in, which only the derivative sees.
        lost = None if kept.all() else ((vectors * ~kept) @ (vectors.T @ x.double())).to(x.dtype)
        lifted = (exact @ u).to(x.dtype)
        ctx.save_for_backward(s, lifted, inverse, u, lost)
        return lifted

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, None]:
        # From dA⁺ = −A⁺ dA A⁺ + A⁺A⁺ᵀ dAᵀ (I − AA⁺) + (I − A⁺A) dAᵀ A⁺ᵀA⁺ with A = Sᵀ (Golub and Pereyra 1973).
        s, lifted, inverse, u, lost = ctx.saved_tensors
        exact = inverse @ (s.T @ grad).double()
        u, w = u.to(grad.dtype), exact.to(grad.dtype)
        grad_s = (grad - s @ w) @ u.T - lifted @ w.T
        if lost is not None:
            grad_s += s @ (inverse @ exact).to(grad.dtype) @ lost.T
        return grad_s, w, None
