"""`rethinking figure`: the paper's figures as PNG and SVG."""

from collections.abc import Sequence
from pathlib import Path

from rethinking.analysis.figures import draw, figure_names, save
from rethinking.analysis.figures.studies import draw_study
from rethinking.analysis.studies import load_study, outcome, study_names
from rethinking.analysis.tidy import read_some
from rethinking.commands.left_out import tell
from rethinking.errors import UserError
from rethinking.runs.store import RunStore


def write_figures(names: Sequence[str], fidelity: str, folder: Path, runs: Path, results: Path) -> int:
    """Draw figures by name, or all that the runs allow. Returns the exit status."""
    studies = study_names()
    everything = None if names and set(names) <= set(studies) else read_some(RunStore(runs), results)
    for name in names or [*figure_names(), *studies]:
        try:
            if everything is None or name in studies:
                picture = draw_study(outcome(load_study(name), runs, results))
            else:
                picture = draw(name, everything, fidelity)
        except UserError as error:
            if names:
                raise
            print(f"Figure {name}: {error}")
            continue
        files = save(picture, folder, f"figure_{name}")
        print(f"{' and '.join(map(str, files))}: {picture.caption}")
    tell(everything.left_out if everything else [])
    return 0
