"""What the sets of spoken words share: their parts, their speakers, and sets without some speakers.

`raw` gives waveforms at 8 kHz, which corruptions act on; the transform makes spectrograms of
them, as `waves` says.

Every set comes down to the lowest rate among them, since otherwise a set could be told from
another by whether there is anything above 4 kHz.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import cached_property, partial
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
import torch
from sklearn.model_selection import train_test_split
from torch import Tensor

from .base import Dataset, Raw, Split, SplitName, Splits, derive_seed, fingerprint
from .errors import DataError
from .images import in_chunks
from .store import damaged, draft
from .variant import Variant
from .waves import CHUNK, CONSTANTS, FULL_SCALE, RATE, Clip, log_mel, waveforms

Part = Literal["train", "val", "test"]
PARTS: tuple[Part, ...] = ("train", "val", "test")
Listing = Mapping[Part, Sequence[Clip]]


class Speech(Dataset):
    """Recordings with one class each. A subclass writes `place`, `listed` and `split`.

    A set of fewer recordings than the published ``count`` is called after its number, such as
    "fsdd-600". Every part tells the index of the speaker of each recording, as its attribute.
    """

    kind = "speech"
    tags: ClassVar[frozenset[str]] = frozenset({"speech"})
    fetched_unasked = False
    folder: ClassVar[str]
    split: ClassVar[str]  # how training and test part were told apart, in words
    count: ClassVar[int]
    unseen_speakers: ClassVar[bool]  # True: nobody speaks in both training and test part
    seconds: ClassVar[int] = 1
    asked: str = ""

    @abstractmethod
    def place(self) -> Path | None:
        """Return the folder or archive that the recordings are in, or None."""

    @abstractmethod
    def listed(self, place: Path) -> Listing:
        """Return the recordings of each part; without any for "val", it is cut from "train".

        Raises:
            DataError: a file is damaged, or one that is listed is not there.
        """

    @property
    def remedy(self) -> str:
        """What else to do once a damaged file is deleted."""
        again = f"run: python -m bench data download {self.name}"
        return f"put the published one back, or delete all of {self.folder} and {again}"

    @property
    def label(self) -> str:
        """The name that was asked for, which says of a part of the set how large it is."""
        return (self.asked or self.name).replace(self.name, f"{self.name}{self.extent()}", 1)

    @label.setter
    def label(self, asked: str) -> None:
        self.asked = asked

    def extent(self) -> str:
        """Return a suffix for the label, such as "-600"; none for the whole set, or for no set."""
        with suppress(DataError):
            found = sum(map(len, self.clips.values()))
            return "" if found == self.count else f"-{found}"
        return ""

    @cached_property
    def clips(self) -> Listing:
        """The recordings of each part."""
        place = self.place()
        if place is None:
            raise self.absent()
        found = self.listed(place)
        for part in ("train", "test"):
            if not found[part]:
                raise damaged(self.name, place, f"it has no {part} recordings", self.remedy)
        return found

    @cached_property
    def speakers(self) -> tuple[str, ...]:
        """Everybody who speaks in any part, in alphabetical order."""
        return tuple(sorted({clip.speaker for part in self.clips.values() for clip in part}))

    def absent(self) -> DataError:
        """Return the error for a set that is not there; it is never fetched unasked."""
        return self.store.missing(self.name, self.folder, "it is not fetched unasked")

    def where(self) -> str | None:
        place = self.place()
        return None if place is None else f"{place} ({self.label}; {self.split})"

    def raw(self, which: SplitName) -> Raw:
        """Return recordings as 16-bit samples at 8 kHz, (N, 1, 1, samples), and their classes."""
        return Raw(self._waves(which), self._labels(which))

    def transform(self, x: Tensor) -> Tensor:
        """Turn recordings (N, 1, 1, samples), 16-bit or in [-1, 1], into bytes (N, 1, 32, 32).

        Raises:
            DataError: these are images.
        """
        if x.shape[1:3] != (1, 1) or not (x.dtype == torch.int16 or x.is_floating_point()):
            shape = "x".join(map(str, x.shape[1:]))
            raise DataError(f"{self.name}: inputs are sounds, and images of {shape} are none")
        return in_chunks(partial(log_mel, samples=self.seconds * RATE), x, CHUNK)

    def splits(self, seed: int) -> Splits:
        """Return the official parts; without an official validation part it is cut by seed."""
        train, test = self.part("train"), self.test()
        if self.clips["val"]:
            return Splits(train, self.part("val"), test)
        rows = train_test_split(
            np.arange(len(train)), test_size=self.val_share, stratify=train.y[:, 0].numpy(),
            random_state=derive_seed(self.name, "val", seed),
        )  # fmt: skip
        cut, val = (torch.from_numpy(np.sort(part)) for part in rows)
        return Splits(taken(train, cut, "train", seed), taken(train, val, "val", seed), test)

    def test(self) -> Split:
        return self.part("test")

    def part(self, part: Part) -> Split:
        """Return one part whole, with the index of each speaker as attribute."""
        key = fingerprint(self._key(part), *CONSTANTS)
        make = lambda: self.transform(self._waves(part))  # noqa: E731
        x, y = self.store.kept(self.name, f"log-mel-{part}-{key}", make), self._labels(part)
        index = {speaker: i for i, speaker in enumerate(self.speakers)}
        who = torch.tensor([[index[clip.speaker]] for clip in self.clips[part]])
        mark = fingerprint(self.name, self.version, x, y)
        return Split(x, y, self.task, mark, who, ("speaker",))

    def _labels(self, part: Part) -> Tensor:
        return torch.tensor([[clip.label] for clip in self.clips[part]])

    def _waves(self, part: Part) -> Tensor:
        read = partial(waveforms, self.name, self.clips[part], self.seconds, self.remedy)
        return self.store.kept(self.name, f"waves-{part}-{self._key(part)}", read)

    def _key(self, part: Part) -> str:
        """What the samples of a part depend on: names, sizes and times of files."""
        clips = self.clips[part]
        stamps = {path: path.stat() for path in {clip.path for clip in clips}}
        of = ((c.path.name, c.member, c.start, *_stamp(stamps[c.path])) for c in clips)
        return fingerprint(self.name, self.version, RATE, FULL_SCALE, self.seconds, *of)


class WithoutSpeakers(Variant):
    """``base`` without some speakers in any part.

    Raises:
        DataError: the base has no such speaker, or no other.
    """

    base: Speech

    def __init__(self, base: Speech, who: Sequence[str]) -> None:
        if unknown := set(who) - set(base.speakers):
            known = ", ".join(base.speakers)
            raise DataError(f"{base.label} has no speaker '{min(unknown)}'. Known: {known}.")
        if len(set(who)) == len(base.speakers):
            raise DataError(f"{base.label}: without {'+'.join(who)} nobody is left to learn from")
        super().__init__(base, f"speaker={'+'.join(who)}")
        vars(self)["task"] = base.task
        self.who = tuple(who)

    def raw(self, which: SplitName) -> Raw:
        raw, rows = self.base.raw(which), ~self._speaks(self.base.part(which))
        return Raw(raw.x[rows], raw.y[rows])

    def splits(self, seed: int) -> Splits:
        return Splits(*(self._without(part) for part in self.base.splits(seed)))

    def test(self) -> Split:
        return self._without(self.base.test())

    def outliers(self) -> Split:
        """Return every recording of the speakers held out, from all parts, with its class."""
        parts = [self.base.part(part) for part in PARTS if self.base.clips[part]]
        found = [taken(part, self._speaks(part).nonzero()[:, 0]) for part in parts]
        x, y = torch.cat([part.x for part in found]), torch.cat([part.y for part in found])
        return Split(x, y, self.task, fingerprint(self.name, self.version, x, y))

    def _without(self, part: Split) -> Split:
        return taken(part, (~self._speaks(part)).nonzero()[:, 0], "without", *self.who)

    def _speaks(self, part: Split) -> Tensor:
        """Tell of each recording whether one of the speakers held out is heard, (N,)."""
        held = torch.tensor([self.base.speakers.index(name) for name in self.who])
        return torch.isin(part.attribute("speaker"), held)


def taken(part: Split, rows: Tensor, *names: object) -> Split:
    """Return some inputs of a part; ``names`` and what was taken go into its fingerprint."""
    attributes = None if part.attributes is None else part.attributes[rows]
    mark = fingerprint(part.fingerprint, rows, *names)
    return replace(part, x=part.x[rows], y=part.y[rows], attributes=attributes, fingerprint=mark)


def _stamp(about: os.stat_result) -> tuple[int, int]:
    """What tells one content of a file from another without reading it."""
    return about.st_size, about.st_mtime_ns


def clone(source: Dataset, url: str, folder: str) -> None:
    """Fetch a set that is published as a Git repository into a folder below the data root.

    Raises:
        DataError: there is no network, or no Git.
    """
    git = shutil.which("git")
    hint = f"By hand: git clone {url} in one of these folders"
    if git is None:
        raise source.store.missing(source.name, folder, "there is no git to fetch it with", hint)
    with draft(source.store.root / folder) as target:
        words = [git, "clone", "--quiet", "--depth", "1", url, str(target)]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        if done.returncode:
            reason = f"git clone failed: {' '.join(done.stderr.split())}"
            raise source.store.missing(source.name, folder, reason, hint)
