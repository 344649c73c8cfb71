"""What is read from the text of a class is what its imported form says."""

import re

import pytest

from rethinking import paths
from rethinking.configuration.declared import as_declared, hints, types_of
from rethinking.configuration.locality import locality
from rethinking.configuration.lookup import named
from rethinking.configuration.written import attribute, declared_types

TEXTS = [file.read_text() for file in paths.CONF.rglob("*.yaml")]
TARGETS = sorted({name for text in TEXTS for name in re.findall(r"_target_: (rethinking[\w.]+)", text)})
VALUES = (1, [1, 2], True, None, 1.5, "1")


@pytest.mark.parametrize("target", TARGETS)
def test_of_all_that_conf_names(target: str, monkeypatch: pytest.MonkeyPatch) -> None:
    read = declared_types(target)
    assert read is not None
    imported = hints(named(target))
    written = [as_declared({"_target_": target, **dict.fromkeys(imported, value)}) for value in VALUES]
    assert attribute(target, "is_local") is getattr(named(target), "is_local", None)
    monkeypatch.setattr("rethinking.configuration.declared._written", lambda target: None)
    assert types_of(target) == imported
    assert repr(written) == repr([as_declared({"_target_": target, **dict.fromkeys(imported, v)}) for v in VALUES])


def test_what_is_inherited_counts_and_what_has_no_text_is_imported() -> None:
    uniform = "rethinking.pooling.random_assignment.Uniform"
    assert declared_types(uniform) == {"low": float, "high": float}
    assert attribute("rethinking.pooling.matching.UniformMatching", "sees_features") is False, "its base says so"
    for unknown in ("rethinking.pooling.matching.Nothing", "rethinking.nowhere.Net", "torch.nn.Linear"):
        assert declared_types(unknown) is None
        with pytest.raises(LookupError):
            attribute(unknown, "is_local")
    # Its module only imports it.
    assert locality(None, {"_target_": "rethinking.pooling.drawn.HardSelection"}) is None
    assert types_of("rethinking.pooling.memory.Select") == hints(named("rethinking.pooling.select.Select"))
