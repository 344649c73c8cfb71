"""How the C library hands out memory to this process."""

import ctypes
import sys

# Numbers of malloc.h.
TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3
KEEP_BYTES = 2**30


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
