"""Sets in MNIST's idx format: MNIST, Fashion-MNIST and KMNIST, and notMNIST as outliers."""

from __future__ import annotations

import gzip
import hashlib
import math
import struct
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO, ClassVar, cast

import numpy as np
import torch
from torch import Tensor

from .base import Dataset, Harmless, Raw, SplitName, Task, as_bytes
from .errors import DataError
from .images import grey, in_chunks, pad, resize
from .outliers import Outliers
from .reading import MOST_BYTES, reading
from .store import Remote, damaged, verify

UNSIGNED_BYTE = 8  # the idx format's code for the only type these sets use
SIDE = 28
MARGIN = 2
SYSTEM = Path("/usr/share/datasets")  # where packages of Debian put data


class Idx(Dataset):
    """An idx set with a class in torchvision, ``official``, which has its addresses and MD5 sums.

    Files are read packed, since a shared folder may be read-only; unpacked ones are read as well.
    A file that somebody packed anew is the published one if its ``contents`` have that MD5 sum.
    """

    packaged: ClassVar[str] = ""  # folder of the set in `SYSTEM`
    contents: ClassVar[Mapping[str, str]] = {}

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

    def files(self) -> Sequence[Path]:
        remotes = [remote for part in ("train", "test") for remote in self._files(part)]
        paths = [self._find(remote) for remote in remotes]
        return [path for path in paths if path] if all(paths) else []

    def where(self) -> str | None:
        files = self.files()
        return str(files[0].parent) if files else None

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
        found = self.store.find(remote.path, remote.path.removesuffix(".gz"))
        packaged = SYSTEM / self.packaged / Path(remote.path).name
        return packaged if found is None and self.packaged and packaged.is_file() else found

    def _read(self, remote: Remote) -> Tensor:
        path = self._find(remote) or self.store.download(self.name, remote)
        if path.suffix != ".gz":
            return read_idx(self.name, path)
        return read_idx(self.name, path, remote.md5, contents=self.contents.get(path.name))


class Mnist(Idx):
    """70 000 handwritten digits, 28x28, zero-padded to 32x32."""

    name = "mnist"
    source = "LeCun, Cortes and Burges, The MNIST database of handwritten digits (1998)"
    kind = "glyph"
    content = frozenset({"digit"})
    task = Task((1, 32, 32), ("digit",), tuple("0123456789"), Harmless(shift=2))
    official = "MNIST"
    packaged = "mnist"
    contents: ClassVar = {
        "train-images-idx3-ubyte.gz": "6bbc9ace898e44ae57da46a324031adb",
        "train-labels-idx1-ubyte.gz": "a25bea736e30d166cdddb491f175f624",
        "t10k-images-idx3-ubyte.gz": "2646ac647ad5339dbf082846283269ea",
        "t10k-labels-idx1-ubyte.gz": "27ae3e4e09519cfbb04c329615203637",
    }


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
        Harmless(shift=2, flip=True),
    )
    official = "FashionMNIST"
    packaged = "fashion-mnist"
    contents: ClassVar = {
        "train-images-idx3-ubyte.gz": "f4a8712d7a061bf5bd6d2ca38dc4d50a",
        "train-labels-idx1-ubyte.gz": "9018921c3c673c538a1fc5bad174d6f9",
        "t10k-images-idx3-ubyte.gz": "8181f5470baa50b63fa0f6fddb340f0a",
        "t10k-labels-idx1-ubyte.gz": "15d484375f8d13e6eb1aabb0c3f46965",
    }


class Kmnist(Idx):
    """70 000 handwritten Japanese characters, ten of the hiragana, 28x28, zero-padded to 32x32.

    Some katakana of Omniglot look alike: the two sets are no outliers for each other.
    """

    name = "kmnist"
    source = "Clanuwat et al., Deep learning for classical Japanese literature, arXiv:1812.01718"
    kind = "glyph"
    content = frozenset({"hiragana", "character"})
    fetched_unasked = False
    met_unasked = False
    task = Task(
        (1, 32, 32),
        ("character",),
        ("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo"),
        Harmless(shift=2),
    )
    official = "KMNIST"


class NotMnist(Outliers):
    """Letters A to J cut from fonts of the web, in MNIST's format.

    All ten letters are kept, as in the literature, so that numbers compare. A plain I is a 1 and
    some B are close to an 8: an AUROC of 1 against digits is out of reach.
    """

    name = "notmnist"
    source = "Bulatov, notMNIST (2011), yaroslavvb.blogspot.com/2011/09/notmnist-dataset.html"
    kind = "glyph"
    content = frozenset({"letter"})
    parts: ClassVar[tuple[str, str]] = (
        "notMNIST/raw/t10k-images-idx3-ubyte",
        "notMNIST/raw/t10k-labels-idx1-ubyte",
    )
    by_hand = (
        "put t10k-images-idx3-ubyte.gz and t10k-labels-idx1-ubyte.gz, letters in MNIST's format, "
        "into notMNIST/raw/ below one of the data folders"
    )

    def images(self) -> Raw:
        self.download()
        x, y = (read_idx(self.name, path, None, self.by_hand) for path in self.files())
        if x.dim() != 3 or y.dim() != 1 or len(x) != len(y):
            where = Path(self.where() or "")
            raise damaged(self.name, where, "images and labels differ in number", self.by_hand)
        return Raw(x.unsqueeze(1), y.long().unsqueeze(1))

    def files(self) -> Sequence[Path]:
        paths = [self.store.find(f"{part}.gz", part) for part in self.parts]
        return [path for path in paths if path] if all(paths) else []

    def where(self) -> str | None:
        files = self.files()
        return str(files[0].parent) if files else None

    def download(self) -> None:
        """Raise the error for an absent file: there is no official place to fetch it from."""
        for part in self.parts:
            if self.store.find(f"{part}.gz", part) is None:
                reason = "it has no official download"
                hint = self.by_hand[0].upper() + self.by_hand[1:]
                raise self.store.missing(self.name, f"{part}.gz", reason, hint)


def _frame(x: Tensor) -> Tensor:
    """Bring images to 28x28 and pad them, as MNIST is; (N, c, h, w) -> bytes (N, 1, 32, 32)."""
    return pad(as_bytes(resize(grey(x), SIDE, SIDE)), MARGIN)


@lru_cache(maxsize=8)
def read_idx(
    name: str,
    path: Path,
    md5: str | None = None,
    advice: str | None = None,
    contents: str | None = None,
) -> Tensor:
    """Return the bytes of an idx file, packed or not, in the shape its header gives.

    A packed file is the published one by its own MD5 sum ``md5`` or by that of its ``contents``.

    Raises:
        DataError: the file is not the published one, is cut short, or is no idx file.
    """
    if md5 is not None:
        try:
            verify(name, path, md5)
        except DataError:
            if contents is None or _contents_md5(name, path) != contents:
                raise
    with (
        reading(name, path, advice),
        gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file,
    ):
        return parse_idx(cast(BinaryIO, file))


def _contents_md5(name: str, path: Path) -> str:
    with reading(name, path), gzip.open(path) as file:
        digest = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False))
    return digest.hexdigest()


def parse_idx(file: BinaryIO) -> Tensor:
    """Return the bytes that follow the header, in the shape the header gives.

    The header is two zero bytes, a type, the number of sizes, and each size as a big-endian word.
    No more is read than it announces.

    Raises:
        ValueError: there are fewer bytes, or more, or too many for any such set.
        struct.error: the header is cut short.
    """
    zero, kind, dims = struct.unpack(">HBB", file.read(4))
    if zero != 0 or kind != UNSIGNED_BYTE or dims not in (1, 3):
        raise ValueError("no idx file of bytes")
    shape = struct.unpack(f">{dims}I", file.read(4 * dims))
    size = math.prod(shape)
    if size > MOST_BYTES:
        raise ValueError(f"its header announces the shape {shape}, more than {MOST_BYTES:,} bytes")
    content = file.read(size + 1)
    if len(content) != size:
        bytes_ = f"more than {size}" if len(content) > size else str(len(content))
        raise ValueError(f"{bytes_} bytes do not fill the shape {shape}")
    return torch.from_numpy(np.frombuffer(content, np.uint8).reshape(shape).copy())
