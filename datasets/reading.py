"""Reading files that anybody may have made: never more than their data set can need.

A few bytes of a compressed file or of a header can stand for gigabytes. Every reader here stops
at a limit, and all that can go wrong becomes one `DataError` with the name of the file.
"""

from __future__ import annotations

import io
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image

from .store import damaged

MOST_BYTES = 2**30  # of one unpacked file: the largest set, MNIST's training images, has 47 MB
MOST_PIXELS = 2**24  # of one picture: the largest in use, a sheet of CIFAR-10, has 1 million

DAMAGE = (
    OSError, EOFError, SyntaxError, ValueError, KeyError, NotImplementedError, RuntimeError,
    struct.error, tarfile.TarError, zipfile.BadZipFile, zlib.error,
    Image.DecompressionBombError, Image.DecompressionBombWarning,
)  # fmt: skip
"""Everything that Pillow and the standard library raise on damaged files."""


@contextmanager
def reading(name: str, path: Path, hint: str | None = None) -> Iterator[None]:
    """Turn every error of the block into the DataError for a damaged file of the set ``name``."""
    try:
        yield
    except DAMAGE as error:
        raise damaged(name, path, error, hint) from error


def read_file(path: Path, most: int = MOST_BYTES) -> bytes:
    """Return the bytes of a file; ValueError if there are more than ``most``."""
    with path.open("rb") as file:
        return read_stream(file.read, most)


def read_member(archive: zipfile.ZipFile, member: str, most: int = MOST_BYTES) -> bytes:
    """Return the bytes of a member of an archive; ValueError if there are more than ``most``."""
    with archive.open(member) as file:
        return read_stream(file.read, most)


def read_stream(read: Callable[[int], bytes], most: int = MOST_BYTES) -> bytes:
    """Return all bytes of a stream; ValueError if there are more than ``most``."""
    content = read(most + 1)
    if len(content) > most:
        raise ValueError(f"it holds more than {most:,} bytes")
    return content


@contextmanager
def picture(file: Path | bytes) -> Iterator[Image.Image]:
    """Yield a picture, opened and not decoded; ValueError if it has more than `MOST_PIXELS`."""
    with Image.open(file if isinstance(file, Path) else io.BytesIO(file)) as image:
        if image.width * image.height > MOST_PIXELS:
            raise ValueError(
                f"{image.width}x{image.height} pixels are more than the {MOST_PIXELS:,} of any "
                "picture of this set"
            )
        yield image
