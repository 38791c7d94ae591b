"""CelebA: aligned faces of well-known people, with forty attributes each."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from functools import cached_property, partial
from pathlib import Path, PurePosixPath
from typing import ClassVar, Literal, NamedTuple

import numpy as np
import torch
from joblib import Parallel, delayed
from PIL.Image import Resampling
from torch import Tensor

from .base import Dataset, Raw, Split, Splits, Task, as_bytes, fingerprint
from .errors import DataError
from .images import in_chunks, resize
from .reading import picture, read_file, read_member, reading
from .store import damaged, draft, stamps

ALIGNED = (178, 218)  # width and height of an aligned picture as published
CROP = (15, 35, 163, 183)  # left, upper, right and lower edge of its central 148x148 square
SIDE = 64  # pixels that the square is kept at
COUNT = 202_599  # pictures of the whole set
CHUNK = 256  # images resized at once: as floats they stay in the processor's cache
PARTS = ("train", "valid", "test")  # as numbered in the partition lists
ATTRIBUTES = (
    "5_o_Clock_Shadow", "Arched_Eyebrows", "Attractive", "Bags_Under_Eyes", "Bald", "Bangs",
    "Big_Lips", "Big_Nose", "Black_Hair", "Blond_Hair", "Blurry", "Brown_Hair", "Bushy_Eyebrows",
    "Chubby", "Double_Chin", "Eyeglasses", "Goatee", "Gray_Hair", "Heavy_Makeup",
    "High_Cheekbones", "Male", "Mouth_Slightly_Open", "Mustache", "Narrow_Eyes", "No_Beard",
    "Oval_Face", "Pale_Skin", "Pointy_Nose", "Receding_Hairline", "Rosy_Cheeks", "Sideburns",
    "Smiling", "Straight_Hair", "Wavy_Hair", "Wearing_Earrings", "Wearing_Hat",
    "Wearing_Lipstick", "Wearing_Necklace", "Wearing_Necktie", "Young",
)  # fmt: skip
Part = Literal["train", "valid", "test"]
Pictures = Mapping[str, tuple[str, object]]  # name -> place in the archive, stamp of its content

REPAIR = "put the published file back"


class Listing(NamedTuple):
    """The lists: of each picture its name, its attributes (N, 40), the number of its part."""

    names: Sequence[str]
    y: Tensor
    part: np.ndarray


class CelebA(Dataset):
    """Aligned faces with 40 attributes to predict at once, each there or not, in colour.

    A picture is its central 148x148 square of 178x218 (of a picture at another scale the same
    part), antialiased to 64x64: that is `raw`, which corruptions act on. The transform
    antialiases it, or any foreign image, to ``size``, and repeats a single channel.

    Training, validation and test part are those of the official list, which are disjoint in
    identity: unlike elsewhere the seed cuts no validation part. Where that list leaves a part
    empty, as it does for the first 10 000 pictures, ``list_eval_partition_subset.txt`` is read.
    A set that is not whole is called after its number of pictures, such as "celeba-10k".

    Args:
        size: pixels a side, 32 or 64.
    """

    name = "celeba"
    source = "Liu, Luo, Wang and Tang, Deep learning face attributes in the wild, ICCV 2015"
    kind = "face"
    content = frozenset({"face"})
    folder: ClassVar[str] = "celeba"  # as torchvision names it and all below
    attributes: ClassVar[str] = "list_attr_celeba.txt"
    partitions: ClassVar[tuple[str, str]] = (
        "list_eval_partition.txt",
        "list_eval_partition_subset.txt",
    )
    pictures: ClassVar[tuple[str, str]] = ("img_align_celeba", "img_align_celeba.zip")

    def __init__(self, *, size: int = 32) -> None:
        self.size = size

    @property
    def task(self) -> Task:  # type: ignore[override]
        """All attributes at once."""
        if self.size not in (32, 64):
            raise DataError(f"{self.name}: size is 32 or 64, not {self.size}")
        return Task((3, self.size, self.size), ATTRIBUTES, ("no", "yes"))

    def raw(self, which: Part) -> Raw:
        listing, (path, pictures) = self._listing, self._pictures
        rows = np.flatnonzero(listing.part == PARTS.index(which)).tolist()
        chosen = {listing.names[i]: pictures[listing.names[i]] for i in rows}
        key = fingerprint(self.name, self.version, SIDE, CROP, *chosen.items())
        places = [place for place, _ in chosen.values()]
        x = self.store.kept(self.name, f"{which}-{key}", partial(self._decode, path, places))
        return Raw(x, listing.y[rows])

    def transform(self, x: Tensor) -> Tensor:
        return in_chunks(partial(_in_colour, size=self.task.shape[-1]), x, CHUNK)

    def splits(self, seed: int) -> Splits:
        """Return the official parts, whatever the seed."""
        return Splits(self._part("train"), self._part("valid"), self.test())

    def test(self) -> Split:
        return self._part("test")

    def files(self) -> Sequence[Path]:
        folder = self._folder()
        pictures = None if folder is None else self._beside(folder)[self.pictures[1]]
        if folder is None or pictures is None:
            return []
        lists = [folder / file for file in (self.attributes, *self.partitions)]
        present = [path for path in lists if path.exists()]
        return [*present, pictures] if len(present) > 1 else []

    def where(self) -> str | None:
        folder = self._folder()
        if folder is None or not self.files():
            return None
        try:
            chosen = self._partition(folder, self._attributes(folder)[0])[0]
        except DataError as error:  # the list of data goes on
            return f"{folder} (not usable: {error})"
        return f"{folder} ({self.label}, split by {chosen.name})"

    def download(self) -> None:
        """Fetch the whole set (1.4 GB) through torchvision, which needs gdown for it."""
        from torchvision.datasets import CelebA as official
        from torchvision.datasets import utils

        if self.where() is not None:
            return
        needed = (self.attributes, self.partitions[0], self.pictures[1])
        for place, md5, file in official.file_list:
            target = self.store.root / self.folder / file
            if file not in needed or target.exists():
                continue
            try:
                with draft(target) as path:
                    folder = str(path.parent)
                    utils.download_file_from_google_drive(place, folder, path.name, md5)
            except Exception as error:  # torchvision passes on whatever gdown raises
                reason = f"the download failed: {' '.join(str(error).split())}"
                hint = "By hand: mmlab.ie.cuhk.edu.hk/projects/CelebA.html"
                raise self.store.missing(
                    self.name, f"{self.folder}/{file}", reason, hint
                ) from error

    def _part(self, part: Part) -> Split:
        raw = self.raw(part)
        x = self.transform(raw.x)
        return Split(x, raw.y, self.task, fingerprint(self.name, self.version, part, x, raw.y))

    def extent(self) -> str:
        folder = self._folder()
        if folder is None:
            return ""
        path = folder / self.attributes
        with reading(self.name, path, REPAIR), path.open(errors="replace") as file:
            first = file.readline(20).strip()
        count = int(first) if first.isdecimal() else COUNT
        if count == COUNT:
            return ""
        return f"-{count // 1000}k" if count % 1000 == 0 else f"-{count}"

    def _folder(self) -> Path | None:
        """Where the list of attributes is: lists and pictures of two folders may not agree."""
        path = self.store.find(f"{self.folder}/{self.attributes}")
        return path.parent if path else None

    def _beside(self, folder: Path) -> dict[str, Path | None]:
        """The other two things a folder must have: name -> path, or None if it is not there."""
        options = {self.partitions[0]: self.partitions, self.pictures[1]: self.pictures}
        return {
            name: next((folder / file for file in files if (folder / file).exists()), None)
            for name, files in options.items()
        }

    def _complete(self) -> Path:
        """Return the folder, or raise an error that names the first file it lacks."""
        folder = self._folder()
        beside = self._beside(folder) if folder else {self.attributes: None}
        lacking = [file for file, path in beside.items() if path is None]
        if folder is None or lacking:
            reason = "it is not fetched unasked (1.4 GB, for non-commercial research alone)"
            raise self.store.missing(self.name, f"{self.folder}/{lacking[0]}", reason)
        return folder

    @cached_property
    def _pictures(self) -> tuple[Path, Pictures]:
        """The folder or archive of pictures, and what is in it."""
        path = self._beside(self._complete())[self.pictures[1]] or Path()
        with reading(self.name, path, REPAIR):
            if path.is_dir():
                files = path.glob("[!.]*.jpg")
                return path, {file.name: (file.name, next(stamps([file]))[1:]) for file in files}
            with zipfile.ZipFile(path) as archive:
                members = {PurePosixPath(i.filename).name: i for i in archive.infolist()}
        jpegs = {n: i for n, i in members.items() if n.endswith(".jpg") and n[0] != "."}
        return path, {name: (info.filename, info.CRC) for name, info in jpegs.items()}

    @cached_property
    def _listing(self) -> Listing:
        """All rows of the lists, once they agree with each other and with the pictures."""
        folder = self._complete()
        names, y = self._attributes(folder)
        path, pictures = self._pictures
        rows = f"{folder / self.attributes}"
        self._none(set(names) - pictures.keys(), f"of {rows} without a picture in {path}", "rows")
        self._none(pictures.keys() - set(names), f"in {path} without a row in {rows}", "pictures")
        return Listing(names, y, self._partition(folder, names)[1])

    def _none(self, bad: set[str], what: str, things: str) -> None:
        """Raise an error if anything is in ``bad``."""
        if bad:
            raise DataError(
                f"{self.name}: {len(bad)} {things} {what}, the first {min(bad)}. "
                "Pictures and lists must be of one set: complete the ones or cut the others"
            )

    def _attributes(self, folder: Path) -> tuple[list[str], Tensor]:
        """Names of the pictures, and their attributes as 0 or 1, (N, 40)."""
        path = folder / self.attributes
        names, values, head = self._table(path, head=2)
        if head[1].split() != list(ATTRIBUTES):
            raise damaged(self.name, path, "line 2 is not the 40 attributes", REPAIR)
        if head[0].strip() != str(len(names)):
            reason = f"it announces {head[0].strip()} rows and has {len(names)}"
            raise damaged(self.name, path, reason, REPAIR)
        if values.shape[1] != len(ATTRIBUTES) or not np.isin(values, (-1, 1)).all():
            raise damaged(self.name, path, "rows are not 40 times -1 or 1", REPAIR)
        return names, torch.from_numpy(values > 0).long()

    def _partition(self, folder: Path, names: Sequence[str]) -> tuple[Path, np.ndarray]:
        """Return the list that fills all three parts, and the number of each picture's part."""
        lists = [folder / file for file in self.partitions if (folder / file).exists()]
        for path in lists:
            listed, values, _ = self._table(path)
            if values.shape[1] != 1 or not np.isin(values, range(len(PARTS))).all():
                raise damaged(self.name, path, "rows are not 0, 1 or 2", REPAIR)
            known = dict(zip(listed, values[:, 0].tolist(), strict=True))
            self._none(set(names) - known.keys(), f"without a row in {path}", "pictures")
            part = np.array([known[name] for name in names])
            if len(np.unique(part)) == len(PARTS):
                return path, part
        raise DataError(
            f"{self.name}: {lists[-1]} leaves a part of train, valid and test empty for these "
            f"{len(names)} pictures. Put a split of them into {folder / self.partitions[1]}"
        )

    def _table(self, path: Path, head: int = 0) -> tuple[list[str], np.ndarray, list[str]]:
        """Return names and whole numbers (N, columns) of a list, and the lines before them."""
        with reading(self.name, path, REPAIR):
            lines = read_file(path).decode("utf-8").splitlines()
            rows = [line.split(maxsplit=1) for line in lines[head:] if line.strip()]
            if len(lines) <= head or min(map(len, rows)) < 2:
                raise ValueError("a row is not a name and numbers")
            names = [row[0] for row in rows]
            values = np.loadtxt([row[1] for row in rows], dtype=np.int8, ndmin=2)
            if len(set(names)) < len(names):
                raise ValueError("a name comes twice")
        return names, values, lines[:head]

    def _decode(self, path: Path, places: Sequence[str]) -> Tensor:
        """Read pictures side by side; bytes (N, 3, 64, 64)."""
        x = np.empty((len(places), 3, SIDE, SIDE), np.uint8)

        def fill(i: int, read: Callable[[str], bytes]) -> None:
            x[i] = self._face(path, places[i], read).transpose(2, 0, 1)

        with nullcontext() if path.is_dir() else self._archive(path) as archive:
            read = (
                (lambda place: read_file(path / place))
                if archive is None
                else (lambda place: read_member(archive, place))
            )
            side_by_side = Parallel(n_jobs=-1, prefer="threads", batch_size=64)
            side_by_side(delayed(fill)(i, read) for i in range(len(places)))
        return torch.from_numpy(x)

    def _archive(self, path: Path) -> zipfile.ZipFile:
        with reading(self.name, path, REPAIR):
            return zipfile.ZipFile(path)

    def _face(self, path: Path, place: str, read: Callable[[str], bytes]) -> np.ndarray:
        """The central square of one aligned picture, (64, 64, 3)."""
        with reading(self.name, path / place, REPAIR), picture(read(place)) as image:
            image.draft("RGB", (ALIGNED[0] // 2, ALIGNED[1] // 2))  # half of it is enough
            scale = image.width / ALIGNED[0]
            if abs(image.height - scale * ALIGNED[1]) > 1:
                raise ValueError(f"{image.width}x{image.height} is no aligned picture")
            left, upper, right, lower = (edge * scale for edge in CROP)
            square = image.convert("RGB").resize(
                (SIDE, SIDE), Resampling.BILINEAR, (left, upper, right, lower)
            )
        return np.asarray(square)


def _in_colour(x: Tensor, size: int) -> Tensor:
    """Bring images to the size and to three channels; (N, c, h, w) -> bytes (N, 3, size, size)."""
    if x.shape[1] not in (1, 3):
        raise ValueError(f"images have 1 or 3 channels, not {x.shape[1]}")
    scaled = as_bytes(resize(x, size, size))
    return scaled.repeat(1, 3 // x.shape[1], 1, 1)
