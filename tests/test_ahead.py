"""A thread that works ahead changes nothing but the time."""

import threading
import time
from collections.abc import Iterator

import pytest

from rethinking.ahead import ahead


def threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("ahead")]


def test_the_same_items_in_the_same_order() -> None:
    assert list(ahead(range(50), depth=3)) == list(range(50))
    assert list(ahead([], depth=3)) == []
    assert not threads()


def test_only_so_many_are_made_ahead_and_by_one_thread() -> None:
    made: list[int] = []
    by = set()

    def items() -> Iterator[int]:
        for i in range(20):
            made.append(i)
            by.add(threading.current_thread().name)
            yield i

    for i in ahead(items(), depth=3):
        time.sleep(0.002)
        assert len(made) <= i + 1 + 3
    assert len(by) == 1 and threading.current_thread().name not in by


def test_an_error_comes_where_it_would_have_been() -> None:
    def items() -> Iterator[int]:
        yield 1
        yield 2
        raise ValueError("broken")

    seen = []
    with pytest.raises(ValueError, match="broken"):
        for item in ahead(items(), depth=4):
            seen.append(item)
    assert seen == [1, 2] and not threads()


def test_no_thread_is_left_when_the_caller_leaves() -> None:
    for item in ahead(iter(range(1000)), depth=2):
        if item == 3:
            break
    generator = ahead(iter(range(1000)), depth=2)
    next(generator)
    assert threads()
    generator.close()
    assert not threads()
