"""The command line and the functions it names belong together; nothing of what a command does is tested here."""

import inspect
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from rethinking.analysis.figures import figure_names
from rethinking.analysis.studies import study_names
from rethinking.analysis.suites import suite_names
from rethinking.cli import FIGURES, SUITES, command_line, main, resolve
from rethinking.runs.store import RunStore
from tests.analysis.conftest import NCI1, NOISE, fill


def test_help_names_all_there_is() -> None:
    """`1, …, 8` stands for what lies between."""

    def spelt_out(text: str) -> set[str]:
        between = re.sub(
            r"(\w*)1, …, \w*(\d)", lambda m: ", ".join(f"{m[1]}{n}" for n in range(1, int(m[2]) + 1)), text
        )
        return set(between.split(", "))

    assert spelt_out(SUITES) == {*suite_names(), *study_names()}
    assert spelt_out(FIGURES) == {*figure_names(), *study_names()}


@pytest.mark.parametrize(
    "line",
    [
        "reproduce table1 device=cpu --results here",
        "status table1 figure1",
        "table 1 S1 --format csv --fidelity released_code",
        "compare --dataset nci1 imdb_b --family graclus --margin accuracy=0.02 mae=0.1",
        "check pyg/TopKPooling dataset=nci1 --scorecard brief --to there.html",
        "scorecard src/topk --size full --format latex",
        "figure 1 2 --to there",
        "report --to there.html",
        "export --to there",
        "collect --runs here",
        "import there --runs here",
        "verify there --sample 2 --seed 7 --exact --dataset nci1 --family graclus --splits here",
        "data list --mirror here",
        "data get nci1 --trust 12ab",
        "data check",
        "data splits nci1 --seeds 3",
    ],
)
def test_functions_take_what_their_commands_give(line: str) -> None:
    given = vars(command_line().parse_args(line.split()))
    given.pop("config_dir")  # holds while the function runs
    function = resolve(given.pop("target"))
    if "mirror" in given:
        given |= {"places": (given.pop("mirror"), given.pop("cache"))}
    inspect.signature(function).bind(**given)


def test_options_of_several_values() -> None:
    given = command_line().parse_args(
        ["compare", "--dataset", "nci1", "imdb_b", "--margin", "accuracy=0.02", "mae=0.1"]
    )
    assert (given.datasets, given.margins) == (["nci1", "imdb_b"], ["accuracy=0.02", "mae=0.1"])


def test_version_and_help(capsys: pytest.CaptureFixture[str]) -> None:
    for option, said in [("--version", "rethinking "), ("--help", "train the cells of a table")]:
        with pytest.raises(SystemExit) as end:
            main([option])
        assert end.value.code == 0
        assert said in capsys.readouterr().out


@pytest.mark.parametrize("buffered", ["", "1"])
def test_a_reader_that_goes_away_is_no_error(buffered: str) -> None:
    """As in `rethinking table S3 --format csv | head -1`: no traceback, and the status of success."""
    command = [sys.executable, "-m", "rethinking", "table", "S3", "--format", "csv"]
    reader, writer = os.pipe()
    os.close(reader)
    environment = os.environ | {"PYTHONUNBUFFERED": buffered}
    result = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, env=environment, text=True, timeout=120)
    os.close(writer)
    assert (result.returncode, result.stderr) == (0, "")


def test_help_and_refusals_do_not_wait_for_torch() -> None:
    program = "import sys; from rethinking.cli import main; print(main(sys.argv[1:]), *sys.modules)"
    for arguments in (["trian"], ["compare", "--format", "pdf"]):
        answer = subprocess.run([sys.executable, "-c", program, *arguments], capture_output=True, text=True, timeout=60)
        status, *modules = answer.stdout.split()
        assert status == "2"
        assert not {"torch", "hydra", "pandas", "rich", "argcomplete"} & set(modules)


@pytest.mark.parametrize(
    ("command", "late"),
    [
        ("status", {"torch", "numba", "scipy.stats", "statsmodels"}),
        ("table 1 2", {"torch", "numba", "scipy.stats", "statsmodels"}),
        ("compare", {"torch", "numba"}),
    ],
)
def test_what_only_reads_runs_does_not_wait_for_what_trains_them(tmp_path: Path, command: str, late: set[str]) -> None:
    for variant in ("learned", "complement"):
        fill(RunStore(tmp_path), NCI1 + variant, 0.8 + 0.01 * NOISE[:6])
    program = "import sys; from rethinking.cli import main; print(main(sys.argv[1:]), *sys.modules, file=sys.stderr)"
    folders = ["--runs", str(tmp_path), "--results", "none"]
    arguments = [sys.executable, "-c", program, *command.split(), *folders]
    answer = subprocess.run(arguments, capture_output=True, text=True, timeout=120)
    status, *modules = answer.stderr.split()
    assert status == "0", answer.stderr
    assert not late & set(modules)
