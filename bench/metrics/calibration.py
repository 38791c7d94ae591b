"""How far probabilities can be taken at their word.

Probabilities are (N, T, K), labels (N, T) int64. Every number is computed for each target on
its own N inputs and then averaged over the T targets; pooling the targets would let an
overconfident one cancel an underconfident one.
"""

from __future__ import annotations

from collections.abc import Iterator
from statistics import fmean
from typing import TYPE_CHECKING

from bench.metrics.classification import check_labels, top_label
from bench.metrics.registry import declared, metric

if TYPE_CHECKING:
    from torch import Tensor

BINS = 15
SMALLEST = 2.0**-126  # the smallest normal float32
NOISE_FLOOR = declared(
    "ece_noise_floor", "ECE of a calibrated model", kind="answer", unit="%", digits=2, scale=100.0
)


@metric(label="ECE", better="lower", kind="answer", unit="%", digits=1, scale=100.0)
def ece(probs: Tensor, y: Tensor, *, bins: int = BINS) -> float:
    """Expected calibration error of the top label, as a fraction in [0, 1].

    Σ_b n_b/N |mean confidence - accuracy in bin b| over equal-width bins [b/B, (b+1)/B), the
    last one closed (Naeini et al. 2015; Guo et al., arXiv:1706.04599). Mean over targets.
    """
    return fmean(binned_gap(c - r, equal_width(c, bins), bins) for c, r in answers(probs, y))


@metric(label="ECE, equal mass", better="lower", kind="answer", unit="%", digits=1, scale=100.0)
def ece_equal_mass(probs: Tensor, y: Tensor, *, bins: int = BINS) -> float:
    """Expected calibration error with equally many inputs in every bin, as a fraction in [0, 1].

    Inputs are sorted by confidence and cut into bins whose sizes differ by one at most (Nixon
    et al., arXiv:1904.01685). Inputs of equal confidence that a cut separates share their mean
    gap, so that the order of the data does not matter. Mean over targets.
    """
    import torch

    part = torch.arange(len(y)) * bins // len(y)
    gaps = []
    for confidence, right in answers(probs, y):
        ranked, order = confidence.sort()
        gap = mean_over_ties((confidence - right)[order], ranked)
        gaps.append(binned_gap(gap, part, bins))
    return fmean(gaps)


@metric(label="NLL", better="lower", kind="answer")
def nll(probs: Tensor, y: Tensor) -> float:
    """Negative log-likelihood of the labels in nats, mean over inputs and targets.

    A probability below the smallest normal float32 counts as that: 0 in a float32 softmax
    means no less, and one such input costs 87.3 nats instead of making the mean infinite.
    """
    check_labels(probs, y)
    given = probs.gather(-1, y[..., None]).double()
    return -given.clamp_min(SMALLEST).log().mean().item()


@metric(label="Brier", better="lower", kind="answer")
def brier(probs: Tensor, y: Tensor) -> float:
    """Brier score, in [0, 2]: squared error summed over classes, mean over inputs and targets.

    Brier 1950; many libraries divide by the number of classes or report half of it.
    """
    from torch.nn.functional import one_hot

    check_labels(probs, y)
    truth = one_hot(y, probs.shape[-1])
    return (probs.double() - truth).square_().sum(-1).mean().item()


def ece_noise_floor(probs: Tensor, *, seed: int = 0, repeats: int = 100, bins: int = BINS) -> float:
    """Mean `ece` that a perfectly calibrated model of the same confidences would show.

    ECE is positive even then, because every bin holds finitely many inputs: top labels are
    drawn right with probability equal to their confidence, ``repeats`` times. A measured ECE
    near this number is no evidence of miscalibration (bias of ECE: Kumar et al.,
    arXiv:1909.10155).
    """
    import torch

    draw = torch.Generator().manual_seed(seed)
    errors = []
    for confidence in top_label(probs).confidence.T.contiguous():
        bin_of = equal_width(confidence, bins)
        for _ in range(repeats):
            right = torch.rand(len(confidence), generator=draw, dtype=torch.float64) < confidence
            errors.append(binned_gap(confidence - right.double(), bin_of, bins))
    return fmean(errors)


def answers(probs: Tensor, y: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """For each target, the confidence of the top label and whether it is right: float64, (N,)."""
    check_labels(probs, y)
    confidence, label = top_label(probs)
    return zip(confidence.T, (label == y).double().T, strict=True)


def equal_width(confidence: Tensor, bins: int) -> Tensor:
    """Index of the equal-width bin of each confidence, int64 of the same shape."""
    return (confidence * bins).long().clamp_(0, bins - 1)  # the clamp closes the last bin


def binned_gap(gap: Tensor, bin_of: Tensor, bins: int) -> float:
    """Σ_b |Σ gaps in bin b| / N, of confidence minus correctness; both (N,).

    The same as Σ_b n_b/N |mean confidence - accuracy of bin b|, without an empty bin's 0/0.
    """
    return bin_of.bincount(gap, minlength=bins).abs().sum().item() / len(gap)


def mean_over_ties(values: Tensor, ranked: Tensor) -> Tensor:
    """Values (N,) with those of equal key replaced by their mean; the keys (N,) are sorted."""
    _, group, size = ranked.unique_consecutive(return_inverse=True, return_counts=True)
    sums = values.new_zeros(len(size)).scatter_add_(0, group, values)
    return (sums / size)[group]
