"""The fifteen corruptions of MNIST-C, each at the one severity that its data set uses.

Parameters are those of Mu and Gilmer (2019), arXiv:1906.02337, stated for 28 x 28 grey images.
Here images may have any size and one or three channels: a length of l pixels becomes
l * H / 28, and lines, directions and noise layers are shared by the channels of an image.

Each corruption takes float32 images (N, C, H, W) in [0, 1] and a generator, and returns new
images of the same kind; `corrupt` does the same for whole test sets of bytes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from itertools import pairwise

import numpy as np
import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from .base import as_bytes, as_floats, generator
from .errors import DataError

Corruption = Callable[[Tensor, Generator], Tensor]

CORRUPTIONS: dict[str, Corruption] = {}
BLOCK = 1000  # images corrupted at once, each block with its own generator
FOG_BLOCK = 64  # plasma maps drawn at once: 64 of them are 16 MB, and more are slower


def corrupt(name: str, x: Tensor, *key: object) -> Tensor:
    """Corrupt images (N, C, H, W), bytes or float in [0, 1], into bytes of the same shape.

    Images go through in blocks, each with a generator seeded from ``key``, the name and the
    number of the block: a block comes out the same whatever follows it.

    Raises:
        DataError: there is no corruption of that name.
    """
    corruption = find(name)
    with one_thread():
        blocks = [
            as_bytes(corruption(as_floats(part), generator(*key, name, i)))
            for i, part in enumerate(x.split(BLOCK))
        ]
    return torch.cat(blocks)


@contextmanager
def one_thread() -> Iterator[None]:
    """Keep torch to one thread: on shared cores these many small steps mostly wait for others."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def find(name: str) -> Corruption:
    """Return the corruption of that name, or raise a DataError that suggests one."""
    if name in CORRUPTIONS:
        return CORRUPTIONS[name]
    close = get_close_matches(name, CORRUPTIONS, n=1)
    hint = f" Did you mean {close[0]!r}?" if close else ""
    raise DataError(f"unknown corruption {name!r}.{hint} Known: {', '.join(CORRUPTIONS)}")


def register(corruption: Corruption) -> Corruption:
    """Enter a function into `CORRUPTIONS` under its own name."""
    CORRUPTIONS[corruption.__name__] = corruption
    return corruption


# Noise


@register
def shot_noise(x: Tensor, generator: Generator) -> Tensor:
    """Photon counts Poisson(3 x) / 3, drawn for each pixel and channel."""
    return torch.poisson(3 * x, generator=generator).div_(3).clamp_(max=1)


@register
def impulse_noise(x: Tensor, generator: Generator) -> Tensor:
    """Images in which 17 % of the pixels are replaced, half of them by black, half by white."""
    share = 0.17
    draw = torch.rand(len(x), 1, *x.shape[2:], generator=generator)
    return x.masked_fill(draw < share / 2, 0).masked_fill_(draw >= 1 - share / 2, 1)


# Blur


@register
def glass_blur(x: Tensor, generator: Generator) -> Tensor:
    """Images blurred (sigma 0.7), with near pixels swapped in two sweeps, and blurred again."""
    n, _, height, width = x.shape
    sigma = 0.7 * unit(x)
    order = swapped_pixels(n, height, width, reach=max(1, round(unit(x))), generator=generator)
    pixels = blur(x, sigma).flatten(2)
    return blur(pixels.gather(2, order[:, None].expand_as(pixels)).view_as(x), sigma).clamp_(0, 1)


def swapped_pixels(n: int, height: int, width: int, *, reach: int, generator: Generator) -> Tensor:
    """Return which pixel ends where after two sweeps of random swaps, (n, height * width).

    A sweep runs from the lower right to the upper left; each pixel at which it stops swaps, with
    probability 1/2, with one whose offsets are drawn from {-reach, ..., reach - 1}.
    """
    near = [dy * width + dx for dy in range(-reach, reach) for dx in range(-reach, reach)]
    moves = np.array([0] * len(near) + near)  # moving by 0 is not swapping
    rows, columns = (range(size - reach, reach, -1) for size in (height, width))
    stops = np.array([row * width + column for _ in range(2) for row in rows for column in columns])
    draws = torch.randint(len(moves), (len(stops), n), generator=generator).numpy()
    partners = (stops[:, None] + moves[draws]) * n + np.arange(n)
    order = np.repeat(np.arange(height * width), n)  # pixels by images: a stop is contiguous
    for stop, partner in zip(stops * n, partners, strict=True):
        mine = order[stop : stop + n].copy()
        order[stop : stop + n] = order[partner]
        order[partner] = mine
    return torch.from_numpy(order).view(-1, n).T


@register
def motion_blur(x: Tensor, generator: Generator) -> Tensor:
    """Images blurred along a line at an angle of -45 to 45 degrees, with radius 10 and sigma 3.

    As in ImageMagick the line starts at the pixel and runs one way for twice the radius, its
    points are rounded to whole pixels, and beyond the border the border is repeated.
    """
    n, _, height, width = x.shape
    angle = (torch.rand(n, generator=generator) - 0.5) * (math.pi / 2)
    steps = torch.arange(2 * math.ceil(10 * unit(x)) + 1)
    weights = torch.exp(-0.5 * (steps / (3 * unit(x))) ** 2)
    pixels, result = x.flatten(2), torch.zeros_like(x).flatten(2)
    for step, weight in zip(steps.tolist(), (weights / weights.sum()).tolist(), strict=True):
        down, right = ((step * f(angle) - 0.5).ceil().long() for f in (torch.sin, torch.cos))
        rows = (torch.arange(height) + down[:, None]).clamp_(0, height - 1)
        columns = (torch.arange(width) + right[:, None]).clamp_(0, width - 1)
        place = (rows[:, :, None] * width + columns[:, None]).view(n, 1, -1)
        result.add_(pixels.gather(2, place.expand_as(pixels)), alpha=weight)
    return result.view_as(x).clamp_(0, 1)


# Geometry and light


@register
def shear(x: Tensor, generator: Generator) -> Tensor:
    """Images sheared to the left or to the right by 0.4 rad about their centre.

    Upright strokes lean by that angle; as published, they become longer by 1 / cos 0.4.
    """
    angle = 0.4 * signs(len(x), generator)
    one, zero = torch.ones_like(angle), torch.zeros_like(angle)
    return warp(x, one, -angle.sin(), zero, angle.cos())


@register
def scale(x: Tensor, generator: Generator) -> Tensor:
    """Images shrunk to 0.7 of their size about their centre."""
    factor, zero = torch.full((len(x),), 1 / 0.7), torch.zeros(len(x))
    return warp(x, factor, zero, zero, factor)


@register
def rotate(x: Tensor, generator: Generator) -> Tensor:
    """Images rotated either way by 0.4 rad about their centre."""
    angle = 0.4 * signs(len(x), generator)
    return warp(x, angle.cos(), -angle.sin(), angle.sin(), angle.cos())


@register
def brightness(x: Tensor, generator: Generator) -> Tensor:
    """Images whose HSV value, the largest channel, is raised by 0.5."""
    value = x.amax(1, keepdim=True)
    hue = torch.where(value > 0, x / value, 1)  # black has no hue and turns grey
    return hue * (value + 0.5).clamp_(max=1)


@register
def translate(x: Tensor, generator: Generator) -> Tensor:
    """Images moved by 3 pixels along both axes, either way along each."""
    one, zero = torch.ones(len(x)), torch.zeros(len(x))
    right, down = (3 * unit(x) * signs(len(x), generator) for _ in range(2))
    return warp(x, one, zero, zero, one, right=right, down=down)


@register
def stripe(x: Tensor, generator: Generator) -> Tensor:
    """Images whose left and right quarters (7 of 28 columns each) are inverted."""
    edge = round(x.shape[-1] / 4)
    column = torch.arange(x.shape[-1])
    return torch.where((column < edge) | (column >= x.shape[-1] - edge), 1 - x, x)


@register
def fog(x: Tensor, generator: Generator) -> Tensor:
    """Images under fog: x + 3 plasma, rescaled so that the brightest pixel can be no brighter.

    The plasma is the upper left H x W part of a 256 x 256 map whatever the size of the images.
    """
    parts = [plasma(len(part), *x.shape[2:], generator=generator) for part in x.split(FOG_BLOCK)]
    brightest = x.amax((1, 2, 3), keepdim=True)
    return ((x + 3 * torch.cat(parts)) * (brightest / (brightest + 3))).clamp_(0, 1)


def plasma(n: int, height: int, width: int, *, generator: Generator, size: int = 256) -> Tensor:
    """Return the upper left part of diamond-square maps, each in [0, 1]; (n, 1, height, width).

    Each halving of the grid adds uniform noise to the mean of four neighbours on a torus. The
    published code divides both the noise and a factor in front of it by 1.4, so it falls by 1.96.
    """
    while size < max(height, width):
        size *= 2
    grid, amplitude = torch.zeros(n, 1, 1, 1), 1.0
    while grid.shape[-1] < size // 2:
        grid = interleave(*midpoints(grid, amplitude, generator))
        amplitude /= 1.4**2
    finest = midpoints(grid, amplitude, generator)  # most of the map: only its extremes are needed
    low = torch.stack([part.amin((1, 2, 3)) for part in finest]).amin(0).view(-1, 1, 1, 1)
    high = torch.stack([part.amax((1, 2, 3)) for part in finest]).amax(0).view(-1, 1, 1, 1)
    rows, columns = (height + 1) // 2, (width + 1) // 2
    corner = interleave(*(part[..., :rows, :columns] for part in finest))
    return (corner[..., :height, :width] - low) / (high - low)


def midpoints(
    grid: Tensor, amplitude: float, generator: Generator
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return a periodic grid and the points right of, below, and diagonal to each of its own."""
    noise = uniform((3, *grid.shape), generator).mul_(amplitude)
    pairs = grid + grid.roll(-1, -1)
    diagonal = (pairs + pairs.roll(-1, -2)).div_(4).add_(noise[0])
    right = (pairs + diagonal).add_(diagonal.roll(1, -2)).div_(4).add_(noise[1])
    below = (grid + grid.roll(-1, -2)).add_(diagonal).add_(diagonal.roll(1, -1))
    return grid, right, below.div_(4).add_(noise[2]), diagonal


def interleave(grid: Tensor, right: Tensor, below: Tensor, diagonal: Tensor) -> Tensor:
    """Return the grid of twice the size that `midpoints` describes."""
    upper, lower = torch.stack([grid, right], -1), torch.stack([below, diagonal], -1)
    return torch.stack([upper.flatten(-2), lower.flatten(-2)], -2).flatten(-3, -2)


def uniform(shape: tuple[int, ...], generator: Generator) -> Tensor:
    """Return uniform numbers in [-1, 1) in steps of 2^-15, several times faster than torch.rand."""
    half = (math.prod(shape) + 1) // 2
    draws = torch.randint(-(2**31), 2**31 - 1, (half,), dtype=torch.int32, generator=generator)
    return draws.view(torch.int16)[: math.prod(shape)].view(shape) / 2**15


# Drawn over the image


@register
def spatter(x: Tensor, generator: Generator) -> Tensor:
    """Images under drops of dark mud (grey 63 of 255) where blurred noise exceeds its mean."""
    noise = torch.randn(len(x), 1, *x.shape[2:], generator=generator).mul_(0.3).add_(0.65)
    drops = blur(noise, unit(x)) > 0.65
    mud = blur(drops.float(), 1.5 * unit(x))
    mud = mud.masked_fill_(mud < 0.8, 0)
    return torch.lerp(x, torch.tensor(63 / 255), mud).clamp_(0, 1)


@register
def dotted_line(x: Tensor, generator: Generator) -> Tensor:
    """Images with a line from edge to edge, every second pair of its columns left out."""
    left, right = torch.randint(27, (2, len(x)), generator=generator).double()
    ink = line(x, torch.zeros_like(left), left, torch.full_like(left, 27), right)
    drawn = torch.arange(x.shape[-1]) / unit(x) % 4 >= 2
    return (x + ink * drawn).clamp_(max=1)


@register
def zigzag(x: Tensor, generator: Generator) -> Tensor:
    """Images with a zigzag from column 2 to 25 along a nearly level line.

    Its corners are 2, 6, ..., 22 along that line and 2 off it, on either side in turn.
    """
    start = torch.randint(27, (len(x),), generator=generator).double()
    rise = torch.randint(-5, 5, (len(x),), generator=generator).double()
    angle = torch.atan(rise / 23)
    length = 23 / angle.cos()
    along = [0 * length, *(torch.full_like(length, a) for a in range(2, 23, 4)), length]
    off = [0 * length, *(torch.full_like(length, o) for o in (2, -2) * 3), 1 / (20 - length)]
    corners = [
        (2 + a * angle.cos() - o * angle.sin(), start + a * angle.sin() + o * angle.cos())
        for a, o in zip(along, off, strict=True)
    ]
    result = x.clone()
    for a, b in pairwise(corners):
        result += line(x, *a, *b)  # neighbours share a column, which becomes brighter, as published
    return result.clamp_(max=1)


@register
def canny_edges(x: Tensor, generator: Generator) -> Tensor:
    """Edges by Canny's method (1986), sigma 1, as black and white; of the mean of the channels."""
    from skimage.feature import canny  # a third of a second that a listing does not need

    # One image at a time: scikit-image takes 0.15 ms for each, which needs no second version.
    edges = [canny(image, sigma=unit(x)) for image in x.double().mean(1).numpy()]
    return torch.from_numpy(np.stack(edges)).float()[:, None].repeat(1, x.shape[1], 1, 1)


# Shared


def unit(x: Tensor) -> float:
    """Return how many pixels one of the published pixels is."""
    return x.shape[-2] / 28


def signs(n: int, generator: Generator) -> Tensor:
    """Return -1 or 1, each with probability 1/2; (n,)."""
    return torch.randint(2, (n,), generator=generator) * 2.0 - 1


def blur(x: Tensor, sigma: float) -> Tensor:
    """Return images (N, C, H, W) under a Gaussian cut at 4 sigma, their borders repeated."""
    from scipy.ndimage import gaussian_filter

    smooth = gaussian_filter(x.numpy(), (0, 0, sigma, sigma), mode="nearest", truncate=4)
    return torch.from_numpy(smooth)


def warp(
    x: Tensor,
    xx: Tensor,
    xy: Tensor,
    yx: Tensor,
    yy: Tensor,
    *,
    right: Tensor | None = None,
    down: Tensor | None = None,
) -> Tensor:
    """Return images read bilinearly at M p + (right, down), with p from the centre; 0 outside.

    M = [[xx, xy], [yx, yy]] acts on columns and rows, and takes the result to the original;
    each entry has shape (N,).
    """
    height, width = (max(size - 1, 1) for size in x.shape[2:])
    zero = torch.zeros_like(xx)
    right, down = zero if right is None else right, zero if down is None else down
    upper = torch.stack([xx, xy * (height / width), right * (2 / width)], -1)
    lower = torch.stack([yx * (width / height), yy, down * (2 / height)], -1)
    size = list(x.shape)
    grid = F.affine_grid(torch.stack([upper, lower], 1), size, align_corners=True)
    return F.grid_sample(x, grid, align_corners=True).clamp_(0, 1)


def line(x: Tensor, c0: Tensor, r0: Tensor, c1: Tensor, r1: Tensor) -> Tensor:
    """Return lines from column c0, row r0 to c1, r1 (N,), in published pixels; (N, 1, H, W).

    Brightness is 1 + log(1 - d / 2.3), at least 0, at the vertical distance d.
    """
    rows, columns = (torch.arange(size) / unit(x) for size in x.shape[2:])
    slope = (r1 - r0) / (c1 - c0)
    level = (r0[:, None] + slope[:, None] * (columns - c0[:, None])).float()
    distance = (rows[:, None] - level[:, None]).abs_().clamp_(max=2.3)
    ink = distance.div_(-2.3).log1p_().add_(1).clamp_(min=0)
    drawn = (columns >= c0[:, None].floor()) & (columns < c1[:, None].ceil())
    return (ink * drawn[:, None])[:, None]
