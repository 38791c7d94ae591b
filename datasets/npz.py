"""Pictures and labels of the user's own, as arrays in one .npz file."""

from __future__ import annotations

import zipfile
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from .base import as_bytes, fingerprint
from .errors import DataError
from .own import Labels, OwnData
from .store import stamps

PARTS = ("train", "val", "test")
NEEDED = ("x_train", "y_train", "x_test", "y_test")
LARGEST = 16 * 2**30  # bytes of all arrays


class Npz(OwnData):
    """Arrays ``x_train``, ``y_train``, ``x_test``, ``y_test``, as numpy.savez writes them.

    ``x_val`` and ``y_val`` are optional, and so is ``classes``, their names. Images are
    (N, H, W), (N, H, W, C) or (N, C, H, W) with 1 or 3 channels, bytes or floats in [0, 1];
    labels are (N,), whole numbers from 0.
    """

    name = "npz"

    @cached_property
    def shape(self) -> tuple[int, int, int]:
        channels, height, width = self.read_images().shape[1:]
        return (channels, height, width)

    @cached_property
    def arrays(self) -> dict[str, np.ndarray]:
        """Every array of the file by name, labels and names of classes alone.

        Raises:
            DataError: the file is no such archive, or holds a pickle.
        """
        place = self.place()
        names = self._names(place)
        if missing := [name for name in NEEDED if name not in names]:
            raise DataError(
                f"{self.name}: {place} has no {' and no '.join(missing)}; it has "
                f"{', '.join(sorted(names)) or 'nothing'}"
            )
        if ("x_val" in names) != ("y_val" in names):
            raise DataError(f"{self.name}: {place} has one of x_val and y_val; give both or none")
        wanted = [n for n in ("y_train", "y_val", "y_test", "classes") if n in names]
        return {name: self._array(place, name) for name in wanted}

    def read_labels(self) -> Labels:
        labels = [(part, self._labels(part)) for part in self._parts()]
        y = torch.cat([values for _, values in labels])
        names = self._class_names(int(y.max()) + 1)
        parts = tuple(part for part, values in labels for _ in range(len(values)))
        return Labels(y, names, parts)

    def read_images(self) -> Tensor:
        place = self.place()
        key = fingerprint(self.name, self.version, *stamps([place]))
        return self.store.kept(self.name, key, self._all_images)

    def _parts(self) -> list[str]:
        return [part for part in PARTS if f"y_{part}" in self.arrays]

    def _all_images(self) -> Tensor:
        parts = {part: self._images(part) for part in self._parts()}
        shapes = {part: tuple(x.shape[1:]) for part, x in parts.items()}
        if len(set(shapes.values())) > 1:
            raise DataError(f"{self.name}: {self.path} has images of several shapes: {shapes}")
        return torch.cat(list(parts.values()))

    def _images(self, part: str) -> Tensor:
        name = f"x_{part}"
        x = self._array(self.place(), name)
        y = self.arrays[f"y_{part}"]
        if len(x) != len(y):
            raise self._wrong(name, f"has {len(x)} images, and y_{part} has {len(y)} labels")
        return as_bytes(self._in_range(name, self._channels_first(name, x)))

    def _channels_first(self, name: str, x: np.ndarray) -> Tensor:
        if x.ndim == 3:
            x = x[:, None]
        elif x.ndim == 4 and x.shape[1] not in (1, 3) and x.shape[3] in (1, 3):
            x = x.transpose(0, 3, 1, 2)
        if x.ndim != 4 or x.shape[1] not in (1, 3) or 0 in x.shape:
            shape = "x".join(map(str, x.shape))
            raise self._wrong(name, f"has shape {shape}, not (N, H, W) or (N, C, H, W)")
        return torch.from_numpy(np.ascontiguousarray(x))

    def _in_range(self, name: str, x: Tensor) -> Tensor:
        if x.dtype == torch.uint8:
            return x
        if not x.is_floating_point():
            raise self._wrong(name, f"holds {x.dtype}; give bytes (uint8) or floats in [0, 1]")
        if bad := int((~x.isfinite()).sum()):
            raise self._wrong(name, f"holds {bad} numbers that are not finite (NaN or infinite)")
        if x.min() < 0 or x.max() > 1:
            low, high = float(x.min()), float(x.max())
            raise self._wrong(name, f"reaches from {low:.3g} to {high:.3g}; floats lie in [0, 1]")
        return x.float()

    def _labels(self, part: str) -> Tensor:
        name = f"y_{part}"
        y = self.arrays[name]
        if y.ndim == 2 and y.shape[1] == 1:
            y = y[:, 0]
        if y.ndim != 1 or not len(y) or not np.issubdtype(y.dtype, np.integer):
            raise self._wrong(name, f"is {y.dtype} of shape {y.shape}, not whole numbers (N,)")
        known = len(self.arrays["classes"]) if "classes" in self.arrays else None
        highest = int(y.max())
        if y.min() < 0 or (known is not None and highest >= known):
            bad = int(y.min()) if y.min() < 0 else highest
            limit = f"0 to {known - 1}" if known else "0 up"
            raise self._wrong(name, f"has a label {bad} out of range; labels go from {limit}")
        if highest >= len(y) + 10_000:
            raise self._wrong(name, f"has a label {highest} out of range for {len(y)} labels")
        return torch.from_numpy(y.astype(np.int64))

    def _class_names(self, count: int) -> tuple[str, ...]:
        names = self.arrays.get("classes")
        if names is None:
            return tuple(map(str, range(count)))
        texts = tuple(map(str, names.tolist())) if names.ndim == 1 else ()
        if not texts or len(set(texts)) < len(texts):
            raise self._wrong("classes", "is no list of names, each once")
        return texts

    def _names(self, place: Path) -> set[str]:
        try:
            with zipfile.ZipFile(place) as archive:
                members = archive.infolist()
        except (OSError, zipfile.BadZipFile) as error:
            raise DataError(f"{self.name}: {place} is no .npz file ({error})") from error
        if (total := sum(member.file_size for member in members)) > LARGEST:
            raise DataError(f"{self.name}: {place} unpacks to {total / 2**30:.0f} GiB, too much")
        return {member.filename.removesuffix(".npy") for member in members}

    def _array(self, place: Path, name: str) -> np.ndarray:
        try:
            with np.load(place, allow_pickle=False) as file:
                return file[name]
        except ValueError as error:
            if "pickle" in str(error).lower():
                raise self._wrong(
                    name, "is a pickle, which can run code; save plain arrays"
                ) from None
            raise self._wrong(name, f"is damaged ({error})") from error
        except Exception as error:  # numpy and zipfile pass on whatever a damaged file leads to
            raise self._wrong(name, f"is damaged ({error})") from error

    def _wrong(self, name: str, what: str) -> DataError:
        return DataError(f"{self.name}: {name} in {self.path} {what}")
