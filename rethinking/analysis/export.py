"""Tidy data frames as CSV and Parquet, with a data dictionary, for those who use pandas or R."""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pandas as pd

from rethinking.analysis.comparisons import compare
from rethinking.analysis.long_comparisons import frame
from rethinking.analysis.questions import question
from rethinking.analysis.tidy import Results
from rethinking.errors import UserError
from rethinking.runs.identity import SCHEMA
from rethinking.runs.replacement import replaced_file

# Too long for text.
PARQUET_ONLY = ("predictions",)

# What every column means, by file. A name that ends in … stands for all that begin so.
DICTIONARY: dict[str, dict[str, str]] = {
    "runs": {
        "run_id": "a run: a cell with one seed",
        "cell_id": "a hash of the scientific configuration, of the data set's content and of the schema version",
        "family": "architecture with pooling, or a baseline",
        "variant": "which Select it uses; learned is the family's own, local one",
        "dataset": "key in conf/dataset",
        "fidelity": "paper, released_code, or the rows of the fidelity ledger that follow the released code",
        "seed": "names the split, the initial weights, the order of batches and random assignments",
        "split": "train, val or test; of the best validation epoch",
        "metric": "loss (cross-entropy or L1), accuracy and rocauc (0 to 1), mae; or a measure of the clusters on test "
        "graphs: hops, and for each pooling layer pool1_entropy, pool1_clusters, pool1_edges_inside, pool1_hops, "
        "pool1_modularity, pool1_before and pool1_after (cosine distance of node features)",
        "value": "in the metric's own unit",
    },
    "provenance": {
        "run_id": "see runs",
        "schema": "version of what a run means; runs of schema 1 have no predictions",
        "best_epoch": "the epoch with the best validation score, from 1",
        "epochs": "trained until it stopped",
        "fingerprint": "a hash of the data set's content",
        "seconds": "this seed's share of the time its group trained",
        "diagnosed_graphs": "on how many test graphs its clusters were measured, if there are any to be seen",
        "elapsed_seconds": "from the start of its group to its end",
        "replicas": "how many seeds trained together",
        "together": "which, as 0-9,12",
        "threads": "CPU threads of the process",
        "fast": "whether compiled loops were allowed, or plain torch was asked for; runs before there was a choice do "
        "not say",
        "evaluation_batch_size": "graphs of each seed evaluated together, if that was set",
        "finished": "when, UTC",
        "device": "cpu or cuda",
        "device_name": "processor or accelerator",
        "processor": "family, model and stepping of the processor, and its instructions that torch uses",
        "peak_memory_mib": "the most memory its process had used by then, MiB",
        "git_commit": "of the checkout, if there was one",
        "git_dirty": "whether the program in the checkout had changes that were not committed",
        "resumed_with_other": "what of device, processor, threads, … was another before it was interrupted",
        "…_version": "of the program and of what it computes with",
    },
    "histories": {
        "cell_id": "see runs",
        "seed": "see runs",
        "epoch": "from 1",
        "learning_rate": "of that epoch's steps",
        "train_loss": "mean supervised loss over the epoch's steps",
        "val_…": "loss or metric on the validation part after the epoch",
        "test_…": "loss or metric on the test part after the epoch",
    },
    "predictions": {
        "cell_id": "see runs",
        "seed": "see runs",
        "part": "val or test",
        "graph": "its number in the data set, from 0",
        "target": "what is to be predicted: a class, or a number",
        "prediction": "of the best epoch: the likeliest class; or the number; or, for rocauc, the logit of class 1 "
        "minus that of class 0",
        "log_probability": "natural logarithm, of the predicted class; of collected runs in half precision",
    },
    "comparisons": {
        "data set": "title of the data set",
        "family": "see runs",
        "settings": "what tells the two cells from others of that family on that data set",
        "variant": "the non-local one",
        "reference": "the local one",
        "fidelity": "see runs",
        "metric": "see runs; here accuracy and rocauc are in per cent",
        "schema 1": "whether the runs are of schema 1, without predictions",
        "seeds": "that both cells have",
        "reference mean": "mean test score of the local variant",
        "variant mean": "mean test score of the non-local variant",
        "margin": "differences within it do not matter",
        "difference": "by how much the non-local variant is better, paired by seed; for errors too",
        "… verdict": "A: on this data set, B: on new graphs of the same kind; over all looks and comparisons",
        "… method": "how the standard error is had; approximate, conservative: of runs without predictions, with the "
        "variance of Nadeau and Bengio (2003)",
        "… standard error": "of the difference",
        "… low": "lower end of its interval",
        "… high": "upper end of it",
        "… p different": "for the claim that there is a difference, over the looks so far, not adjusted for other "
        "comparisons; empty without a verdict",
        "… p equivalent": "for the claim that the difference is within the margin",
        "… p not worse": "for the claim that the non-local variant is not worse by the margin",
        "… p relevant": "for the claim that the difference is beyond the margin",
        "… adjusted": "the same, adjusted for all comparisons that there are",
        "… seeds needed": "with how many something will be decided, about; empty if it is, or if none suffice",
        "p Wilcoxon": "signed-rank test, a check that takes seeds as independent",
        "bootstrap low": "lower end of the percentile interval over resampled seeds, a check",
        "bootstrap high": "upper end of it",
    },
}


def export(results: Results, folder: Path) -> list[Path]:
    """Write every data frame and the data dictionary to a folder, predictions as Parquet only. Returns the files.

    Raises UserError if the folder cannot be written.
    """
    frames = {"runs": results.runs, "provenance": results.provenance, "histories": _of_cells(results, results.history)}
    frames["predictions"] = _of_cells(results, results.predictions, since=SCHEMA)
    with suppress(UserError):  # There may be nothing to compare yet.
        asked = question()
        frames["comparisons"] = frame(compare(results, asked)[0], asked)
    earlier = [] if "comparisons" in frames else [folder / f"comparisons.{kind}" for kind in ("csv", "parquet")]
    frames["dictionary"] = pd.DataFrame(
        [(name, column, text) for name, columns in DICTIONARY.items() for column, text in columns.items()],
        columns=["file", "column", "meaning"],
    )
    files = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, data in frames.items():
            if name not in PARQUET_ONLY:
                files.append(folder / f"{name}.csv")
                with replaced_file(files[-1]) as part:
                    data.to_csv(part, index=False)
            files.append(folder / f"{name}.parquet")
            with replaced_file(files[-1]) as part:
                _of_one_type(data).to_parquet(part, index=False)
        # Of other runs than those that are here now.
        for path in earlier:
            path.unlink(missing_ok=True)
    except OSError as error:
        raise UserError(f"{folder} cannot be written ({error.strerror}); name another folder with --to.") from error
    return files


def _of_cells(results: Results, read: Callable[[str], pd.DataFrame], since: int = 0) -> pd.DataFrame:
    """What there is of each cell, one below the other. since: the schema that first had it."""
    cells = [id for id in sorted(results.cells) if results.cells[id].schema >= since]
    frames = [frame.assign(cell_id=cell) for cell in cells if len(frame := read(cell))]
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=["cell_id", "seed"])


def _of_one_type(frame: pd.DataFrame) -> pd.DataFrame:
    """Columns of Parquet have one type: what has several in the records of runs becomes text."""
    mixed = [name for name in frame if frame[name].dropna().map(type).nunique() > 1]
    return frame.assign(**{str(name): frame[name].map(str, na_action="ignore") for name in mixed})
