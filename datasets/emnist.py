"""EMNIST's letters: a data set, and, without those that pass for a digit, outliers."""

from __future__ import annotations

import gzip
import io
import string
import zipfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import BinaryIO, ClassVar, cast

import torch
from torch import Tensor

from .base import Dataset, Harmless, Raw, SplitName, Task, as_bytes, fingerprint
from .errors import DataError
from .idx import MARGIN, SIDE, parse_idx
from .images import grey, in_chunks, pad, resize
from .letters import DIGIT_LIKE
from .outliers import Outliers
from .reading import read_file, read_member, reading
from .store import Remote, damaged, verify

FOLDER = "EMNIST/raw"  # as torchvision names it
GZIP = b"\x1f\x8b"  # the first bytes of a packed file
KINDS = ("images-idx3-ubyte", "labels-idx1-ubyte")


class Emnist(Dataset):
    """145 600 handwritten letters of 26 classes, upper and lower case together, in MNIST's format.

    A third of the letters pass for a digit, and others for a Greek one: the set is no outlier set
    for digits or Omniglot, nor they for it. `EmnistLetters` is.
    """

    name = "emnist"
    source = "Cohen et al., EMNIST: an extension of MNIST to handwritten letters, arXiv:1702.05373"
    kind = "glyph"
    content = frozenset({"letter", "digit", "character"})
    fetched_unasked = False
    met_unasked = False
    task = Task((1, 32, 32), ("letter",), tuple(string.ascii_lowercase), Harmless(shift=2))

    def raw(self, which: SplitName) -> Raw:
        files = [f"emnist-letters-{which}-{kind}" for kind in KINDS]
        images, labels = (self._read(file) for file in files)
        x, y = images.transpose(-1, -2), labels.long() - 1  # as published: mirrored, from 1
        if x.shape[1:] != (SIDE, SIDE) or len(x) != len(y) or not 0 <= y.min() <= y.max() < 26:
            raise DataError(
                f"{self.name}: {' and '.join(files)} do not belong together. Delete {FOLDER} and "
                f"run: python -m bench data download {self.name}"
            )
        return Raw(x.contiguous().unsqueeze(1), y.unsqueeze(1))

    def transform(self, x: Tensor) -> Tensor:
        return in_chunks(_frame, x)

    def files(self) -> Sequence[Path]:
        """Return the official archive, or the four files of it, packed or not."""
        if archive := self.store.find(self._remote().path):
            return [archive]
        paths = [self._single(f"emnist-letters-{p}-{k}") for p in ("train", "test") for k in KINDS]
        return [path for path in paths if path] if all(paths) else []

    def where(self) -> str | None:
        files = self.files()
        return str(files[0].parent) if files else None

    def download(self) -> None:
        if not self.files():
            self.store.download(self.name, self._remote())

    def _remote(self) -> Remote:
        from torchvision.datasets import EMNIST as official

        return Remote(f"{FOLDER}/gzip.zip", (official.url,), official.md5)

    def _single(self, file: str) -> Path | None:
        return self.store.find(f"{FOLDER}/{file}.gz", f"{FOLDER}/{file}")

    def _read(self, file: str) -> Tensor:
        self.download()
        (first, *others) = self.files()
        if others:
            return self._parsed(cast(Path, self._single(file)), file)
        key = fingerprint(self.name, self.version, self._remote().md5, file)
        return self.store.kept(self.name, key, partial(self._from_archive, first, file))

    def _from_archive(self, path: Path, file: str) -> Tensor:
        verify(self.name, path, self._remote().md5)
        return self._parsed(path, file)

    def _parsed(self, path: Path, file: str) -> Tensor:
        with reading(self.name, path):
            if path.name == "gzip.zip":
                with zipfile.ZipFile(path) as archive:
                    content = read_member(archive, f"gzip/{file}.gz")
            else:
                content = read_file(path)
            if not content.startswith(GZIP):
                return parse_idx(io.BytesIO(content))
            with gzip.open(io.BytesIO(content)) as opened:
                return parse_idx(cast(BinaryIO, opened))


class EmnistLetters(Outliers):
    """Handwritten letters without the classes that pass for a digit: near outliers of digits.

    Left out are b, g, i, l, o, q, s and z, in upper and lower case.
    """

    name = "emnist_letters"
    source = Emnist.source
    kind = "glyph"
    content = frozenset({"letter"})
    fetched_unasked = False
    met_unasked = False
    left_out: ClassVar = frozenset(letter.lower() for letter in DIGIT_LIKE)

    def images(self) -> Raw:
        raw = self._all().raw("test")
        kept = [k for k, letter in enumerate(Emnist.task.classes) if letter not in self.left_out]
        rows = torch.isin(raw.y[:, 0], torch.tensor(kept))
        if not rows.any():
            raise damaged(self.name, Path(self.where() or ""), "it has none of the letters")
        return Raw(raw.x[rows], raw.y[rows])

    def files(self) -> Sequence[Path]:
        return self._all().files()

    def where(self) -> str | None:
        return self._all().where()

    def download(self) -> None:
        self._all().download()

    def _all(self) -> Emnist:
        made = Emnist()
        made.name, made.store = self.name, self.store  # errors name what was asked for
        return made


def _frame(x: Tensor) -> Tensor:
    """Bring images to 28x28 and pad them, as MNIST is; (N, c, h, w) -> bytes (N, 1, 32, 32)."""
    return pad(as_bytes(resize(grey(x), SIDE, SIDE)), MARGIN)
