"""Which phase an epoch is of, and what is refused."""

import pytest
from torch import nn

from rethinking.models.family import Phase, phases_of


def test_without_phases_there_is_one_that_moves_everything() -> None:
    network = nn.Linear(2, 3)
    (phase,) = phases_of(network)
    assert phase.losses is None and phase.period == 1
    assert set(phase.moves) == set(network.parameters())


@pytest.mark.parametrize("phases", [[Phase("a", [], 2), Phase("b", [], 3)], [Phase("a", []), Phase("a", [], 2)]])
def test_epochs_without_a_phase_and_names_used_twice_are_refused(phases: list[Phase]) -> None:
    network = nn.Linear(2, 3)
    network.phases = phases
    with pytest.raises(ValueError, match="names of their own and one the period 1; got a every"):
        phases_of(network)
