"""From wav files to samples, and from samples to log-mel spectrograms, 32x32 bytes.

A recording is averaged to one channel, cut to a fixed time around the centre of its energy,
and brought to 8 kHz. The spectrogram takes power in 32 mel bands and 32 frames, as decibels
below the loudest of the recording.
"""

from __future__ import annotations

import io
import struct
import warnings
import zipfile
from collections import defaultdict
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from .base import as_bytes
from .reading import read_file, read_member, reading
from .store import damaged

RATE = 8000  # Hz
RATES = (4000, 384_000)  # Hz: no speech is intelligible below, and no microphone samples faster
MOST_BYTES = 2**28  # of one recording: 23 minutes of stereo at 48 kHz and 16 bits
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


class Clip(NamedTuple):
    """A recording: its file, or its archive and its name there; its class and its speaker.

    Of a file with a ``start``, in seconds, the recording is the second that begins there.
    """

    path: Path
    member: str
    label: int
    speaker: str
    start: int | None = None


def members(name: str, path: Path, remedy: str) -> list[tuple[Path, str]]:
    """Return (file, "") of each wav in a folder, or (archive, member) of each in an archive."""
    if path.is_dir():
        return [(file, "") for file in sorted(path.rglob("[!.]*.wav"))]
    with reading(name, path, remedy), zipfile.ZipFile(path) as archive:
        names = sorted(archive.namelist())
    return [(path, n) for n in names if n.endswith(".wav") and not Path(n).name.startswith(".")]


def waveforms(name: str, clips: Sequence[Clip], seconds: int, remedy: str) -> Tensor:
    """Read recordings: mono, ``seconds`` long, 16 bits at 8 kHz; (N, 1, 1, samples).

    Raises:
        DataError: a file is no wav file, is cut short, or is empty. A silent one is not an error.
    """
    x = torch.empty(len(clips), 1, 1, seconds * RATE, dtype=torch.int16)
    with ExitStack() as stack:
        archives = {}
        for path in {clip.path for clip in clips if clip.member}:
            with reading(name, path, remedy):
                archives[path] = stack.enter_context(zipfile.ZipFile(path))
        for rows in torch.arange(len(clips)).split(CHUNK):
            by_rate: dict[int, list[tuple[int, Tensor]]] = defaultdict(list)
            for row in rows.tolist():
                rate, wave = _read(name, clips[row], archives.get(clips[row].path), remedy)
                by_rate[rate].append((row, centred(wave, seconds * rate)))
            for rate, of_rate in by_rate.items():
                places, waves = zip(*of_rate, strict=True)
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
    from scipy.io import wavfile  # a tenth of a second that a listing does not need

    with warnings.catch_warnings():
        warnings.simplefilter("error", wavfile.WavFileWarning)
        warnings.filterwarnings("ignore", "Chunk", wavfile.WavFileWarning)  # such as notes
        try:
            rate, samples = wavfile.read(io.BytesIO(content))
        except (struct.error, wavfile.WavFileWarning) as error:
            raise ValueError("it is cut short") from error
    if not RATES[0] <= rate <= RATES[1]:
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
    name: str, clip: Clip, archive: zipfile.ZipFile | None, remedy: str
) -> tuple[int, Tensor]:
    """Return rate and samples of one recording."""
    try:
        if archive:
            content = read_member(archive, clip.member, MOST_BYTES)
        else:
            content = read_file(clip.path, MOST_BYTES)
        rate, wave = read_wav(content)
    except PermissionError as error:
        raise damaged(name, clip.path, error, remedy) from error
    except Exception as error:  # a wrong header can raise any error in scipy
        where = f"{clip.member}: " if clip.member else ""
        reason = f"{where}{' '.join(str(error).split())}"
        raise damaged(name, clip.path, reason, remedy) from error
    return rate, wave if clip.start is None else wave[clip.start * rate :][:rate]


def log_mel(x: Tensor, samples: int) -> Tensor:
    """Return recordings (N, 1, 1, s) as bytes (N, 1, 32, 32), low bands at the bottom.

    White is the loudest cell of a recording and black 40 dB less, so the spectrogram shows neither
    the distance to the microphone nor noise far below the voice.
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
