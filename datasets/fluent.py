"""Fluent Speech Commands: spoken commands to appliances at home."""

from __future__ import annotations

import csv
from pathlib import Path

from .base import Task
from .errors import DataError
from .speech import Listing, Part, Speech
from .store import damaged
from .waves import Clip

FILES: dict[Part, str] = {
    "train": "train_data.csv",
    "val": "valid_data.csv",
    "test": "test_data.csv",
}


class Fluent(Speech):
    """30 043 commands of 97 speakers, 16 kHz, by 6 actions; official parts, disjoint in speakers.

    A command is a sentence, so four seconds of it are used; the download asks for a form.
    """

    name = "fluent"
    source = "Lugosch et al. 2019, arXiv:1904.03670"
    content = frozenset({"spoken command"})
    task = Task(
        (1, 32, 32),
        ("action",),
        ("activate", "bring", "change language", "deactivate", "decrease", "increase"),
    )
    split = "official parts"
    count = 30_043
    unseen_speakers = True
    seconds = 4
    folder = "fluent_speech_commands_dataset"  # as torchaudio names it
    by_hand = f"Ask fluent.ai for it and unpack {folder}/ into one of these folders"

    @property
    def remedy(self) -> str:
        return "put the published one back"

    def place(self) -> Path | None:
        table = self.store.find(f"{self.folder}/data/{FILES['train']}")
        return table.parent.parent if table else None

    def absent(self, table: str = FILES["train"]) -> DataError:
        file = f"{self.folder}/data/{table}"
        return self.store.missing(self.name, file, "it has no open download", self.by_hand)

    def listed(self, place: Path) -> Listing:
        return {part: self._rows(place, place / "data" / file) for part, file in FILES.items()}

    def download(self) -> None:
        if self.place() is None:
            raise self.absent()

    def _rows(self, place: Path, table: Path) -> list[Clip]:
        """Return the recordings in the table of one part."""
        try:
            with table.open(encoding="utf-8", newline="") as file:
                return [
                    self._clip(place, row, number)
                    for number, row in enumerate(csv.DictReader(file), start=2)
                ]
        except FileNotFoundError:
            raise self.absent(table.name) from None
        except (OSError, ValueError, csv.Error) as error:
            raise damaged(self.name, table, error, self.remedy) from error

    def _clip(self, place: Path, row: dict[str, str | None], number: int) -> Clip:
        path, action, speaker = (row.get(key) for key in ("path", "action", "speakerId"))
        if not path or not speaker or action not in self.task.classes:
            raise ValueError(f"line {number} lacks a path, a speakerId, or one of the six actions")
        if not (place / path).is_file():
            raise ValueError(f"line {number} names {path}, which is not there")
        return Clip(place / path, "", self.task.classes.index(action), speaker)
