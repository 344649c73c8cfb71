"""Parts of scorecards with their origin: by which program, on which machine and when they were measured."""

import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime

import torch

from rethinking.runs import provenance
from rethinking.runs.snapshots import Snapshot
from rethinking.scorecard.card import Fact, Part
from rethinking.scorecard.making import MakeOperator
from rethinking.scorecard.measuring import Measure, measured


def measured_here(measure: Measure, make: MakeOperator, so_far: Part, snapshot: Snapshot) -> Iterator[Part]:
    """The part after each run, see `measured`.

    The time is that of all runs, also of those before and of what an interrupted one had done; all else of the origin
    is that of the last. snapshot: of the part.
    """
    began, busy = time.perf_counter(), time.process_time()
    interrupted = snapshot.of_run(so_far.runs).seconds
    before = [
        float(so_far.origin.get(key) or 0) + more
        for key, more in zip(("elapsed_seconds", "processor_seconds"), interrupted, strict=True)
    ]
    for part in measured(measure, make, so_far, snapshot):
        took: dict[str, Fact] = {
            "elapsed_seconds": round(before[0] + time.perf_counter() - began, 3),
            "processor_seconds": round(before[1] + time.process_time() - busy, 3),
            "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        yield replace(part, origin={**provenance.software(), **provenance.hardware(torch.device("cpu")), **took})
