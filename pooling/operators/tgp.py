"""The poolers of torch-geometric-pool 1.0.2, by its aliases: Select, Reduce, Connect, whose results are block-diagonal.

The library is installed by a command of its own (INSTALL): it requires torch_scatter, for which `scatter.py` stands in.
"""

import inspect
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from rethinking.pooling.operators.dense import are_nodes, ascending, matrices, only, pad, renumbered, reordered
from rethinking.pooling.operators.interface import Assignment, Coarse, Graphs, MatrixAssignment, Operator
from rethinking.pooling.operators.replaced import constantly, replaced
from rethinking.pooling.operators.scatter import stand_in_where_missing
from rethinking.pooling.operators.sentences import in_one_sentence, in_words

INSTALL = "pip install --no-deps torch-geometric-pool==1.0.2"


def poolers() -> Any:
    """The module `tgp.poolers`.

    Raises ValueError if the library is not installed.
    """
    stand_in_where_missing()
    try:
        import tgp.poolers
    except ImportError as error:
        raise ValueError(f"torch-geometric-pool cannot be imported ({error}): {INSTALL}") from error
    return tgp.poolers


class SelectReduceConnect(Operator):
    """Any pooler made of the library's Select, Reduce and Connect, with its own losses and their weights.

    Where the library pads graphs to one size it leaves out clusters without any node.
    """

    def __init__(self, pooler: Any, name: str) -> None:
        super().__init__()
        self.pooler = pooler
        self.name = name
        self.sees_features = not pooler.is_precoarsenable

    def forward(self, graphs: Graphs, given: Assignment | None = None) -> Coarse:
        """Pool. given: clusters in the form of its own.

        A pooler with sparse S reduces and connects clusters that are single nodes, or that each node is in one of.

        Raises ValueError for other clusters, and for what the library raises on these graphs.
        """
        if given is None:
            return self._pooled(graphs)
        if not self.pooler.is_dense:
            self._connects(given)
            order = self._as_it_connects(given)
            if order is not None:
                coarse = self._pooled_by(renumbered(given, order), graphs)
                return replace(coarse, graphs=reordered(coarse.graphs, order.argsort()), assignment=given)
        return self._pooled_by(given, graphs)

    def _pooled_by(self, given: Assignment, graphs: Graphs) -> Coarse:
        with in_one_sentence(self.name, graphs):
            selected = self._select_output(given, graphs)
        select = replaced(self.pooler.selector, forward=constantly(selected))
        with select, replaced(self.pooler, compute_loss=constantly(None), compute_sparse_loss=constantly(None)):
            return self._pooled(graphs, given)

    def _pooled(self, graphs: Graphs, given: Assignment | None = None) -> Coarse:
        """given: what is selected, if that is known before. Clusters without a node are known by it alone."""
        with in_one_sentence(self.name, graphs), numpy_follows_torch(), warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Laplacian not provided")  # by NDP, where clusters are given
            out = self.pooler(x=graphs.x, adj=graphs.edge_index, edge_weight=graphs.edge_weight, batch=graphs.batch)
            # The library turns the matrices of graphs that it pads, and does not turn those of clusters back.
            turned = graphs.directed and self.pooler.is_dense and self.pooler.batched and self.pooler.adj_transpose
            edge_index = out.edge_index.flip(0) if turned else out.edge_index
            coarse = Graphs(out.x, edge_index, out.edge_weight, out.batch, graphs.count)
            s, losses = out.so.s, dict(out.loss or {})
            if s.is_sparse:
                node, cluster = s.indices()
                batch = out.batch if given is None else given.batch
                assignment = Assignment(node, cluster, s.values(), batch, len(graphs.x))
                return Coarse(*ascending(replace(coarse, batch=batch), assignment), losses)
            if s.dim() == 3:
                return Coarse(coarse, MatrixAssignment(s[are_nodes(graphs)], graphs.batch, out.so.out_mask), losses)
            columns = torch.ones(graphs.count, s.shape[1], dtype=torch.bool, device=s.device)
            clusters = columns if given is None else matrices(given, graphs)[1]
            return Coarse(only(coarse, clusters), MatrixAssignment(s, graphs.batch, clusters), losses)

    def _select_output(self, given: Assignment, graphs: Graphs) -> Any:
        """What the library's selector would return for these clusters."""
        from tgp.select import SelectOutput

        if not self.pooler.is_dense:
            where, size = torch.stack([given.node, given.cluster]), (given.nodes, given.clusters)
            # MaxCutPool hands the scores to its loss, which is not asked for.
            return SelectOutput(s=torch.sparse_coo_tensor(where, given.weight, size).coalesce(), scores=None)
        s, _ = matrices(given, graphs)
        mask = are_nodes(graphs)
        if self.pooler.batched:
            return SelectOutput(s=s, in_mask=mask)
        return SelectOutput(s=s[mask], batch=graphs.batch, **self._more(s, graphs))

    def _more(self, s: Tensor, graphs: Graphs) -> Mapping[str, Any]:
        """What else the pooler's selector puts into its output. s: [B, n, K]."""
        return {}

    def _connects(self, given: Assignment) -> None:
        """The library's `sparse_connect` goes by the number of entries of S, and joins wrong nodes for other S."""
        once = len(given.node.unique()) == len(given.node)
        single = once and len(given.node) == given.clusters == len(given.cluster.unique())
        if not single and not (once and len(given.node) == given.nodes):
            raise ValueError(
                f"{self.name} can pool by clusters of one node each, or where each node is in one, not by others."
            )

    def _as_it_connects(self, given: Assignment) -> Tensor | None:
        """The clusters in the order in which it counts them, where these are single nodes; None for their own order.

        The library's `KronConnect` counts kept nodes one after another, whatever number their clusters have.
        """
        from tgp.connect import KronConnect

        if not isinstance(self.pooler.connector, KronConnect) or len(given.node) != given.clusters:
            return None
        return given.cluster[given.node.argsort()]


class TgpOperator(SelectReduceConnect):
    """A pooler of the library by its alias, given what it takes of the widths and sizes below.

    arguments: of its constructor, in place of the library's defaults. says_assignment: false for one that ignores what
    it selects.
    """

    def __init__(
        self,
        in_features: int,
        clusters: int,
        ratio: float,
        max_nodes: int,
        alias: str,
        arguments: Mapping[str, Any] | None = None,
        says_assignment: bool = True,
    ) -> None:
        known = {"in_channels": in_features, "k": clusters, "ratio": ratio, "sparse_output": True}
        super().__init__(_made(alias, known, dict(arguments or {})), f"tgp's {alias}")
        self.says_assignment = says_assignment

    def forward(self, graphs: Graphs, given: Assignment | None = None) -> Coarse:
        """As SelectReduceConnect.

        Raises ValueError for given clusters, too, where says_assignment is false.
        """
        if given is not None and not self.says_assignment:
            raise ValueError(f"{self.name} does not pool by what it selects, so it cannot pool by given clusters.")
        return super().forward(graphs, given)


class EigenOperator(TgpOperator):
    """EigenPooling (Ma et al. 2019): a cluster's features are its nodes' along the first eigenvectors of its Laplacian.

    arguments: num_modes, the number of eigenvectors, must be among them. Clusters are hard: each node is in one.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.out_features = kwargs["in_features"] * self.pooler.num_modes

    def _more(self, s: Tensor, graphs: Graphs) -> Mapping[str, Any]:
        from tgp.select.eigenpool_select import build_pooling_matrix

        _, adjacency, mask = pad(graphs)
        if not bool((((s != 0).sum(2) == 1) == mask).all()):
            raise ValueError("it pools by clusters such that each node is in one")
        theta = []
        for matrix, clusters, nodes in zip(adjacency, s, graphs.sizes.tolist(), strict=True):
            labels = clusters[:nodes].argmax(1).cpu().numpy()
            edges = matrix[:nodes, :nodes].detach().cpu().numpy()
            pooling = build_pooling_matrix(edges, labels, self.pooler.num_modes, self.pooler.normalized, s.shape[2])
            theta.append(torch.as_tensor(pooling, dtype=graphs.x.dtype, device=s.device))
        return {"theta": theta if len(theta) > 1 else theta[0]}


@contextmanager
def numpy_follows_torch() -> Iterator[None]:
    """What scikit-learn draws from NumPy's generator (EigenPooling, NMF) follows from torch's, and nothing after it."""
    before = np.random.get_state()
    np.random.seed(int(torch.randint(2**31, ())))
    try:
        yield
    finally:
        np.random.set_state(before)


def _made(alias: str, known: dict[str, Any], arguments: dict[str, Any]) -> nn.Module:
    library = poolers()
    if alias not in library.pooler_map:
        raise ValueError(f"torch-geometric-pool has no pooler '{alias}'; it has: {', '.join(library.pooler_map)}.")
    parameters = inspect.signature(library.pooler_map[alias].__init__).parameters
    others = any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in parameters.values())
    unknown = set(arguments) - set(parameters)
    if unknown and not others:
        raise ValueError(f"tgp's {alias} has no argument '{min(unknown)}'; it has: {', '.join(list(parameters)[1:])}.")
    taken = {name: value for name, value in known.items() if name in parameters} | arguments
    try:
        return library.pooler_map[alias](**taken)
    except Exception as error:
        raise ValueError(f"tgp's {alias} cannot be made: {in_words(error)}") from error
