"""Picture files decoded to bytes of one size, several at a time."""

from __future__ import annotations

import os
import stat
import warnings
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import torch
from joblib import Parallel, delayed
from PIL import Image, ImageOps
from torch import Tensor

from .base import fingerprint
from .errors import DataError
from .store import Stamp, Store, stamps, unpack_zip

BATCH = 64  # pictures a thread decodes before it reports
MEGAPIXELS = 80  # a picture of more is refused: decoded it takes gigabytes
LARGEST_ARCHIVE = 64 * 2**30  # bytes unpacked
NOT_OPENED = frozenset({"EPS", "WMF"})  # Pillow hands these to other programs
DEEPEST = 8  # folders below each other
SHOWN = 3  # file names in a message


@dataclass(frozen=True)
class Decoded:
    """Pictures as bytes (N, C, size, size), and why some could not be read, by place."""

    x: Tensor
    unreadable: dict[int, str]


@dataclass(frozen=True)
class PictureFiles:
    """Files below ``root`` by their relative names, with what tells their contents apart."""

    root: Path
    names: tuple[str, ...]
    stamps: tuple[Stamp, ...]

    def key(self, size: int, channels: int) -> str:
        """Return a digest of all that the decoded bytes depend on."""
        return fingerprint("pictures", 1, size, channels, MEGAPIXELS, *self.stamps)

    def decoded(self, size: int, channels: int) -> Decoded:
        """Decode every file; one that cannot be read is black, and its reason is kept."""
        return decode([self.root / name for name in self.names], size, channels)

    def kept(self, name: str, store: Store, size: int, channels: int) -> Tensor:
        """Return the decoded pictures, kept with the derived data of ``store``.

        Raises:
            DataError: files cannot be read; the message names some.
        """
        return store.kept(name, self.key(size, channels), lambda: self._whole(name, size, channels))

    def _whole(self, name: str, size: int, channels: int) -> Tensor:
        decoded = self.decoded(size, channels)
        if bad := decoded.unreadable:
            shown = "; ".join(f"{self.names[i]}: {bad[i]}" for i in sorted(bad)[:SHOWN])
            more = f" and {len(bad) - SHOWN} more" if len(bad) > SHOWN else ""
            raise DataError(
                f"{name}: {len(bad)} of {len(self.names)} pictures in {self.root} cannot be read "
                f"({shown}{more}); mend or delete them"
            )
        return decoded.x


def pictures_at(name: str, place: Path, store: Store) -> PictureFiles:
    """Return every picture of a folder, or of a zip archive of one.

    Raises:
        DataError: it is neither, or there is no picture in it.
    """
    root = unpacked(name, place, store) if place.suffix == ".zip" else place
    if not root.is_dir():
        raise DataError(f"{name}: {place} is neither a folder nor a zip archive")
    files = picture_files(name, root)
    if not files.names:
        raise DataError(f"{name}: there is no picture in {place}")
    return files


def picture_files(name: str, root: Path) -> PictureFiles:
    """Return every picture below a folder, sorted by name; hidden files are left out.

    Raises:
        DataError: a picture is no regular file, or cannot be looked at.
    """
    pictures = []
    try:
        for relative, entry in _pictures(root, ""):
            about = entry.stat()
            if not stat.S_ISREG(about.st_mode):
                raise DataError(f"{name}: {entry.path} is no regular file; delete it")
            pictures.append(Stamp.of(relative, about))
    except OSError as error:
        raise DataError(f"{name}: {error.filename} cannot be read ({error.strerror})") from error
    pictures.sort()
    return PictureFiles(root, tuple(one.name for one in pictures), tuple(pictures))


def _pictures(folder: Path | str, prefix: str) -> Iterator[tuple[str, os.DirEntry[str]]]:
    """Yield each picture with its relative name; as text, for paths take three times as long."""
    known = _suffixes()
    with os.scandir(folder) as entries:
        for entry in entries:
            if not _is_shown(entry.name):
                continue
            if entry.is_dir():
                if prefix.count("/") < DEEPEST:  # a link may lead back to where it lies
                    yield from _pictures(entry.path, f"{prefix}{entry.name}/")
            elif entry.name[entry.name.rfind(".") :].lower() in known:
                yield prefix + entry.name, entry


def subfolders(root: Path) -> list[Path]:
    """Return the folders directly below, sorted by name; hidden ones are left out."""
    return sorted(path for path in root.iterdir() if path.is_dir() and _is_shown(path.name))


def _is_shown(name: str) -> bool:
    return not name.startswith((".", "__MACOSX"))


@cache
def _suffixes() -> frozenset[str]:
    known = Image.registered_extensions()
    return frozenset(s for s, kind in known.items() if kind in Image.OPEN) - {".pdf", ".mpg"}


@cache
def _formats() -> tuple[str, ...]:
    Image.init()
    return tuple(sorted(set(Image.OPEN) - NOT_OPENED))


def decode(paths: Sequence[Path], size: int, channels: int) -> Decoded:
    """Decode pictures of any size and format, by as many threads as there are cores.

    What comes out is the central square, antialiased to ``size``; turned upright as its EXIF data
    say; transparency on white; 16 bits to 8; of an animation the first picture.
    """
    x = np.zeros((len(paths), channels, size, size), np.uint8)

    def batch(places: Sequence[int]) -> dict[int, str]:
        bad = {}
        for i in places:
            try:
                x[i] = _read(paths[i], size, channels)
            except Exception as error:  # Pillow passes on whatever a damaged file leads it to
                bad[i] = _reason(error)
        return bad

    groups = [range(i, min(i + BATCH, len(paths))) for i in range(0, len(paths), BATCH)]
    with warnings.catch_warnings():  # once for all threads: the filter is the process's
        warnings.simplefilter("ignore")
        _formats()
        work: Callable[..., list[dict[int, str]]] = Parallel(
            n_jobs=os.cpu_count() or 1, backend="threading"
        )
        reasons = work(delayed(batch)(group) for group in groups)
    return Decoded(torch.from_numpy(x), {i: why for bad in reasons for i, why in bad.items()})


def _read(path: Path, size: int, channels: int) -> np.ndarray:
    """Return one picture as bytes (C, size, size)."""
    with Image.open(path, formats=_formats()) as opened:
        pixels = opened.width * opened.height
        if pixels > MEGAPIXELS * 1e6:
            raise ValueError(f"{pixels / 1e6:.0f} megapixels, and at most {MEGAPIXELS} are read")
        opened.draft(None, (2 * size, 2 * size))  # a JPEG is decoded at a fraction of its size
        image = _in_bytes(ImageOps.exif_transpose(opened))
        image = image.convert("RGB" if channels == 3 else "L")
        square = ImageOps.fit(image, (size, size), Image.Resampling.BILINEAR)
    pixels_of = np.asarray(square)
    return pixels_of[None] if channels == 1 else pixels_of.transpose(2, 0, 1)


def _in_bytes(image: Image.Image) -> Image.Image:
    """Return a picture with eight bits a channel and nothing transparent."""
    if image.mode.startswith("I;16"):
        return Image.fromarray((np.asarray(image, np.uint32) // 257).astype(np.uint8))
    if image.mode in ("I", "F"):
        values = np.asarray(image)
        if image.mode == "F" or values.min() < 0 or values.max() > 0xFFFF:
            raise ValueError("its pixels have 32 bits and no known range; save it with 8 or 16")
        return Image.fromarray((values // 257).astype(np.uint8))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(white, image)
    return image


def _reason(error: Exception) -> str:
    if isinstance(error, Image.DecompressionBombError):
        return f"more than {MEGAPIXELS} megapixels"
    if isinstance(error, Image.UnidentifiedImageError):
        return "it is no picture"
    return " ".join(str(error).split())[:120] or type(error).__name__


def unpacked(name: str, archive: Path, store: Store) -> Path:
    """Return the folder with the contents of a zip archive, unpacked once into the data root.

    Raises:
        DataError: the archive is damaged, too large, or has a path that leads out of it.
    """
    hint = "pack it again"
    try:
        with zipfile.ZipFile(archive) as opened:
            total = sum(member.file_size for member in opened.infolist())
    except (OSError, zipfile.BadZipFile) as error:
        raise DataError(f"{name}: {archive} is no zip archive ({error}); {hint}") from error
    if total > LARGEST_ARCHIVE:
        raise DataError(f"{name}: {archive} unpacks to {total / 2**30:.0f} GiB; unpack it yourself")
    digest = fingerprint(*stamps([archive]))
    folder = unpack_zip(name, archive, store.root / "unpacked" / f"{archive.stem}-{digest}", hint)
    while len(inside := subfolders(folder)) == 1 and subfolders(inside[0]):
        folder = inside[0]  # packed with the folder itself
    return folder
