"""Parts of scorecards with their origin: by which program, on which machine and when they were measured."""

import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime

import torch

from rethinking.runs import provenance
from rethinking.scorecard.card import Fact, Part
from rethinking.scorecard.making import MakeOperator
from rethinking.scorecard.measuring import Measure, measured


def measured_here(measure: Measure, make: MakeOperator, so_far: Part) -> Iterator[Part]:
    """The part after each run, see `measured`.

    The time is that of all runs, also of those before; all else of the origin is that of the last.
    """
    began, busy = time.perf_counter(), time.process_time()
    before = {key: float(so_far.origin.get(key) or 0) for key in ("elapsed_seconds", "processor_seconds")}
    for part in measured(measure, make, so_far):
        took: dict[str, Fact] = {
            "elapsed_seconds": round(before["elapsed_seconds"] + time.perf_counter() - began, 3),
            "processor_seconds": round(before["processor_seconds"] + time.process_time() - busy, 3),
            "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        yield replace(part, origin={**provenance.software(), **provenance.hardware(torch.device("cpu")), **took})
