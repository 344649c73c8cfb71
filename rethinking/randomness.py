"""The only place where random numbers begin: named, independent streams spawned from a run's seed.

A stream is addressed by the seed and by names (`stream(3, "order", 12)`), never by how many
numbers were drawn before. Two variants with one seed therefore share every stream that both
of them use, and leaving a step out does not shift the ones after it. There is no global state.
What compiled loops draw from a stream: `draws.py`.
"""

import hashlib
from collections.abc import Sequence

import numpy as np

Name = str | int


def stream_key(seed: int, *names: Name) -> int:
    """A 64-bit key for the stream of `seed` with these names; the same on every machine."""
    address = "/".join([str(seed), *map(str, names)])
    return int.from_bytes(hashlib.blake2b(address.encode(), digest_size=8).digest(), "little")


def stream(seed: int, *names: Name) -> np.random.Generator:
    """A NumPy generator for the stream of `seed` with these names."""
    return np.random.Generator(np.random.PCG64(stream_key(seed, *names)))


def stream_keys(seeds: Sequence[int], *names: Name) -> np.ndarray:
    """The keys of one stream for several seeds. Returns uint64 [R]."""
    return np.array([stream_key(seed, *names) for seed in seeds], dtype=np.uint64)
