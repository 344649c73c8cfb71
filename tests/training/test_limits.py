"""A process that may not have more memory says so, instead of being killed; and then tries with fewer seeds."""

import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="limits of memory are Linux's")

CODE = """
import numpy as np, psutil, torch
from rethinking.training.memory import free_memory, is_out_of_memory, limit_to_free_memory

def refused(make):
    try:
        make()
    except Exception as error:
        return is_out_of_memory(error)
    return False

used = psutil.Process().memory_info().data
makers = (lambda: torch.empty(2**28), lambda: np.empty(2**27))  # a gibibyte each
with limit_to_free_memory(used + 2**29):
    print([refused(make) for make in makers])
print([refused(make) for make in makers], free_memory() > 2**20)
print(is_out_of_memory(RuntimeError("std::bad_alloc")), is_out_of_memory(RuntimeError("shape")))
"""


def test_more_than_the_limit_is_an_error_that_is_recognised() -> None:
    """In a process of its own, whose limits are its own."""
    result = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True)
    assert result.stdout.splitlines() == ["[True, True]", "[False, False] True", "True False"]
