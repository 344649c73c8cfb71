"""`make costs`: time and memory of every family on every data set, as docs/costs.md.

Each pair is measured in a process of its own, on one core: a few steps of training and of evaluation of as many seeds
together as replicas=auto takes of 20, from which the time of an epoch follows. An epoch that a family trains in another
way (GMN's keys) counts as often as it comes. The sheet is made from results/benchmarks/costs.csv, which says when each
was measured.
"""

import argparse
import json
import math
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from rethinking.configuration.cell import Cell
from rethinking.configuration.composition import LEARNED, compose_job, options, possible_variants
from rethinking.data.dataset import GraphDataset
from rethinking.data.load import load
from rethinking.data.split import Split
from rethinking.layers.initial import initialise
from rethinking.progress import track
from rethinking.randomness import stream
from rethinking.runs.provenance import hardware
from rethinking.training.group import ReplicaGroup
from rethinking.training.memory import is_out_of_memory, limit_to_free_memory
from rethinking.training.sizes import in_equal_parts, replicas_at_once
from scripts.machine import conditions, keep, seconds, use_one_core

SHEET = Path("docs") / "costs.md"
MEASURED = Path("results") / "benchmarks" / "costs.csv"
EVALUATED = 256  # Graphs of a part of the split.
SEEDS = 20
QUICK = ("nci1", "imdb_b", "smnist", "zinc")


def main() -> int:
    """Measure all pairs, or one; write or print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", nargs="+", choices=options("model"), default=options("model"))
    parser.add_argument("--datasets", nargs="+", choices=options("dataset"), default=options("dataset"))
    parser.add_argument("--steps", type=int, default=3, help="of training, after one to warm up (default: 3)")
    parser.add_argument("--memory", type=float, default=16, help="GiB a process may have (default: 16)")
    parser.add_argument("--patience", type=float, default=300, help="seconds for a pair, then it is left out")
    parser.add_argument("--one", action="store_true", help="measure the first pair here and print it")
    parser.add_argument("--render", action="store_true", help="write the sheet from what has been measured before")
    parser.add_argument("--quick", action="store_true", help=f"one step, of {', '.join(QUICK)} only")
    parsed = parser.parse_args()
    if parsed.quick:
        parsed.datasets, parsed.steps = QUICK, 1
    if parsed.one:
        print(json.dumps(measure(parsed.models[0], parsed.datasets[0], parsed.steps, parsed.memory * 2**30)))
        return 0
    if not parsed.render:
        pairs = [(model, dataset) for dataset in parsed.datasets for model in parsed.models]
        rows = [_apart(pair, parsed) for pair in track(pairs, "costs")]
        keep(rows, MEASURED, ("dataset", "model"))
    SHEET.write_text(render(pd.read_csv(MEASURED)), encoding="utf-8")
    print(f"{SHEET} and {MEASURED} are written.")
    return 0


def _apart(pair: tuple[str, str], parsed: argparse.Namespace) -> dict[str, Any]:
    """One pair in a process of its own, so that the memory is its own."""
    model, dataset = pair
    command = [sys.executable, "-m", "scripts.costs", "--one", "--models", model, "--datasets", dataset]
    command += ["--steps", str(parsed.steps), "--memory", str(parsed.memory)]
    try:
        result = subprocess.run(command, capture_output=True, text=True, timeout=parsed.patience)
    except subprocess.TimeoutExpired:
        print(f"{model} on {dataset}: not done in {parsed.patience:.0f} s", file=sys.stderr)
        return {"model": model, "dataset": dataset}
    if result.returncode:
        reason = result.stderr.strip().splitlines()[-1:] or [f"status {result.returncode}"]
        print(f"{model} on {dataset}: {reason[0]}", file=sys.stderr)
        return {"model": model, "dataset": dataset}
    return json.loads(result.stdout.splitlines()[-1])


def measure(model: str, dataset: str, steps: int, memory: float) -> dict[str, Any]:
    """Seconds an epoch and seed, and memory, of a family on a data set."""
    use_one_core()
    variants = possible_variants(model)
    # A network around an operator has none here.
    own = "none" if "none" in variants else LEARNED
    job = compose_job([f"model={model}", f"pooling={own}", f"dataset={dataset}"])
    data = load(job.cell.dataset, job.places)
    replicas = in_equal_parts(SEEDS, replicas_at_once(data, job.cell.trainer.batch_size))
    while True:
        try:
            with limit_to_free_memory(memory):
                epoch = _seconds_an_epoch(job.cell, data, replicas, steps, job.evaluation_batch_size)
            break
        except Exception as error:
            if not is_out_of_memory(error) or replicas == 1:
                raise
            replicas //= 2
    return {
        "model": model,
        "dataset": dataset,
        "seeds_together": replicas,
        "seconds": epoch / replicas,
        "peak_mib": hardware(torch.device("cpu"))["peak_memory_mib"],
        **conditions(),
    }


def _seconds_an_epoch(cell: Cell, dataset: GraphDataset, replicas: int, steps: int, evaluation: int | None) -> float:
    """Of all replicas together."""
    seeds = range(replicas)
    task = cell.task()
    network = cell.build(dataset, task)(replicas)
    initialise(network, seeds)
    whole = [cell.splitter()(dataset, seed) for seed in seeds]
    group = ReplicaGroup(network, dataset, whole, seeds, task, cell.trainer, torch.device("cpu"))

    def cut(batches: int) -> list[Split]:
        """As many random graphs of each part; of those that are tested, as many as of those that are validated."""
        sizes = (batches * cell.trainer.batch_size, EVALUATED, EVALUATED)
        return [
            Split(
                *(
                    stream(seed, "costs").permutation(part)[:size]
                    for part, size in zip(_parts(split), sizes, strict=True)
                )
            )
            for seed, split in zip(seeds, whole, strict=True)
        ]

    def train(epoch: int) -> float:
        return seconds(lambda: group.train(epoch)) * len(whole[0].train) / len(group.splits[0].train)

    group.splits = cut(1)
    group.train(1)
    group.splits = cut(steps)
    period = math.lcm(*(phase.period for phase in group.phases))
    training = [train(epoch) for epoch in range(1, period + 1)]
    # A part with one class only has no area under the curve, but takes the same time.
    test = seconds(lambda: group.evaluate("val", 1, evaluation)) / len(group.splits[0].val)
    return sum(training) / period + test * (len(whole[0].val) + len(whole[0].test))


def _parts(split: Split) -> Sequence[Any]:
    return split.train, split.val, split.test


def render(measured: pd.DataFrame) -> str:
    """The sheet as Markdown."""
    an_epoch, memory = (
        measured.pivot(index="dataset", columns="model", values=name) for name in ("seconds", "peak_mib")
    )
    together = measured.pivot(index="dataset", columns="model", values="seeds_together")
    hours = an_epoch * SEEDS * _epochs() / 3600
    known = measured.dropna(subset="seconds")
    machines = ", ".join(known["device"].unique())
    peaks = _texts(memory, "{:.0f}") + together.map(lambda count: "" if count == SEEDS else f" ({count:.0f})")
    missing = measured[measured["seconds"].isna()]
    absent = "".join(f" {model} on {dataset} took too long to be measured." for model, dataset in
                     zip(missing["model"], missing["dataset"], strict=True))  # fmt: skip
    return f"""# What a reproduction costs

Measured by `make costs`, not typed in: one core ({machines}; load {known["load"].min()} to {known["load"].max()},
torch {", ".join(known["torch"].unique())}), as many of {SEEDS} seeds together as `replicas=auto` takes and the
memory allows. A few steps of training and evaluation were timed, and an epoch follows from their number. Each family
has its own variant (`learned`, or `none`) and the sizes of the paper for the data set.{absent}

## Seconds an epoch and seed

{_texts(an_epoch, "{:.3f}").to_markdown()}

## Peak memory of the process, MiB (in brackets the seeds together, where it is not {SEEDS})

{peaks.where(memory.notna(), "—").to_markdown()}

## Hours of one core for a cell of {SEEDS} seeds

At {_epochs():.0f} epochs a seed, the mean of the runs in `results/`.

{_texts(hours, "{:.1f}").to_markdown()}
"""


def _texts(numbers: pd.DataFrame, form: str) -> pd.DataFrame:
    return numbers.map(lambda number: "—" if pd.isna(number) else form.format(number))


def _epochs() -> float:
    return float(pd.read_csv(Path("results") / "provenance.csv")["epochs"].mean())


if __name__ == "__main__":
    sys.exit(main())
