"""Images and labels in memory as a file of arrays, which any command can read again."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from bench.datasets.base import derive_seed, fingerprint, stratified
from bench.datasets.npz import NEEDED, PARTS
from bench.datasets.own import TEST_SHARE
from bench.errors import UsageError
from bench.store.files import draft

KNOWN = (*(f"{axis}_{part}" for part in PARTS for axis in "xy"), "classes")


def arrays_file(data: Any, results: Path) -> Path:
    """Return the file below ``results`` with images and labels (x, y), or with arrays by name.

    Raises:
        UsageError: there is an array too many or too few, or one is no array.
        WriteError: the disk is full, or the folder cannot be written to.
    """
    arrays = _by_name(data) if isinstance(data, Mapping) else _cut(*map(_array, "xy", data))
    path = results / "arrays" / f"{fingerprint(*arrays, *arrays.values())}.npz"
    if not path.exists():
        with draft(path) as unfinished, unfinished.open("wb") as file:
            np.savez(file, allow_pickle=False, **arrays)
    return path


def _by_name(data: Mapping[str, Any]) -> dict[str, np.ndarray]:
    if extra := [str(name) for name in data if name not in KNOWN]:
        raise UsageError(f"data has no array '{extra[0]}'; known: {', '.join(KNOWN)}")
    if missing := [name for name in NEEDED if name not in data]:
        raise UsageError(f"data lacks {', '.join(missing)}")
    return {name: _array(name, data[name]) for name in KNOWN if name in data}


def _cut(x: np.ndarray, y: np.ndarray) -> dict[str, np.ndarray]:
    """Hold out a fifth as test part, the same each time, with the proportions of the classes."""
    if len(x) != len(y):
        raise UsageError(f"data has {len(x)} images and {len(y)} labels")
    if y.ndim != 1 or not np.issubdtype(y.dtype, np.integer):
        raise UsageError(f"labels are {y.dtype} of shape {y.shape}, not whole numbers (N,)")
    counts = np.unique(y, return_counts=True)[1]
    if len(counts) < 2 or counts.min() < 3:
        raise UsageError("labels have one class alone, or a class with fewer than three images")
    train, test = stratified(torch.from_numpy(y), TEST_SHARE, derive_seed("npz", "test"))
    parts = {"train": train.numpy(), "test": test.numpy()}
    return {f"{a}_{k}": v[rows] for k, rows in parts.items() for a, v in (("x", x), ("y", y))}


def _array(name: str, values: Any) -> np.ndarray:
    if isinstance(values, Tensor):
        values = values.detach().cpu().numpy()
    try:
        array = np.asarray(values)
    except ValueError:
        array = np.asarray(None)
    if array.dtype == object or not array.ndim:
        raise UsageError(f"{name} is {type(values).__name__}, not an array of numbers")
    return array
