"""Every mistake gets one clear message, a status other than 0, and no traceback. Through the real command line."""

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from rethinking.cli import main
from rethinking.configuration.composition import compose_job, options
from rethinking.errors import UserError
from tests.conftest import FEW_DIGITS, ROOT

Call = Callable[..., subprocess.CompletedProcess[str]]
CELL = ("model=graclus", "pooling=learned", "dataset=digits")


def check(result: subprocess.CompletedProcess[str], *expected: str) -> None:
    assert result.returncode not in (0, None)
    assert "Traceback" not in result.stderr
    lines = [line for line in result.stderr.splitlines() if line.strip()]
    assert len(lines) == 1, result.stderr
    for text in expected:
        assert text in result.stderr


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("model=gracluss", *CELL[1:]), ("model/gracluss", "graclus")),
        (("model=graclus", "pooling=learned", "dataset=ncii"), ("dataset/ncii", ", ".join(options("dataset")))),
        ((*CELL, "sedes=3"), ("Unknown key 'sedes'", "did you mean 'seeds'")),
        ((*CELL, "runs="), ("runs= is not understood",)),
        ((*CELL, "seeds=[1,1]"), ("seeds=[1, 1]", "seeds=20")),
        (("-m", "model=graclus", "pooling=learned", "dataset=digits,ncii"), ("dataset/ncii",)),
    ],
)
def test_a_wrong_run_command(
    rethinking: Call, tmp_path: Path, arguments: tuple[str, ...], expected: tuple[str, ...]
) -> None:
    check(rethinking("run", *arguments), *expected)
    assert not list(tmp_path.glob("runs/*/result.json")), "work was done before the refusal"


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("trainer.epochs=3",), ("Unknown key 'trainer.epochs'",)),
        (("model.hidden=(3",), ("'(' is not expected", "stands in quotes")),
        (("runs=a b(c",), ("'(' is not expected", "stands in quotes")),
        (("+extra=3",), ("Unknown key 'extra'",)),
        (("++seeds=3",), ("seeds is a key already; write seeds=VALUE, without a plus",)),
        (("+model.dropout=0.5",), ("Unknown key 'model.dropout'",)),
        (("model.layers=true",), ("layers=True", "expected int")),
        (("dataset.split.val=abc",), ("val=abc", "shares")),
        (("dataset.split.test=0.95",), ("test=0.95", "leave some to train")),
        (("dataset.task={_target_: rethinking.Nothing}",), ("unusable split or task",)),
        (("dataset.task={_target_: sys.exit}",), ("unusable split or task", "it ends the program")),
        (("dataset.task={_target_: builtins.dict}",), ("no rethinking.tasks.task.Task",)),
        (
            ("dataset.task={_target_: rethinking.tasks.regression.Regression}",),
            ("margin None", "difference of mae"),
        ),
        (("tasks.classification.margin=0",), ("margin 0", "difference of accuracy", "margin: 0.01")),
        (("tasks.classification.margin=inf",), ("margin inf",)),
        (("pooling.is_local=often",), ("pooling.is_local=often", "true, false or null")),
        (("seeds=0",), ("seeds=0", "seeds=20")),
        (("seeds=many",), ("seeds=many",)),
        (("seeds=[0,",), ("[0,",)),
        (("trainer.max_epochs=0",), ("trainer.max_epochs=0", "from 1 to")),
        (("trainer.max_epochs=few",), ("trainer.max_epochs", "few")),
        (("model.layers=0",), ("layers=0", "at least 1")),
        (("model.hidden=wide",), ("hidden=wide", "expected int")),
        (("device=gpu",), ("device=gpu", "auto, cpu or cuda")),
        (("replicas=0",), ("replicas=0",)),
        (("replicas=all",), ("replicas=all", "auto or a whole number")),
        (("evaluation_batch_size=1.5",), ("evaluation_batch_size=1.5", "auto or a whole number")),
        (("fast=maybe",), ("fast=maybe", "true or false")),
        (("dataset.split={file: a.csv}",), ("dataset.split has the keys _target_, val, test here, and no others",)),
        (("trainer.lr=1",), ("Unknown key 'trainer.lr'", "did you mean 'trainer.learning_rate'")),
        (("model=null",), ("model=null", "graclus")),
        (("data=3",), ("data=3", "expected keys")),
        (("~data",), ("lacks data",)),
        (("dataset.name=../x",), ("dataset.name=../x",)),
        (("model.hidden='3",), ("model.hidden='3 cannot be read", "quote")),
        (("=3",), ("=3 is not understood", "KEY=VALUE")),
        (("epochs",), ("epochs is not understood", "KEY=VALUE")),
        (("trainer.learning_rate=0", "trainer.min_learning_rate=0"), ("learning_rate=0.0", "above 0")),
        (("model.batch_size=1e20",), ("trainer.batch_size", "no whole number")),
        (("seeds=1000000000",), ("seeds=1000000000", "up to 10000")),
        (("seeds=[99999999999999999999]",), ("seeds=[99999999999999999999]",)),
        (("model=host", "pooling=learned"), ("none is chosen", "pooler=pyg/TopKPooling", "pooling=none")),
        (("model=gin", "pooling=none", "pooler=tgp/topk"), ("model=gin has", "operator Top-K (tgp)", "model=host")),
        (("model=graclus", "pooling=learned", "pooler=pyg/SAGPooling"), ("model=graclus has", "would change nothing")),
        (("model=src", "pooling=shuffled"), ("model=src with pooling=shuffled", "none is chosen")),
        (("model=host", "pooler=own", "pooling=learned"), ("pooler.operator.path=my_package.MyPool",)),
        (("trainer.learning_rate=inf",), ("learning_rate=inf",)),
        (("trainer.learning_rate=1e300",), ("learning_rate=1e+300",)),
        (("trainer.gradient_clip=-1",), ("gradient_clip=-1", "above 0")),
        (("trainer.gradient_clip=0",), ("gradient_clip=0",)),
        (("trainer.gradient_clip=nan",), ("gradient_clip=nan",)),
        (("trainer.batch_size=100000000000000000000",), ("batch_size=1000",)),
        (("tasks.classification.margin=nan",), ("margin nan",)),
    ],
)
def test_a_wrong_value_is_refused_where_a_job_is_composed(words: tuple[str, ...], expected: tuple[str, ...]) -> None:
    """In one sentence, which the command prints."""
    with pytest.raises(UserError) as refused:
        compose_job([*CELL, *words])
    assert len(str(refused.value).splitlines()) == 1
    for text in expected:
        assert text in str(refused.value)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ((*CELL, "--config-dir", "nowhere"), ("--config-dir nowhere: there is no such folder",)),
        ((*CELL, "experiment=quick"), ("+experiment=NAME",)),
        ((*CELL, "hydra/launcher=nowhere"), ("no launcher 'nowhere'", "basic, joblib, ray, submitit_local")),
        ((*CELL, "hydra/launcher=joblib", "hydra.launcher.n_jobs=many"), ("n_jobs", "many")),
        ((*CELL, "-cn", "other"), ("conf/config.yaml", "--config-dir")),
        (
            ("-m", "model=graclus,gin", *CELL[1:], "model.convs_before_pool=1"),
            ("convs_before_pool' with model=gin",),
        ),
        (("-sc", "query=bash"), ("COMP_LINE",)),
        (("suite=table1", "model=gmn"), ("model=gmn does not go with suite=table1",)),
        (("suite=table1", "--cfg", "job"), ("suite= does not go with",)),
        (("-sc",), ("see rethinking run --help",)),
    ],
)
def test_another_wrong_run_command(
    tmp_path: Path,
    cache: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: tuple[str, ...],
    expected: tuple[str, ...],
) -> None:
    """The same, within this process, for speed."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RETHINKING_CACHE", str(cache))
    monkeypatch.setattr("sys.argv", ["rethinking"])
    status = main(["run", *arguments])
    check(subprocess.CompletedProcess(arguments, status, stderr=capsys.readouterr().err), *expected)
    assert not list(tmp_path.glob("runs/*/result.json")), "work was done before the refusal"


def test_an_impossible_pair_is_refused_with_the_possible_ones(rethinking: Call, tmp_path: Path) -> None:
    """Before any work, even if it is the last of a sweep."""
    check(
        rethinking("run", "-m", "model=graclus", "pooling=learned,none", "dataset=digits"),
        "model=graclus cannot be combined with pooling=none",
        "Possible with this model: pooling=complement, learned, uniform",
    )
    assert not (tmp_path / "runs").exists()


def test_variants_of_ones_own_are_refused_alike(rethinking: Call, tmp_path: Path) -> None:
    own = tmp_path / "my own (1), 'quoted'" / "pooling"
    own.mkdir(parents=True)
    (own / "soft.yaml").write_text("name: soft\nselect: {assignment: {_target_: builtins.dict}}\n")
    sweep = ("model=graclus", "pooling=learned,soft", "dataset=digits")
    check(
        rethinking("run", "-m", *sweep, "--config-dir", "my own (1), 'quoted'"),
        "model=graclus cannot be combined with pooling=soft",
    )


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device here")
def test_cuda_without_one(rethinking: Call) -> None:
    check(rethinking("run", *CELL, "device=cuda"), "device=cuda", "device=cpu")


def test_an_unwritable_runs_folder(rethinking: Call, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    check(rethinking("run", *CELL, "runs=file/runs"), "file/runs cannot be written", "runs=DIR")


def test_raw_files_that_are_missing(rethinking: Call, tmp_path: Path) -> None:
    """Nothing in the mirror, and nowhere to download from."""
    (tmp_path / "raw").mkdir()
    offline = "dataset.raw.url=http://localhost:9/NCI1.zip"
    check(
        rethinking("run", "model=graclus", "pooling=learned", "dataset=nci1", offline, RETHINKING_DATA="raw",
                   RETHINKING_CACHE="empty"),
        "http://localhost:9/NCI1.zip could not be downloaded", "put it at empty/raw/tu/NCI1.zip",
    )  # fmt: skip


def test_a_mirror_that_does_not_exist(rethinking: Call) -> None:
    check(
        rethinking("run", "model=graclus", "pooling=learned", "dataset=nci1", "data.mirror=nowhere",
                   RETHINKING_CACHE="empty"),
        "nowhere does not exist", "data.mirror",
    )  # fmt: skip


def test_a_damaged_raw_file_is_named_with_its_checksum(rethinking: Call, tmp_path: Path) -> None:
    raw = tmp_path / "raw" / "tu" / "NCI1.zip"
    raw.parent.mkdir(parents=True)
    raw.write_bytes(b"not a zip file")
    check(
        rethinking("run", "model=graclus", "pooling=learned", "dataset=nci1", RETHINKING_DATA="raw",
                   RETHINKING_CACHE="empty"),
        "raw/tu/NCI1.zip", "SHA-256", "bfa9b89fb3741d4ab155daf8252adf11e4c71ed2d7a910cac48357945765453f",
    )  # fmt: skip


def test_a_truncated_zip_whose_checksum_is_not_asked_for(rethinking: Call, tmp_path: Path, mirror: Path) -> None:
    raw = tmp_path / "raw" / "tu" / "NCI1.zip"
    raw.parent.mkdir(parents=True)
    shutil.copy(mirror / "tu" / "NCI1.zip", raw)
    os.truncate(raw, 100_000)
    check(
        rethinking("run", "model=graclus", "pooling=learned", "dataset=nci1", "dataset.raw.sha256=null",
                   RETHINKING_DATA="raw", RETHINKING_CACHE="empty"),
        "raw/tu/NCI1.zip is damaged",
    )  # fmt: skip


def test_unknown_commands_options_tables_and_data_sets(rethinking: Call) -> None:
    check(rethinking("trian"), "invalid choice: 'trian'", "choose from 'run', 'reproduce'", "see rethinking --help")
    check(rethinking("table"), "required: NAME", "see rethinking table --help")
    check(rethinking("table", "1", "--format", "pdf"), "invalid choice: 'pdf'")
    check(rethinking("data", "splits", "--seeds", "0"), "0 is not a number of at least 1")
    check(rethinking("run", *CELL, "-x"), "unrecognized arguments: -x", "see rethinking run --help")
    check(rethinking("compare", "-x"), "unrecognized arguments: -x", "see rethinking compare --help")
    check(rethinking("data", "lst"), "invalid choice: 'lst'", "see rethinking data --help")
    check(rethinking("report", "--to", ""), "--to", "see rethinking report --help")
    check(rethinking("table", "1", "--config-dir", "nowhere"), "--config-dir nowhere: there is no such folder")
    results = str(ROOT / "results")
    check(rethinking("compare", "--results", results, "compare.reference=foo"), "compare.reference foo", "learned")
    check(rethinking("compare", "--results", results, "--margin", "accuracy=nan"), "--margin accuracy=nan")
    check(rethinking("table", "9"), "no table '9'", "expected one of 1")
    check(rethinking("data", "check", "ncii"), "no data set 'ncii'", ", ".join(options("dataset")))
    check(rethinking("collect"), "no finished runs in runs/")
    # Not the runs of somebody else, nor an empty table.
    for option in ("--runs", "--results"):
        for command in (["status"], ["table", "1"], ["compare"], ["figure", "1"], ["report"], ["export"]):
            check(rethinking(*command, option, "nowhere"), f"{option}: there is no folder nowhere")
    assert rethinking("status").returncode == 0


def test_a_page_is_a_file(rethinking: Call, tmp_path: Path) -> None:
    """Said before anything is trained for it."""
    check(
        rethinking("check", "pyg/TopKPooling", "dataset=digits", "--to", str(tmp_path)),
        "is a folder; the name of a file",
    )


def test_folders_may_have_any_name(rethinking: Call, tmp_path: Path) -> None:
    """Brackets are no markup."""
    (tmp_path / "[" / "red]x").mkdir(parents=True)
    assert "[/red]x" in rethinking("status", "--runs", "[/red]x").stdout


def test_a_sweep_skips_what_cannot_be_combined_and_shows_a_cell_once(rethinking: Call, tmp_path: Path) -> None:
    """Wherever Hydra works (hydra.job.chdir) and however a sweep is asked for (hydra.mode), there is one store."""
    result = rethinking(
        "run", "model=gin,gmn", "pooling=learned", "dataset=digits", f"splits={FEW_DIGITS}", "seeds=1,[0]",
        "trainer.max_epochs=1", "diagnosed_graphs=0", "skip_impossible=true", "hydra.mode=MULTIRUN",
        "hydra.job.chdir=true",
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    assert "Skipped 2 of 4 jobs, which cannot be combined: gin with learned." in result.stderr
    assert sum("1/1" in line for line in result.stdout.splitlines()) == 1
    assert len(list(tmp_path.rglob("result.json"))) == len(list(tmp_path.glob("runs/*/result.json"))) == 1


def test_a_failed_run_of_a_sweep_by_mode_is_told(rethinking: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*arguments: object, **others: object) -> None:
        raise ValueError("a failure")

    monkeypatch.setattr("rethinking.runs.execute.train_group", fails)
    assert rethinking("run", *CELL, "seeds=1", "hydra.mode=MULTIRUN").returncode == 1
