"""Where a run came from: versions, commit, machine."""

import platform
import resource
import subprocess
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

from rethinking import __version__, paths

PACKAGES = ("torch", "numpy", "numba", "scikit-learn")


@cache
def software() -> dict[str, Any]:
    """Versions of the program and of what it computes with, and the commit if it runs from a checkout."""
    versions = {f"{name}_version": _version(name) for name in PACKAGES}
    return {"rethinking_version": __version__, "python_version": platform.python_version(), **versions, **_commit()}


def hardware(device: torch.device) -> dict[str, Any]:
    """The device and the most memory this process has used so far, in MiB.

    processor: what tells processors of one name apart whose last digits may differ.
    """
    if device.type == "cuda":
        name, peak = torch.cuda.get_device_name(device), torch.cuda.max_memory_allocated(device) / 2**20
    else:
        name, peak = _processor("model name"), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10
    kind = [_processor(key) for key in ("cpu family", "model", "stepping")]
    processor = f"{'/'.join(kind)} {torch.backends.cpu.get_cpu_capability()}"
    return {
        "device": device.type,
        "device_name": name or platform.processor() or platform.machine(),
        "processor": processor,
        "peak_memory_mib": round(peak),
    }


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _commit() -> dict[str, Any]:
    """The commit of the checkout that holds the program; both None when it was installed without one."""
    root = paths.PACKAGE.parent
    if not (root / ".git").exists():
        return {"git_commit": None, "git_dirty": None}

    def git(*command: str) -> str:
        return subprocess.run(["git", "-C", str(root), *command], capture_output=True, text=True, check=True).stdout

    try:
        commit = git("rev-parse", "HEAD").strip()
        # Results do not make the program another one.
        return {"git_commit": commit, "git_dirty": bool(git("status", "--porcelain", "--", ".", ":!results").strip())}
    except (OSError, subprocess.CalledProcessError):
        return {"git_commit": None, "git_dirty": None}


@cache
def _processor(key: str) -> str:
    """What Linux says of the first processor; nothing if it does not."""
    try:
        with Path("/proc/cpuinfo").open() as file:
            return next(line.split(":")[1].strip() for line in file if line.split(":")[0].strip() == key)
    except (OSError, StopIteration):
        return ""
