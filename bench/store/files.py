"""Write files whole or not at all, and turn names into file names.

A file is written to a draft beside it, which then takes its place in one step. A draft has a
random name, so that two containers that share a folder and a process number do not collide.
"""

from __future__ import annotations

import errno
import hashlib
import json
import re
import secrets
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from bench.errors import WriteError

DRAFT = ".draft-*.tmp"
LEFT_OVER = 24 * 3600  # seconds after which a draft belongs to a process that was killed
LONGEST = 120  # characters of a slug; most file systems take 255 bytes with the suffix
REMEDY = {
    errno.ENOSPC: "free some space and run the same command again",
    errno.EDQUOT: "free some space and run the same command again",
    errno.ENAMETOOLONG: "choose a folder with a shorter path",
}


def slug(text: str) -> str:
    """Return a name as one part of a path: at most 120 characters, never hidden, never "..".

    A longer name ends in a digest of the whole, so that two long names stay two files.
    """
    plain = re.sub(r"[^\w.=,+~-]", "_", text)
    plain = re.sub(r"^\.", "_", plain) or "_"
    if len(plain.encode()) <= LONGEST:
        return plain
    digest = hashlib.sha256(text.encode()).hexdigest()[:16]
    return plain.encode()[: LONGEST - 17].decode(errors="ignore") + f"~{digest}"


def write(path: Path, content: str | bytes) -> None:
    """Write one file, text as UTF-8, and make its folder.

    Raises:
        WriteError: the disk is full, or the folder cannot be written to.
    """
    with draft(path) as unfinished:
        unfinished.write_bytes(content.encode() if isinstance(content, str) else content)


def write_json(path: Path, record: Mapping[str, Any]) -> None:
    """Write one compact JSON file; a number that is not finite raises a ValueError.

    Raises:
        WriteError: the disk is full, or the folder cannot be written to.
    """
    write(path, json.dumps(record, allow_nan=False, separators=(",", ":")) + "\n")


@contextmanager
def draft(path: Path) -> Iterator[Path]:
    """Yield a path to write to; the file there takes the place of ``path`` if the block ends well.

    A reader sees the whole file or none. The draft is removed if the block raises.

    Raises:
        WriteError: the block or the replacement raised an OSError.
    """
    unfinished = path.with_name(DRAFT.replace("*", secrets.token_hex(8)))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield unfinished
        unfinished.replace(path)
    except OSError as error:
        remedy = REMEDY.get(error.errno or 0, "check its permissions or choose another folder")
        raise WriteError(f"cannot write {path} ({error.strerror or error}); {remedy}") from error
    finally:
        with suppress(OSError):
            unfinished.unlink(missing_ok=True)


def remove_old_drafts(folder: Path) -> None:
    """Remove the drafts of killed processes below ``folder``: those a day old."""
    for path in folder.rglob(DRAFT):
        with suppress(OSError):
            if time.time() - path.stat().st_mtime > LEFT_OVER:
                path.unlink()


def row_path(folder: Path, dataset: str, scenario: str, method: str, seed: int) -> Path:
    """Return where the numbers of one (data set, scenario, method, seed) go."""
    return folder / slug(dataset) / slug(scenario) / f"{slug(method)}-s{seed}.json"
