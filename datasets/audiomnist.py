"""AudioMNIST: spoken digits of sixty people."""

from __future__ import annotations

import re
from pathlib import Path
from typing import ClassVar

from .base import Task
from .speech import Listing, Part, Speech, clone
from .store import damaged
from .waves import Clip, members

# The first of the five speaker-disjoint splits for digits that its authors publish.
TEST_SPEAKERS = frozenset({5, 13, 18, 22, 26, 32, 33, 42, 45, 51, 52, 60})
VAL_SPEAKERS = frozenset({4, 11, 12, 15, 21, 27, 31, 41, 44, 47, 50, 59})


class AudioMnist(Speech):
    """30 000 spoken digits, 48 kHz; 36, 12 and 12 of 60 speakers train, validate, test (official).

    The parts are those of the first of the authors' five splits, disjoint in speakers.
    """

    name = "audiomnist"
    source = "Becker et al. 2018, arXiv:1807.03418"
    content = frozenset({"spoken digit"})
    task = Task((1, 32, 32), ("digit",), tuple("0123456789"))
    split = "test: 12 speakers, the authors' first split"
    count = 30_000
    unseen_speakers = True
    folder = "AudioMNIST"  # as the repository is called
    url: ClassVar[str] = "https://github.com/soerenab/AudioMNIST"

    def place(self) -> Path | None:
        return self.store.find(f"{self.folder}/data")

    def listed(self, place: Path) -> Listing:
        found: dict[Part, list[Clip]] = {"train": [], "val": [], "test": []}
        for path, _ in members(self.name, place, self.remedy):
            words = re.fullmatch(r"(\d)_(\d\d)_\d+\.wav", path.name)
            if words is None or words[2] != path.parent.name:
                reason = f"{path.relative_to(place)} is not called speaker/digit_speaker_take.wav"
                raise damaged(self.name, place, reason, self.remedy)
            found[part_of(int(words[2]))].append(Clip(path, "", int(words[1]), words[2]))
        return found

    def download(self) -> None:
        if self.place() is None:
            clone(self, self.url, self.folder)


def part_of(speaker: int) -> Part:
    """Return the part that a speaker is heard in."""
    if speaker in TEST_SPEAKERS:
        return "test"
    return "val" if speaker in VAL_SPEAKERS else "train"
