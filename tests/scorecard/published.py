"""The operators that Grattarola et al. 2022 compare."""

import yaml
from hydra.utils import instantiate

from rethinking import paths
from rethinking.scorecard.making import MakeOperator
from rethinking.scorecard.settings import section


def published_operators() -> dict[str, MakeOperator]:
    """Those of `conf/pooler/src` by their names, in the order of the tables."""
    folder = paths.CONF / "pooler" / "src"
    names = section("operators")
    files = [yaml.safe_load((folder / f"{name}.yaml").read_text(encoding="utf-8")) for name in names]
    return {name: instantiate(file["operator"]) for name, file in zip(names, files, strict=True)}
