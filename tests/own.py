"""Small data of a user's own, as files, for several tests."""

from pathlib import Path

import numpy as np
from PIL import Image

CLASSES = ("cat", "dog", "hen")


def picture(rng: np.random.Generator, label: int = 0, side: int = 0) -> Image.Image:
    """A picture of random size with one bright third that says its class."""
    height, width = (side, side) if side else rng.integers(20, 60, 2)
    pixels = rng.integers(0, 120, (height, width, 3), dtype=np.uint8)
    pixels[:, label * width // 3 : (label + 1) * width // 3] += 100
    return Image.fromarray(pixels)


def write_pictures(root: Path, count: int = 8, classes: tuple[str, ...] = CLASSES) -> Path:
    """Write ``count`` pictures of each class into subfolders, in several formats."""
    rng = np.random.default_rng(len(str(root.name)))
    for label, name in enumerate(classes):
        (root / name).mkdir(parents=True, exist_ok=True)
        for i in range(count):
            suffix = ("png", "jpg", "bmp", "webp")[i % 4]
            picture(rng, label).save(root / name / f"{i:02}.{suffix}")
    return root
