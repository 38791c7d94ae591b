"""CIFAR-10 and CIFAR-100: small photographs, as data sets and as far outliers."""

from __future__ import annotations

import hashlib
import io
import pickle
import tarfile
import warnings
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from .base import Dataset, Harmless, Raw, Split, SplitName, Task, as_bytes, fingerprint
from .images import colour, in_chunks, resize
from .reading import MOST_BYTES, picture, read_file, reading
from .store import Remote, damaged

SIDE = 32
OF_10 = (
    "airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck",
)  # fmt: skip
OF_100 = (
    "apple", "aquarium_fish", "baby", "bear", "beaver", "bed", "bee", "beetle", "bicycle",
    "bottle", "bowl", "boy", "bridge", "bus", "butterfly", "camel", "can", "castle",
    "caterpillar", "cattle", "chair", "chimpanzee", "clock", "cloud", "cockroach", "couch",
    "crab", "crocodile", "cup", "dinosaur", "dolphin", "elephant", "flatfish", "forest", "fox",
    "girl", "hamster", "house", "kangaroo", "keyboard", "lamp", "lawn_mower", "leopard", "lion",
    "lizard", "lobster", "man", "maple_tree", "motorcycle", "mountain", "mouse", "mushroom",
    "oak_tree", "orange", "orchid", "otter", "palm_tree", "pear", "pickup_truck", "pine_tree",
    "plain", "plate", "poppy", "porcupine", "possum", "rabbit", "raccoon", "ray", "road",
    "rocket", "rose", "sea", "seal", "shark", "shrew", "skunk", "skyscraper", "snail", "snake",
    "spider", "squirrel", "streetcar", "sunflower", "sweet_pepper", "table", "tank",
    "telephone", "television", "tiger", "tractor", "train", "trout", "tulip", "turtle",
    "wardrobe", "whale", "willow_tree", "wolf", "woman", "worm",
)  # fmt: skip


class Cifar(Dataset):
    """One of the two sets, with a class in torchvision, ``official``.

    ``labels`` is the key of the labels in a batch. The archive is read packed or unpacked.
    """

    kind = "photo"
    fetched_unasked = False
    labels: ClassVar[str]

    @property
    @abstractmethod
    def official(self) -> Any:
        """The class of this set in torchvision."""

    def raw(self, which: SplitName) -> Raw:
        sums = self._sums(which)
        place = self._place(which) or self.store.download(self.name, self._remote())
        key = fingerprint(self.name, self.version, *sums.values())
        packed = self.store.kept(self.name, key, partial(self._read, place, sums))
        return Raw(packed[:, 1:].reshape(-1, 3, SIDE, SIDE), packed[:, :1].long())

    def transform(self, x: Tensor) -> Tensor:
        return in_chunks(_in_colour, x)

    def files(self) -> Sequence[Path]:
        archive = self.store.find(self._remote().path)
        places = [self._place(which) for which in ("train", "test")]
        return [archive] if archive else [path for path in places if path] if all(places) else []

    def where(self) -> str | None:
        files = self.files()
        return str(files[0]) if files else None

    def download(self) -> None:
        if not self.files():
            self.store.download(self.name, self._remote())

    def _remote(self) -> Remote:
        official = self.official
        return Remote(official.filename, (official.url,), official.tgz_md5)

    def _sums(self, which: SplitName) -> Mapping[str, str]:
        """The MD5 sum of each batch of one part, by its name in the archive."""
        listed = self.official.train_list if which == "train" else self.official.test_list
        return {f"{self.official.base_folder}/{file}": md5 for file, md5 in listed}

    def _place(self, which: SplitName) -> Path | None:
        """Return the folder of the unpacked batches, or the archive, or None."""
        batches = [self.store.find(batch) for batch in self._sums(which)]
        if batches[0] is not None and all(batches):
            return batches[0].parent
        return self.store.find(self._remote().path)

    def _read(self, place: Path, sums: Mapping[str, str]) -> Tensor:
        """Return the batches as bytes (N, 1 + 3072): label, then red, green and blue planes."""
        contents = self._unpacked(place, sums) if place.is_dir() else self._packed(place, sums)
        parts = []
        for batch, md5 in sums.items():
            content = contents[batch]
            # A pickle can run code, so only the very bytes that were published are loaded.
            if hashlib.md5(content, usedforsecurity=False).hexdigest() != md5:
                file = Path(batch).name
                reason = f"the MD5 sum of {file} is not the published one"
                raise damaged(self.name, place / file if place.is_dir() else place, reason)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # pickled by a NumPy of 2009, newer ones complain
                loaded = pickle.load(io.BytesIO(content), encoding="latin1")
            labels = np.asarray(loaded[self.labels], np.uint8)[:, None]
            parts.append(np.concatenate([labels, np.asarray(loaded["data"])], axis=1))
        return torch.from_numpy(np.concatenate(parts))

    def _unpacked(self, folder: Path, sums: Mapping[str, str]) -> dict[str, bytes]:
        contents = {}
        for batch in sums:
            path = folder / Path(batch).name
            with reading(self.name, path):
                contents[batch] = read_file(path)
        return contents

    def _packed(self, path: Path, sums: Mapping[str, str]) -> dict[str, bytes]:
        """Return the batches from the archive, which is read in place: nothing is unpacked."""
        contents: dict[str, bytes] = {}
        with reading(self.name, path), tarfile.open(path) as archive:
            unpacked = 0
            for member in archive:
                unpacked += member.size
                if unpacked > MOST_BYTES:
                    raise ValueError(f"it holds more than {MOST_BYTES:,} bytes")
                if member.name in sums and (file := archive.extractfile(member)):
                    contents[member.name] = file.read()
                if len(contents) == len(sums):
                    return contents
            raise ValueError(f"it has no {', '.join(sums.keys() - contents.keys())}")


class Cifar10(Cifar):
    """60 000 photographs of animals and vehicles, 32x32, in colour.

    As outliers alone, without the official files, the sheets that ConvNetJS ships will do: the
    first 4 000 training images, without labels.
    """

    name = "cifar10"
    source = "Krizhevsky, Learning multiple layers of features from tiny images (2009)"
    content = frozenset(OF_10)
    asked_for = "it takes a GPU"
    labels = "labels"
    sheets: ClassVar[tuple[str, ...]] = tuple(
        f"cifar10-ood/cifar10_batch_{i}.png" for i in range(4)
    )
    task = Task((3, SIDE, SIDE), ("object",), OF_10, Harmless(shift=4, flip=True))

    @property
    def official(self) -> Any:
        from torchvision.datasets import CIFAR10

        return CIFAR10

    def raw(self, which: SplitName) -> Raw:
        sheets = self._sheets()
        if which == "test" and self._place("test") is None and sheets:
            x = torch.cat([self._read_sheet(path) for path in sheets])
            return Raw(x, torch.full((len(x), 1), -1))
        return super().raw(which)

    def test(self) -> Split:
        """Return the official test part.

        Raises:
            DataError: it is absent and cannot be downloaded; the sheets have no labels.
        """
        self.download()
        return super().test()

    def files(self) -> Sequence[Path]:
        """Return the files of both parts, else those of the test part, else the sheets."""
        test = self._place("test")
        return super().files() or ([test] if test else self._sheets())

    def download(self) -> None:
        if not super().files():
            self.store.download(self.name, self._remote())

    def _sheets(self) -> list[Path]:
        paths = [self.store.find(sheet) for sheet in self.sheets]
        return [path for path in paths if path] if all(paths) else []

    def _read_sheet(self, path: Path) -> Tensor:
        """One image per row of the sheet, its pixels in reading order; bytes (n, 3, 32, 32)."""
        with reading(self.name, path), picture(path) as image:
            rows = np.asarray(image.convert("RGB")).reshape(-1, SIDE, SIDE, 3)
        return torch.from_numpy(rows.copy()).permute(0, 3, 1, 2).contiguous()


class Cifar100(Cifar):
    """60 000 photographs of a hundred kinds of animals, plants and things, 32x32, in colour.

    No class is one of CIFAR-10: the literature takes each set as the other's near outliers.
    """

    name = "cifar100"
    source = Cifar10.source
    content = frozenset({"CIFAR-100 class", "face", "photo"})  # flowers and houses, as in `photos`
    asked_for = Cifar10.asked_for
    met_unasked = False
    labels = "fine_labels"
    task = Task((3, SIDE, SIDE), ("object",), OF_100, Harmless(shift=4, flip=True))

    @property
    def shows_people(self) -> bool:
        return True

    @property
    def official(self) -> Any:
        from torchvision.datasets import CIFAR100

        return CIFAR100


def _in_colour(x: Tensor) -> Tensor:
    return as_bytes(resize(colour(x), SIDE, SIDE))
