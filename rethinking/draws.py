"""Numbers of a random stream one by one, as compiled loops ask for them: a function of its key and a counter.

Streams and their keys come from `randomness.py`, which most commands need; this waits for numba.
"""

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def mix(key: np.uint64, value: np.uint64) -> np.uint64:
    """A new key from a key and a number (SplitMix64's finaliser, Steele et al. 2014)."""
    z = key + (value + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


@njit(cache=True, nogil=True)
def below(key: np.uint64, counter: int, bound: int) -> int:
    """The `counter`-th number of the stream `key`, uniform on 0 … bound−1."""
    unit = (mix(key, np.uint64(counter)) >> np.uint64(11)) * (1.0 / 9007199254740992.0)
    return int(unit * bound)


@njit(cache=True, nogil=True)
def derive(keys: np.ndarray, values: np.ndarray) -> np.ndarray:
    """One new key for each pair of a key and a number. keys, values: [n]. Returns uint64 [n]."""
    derived = np.empty(len(keys), np.uint64)
    for i in range(len(keys)):
        derived[i] = mix(keys[i], np.uint64(values[i]))
    return derived


def normal(keys: np.ndarray) -> np.ndarray:
    """A standard normal number of each key (Box and Muller 1958). keys: uint64 [n]. Returns [n]."""
    first, second = ((derive(keys, np.full(len(keys), i)) >> np.uint64(11)) * 2.0**-53 for i in range(2))
    return np.sqrt(-2 * np.log1p(-first)) * np.cos(2 * np.pi * second)
