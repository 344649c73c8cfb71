"""Parts of scorecards with their origin: by which program, on which machine and when they were measured."""

import time
from dataclasses import replace
from datetime import UTC, datetime

import torch

from rethinking.runs import provenance
from rethinking.scorecard.card import Fact, Part
from rethinking.scorecard.making import MakeOperator
from rethinking.scorecard.measuring import Measure, measured


def measured_here(measure: Measure, make: MakeOperator) -> Part:
    """The part, or its problem in one sentence; see `measured`."""
    began, busy = time.perf_counter(), time.process_time()
    part = measured(measure, make)
    took: dict[str, Fact] = {
        "elapsed_seconds": round(time.perf_counter() - began, 3),
        "processor_seconds": round(time.process_time() - busy, 3),
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    return replace(part, origin={**provenance.software(), **provenance.hardware(torch.device("cpu")), **took})
