"""Conformal sets: scores worked out by hand, and coverage by simulation."""

import numpy as np
import pytest
import torch

from bench.metrics.conformal import aps, lac, raps
from bench.metrics.operating import threshold

P = torch.tensor([[0.5, 0.2, 0.3]]).double()
U = torch.tensor([0.5]).double()


def test_scores_by_hand():
    np.testing.assert_allclose(lac(P), [[0.5, 0.8, 0.7]])
    np.testing.assert_allclose(aps(P, U), [[0.25, 0.9, 0.65]])
    np.testing.assert_allclose(raps(P, U, penalty=0.1, free=1), [[0.25, 1.1, 0.75]])
    np.testing.assert_allclose(raps(P, U, penalty=0.1, free=3), aps(P, U))


def test_confident_answers_do_not_tie():
    sure = torch.tensor([[1.0, 1e-20], [1.0, 2e-20]]).double()
    assert lac(sure)[0, 0] != lac(sure)[1, 0]


@pytest.mark.parametrize(
    "score", [lambda p, u: lac(p), aps, lambda p, u: raps(p, u, penalty=0.1, free=1)]
)
def test_sets_hold_the_label_as_often_as_asked_whatever_the_probabilities(score):
    draw = torch.Generator().manual_seed(0)
    held = []
    for _ in range(300):
        n = 59 + 200
        logits = torch.randn(n, 5, generator=draw, dtype=torch.float64)
        y = torch.multinomial(logits.softmax(-1), 1, generator=draw)
        u = torch.rand(n, generator=draw, dtype=torch.float64)
        values = score((3 * logits).softmax(-1), u).gather(-1, y)[:, 0]  # far too certain
        held.append((values[59:] <= threshold(values[:59], 0.1).value).double().mean().item())
    assert np.mean(held) == pytest.approx(0.9, abs=0.01)  # exactly 54 of 60
