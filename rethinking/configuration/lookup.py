"""What a Hydra target names, looked up without a word; whoever asks says what is wrong."""

import logging
from typing import Any

from hydra.utils import get_object

from rethinking.errors import not_ending


def named(target: Any) -> Any:
    """The class or function of a Hydra target. Raises whatever its module raises; Hydra would also print it."""
    log = logging.getLogger("hydra.utils")
    before, log.disabled = log.disabled, True
    try:
        with not_ending():
            return get_object(target)
    finally:
        log.disabled = before
