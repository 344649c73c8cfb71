"""What became of the seeds of a job, and how it is told."""

import errno
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeGuard

# What no run can help: a full, broken, read-only or absent disk, too many open files, no permission.
SURROUNDINGS = frozenset(
    {
        *(errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.ESTALE, errno.EROFS, errno.EACCES, errno.EPERM),
        *(errno.EMFILE, errno.ENFILE, errno.ENOLCK, errno.ENOTCONN, errno.ETIMEDOUT),
    }
)


@dataclass
class Outcome:
    """What became of the seeds of a job.

    kept: finished before. trained: finished now. failed: seed → reason. elsewhere: another process has them.
    lost: seed → what in the surroundings kept it from being trained or written, a full disk, say; such a run has not
    failed, and the next command tries it again.
    together: how many seeds trained at a time, and why, where replicas=auto has taken fewer than there were.
    resumed: of each group that went on from a checkpoint, how many seeds and after which epoch. passed_over: of those
    that could not, after which epoch they stood, and in what they were trained under other conditions. unsaved: why the
    last state of a group could not be kept, if it could not. untold: why a tracker was told no more, if it was not.
    measured: of those kept, whose clusters were measured now. unmeasured: seed → why that could not be done.
    """

    title: str
    cell_id: str
    kept: list[int] = field(default_factory=list)
    trained: list[int] = field(default_factory=list)
    failed: dict[int, str] = field(default_factory=dict)
    elsewhere: list[int] = field(default_factory=list)
    lost: dict[int, str] = field(default_factory=dict)
    measured: list[int] = field(default_factory=list)
    unmeasured: dict[int, str] = field(default_factory=dict)
    together: tuple[int, str] | None = None
    resumed: list[tuple[int, int]] = field(default_factory=list)
    passed_over: dict[str, tuple[int, Sequence[str]]] = field(default_factory=dict)
    unsaved: str = ""
    untold: str = ""

    @property
    def settled(self) -> int:
        """How many seeds need no more work here."""
        return sum(map(len, (self.kept, self.trained, self.failed, self.elsewhere, self.lost)))

    def in_words(self, seeds: int) -> str:
        """The line that ends a job. seeds: how many were asked for."""
        parts = [f"{len(self.trained)} trained", f"{len(self.kept)} done before"]
        parts += [f"{len(self.failed)} FAILED"] if self.failed else []
        parts += [f"{len(self.lost)} NOT KEPT"] if self.lost else []
        parts += [f"{len(self.elsewhere)} being trained by another process"] if self.elsewhere else []
        return f"{self.title}: {len(self.trained) + len(self.kept)}/{seeds} seeds done ({', '.join(parts)})"

    @property
    def remarks(self) -> list[str]:
        """Sentences about what is not as it was asked for, and about finished runs that were measured."""
        said = []
        if self.together and self.trained:
            count, why = self.together
            said.append(f"{self.title}: {count} seed{'' if count == 1 else 's'} trained at a time; {why}.")
        said += [
            f"{self.title}: {count} seed{'' if count == 1 else 's'} went on after epoch {epoch}."
            for count, epoch in self.resumed
        ]
        said += [
            f"{self.title}: seeds that stood after epoch {epoch} began anew; of what their numbers hang on, "
            f"{', '.join(unlike)} was another then."
            for epoch, unlike in self.passed_over.values()
        ]
        if self.unsaved:
            said.append(f"{self.title}: what trains could not be kept for a restart ({self.unsaved}).")
        if self.untold:
            said.append(f"{self.title}: the logger was told no more ({self.untold}); the runs are complete without it.")
        if self.measured:
            said.append(f"{self.title}: the clusters of finished runs were measured: {_seeds(self.measured)}.")
        said += [
            f"{self.title}: not kept: {_seeds(seeds)} ({reason}). The same command tries again."
            for reason, seeds in _by_reason(self.lost)
        ]
        said += [
            f"{self.title}: the clusters of finished runs could not be measured: {_seeds(seeds)} ({reason})."
            for reason, seeds in _by_reason(self.unmeasured)
        ]
        return said


def is_of_surroundings(error: BaseException | None) -> TypeGuard[OSError]:
    """Whether an error is none of the run's."""
    return isinstance(error, OSError) and error.errno in SURROUNDINGS


def reason_of(error: OSError) -> str:
    """What the system says; and where what is not permitted lies."""
    said = os.strerror(error.errno) if error.errno else str(error)
    return f"{said}: {error.filename}" if isinstance(error, PermissionError) and error.filename else said


def _by_reason(seeds: Mapping[int, str]) -> list[tuple[str, list[int]]]:
    return [(reason, [s for s, r in seeds.items() if r == reason]) for reason in dict.fromkeys(seeds.values())]


def _seeds(seeds: list[int]) -> str:
    return f"{'seed' if len(seeds) == 1 else 'seeds'} {', '.join(map(str, sorted(seeds)))}"
