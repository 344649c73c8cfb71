"""Local against non-local pooling: for each data set and family, paired by seed, with a verdict."""

import json
import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib import import_module
from typing import Any

import numpy as np
import pandas as pd
import yaml
from hydra.utils import get_class, instantiate
from omegaconf import OmegaConf

from rethinking import paths
from rethinking.analysis import statistics
from rethinking.analysis.settings import differing
from rethinking.analysis.statistics import PairedDifference, Verdict
from rethinking.analysis.tidy import Results
from rethinking.analysis.units import Unit, unit_of
from rethinking.configuration.cell import PAPER, with_class_names
from rethinking.configuration.composition import LEARNED, options
from rethinking.errors import UserError


@dataclass(frozen=True)
class Question:
    """`conf/compare.yaml`.

    margin: by metric, in its own unit (0.01 is one point of accuracy). left_out: data sets that are compared only if
    they are named.
    """

    margin: Mapping[str, float]
    level: float
    confidence: float
    power: float
    seeds: int
    left_out: Sequence[str]


@dataclass(frozen=True)
class Comparison:
    """One non-local variant against the local one of the same family, in the metric's unit of the tables.

    settings: what tells the two from other cells of that family on that data set; empty if there are none.
    local, other: the cells' ids. a: the scores of the non-local variant, b: of the local one, by common seeds.
    difference: of a − b. test_to_train: see `paired_difference`.
    p_different, p_equivalent: adjusted for all comparisons made together. within: the smallest margin at which the
    two are equivalent, without adjustment. needed: the seeds that show equivalence at the margin, None if none do.
    """

    dataset: str
    family: str
    settings: str
    variant: str
    unit: Unit
    higher_is_better: bool
    local: str
    other: str
    a: np.ndarray
    b: np.ndarray
    test_to_train: float
    difference: PairedDifference
    margin: float
    p_different: float
    p_equivalent: float
    within: float
    needed: int | None
    verdict: Verdict

    @property
    def gain(self) -> float:
        """By how much the non-local variant is better; negative if it is worse."""
        return self.difference.mean if self.higher_is_better else -self.difference.mean


def question(**changed: Any) -> Question:
    """What the configuration asks, with some of it changed. Raises UserError for values that make no sense."""
    asked = OmegaConf.to_container(OmegaConf.load(paths.CONF / "compare.yaml"))
    assert isinstance(asked, dict)
    made = Question(**{str(key): value for key, value in (asked | changed).items()})
    if any(margin <= 0 for margin in made.margin.values()) or not 0 < made.level < 0.5:
        raise UserError(f"margin={dict(made.margin)}, level={made.level}; expected margins above 0, a level below 0.5.")
    return made


def compare(
    results: Results, asked: Question, fidelity: str = PAPER, datasets: Sequence[str] = (), families: Sequence[str] = ()
) -> list[Comparison]:
    """All comparisons that the runs allow, of some data sets and families or of all but those left out.

    Cells are compared that differ in nothing but the variant. Raises UserError if there are none.
    """
    groups = _groups(results, fidelity, datasets, families, asked.left_out)
    pairs = [pair for group in groups for pair in _pairs(group)]
    if not pairs:
        chosen = " and ".join(filter(None, [", ".join(datasets), ", ".join(families)]))
        raise UserError(
            f"There is nothing to compare{' of ' + chosen if chosen else ''} with fidelity={fidelity}: it takes a "
            "family's learned variant and a non-local one on the same data set, such as "
            "`rethinking run -m model=graclus pooling=learned,complement dataset=nci1`."
        )
    made = [_compared(results, local, other, settings, asked) for local, other, settings in pairs]
    return _with_verdicts([comparison for comparison in made if comparison is not None], asked)


def frame(comparisons: Sequence[Comparison]) -> pd.DataFrame:
    """A row a comparison, in the metric's unit, with the checks that ask less of the scores."""
    rows = []
    for c in comparisons:
        low, high = statistics.bootstrap_interval(c.a, c.b)
        rows.append(
            {
                "data set": c.dataset,
                "family": c.family,
                "settings": c.settings,
                "variant": c.variant,
                "metric": c.unit.metric,
                "seeds": c.difference.n,
                "local": c.b.mean(),
                "non-local": c.a.mean(),
                "difference": c.difference.mean,
                "standard error": c.difference.error,
                "low": c.difference.low,
                "high": c.difference.high,
                "test": "corrected for re-split graphs" if c.test_to_train else "paired t",
                "margin": c.margin,
                "p different (Holm)": c.p_different,
                "p equivalent (Holm)": c.p_equivalent,
                "equivalent within": c.within,
                "seeds needed": "none suffice" if c.needed is None else c.needed,
                "verdict": c.verdict,
                "p Wilcoxon": statistics.p_wilcoxon(c.a, c.b),
                "bootstrap low": low,
                "bootstrap high": high,
            }
        )
    return pd.DataFrame(rows)


def row_texts(c: Comparison, seeds: int) -> dict[str, str]:
    """What one reads of a comparison, but for its settings. seeds: with fewer it is partial."""
    n = c.difference.n
    needed = "∞" if c.needed is None else str(c.needed)
    return {
        "data set": c.dataset,
        "family": c.family,
        "variant": c.variant,
        "difference": c.unit.difference(c.difference) + ("*" if c.test_to_train else ""),
        "verdict": c.verdict if n > 1 else "one seed only",
        "within": f"{c.within:.{c.unit.digits}f}" if n > 1 else "—",
        "seeds": f"{n}" if n >= seeds else f"{n}/{seeds}",
        "needed": needed if n > 1 else "—",
    }


def method(asked: Question) -> str:
    """How the numbers of `row_texts` are made."""
    return (
        f"Difference: non-local minus local, paired by seed, with its {asked.confidence:.0%} interval. Equivalent: two "
        "one-sided tests. Where every seed splits the same graphs anew (marked *), variances are corrected by Nadeau "
        "and Bengio (2003); otherwise the plain paired t. Within: the smallest margin at which the two would be "
        "equivalent. Needed: seeds to show it at the margin, if there is no difference (∞: none do)."
    )


def in_words(comparisons: Sequence[Comparison], asked: Question) -> str:
    """The answer, in a few sentences."""
    counts: dict[str, int] = defaultdict(int)
    for comparison in comparisons:
        counts[comparison.verdict] += 1
    order = ("local better", "non-local better", "equivalent", "undecided")
    parts = [f"{counts[verdict]} {verdict}" for verdict in order]
    margins = {c.unit.margin_text(c.margin) for c in comparisons}
    text = (
        f"Of {len(comparisons)} comparisons of a non-local with the local variant: {', '.join(parts)} "
        f"(margin {' or '.join(sorted(margins))}, level {asked.level:g} after Holm over all of them)."
    )
    intervals = [c.difference for c in comparisons if c.difference.n > 1]
    contain = sum(interval.low <= 0 <= interval.high for interval in intervals)
    text += f" {contain} of the {len(intervals)} intervals contain zero."
    partial = [c for c in comparisons if c.difference.n < asked.seeds]
    if partial:
        text += f" {len(partial)} of them are partial: fewer than {asked.seeds} seeds."
    undecided = [c for c in comparisons if c.verdict == "undecided" and c.difference.n > 1]
    hopeless = [c for c in undecided if c.needed is None]
    if hopeless:
        text += (
            f" For {len(hopeless)} that are undecided no number of seeds would do: every seed splits the same graphs "
            "anew, so the error stays above what the margin asks for; more graphs or a wider margin would."
        )
    return text


# A cell's id and configuration.
Member = tuple[str, dict[str, Any]]


def _groups(
    results: Results, fidelity: str, datasets: Sequence[str], families: Sequence[str], left_out: Sequence[str]
) -> list[list[tuple[Member, str]]]:
    """Cells that differ in the variant only, each with the settings that tell its group from others like it."""
    groups: dict[str, list[Member]] = defaultdict(list)
    trained = set(results.runs["cell_id"])
    for cell_id, config in results.cells.items():
        cell = config["cell"]
        name = cell["dataset"]["name"]
        wanted = name in datasets if datasets else name not in left_out
        wanted = wanted and (not families or cell["family"] in families)
        if cell_id in trained and cell["fidelity"] == fidelity and wanted:
            groups[json.dumps(_shared(config), sort_keys=True)].append((cell_id, config))
    titles = defaultdict(list)
    for key in groups:
        shared = json.loads(key)
        titles[shared["dataset"]["name"], shared["family"]].append(key)
    made = []
    for keys in titles.values():
        parts = [{part: json.loads(key)[part] for part in ("network", "trainer", "dataset")} for key in keys]
        for key, text in zip(keys, differing(parts), strict=True):
            made.append([(member, text) for member in groups[key]])
    return sorted(made, key=lambda group: (_title(group[0][0]), group[0][1]))


def _title(member: Member) -> tuple[str, str]:
    cell = member[1]["cell"]
    return cell["dataset"]["title"], cell["family"]


def _shared(config: dict[str, Any]) -> dict[str, Any]:
    """All of a cell's configuration that its variants have in common."""
    cell = config["cell"]
    split = {key: value for key, value in cell["dataset"]["split"].items() if key != "file"}
    dataset = {"name": cell["dataset"]["name"], "fingerprint": config["fingerprint"], "split": split}
    return with_class_names({"dataset": dataset} | {key: cell[key] for key in ("family", "network", "trainer")})


def _pairs(group: Sequence[tuple[Member, str]]) -> list[tuple[Member, Member, str]]:
    """The local member of a group with each non-local one."""
    local = [member for member, _ in group if member[1]["cell"]["variant"] == LEARNED]
    others = [(member, text) for member, text in group if not is_local(member[1]["cell"])]
    variants = [member[1]["cell"]["variant"] for member, _ in others]
    # A variant may be there several times, with arguments of its own.
    own = {name: differing([m[1]["cell"]["select"] for (m, _), v in zip(others, variants, strict=True) if v == name])
           for name in set(variants)}  # fmt: skip
    pairs = []
    for (member, text), variant in sorted(zip(others, variants, strict=True), key=lambda pair: pair[1]):
        settings = ", ".join(filter(None, [text, own[variant].pop(0)]))
        pairs += [(one, member, settings) for one in local]
    return pairs


def is_local(cell: Mapping[str, Any]) -> bool:
    """Whether the Select of a cell clusters nodes that are near each other, as its class says."""
    if cell["variant"] == LEARNED:
        return True
    module, _, name = cell["select"].get("_target_", "").rpartition(".")
    if name in _locality():
        return _locality()[name]
    try:
        return bool(getattr(getattr(import_module(module), name), "is_local", False))
    except Exception:  # A class of somebody's own that cannot be had here.
        return False


@cache
def _locality() -> dict[str, bool]:
    """Of every Select in `conf`, by the name of its class: a run may be older than the place of its module."""
    known = {}
    for group, key in (("pooling", "select"), ("model", LEARNED)):
        for option in options(group):
            selects = yaml.safe_load((paths.CONF / group / f"{option}.yaml").read_text())[key]
            for select in selects.values() if isinstance(selects, dict) else ():
                target = select.get("_target_") if isinstance(select, dict) else None
                if target:
                    known[target.rpartition(".")[2]] = bool(getattr(get_class(target), "is_local", False))
    return known


def _compared(results: Results, local: Member, other: Member, settings: str, asked: Question) -> Comparison | None:
    """The comparison without its verdict; None if the two have no seed in common."""
    cell = other[1]["cell"]
    task = instantiate(cell["dataset"]["task"])
    unit = unit_of(task.metric)
    a, b = (unit.scale * results.scores(member[0], task.metric) for member in (other, local))
    both = a.index.intersection(b.index)
    if both.empty:
        return None
    first, second = a[both].to_numpy(), b[both].to_numpy()
    ratio = instantiate(cell["dataset"]["split"]).test_to_train
    difference = statistics.paired_difference(first, second, ratio, asked.confidence)
    margin = unit.scale * asked.margin.get(task.metric, math.inf)
    spread = float(np.std(first - second, ddof=1)) if len(both) > 1 else math.nan
    return Comparison(
        dataset=cell["dataset"]["title"],
        family=cell["family"],
        settings=settings,
        variant=cell["variant"],
        unit=unit,
        higher_is_better=task.higher_is_better,
        local=local[0],
        other=other[0],
        a=first,
        b=second,
        test_to_train=ratio,
        difference=difference,
        margin=margin,
        p_different=statistics.p_difference(difference),
        p_equivalent=statistics.p_equivalence(difference, margin),
        within=statistics.equivalent_within(difference, asked.level),
        needed=statistics.seeds_needed(spread, margin, ratio, asked.level, asked.power) if len(both) > 1 else None,
        verdict="undecided",
    )


def _with_verdicts(made: Sequence[Comparison], asked: Question) -> list[Comparison]:
    different = statistics.holm(np.array([c.p_different for c in made]))
    equivalent = statistics.holm(np.array([c.p_equivalent for c in made]))
    return [
        replace(c, p_different=float(d), p_equivalent=float(e), verdict=statistics.verdict(c.gain, d, e, asked.level))
        for c, d, e in zip(made, different, equivalent, strict=True)
    ]
