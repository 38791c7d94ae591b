"""Files of data on disk: finding, downloading, and keeping what is derived from them."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import stat
import tempfile
import time
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import NamedTuple

import numpy as np
import torch
from platformdirs import user_cache_path
from torch import Tensor

from .errors import DataError

DRAFT = ".draft-"  # how the name of a folder starts in which a file is written
LEFT_OVER = 24 * 3600  # seconds after which a draft belongs to a process that was killed


@dataclass(frozen=True)
class Remote:
    """A file of an official distribution: its place below a root, its addresses, its MD5 sum."""

    path: str
    urls: tuple[str, ...]
    md5: str


@dataclass(frozen=True)
class Store:
    """The folders of data: ``root``, which is written to, and read-only ``extra`` ones."""

    root: Path
    extra: tuple[Path, ...] = ()

    @classmethod
    def from_environment(cls, root: str | Path | None = None) -> Store:
        """Return the store at ``root``, else at ``BENCH_DATA``, else in the user's cache folder.

        ``BENCH_DATA_EXTRA`` lists further folders, separated as in ``PATH``.
        """
        chosen = root or os.environ.get("BENCH_DATA") or user_cache_path("bench", appauthor=False)
        extra = os.environ.get("BENCH_DATA_EXTRA", "").split(os.pathsep)
        return cls(Path(chosen).expanduser(), tuple(Path(e).expanduser() for e in extra if e))

    @property
    def roots(self) -> tuple[Path, ...]:
        """Every folder in the order it is searched."""
        return (self.root, *self.extra)

    def without_places(self, text: str) -> str:
        """Return a message without the folders of this machine: for results that others read."""
        for root in filter(Path.is_absolute, self.roots):
            text = text.replace(str(root), "<data folder>")
        return text

    def find(self, *relative: str | Path) -> Path | None:
        """Return the first of the paths that exists below the root, then below the extra roots.

        Raises:
            DataError: a folder on the way may not be searched.
        """
        for place in (root / path for root in self.roots for path in relative):
            try:
                if place.exists():
                    return place
            except PermissionError as error:
                raise DataError(
                    f"{place} may not be looked up ({error.strerror}). Allow searching its folder"
                ) from error
        return None

    def obtain(self, name: str, remote: Remote, *others: str) -> Path:
        """Return the path of the file or of one of its ``others``; else download the file.

        Raises:
            DataError: it is absent and cannot be downloaded.
        """
        return self.find(remote.path, *others) or self.download(name, remote)

    def download(self, name: str, remote: Remote) -> Path:
        """Fetch the file below the root, from the first address that has it whole; its path."""
        from torchvision.datasets.utils import download_url

        target = self.root / remote.path
        reasons = []
        for url in remote.urls:
            try:
                with draft(target) as path:
                    download_url(url, str(path.parent), path.name, remote.md5)
                return target
            except Exception as error:  # torchvision passes on whatever urllib and sockets raise
                reasons.append(_one_line(error))
        raise self.missing(name, remote.path, f"the download failed: {'; '.join(reasons)}")

    def missing(self, name: str, path: str, reason: str, hint: str | None = None) -> DataError:
        """Return the error for absent data, with the folders searched and how to get it."""
        places = ", ".join(str(root) for root in self.roots)
        hint = hint or f"With a network, run: python -m bench data download {name}"
        return DataError(f"{name}: {path} was not found in {places}, and {reason}. {hint}")

    def kept(self, name: str, key: str, make: Callable[[], Tensor]) -> Tensor:
        """Return what ``make`` returns, computed once and then read from ``derived/<name>/``.

        The key must say all that the tensor depends on. Behind the array lies a digest of name,
        key, type, shape and content; a file that does not answer it is made again. Where nothing
        can be written the tensor is computed every time.
        """
        plain = re.fullmatch(r"\w[\w.,=-]{0,99}", key)
        stem = key if plain else hashlib.sha256(key.encode()).hexdigest()[:16]
        path = self.root / "derived" / name / f"{stem}.npy"
        mark = f"{name}|{key}"
        with suppress(Exception):  # absent, or damaged in whatever way: it can be made again
            return _read_array(path, mark)
        made = make()
        with suppress(OSError), draft(path) as unfinished, unfinished.open("wb") as file:
            array = made.detach().cpu().numpy()
            np.save(file, array, allow_pickle=False)
            file.write(_digest(array, mark))
        return made


def _read_array(path: Path, mark: str) -> Tensor:
    if not path.is_file():  # to open a named pipe would wait for ever
        raise FileNotFoundError(path)
    with path.open("rb") as file:
        array = np.lib.format.read_array(file, allow_pickle=False)
        if file.read() != _digest(array, mark):
            raise ValueError("its checksum is wrong")
    return torch.from_numpy(array)


def _digest(array: np.ndarray, mark: str) -> bytes:
    """Return the SHA-256 of name and key and of an array's type, shape and content."""
    digest = hashlib.sha256(f"{mark}|{array.dtype.str}{array.shape}".encode())
    digest.update(np.ascontiguousarray(array).data)
    return digest.digest()


def _one_line(reason: object) -> str:
    return " ".join(str(reason).split()) or type(reason).__name__


class Stamp(NamedTuple):
    """What tells one content of a file from another without reading it.

    A copy may bring the former size and time along, which is why the time of change of the entry
    counts as well: nobody sets it.

    Args:
        name: of the file, or its path below a folder.
        size: in bytes.
        changed: when the content was changed, in ns.
        entered: when the entry was, in ns.
    """

    name: str
    size: int
    changed: int
    entered: int

    @classmethod
    def of(cls, name: str, about: os.stat_result) -> Stamp:
        """Return the stamp of a file from what the system says about it."""
        return cls(name, about.st_size, about.st_mtime_ns, about.st_ctime_ns)


def stamps(paths: Iterable[Path]) -> Iterator[Stamp]:
    """Yield the stamp of each regular file, also of those in folders."""
    for path in paths:
        for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
            name = file.relative_to(path).as_posix() if path.is_dir() else file.name
            if file.is_symlink() and not file.exists():
                continue
            about = file.stat()
            if stat.S_ISREG(about.st_mode):
                yield Stamp.of(name, about)


@contextmanager
def draft(path: Path) -> Iterator[Path]:
    """Yield a temporary name, for a file or folder, that replaces ``path`` if the block ends well.

    A reader sees all of the new file or none.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    _remove_old_drafts(path.parent)
    folder = Path(tempfile.mkdtemp(prefix=DRAFT, dir=path.parent))
    try:
        yield folder / path.name
        (folder / path.name).replace(path)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _remove_old_drafts(folder: Path) -> None:
    """Remove the drafts of killed processes in a folder: those that nobody wrote to for a day."""
    for one in folder.glob(f"{DRAFT}*"):
        with suppress(OSError):
            newest = max(path.stat().st_mtime for path in [one, *one.iterdir()])
            if time.time() - newest > LEFT_OVER:
                shutil.rmtree(one)


def damaged(name: str, path: Path, reason: object, hint: str | None = None) -> DataError:
    """Return the error for a file that is not what it should be, and what to do about it.

    Args:
        name: of the data set.
        path: of the file.
        reason: an error or words.
        hint: what to do after deleting the file; by default, to download it.
    """
    if isinstance(reason, PermissionError):
        return DataError(f"{name}: {path} may not be read ({reason.strerror}). Allow reading it")
    hint = hint or f"run: python -m bench data download {name}"
    return DataError(f"{name}: {path} is damaged ({_one_line(reason)}). Delete it and {hint}")


def verify(name: str, path: Path, md5: str) -> None:
    """Check a file against its published MD5 sum.

    Raises:
        DataError: the file is another one, or incomplete.
    """
    try:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False))
    except OSError as error:
        raise damaged(name, path, error) from error
    if digest.hexdigest() != md5:
        raise damaged(name, path, "its MD5 sum is not the published one")


def unpack_zip(name: str, archive: Path, target: Path, hint: str | None = None) -> Path:
    """Return the folder ``target``, which holds the whole archive; unpacked once.

    ``hint`` is the advice after deleting a damaged one.

    Raises:
        DataError: the archive is damaged, or has a path that leads out of the folder.
    """
    if target.exists():
        return target
    try:
        with zipfile.ZipFile(archive) as opened, draft(target) as folder:
            for member in opened.namelist():
                _refuse_escape(name, archive, member, hint)
            folder.mkdir(exist_ok=True)  # of an archive with nothing in it
            opened.extractall(folder)
    except (zipfile.BadZipFile, zlib.error, EOFError, PermissionError) as error:
        raise damaged(name, archive, error, hint) from error
    except (RuntimeError, NotImplementedError) as error:  # encrypted, or packed in a rare way
        raise damaged(name, archive, "encrypted, or of a kind that is not read", hint) from error
    return target


def _refuse_escape(name: str, archive: Path, member: str, hint: str | None) -> None:
    for path in (PurePosixPath(member), PureWindowsPath(member)):
        if path.anchor or ".." in path.parts:
            raise damaged(name, archive, f"unsafe path {member!r}", hint)
