"""Sets in MNIST's idx format: MNIST and Fashion-MNIST, and notMNIST as outliers."""

from __future__ import annotations

import gzip
import struct
import zlib
from abc import abstractmethod
from functools import lru_cache
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from .base import Dataset, Raw, SplitName, Task, as_bytes
from .errors import DataError
from .images import grey, in_chunks, pad, resize
from .outliers import Outliers
from .store import Remote, damaged, verify

UNSIGNED_BYTE = 8  # the idx format's code for the only type these sets use
SIDE = 28
MARGIN = 2


class Idx(Dataset):
    """An idx set that torchvision knows; its class there, ``official``, says where and what sums.

    The files are read packed, since a shared folder may be read-only; unpacked ones do as well.
    """

    @property
    @abstractmethod
    def official(self) -> str:
        """The class of this set in torchvision."""

    def raw(self, which: SplitName) -> Raw:
        images, labels = self._files(which)
        x = self._read(images).unsqueeze(1)
        y = self._read(labels).long().unsqueeze(1)
        if x.shape[1:] != (1, SIDE, SIDE) or len(x) != len(y) or y.max() >= len(self.task.classes):
            raise DataError(
                f"{self.name}: {images.path} {tuple(x.shape)} and {labels.path} {tuple(y.shape)} "
                "do not belong together. Delete both and "
                f"run: python -m bench data download {self.name}"
            )
        return Raw(x, y)

    def transform(self, x: Tensor) -> Tensor:
        return in_chunks(_frame, x)

    def where(self) -> str | None:
        found = [self._find(remote) for part in ("train", "test") for remote in self._files(part)]
        return str(found[0].parent) if found[0] and all(found) else None

    def download(self) -> None:
        for part in ("train", "test"):
            for remote in self._files(part):
                if self._find(remote) is None:
                    self.store.download(self.name, remote)

    def _files(self, part: str) -> tuple[Remote, Remote]:
        """The official files of one part: images and labels."""
        from torchvision import datasets  # takes a second, which a run on digits does not need

        stem = "train" if part == "train" else "t10k"
        official = getattr(datasets, self.official)
        sums = dict(official.resources)
        images, labels = (
            Remote(
                f"{self.official}/raw/{file}",
                tuple(mirror + file for mirror in official.mirrors),
                sums[file],
            )
            for file in (f"{stem}-images-idx3-ubyte.gz", f"{stem}-labels-idx1-ubyte.gz")
        )
        return images, labels

    def _find(self, remote: Remote) -> Path | None:
        return self.store.find(remote.path, remote.path.removesuffix(".gz"))

    def _read(self, remote: Remote) -> Tensor:
        path = self.store.obtain(self.name, remote, remote.path.removesuffix(".gz"))
        return read_idx(self.name, path, remote.md5 if path.suffix == ".gz" else None)


class Mnist(Idx):
    """70 000 handwritten digits, 28x28, zero-padded to 32x32."""

    name = "mnist"
    source = "LeCun, Cortes and Burges, The MNIST database of handwritten digits (1998)"
    kind = "glyph"
    content = frozenset({"digit"})
    task = Task((1, 32, 32), ("digit",), tuple("0123456789"))
    official = "MNIST"


class Fashion(Idx):
    """70 000 pictures of clothes and shoes, 28x28, zero-padded to 32x32."""

    name = "fashion"
    source = "Xiao, Rasul and Vollgraf, Fashion-MNIST (2017), arXiv:1708.07747"
    kind = "object"
    content = frozenset({"garment"})
    task = Task(
        (1, 32, 32),
        ("garment",),
        (
            "t-shirt/top",
            "trouser",
            "pullover",
            "dress",
            "coat",
            "sandal",
            "shirt",
            "sneaker",
            "bag",
            "ankle boot",
        ),
    )
    official = "FashionMNIST"


class NotMnist(Outliers):
    """Letters A to J cut from fonts of the web, in MNIST's format.

    All ten letters are kept, as in the literature, so that numbers compare. A plain I is a 1 and
    some B are close to an 8: an AUROC of 1 against digits is out of reach.
    """

    name = "notmnist"
    source = "Bulatov, notMNIST (2011), yaroslavvb.blogspot.com/2011/09/notmnist-dataset.html"
    kind = "glyph"
    content = frozenset({"letter"})
    files: ClassVar[tuple[str, str]] = (
        "notMNIST/raw/t10k-images-idx3-ubyte",
        "notMNIST/raw/t10k-labels-idx1-ubyte",
    )
    by_hand: ClassVar[str] = (
        "put t10k-images-idx3-ubyte.gz and t10k-labels-idx1-ubyte.gz, letters in MNIST's format, "
        "into notMNIST/raw/ below one of the data folders"
    )

    def images(self) -> Raw:
        x, y = (read_idx(self.name, path, None, self.by_hand) for path in self._paths())
        if x.dim() != 3 or y.dim() != 1 or len(x) != len(y):
            where = Path(self.where() or "")
            raise damaged(self.name, where, "images and labels differ in number", self.by_hand)
        return Raw(x.unsqueeze(1), y.long().unsqueeze(1))

    def where(self) -> str | None:
        found = [self.store.find(f"{file}.gz", file) for file in self.files]
        return str(found[0].parent) if found[0] and all(found) else None

    def download(self) -> None:
        self._paths()

    def _paths(self) -> list[Path]:
        """Where images and labels are; there is no official place to fetch them from."""
        paths = []
        for file in self.files:
            path = self.store.find(f"{file}.gz", file)
            if path is None:
                reason = "it has no official download"
                hint = self.by_hand[0].upper() + self.by_hand[1:]
                raise self.store.missing(self.name, f"{file}.gz", reason, hint)
            paths.append(path)
        return paths


def _frame(x: Tensor) -> Tensor:
    """Bring images to 28x28 and pad them, as MNIST is; (N, c, h, w) -> bytes (N, 1, 32, 32)."""
    return pad(as_bytes(resize(grey(x), SIDE, SIDE)), MARGIN)


@lru_cache(maxsize=8)
def read_idx(name: str, path: Path, md5: str | None = None, advice: str | None = None) -> Tensor:
    """Return the bytes of an idx file, packed or not, in the shape its header gives.

    Raises:
        DataError: the file is not the published one, is cut short, or is no idx file.
    """
    if md5 is not None:
        verify(name, path, md5)
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            return parse_idx(file.read())
    except (OSError, EOFError, zlib.error, struct.error, ValueError) as error:
        raise damaged(name, path, error, advice) from error


def parse_idx(content: bytes) -> Tensor:
    """Return the bytes that follow the header, in the shape the header gives.

    The header is two zero bytes, a type, the number of sizes, and each size as a big-endian word.
    """
    zero, kind, dims = struct.unpack_from(">HBB", content)
    if zero != 0 or kind != UNSIGNED_BYTE or dims not in (1, 3):
        raise ValueError("no idx file of bytes")
    shape = struct.unpack_from(f">{dims}I", content, 4)
    start = 4 + 4 * dims
    if len(content) - start != np.prod(shape, dtype=object):
        raise ValueError(f"{len(content) - start} bytes do not fill the shape {shape}")
    return torch.from_numpy(np.frombuffer(content, np.uint8, offset=start).reshape(shape).copy())
