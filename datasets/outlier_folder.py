"""A folder of unlabelled pictures of the user's own, as outliers.

``BENCH_OUTLIERS`` lists such folders, separated as in ``PATH``: ``near=DIR`` or ``far=DIR``; a
folder alone is far. The environment carries them, so that worker processes see them too.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import torch

from .base import Dataset, Raw, Source
from .decoding import PictureFiles, pictures_at
from .errors import DataError
from .outliers import Outliers
from .placed import Placed

VARIABLE = "BENCH_OUTLIERS"


class OutlierFolder(Placed, Outliers):
    """Pictures of the user's own, without labels, in any folders below ``path``.

    Args:
        path: the folder, or a zip archive of one.
        near: whether they are near outliers: much like the inliers.
        size: side of the pictures after decoding, in pixels.
        called: the name in results; by default that of the folder.
    """

    name = "outliers"
    hidden = ("near", "size")
    source = "the user's own files"
    kind = "photo"
    content = frozenset({"own outliers"})
    needs_path = True
    fetched_unasked = False
    by_hand = "name it with --outliers DIR"

    def __init__(
        self, *, path: str = "", near: bool = False, size: int = 32, called: str = ""
    ) -> None:
        self.path = path
        self.near = near
        self.size = size
        self.called = called

    @cached_property
    def label(self) -> str:
        """The name of the folder, but not where it lies, nor the size that the inliers have."""
        return self.label_of({"path": self.path, "called": self.called})

    def is_near(self, data: Source) -> bool:
        return self.near

    def files(self) -> Sequence[Path]:
        return [Path(self.path).expanduser()] if self.where() else []

    def where(self) -> str | None:
        return self.path if self.path and Path(self.path).expanduser().exists() else None

    @cached_property
    def pictures(self) -> PictureFiles:
        """Every picture, by its name below the folder.

        Raises:
            DataError: there is no such folder, or no picture in it.
        """
        place = Path(self.path).expanduser()
        if not self.path or not place.exists():
            raise DataError(f"{self.name}: there is no folder '{self.path}'; check --outliers")
        return pictures_at(self.name, place, self.store)

    def images(self) -> Raw:
        x = self.pictures.kept(self.name, self.store, self.size, 3)
        return Raw(x, torch.full((len(x), 1), -1))


def own_outliers(data: Dataset) -> list[OutlierFolder]:
    """Return the folders that ``BENCH_OUTLIERS`` lists, decoded at the size of ``data``.

    Recordings meet none: they are pictures.

    Raises:
        DataError: two of them have one name.
    """
    if data.modality != OutlierFolder.modality:
        return []
    made: dict[str, OutlierFolder] = {}
    for word in filter(None, os.environ.get(VARIABLE, "").split(os.pathsep)):
        near, path = _declared(word)
        one = OutlierFolder(path=path, near=near, size=max(data.task.shape[1:]))
        one.store = data.store
        other = made.setdefault(one.label, one)
        if other is not one and other != one:
            raise DataError(
                f"{VARIABLE} lists two folders called '{one.label}': {other.path} and {path}; "
                "rename one"
            )
    return list(made.values())


def _declared(word: str) -> tuple[bool, str]:
    """Return whether a folder is declared near, and the folder."""
    group, equals, path = word.partition("=")
    if equals and group in ("near", "far"):
        return group == "near", path
    return False, word
