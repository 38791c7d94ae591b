"""A folder of pictures of the user's own, with one subfolder for each class."""

from __future__ import annotations

from functools import cached_property
from typing import Any, Literal

import torch
from torch import Tensor

from .decoding import PictureFiles, pictures_at, subfolders
from .errors import DataError
from .own import PART_NAMES, Labels, OwnData


class Folder(OwnData):
    """Pictures in a subfolder for each class, or in train/, val/ and test/ with such subfolders.

    Any size and format that Pillow reads; the central square is kept. They are decoded once, and
    again when a file is added, removed or changed. A zip archive of such a folder will do.

    Args:
        size: side of the pictures after decoding, in pixels.
        channels: 3 for colour, 1 for grey.
    """

    name = "folder"

    def __init__(self, *, size: int = 32, channels: Literal[1, 3] = 3, **inherited: Any) -> None:
        super().__init__(**inherited)
        self.size = size
        self.channels = channels

    @property
    def shape(self) -> tuple[int, int, int]:
        return (self.channels, self.size, self.size)

    @cached_property
    def pictures(self) -> PictureFiles:
        """Every picture, by its name below the folder.

        Raises:
            DataError: there is no such folder, or no picture in it.
        """
        self._check_parameters()
        place = self.place()
        return pictures_at(self.name, place, self.store)

    def read_labels(self) -> Labels:
        by_part = self._has_parts()
        parts, classes = [], []
        for name in self.pictures.names:
            folders = name.split("/")[:-1]
            part = PART_NAMES[folders.pop(0).lower()] if by_part and folders else "train"
            if not folders:
                raise DataError(
                    f"{self.name}: {self.path}/{name} lies beside the folders of the classes, "
                    "so its class is unknown; move it into one or delete it"
                )
            parts.append(part)
            classes.append(folders[0])
        known = tuple(sorted(set(classes)))
        index = {name: i for i, name in enumerate(known)}
        y = torch.tensor([index[name] for name in classes])
        return Labels(y, known, tuple(parts))

    def read_images(self) -> Tensor:
        return self.pictures.kept(self.name, self.store, self.size, self.channels)

    def _has_parts(self) -> bool:
        """Return whether the folders are parts; a class may be called "train", as a vehicle is."""
        names = [path.name.lower() for path in subfolders(self.pictures.root)]
        parts = {PART_NAMES[name] for name in names if name in PART_NAMES}
        if "train" not in parts:
            return False
        others = [name for name in names if name not in PART_NAMES]
        with_classes = any(
            PART_NAMES.get(name.split("/")[0].lower()) == "train" and name.count("/") > 1
            for name in self.pictures.names
        )
        if others and with_classes:
            raise DataError(
                f"{self.name}: {self.path} has train/ with folders in it beside {others[0]}/; "
                "name the other parts val and test, or move the classes up"
            )
        return not others and with_classes

    def _check_parameters(self) -> None:
        if self.channels not in (1, 3):
            raise DataError(f"{self.name}: channels is 1 or 3, not {self.channels}")
        if not 1 <= self.size <= 1024:
            raise DataError(f"{self.name}: size is from 1 to 1024 pixels, not {self.size}")
