"""Result files, loose in a folder or packed beside it: ``rows.tar.xz`` stands for ``rows/``.

A loose file goes before the packed one of its name, so that a packed results folder can be added
to. Nothing is ever unpacked to be read.
"""

from __future__ import annotations

import io
import lzma
import stat
import tarfile
from collections.abc import Iterator, Mapping
from contextlib import suppress
from functools import lru_cache
from pathlib import Path, PurePosixPath

from bench.errors import BenchError
from bench.store.columns import by_columns, by_rows
from bench.store.files import draft, write

SUFFIX = ".tar.xz"
KINDS = ("rows", "curves")
EFFORT = 6 | lzma.PRESET_EXTREME  # a tenth smaller than without, in twice the time
LARGEST = 64_000_000  # bytes of a file: the largest of the reference has 200 kB
WHOLE = 2_000_000_000  # bytes of an archive's files
AGAIN = "the same `bench run` again replaces it"


def json_files(folder: Path) -> list[Path]:
    """Return every path below ``folder``, loose or packed, that ends in .json, in order."""
    inside = {path for root, names in _archives(folder) for path in map(root.joinpath, names)}
    return sorted({*folder.rglob("[!.]*.json"), *(p for p in inside if p.is_relative_to(folder))})


def has_files(folder: Path) -> bool:
    """Return whether a folder of results is there, loose or packed."""
    return folder.is_dir() or any(_archives(folder))


def has_archive(results: Path) -> bool:
    """Return whether results are packed: for keeping, and without what can be made of them."""
    return any(_archive(results / kind).is_file() for kind in KINDS)


def is_packed(path: Path) -> bool:
    """Return whether an archive holds a file of this path, be there a loose one or not."""
    return any(path.relative_to(root).as_posix() in files for root, files in _archives(path.parent))


def read_regular(path: Path) -> bytes:
    """Return the bytes of a regular file of sane size: a named pipe would be waited for for ever.

    Raises:
        OSError: it cannot be read.
        ValueError: it is no regular file, or far too large.
        BenchError: it would be in an archive that is damaged.
    """
    try:
        about = path.stat()
    except FileNotFoundError:
        for root, files in _archives(path.parent):
            if (content := files.get(path.relative_to(root).as_posix())) is not None:
                return by_rows(content)
        raise
    if not stat.S_ISREG(about.st_mode):
        raise ValueError("is no file; left out (remove it)")
    if about.st_size > LARGEST:
        raise ValueError(f"has {about.st_size:,} bytes, which no result has; left out ({AGAIN})")
    return path.read_bytes()


def pack(results: Path) -> list[Path]:
    """Move the rows and curves of a results folder into an archive of each kind; return these.

    The same files give the same bytes, whenever and wherever they are packed. A loose file is
    removed once the archive that holds it is in its place.
    """
    made = []
    for folder in (results / kind for kind in KINDS):
        loose = {p.relative_to(results).as_posix(): p for p in _loose(folder)}
        if not loose:
            continue
        archive = _archive(folder)
        packed = _files(archive) if archive.is_file() else {}
        found = {name: by_columns(path.read_bytes()) for name, path in loose.items()}
        with (
            draft(archive) as unfinished,
            lzma.open(unfinished, "wb", preset=EFFORT) as stream,
            tarfile.open(fileobj=stream, mode="w") as tar,
        ):
            for name, content in sorted({**packed, **found}.items()):
                member = tarfile.TarInfo(name)
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))
        for path in loose.values():
            path.unlink()
        places = [folder, *(path for path in folder.rglob("*") if path.is_dir())]
        for place in sorted(places, reverse=True):
            with suppress(OSError):  # it holds something else
                place.rmdir()
        made.append(archive)
    return made


def unpack(results: Path) -> list[Path]:
    """Make loose files of the archives of a results folder, and remove these; return them."""
    archives = [path for kind in KINDS if (path := _archive(results / kind)).is_file()]
    for archive in archives:
        for name, content in _files(archive).items():
            if not (path := results / name).exists():
                write(path, by_rows(content))
        archive.unlink()
    return archives


def _loose(folder: Path) -> list[Path]:
    """Return the files of a folder that are results; others, such as a pipe, stay what they are."""
    paths = folder.rglob("[!.]*.json")
    return [path for path in paths if path.is_file() and path.stat().st_size <= LARGEST]


def _archive(folder: Path) -> Path:
    return folder.with_name(folder.name + SUFFIX)


def _archives(folder: Path) -> Iterator[tuple[Path, Mapping[str, bytes]]]:
    """Yield the archives that may hold files of ``folder``, with the folder they lie in."""
    for place in (folder, *folder.parents):
        if place.name and (path := _archive(place)).is_file():
            yield place.parent, _files(path)


def _files(archive: Path) -> Mapping[str, bytes]:
    about = archive.stat()
    return _read(archive, about.st_mtime_ns, about.st_size)


@lru_cache(maxsize=4)
def _read(archive: Path, time: int, size: int) -> Mapping[str, bytes]:
    """Return the files of an archive by name; ``time`` and ``size`` tell another archive.

    Raises:
        BenchError: it is damaged, or holds what no results folder does.
    """
    kind = archive.name.removesuffix(SUFFIX)
    files = {}
    try:
        with lzma.open(archive) as packed:
            content = packed.read(WHOLE + 1)  # to the end, where its checksum is
        if len(content) > WHOLE:
            raise ValueError(f"it holds more than {WHOLE:,} bytes")
        with tarfile.open(fileobj=io.BytesIO(content)) as tar:
            for member in tar:
                if not member.isreg() or not _is_result(PurePosixPath(member.name), kind):
                    raise ValueError(f"it holds {member.name!r}, which is no result")
                file = tar.extractfile(member)
                files[member.name] = file.read() if file else b""
    except (OSError, EOFError, ValueError, tarfile.TarError, lzma.LZMAError) as error:
        reason = " ".join(str(error).split())  # that of tarfile has many lines
        raise BenchError(
            f"{archive} cannot be read ({reason}); get it anew, or remove it"
        ) from None
    return files


def _is_result(path: PurePosixPath, kind: str) -> bool:
    parts = path.parts
    return parts[0] == kind and ".." not in parts and path.suffix == ".json"
