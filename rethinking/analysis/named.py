"""Two cells that somebody names, each by words as `rethinking run` takes them, on one data set or on all of them."""

from collections.abc import Sequence

from rethinking.analysis.cells import StoredCell
from rethinking.analysis.pairs import Pair, Unpaired, same_graphs, two_schemas
from rethinking.analysis.tidy import Results
from rethinking.configuration.cell import Cell
from rethinking.configuration.composition import compose_cell
from rethinking.errors import UserError


def named_pairs(
    results: Results, first: Sequence[str], second: Sequence[str], common: Sequence[str], fidelity: str
) -> tuple[list[Pair], list[Unpaired]]:
    """First minus second, on each data set of which there are runs of both.

    first, second: the words of each cell, common: of both. Without `dataset=…` all data sets are looked at. Raises
    UserError for words that make no cell, and if there are no runs of one.
    """
    pairs: list[Pair] = []
    said: list[Unpaired] = []
    absent: list[str] = []
    words = [[*own, *common] for own in (first, second)]
    names = sorted({cell.dataset for cell in results.cells.values()})
    chosen = all(any(word.startswith("dataset=") for word in own) for own in words)
    for added in [[]] if chosen else [[f"dataset={name}"] for name in names]:
        cells = [compose_cell([*_with(own, added), f"fidelity={fidelity}"]) for own in words]
        other, local = (_stored(results, cell) for cell in cells)
        if other is None or local is None:
            absent += [" ".join(_with(w, added)) for w, c in zip(words, (other, local), strict=True) if c is None]
        elif other.schema != local.schema:
            said.append(Unpaired(other, two_schemas(local, other)))
        else:
            pairs.append(_pair(other, local, [" ".join(first), " ".join(second)]))
    if not pairs and not said:
        raise UserError(f"There are no finished runs of {absent[0]}; `rethinking run {absent[0]}` trains them.")
    return pairs, said


def _with(words: Sequence[str], added: Sequence[str]) -> list[str]:
    return [*words, *(() if any(word.startswith("dataset=") for word in words) else added)]


def _stored(results: Results, cell: Cell) -> StoredCell | None:
    id = results.cell_with_runs(cell)
    return None if id is None else results.cells[id]


def _pair(other: StoredCell, local: StoredCell, typed: Sequence[str]) -> Pair:
    """Raises UserError for a cell with itself, and for two that have not learned the same from the same graphs."""
    if other.id == local.id:
        raise UserError(f"{typed[0]} and {typed[1]} are the same cell on {other.title}; name two that differ.")
    if (other.title, other.fingerprint, other.measure.metric) != (local.title, local.fingerprint, local.measure.metric):
        raise UserError(
            f"{other.title} and {local.title} have other graphs or another metric; two cells are compared on one data "
            "set, such as dataset=nci1 for both."
        )
    if not same_graphs(other, local):
        raise UserError(
            f"{typed[0]} and {typed[1]} split {other.title} otherwise, so a seed of one and the same seed of the other "
            "are of other graphs; two cells are compared on the same splits."
        )
    first, second = (f"{cell.config['family']} {cell.config['variant']}" for cell in (other, local))
    if first == second:
        first, second = typed
    return Pair(local, other, other.config["family"], other.config["variant"], second, "", (second, first))
