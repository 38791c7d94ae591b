"""Speech Commands: single words that a small device listens for."""

from __future__ import annotations

import re
import tarfile
from collections.abc import Mapping
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from .base import Task, derive_seed
from .errors import DataError
from .reading import read_file, reading
from .speech import Listing, Part, Speech
from .store import damaged, draft
from .waves import MOST_BYTES, Clip, members, read_wav

WORDS = ("yes", "no", "up", "down", "left", "right", "on", "off", "stop", "go")
SILENCE, UNKNOWN, NOISE = "_silence_", "_unknown_", "_background_noise_"
DIGITS = frozenset(("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"))
PIECES: Mapping[int, Part] = {0: "test", 1: "val"}  # of every ten seconds of noise
OTHER_WORDS = 15  # that are neither in the task nor a digit: a share of this size equals one word
URL = "http://download.tensorflow.org/data/speech_commands_v0.02.tar.gz"
SHA256 = "af14739ee7dc311471de98f5f9d2c9191b18aedfe957f4a6ff791c709868ff58"  # as in torchaudio
LISTS: dict[Part, tuple[str, str]] = {  # the official list, and that of a subset
    "train": ("", "subset_training_list.txt"),
    "val": ("validation_list.txt", "subset_validation_list.txt"),
    "test": ("testing_list.txt", "subset_testing_list.txt"),
}


class Chosen(NamedTuple):
    """The recordings "word/file.wav" and the parts they belong to.

    Args:
        places: file and "", or archive and member, of each recording.
        names: the recordings of each part.
        subset: whether the lists of a subset name them, and not the official ones.
    """

    places: Mapping[str, tuple[Path, str]]
    names: Mapping[Part, list[str]]
    subset: bool


class SpeechCommands(Speech):
    """Ten words, silence and unknown words, 16 kHz; official lists, disjoint in speakers.

    Where the official lists leave nothing to train on, as with the official test part alone,
    ``subset_{training,validation,testing}_list.txt`` are read, and the set is named after the
    number of recordings they list, such as "speechcommands-3300". The ten spoken digits are no
    part of the unknown words, because these words and spoken digits are outliers of each other.
    The full set has no class of unknown words: a fifteenth of the fifteen other words makes it,
    and each second of the background noise is a recording of silence, every tenth for testing.
    """

    name = "speechcommands"
    source = "Warden 2018, arXiv:1804.03209 (version 0.02, CC BY 4.0)"
    content = frozenset({"spoken word"})
    task = Task((1, 32, 32), ("word",), (*WORDS, SILENCE, UNKNOWN))
    split = "official lists"
    count = 0  # unused: the lists decide what is whole
    unseen_speakers = True
    folder = "SpeechCommands/speech_commands_v0.02"  # as torchaudio names it

    def place(self) -> Path | None:
        return self.store.find(self.folder)

    def extent(self) -> str:
        with suppress(DataError):  # raised again when the recordings are read
            if self.place() is not None and self._chosen.subset:
                return f"-{sum(map(len, self._chosen.names.values()))}"
        return ""

    def where(self) -> str | None:
        place = self.place()
        lists = "subset_*_list.txt" if self.extent() else "validation_list.txt, testing_list.txt"
        return None if place is None else f"{place} ({self.label}; parts by {lists})"

    def listed(self, place: Path) -> Listing:
        listing = {part: self._clips(place, names) for part, names in self._chosen.names.items()}
        if not any(name.startswith(SILENCE) for name in self._chosen.places):
            for part, pieces in self._noise(place).items():
                listing[part] += pieces
        return listing

    def download(self) -> None:
        """Fetch and unpack the whole set (2.3 GB packed)."""
        if self.place() is not None:
            return
        try:
            with draft(self.store.root / self.folder) as target:
                archive = target.with_suffix(".tar.gz")
                _fetch(archive)
                with tarfile.open(archive) as packed:
                    packed.extractall(target, filter="data")
        except (OSError, RuntimeError, EOFError, tarfile.TarError) as error:
            reason = f"the download failed: {' '.join(str(error).split())}"
            raise self.store.missing(self.name, self.folder, reason) from error

    @cached_property
    def _chosen(self) -> Chosen:
        """The official parts; those of the subset where they leave nothing to train on."""
        place = self.place() or Path()
        places = self._words(place)
        official = {part: self._list(place, lists[0]) for part, lists in LISTS.items()}
        listed = {*official["val"], *official["test"]}
        official["train"] = [name for name in places if name not in listed]
        if official["train"]:
            return Chosen(places, official, subset=False)
        names = {part: self._list(place, lists[1]) for part, lists in LISTS.items()}
        return Chosen(places, names, subset=True)

    def _words(self, place: Path) -> dict[str, tuple[Path, str]]:
        """Return every recording of the task below a folder, packed by word or not."""
        places: dict[str, tuple[Path, str]] = {}
        with reading(self.name, place, self.remedy):
            paths = sorted(place.iterdir())
        for path in paths:
            word = path.name.removesuffix(".zip")
            if word == NOISE or not (path.is_dir() or path.suffix == ".zip"):
                continue
            for file, member in members(self.name, path, self.remedy):
                places.setdefault(f"{word}/{Path(member or file).name}", (file, member))
        thin = not any(name.startswith(UNKNOWN) for name in places)
        return {name: at for name, at in places.items() if class_of(name, thin=thin) is not None}

    def _list(self, place: Path, file: str) -> list[str]:
        """Return the lines of a list; none where it is absent."""
        path = place / file
        with reading(self.name, path, self.remedy):
            return read_file(path).decode("utf-8").split() if path.is_file() else []

    def _clips(self, place: Path, names: list[str]) -> list[Clip]:
        places, clips = self._chosen.places, []
        thin = not any(name.startswith(UNKNOWN) for name in places)
        for name in names:
            word = class_of(name, thin=thin)
            if word is None:
                continue
            if name not in places:
                reason = f"its lists name {name}, which is not there"
                raise damaged(self.name, place, reason, self.remedy)
            clips.append(Clip(*places[name], self.task.classes.index(word), speaker_of(name)))
        return clips

    def _noise(self, place: Path) -> dict[Part, list[Clip]]:
        """Each second of the background noise as a recording of silence."""
        label, folder = self.task.classes.index(SILENCE), place / NOISE
        clips: dict[Part, list[Clip]] = {part: [] for part in LISTS}
        for path, _ in members(self.name, folder, self.remedy) if folder.is_dir() else []:
            with reading(self.name, path, self.remedy):
                rate, wave = read_wav(read_file(path, MOST_BYTES))
            for second in range(len(wave) // rate):
                part: Part = PIECES.get(second % 10, "train")
                clips[part].append(Clip(path, "", label, "", second))
        return clips


def class_of(name: str, *, thin: bool) -> str | None:
    """Return the class of a recording, or None if it is no part of the task.

    ``thin`` says that other words are the unknown ones, and that a share of them is enough.
    """
    folder, _, file = name.partition("/")
    if folder in WORDS or folder == SILENCE:
        return folder
    if folder == UNKNOWN:
        return None if file.partition("_")[0] in DIGITS else UNKNOWN
    if not thin or folder in DIGITS:
        return None
    chosen = derive_seed("speechcommands", UNKNOWN, name) % OTHER_WORDS == 0
    return UNKNOWN if chosen else None


def speaker_of(name: str) -> str:
    """Return the speaker of a recording; "" of silence."""
    match = re.search(r"([^/_]+)_nohash_", name)
    return match[1] if match else ""


def _fetch(archive: Path) -> None:
    """Download the archive and check it against the sum that torchaudio has for it."""
    from torch.hub import download_url_to_file

    download_url_to_file(URL, str(archive), hash_prefix=SHA256, progress=True)
