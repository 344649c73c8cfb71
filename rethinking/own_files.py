"""The project's own files of `conf/`, read as they stand: for what is no part of a cell's configuration."""

from typing import Any

import yaml

from rethinking import paths


def own_file(name: str) -> Any:
    """What a file of the project holds. name: within `conf/`, without its ending: `compare`, `pooler/tgp/topk`."""
    # The reader in C, as a table asks for several of them; it makes nothing but data.
    return yaml.load((paths.CONF / f"{name}.yaml").read_text(encoding="utf-8"), yaml.CSafeLoader)
