"""SVHN: digits of house numbers in photographs."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from .base import Dataset, Harmless, Raw, SplitName, Task, as_bytes, fingerprint
from .images import colour, in_chunks, resize
from .reading import reading
from .store import Remote, damaged, verify

SIDE = 32


class Svhn(Dataset):
    """99 289 digits cut from photographs of house numbers, 32x32, in colour; cropped format."""

    name = "svhn"
    source = "Netzer et al., Reading digits in natural images, NIPS workshop (2011)"
    kind = "glyph"
    content = frozenset({"digit"})
    fetched_unasked = False
    met_unasked = False
    task = Task((3, SIDE, SIDE), ("digit",), tuple("0123456789"), Harmless(shift=2))

    def raw(self, which: SplitName) -> Raw:
        remote = self._remote(which)
        path = self._find(which) or self.store.download(self.name, remote)
        key = fingerprint(self.name, self.version, remote.md5)
        packed = self.store.kept(self.name, key, partial(self._read, path, remote.md5))
        return Raw(packed[:, 1:].reshape(-1, 3, SIDE, SIDE), packed[:, :1].long())

    def transform(self, x: Tensor) -> Tensor:
        return in_chunks(_in_colour, x)

    def files(self) -> Sequence[Path]:
        paths = [self._find(which) for which in ("train", "test")]
        return [path for path in paths if path] if all(paths) else []

    def where(self) -> str | None:
        files = self.files()
        return str(files[0].parent) if files else None

    def download(self) -> None:
        for which in ("train", "test"):
            if self._find(which) is None:
                self.store.download(self.name, self._remote(which))

    def _remote(self, which: str) -> Remote:
        from torchvision.datasets import SVHN as official

        url, file, md5 = official.split_list[which]
        return Remote(f"SVHN/{file}", (url,), md5)

    def _find(self, which: str) -> Path | None:
        path = self._remote(which).path
        return self.store.find(path, Path(path).name)  # torchvision puts it into the root itself

    def _read(self, path: Path, md5: str) -> Tensor:
        """Return bytes (N, 1 + 3072): label, then red, green and blue planes."""
        from scipy.io import loadmat

        verify(self.name, path, md5)
        with reading(self.name, path):
            content = loadmat(path)
        x, y = content["X"].transpose(3, 2, 0, 1), content["y"][:, :1] % 10  # 0 is published as 10
        if x.shape[1:] != (3, SIDE, SIDE) or len(x) != len(y):
            raise damaged(self.name, path, f"its images have the shape {x.shape}")
        return torch.from_numpy(np.concatenate([y.astype(np.uint8), x.reshape(len(x), -1)], 1))


def _in_colour(x: Tensor) -> Tensor:
    return as_bytes(resize(colour(x), SIDE, SIDE))
