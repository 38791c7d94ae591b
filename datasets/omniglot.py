"""Omniglot: handwritten characters of alphabets from around the world."""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Mapping
from functools import partial
from pathlib import Path, PurePosixPath
from typing import ClassVar

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from .base import Raw, fingerprint
from .outliers import Outliers
from .store import Remote, damaged

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

Drawings = dict[str, tuple[Path, str]]  # "alphabet/character/file" -> archive or folder, member


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
        drawings: Drawings = {}
        for path in self._found() or [self.store.download(self.name, self._remote())]:
            for place, member in self._members(path):
                drawings.setdefault(place, (path, member))  # the small sets share two alphabets
        return self._decoded(dict(sorted(drawings.items())))

    def where(self) -> str | None:
        found = self._found()
        return ", ".join(map(str, found)) if found else None

    def download(self) -> None:
        if not self._found():
            self.store.download(self.name, self._remote())

    def _remote(self) -> Remote:
        from torchvision.datasets import Omniglot as official

        file = "images_background.zip"
        return Remote(
            f"{self.folder}/{file}",
            (f"{official.download_url_prefix}/{file}",),
            official.zips_md5["images_background"],
        )

    def _found(self) -> list[Path]:
        """The full set, packed or not, else both small ones; none if anything lacks."""
        full = self.store.find(self._remote().path, f"{self.folder}/images_background")
        if full is not None:
            return [full]
        small = [
            self.store.find(f"{self.folder}/{part}.zip", f"{self.folder}/{part}")
            for part in self.small
        ]
        return [path for path in small if path] if all(small) else []

    def _members(self, path: Path) -> list[tuple[str, str]]:
        """(alphabet/character/file, member) of every drawing that is used."""
        try:
            if path.is_dir():
                members = [p.relative_to(path.parent).as_posix() for p in path.rglob("*.png")]
            else:
                with zipfile.ZipFile(path) as archive:
                    members = archive.namelist()
        except (OSError, zipfile.BadZipFile) as error:
            raise damaged(self.name, path, error) from error
        return [("/".join(PurePosixPath(m).parts[-3:]), m) for m in members if _is_used(m)]

    def _decoded(self, drawings: Drawings) -> Raw:
        if not drawings:
            path = self._found()[0]
            raise damaged(self.name, path, "it holds none of the expected alphabets")
        key = fingerprint("omniglot", self.version, *drawings)
        x = self.store.kept(self.name, key, partial(self._decode, drawings))
        characters = [place.rsplit("/", 1)[0] for place in drawings]
        y = np.unique(characters, return_inverse=True)[1]
        return Raw(x, torch.from_numpy(y).long().unsqueeze(1))

    def _decode(self, drawings: Drawings) -> Tensor:
        """Read every drawing; bytes (N, 1, 105, 105), ink 255."""
        archives = {p: zipfile.ZipFile(p) for p in {p for p, _ in drawings.values()} if p.is_file()}
        try:
            images = [
                self._read(path, member, archives.get(path)) for path, member in drawings.values()
            ]
        finally:
            for archive in archives.values():
                archive.close()
        return torch.from_numpy(np.stack(images)).unsqueeze(1)

    def _read(self, path: Path, member: str, archive: zipfile.ZipFile | None) -> np.ndarray:
        try:
            content = archive.read(member) if archive else (path.parent / member).read_bytes()
            with Image.open(io.BytesIO(content)) as image:
                drawing = 255 - np.asarray(image.convert("L"))
            if drawing.shape != (SIDE, SIDE):
                raise ValueError(f"{member} is {drawing.shape}, not {SIDE}x{SIDE}")
        except (OSError, SyntaxError, ValueError, zipfile.BadZipFile, zlib.error) as error:
            raise damaged(self.name, path, error) from error
        return drawing


def _is_used(member: str) -> bool:
    """Tell whether a path is a drawing of a character that is kept."""
    parts = PurePosixPath(member).parts
    if len(parts) < 3 or not member.endswith(".png") or parts[-3] not in DIGIT_LIKE:
        return False
    number = parts[-2].removeprefix("character")
    return number.isdecimal() and int(number) not in DIGIT_LIKE[parts[-3]]
