"""The project's own files of `conf/`, read as they stand: for what is no part of a cell's configuration."""

from typing import Any

import yaml

from rethinking import paths


def own_file(name: str) -> Any:
    """What a file of the project holds. name: within `conf/`, without its ending: `compare`, `pooler/tgp/topk`."""
    return yaml.safe_load((paths.CONF / f"{name}.yaml").read_text(encoding="utf-8"))
