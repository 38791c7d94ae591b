"""Whether a folder's locks hold: between processes, and between the machines that share it."""

from __future__ import annotations

import secrets
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from bench.errors import UsageError

PROBE = ".lock-probe-"


@contextmanager
def probe(folder: Path) -> Iterator[Path]:
    """Yield a file of a new name in ``folder``, which this process holds locked.

    Raises:
        UsageError: the file system has no locks that end with their process.
    """
    path = folder / f"{PROBE}{secrets.token_hex(8)}"
    lock = FileLock(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # filelock warns before it takes a lock that can outlive
            lock.acquire(timeout=0)
    except (OSError, NotImplementedError, Warning) as error:
        raise UsageError(
            f"the file system of {folder} has no locks ({error}), so that two workers could train "
            "the same model; mount it with locks, or choose another folder with --results"
        ) from None
    try:
        yield path
    finally:
        lock.release()
        with suppress(OSError):
            path.unlink()


def why_not_shared(path: Path) -> str:
    """Return why a file that another process holds locked does not keep this one out, or ""."""
    if not path.exists():
        return f"does not see the folder {path.parent}; the results lie on a folder all share"
    try:
        with FileLock(path).acquire(timeout=0):
            return (
                f"does not see the locks of others in {path.parent}, so that two workers could "
                "train the same model; mount it with locks that reach all machines"
            )
    except Timeout:
        return ""
    except (OSError, NotImplementedError) as error:
        return f"cannot lock files in {path.parent} ({error})"
