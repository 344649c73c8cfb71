"""`rethinking data`: what data sets there are, and whether they are what the paper used."""

from collections.abc import Sequence
from math import isclose

from rich.console import Console
from rich.table import Table

from rethinking.composition import dataset_config, options
from rethinking.data.load import DatasetConfig, cache_folder, load
from rethinking.data.sources import Places, local_copy
from rethinking.errors import UserError


def data(action: str, names: Sequence[str], mirror: str | None, cache: str | None) -> int:
    """List or check data sets. Returns the exit status: 1 if one is missing or not as published."""
    configs = [dataset_config(name) for name in names or options("dataset")]
    places = Places(mirror, cache)
    console = Console(highlight=False)
    if action == "list":
        console.print(_listing(configs, places))
        return 0
    table, complaints = _check(configs, places)
    console.print(table)
    for complaint in complaints:
        console.print(complaint, soft_wrap=True)
    return 1 if complaints else 0


def _listing(configs: Sequence[DatasetConfig], places: Places) -> Table:
    table = Table("dataset=", "title", "state")
    table.add_column("where", overflow="fold")
    for config in configs:
        table.add_row(config.name, config.title, *_state(config, places))
    return table


def _state(config: DatasetConfig, places: Places) -> tuple[str, str]:
    if cache_folder(config, places).is_dir():
        return "ready", str(cache_folder(config, places))
    if config.raw is None:
        return "bundled", "comes with scikit-learn"
    copy = local_copy(config.raw, places)
    if copy is None:
        return ("to download", config.raw.url) if config.raw.url else ("missing", f"expected as {config.raw.file}")
    return "downloaded" if copy == places.downloads(config.raw) else "in the mirror", str(copy)


def _check(configs: Sequence[DatasetConfig], places: Places) -> tuple[Table, list[str]]:
    """Measured statistics, the published ones in brackets, and a complaint for each that differs."""
    columns = ("graphs", "classes", "features", "nodes", "edges")
    table = Table("data set", *columns, title="Measured (published in Table S1)", title_justify="left")
    table.add_column("fingerprint", no_wrap=True)
    complaints = []
    for config in configs:
        try:
            dataset = load(config, places)
        except UserError as error:
            complaints.append(f"{config.name}: {error}")
            continue
        measured = dataset.statistics()
        texts = []
        for column in columns:
            published = config.published.get(column)
            text = f"{measured[column]:.2f}" if column in ("nodes", "edges") else f"{measured[column]:.0f}"
            if column == "classes" and not measured[column]:
                text = "regression"
            if published is not None:
                text += f" ({published:g})"
                if not isclose(measured[column], published, abs_tol=_printed_to(published)):
                    complaints.append(f"{config.name}: {column} is {measured[column]:g}, published is {published:g}")
            texts.append(text)
        table.add_row(config.title, *texts, dataset.fingerprint)
    return table, complaints


def _printed_to(published: float) -> float:
    """How far from a printed number one may be that rounds to it."""
    decimals = len(f"{published:g}".partition(".")[2])
    return 0.6 * 10**-decimals if decimals else 0.0
