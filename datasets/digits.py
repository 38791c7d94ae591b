"""scikit-learn's handwritten digits, the default data set: real scans that need no download."""

from __future__ import annotations

from functools import cache
from importlib.metadata import version

import torch
from torch import Tensor
from torch.nn import functional

from .base import Dataset, Raw, SplitName, Task, as_bytes, as_floats
from .images import grey, in_chunks, resize

BLOCK = 4  # pixels of the bitmap, each way, that make one pixel of the raster
TEST_SHARE = 0.2
GREYS = 16  # the most pixels of a block that can be set, hence 17 grey levels


class Digits(Dataset):
    """1797 digits of 43 writers, scanned as 32x32 bitmaps and counted in blocks to 8x8.

    Foreign images go through the same raster, grey levels included, so that finer pixels or shades
    give nothing away. `raw` gives the bitmaps' size, 32x32, for corruptions
    to act on. There is no official split: a fixed fifth, stratified, is the test part.
    """

    name = "digits"
    source = (
        "Alpaydin and Kaynak, Optical Recognition of Handwritten Digits, UCI (1998), "
        "https://doi.org/10.24432/C50P49; test part as in scikit-learn's load_digits"
    )
    kind = "glyph"
    content = frozenset({"digit"})
    embedded = True
    task = Task((1, 8, 8), ("digit",), tuple("0123456789"))

    def raw(self, which: SplitName) -> Raw:
        """Return one part, from kept arrays: scikit-learn takes a second to import."""
        made_by = f"scikit-learn {version('scikit-learn')}"
        x = self.store.kept(self.name, f"x, {made_by}", lambda: _scans().x)
        y = self.store.kept(self.name, f"y, {made_by}", lambda: _scans().y)
        train, test = self.cut(y[:, 0], TEST_SHARE, "test")
        rows = train if which == "train" else test
        return Raw(x[rows], y[rows])

    def transform(self, x: Tensor) -> Tensor:
        return in_chunks(_raster, x)


def _raster(x: Tensor) -> Tensor:
    """Count each 4x4 block in sixteenths; (N, c, h, w) -> bytes (N, 1, 8, 8)."""
    bitmap = as_floats(resize(grey(x), 8 * BLOCK, 8 * BLOCK))
    counts = functional.avg_pool2d(bitmap, BLOCK).mul(GREYS).round()
    return as_bytes(counts / GREYS)


@cache
def _scans() -> Raw:
    """All digits with every pixel blown up to its block, (1797, 1, 32, 32)."""
    from sklearn.datasets import load_digits  # seconds that a listing does not need

    bunch = load_digits()
    counts = torch.from_numpy(bunch.images).float().unsqueeze(1)
    blocks = as_bytes(counts / GREYS).repeat_interleave(BLOCK, 2).repeat_interleave(BLOCK, 3)
    return Raw(blocks, torch.from_numpy(bunch.target).long().unsqueeze(1))
