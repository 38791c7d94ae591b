"""Augmentation: labels keep their meaning, and nets that are not augmented draw nothing."""

import pytest
import torch
from torch import Tensor

from bench.datasets.base import Harmless, Split, Task
from bench.methods.augmentation import augmented
from bench.methods.standard import Standard

HARMLESS = Harmless(shift=1, flip=True)


def shifts(x: Tensor, most: int) -> set[bytes]:
    """Every way to move one image (C, H, W), zeros at the border."""
    _, height, width = x.shape
    padded = torch.nn.functional.pad(x, (most,) * 4)
    return {
        padded[:, i : i + height, j : j + width].numpy().tobytes()
        for i in range(2 * most + 1)
        for j in range(2 * most + 1)
    }


def test_an_image_is_moved_every_way_and_no_further():
    x = torch.rand(2, 5, 6, generator=torch.Generator().manual_seed(0))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        moved = augmented(x.expand(500, 2, 5, 6), Harmless(shift=1))
    assert {image.numpy().tobytes() for image in moved} == shifts(x, 1)


def test_about_half_of_the_images_are_mirrored():
    x = torch.rand(1, 4, 4, generator=torch.Generator().manual_seed(0)).expand(400, 1, 4, 4)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        made = augmented(x, Harmless(flip=True))
    mirrored = (made == x.flip(-1)).flatten(1).all(1)
    assert bool((mirrored | (made == x).flatten(1).all(1)).all())
    assert 150 < int(mirrored.sum()) < 250


def test_nothing_harmless_changes_and_draws_nothing():
    x, before = torch.rand(3, 1, 4, 4), torch.get_rng_state()
    assert augmented(x, Harmless()) is x
    assert torch.equal(torch.get_rng_state(), before)


def split(harmless: Harmless) -> Split:
    x = torch.rand(64, 1, 4, 4, generator=torch.Generator().manual_seed(0))
    y = (x[:, 0, 0, :1] > 0.5).long()
    return Split(x, y, Task((1, 4, 4), ("t",), ("a", "b"), harmless), "x")


def weights(harmless: Harmless, **params) -> Tensor:
    settings = {"epochs": 2, "min_updates": 2, "conv_min_updates": 2, "blocks": 2, "channels": 4}
    part = split(harmless)
    fitted = Standard(**{**settings, "width": 8, **params}).fit(part, part, seed=0)
    return torch.cat([p.detach().flatten() for p in fitted.net.parameters()])


@pytest.mark.parametrize(
    ("params", "changes"),
    [
        ({}, False),
        ({"augment": "on"}, True),
        ({"backbone": "cnn"}, True),
        ({"backbone": "cnn", "augment": "off"}, False),
    ],
)
def test_nets_on_maps_alone_see_changed_inputs_unless_told(params, changes):
    same = torch.equal(weights(HARMLESS, **params), weights(Harmless(), **params))
    assert same != changes


def test_augmented_training_repeats():
    assert torch.equal(weights(HARMLESS, augment="on"), weights(HARMLESS, augment="on"))


def test_a_net_on_maps_learns_at_its_own_rate():
    assert Standard(lr=0.01).recipe().lr == 0.01
    assert Standard(lr=0.01, backbone="cnn").recipe().lr == pytest.approx(0.03)
    assert Standard(lr=0.01, backbone="cnn", conv_lr_scale=1.0).recipe().lr == 0.01
