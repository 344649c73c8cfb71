"""Whatever stands on a command line, it is a job or one sentence; nothing is carried out, and nothing written."""

import os
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st

from rethinking import paths
from rethinking.configuration.composition import compose_job, expand_sweep, options
from rethinking.configuration.settings import Settings
from rethinking.configuration.together import parse_word, put_together
from rethinking.errors import UserError

Call = Callable[..., subprocess.CompletedProcess[str]]
BASE = ("model=graclus", "pooling=learned", "dataset=digits")
GROUPS = ("model", "pooling", "dataset", "trainer", "fidelity", "pooler", "logger")


def leaves(config: Mapping[Any, Any], prefix: str = "") -> list[str]:
    """The keys of a configuration that have values, as one types them."""
    return [
        key
        for name, value in config.items()
        for key in (leaves(value, f"{prefix}{name}.") if isinstance(value, Mapping) else [f"{prefix}{name}"])
    ]


KEYS = sorted(leaves(put_together([parse_word(word) for word in BASE], paths.configuration()) or {}))

strange = st.sampled_from(
    [
        *(
            "null",
            "true",
            "???",
            "",
            "''",
            "[]",
            "{}",
            "[1",
            "{a:",
            "{a: {b: [1, {c: null}]}}",
            "a,b",
            "1,2,1",
            "-0",
            "nan",
        ),
        *(
            "inf",
            "-inf",
            "1e400",
            "1e-400",
            "99999999999999999999999",
            "0x10",
            "1_000",
            "٣",
            "../../etc",
            "/",
            "~",
            "~root",
        ),
        *(
            "$(touch canary)",
            "`touch canary`",
            "; touch canary",
            "${oc.env:HOME}",
            "${seeds}",
            "${nowhere}",
            "${ledger:a,b}",
        ),
        *(
            "${",
            "$",
            "\\",
            '"',
            "'",
            "a b",
            "range(1,3)",
            "choice(1,2)",
            "glob(*)",
            "interval(0,1)",
            "sort(3,1)",
            "cast",
        ),
        *(
            "int(x)",
            "str(1)",
            "%s",
            "{}%",
            "\x1b[31m",
            "\t",
            "\udcff",
            "é" * 50,
            "x" * 5000,
            "[" * 200,
            "_target_=os.system",
        ),
        *(
            "{_target_: os.system, _args_: [touch canary]}",
            "os.system",
            "rethinking.nothing",
            "False",
            "no",
            "Null",
            "01",
        ),
    ]
)
values = st.one_of(
    strange,
    st.integers().map(str),
    st.floats().map(str),
    st.text(max_size=12),
    st.lists(st.integers(-2, 5), max_size=4).map(str),
    st.sampled_from([name for group in GROUPS for name in options(group)]),
)
keys = st.one_of(
    st.sampled_from(KEYS), st.sampled_from(GROUPS), st.sampled_from(["seed", "modle", "hydra.job.num", "", "a.b"])
)
words = st.builds(
    lambda sign, key, equals, value: f"{sign}{key}{equals}{value}",
    st.sampled_from(["", "", "", "", "+", "++", "~", "-"]), keys, st.sampled_from(["=", "=", "=", "", "=="]), values,
)  # fmt: skip


def is_one_sentence(error: str) -> bool:
    """That a terminal can show, without the name of an error of Python's."""
    return bool(error.strip()) and "\n" not in error and error.isprintable() and "Traceback" not in error


def check(more: list[str], folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    try:
        for job in expand_sweep([*BASE, *more]) or []:
            assert isinstance(compose_job(job), Settings)
    except UserError as error:
        assert is_one_sentence(str(error)), repr(str(error))
    assert not list(folder.iterdir())


def tries(count: int) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Of the same lines every time. What fails is not made smaller, as Hydra takes long over each."""
    health = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
    phases = (Phase.explicit, Phase.generate)
    return settings(
        max_examples=count, deadline=None, derandomize=True, database=None, suppress_health_check=health, phases=phases
    )


lines = given(more=st.lists(words, min_size=1, max_size=3))


@tries(20)
@lines
@example(more=["seeds=[0,0]"])
@example(more=["~pooling=[4, 2]"])
@example(more=["fidelity=[3]"])
@example(more=["trainer.batch_size={a: 1}"])
@example(more=["logger={_target_: os.system, _args_: [touch canary]}"])
def test_a_line_is_a_job_or_one_sentence(more: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    check(more, tmp_path, monkeypatch)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@tries(500)
@lines
def test_any_line_is_a_job_or_one_sentence(more: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    check(more, tmp_path, monkeypatch)


@pytest.mark.parametrize(
    "line",
    [
        *("trainer.max_epochs=ten", "seeds=-1", "runs=[1]", "logger=nothing", "~dataset", "+a.b=1", "device=tpu", "'"),
        *("model.hidden={}", "checkpoint_minutes=nan", "pooling=learned,uniform seeds=0", "threads=1.5"),
        *("fidelity=[3]", "fidelity=[3] --cfg job"),
    ],
)
def test_the_command_ends_with_the_sentence(line: str, rethinking: Call, tmp_path: Path) -> None:
    result = rethinking("run", "-m", *BASE, *line.split())
    assert result.returncode == 2 and result.stdout == ""
    assert is_one_sentence(result.stderr.rstrip("\n")), result.stderr
    assert os.listdir(tmp_path) == []  # noqa: PTH208
