"""`rethinking table`: a table of the paper from finished runs."""

from pathlib import Path

import rich.table
from rich.console import Console

from rethinking.analysis.tables import Table, caption, long_frame, make_table, markdown, table_texts
from rethinking.analysis.tidy import read_results
from rethinking.runs.store import RunStore


def table(name: str, form: str, fidelity: str, runs: Path, results: Path) -> int:
    """Print table `name` in one of the forms screen, markdown, csv. Returns the exit status."""
    everything = read_results(RunStore(runs), results)
    made = make_table(name, everything, fidelity)
    sources = "; ".join(everything.sources) or f"no runs found in {runs}/ or {results}/"
    if form == "markdown":
        print(f"{markdown(made)}\nFrom {sources}.")
    elif form == "csv":
        print(long_frame(made).to_csv(index=False), end="")
    else:
        console = Console(highlight=False)
        console.print(_on_screen(made, console.width))
        console.print(caption(made))
        console.print(f"From {sources}.")
    return 0


def _on_screen(made: Table, width: int) -> rich.table.Table:
    table = rich.table.Table(title=made.title, title_style="bold", title_justify="left", show_lines=True)
    table.add_column("", min_width=10 if width >= 80 else None)
    for heading in made.columns:
        table.add_column(heading, no_wrap=width >= 80)
    for row in table_texts(made, "\n"):
        table.add_row(*row)
    return table
