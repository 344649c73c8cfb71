"""Lift: features of clusters back on the nodes they are made of, by the pseudo-inverse of the assignment."""

from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import torch
from scipy.linalg import eigh, eigh_tridiagonal, eigvalsh_tridiagonal, lapack
from scipy.linalg.blas import dsyrk
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
    if assignment.most_of_a_node > 1:
        if assignment.is_learned:
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
    """S (SᵀS)⁺ X', which is (S⁺)ᵀ X', by the eigenvectors V of G = SᵀS, K × K in double precision, that count.

    These take a fraction of the time of the singular vectors of S, and of a softmax assignment often few count: on
    Bunny some dozens of the 1,252 of DiffPool and MinCut. All products, those of the derivative too, are with V's r
    columns or X's F, where the derivative of torch's `pinv` has N × K × K. Double, as the condition of G is the square
    of that of S: then it is as exact as singular values in single precision.
    """

    @staticmethod
    def forward(ctx: Any, s: Tensor, x: Tensor, threshold: float) -> Tensor:
        exact = s.double()
        values, vectors = _eigenvectors(exact, threshold)
        reduced, seen = exact @ vectors, vectors.T @ x.double()
        # What of X' no node has a part in, which only the derivative sees.
        lost = x - (vectors @ seen).to(x.dtype) if len(values) < len(vectors) else None
        ctx.save_for_backward(values, vectors, reduced, seen / values[:, None], lost)
        return (reduced @ (seen / values[:, None])).to(x.dtype)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, None]:
        # From dA⁺ = −A⁺ dA A⁺ + A⁺A⁺ᵀ dAᵀ (I − AA⁺) + (I − A⁺A) dAᵀ A⁺ᵀA⁺ with A = Sᵀ (Golub and Pereyra 1973). With
        # V written out, G⁺SᵀY = Vw, G⁺X' = Vu and S = (SV)Vᵀ where it meets them.
        values, vectors, reduced, u, lost = ctx.saved_tensors
        exact = grad.double()
        w = (reduced.T @ exact) / values[:, None]
        left = (exact - reduced @ w) @ u.T - reduced @ (u @ w.T)
        grad_s = left.to(grad.dtype) @ vectors.T.to(grad.dtype)
        if lost is not None:
            grad_s += reduced.to(grad.dtype) @ ((w / values[:, None]).to(grad.dtype) @ lost.T)
        return grad_s, (vectors @ w).to(grad.dtype), None


def _eigenvectors(s: Tensor, threshold: float) -> tuple[Tensor, Tensor]:
    """The eigenvalues of SᵀS that count, ascending, [r], and their vectors, [K, r]. s: [N, K], in double precision."""
    gramian = dsyrk(1.0, s.T.cpu().numpy(), lower=1)  # Its lower half, which is all that the library reads.
    diagonal, beside, *turned = _tridiagonal(gramian)
    values = eigvalsh_tridiagonal(diagonal, beside, lapack_driver="sterf")
    # What is a number of G is no smaller than its rounding, where that of S might be: in double precision alone.
    least = max(threshold**2, len(values) * torch.finfo(s.dtype).eps) * values[-1]
    count = int((values > least).sum())
    if not count:  # No node is in any cluster.
        return s.new_zeros(0), s.new_zeros(len(values), 0)
    if count < len(values) / 4:  # The library is faster with all than with more of them than this.
        values, vectors = _last_eigenvectors(count, diagonal, beside, *turned)
    else:
        values, vectors = (found[..., -count:] for found in eigh(gramian, driver="evd"))
    return torch.from_numpy(values).to(s), torch.from_numpy(vectors).to(s)


def _tridiagonal(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """QᵀGQ of a symmetric matrix, by its lower half: its diagonal, what is beside that, and Q as LAPACK keeps it.

    The greatest part of finding eigenvalues, and of finding their vectors.
    """
    size, _ = lapack.dsytrd_lwork(len(matrix), lower=1)
    reflectors, diagonal, beside, scale, _ = lapack.dsytrd(matrix, lower=1, lwork=int(size))
    return diagonal, beside, reflectors, scale


def _last_eigenvectors(
    count: int, diagonal: np.ndarray, beside: np.ndarray, reflectors: np.ndarray, scale: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The greatest eigenvalues of G, ascending, and their vectors, from its tridiagonal form."""
    last = (len(diagonal) - count, len(diagonal) - 1)
    values, vectors = eigh_tridiagonal(diagonal, beside, select="i", select_range=last, lapack_driver="stemr")
    # Q leaves the first coordinate as it is.
    turn = (reflectors[1:, :-1], scale, vectors[1:])
    _, size, _ = lapack.dormqr("L", "N", *turn, lwork=-1)
    vectors[1:], *_ = lapack.dormqr("L", "N", *turn, lwork=int(size[0]))
    return values, vectors
