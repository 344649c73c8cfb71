"""YAML of plain data: written, and read where others made it, as no more than the file is long."""

from typing import Any

import yaml

# Those in C take a fraction of the time of the library's others; like its safe ones they know nothing but data.
READER = yaml.CSafeLoader
WRITER = yaml.CSafeDumper
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


def plain_text(data: Any, sort_keys: bool = False) -> str:
    """The text of YAML that holds the data."""
    return yaml.dump(data, Dumper=WRITER, sort_keys=sort_keys)
