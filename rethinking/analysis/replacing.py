"""Changes a results folder as a whole or not at all.

.lock          held while a process collects; the system frees it when the process dies
.collecting/   where the new files are written; of no use to anyone if the process dies
.collected/    the same when all of them are there: from here they are put in place, the manifest last
"""

import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from rethinking.analysis.collected import COMPLETE
from rethinking.analysis.manifest import KINDS, MANIFEST, read_manifest
from rethinking.errors import UserError
from rethinking.runs.locks import lock
from rethinking.runs.replacement import synchronise

LOCK, INCOMPLETE = ".lock", ".collecting"
PATIENCE = 60.0  # seconds that another collect may take


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold a results folder, which is made if there is none. Raises UserError if it cannot be had."""
    with ExitStack() as held:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            mine = held.enter_context(lock(folder / LOCK, PATIENCE))
        except OSError as error:
            raise _cannot_write(folder, error) from error
        if not mine:
            raise UserError(f"Another process is collecting into {folder}/; try again when it is done.")
        yield


@contextmanager
def replacement(folder: Path) -> Iterator[Path]:
    """A folder for new files. When the block ends they take their places in the results folder, which is held.

    The block writes a manifest too; learning curves and predictions that it does not list go. Raises UserError if the
    files cannot be written; the results folder is then as it was.
    """
    new = folder / INCOMPLETE
    try:
        shutil.rmtree(new, ignore_errors=True)
        new.mkdir()
        yield new
        for file in _files(new):
            synchronise(file)
        new.rename(folder / COMPLETE)
    except OSError as error:
        raise _cannot_write(folder, error) from error
    finally:
        shutil.rmtree(new, ignore_errors=True)
    put_in_place(folder)


def finish(folder: Path) -> None:
    """Put the files of a collect in place that was interrupted while it did so, if there was one."""
    if (folder / COMPLETE).is_dir():
        with locked(folder):
            put_in_place(folder)


def put_in_place(folder: Path) -> None:
    """Move complete new files to their places in a folder that is held, if there are any."""
    complete = folder / COMPLETE
    if not complete.is_dir():
        return
    try:
        # The manifest last: without it, what is there is not yet whole.
        for file in sorted(_files(complete), key=lambda file: file.name == MANIFEST):
            target = folder / file.relative_to(complete)
            target.parent.mkdir(exist_ok=True)
            file.replace(target)
        manifest = read_manifest(folder)
        for file in folder.glob("*/*.parquet"):
            if manifest and file.parent.name in KINDS and f"{file.parent.name}/{file.name}" not in manifest:
                file.unlink()
        shutil.rmtree(complete)
    except (OSError, ValueError) as error:
        raise _cannot_write(folder, error, "the next `rethinking collect` finishes what was begun") from error


def _files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def _cannot_write(folder: Path, error: Exception, then: str = "nothing in it was changed") -> UserError:
    reason = getattr(error, "strerror", None) or str(error)
    return UserError(f"{folder}/ cannot be written ({reason}); {then}.")
