"""Reads YAML that others made: as plain data, and no more of it than the file is long."""

from typing import Any

import yaml

# The reader in C reads a large file in a moment; like the safe one it makes nothing but data.
READER = yaml.CSafeLoader
DEEPEST = 100  # That many levels within each other; the reader crashes far beyond, and a cell has 6.


def read_plain(text: str) -> Any:
    """The data in a text of YAML. Raises ValueError, with the reason, if it is none, or more than it seems.

    References (`*name`) are refused: a few lines of them stand for more data than any memory holds.
    """
    try:
        depth = 0
        for event in yaml.parse(text, READER):
            if isinstance(event, yaml.AliasEvent):
                raise ValueError(f"it refers to another place of its own, *{event.anchor}")
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if depth > DEEPEST:
                raise ValueError(f"it is more than {DEEPEST} levels deep")
        return yaml.load(text, READER)
    except ValueError:
        raise
    except Exception as error:  # What is tagged as a number or a date and is none raises whatever reading it does.
        raise ValueError(str(error) or type(error).__name__) from error
