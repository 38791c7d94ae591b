from collections.abc import Callable

import numpy as np
import pytest
import torch
from skimage.feature import canny
from skimage.transform import AffineTransform, warp
from sklearn.datasets import load_digits
from torch import Tensor
from torch.nn.functional import interpolate

from bench.datasets import corruptions
from bench.datasets.base import as_bytes, as_floats, generator
from bench.datasets.corruptions import CORRUPTIONS, corrupt
from bench.datasets.errors import DataError

TABLE = [
    *("shot_noise", "impulse_noise", "glass_blur", "motion_blur", "shear"),
    *("scale", "rotate", "brightness", "translate", "stripe"),
    *("fog", "spatter", "dotted_line", "zigzag", "canny_edges"),
]
FIXED = {"scale", "brightness", "stripe", "canny_edges"}  # nothing in them is random

every = pytest.mark.parametrize("name", TABLE)


def digits(n: int = 4, channels: int = 1, size: int = 28) -> Tensor:
    """Return digits with a black margin, as float32 (n, channels, size, size)."""
    x = torch.from_numpy(load_digits().images[:n, None]).float() / 16
    x = interpolate(x, size=(size - 8, size - 8), mode="bilinear", align_corners=False)
    return torch.nn.functional.pad(x, (4, 4, 4, 4)).repeat(1, channels, 1, 1)


def run(name: str, x: Tensor, seed: int = 0) -> Tensor:
    with corruptions.one_thread():
        return CORRUPTIONS[name](x, generator(seed))


def disc(size: int = 28) -> Tensor:
    middle = (size - 1) / 2
    squares = (torch.arange(size) - middle) ** 2
    return (squares[:, None] + squares < 36).float()[None, None]


def centre(x: Tensor) -> tuple[float, float]:
    """Return the mean row and column of an image, weighted by brightness."""
    at = torch.arange(x.shape[-1]).float()
    mass = x.sum()
    return float((x.sum((0, 1, 3)) * at).sum() / mass), float((x.sum((0, 1, 2)) * at).sum() / mass)


# The contract


def test_the_names_are_those_of_the_published_table_in_its_order():
    assert list(CORRUPTIONS) == TABLE


@every
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", [28, 32])
def test_the_result_is_an_image_of_the_same_kind_and_the_input_stays(name, channels, size):
    x = digits(channels=channels, size=size)
    before = x.clone()
    y = run(name, x)
    assert y.shape == x.shape
    assert y.dtype == torch.float32
    assert y.data_ptr() != x.data_ptr()
    assert 0 <= y.min() <= y.max() <= 1  # false for NaN too
    assert not torch.equal(y, x)
    assert torch.equal(x, before)


@every
def test_one_image_is_a_batch(name):
    assert run(name, digits(1)).shape == (1, 1, 28, 28)


@every
def test_images_need_not_be_square(name):
    x = digits()[..., :20]
    assert run(name, x).shape == x.shape


@every
def test_a_black_image_gives_no_nan(name):
    assert run(name, torch.zeros(2, 1, 28, 28)).isfinite().all()


@every
def test_the_same_seed_gives_the_same_images(name):
    x = digits()
    assert torch.equal(run(name, x), run(name, x))


@every
def test_another_seed_gives_other_images_where_something_is_random(name):
    x = digits(12)
    assert torch.equal(run(name, x, 0), run(name, x, 1)) == (name in FIXED)


@every
def test_images_of_a_batch_differ_where_something_is_random(name):
    x = digits(1).repeat(12, 1, 1, 1)
    y = run(name, x)
    assert torch.equal(y, y[:1].expand_as(y)) == (name in FIXED)


@every
def test_three_equal_channels_get_what_one_channel_gets(name):
    one, three = run(name, digits(4)), run(name, digits(4, channels=3))
    if name == "shot_noise":  # photons are counted in each channel by itself
        assert not torch.equal(three[:, 0], three[:, 1])
    else:
        torch.testing.assert_close(three, one.repeat(1, 3, 1, 1))


# Whole test sets


def test_bytes_and_floats_give_the_same_bytes():
    x = as_bytes(digits())
    y = corrupt("fog", x, "digits", 0)
    assert y.dtype == torch.uint8
    assert torch.equal(y, corrupt("fog", as_floats(x), "digits", 0))


@every
def test_a_block_is_the_same_whatever_comes_after_it(name, monkeypatch):
    monkeypatch.setattr(corruptions, "BLOCK", 4)
    x = as_bytes(digits(6))
    whole = corrupt(name, x, "digits", 0)
    assert whole.shape == x.shape
    assert torch.equal(whole[:4], corrupt(name, x[:4], "digits", 0))


def test_two_blocks_of_the_same_images_are_drawn_apart(monkeypatch):
    monkeypatch.setattr(corruptions, "BLOCK", 4)
    x = as_bytes(digits(4))
    y = corrupt("impulse_noise", torch.cat([x, x]), "digits")
    assert not torch.equal(y[:4], y[4:])


def test_another_key_gives_another_draw():
    x = as_bytes(digits())
    assert not torch.equal(corrupt("rotate", x, "digits", 0), corrupt("rotate", x, "digits", 1))


def test_the_number_of_threads_is_as_before():
    before = torch.get_num_threads()
    corrupt("stripe", digits())
    assert torch.get_num_threads() == before


def test_an_unknown_name_is_answered_with_the_nearest_one():
    with pytest.raises(DataError, match=r"unknown corruption 'spater'\. Did you mean 'spatter'"):
        corrupt("spater", digits())


# Known answers: noise and blur


def test_shot_noise_counts_three_photons_at_full_brightness():
    x = torch.full((20, 1, 28, 28), 0.1)  # more than 3 of 0.3 photons: once in 4000 draws
    y = run("shot_noise", x) * 3
    torch.testing.assert_close(y, y.round())
    assert abs(float(y.mean()) - 0.3) < 4 * (0.3 / x.numel()) ** 0.5 + 3e-4
    assert run("shot_noise", torch.zeros(1, 1, 28, 28)).sum() == 0


def test_impulse_noise_replaces_its_share_half_by_black_half_by_white():
    x = torch.full((50, 1, 28, 28), 0.5)
    y = run("impulse_noise", x)
    error = (0.085 * 0.915 / x.numel()) ** 0.5
    assert abs(float((y == 0).float().mean()) - 0.085) < 4 * error
    assert abs(float((y == 1).float().mean()) - 0.085) < 4 * error
    assert ((y == 0) | (y == 0.5) | (y == 1)).all()


def test_glass_blur_swaps_near_pixels_and_loses_none():
    order = corruptions.swapped_pixels(200, 28, 28, reach=1, generator=generator(0))
    home = torch.arange(784).expand(200, -1)
    assert torch.equal(order.sort(1).values, home)
    grid, stay = order.view(-1, 28, 28), home.view(-1, 28, 28)
    assert torch.equal(grid[:, 0], stay[:, 0])
    assert torch.equal(grid[:, :, 0], stay[:, :, 0])
    away = (order // 28 - home // 28).abs()
    assert 0.3 < float(away.float().mean()) < 1.5  # rows


def test_glass_blur_swaps_as_a_plain_loop_does():
    gen = generator(0)
    order = corruptions.swapped_pixels(1, 8, 8, reach=1, generator=gen)[0]
    draws = iter(torch.randint(8, (2 * 36, 1), generator=generator(0)).flatten().tolist())
    image = np.arange(64).reshape(8, 8)
    for _ in range(2):
        for row in range(7, 1, -1):
            for column in range(7, 1, -1):
                draw = next(draws)
                if draw >= 4:
                    there = (row - 1 + (draw - 4) // 2, column - 1 + draw % 2)
                    image[row, column], image[there] = image[there], image[row, column]
    assert order.tolist() == image.flatten().tolist()


def test_blurs_keep_a_flat_image():
    x = torch.full((2, 1, 28, 28), 0.4)
    for name in ("glass_blur", "motion_blur"):
        torch.testing.assert_close(run(name, x), x)


def test_motion_blur_smears_a_point_to_one_side_and_keeps_its_light():
    x = torch.zeros(32, 1, 28, 28)
    x[:, :, 14, 24] = 1
    y = run("motion_blur", x)
    torch.testing.assert_close(y.sum((1, 2, 3)), torch.ones(32), atol=1e-4, rtol=0)
    assert y[..., 25:].sum() == 0
    brightest = float(1 / torch.exp(-0.5 * (torch.arange(21) / 3) ** 2).sum())
    torch.testing.assert_close(y[:, 0, 14, 24], torch.full((32,), brightest))


# Known answers: geometry


@pytest.mark.parametrize("name", ["shear", "scale", "rotate"])
@pytest.mark.parametrize("size", [28, 32])
def test_a_disc_keeps_its_centre(name, size):
    middle = (size - 1) / 2
    assert centre(run(name, disc(size))) == pytest.approx((middle, middle), abs=1e-3)


def test_scale_shrinks_areas_by_half():
    assert float(run("scale", disc()).sum() / disc().sum()) == pytest.approx(0.49, rel=0.03)


@pytest.mark.parametrize(
    ("name", "matrix"),
    [
        ("scale", lambda sign: [[1 / 0.7, 0], [0, 1 / 0.7]]),
        (
            "rotate",
            lambda sign: [
                [np.cos(0.4), -sign * np.sin(0.4)],
                [sign * np.sin(0.4), np.cos(0.4)],
            ],
        ),
        ("shear", lambda sign: [[1, -sign * np.sin(0.4)], [0, np.cos(0.4)]]),
    ],
)
def test_geometry_agrees_with_scikit_image(name: str, matrix: Callable):
    x = digits(12)
    result = run(name, x)
    seen = set()
    for image, mine in zip(x[:, 0].double().numpy(), result[:, 0], strict=True):
        errors = {}
        for sign in (-1, 1):
            inverse = np.eye(3)
            inverse[:2, :2] = matrix(sign)
            inverse[:2, 2] = 13.5 - inverse[:2, :2] @ [13.5, 13.5]
            theirs = warp(image, inverse_map=AffineTransform(inverse))
            errors[sign] = np.abs(theirs - mine.numpy()).max()
        assert min(errors.values()) < 1e-4
        seen.add(min(errors, key=lambda sign: errors[sign]))
    assert len(seen) == (1 if name == "scale" else 2)


def test_translate_moves_a_point_by_three_along_both_axes():
    x = torch.zeros(64, 1, 28, 28)
    x[:, :, 14, 10] = 1
    y = run("translate", x)
    torch.testing.assert_close(y.sum((1, 2, 3)), torch.ones(64))
    where = {divmod(int(place), 28) for place in y.flatten(1).argmax(1)}
    assert where == {(11, 7), (11, 13), (17, 7), (17, 13)}


def test_translate_scales_its_length_with_the_image():
    x = torch.zeros(16, 1, 56, 56)
    x[:, :, 28, 20] = 1
    where = {divmod(int(place), 56) for place in run("translate", x).flatten(1).argmax(1)}
    assert where == {(22, 14), (22, 26), (34, 14), (34, 26)}


# Known answers: light


def test_brightness_turns_black_to_middle_grey_and_adds_a_half_to_grey():
    x = torch.tensor([0.0, 0.25, 0.5, 0.75]).view(1, 1, 2, 2)
    expected = torch.tensor([0.5, 0.75, 1.0, 1.0]).view(1, 1, 2, 2)
    assert torch.equal(run("brightness", x), expected)
    assert torch.equal(run("brightness", x.repeat(1, 3, 1, 1)), expected.repeat(1, 3, 1, 1))


def test_brightness_keeps_the_hue_of_a_colour():
    colour = torch.tensor([0.4, 0.2, 0.1]).view(1, 3, 1, 1)
    torch.testing.assert_close(run("brightness", colour), colour * 0.9 / 0.4)


def test_stripe_twice_is_the_identity():
    x = digits()
    once = run("stripe", x)
    torch.testing.assert_close(run("stripe", once), x)
    assert torch.equal(once[..., 7:21], x[..., 7:21])
    assert (once[..., :4] == 1).all()
    assert (once[..., 24:] == 1).all()


def test_fog_leaves_a_black_image_black_and_others_no_brighter_than_they_were():
    x = digits() * 0.8
    assert run("fog", torch.zeros(1, 1, 28, 28)).sum() == 0
    assert run("fog", x).amax() <= x.amax() + 1e-6


def test_plasma_fills_zero_to_one_over_its_whole_map():
    maps = corruptions.plasma(4, 256, 256, generator=generator(0))
    assert torch.equal(maps.amin((1, 2, 3)), torch.zeros(4))
    assert torch.equal(maps.amax((1, 2, 3)), torch.ones(4))


def test_plasma_of_a_corner_is_the_corner_of_the_plasma():
    whole = corruptions.plasma(2, 256, 256, generator=generator(0))
    corner = corruptions.plasma(2, 27, 32, generator=generator(0))
    assert torch.equal(corner, whole[..., :27, :32])


def test_plasma_noise_falls_by_the_published_factor_at_each_halving():
    gen = generator(0)
    grid = corruptions.midpoints(torch.zeros(1, 1, 128, 128), 1.0, gen)
    assert float(grid[3].std()) == pytest.approx(3**-0.5, rel=0.03)  # uniform in [-1, 1)
    maps = corruptions.plasma(4, 256, 256, generator=gen)
    rough = [
        ((maps[..., s::s2, s::s2] * 4 - sum(corners(maps, s2))) / 4).std()
        for s, s2 in ((1, 2), (2, 4), (4, 8))
    ]
    assert float(rough[1] / rough[0]) == pytest.approx(1.96, rel=0.05)
    assert float(rough[2] / rough[1]) == pytest.approx(1.96, rel=0.05)


def corners(maps: Tensor, step: int) -> list[Tensor]:
    """Return the four neighbours, on the torus, of the middle of each square of that size."""
    grid = maps[..., ::step, ::step]
    return [grid.roll((-down, -right), (-2, -1)) for down in (0, 1) for right in (0, 1)]


# Known answers: drawn over the image


def test_spatter_is_mud_of_one_grey_on_black_and_covers_some_but_not_all():
    y = run("spatter", torch.zeros(50, 1, 28, 28))
    covered = y > 0
    assert 0.05 < float(covered.float().mean()) < 0.5
    assert 0.8 * 63 / 255 - 1e-6 <= y[covered].min() <= y.max() <= 63 / 255 + 1e-6


def test_spatter_darkens_white_where_it_lightens_black():
    black = run("spatter", torch.zeros(4, 1, 28, 28))
    white = run("spatter", torch.ones(4, 1, 28, 28))
    torch.testing.assert_close(white, 1 - black * (255 - 63) / 63, atol=1e-5, rtol=0)


def test_dotted_line_is_drawn_in_every_second_pair_of_columns():
    y = run("dotted_line", torch.zeros(20, 1, 28, 28))
    drawn = y.amax((1, 2)).min(0).values > 0.5  # in every image, whatever its slope
    expected = [column % 4 >= 2 and column < 27 for column in range(28)]
    assert drawn.tolist() == expected
    assert not y.amax((0, 1, 2))[torch.tensor(expected).logical_not()].any()


def test_lines_fade_with_the_logarithm_of_the_vertical_distance():
    ends = [torch.tensor([end], dtype=torch.double) for end in (0, 5, 27, 5)]
    y = corruptions.line(torch.zeros(1, 1, 28, 28), *ends)[0, 0]
    expected = [0, 1 + np.log(1 - 1 / 2.3), 1, 1 + np.log(1 - 1 / 2.3), 0]
    assert y[3:8, 9].tolist() == pytest.approx(expected, abs=1e-6)
    assert y[:, 27].sum() == 0


def test_zigzag_swings_between_two_above_and_two_below_its_line():
    y = run("zigzag", torch.zeros(200, 1, 28, 28))
    assert y[..., :2].sum() == 0
    assert y[..., 26:].sum() == 0
    rows = torch.arange(28.0)[:, None]
    level = (y * rows).sum(2) / y.sum(2).clamp(min=1e-6)
    inside = y[:, 0, [0, 27]].sum((1, 2)) == 0  # not cut by the border
    swing = level[inside, 0, 4] - level[inside, 0, 8]
    assert inside.sum() > 50
    # With the line level the corners are 4 apart; it rises by at most 5 / 23 a column.
    assert 2 < swing.min() <= swing.max() < 5.5


def test_zigzag_pieces_scale_with_the_image():
    small = run("zigzag", torch.zeros(4, 1, 28, 28))
    large = run("zigzag", torch.zeros(4, 1, 56, 56))
    torch.testing.assert_close(large[..., ::2, ::2], small)


def test_canny_edges_are_those_of_scikit_image():
    x = as_floats(as_bytes(digits(40)))
    y = run("canny_edges", x)
    theirs = np.stack([canny(image) for image in as_bytes(x)[:, 0].numpy() / 255.0])
    assert np.array_equal(y[:, 0].numpy(), theirs)
    assert set(y.unique().tolist()) == {0, 1}
