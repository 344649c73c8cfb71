"""The presets of `conf/hydra/launcher`: each completes what a launcher's plugin declares under the same name."""

import re
import warnings
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from hydra.core.override_parser.types import Override

from rethinking import paths
from rethinking.configuration.together import group_file
from rethinking.errors import UserError

GROUP = "hydra/launcher"
# Where the plugin of a launcher lies, by Hydra's rules; the extra that installs it has the name in the middle.
PLUGIN = re.compile(r"hydra_plugins\.hydra_(\w+)_launcher")


def expect_presets() -> None:
    """Keep Hydra from warning that it takes the plugin's declaration for a preset of the same name; it is meant so."""
    warnings.filterwarnings("ignore", message=rf"\s*'{GROUP}/\w+' is validated against ConfigStore schema")


def presets() -> list[str]:
    """The launchers that come with the project, by name."""
    return sorted(file.stem for file in (paths.CONF / GROUP).glob("*.yaml"))


def check_chosen(overrides: Sequence[Override], folders: tuple[Path, ...]) -> None:
    """Raises UserError if a launcher is chosen that is not installed; else Hydra would ask for what it declares."""
    for override in overrides:
        if override.key_or_group == GROUP and not override.is_sweep_override():
            file = group_file(GROUP, str(override.value()), folders) or {}
            check_installed(str(override.value()), str(file.get("_target_", "")))


def check_installed(name: str, target: str) -> None:
    """Raises UserError if the plugin of a launcher is not installed. target: the launcher's class."""
    plugin = PLUGIN.match(target)
    if plugin and not _is_there(plugin.group()):
        raise UserError(f"The launcher '{name}' is not installed; to have it: pip install \"rethinking[{plugin[1]}]\".")


def _is_there(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # Of the package that it would be part of.
        return False
