"""The operators that Grattarola et al. 2022 compare."""

import yaml
from hydra.utils import instantiate

from rethinking import paths
from rethinking.scorecard.making import MakeOperator
from rethinking.scorecard.settings import section


def published_operators() -> dict[str, MakeOperator]:
    """Those of `conf/pooler/src` by their names, in the order of the tables."""
    files = [paths.CONF / "pooler" / f"{name}.yaml" for name in section("operators")]
    return {file.stem: instantiate(yaml.safe_load(file.read_text(encoding="utf-8"))["operator"]) for file in files}
