"""Base class of sets of spoken words, and sets without some of their speakers.

`raw` gives waveforms at 8 kHz, which corruptions act on; the transform turns them into
spectrograms, see `waves`.

All sets are brought to the lowest rate among them: otherwise frequencies above 4 kHz would tell
one set from another.
"""

from __future__ import annotations

import shutil
import subprocess
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import cached_property, partial
from pathlib import Path
from typing import ClassVar, Literal

import torch
from torch import Tensor

from .base import Dataset, Raw, Split, SplitName, Splits, fingerprint
from .errors import DataError
from .images import in_chunks
from .store import damaged, draft, stamps
from .variant import Variant
from .waves import CHUNK, CONSTANTS, FULL_SCALE, RATE, Clip, log_mel, waveforms

Part = Literal["train", "val", "test"]
PARTS: tuple[Part, ...] = ("train", "val", "test")
Listing = Mapping[Part, Sequence[Clip]]


class Speech(Dataset):
    """Recordings with one class each. A subclass writes `place`, `listed` and `split`.

    A set of fewer recordings than the published ``count`` is named after its number, such as
    "fsdd-600". Every part has the index of the speaker of each recording as an attribute.
    """

    kind = "speech"
    modality = "sound"
    tags: ClassVar[frozenset[str]] = frozenset({"speech"})
    fetched_unasked = False
    folder: ClassVar[str]
    split: ClassVar[str]  # the rule that separates training and test part, in words
    count: ClassVar[int]
    unseen_speakers: bool  # True: nobody speaks in both training and test part
    seconds: int = 1

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

    def extent(self) -> str:
        with suppress(DataError):
            count = sum(map(len, self.clips.values()))
            return "" if count == self.count else f"-{count}"
        return ""

    @cached_property
    def clips(self) -> Listing:
        """The recordings of each part."""
        place = self.place()
        if place is None:
            raise self.absent()
        clips = self.listed(place)
        for part in ("train", "test"):
            if not clips[part]:
                raise damaged(self.name, place, f"it has no {part} recordings", self.remedy)
        return clips

    @cached_property
    def speakers(self) -> tuple[str, ...]:
        """The speakers of all parts, in alphabetical order."""
        return tuple(sorted({clip.speaker for part in self.clips.values() for clip in part}))

    def absent(self) -> DataError:
        """Return the error for an absent set; it is never fetched unasked."""
        return self.store.missing(self.name, self.folder, "it is not fetched unasked")

    def files(self) -> Sequence[Path]:
        place = self.place()
        return [] if place is None else [place]

    def identity(self) -> str | None:
        """Return a fingerprint of the files that are listed, or None where the set is absent."""
        if self.place() is None:
            return None
        return fingerprint(self.name, *(self._key(part) for part in PARTS))

    def where(self) -> str | None:
        place = self.place()
        return None if place is None else f"{place} ({self.label}; {self.split})"

    def raw(self, which: SplitName) -> Raw:
        """Return recordings as 16-bit samples at 8 kHz, (N, 1, 1, samples), and their classes."""
        return Raw(self._waves(which), self.labels(which))

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
        """Return the official parts; a validation part that is missing is cut by seed."""
        whole, test = self.part("train"), self.test()
        if self.clips["val"]:
            return Splits(whole, self.part("val"), test)
        train, val = self.cut(whole.y[:, 0], self.val_share, "val", seed)
        return Splits(taken(whole, train, "train", seed), taken(whole, val, "val", seed), test)

    def test(self) -> Split:
        return self.part("test")

    def part(self, part: Part) -> Split:
        """Return one whole part, with the index of each speaker as attribute."""
        key = fingerprint(self._key(part), *CONSTANTS)
        make = lambda: self.transform(self._waves(part))  # noqa: E731
        x, y = self.store.kept(self.name, f"log-mel-{part}-{key}", make), self.labels(part)
        digest = fingerprint(self.name, self.version, x, y)
        return Split(x, y, self.task, digest, self.spoken_by(part), ("speaker",))

    def labels(self, part: Part) -> Tensor:
        """Return the class of each recording of a part, (N, 1); no recording is read."""
        return torch.tensor([[clip.label] for clip in self.clips[part]])

    def spoken_by(self, part: Part) -> Tensor:
        """Return the index of the speaker of each recording of a part, (N, 1)."""
        index = {speaker: i for i, speaker in enumerate(self.speakers)}
        return torch.tensor([[index[clip.speaker]] for clip in self.clips[part]])

    def _waves(self, part: Part) -> Tensor:
        read = partial(waveforms, self.name, self.clips[part], self.seconds, self.remedy)
        return self.store.kept(self.name, f"waves-{part}-{self._key(part)}", read)

    def _key(self, part: Part) -> str:
        """Return a fingerprint of the `Stamp` of each file of a part."""
        clips = self.clips[part]
        paths = list({clip.path for clip in clips})
        try:
            about = dict(zip(paths, stamps(paths), strict=True))
        except OSError as error:
            raise damaged(self.name, Path(error.filename), error, self.remedy) from error
        each = ((c.path.name, c.member, c.start, *about[c.path][1:]) for c in clips)
        return fingerprint(self.name, self.version, RATE, FULL_SCALE, self.seconds, *each)


class WithoutSpeakers(Variant):
    """``base`` without some speakers, in all parts.

    Raises:
        DataError: the base has no such speaker, or no other.
    """

    base: Speech

    def __init__(self, base: Speech, who: Sequence[str]) -> None:
        if unknown := set(who) - set(base.speakers):
            known = ", ".join(base.speakers)
            raise DataError(f"{base.label} has no speaker '{min(unknown)}'. Known: {known}.")
        if len(set(who)) == len(base.speakers):
            raise DataError(f"{base.label}: without {'+'.join(who)} no speaker is left to train on")
        super().__init__(base, f"speaker={'+'.join(who)}")
        self.task = base.task
        self.who = tuple(who)

    def raw(self, which: SplitName) -> Raw:
        raw, rows = self.base.raw(which), ~self._speaks(self.base.spoken_by(which)[:, 0])
        return Raw(raw.x[rows], raw.y[rows])

    def splits(self, seed: int) -> Splits:
        return Splits(*(self._without(part) for part in self.base.splits(seed)))

    def test(self) -> Split:
        return self._without(self.base.test())

    def outliers(self) -> Split:
        """Return every recording of the speakers held out, from all parts, with its class."""
        parts = [self.base.part(part) for part in self._parts]
        x = torch.cat([part.x[self._speaks(part.attribute("speaker"))] for part in parts])
        y = self.outlier_labels()
        return Split(x, y, self.task, fingerprint(self.name, self.version, x, y))

    def outlier_labels(self) -> Tensor:
        """Return the labels (N, 1) of `outliers`; no recording is read."""
        labels = [
            self.base.labels(part)[self._speaks(self.base.spoken_by(part)[:, 0])]
            for part in self._parts
        ]
        return torch.cat(labels)

    @property
    def _parts(self) -> list[Part]:
        return [part for part in PARTS if self.base.clips[part]]

    def _without(self, part: Split) -> Split:
        rows = ~self._speaks(part.attribute("speaker"))
        return taken(part, rows.nonzero()[:, 0], "without", *self.who)

    def _speaks(self, speakers: Tensor) -> Tensor:
        """Return which indices of speakers (N,) are those of speakers held out, (N,)."""
        held = torch.tensor([self.base.speakers.index(name) for name in self.who])
        return torch.isin(speakers, held)


def taken(part: Split, rows: Tensor, *names: object) -> Split:
    """Return some inputs of a part; ``rows`` and ``names`` enter its fingerprint."""
    attributes = None if part.attributes is None else part.attributes[rows]
    digest = fingerprint(part.fingerprint, rows, *names)
    return replace(part, x=part.x[rows], y=part.y[rows], attributes=attributes, fingerprint=digest)


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
