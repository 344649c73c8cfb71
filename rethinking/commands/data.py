"""`rethinking data`: what data sets there are, whether they are what the paper used, and how they are split."""

from collections.abc import Sequence
from math import isclose
from pathlib import Path
from urllib.parse import urlparse

import pandas as pd
from hydra.utils import instantiate
from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from rethinking.configuration.composition import dataset_config, options
from rethinking.data.load import DatasetConfig, Source, cache_folder, choose_source, load
from rethinking.data.sources import Places, local_copy
from rethinking.data.split import export_splits
from rethinking.errors import UserError
from rethinking.runs.replacement import replaced_file

NO_MIRROR = "No folder of raw files is named; --mirror DIR or RETHINKING_DATA=DIR names one."
# The columns of Table S1, and how many digits are shown of what is measured.
COLUMNS = {"graphs": 0, "classes": 0, "features": 0, "nodes": 2, "edges": 2}


def list_datasets(names: Sequence[str], places: Places) -> int:
    """Print what is here and from where. Returns the exit status."""
    console = Console(highlight=False, markup=False)
    # A row a line at 80 columns; in full, a folder stands below and an address in `conf/dataset`.
    table = Table("dataset=", "state", box=SIMPLE, padding=(0, 1, 0, 0))
    table.add_column("where", overflow="fold")
    table.add_column("SHA-256", no_wrap=True)
    for config in _configs(names):
        source = choose_source(config, places)
        state, where = _state(config, source, places)
        table.add_row(config.name, state, _short(where, places), _checksum(source))
    console.print(table)
    console.print(f"Processed data (ready) lie in {places.cache_folder / 'processed'}/", soft_wrap=True)
    mirror = places.mirror_folder
    console.print(f"Raw files (the mirror) lie in {mirror}/" if mirror else NO_MIRROR, soft_wrap=True)
    return 0


def get_datasets(names: Sequence[str], trusted: str | None, places: Places) -> int:
    """Download and process data sets, as far as they are not here. Returns the exit status: 1 if one cannot be had."""
    if trusted and len(names) != 1:
        raise UserError("--trust is a checksum of one file; name the one data set it belongs to.")
    missing = 0
    for config in _configs(names):
        try:
            dataset = load(config, places, trusted)
        except UserError as error:
            missing += 1
            print(f"{config.name}: {error}".replace("get DATASET", f"get {config.name}"))
        else:
            source = choose_source(config, places)
            where = _state(config, source, places)[1]
            print(f"{config.name}: {len(dataset)} graphs, {where if source.raw is None else f'in {where}'}")
    return 1 if missing else 0


def check_datasets(names: Sequence[str], places: Places) -> int:
    """Measure data sets beside Table S1. Returns the exit status: 1 if one is missing, or differs without a reason."""
    console = Console(highlight=False, markup=False)
    title = "Measured (published in Table S1)"
    table = Table("data set", *COLUMNS, title=title, title_justify="left", box=SIMPLE, padding=(0, 1, 0, 0))
    table.add_column("fingerprint", no_wrap=True)
    complaints: list[str] = []
    remarks: list[str] = []
    for config in _configs(names):
        try:
            dataset = load(config, places)
        except UserError as error:
            complaints.append(f"{config.name}: {error}")
            continue
        measured = dataset.statistics()
        table.add_row(config.title, *(_text(config, measured, column, "\n") for column in COLUMNS), dataset.fingerprint)
        for column in unlike_published(config, measured):
            text = f"{config.name}: {column} is {measured[column]:g}, published is {config.published[column]:g}"
            reason = config.differs.get(column)
            (remarks if reason else complaints).append(f"{text}: {reason}." if reason else f"{text}.")
        if dataset.without_edges():
            remarks.append(f"{config.name}: {dataset.without_edges()} graphs have no edges; they are kept.")
    console.print(table)
    for line in remarks + complaints:
        console.print(line, soft_wrap=True)
    return 1 if complaints else 0


def write_splits(names: Sequence[str], seeds: int, folder: Path, places: Places) -> int:
    """Write the splits of the first seeds to `folder`, a file a data set. Returns the exit status."""
    for config in _configs(names):
        dataset = load(config, places)
        splits = export_splits(instantiate(config.split), dataset, range(seeds))
        path = folder / f"{config.name}.csv"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with replaced_file(path) as part:
                splits.to_csv(part, index=False)
        except OSError as error:
            raise UserError(f"{path} cannot be written ({error.strerror}); name another folder with --to.") from error
        sizes = splits[splits.seed == splits.seed.min()] if "seed" in splits else splits
        counts = ", ".join(f"{count} {part}" for part, count in sizes.part.value_counts(sort=False).items())
        print(f"{path}: {f'{seeds} seeds' if 'seed' in splits else 'one split for all seeds'}, {counts}")
    print(f"To train on them, or on your own in this form: rethinking run … splits={folder}")
    return 0


def statistics(names: Sequence[str], places: Places) -> tuple[pd.DataFrame, list[str]]:
    """Table S1: a row a data set, measured and published. Also returns what to say about it."""
    rows, notes = [], []
    for config in _configs(names):
        if not config.published:
            continue
        try:
            measured = load(config, places).statistics()
        except UserError as error:
            notes.append(f"{config.title} is missing: {error}")
            continue
        row: dict[str, object] = {"data set": config.title}
        for column in COLUMNS:
            row[column] = _text(config, measured, column)
        rows.append(row)
        for column in unlike_published(config, measured):
            notes.append(f"{config.title}, {column}: {config.differs.get(column, 'differs from the published value')}.")
    return pd.DataFrame(rows, columns=["data set", *COLUMNS]), notes


def unlike_published(config: DatasetConfig, measured: dict[str, float]) -> list[str]:
    """The columns of Table S1 in which a data set is not as published."""
    published = {column: value for column, value in config.published.items() if value is not None}
    return [
        column
        for column, value in published.items()
        if not isclose(measured[column], value, abs_tol=_printed_to(value))
    ]


def _configs(names: Sequence[str]) -> list[DatasetConfig]:
    return [dataset_config(name) for name in names or options("dataset")]


def _checksum(source: Source) -> str:
    """How a checksum begins; in full it stands in `conf/dataset`."""
    if source.raw is None:
        return ""
    return f"of {len(source.raw.parts)} files" if source.raw.parts else (source.raw.sha256 or "")[:12]


def _state(config: DatasetConfig, source: Source, places: Places) -> tuple[str, str]:
    if cache_folder(config.name, source, places).is_dir():
        return "ready", str(cache_folder(config.name, source, places))
    if source.raw is None:
        return "bundled", "needs no file"
    copy = local_copy(source.raw, places)
    if copy is None:
        return ("to download", source.raw.url) if source.raw.url else ("missing", f"expected as {source.raw.file}")
    return "downloaded" if copy == places.downloads(source.raw) else "in the mirror", str(copy)


def _short(where: str, places: Places) -> str:
    """A path without the folder it lies in, of an address the host."""
    if "://" in where:
        return urlparse(where).netloc
    cache, path = places.cache_folder, Path(where)
    folders = [folder for folder in (cache / "processed", cache, places.mirror_folder) if folder]
    return next((str(path.relative_to(folder)) for folder in folders if path.is_relative_to(folder)), where)


def _text(config: DatasetConfig, measured: dict[str, float], column: str, line_break: str = " ") -> str:
    """A measured value with the published one in brackets."""
    if column == "classes" and not measured[column]:
        return "regression"
    text = f"{measured[column]:.{COLUMNS[column]}f}"
    published = config.published.get(column)
    return text if published is None else f"{text}{line_break}({published:g})"


def _printed_to(published: float) -> float:
    """How far from a printed number one may be that rounds to it."""
    decimals = len(f"{published:g}".partition(".")[2])
    return 0.6 * 10**-decimals if decimals else 0.0
