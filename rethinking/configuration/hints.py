"""What Hydra and OmegaConf say in many lines, as one sentence that leads on."""

import difflib
import re
from collections.abc import Iterator, Sequence
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from rethinking.configuration.launchers import presets


def explain(error: Exception, known: Any, addable: Sequence[str] = ()) -> str:
    """One sentence from what Hydra says. known: a composed configuration. addable: groups no run needs: `+GROUP=`."""
    text = str(error).split("\nConfig search path")[0]
    unknown = re.search(r"Could not override '([^']+)'", text)
    if unknown:
        return unknown_key(unknown.group(1), known, addable)
    if "is not in struct" in text and isinstance(error, OmegaConfBaseException) and error.full_key:
        return unknown_key(str(error.full_key), known, addable)
    unreadable = re.match(r"LexerNoViableAltException: (.*)\n|no viable alternative at input '(.*)'", text)
    if unreadable:
        what = unreadable.group(1) or unreadable.group(2)
        return f"{what} cannot be read: a quote or a bracket is not closed, or quotes stand inside a word."
    launcher = re.search(r"Could not find 'hydra/launcher/([^']+)'", text)
    if launcher:
        return f"There is no launcher '{launcher.group(1)}'; expected basic, {', '.join(presets())}."
    word = re.match(r"Error parsing override '(.*)'$", text.splitlines()[0])
    if word and "missing EQUAL" in text:
        return f"{word.group(1)} is not understood; expected KEY=VALUE."
    strange = re.search(r"(?:mismatched|extraneous) input '(.*?)' expecting", text)
    if strange:
        what = f"'{strange.group(1)}' is not expected{f' in {word.group(1)}' if word else ''}"
        return f"{what}; a value with brackets or commas stands in quotes, KEY='VALUE'."
    text = re.sub(r"^In '[^']*': ", "", text.split("\nSee https")[0].split("\n    full_key")[0])
    text = re.sub(r":\n\t", ": ", text)
    text = re.sub(r"\n\t", ", ", text)
    return re.sub(r"\s*\n+\s*", ". ", text.strip()).replace("..", ".")


def unknown_key(key: str, known: Any, addable: Sequence[str] = ()) -> str:
    """That there is no such key, and the one that was probably meant. known: a configuration."""
    if key in addable:
        return f"{key} is no part of every run; to add a file of it: +{key}=NAME."
    plain = OmegaConf.to_container(known, resolve=False) if isinstance(known, DictConfig) else known
    inside = OmegaConf.select(known, key) if isinstance(known, DictConfig) else None
    if isinstance(inside, DictConfig):
        return (
            f"{key} has the keys {', '.join(map(str, inside))} here, and no others; what has others is chosen by its "
            "name, from a file of its own."
        )
    similar = _similar(key, list(_keys(plain)))
    hint = f"did you mean '{similar}'?" if similar else "`--cfg job` shows the keys there are."
    part, dot, _ = key.partition(".")
    # In a sweep over models some have the key and some have not.
    file = OmegaConf.select(known, f"{part}.name") if dot and isinstance(known, DictConfig) else None
    return f"Unknown key '{key}'{f' with {part}={file}' if file else ''}; {hint}"


def _keys(config: Any, prefix: str = "") -> Iterator[str]:
    """All keys, those inside others with a dot."""
    for key, value in config.items():
        yield f"{prefix}{key}"
        if isinstance(value, dict):
            yield from _keys(value, f"{prefix}{key}.")


def _similar(key: str, keys: Sequence[str]) -> str | None:
    """The key most alike as a whole or in its last part; none if nothing is."""

    def likeness(other: str) -> float:
        parts = (key, other), (key.rpartition(".")[2], other.rpartition(".")[2])
        return max(difflib.SequenceMatcher(None, *pair).ratio() for pair in parts)

    # A part of the configuration is not what was meant by one of its keys.
    candidates = [other for other in keys if not key.startswith(f"{other}.")]
    best = max(candidates, key=lambda other: (likeness(other), -other.count(".")), default=None)
    return best if best is not None and likeness(best) > 0.6 else None
