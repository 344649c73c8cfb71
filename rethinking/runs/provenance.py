"""Where a run came from: versions, commit, machine."""

import platform
import resource
import subprocess
from contextlib import suppress
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

from rethinking import __version__, paths

PACKAGES = ("torch", "numpy", "numba", "scikit-learn")
# Where a checkout has the program: what else lies in it, a store or notes, makes the program no other one.
PROGRAM = ("rethinking", "conf", "models", "pooling")


@cache
def software() -> dict[str, Any]:
    """Versions of the program and of what it computes with, and the commit if it runs from a checkout."""
    return {**_versions(), **_commit()}


@cache
def program() -> dict[str, Any]:
    """What must be the same for numbers to be: `software`, with what the commit has of the program in its place."""
    commit, trees = _commit(), None
    if commit["git_commit"]:
        with suppress(subprocess.CalledProcessError):  # A checkout of something else, with the program in it.
            trees = _git("rev-parse", *(f"{commit['git_commit']}:{part}" for part in PROGRAM)).split()
    return {**_versions(), "program": trees, "git_dirty": commit["git_dirty"]}


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


def _versions() -> dict[str, Any]:
    versions = {f"{name}_version": _version(name) for name in PACKAGES}
    return {"rethinking_version": __version__, "python_version": platform.python_version(), **versions}


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _commit() -> dict[str, Any]:
    """The commit of the checkout that holds the program; both None when it was installed without one."""
    if not (_root() / ".git").exists():
        return {"git_commit": None, "git_dirty": None}
    try:
        commit = _git("rev-parse", "HEAD").strip()
        return {"git_commit": commit, "git_dirty": bool(_git("status", "--porcelain", "--", *PROGRAM).strip())}
    except (OSError, subprocess.CalledProcessError):
        return {"git_commit": None, "git_dirty": None}


def _git(*command: str) -> str:
    return subprocess.run(["git", "-C", str(_root()), *command], capture_output=True, text=True, check=True).stdout


def _root() -> Path:
    return paths.PACKAGE.parent


@cache
def _processor(key: str) -> str:
    """What Linux says of the first processor; nothing if it does not."""
    try:
        with Path("/proc/cpuinfo").open() as file:
            return next(line.split(":")[1].strip() for line in file if line.split(":")[0].strip() == key)
    except (OSError, StopIteration):
        return ""
