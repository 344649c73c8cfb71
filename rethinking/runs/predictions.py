"""The predictions of a run, or of all runs of a cell: a row a graph of the validation and the test part.

part             val or test
graph            its number in the data set
target           what is to be predicted: a class, or a number
prediction       the likeliest class; or the number, float32; or the logit by which graphs are ranked, float32
log_probability  of the predicted class, where a class is predicted
seed             where the file holds all runs of a cell
"""

from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from rethinking.data.split import Split
from rethinking.tasks.task import Task

PARTS = ("val", "test")
# Repeated or in order: these take almost no room. What is left are floating-point numbers, whose bytes are sorted.
REPEATED, ORDERED = ("part", "target"), ("seed", "graph")
LEVEL = 9  # of zstd's compression


def predictions_of(task: Task, y: np.ndarray, split: Split, raw: Mapping[str, np.ndarray]) -> pd.DataFrame:
    """The predictions of one run.

    y: the targets of all graphs, [G]. raw: the network's outputs by part, [graphs, C] in the order of the split.
    """
    frames = []
    for part in PARTS:
        graphs = getattr(split, part)
        columns = task.predictions(raw[part], y[graphs])
        frames.append(pd.DataFrame({"part": part, "graph": graphs, **columns}))
    return pd.concat(frames, ignore_index=True)


def score_of(task: Task, predictions: pd.DataFrame, part: str) -> float:
    """The metric of one run on a part, from its predictions: exactly the score that is recorded."""
    chosen = predictions[predictions["part"] == part]
    return task.metric_of({str(name): column.to_numpy() for name, column in chosen.items()})


def write_predictions(predictions: pd.DataFrame, path: Path) -> None:
    """Write them small, and without loss."""
    table = pa.Table.from_pandas(predictions.assign(part=predictions["part"].astype("category")), preserve_index=False)
    repeated = [name for name in table.column_names if name in REPEATED or pa.types.is_integer(table[name].type)]
    repeated = [name for name in repeated if name not in ORDERED]
    rest = {name: "BYTE_STREAM_SPLIT" for name in table.column_names if name not in (*repeated, *ORDERED)}
    ordered = {name: "DELTA_BINARY_PACKED" for name in table.column_names if name in ORDERED}
    pq.write_table(
        table,
        path,
        compression="zstd",
        compression_level=LEVEL,
        use_dictionary=repeated,
        column_encoding=rest | ordered,
    )


def read_predictions(source: Path | BinaryIO, seed: int | None = None) -> pd.DataFrame:
    """What `write_predictions` has written. Raises whatever its reader does if the file is no such thing.

    seed: of a file that holds all runs of a cell, only the rows of this one.
    """
    table = _table(source)
    return _frame(table if seed is None else table.filter(pc.field("seed") == seed))


def read_together(files: Mapping[int, Path]) -> pd.DataFrame:
    """The predictions of several runs, by seed: a third of the time that each takes by itself.

    Raises whatever its reader does, and ValueError for a file without rows or with other columns than the others.
    """
    tables = {seed: _table(path) for seed, path in files.items()}
    if not all(table.num_rows for table in tables.values()):
        raise ValueError("has no rows")
    frame = _frame(pa.concat_tables(tables.values()))
    return frame.assign(seed=np.repeat(list(tables), [table.num_rows for table in tables.values()]))


def read_tested(source: Path | BinaryIO, seed: int | None = None) -> pd.DataFrame:
    """Which graphs a run was tested on, a column `graph` in increasing order: of its predictions nothing else is read.

    seed: as for `read_predictions`. Raises whatever its reader does if the file is no such thing.
    """
    table = _table(source, ["part", "graph"] if seed is None else ["part", "graph", "seed"])
    table = table.filter(pc.equal(table["part"].cast(pa.string()), "test"))
    table = table if seed is None else table.filter(pc.equal(table["seed"], seed))
    return pd.DataFrame({"graph": np.sort(table["graph"].to_numpy())})


def _table(source: Path | BinaryIO, columns: list[str] | None = None) -> pa.Table:
    # Files are so small that a data set of them, or several threads, take longer than reading.
    with pq.ParquetFile(source) as file:
        return file.read(columns, use_threads=False)


def _frame(table: pa.Table) -> pd.DataFrame:
    frame = table.to_pandas()
    return frame.assign(part=frame["part"].astype(str))


def compact(predictions: pd.DataFrame) -> pd.DataFrame:
    """The same with the narrowest whole numbers, and log-probabilities in half precision; scores stay exact."""
    narrow: dict[str, pd.Series] = {}
    for name in map(str, predictions):
        column = predictions[name]
        if pd.api.types.is_integer_dtype(column):
            narrow[name] = pd.to_numeric(column, downcast="integer")
        elif name == "log_probability":
            narrow[name] = column.astype(np.float16)
    return predictions.assign(**narrow)
