"""The only place where random numbers begin: named, independent streams spawned from a run's seed.

A stream is addressed by the seed and by names (`stream(3, "order", 12)`), never by how many
numbers were drawn before. Two variants with one seed therefore share every stream that both
of them use, and leaving a step out does not shift the ones after it. There is no global state.
What compiled loops draw from a stream: `draws.py`.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

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


@contextmanager
def generators_follow(seed: int) -> Iterator[None]:
    """Within it torch's and NumPy's own generators begin with `seed`; after it they go on as if nothing had been drawn.

    For modules that draw by no generator of ours.
    """
    # Commands that only read results come by here too, and torch takes them a second.
    import torch

    # torch.manual_seed would do, but it writes down the stack of calls for each kind of device that has not begun:
    # 1.5 ms in every step of every replica, a third of a step of Top-K.
    on_devices = torch.cuda.is_initialized()
    before = np.random.get_state()
    with torch.random.fork_rng(devices=None if on_devices else []):
        torch.default_generator.manual_seed(seed)
        if on_devices:
            torch.cuda.manual_seed_all(seed)
        np.random.seed(seed % 2**32)
        try:
            yield
        finally:
            np.random.set_state(before)


def generators_state() -> dict[str, Any]:
    """Where torch's and NumPy's own generators stand on the CPU, as tensors and numbers; see `generators_follow`."""
    import torch

    stands = np.random.get_state(legacy=False)
    numpy = {**stands, "state": {**stands["state"], "key": torch.from_numpy(stands["state"]["key"].astype(np.int64))}}
    return {"torch": torch.default_generator.get_state(), "numpy": numpy}


def generators_continue(state: Mapping[str, Any]) -> None:
    """Let them go on from where they stood. state: what `generators_state` gave."""
    import torch

    torch.default_generator.set_state(state["torch"])
    stands = state["numpy"]
    key = stands["state"]["key"].numpy().astype(np.uint32)
    np.random.set_state({**stands, "state": {**stands["state"], "key": key}})
