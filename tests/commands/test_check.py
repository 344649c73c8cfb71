"""`rethinking check`: from an operator to a verdict, and what a person does wrong."""

import re
import sys
from collections.abc import Callable
from io import StringIO
from itertools import product
from pathlib import Path
from subprocess import CompletedProcess
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from rethinking.analysis.checks import check_settings, comparisons_of
from rethinking.analysis.tidy import read_results
from rethinking.commands import operators
from rethinking.commands.check import _failed, planned
from rethinking.commands.operators import chosen
from rethinking.configuration.composition import compose_job
from rethinking.runs.record import head_of
from rethinking.runs.store import RunStore
from tests.conftest import FEW_DIGITS
from tests.records import fill_cell

Call = Callable[..., CompletedProcess[str]]
SMALL = ("dataset=digits", "trainer.max_epochs=1", "model.hidden=4", "model.batch_size=256", "diagnosed_graphs=0",
         "compare.fewest=2")  # fmt: skip
OWN = '''
import torch
from torch import nn


class FirstHalf(nn.Module):
    """Keeps the first half of each graph's nodes, by a weight that is learned; says which."""

    def __init__(self, in_channels, ratio):
        super().__init__()
        self.ratio = ratio
        self.weight = nn.Parameter(torch.ones(1))

    def forward(self, x, edge_index, edge_attr=None, batch=None):
        size = torch.bincount(batch)
        place = torch.arange(len(batch)) - (size.cumsum(0) - size)[batch]
        perm = (place < (self.ratio * size[batch]).ceil()).nonzero().squeeze(-1)
        new = torch.full_like(batch, -1).scatter(0, perm, torch.arange(len(perm)))
        kept = (new[edge_index] >= 0).all(dim=0)
        return x[perm] * self.weight, new[edge_index][:, kept], None, batch[perm], perm


class Silent(FirstHalf):
    def forward(self, x, edge_index, batch=None):
        x, edge_index, _, batch, _ = super().forward(x, edge_index, None, batch)
        return x, edge_index, batch


class Largest(nn.Module):
    """The largest of each pair of nodes: of a single feature that could be a sum with weights."""

    def forward(self, x, edge_index, batch):
        first = torch.searchsorted(batch, batch)
        place = torch.arange(len(x)) - first
        new = place % 2 == 0
        cluster = new.cumsum(0) - 1
        pooled = x.new_zeros(int(new.sum()), x.shape[1])
        pooled = pooled.scatter_reduce(0, cluster[:, None].expand_as(x), x, "amax", include_self=False)
        return {"x": pooled, "edge_index": edge_index[:, :0], "batch": batch[new], "cluster": cluster}


class Heads(FirstHalf):
    """Some layers need a width that they can divide."""

    def __init__(self, in_channels, ratio, slope=1.0):
        assert in_channels % 4 == 0 and slope > 0
        super().__init__(in_channels, ratio)


class Crashes(FirstHalf):
    def forward(self, x, edge_index, batch=None):
        raise RuntimeError("out of ideas")


class Drops(FirstHalf):
    def forward(self, x, edge_index, batch=None):
        return x[:0], edge_index[:, :0], batch[:0]


class NotANumber(FirstHalf):
    def forward(self, x, edge_index, batch=None):
        return x * float("nan"), edge_index, batch
'''


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A module of somebody's own in the folder where the command is given, and not one that was imported before."""
    monkeypatch.delitem(sys.modules, "my_poolers", raising=False)
    (tmp_path / "my_poolers.py").write_text(OWN)
    (tmp_path / "no_package").mkdir()
    (tmp_path / "no_package" / "__init__.py").write_text("1 / 0")


@pytest.mark.usefixtures("own")
def test_from_a_class_to_a_page(rethinking: Call, tmp_path: Path) -> None:
    """Two poolers, one of which crashes: the other is checked all the same."""
    command = ("check", "my_poolers.FirstHalf", "my_poolers.Crashes", *SMALL, f"splits={FEW_DIGITS}", "seeds=2")
    done = rethinking(*command, PYTHONPATH=".")
    assert done.returncode == 1, done.stderr
    crash = next(n for n, line in enumerate(OWN.splitlines(), 1) if "out of ideas" in line)
    assert f"out of ideas (my_poolers.py, line {crash})" in done.stderr
    assert "Traceback" not in done.stderr
    said = " ".join(done.stdout.split())
    assert "my_poolers.FirstHalf on Digits: " in said
    assert "no verdict, as it scores the same in every seed, against complement (its clusters of the complement" in said
    assert "shuffled (its own clusters, of other nodes)" in said
    changed = "All of it with trainer.max_epochs=1, model.hidden=4, model.batch_size=256, splits="
    page = (tmp_path / "check.html").read_text()
    assert changed in said and changed in page
    assert "Does my_poolers.FirstHalf matter?" in page
    assert not {"http:", "https:"} & set(page.replace("http://www.w3.org", "").split('"'))
    assert (tmp_path / "checks").is_dir()
    again = rethinking(*command, "--format", "latex", PYTHONPATH=".")
    assert "(0 trained, 2 done before)" in again.stderr and "(2 trained" not in again.stderr
    assert r"\begin{tabular}" in again.stdout


def test_a_changed_class_is_another_operator(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    module = tmp_path / "poolers_that_change.py"
    module.write_text(OWN)
    before = chosen("poolers_that_change.FirstHalf")
    assert before == chosen("poolers_that_change.FirstHalf")
    module.write_text(OWN + "\n# changed")
    after = chosen("poolers_that_change.FirstHalf")
    assert before[:-1] == after[:-1] and before[-1] != after[-1]


@pytest.mark.usefixtures("own")
def test_a_black_box_is_compared_as_far_as_it_can_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    plan = planned(["my_poolers.Silent", *SMALL, "seeds=2"])
    assert not plan.refused
    assert [one.control for one in plan.operators[0].checked] == ["shuffled_input", "none", "whole"]


@pytest.mark.usefixtures("own")
def test_what_an_operator_says_is_seen_with_the_sizes_that_it_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    plan = planned(["my_poolers.Largest", *SMALL, "seeds=2"])
    assert not plan.refused
    assert [one.control for one in plan.operators[0].checked] == list(check_settings().black_box)


@pytest.mark.usefixtures("own", "mirror")
def test_each_choice_has_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever it is of: the operator, or how it is trained; data sets have a column of their own."""
    monkeypatch.syspath_prepend(tmp_path)
    words = ["my_poolers.Heads", "dataset=digits,nci1", "pooler.operator.arguments={slope:2.0},{slope:3.0}"]
    plan = planned([*words, "trainer.batch_size=16,32", "controls=none", f"runs={tmp_path}"])
    names = sorted(one.settings for one in plan.operators[0].checked)
    expected = [f"batch_size={size}, slope={slope}" for size, slope in product((16, 32), (2.0, 3.0))]
    assert sorted(", ".join(sorted(name.split(", "))) for name in names) == sorted(2 * expected)


def test_an_experiment_says_how_many_seeds(tmp_path: Path) -> None:
    plan = planned(["pyg/TopKPooling", "+experiment=quick", "dataset=digits", f"runs={tmp_path}"])
    assert plan.seeds == "" and plan.operators[0].jobs[0].settings.seeds == [0, 1, 2]
    assert planned(["pyg/TopKPooling", *SMALL]).seeds == "seeds=until_decided"


def test_a_class_is_known_by_the_module_it_is_written_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package may have it from there."""
    monkeypatch.syspath_prepend(tmp_path)
    package = tmp_path / "poolers_of_a_package"
    package.mkdir()
    (package / "__init__.py").write_text("from .own import FirstHalf\n")
    (package / "own.py").write_text(OWN)
    before = chosen("poolers_of_a_package.FirstHalf")
    (package / "own.py").write_text(OWN + "\n# changed")
    after = chosen("poolers_of_a_package.FirstHalf")
    assert before[:-1] == after[:-1] and before[-1] != after[-1]


@pytest.mark.parametrize("digits", ["1e2345678901", "123456e78901", "123456789012"])
def test_what_a_class_is_known_by_is_no_number(digits: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two of these would be one, infinite."""
    of_all = SimpleNamespace(hexdigest=lambda: digits + "0" * 52)
    monkeypatch.setattr(operators, "hashlib", SimpleNamespace(sha256=lambda text: of_all))
    job = compose_job(["model=host", *chosen("torch_geometric.nn.TopKPooling"), "pooling=learned", "dataset=digits"])
    assert job.cell.select["operator"]["text"] == digits


def test_what_failed_is_said_beside_the_verdict(tmp_path: Path) -> None:
    """Else an operator that diverges in half of its seeds would be judged by the others, and nobody would know."""
    store = RunStore(tmp_path / "runs")
    plan = planned(["pyg/TopKPooling", "dataset=digits", f"runs={store.folder}", "controls=shuffled,none", "seeds=4"])
    jobs = {job.settings.cell.variant: job for job in plan.operators[0].jobs}
    fill_cell(store, jobs["learned"].settings.cell, np.array([0.7, 0.8, 0.75]))
    fill_cell(store, jobs["none"].settings.cell, np.array([0.7, 0.8, 0.9, 0.7]))
    for variant, seeds in (("learned", [3]), ("shuffled", range(4))):
        for seed in seeds:
            head = head_of(jobs[variant].settings.cell, jobs[variant].id, seed)
            store.write_failure(head["run_id"], {}, head, "ValueError: the loss is not a number")
    made = comparisons_of(read_results(store, tmp_path / "none"), plan.asked, plan.operators[0].checked)
    assert [c.variant for c in made] == ["none"]
    seeds, missing = _failed(plan, made, store.folder)
    assert seeds.startswith(
        "Seeds that failed, and so are in no comparison: 1 of pyg_topkpooling learned on Digits, "
        "4 of pyg_topkpooling shuffled on Digits; `rethinking status --failed --runs="
    )
    assert missing == "pyg/TopKPooling is not compared with shuffled on Digits: no seed of both is done."


@pytest.mark.usefixtures("own")
def test_controls_can_be_chosen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    plan = planned(["pyg/TopKPooling", "my_poolers.Silent", *SMALL, "controls=shuffled,none,shuffled"])
    assert [one.control for one in plan.operators[0].checked] == ["shuffled", "none"]
    assert [one.control for one in plan.operators[1].checked] == ["none"]


@pytest.mark.slow
@pytest.mark.usefixtures("own")
def test_a_black_box_is_trained_to_a_verdict(rethinking: Call) -> None:
    done = rethinking("check", "my_poolers.Silent", *SMALL, "seeds=2", "--format", "csv", PYTHONPATH=".")
    assert done.returncode == 0, done.stderr
    rows = pd.read_csv(StringIO(done.stdout))
    assert rows["variant"].tolist() == ["shuffled_input", "none", "whole"]
    assert set(rows["family"]) == {"my_poolers.Silent"}


@pytest.mark.slow
def test_until_decided_is_the_default(rethinking: Call) -> None:
    """A margin of half of all graphs is shown at the first look."""
    done = rethinking("check", "pyg/TopKPooling", *SMALL, "compare.looks=[2,3]", "tasks.classification.margin=0.5")
    assert done.returncode == 0, done.stderr
    said = " ".join(done.stdout.split())
    for control in ("shuffled", "random", "none", "whole"):
        assert re.search(rf"no more than 50 points from [^;]*\b{control} \(", said), control
    assert "no verdict, as it scores the same in every seed, against complement" in said


@pytest.mark.usefixtures("own")
def test_a_class_of_ones_own_is_given_its_arguments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    plan = planned(["my_poolers.Heads", *SMALL, "pooler.operator.arguments={slope:2.0}"])
    assert not plan.refused
    operator = plan.operators[0].jobs[0].settings.cell.select["operator"]
    assert operator["arguments"] == {"slope": 2.0}
    assert "shuffled" in [one.control for one in plan.operators[0].checked]


def test_what_is_named_twice_is_compared_once(tmp_path: Path) -> None:
    plan = planned(["pyg/TopKPooling", "dataset=digits,digits", "ratio=0.5,0.5", f"runs={tmp_path}"])
    ids = [pair.ids for pair in plan.operators[0].pairs]
    assert len(ids) == len(set(ids)) == len(plan.operators[0].checked) == len(check_settings().controls)


@pytest.mark.slow
def test_a_ratio_sweep_has_every_control_at_every_ratio(tmp_path: Path) -> None:
    plan = planned(["pyg/TopKPooling", "dataset=digits", "ratio=0.25,0.5", f"runs={tmp_path}"])
    (operator,) = plan.operators
    made = [(one.settings, one.control) for one in operator.checked]
    assert sorted(made) == sorted(product(("ratio=0.25", "ratio=0.5"), check_settings().controls))
    assert len({one.own for one in operator.checked}) == 2
    # What has no clusters of the operator has no ratio.
    for control in check_settings().controls:
        twins = {one.twin for one in operator.checked if one.control == control}
        assert len(twins) == (1 if control in ("none", "whole") else 2), control


@pytest.mark.usefixtures("own")
@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["my_poolers.Absent"], "my_poolers.Absent"),
        (["my_poolers.Drops"], "graph"),
        (["my_poolers.NotANumber"], "NaN"),
        (["nobody.MyPool"], "nobody"),
        (["no_package.poolers.MyPool"], "cannot be imported: ZeroDivisionError"),
        (["topk"], "there is no such operator; did you mean pyg/TopKPooling or src/topk or tgp/topk? Expected one of"),
        (["tgp/EigenPooling"], "did you mean tgp/eigen? Expected one of"),
        (["nothing_like_it"], "there is no such operator; expected one of native/diffpool"),
        (["pyg/TopKPooling", "ratio=2"], "ratio=2"),
        (["pyg/TopKPooling", "ratio=1"], "ratio=1.0; expected a share of the nodes, above 0 and below 1"),
        (["dataset=nci1"], "Which operator?"),
        (["tgp/pan"], "torch_sparse"),
        (["pyg/TopKPooling", "controls=any"], "controls=any is not understood; expected some of shuffled, complement"),
        (["pyg/TopKPooling", "model=graclus"], "a check chooses model itself"),
        (["pyg/TopKPooling", "pooling=complement"], "a check chooses pooling itself"),
        (["my_poolers.Silent", "controls=shuffled"], "it can have shuffled_input, none, whole only"),
    ],
)
def test_a_mistake_gets_one_sentence(words: list[str], said: str, rethinking: Call, tmp_path: Path) -> None:
    done = rethinking("check", *words, *SMALL, PYTHONPATH=".")
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "check.html").exists()
