"""A composed configuration as plain data that is read as OmegaConf's: what one value asks of others is looked up then.

For the cells of a table, of which there are a hundred: OmegaConf makes an object of every value and parses every text
each time anew. Its grammar is used here, each text parsed once. Whatever takes more than is understood here is refused.
"""

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

import yaml
from omegaconf._utils import get_yaml_loader
from omegaconf.grammar_parser import parse
from omegaconf.grammar_visitor import GrammarVisitor

from rethinking.configuration.resolvers import ledger, per_dataset


class NotPlainError(Exception):
    """Something that is left to OmegaConf."""


class Plain(Mapping[str, Any]):
    """A mapping of a configuration. Its mappings are such, too; all else is plain data.

    content: as it was read; it is not changed. above: the mapping that it is in, None for the whole configuration.
    """

    def __init__(self, content: Mapping[str, Any], above: "Plain | None" = None) -> None:
        self._content = content
        self._above = above
        self._root: Plain = self if above is None else above._root
        self._known: dict[str, Any] = {}

    def __getitem__(self, key: str) -> Any:
        if key not in self._known:
            self._known[key] = self._value(self._content[key])
        return self._known[key]

    def __getattr__(self, key: str) -> Any:
        if key.startswith("_") or key not in self._content:
            raise AttributeError(key)
        return self[key]

    def __contains__(self, key: object) -> bool:
        return key in self._content

    def __iter__(self) -> Iterator[str]:
        return iter(self._content)

    def __len__(self) -> int:
        return len(self._content)

    def resolved(self) -> dict[str, Any]:
        """All of it, with nothing left to be looked up."""
        return {key: value.resolved() if isinstance(value := self[key], Plain) else value for key in self}

    def find(self, path: str) -> Any:
        """The value at a path of keys, `a.b`. Raises KeyError if there is none."""
        value: Any = self
        for key in path.split("."):
            if not isinstance(value, Plain):
                raise NotPlainError(path)
            value = value[key]
        return value

    def _value(self, value: Any) -> Any:
        if isinstance(value, str):
            return self._looked_up(value) if "${" in value else _no_placeholder(value)
        if isinstance(value, Mapping):
            return value if isinstance(value, Plain) else Plain(value, self)
        if isinstance(value, list) and "${" in str(value):
            raise NotPlainError(value)
        return value

    def _looked_up(self, text: str) -> Any:
        """What a text with `${…}` stands for."""
        try:
            found = GrammarVisitor(lambda path, _: self._at(path), self._resolver, memo=None).visit(_parsed(text))
        except LookupError as error:
            raise NotPlainError(text) from error
        if isinstance(found, str) and "${" in found:
            raise NotPlainError(text)
        return self._value(found)

    def _at(self, path: str) -> Any:
        """The value that `${path}` names; each dot in front but the first goes one mapping up."""
        place: Plain | None = self if path.startswith(".") else self._root
        path = path.removeprefix(".")
        while path.startswith(".") and place is not None:
            place, path = place._above, path[1:]
        if place is None:
            raise NotPlainError(path)
        return place.find(path)

    def _resolver(self, name: str, args: tuple[Any, ...], args_str: tuple[str, ...]) -> Any:
        """The value of `${name:args}`. args_str: the same as text, as OmegaConf hands it over."""
        if name == "per_dataset":
            return per_dataset(*args, _parent_=self, _root_=self._root)
        if name == "ledger":
            return ledger(*args, _root_=self._root)
        if name == "oc.select":
            return _select(self._root, *args)
        raise NotPlainError(name)


def read_yaml(text: str) -> Any:
    """The data in a text, as OmegaConf reads it. Raises YAMLError, for a key that is there twice, too."""
    return yaml.load(text, _Reader)


class _Reader(yaml.CSafeLoader):
    """OmegaConf's reader, in C."""

    yaml_implicit_resolvers = get_yaml_loader().yaml_implicit_resolvers

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        if len(set(keys)) < len(keys):
            raise yaml.YAMLError("a key is there twice")
        return super().construct_mapping(node, deep)


_parsed = cache(parse)


def _no_placeholder(value: str) -> str:
    if value == "???":
        raise NotPlainError(value)
    return value


def _select(root: Plain, path: str, default: Any = None) -> Any:
    """As OmegaConf's `oc.select`: the value at a path, or a default if there is none."""
    try:
        return root.find(path)
    except KeyError:
        return default
