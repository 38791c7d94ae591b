"""Random numbers that belong to an input: a function of its bytes and of the global seed.

A path or a mask that all inputs share makes a table depend on one draw. Drawn for each input from
its own bytes, it averages out over the view, and batch size and order still change no number.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

GOLDEN = 0x9E3779B97F4A7C15 - 2**64  # 64-bit constants as torch's signed integers
FIRST = 0xBF58476D1CE4E5B9 - 2**64
SECOND = 0x94D049BB133111EB - 2**64

_alike = False  # whether all inputs share their draws


@contextmanager
def alike() -> Iterator[None]:
    """Let all inputs share their draws: a method is one function of its input then."""
    global _alike
    before, _alike = _alike, True
    try:
        yield
    finally:
        _alike = before


def integers(x: Tensor, shape: tuple[int, ...], high: int) -> Tensor:
    """Return integers in [0, high) for each input (n, C, H, W); int64, (n, *shape).

    The global generator, which the harness seeds alike before every batch, gives the key. Equal
    inputs get equal integers. Hash: splitmix64 (Steele, Lea & Flood 2014) over a counter.
    """
    key = torch.randint(2**62, ()).to(x.device)
    counter = torch.arange(1, math.prod(shape) + 1, device=x.device) * GOLDEN
    own = torch.zeros_like(key).expand(len(x)) if _alike else _digest(x)
    mixed = _mix(_mix(own + key)[:, None] + counter)
    return (_shifted(mixed, 33) % high).unflatten(1, shape)


def _digest(x: Tensor) -> Tensor:
    """Return one integer for the float32 bits of each input, (n, …) -> (n,)."""
    bits = x.detach().float().flatten(1).view(torch.int32).long()
    places = torch.arange(1, bits.shape[1] + 1, device=x.device)
    return _mix((bits * (_mix(places * GOLDEN) | 1)).sum(1))


def _mix(z: Tensor) -> Tensor:
    z = (z ^ _shifted(z, 30)) * FIRST
    z = (z ^ _shifted(z, 27)) * SECOND
    return z ^ _shifted(z, 31)


def _shifted(z: Tensor, places: int) -> Tensor:
    """Shift right and fill with zeros: torch's own shift of a negative number fills with ones."""
    return (z >> places) & ((1 << (64 - places)) - 1)
