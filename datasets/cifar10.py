"""CIFAR-10: small photographs, as far outliers."""

from __future__ import annotations

import hashlib
import io
import pickle
import tarfile
import warnings
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from .base import Raw, fingerprint
from .outliers import Outliers
from .reading import MOST_BYTES, picture, read_file, reading
from .store import Remote, damaged

SIDE = 32


class Cifar10(Outliers):
    """10 000 test photographs of animals and vehicles, 32x32, in colour.

    Without the official test part, the sheets that ConvNetJS ships are used: the first 4 000
    training images, without labels.
    """

    name = "cifar10"
    source = "Krizhevsky, Learning multiple layers of features from tiny images (2009)"
    kind = "photo"
    content = frozenset({"photo"})
    member: ClassVar[str] = "cifar-10-batches-py/test_batch"
    sheets: ClassVar[tuple[str, ...]] = tuple(
        f"cifar10-ood/cifar10_batch_{i}.png" for i in range(4)
    )

    def images(self) -> Raw:
        path = self._official()
        sheets = self._sheets()
        if path is None and sheets:
            return self._from_sheets(sheets)
        return self._from_batch(path or self.store.download(self.name, self._remote()))

    def files(self) -> Sequence[Path]:
        official = self._official()
        return [official] if official else self._sheets()

    def where(self) -> str | None:
        files = self.files()
        return str(files[0]) if files else None

    def download(self) -> None:
        if self._official() is None:
            self.store.download(self.name, self._remote())

    def _remote(self) -> Remote:
        from torchvision.datasets import CIFAR10 as official

        return Remote(official.filename, (official.url,), official.tgz_md5)

    def _official(self) -> Path | None:
        return self.store.find(self.member, self._remote().path)

    def _sheets(self) -> list[Path]:
        paths = [self.store.find(sheet) for sheet in self.sheets]
        return [path for path in paths if path] if all(paths) else []

    def _from_sheets(self, sheets: list[Path]) -> Raw:
        x = torch.cat([self._read_sheet(path) for path in sheets])
        return Raw(x, torch.full((len(x), 1), -1))

    def _read_sheet(self, path: Path) -> Tensor:
        """One image per row of the sheet, its pixels in reading order; bytes (n, 3, 32, 32)."""
        with reading(self.name, path), picture(path) as image:
            rows = np.asarray(image.convert("RGB")).reshape(-1, SIDE, SIDE, 3)
        return torch.from_numpy(rows.copy()).permute(0, 3, 1, 2).contiguous()

    def _from_batch(self, path: Path) -> Raw:
        from torchvision.datasets import CIFAR10

        md5 = dict(CIFAR10.test_list)["test_batch"]
        key = fingerprint("cifar10", self.version, md5)
        packed = self.store.kept(self.name, key, partial(self._read_batch, path, md5))
        x, y = packed[:, 1:], packed[:, :1]
        return Raw(x.reshape(-1, 3, SIDE, SIDE), y.long())

    def _read_batch(self, path: Path, md5: str) -> Tensor:
        """The test batch as bytes (N, 1 + 3072): label, then red, green and blue planes."""
        content = self._batch_bytes(path)
        # A pickle can run code, so only the very bytes that were published are loaded.
        if hashlib.md5(content, usedforsecurity=False).hexdigest() != md5:
            raise damaged(self.name, path, "the MD5 sum of test_batch is not the published one")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # pickled by a NumPy of 2009, newer ones complain
            batch = pickle.load(io.BytesIO(content), encoding="latin1")
        labels = np.asarray(batch["labels"], np.uint8)[:, None]
        return torch.from_numpy(np.concatenate([labels, np.asarray(batch["data"])], axis=1))

    def _batch_bytes(self, path: Path) -> bytes:
        with reading(self.name, path):
            if path.name == "test_batch":
                return read_file(path)
            with tarfile.open(path) as archive:  # read in place: nothing is unpacked
                unpacked = 0
                for member in archive:
                    unpacked += member.size
                    if unpacked > MOST_BYTES:
                        raise ValueError(f"it holds more than {MOST_BYTES:,} bytes")
                    if member.name == self.member and (file := archive.extractfile(member)):
                        return file.read()
                raise ValueError(f"it has no {self.member}")
