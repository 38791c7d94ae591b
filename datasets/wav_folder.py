"""A folder of wav files of the user's own, with a table that says what each one is."""

from __future__ import annotations

import csv
from functools import cached_property
from pathlib import Path
from typing import cast

import torch

from .base import Split, Splits, Task, fingerprint
from .errors import DataError
from .own import PART_NAMES, TEST_SHARE
from .placed import Placed
from .speech import PARTS, Listing, Part, Speech
from .waves import Clip


class WavFolder(Placed, Speech):
    """Recordings below ``path``, and a CSV table ``file,label[,speaker][,split]`` among them.

    A recording is seen as a log-mel spectrogram of ``seconds`` around the centre of its energy, at
    8 kHz. ``split`` is train, val or test; without it a fifth is the test part, the same for every
    seed, and a twelfth of the rest is the validation part, by seed.

    Args:
        path: the folder.
        table: the name of the table in it.
        seconds: how much of a recording is seen; shorter ones are filled with silence.
        holds: words for the classes: a source that holds one of them is no outlier set.
        called: the name in results; by default that of the folder.
    """

    name = "wav_folder"
    hidden = ("table", "holds")
    source = "the user's own files"
    content = frozenset({"own recordings"})
    tags = frozenset()
    needs_path = True
    by_hand = "name it with its place, as in --datasets wav_folder:path=DIR"
    asked_for = "it needs path="
    split = "the parts of its table"
    count = 0

    def __init__(
        self,
        *,
        path: str = "",
        table: str = "labels.csv",
        seconds: int = 1,
        holds: tuple[str, ...] = (),
        called: str = "",
    ) -> None:
        self.path = path
        self.table = table
        self.seconds = seconds
        self.holds = holds
        self.called = called
        if holds:
            self.content = frozenset(holds)

    @property
    def task(self) -> Task:  # type: ignore[override]
        """One target with the labels of the table as classes, in alphabetical order."""
        if not self.path:
            return Task((1, 32, 32), ("class",), ())
        return Task((1, 32, 32), ("class",), self.classes)

    @property
    def unseen_speakers(self) -> bool:  # type: ignore[override]
        """Whether nobody speaks in both training and test part."""
        spoken = {part: {clip.speaker for clip in self.clips[part]} for part in PARTS}
        return not spoken["train"] & spoken["test"]

    @property
    def remedy(self) -> str:
        return "take it out of the table"

    def place(self) -> Path | None:
        place = Path(self.path).expanduser()
        return place if self.path and place.is_dir() else None

    def absent(self) -> DataError:
        if not self.path:
            return DataError(f"{self.name}: say where the data is, as in {self.name}:path=FOLDER")
        return DataError(f"{self.name}: there is no folder {self.path}; check path=")

    def where(self) -> str | None:
        return self.path if self.place() else None

    def download(self) -> None:
        if self.place() is None:
            raise self.absent()

    @cached_property
    def rows(self) -> list[dict[str, str]]:
        """The lines of the table.

        Raises:
            DataError: it is not there, has no line, or lacks a column or a file.
        """
        place = self.place()
        if place is None:
            raise self.absent()
        table = place / self.table
        try:
            with table.open(encoding="utf-8-sig", newline="") as file:
                reader = csv.DictReader(file)
                rows = [{k: (v or "").strip() for k, v in row.items() if k} for row in reader]
        except (OSError, ValueError, csv.Error) as error:
            reason = getattr(error, "strerror", None) or error
            raise DataError(f"{self.name}: {table} cannot be read ({reason})") from error
        if not rows or not {"file", "label"} <= rows[0].keys():
            columns = ", ".join(rows[0]) if rows else "no line"
            raise DataError(
                f"{self.name}: {table} lacks the columns file and label; it has {columns}"
            )
        for number, row in enumerate(rows, start=2):
            self._check(table, number, row)
        return rows

    @cached_property
    def classes(self) -> tuple[str, ...]:
        """The labels of the table, in alphabetical order."""
        return tuple(sorted({row["label"] for row in self.rows}))

    def listed(self, place: Path) -> Listing:
        if len(self.classes) < 2:
            raise DataError(
                f"{self.name}: {self.path} has one class alone ('{self.classes[0]}'); "
                "a classifier needs two or more"
            )
        listed: dict[Part, list[Clip]] = {"train": [], "val": [], "test": []}
        for row, part in zip(self.rows, self._parts(), strict=True):
            label = self.classes.index(row["label"])
            clip = Clip(place / row["file"], "", label, row.get("speaker") or "unknown")
            listed[part].append(clip)
        learned = {clip.label for clip in listed["train"]}
        for label, name in enumerate(self.classes):
            if label not in learned:
                raise DataError(
                    f"{self.name}: class '{name}' of {self.path} is missing from the training part"
                )
        return listed

    def splits(self, seed: int) -> Splits:
        if self.clips["val"]:
            return super().splits(seed)
        whole = self.part("train")
        parts = self.cut(whole.y[:, 0], self.val_share, "val", seed)
        train, val = (_taken(whole, rows) for rows in parts)
        return Splits(train, val, self.test())

    def _parts(self) -> list[Part]:
        """Return the part of each recording; a fifth is cut off for the test if none is named."""
        named = [row.get("split", "").lower() for row in self.rows]
        parts = [cast(Part, PART_NAMES.get(name, "train")) for name in named]
        if "test" in parts:
            return parts
        index = {name: i for i, name in enumerate(self.classes)}
        y = torch.tensor([index[row["label"]] for row in self.rows])
        fewest = y.bincount()
        if int(fewest.min()) < 3:
            name = self.classes[int(fewest.argmin())]
            raise DataError(
                f"{self.name}: class '{name}' of {self.path} has {int(fewest.min())} recordings, "
                "and 3 are needed to cut off a test and a val part; add some, or leave it out"
            )
        rows = torch.tensor([i for i, part in enumerate(parts) if part == "train"])
        _, test = self.cut(y[rows], TEST_SHARE, "test")
        for row in rows[test].tolist():
            parts[row] = "test"
        return parts

    def _check(self, table: Path, number: int, row: dict[str, str]) -> None:
        where = f"{self.name}: line {number} of {table}"
        if not row["file"] or not row["label"]:
            raise DataError(f"{where} lacks a file or a label")
        if not (table.parent / row["file"]).is_file():
            raise DataError(f"{where} names {row['file']}, which is not there")
        if (part := row.get("split", "").lower()) and part not in PART_NAMES:
            raise DataError(f"{where} has split '{part}'; it is train, val or test")


def _taken(whole: Split, rows: torch.Tensor) -> Split:
    x, y = whole.x[rows], whole.y[rows]
    who = None if whole.attributes is None else whole.attributes[rows]
    digest = fingerprint(whole.fingerprint, rows)
    return Split(x, y, whole.task, digest, who, whole.attribute_names)
