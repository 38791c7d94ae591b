"""What the sets of spoken words share: from wav files to log-mel spectrograms, 32x32, in [0, 1].

A recording is averaged to one channel, cut to a fixed time around the centre of its energy,
and brought to 8 kHz. That is what `raw` gives and corruptions act on. The transform takes
power in 32 mel bands and 32 frames, as decibels below the loudest of the recording.

Every set comes down to the lowest rate among them, since otherwise a set could be told from
another by whether there is anything above 4 kHz.
"""

from __future__ import annotations

import io
import os
import shutil
import struct
import subprocess
import warnings
import zipfile
from abc import abstractmethod
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import replace
from functools import cached_property, partial
from pathlib import Path
from typing import ClassVar, Literal, NamedTuple

import numpy as np
import torch
from scipy.io import wavfile
from sklearn.model_selection import train_test_split
from torch import Tensor
from torch.nn import functional

from .base import Dataset, Raw, Split, SplitName, Splits, as_bytes, derive_seed, fingerprint
from .errors import DataError
from .images import in_chunks
from .store import damaged, draft
from .variant import Variant

RATE = 8000  # Hz
LOWEST_RATE = 4000  # Hz: a file of less holds no intelligible speech, its header is wrong
FULL_SCALE = 32768  # of the 16-bit samples that recordings are kept as

SIDE = 32  # mel bands and frames
WINDOW = 256  # samples, 32 ms
HOP = 125  # samples, 16 ms: two such frames are averaged where a recording lasts a second
BAND = (60.0, 4000.0)  # Hz
RANGE = 40.0  # dB below the loudest cell that become black
QUIETEST = -60.0  # dB: about the last bit of 16; a recording that is quieter everywhere stays dark
NO_POWER = 1e-10
CONSTANTS = (RATE, FULL_SCALE, SIDE, WINDOW, HOP, BAND, RANGE, QUIETEST, NO_POWER)

CHUNK = 512  # recordings worked on at once
Part = Literal["train", "val", "test"]
PARTS: tuple[Part, ...] = ("train", "val", "test")


class Clip(NamedTuple):
    """A recording: its file, or its archive and its name there; its class; who speaks.

    ``start``, where it is set, is the second at which the part of the file that counts begins.
    """

    path: Path
    member: str
    label: int
    speaker: str
    start: int | None = None


Listing = Mapping[Part, Sequence[Clip]]


class Speech(Dataset):
    """Recordings with one class each. A subclass writes `place`, `listed` and `split`.

    A set of fewer recordings than the published ``count`` is called after its number, such as
    "fsdd-600". Every part tells the index of the speaker of each recording, as its attribute.
    """

    kind = "speech"
    tags: ClassVar[frozenset[str]] = frozenset({"speech"})
    fetched_unasked: ClassVar[bool] = False  # `data download` fetches it, a run does not
    folder: ClassVar[str]
    split: ClassVar[str]  # how training and test part were told apart, in words
    count: ClassVar[int]
    unseen_speakers: ClassVar[bool]  # True: nobody speaks in both training and test part
    seconds: ClassVar[int] = 1
    remedy: ClassVar[str | None] = None  # what to do about a damaged file, if not download it
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


# Spectrograms


def log_mel(x: Tensor, samples: int) -> Tensor:
    """Return recordings (N, 1, 1, s) as bytes (N, 1, 32, 32), low bands at the bottom.

    White is the loudest cell of a recording and black 40 dB less: so neither the distance to
    the microphone nor its noise far below the voice are seen.
    """
    from torchaudio.functional import melscale_fbanks, spectrogram

    wave = framed(as_waves(x).flatten(1), samples)
    power = spectrogram(
        wave, pad=0, window=torch.hann_window(WINDOW), n_fft=WINDOW, hop_length=HOP,
        win_length=WINDOW, power=2.0, normalized=False, pad_mode="constant",
    )  # fmt: skip
    bands = melscale_fbanks(WINDOW // 2 + 1, *BAND, SIDE, RATE)
    frames = samples // HOP // SIDE
    cells = functional.avg_pool1d(bands.T @ power[..., : frames * SIDE], frames)
    level = 10 * cells.clamp_min(NO_POWER).log10()
    loudest = level.amax((1, 2), keepdim=True).clamp_min(QUIETEST)
    return as_bytes(1 + (level - loudest) / RANGE).flip(1).unsqueeze(1)


def as_waves(x: Tensor) -> Tensor:
    """Return samples as float32 in [-1, 1]."""
    return x.float() / FULL_SCALE if x.dtype == torch.int16 else x


def framed(wave: Tensor, samples: int) -> Tensor:
    """Return recordings (..., n) cut, or filled with silence, evenly at both ends."""
    before = (samples - wave.shape[-1]) // 2
    return functional.pad(wave, (before, samples - wave.shape[-1] - before))


# Files


def members(name: str, path: Path, remedy: str | None = None) -> list[tuple[Path, str]]:
    """Return (file, "") of each wav in a folder, or (archive, member) of each in an archive."""
    if path.is_dir():
        return [(file, "") for file in sorted(path.rglob("[!.]*.wav"))]
    try:
        with zipfile.ZipFile(path) as archive:
            names = sorted(archive.namelist())
    except (OSError, zipfile.BadZipFile) as error:
        raise damaged(name, path, error, remedy) from error
    return [(path, n) for n in names if n.endswith(".wav") and not Path(n).name.startswith(".")]


def waveforms(name: str, clips: Sequence[Clip], seconds: int, remedy: str | None = None) -> Tensor:
    """Read recordings: mono, ``seconds`` long, 16 bits at 8 kHz; (N, 1, 1, samples).

    Raises:
        DataError: a file is no wav file, is cut short, or is empty. A silent one is not an error.
    """
    x = torch.empty(len(clips), 1, 1, seconds * RATE, dtype=torch.int16)
    with ExitStack() as stack:
        archives = {
            path: stack.enter_context(zipfile.ZipFile(path))
            for path in {clip.path for clip in clips if clip.member}
        }
        for rows in torch.arange(len(clips)).split(CHUNK):
            by_rate: dict[int, list[tuple[int, Tensor]]] = defaultdict(list)
            for row in rows.tolist():
                rate, wave = _read(name, clips[row], archives.get(clips[row].path), remedy)
                by_rate[rate].append((row, centred(wave, seconds * rate)))
            for rate, found in by_rate.items():
                places, waves = zip(*found, strict=True)
                x[list(places), 0, 0] = resampled(torch.stack(waves), rate)[:, : seconds * RATE]
    return x


def resampled(wave: Tensor, rate: int) -> Tensor:
    """Return recordings (N, s) in [-1, 1] at 8 kHz, as 16-bit samples."""
    from torchaudio.functional import resample

    low = resample(wave, rate, RATE)
    return (low * FULL_SCALE).round().clamp(-FULL_SCALE, FULL_SCALE - 1).short()


def centred(wave: Tensor, samples: int) -> Tensor:
    """Return that many samples (n,) around the centre of the energy, silence beyond the ends."""
    power = wave.double().square()
    total = power.sum()
    centre = (power * torch.arange(len(wave))).sum() / total if total > 0 else len(wave) / 2
    start = int(centre) - samples // 2
    return functional.pad(wave, (-start, start + samples - len(wave)))


def read_wav(content: bytes) -> tuple[int, Tensor]:
    """Return the rate in Hz and the samples (n,) of a wav file, in [-1, 1], channels averaged.

    Raises:
        ValueError: it is no wav file, is cut short, or holds nothing.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("error", wavfile.WavFileWarning)
        warnings.filterwarnings("ignore", "Chunk", wavfile.WavFileWarning)  # notes and the like
        try:
            rate, samples = wavfile.read(io.BytesIO(content))
        except (struct.error, wavfile.WavFileWarning) as error:
            raise ValueError("it is cut short") from error
    if rate < LOWEST_RATE:
        raise ValueError(f"its sample rate is {rate} Hz")
    if samples.size == 0:
        raise ValueError("it is empty")
    if samples.dtype.kind in "iu":
        zero = 128 if samples.dtype.kind == "u" else 0
        samples = (samples.astype(np.float64) - zero) / 2.0 ** (8 * samples.dtype.itemsize - 1)
    if not np.isfinite(samples).all():
        raise ValueError("samples are not finite")
    return rate, torch.from_numpy(samples.reshape(len(samples), -1).mean(1).astype(np.float32))


def _read(
    name: str, clip: Clip, archive: zipfile.ZipFile | None, remedy: str | None
) -> tuple[int, Tensor]:
    """Rate and samples of one recording, or of the second of it that counts."""
    try:
        content = archive.read(clip.member) if archive else clip.path.read_bytes()
        rate, wave = read_wav(content)
    except Exception as error:  # scipy passes on whatever a wrong header leads it to
        where = f"{clip.member}: " if clip.member else ""
        reason = f"{where}{' '.join(str(error).split())}"
        raise damaged(name, clip.path, reason, remedy) from error
    return rate, wave if clip.start is None else wave[clip.start * rate :][:rate]


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
