"""Memory of this process and of the machine, in MB of 10^6 bytes."""

from __future__ import annotations

import sys
from pathlib import Path

import psutil

MB = 1e6
LIMIT = Path("/sys/fs/cgroup/memory.max")  # of a container, "max" where there is none
USED = LIMIT.with_name("memory.current")
PARTS = LIMIT.with_name("memory.stat")  # of what is used


def peak() -> float | None:
    """Return the most memory this process has held so far; None where the system does not say."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / MB


def held() -> float:
    """Return the memory this process holds."""
    return psutil.Process().memory_info().rss / MB


def free() -> float:
    """Return the memory that can still be had, in a container within its limit.

    Files that the system keeps in memory and has not used of late make room.
    """
    machine = psutil.virtual_memory().available / MB
    try:
        parts = dict(line.split() for line in PARTS.read_text().splitlines())
        used = int(USED.read_text()) - int(parts.get("inactive_file", 0))
        return min(machine, (int(LIMIT.read_text()) - used) / MB)
    except (OSError, ValueError):
        return machine
