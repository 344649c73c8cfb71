"""`rethinking table`: a table of the paper from finished runs."""

from collections.abc import Iterator
from pathlib import Path

import rich.table
from rich.console import Console

from rethinking.analysis.tables import Table, caption, long_frame, make_table, markdown, table_texts
from rethinking.analysis.tidy import read_results
from rethinking.commands.data import statistics
from rethinking.data.sources import Places
from rethinking.runs.store import RunStore

STATISTICS = "S1"
STATISTICS_TITLE = "Table S1: statistics of the data sets"


def table(name: str, form: str, fidelity: str, runs: Path, results: Path) -> int:
    """Print table `name` in one of the forms screen, markdown, csv. Returns the exit status."""
    if name == STATISTICS:
        return _print_statistics(form)
    everything = read_results(RunStore(runs), results)
    made = make_table(name, everything, fidelity)
    sources = "; ".join(everything.sources) or f"no runs found in {runs}/ or {results}/"
    if form == "markdown":
        print(f"{markdown(made)}\nFrom {sources}.")
    elif form == "csv":
        print(long_frame(made).to_csv(index=False), end="")
    else:
        console = Console(highlight=False)
        for part in _on_screen(made, console.width):
            console.print(part)
        console.print(caption(made))
        console.print(f"From {sources}.")
    return 0


def _print_statistics(form: str) -> int:
    """Table S1, of the data sets themselves."""
    frame, notes = statistics([], Places(None, None))
    if form == "csv":
        print(frame.to_csv(index=False), end="")
        return 0
    if form == "markdown":
        print(f"### {STATISTICS_TITLE}\n\n{frame.to_markdown(index=False)}\n")
    else:
        shown = rich.table.Table(*frame.columns, title=STATISTICS_TITLE, title_style="bold", title_justify="left")
        for row in frame.itertuples(index=False):
            shown.add_row(*row)
        Console(highlight=False).print(shown)
    print("Measured, in brackets the published value. Undirected edges count once, directed ones each.", *notes)
    return 0


def _on_screen(made: Table, width: int) -> Iterator[rich.table.Table]:
    """As many columns side by side as fit, the others in tables below."""
    texts = table_texts(made, "\n")
    # Borders and margins take three characters a column.
    widths = [3 + max(len(line) for text in column for line in text.split("\n")) for column in zip(*texts, strict=True)]
    first = min(widths[0], max(16, width - 1 - sum(widths[1:])))
    shown, groups = 1, []
    while shown < len(widths):
        last = shown + 1
        while last < len(widths) and first + sum(widths[shown : last + 1]) < width:
            last += 1
        groups.append(range(shown, last))
        shown = last
    for number, columns in enumerate(groups):
        title = made.title if number == 0 else None
        table = rich.table.Table(title=title, title_style="bold", title_justify="left", show_lines=True)
        table.add_column("", width=first - 3)
        for column in columns:
            table.add_column(made.columns[column - 1])
        for row in texts:
            table.add_row(row[0], *(row[column] for column in columns))
        yield table
