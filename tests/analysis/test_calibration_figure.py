"""The picture of the error rates of verdicts, from a table of simulations."""

from pathlib import Path

import pytest
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from rethinking.analysis.figures import draw
from rethinking.analysis.figures.calibration import ALLOWED, ERRORS, INTERVALS, POWER, SEEDS, TABLE, WRONG
from rethinking.analysis.tidy import read_results
from rethinking.errors import UserError
from rethinking.runs.store import RunStore

HEADER = "what,population,seeds,lowest,highest,value,simulations"
ROWS = [
    "coverage of A,NCI1-like,20,0.935,0.985,0.95,1000",
    "coverage of A,NCI1-like,100,0.935,0.985,0.9,1000",
    "coverage by another,NCI1-like,100,,,0.7,1000",
    "half-width of A,NCI1-like,100,,,0.4,1000",
    "A: false `better`,NCI1-like,until decided,,0.06,0.02,1000",
    "A: found,NCI1-like,20,0.4,,0.5,1000",
    "A: found,NCI1-like,100,0.95,,1.0,1000",
    "A: seeds until decided,SMNIST-like,until decided,,7,5.7,1000",
]


def _draw(folder: Path, *rows: str, header: str = HEADER) -> Figure:
    file = folder / TABLE
    file.parent.mkdir(exist_ok=True)
    file.write_text("\n".join([header, *rows]))
    return draw("calibration", read_results(RunStore(folder / "runs"), folder)).figure


def test_each_rate_lies_beside_what_it_has_to_be(tmp_path: Path) -> None:
    figure = _draw(tmp_path, *ROWS)
    panels = {axis.get_title(loc="left"): axis for axis in figure.subfigs[0].axes}
    rows = {title: [tick.get_text() for tick in axis.get_yticklabels()] for title, axis in panels.items()}
    assert rows == {
        INTERVALS: ["coverage by another (NCI1-like, 100 seeds)", "coverage of A (NCI1-like)"],
        ERRORS: ["A: false 'better' (NCI1-like)"],
        POWER: ["A: found (NCI1-like, 20 seeds)", "A: found (NCI1-like, 100 seeds)"],
        SEEDS: ["A: seeds until decided (SMNIST-like)"],
    }
    # What has no bound has no band, and what is not within its own has a ring.
    bands = [band.get_paths()[0].get_extents() for band in panels[INTERVALS].collections]
    assert [(band.x0, band.x1) for band in bands] == [pytest.approx((0.935, 0.985))]
    assert all(to_rgb(band.get_facecolor()[0]) == ALLOWED for band in panels[INTERVALS].collections)
    rings = [line.get_xdata()[0] for axis in panels.values() for line in axis.lines if line.get_mec() == WRONG]
    assert rings == [0.9]
    assert "5 of 6 rates" in figure.get_suptitle() and "in 1,000 simulations" in figure.get_supxlabel()


def test_a_table_that_is_none_is_said_to_be_none(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no runs of the simulations that count errors; `make calibration` makes them"):
        draw("calibration", read_results(RunStore(tmp_path / "runs"), tmp_path))
    with pytest.raises(UserError, match="lacks lowest, highest"):
        _draw(tmp_path, "coverage,x,20,0.9,10", header="what,population,seeds,value,simulations")
    for row in (
        "coverage,x,20,0.9,0.99,much,1000",
        "coverage,x,20,0.9,0.99,,1000",
        "coverage,x,20,0.9,0.99,1.2,1000",
        "coverage,x,20,0.9,0.99,inf,1000",
        "coverage,x,20,0.9,0.99,0.95,0",
        "something,x,20,,,0.95,10",
    ):
        with pytest.raises(UserError, match="`make calibration` writes it anew"):
            _draw(tmp_path, row)
    with pytest.raises(UserError, match="`make calibration` writes it anew"):
        _draw(tmp_path)
