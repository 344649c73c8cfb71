"""How much memory this process may have, and how the C library hands it out."""

import ctypes
import resource
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import torch

# Numbers of malloc.h.
TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3
KEEP_BYTES = 2**30

# What the rest of the system, and what is not counted, may still take of the memory that is free at the start.
SHARE = 0.9
CONTAINER = Path("/sys/fs/cgroup")


def keep_freed_memory() -> None:
    """Let the allocator keep freed tensors for the next step, instead of giving each back to the system.

    A step frees and asks for the same few megabytes again; fetching fresh pages for them each time costs about
    a tenth of a training step on a CPU. Does nothing where the C library is not GNU's.
    """
    if not sys.platform.startswith("linux"):
        return
    library = ctypes.CDLL(None)
    if hasattr(library, "mallopt"):
        for option in (TRIM_THRESHOLD, MMAP_THRESHOLD):
            library.mallopt(option, KEEP_BYTES)


@contextmanager
def limit_to_free_memory(most: float = float("inf")) -> Iterator[None]:
    """Refuse this process more memory than is free now, so that it can try with less instead of being killed.

    most: bytes it may have at most. Does nothing where the system is not Linux.
    """
    if not sys.platform.startswith("linux"):
        yield
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    used = psutil.Process().memory_info().data
    wanted = int(min(used + SHARE * free_memory(), most))
    # Never above what the user has set already.
    known = [limit for limit in (soft, hard) if limit != resource.RLIM_INFINITY]
    resource.setrlimit(resource.RLIMIT_DATA, (min([wanted, *known]), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))


def free_memory() -> float:
    """Bytes that are free on this machine and, where it is a container with a limit, in it."""
    free = [float(psutil.virtual_memory().available)]
    try:
        limit, used = ((CONTAINER / name).read_text().strip() for name in ("memory.max", "memory.current"))
        if limit != "max":
            free.append(float(limit) - float(used))
    except OSError:
        pass
    return min(free)


def is_out_of_memory(error: BaseException) -> bool:
    """On the CPU, torch says so in the text of a plain RuntimeError only."""
    text = str(error)
    said = "can't allocate memory" in text or "bad_alloc" in text
    return isinstance(error, (MemoryError, torch.OutOfMemoryError)) or said
