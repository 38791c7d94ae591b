"""Random integers of an input: spread evenly, and changed by nothing but input and seed."""

import pytest
import torch

from bench.methods.draws import integers

X = torch.rand(400, 1, 6, 6, generator=torch.Generator().manual_seed(4))


def drawn(x, seed=0, high=8):
    torch.manual_seed(seed)
    return integers(x, (5, 3), high)


def test_neither_batch_nor_order_changes_what_an_input_draws():
    order = torch.randperm(len(X), generator=torch.Generator().manual_seed(1))
    assert torch.equal(drawn(X)[order], drawn(X[order]))
    assert torch.equal(drawn(X)[7:9], drawn(X[7:9]))


def test_another_seed_draws_others():
    assert (drawn(X, seed=0) == drawn(X, seed=1)).float().mean() == pytest.approx(1 / 8, abs=0.02)


def test_the_smallest_change_of_an_input_draws_others():
    changed = X.clone()
    changed[:, 0, 3, 3] = torch.nextafter(changed[:, 0, 3, 3], torch.tensor(2.0))
    assert (drawn(X) == drawn(changed)).float().mean() == pytest.approx(1 / 8, abs=0.02)


@pytest.mark.parametrize("high", [1, 3, 8])
def test_all_integers_are_as_frequent(high):
    found = drawn(X, high=high)
    assert found.shape == (400, 5, 3)
    shares = found.flatten().bincount(minlength=high) / found.numel()
    assert shares.tolist() == pytest.approx([1 / high] * high, abs=0.02)


def test_places_are_independent():
    found = torch.nn.functional.one_hot(drawn(X).flatten(1), 8).double()
    both = torch.einsum("nia,njb->ijab", found, found) / len(X)
    away = both - found.mean(0)[:, None, :, None] * found.mean(0)[None, :, None, :]
    other = ~torch.eye(15, dtype=torch.bool)
    assert away[other].abs().max() < 0.08  # five standard deviations of a share of 1/64
