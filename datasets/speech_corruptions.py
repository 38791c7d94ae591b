"""Nine ways in which a recording of speech goes wrong, each at three levels.

Each takes recordings as float32 samples (N, S) at 8 kHz, how strong it is, and a generator, and
returns new ones (N, S). What a strength is measured in stands in `LEVELS`. A signal-to-noise
ratio compares mean powers over what was recorded: the silence that fills a short recording up
to its second does not count.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Generator, Tensor

from .base import generator
from .waves import RATE, as_waves, framed

Corruption = Callable[[Tensor, float, Generator], Tensor]

FRAME = 160  # samples, 20 ms: what a packet of a telephone call holds
BLOCK = 512  # recordings corrupted at once, each block with its own generator


class Levels(NamedTuple):
    """The three strengths of a corruption, from mild to severe, and their unit."""

    strengths: tuple[float, float, float]
    unit: str


LEVELS: dict[str, Levels] = {  # noise: signal to noise; reverberation: time until 60 dB less
    "white_noise": Levels((20, 10, 0), "dB"),
    "pink_noise": Levels((20, 10, 0), "dB"),
    "background": Levels((20, 10, 0), "dB"),
    "reverberation": Levels((0.3, 0.6, 1.2), "s"),
    "clipping": Levels((0.5, 0.2, 0.05), "of the peak"),
    "speed": Levels((0.1, 0.2, 0.4), "faster or slower"),
    "pitch": Levels((0.1, 0.2, 0.4), "higher or lower"),
    "low_pass": Levels((2000, 1000, 500), "Hz"),
    "dropped_frames": Levels((0.1, 0.3, 0.5), "of the frames"),
}


def corrupt(name: str, level: int, x: Tensor, *key: object) -> Tensor:
    """Corrupt recordings (N, 1, 1, S), 16-bit or float in [-1, 1]; float32 of the same shape.

    Blocks of about the same size each have a generator seeded from ``key``, the name, the level
    and the number of the block.
    """
    corruption, strength = CORRUPTIONS[name], LEVELS[name].strengths[level - 1]
    wave = as_waves(x).flatten(1)
    blocks = [
        corruption(part, strength, generator(*key, name, level, i))
        for i, part in enumerate(wave.chunk(math.ceil(len(wave) / BLOCK)))
    ]
    return torch.cat(blocks).view(x.shape)


# Noise


def white_noise(x: Tensor, snr: float, generator: Generator) -> Tensor:
    """Recordings with Gaussian noise that is as strong at all frequencies."""
    return mixed(x, torch.randn(x.shape, generator=generator), snr)


def pink_noise(x: Tensor, snr: float, generator: Generator) -> Tensor:
    """Recordings with noise whose power falls as 1 / f, as most of the world's does."""
    spectrum = torch.fft.rfft(torch.randn(x.shape, generator=generator))
    frequency = torch.arange(spectrum.shape[1]).clamp_min(1)
    return mixed(x, torch.fft.irfft(spectrum / frequency.sqrt(), n=x.shape[1]), snr)


def background(x: Tensor, snr: float, generator: Generator) -> Tensor:
    """Recordings with another one of the same block in the background."""
    shift = torch.randint(1, max(2, len(x)), (), generator=generator)
    return mixed(x, x.roll(int(shift), 0), snr)


# The room, the microphone and the line


def reverberation(x: Tensor, seconds: float, generator: Generator) -> Tensor:
    """Recordings in a room: Gaussian noise that decays by 60 dB, as strong as the direct sound."""
    from torchaudio.functional import fftconvolve

    size = round(seconds * RATE)
    decay = 10 ** (-3 * torch.arange(1, size + 1) / size)
    tail = torch.randn(len(x), size, generator=generator) * decay
    tail /= tail.square().sum(1, keepdim=True).sqrt()
    direct = torch.ones(len(x), 1)
    return fftconvolve(x, torch.cat([direct, tail], 1))[:, : x.shape[1]]


def clipping(x: Tensor, share: float, generator: Generator) -> Tensor:
    """Recordings cut off at a share of their peak."""
    limit = share * x.abs().amax(1, keepdim=True)
    return x.clamp(-limit, limit)


def low_pass(x: Tensor, cutoff: float, generator: Generator) -> Tensor:
    """Recordings over a line that loses what is above a frequency, by 24 dB an octave."""
    from torchaudio.functional import lowpass_biquad

    return lowpass_biquad(lowpass_biquad(x, RATE, cutoff), RATE, cutoff)


def dropped_frames(x: Tensor, share: float, generator: Generator) -> Tensor:
    """Recordings in which a share of the packets never arrived, each with that probability."""
    frames = math.ceil(x.shape[1] / FRAME)
    arrived = torch.rand(len(x), frames, generator=generator) >= share
    return x * arrived.repeat_interleave(FRAME, 1)[:, : x.shape[1]]


# The speaker


def speed(x: Tensor, change: float, generator: Generator) -> Tensor:
    """Recordings played faster (and higher) or slower by a share, either with probability 1/2."""
    from torchaudio.functional import speed

    return either_way(
        x, change, generator, lambda part, factor: framed(speed(part, RATE, factor)[0], x.shape[1])
    )


def pitch(x: Tensor, change: float, generator: Generator) -> Tensor:
    """Recordings with all frequencies higher or lower by a share, either with probability 1/2."""
    from torchaudio.functional import pitch_shift

    def shifted(part: Tensor, factor: float) -> Tensor:
        # torchaudio cuts the rate it resamples from to a whole number: a hair above, not below.
        return pitch_shift(part, RATE, 12 * math.log2(factor * (1 + 1e-9)))

    return either_way(x, change, generator, shifted)


CORRUPTIONS: dict[str, Corruption] = {
    step.__name__: step
    for step in (
        white_noise, pink_noise, background, reverberation, clipping, speed, pitch, low_pass,
        dropped_frames,
    )
}  # fmt: skip


# Shared


def mixed(x: Tensor, noise: Tensor, snr: float) -> Tensor:
    """Return recordings and noise (N, S) added; as they were where either is silent."""
    from torchaudio.functional import add_noise

    heard = (x.any(1) & noise.any(1))[:, None]
    ratio = snr + 10 * torch.log10(recorded(x) / recorded(noise))  # add_noise compares energies
    return torch.where(heard, add_noise(x, noise, ratio), x)


def recorded(x: Tensor) -> Tensor:
    """Return the share of each recording between its first and last sample that is not 0, (N,)."""
    place = torch.arange(x.shape[1])
    sound = x != 0
    first = torch.where(sound, place, x.shape[1]).amin(1)
    last = torch.where(sound, place, -1).amax(1)
    return (last - first + 1).clamp_min(1) / x.shape[1]


def either_way(
    x: Tensor, change: float, generator: Generator, step: Callable[[Tensor, float], Tensor]
) -> Tensor:
    """Return ``step`` of recordings by the factor 1 + change or 1 - change, drawn for each."""
    up = torch.rand(len(x), generator=generator) < 0.5
    result = torch.empty_like(x)
    for chosen, factor in ((up, 1 + change), (~up, 1 - change)):
        if chosen.any():
            result[chosen] = step(x[chosen], factor)
    return result
