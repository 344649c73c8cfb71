"""`make faults`: storms over sweeps, stores and files, and the sheet of what held, docs/faults.md.

Each storm says what it tries; after it the same command, undisturbed, must complete the store, with every record equal
to the bit to that of an undisturbed run, and nothing left over.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd

from rethinking.operators import use_threads
from scripts.faults import hostile, kills, surroundings, within
from scripts.faults.lab import Held, Lab
from scripts.machine import BENCHMARKS, conditions, keep

SHEET, TABLE = Path("docs") / "faults.md", BENCHMARKS / "faults.csv"

# Each storm, and how often it tries; of the soak, for how many minutes.
STORMS: dict[Callable[[Lab, int], Held], int] = {
    kills.kills_of_a_sweep: 60,
    kills.kills_of_a_collection: 50,
    kills.kills_of_a_cache: 20,
    kills.eight_processes: 5,
    kills.two_hosts: 10,
    kills.stopped: 10,
    surroundings.full_disk_before_any_work: 3,
    surroundings.full_disk_of_a_sweep: 30,
    surroundings.full_disk_of_a_collection: 30,
    surroundings.read_only_store: 3,
    surroundings.foreign_store: 3,
    surroundings.few_open_files: 1,
    surroundings.clock_jumps: 5,
    hostile.store_files: 120,
    hostile.checkpoints: 20,
    hostile.results_files: 200,
    hostile.splits_and_caches: 80,
    within.not_a_number: 10,
    within.out_of_memory: 9,
    within.soak: 60,
}


def main() -> int:
    """Try all storms, or some; write the sheet. Returns the exit status: whether all held."""
    names = [storm.__name__ for storm in STORMS]
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="+", choices=names, default=names, metavar="STORM", help=", ".join(names))
    parser.add_argument("--share", type=float, default=1.0, help="of how often each storm tries (default: all)")
    parser.add_argument("--render", action="store_true", help="write the sheet from what was tried before")
    parsed = parser.parse_args()
    use_threads(1)
    broken = 0
    for storm in () if parsed.render else STORMS:
        if storm.__name__ in parsed.only:
            row = _try(storm, parsed.share)
            broken += row["broken"]
            keep([row], TABLE, ("storm",))
    SHEET.write_text(render(pd.read_csv(TABLE, dtype={"remark": str})), encoding="utf-8")
    print(f"{SHEET} and {TABLE} are written.")
    return int(broken > 0)


def _try(storm: Callable[[Lab, int], Held], share: float) -> dict[str, Any]:
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        held = storm(Lab(Path(folder)), max(1, round(STORMS[storm] * share)))
    seconds = round(time.monotonic() - began)
    said = f"{len(held.problems)} did not hold" if held.problems else "all held" if held.tried else "not tried"
    print(f"{storm.__name__}: {held.tried} tried, {said}. {held.remark} ({seconds} s)", flush=True)
    for problem in dict.fromkeys(held.problems):
        print(f"  {problem}", file=sys.stderr, flush=True)
    row = {"storm": storm.__name__, "what": (storm.__doc__ or "").strip(), "tried": held.tried}
    return {**row, "broken": len(held.problems), "remark": held.remark, "seconds": seconds, **conditions()}


def render(table: pd.DataFrame) -> str:
    """The sheet as Markdown, in the order of the storms."""
    order = {storm.__name__: number for number, storm in enumerate(STORMS)}
    table = table.sort_values("storm", key=lambda names: names.map(order))
    table = table.assign(remark=table["remark"].fillna(""))
    shown = pd.DataFrame(
        {
            "what was tried": table["what"],
            "times": table["tried"],
            "held": [
                "not tried" if not tried else "all" if not broken else f"**{broken} did not**"
                for tried, broken in zip(table["tried"], table["broken"], strict=True)
            ],
            "remark": table["remark"],
        }
    )
    machines = ", ".join(table["device"].unique())
    days = " and ".join(sorted({measured[:10] for measured in table["measured"]}))
    return f"""# What a sweep survives

Tried by `make faults`, not typed in, on {machines}, on {days}.
Real processes train a small cell, one seed after another, while something goes wrong. Then the same command runs once
more, undisturbed. All held if the store is complete after it, every record equals to the bit that of an undisturbed
run, nothing is left over in the store, no damaged file made anything happen, and what was refused was refused in one
sentence. The tests hold most of this too, at every single file operation.

{shown.to_markdown(index=False)}
"""


if __name__ == "__main__":
    sys.exit(main())
