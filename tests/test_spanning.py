"""The default tests of pairs leave out no family, no variant and no kind of data."""

from itertools import product

from tests.spanning import spanning, spanning_cases
from tests.test_pairs import PAIRS


def test_every_value_is_tried_and_no_case_adds_nothing() -> None:
    for cases in (PAIRS, list(product(PAIRS, ("digits", "random"))), [("a", 1), ("a", 2), ("b", 2), ("b", 1)]):
        chosen = spanning_cases(cases)
        for place in range(len(cases[0])):
            assert {case[place] for case in chosen} == {case[place] for case in cases}
        before: set[tuple[int, object]] = set()
        for case in chosen:
            assert not set(enumerate(case)) <= before
            before |= set(enumerate(case))


def test_all_cases_are_parameters_and_the_others_are_slow() -> None:
    parameters = spanning(PAIRS)
    assert [parameter.values for parameter in parameters] == PAIRS
    assert [parameter.values for parameter in parameters if not parameter.marks] == [
        pair for pair in PAIRS if pair in spanning_cases(PAIRS)
    ]
