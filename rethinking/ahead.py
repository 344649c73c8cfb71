"""Work that a thread does ahead: the next items are made while the caller is busy with the one before."""

from collections import deque
from collections.abc import Generator, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

Item = TypeVar("Item")

_END: Any = object()


def ahead(items: Iterable[Item], depth: int) -> Generator[Item]:
    """The same items in the same order, up to `depth` of them made by one thread before they are asked for.

    What goes wrong in making one is raised where it would have been. No thread is left when this ends or is closed.
    """
    iterator = iter(items)
    with ThreadPoolExecutor(1, thread_name_prefix="ahead") as worker:
        waiting = deque(worker.submit(next, iterator, _END) for _ in range(depth))
        try:
            while (item := waiting.popleft().result()) is not _END:
                waiting.append(worker.submit(next, iterator, _END))
                yield item
        finally:
            for future in waiting:
                future.cancel()
