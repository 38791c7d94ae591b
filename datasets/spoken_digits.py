"""Spoken digits: the Free Spoken Digit Dataset, and AudioMNIST of sixty people."""

from __future__ import annotations

import re
from abc import abstractmethod
from pathlib import Path
from typing import ClassVar

from .base import Task
from .speech import Listing, Part, Speech, clone
from .store import damaged
from .waves import Clip, members

TEST_TAKES = 5  # of the fifty of each digit and speaker, the first five
# The first of the five speaker-disjoint splits for digits that AudioMNIST's authors publish.
TEST_SPEAKERS = frozenset({5, 13, 18, 22, 26, 32, 33, 42, 45, 51, 52, 60})
VAL_SPEAKERS = frozenset({4, 11, 12, 15, 21, 27, 31, 41, 44, 47, 50, 59})


class SpokenDigits(Speech):
    """Ten digits, a recording a file, published as a Git repository."""

    content = frozenset({"spoken digit"})
    task = Task((1, 32, 32), ("digit",), tuple("0123456789"))
    url: ClassVar[str]
    within: ClassVar[str]  # where the recordings lie in the repository
    called: ClassVar[str]  # the form of their files' names, in words
    pattern: ClassVar[str]  # and as a regular expression with digit, speaker and take

    @abstractmethod
    def part_of(self, speaker: str, take: int) -> Part:
        """Return the part that a recording belongs to."""

    def place(self) -> Path | None:
        inside = f"{self.folder}/{self.within}"
        return self.store.find(inside, f"{inside}.zip")

    def listed(self, place: Path) -> Listing:
        clips: dict[Part, list[Clip]] = {"train": [], "val": [], "test": []}
        for path, member in members(self.name, place, self.remedy):
            name = member or path.relative_to(place).as_posix()
            words = re.fullmatch(f"(.*/)?{self.pattern}", name)
            if words is None:
                reason = f"{name} is not called {self.called}"
                raise damaged(self.name, place, reason, self.remedy)
            part = self.part_of(words["speaker"], int(words["take"]))
            clips[part].append(Clip(path, member, int(words["digit"]), words["speaker"]))
        return clips

    def download(self) -> None:
        if self.place() is None:
            clone(self, self.url, self.folder)


class Fsdd(SpokenDigits):
    """3 000 spoken digits of 6 speakers, 8 kHz; test: takes 0-4 of everybody (official).

    In the published parts the speakers of training and test are the same; the scenario ``speaker``
    holds one of them out.
    """

    name = "fsdd"
    source = "Jackson et al., Free Spoken Digit Dataset, github.com/Jakobovski (CC BY-SA 4.0)"
    split = "test: takes 0-4"
    count = 3000
    unseen_speakers = False
    url = "https://github.com/Jakobovski/free-spoken-digit-dataset"
    folder, within = "free-spoken-digit-dataset", "recordings"  # as the repository is called
    called = "digit_speaker_take.wav"
    pattern = r"(?P<digit>\d)_(?P<speaker>\w+)_(?P<take>\d+)\.wav"

    def part_of(self, speaker: str, take: int) -> Part:
        return "test" if take < TEST_TAKES else "train"


class AudioMnist(SpokenDigits):
    """30 000 spoken digits, 48 kHz; 36, 12 and 12 of 60 speakers train, validate, test (official).

    The parts are those of the first of the authors' five splits, disjoint in speakers.
    """

    name = "audiomnist"
    source = "Becker et al. 2018, arXiv:1807.03418"
    split = "test: 12 speakers, the authors' first split"
    count = 30_000
    unseen_speakers = True
    url = "https://github.com/soerenab/AudioMNIST"
    folder, within = "AudioMNIST", "data"  # as the repository is called
    called = "speaker/digit_speaker_take.wav"
    pattern = r"(?P<speaker>\d\d)/(?P<digit>\d)_(?P=speaker)_(?P<take>\d+)\.wav"

    def part_of(self, speaker: str, take: int) -> Part:
        if int(speaker) in TEST_SPEAKERS:
            return "test"
        return "val" if int(speaker) in VAL_SPEAKERS else "train"
