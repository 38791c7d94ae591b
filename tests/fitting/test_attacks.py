"""FGSM against its closed form, with the faults of the library behind it cured."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from bench.fitting.attacks import fgsm_direction, perturbed

EPS = (0.01, 0.1, 0.5)


def classifier(targets: int = 1, dropout: float = 0.0) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = nn.Sequential(
            nn.Flatten(), nn.Linear(16, 8), nn.ReLU(), nn.Dropout(dropout),
            nn.Linear(8, targets * 3), nn.Unflatten(1, (targets, 3)),
        )  # fmt: skip
    return net.eval()


def images(n: int = 20) -> torch.Tensor:
    x = torch.rand(n, 1, 4, 4, generator=torch.Generator().manual_seed(1))
    x[:, :, 0] = 0.0  # clipped on both sides
    x[:, :, 1] = 1.0
    return x


@pytest.mark.parametrize("targets", [1, 2])
@pytest.mark.parametrize("eps", EPS)
def test_fgsm_is_its_closed_form(targets, eps):
    net, x = classifier(targets), images()
    y = torch.arange(20 * targets).reshape(20, targets) % 3
    leaf = x.clone().requires_grad_()
    functional.cross_entropy(net(leaf).flatten(0, 1), y.flatten()).backward()
    expected = (x + eps * leaf.grad.sign()).clamp(0, 1)
    assert torch.equal(perturbed(x, fgsm_direction(net, x, y, batch=7), eps), expected)


def test_the_attack_works_without_gradients_around_it():
    with torch.no_grad():
        direction = fgsm_direction(classifier(), images(), torch.zeros(20, 1, dtype=torch.long))
    assert direction.abs().sum() > 0


def test_modules_are_left_in_the_mode_they_were_in():
    net = classifier(dropout=0.5)
    net[3].train()  # Monte Carlo dropout
    fgsm_direction(net, images(), torch.zeros(20, 1, dtype=torch.long))
    assert net[3].training
    assert not net[1].training
    assert all(p.grad is None for p in net.parameters())


def test_dropout_is_off_while_the_attack_is_made():
    y = torch.zeros(20, 1, dtype=torch.long)
    net = classifier(dropout=0.5)
    net.train()
    assert torch.equal(fgsm_direction(net, images(), y), fgsm_direction(classifier(), images(), y))


@pytest.mark.parametrize("x", [images() * 2, images().double(), images().mul(255).byte()])
def test_inputs_outside_the_unit_range_are_refused(x):
    with pytest.raises(ValueError, match=r"float32 inputs in \[0, 1\]"):
        fgsm_direction(classifier(), x, torch.zeros(20, 1, dtype=torch.long))


def test_a_constant_classifier_cannot_be_attacked():
    class Constant(nn.Module):
        def forward(self, x):
            return (0 * x.flatten(1).sum(1))[:, None, None].expand(-1, 1, 3)

    x = images()
    direction = fgsm_direction(Constant(), x, torch.zeros(20, 1, dtype=torch.long))
    assert torch.equal(perturbed(x, direction, 0.3), x)
