"""Where pictures of people may be written: nowhere that could be committed."""

from __future__ import annotations

import subprocess
from pathlib import Path

from bench import CLONE
from bench.datasets.base import Dataset
from bench.errors import UsageError


def shows_people(data: Dataset) -> bool:
    """Return whether a data set consists of pictures of people."""
    return data.shows_people


def prefix(data: Dataset) -> str:
    """Return what the names of files made from ``data`` begin with: "faces-" or nothing."""
    return "faces-" if shows_people(data) else ""


def must_stay_private(data: Dataset, path: Path) -> None:
    """Raise where a picture of a person could be committed.

    Raises:
        UsageError: ``data`` shows people, and ``path`` lies in a folder of reference results or
            where git would add it.
    """
    place = path.resolve()
    if not shows_people(data):
        return
    if "reference" in place.parts or (CLONE in place.parents and not _ignored(place)):
        raise UsageError(
            f"{data.label} shows people, and pictures of them are never committed: {path} could "
            "be; write them outside of the repository"
        )


def _ignored(path: Path) -> bool:
    try:
        done = subprocess.run(
            ["git", "-C", str(CLONE), "check-ignore", "--quiet", str(path)], capture_output=True
        )
    except OSError:
        return False
    return done.returncode == 0
