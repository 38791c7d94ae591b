"""The Free Spoken Digit Dataset."""

from __future__ import annotations

import re
from pathlib import Path
from typing import ClassVar

from .base import Task
from .speech import Listing, Part, Speech, clone
from .store import damaged
from .waves import Clip, members

TEST_TAKES = 5  # of the fifty of each digit and speaker, the first five


class Fsdd(Speech):
    """3 000 spoken digits of 6 speakers, 8 kHz; test: takes 0-4 of everybody (official).

    As published the speakers of training and test part are the same; the scenario ``speaker``
    holds one of them out.
    """

    name = "fsdd"
    source = "Jackson et al., Free Spoken Digit Dataset, github.com/Jakobovski (CC BY-SA 4.0)"
    content = frozenset({"spoken digit"})
    task = Task((1, 32, 32), ("digit",), tuple("0123456789"))
    split = "test: takes 0-4"
    count = 3000
    unseen_speakers = False
    folder = "free-spoken-digit-dataset"  # as the repository is called
    url: ClassVar[str] = "https://github.com/Jakobovski/free-spoken-digit-dataset"

    def place(self) -> Path | None:
        return self.store.find(f"{self.folder}/recordings", f"{self.folder}/recordings.zip")

    def listed(self, place: Path) -> Listing:
        found: dict[Part, list[Clip]] = {"train": [], "val": [], "test": []}
        for path, member in members(self.name, place, self.remedy):
            words = re.fullmatch(r"(\d)_(\w+)_(\d+)\.wav", Path(member or path).name)
            if words is None:
                reason = f"{member or path.name} is not called digit_speaker_take.wav"
                raise damaged(self.name, place, reason, self.remedy)
            part: Part = "test" if int(words[3]) < TEST_TAKES else "train"
            found[part].append(Clip(path, member, int(words[1]), words[2]))
        return found

    def download(self) -> None:
        if self.place() is None:
            clone(self, self.url, self.folder)
