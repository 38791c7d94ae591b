"""Omniglot: handwritten characters of alphabets from around the world."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path, PurePosixPath
from typing import ClassVar, NamedTuple

import numpy as np
import torch
from torch import Tensor

from .base import Raw, fingerprint
from .outliers import Outliers
from .reading import picture, read_file, read_member, reading
from .store import Remote, Stamp, damaged, stamps

SIDE = 105

# Alphabet -> characters left out because they pass for a digit, as judged by eye on the drawings.
# Latin is left out whole. These alphabets are those of the two official small sets, so the
# full archive and the small ones give the same images.
DIGIT_LIKE: Mapping[str, tuple[int, ...]] = {
    "Balinese": (5, 14),
    "Early_Aramaic": (2, 3, 4, 6, 7, 10, 12, 14, 16, 17, 20),
    "Greek": (4, 9, 15, 18),  # delta, iota, omicron, sigma
    "Japanese_(katakana)": (24, 27, 37, 42),
    "Korean": (21, 22, 27, 28, 33),
    "Sanskrit": (13, 37),
    "Tagalog": (3, 4, 16),
}


class Drawing(NamedTuple):
    """Where a drawing lies: its archive or folder, its name there, and what its content is.

    ``stamp`` is its CRC in an archive, its `Stamp` in a folder.
    """

    path: Path
    member: str
    stamp: int | Stamp


Drawings = Mapping[str, Drawing]  # by "alphabet/character/file"


class Omniglot(Outliers):
    """Characters of seven alphabets by twenty people each, 105x105, inverted to white on black."""

    name = "omniglot"
    source = (
        "Lake, Salakhutdinov and Tenenbaum, Science 350 (2015), github.com/brendenlake/omniglot"
    )
    kind = "glyph"
    content = frozenset({"character"})
    folder: ClassVar[str] = "omniglot-py"  # as torchvision names it
    small: ClassVar[tuple[str, str]] = ("images_background_small1", "images_background_small2")

    def images(self) -> Raw:
        drawings: dict[str, Drawing] = {}
        for path in self.files() or [self.store.download(self.name, self._remote())]:
            for drawing in self._drawings(path):
                key = "/".join(PurePosixPath(drawing.member).parts[-3:])
                drawings.setdefault(key, drawing)  # the small sets share two alphabets
        return self._decoded(dict(sorted(drawings.items())))

    def download(self) -> None:
        if not self.files():
            self.store.download(self.name, self._remote())

    def _remote(self) -> Remote:
        from torchvision.datasets import Omniglot as official

        file = "images_background.zip"
        return Remote(
            f"{self.folder}/{file}",
            (f"{official.download_url_prefix}/{file}",),
            official.zips_md5["images_background"],
        )

    def files(self) -> Sequence[Path]:
        """Return the full set, packed or not, else both small ones; none if one of them lacks."""
        full = self.store.find(self._remote().path, f"{self.folder}/images_background")
        if full is not None:
            return [full]
        small = [
            self.store.find(f"{self.folder}/{part}.zip", f"{self.folder}/{part}")
            for part in self.small
        ]
        return [path for path in small if path] if all(small) else []

    def _drawings(self, path: Path) -> Iterator[Drawing]:
        """Yield every drawing that is used."""
        with reading(self.name, path):
            members: list[tuple[str, int | Stamp]]
            if path.is_dir():
                members = [(f"{path.name}/{stamp.name}", stamp) for stamp in stamps([path])]
            else:
                with zipfile.ZipFile(path) as archive:
                    members = [(i.filename, i.CRC) for i in archive.infolist()]
        yield from (Drawing(path, m, stamp) for m, stamp in members if _is_used(m))

    def _decoded(self, drawings: Drawings) -> Raw:
        if not drawings:
            raise damaged(self.name, self.files()[0], "it holds none of the expected alphabets")
        contents = ((place, drawing.stamp) for place, drawing in drawings.items())
        key = fingerprint("omniglot", self.version, *contents)
        x = self.store.kept(self.name, key, partial(self._decode, drawings))
        characters = [place.rsplit("/", 1)[0] for place in drawings]
        y = np.unique(characters, return_inverse=True)[1]
        return Raw(x, torch.from_numpy(y).long().unsqueeze(1))

    def _decode(self, drawings: Drawings) -> Tensor:
        """Read every drawing; bytes (N, 1, 105, 105), ink 255."""
        with ExitStack() as stack:
            archives = {}
            for path in {d.path for d in drawings.values() if d.path.is_file()}:
                with reading(self.name, path):
                    archives[path] = stack.enter_context(zipfile.ZipFile(path))
            images = [self._read(d, archives.get(d.path)) for d in drawings.values()]
        return torch.from_numpy(np.stack(images)).unsqueeze(1)

    def _read(self, drawing: Drawing, archive: zipfile.ZipFile | None) -> np.ndarray:
        path, member, _ = drawing
        with reading(self.name, path):
            content = read_member(archive, member) if archive else read_file(path.parent / member)
            with picture(content) as image:
                pixels = 255 - np.asarray(image.convert("L"))
            if pixels.shape != (SIDE, SIDE):
                raise ValueError(f"{member} is {pixels.shape}, not {SIDE}x{SIDE}")
        return pixels


def _is_used(member: str) -> bool:
    """Return whether a path is a drawing of a character that is no digit."""
    parts = PurePosixPath(member).parts
    if len(parts) < 3 or not member.endswith(".png") or parts[-3] not in DIGIT_LIKE:
        return False
    number = parts[-2].removeprefix("character")
    return number.isdecimal() and int(number) not in DIGIT_LIKE[parts[-3]]
