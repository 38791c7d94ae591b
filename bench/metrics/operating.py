"""Operating points: a threshold fixed on validation inliers, and what it flags elsewhere.

An input is flagged where its uncertainty is greater than the threshold. The threshold is the
k-th smallest of n validation uncertainties, k = ⌈(n + 1)(1 - rate)⌉, as in split conformal
prediction (Vovk et al. 2005; Lei et al. 2018, arXiv:1604.04173): of inliers that are drawn like
those of validation no more than the asked share is flagged, on average over draws of both.
Without ties it is less than 1 / (n + 1) below that share; ties at the threshold are not flagged,
so that they lower it.
"""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bench.errors import BenchError
from bench.metrics.detection import as_vector
from bench.metrics.registry import Metric, declared

if TYPE_CHECKING:
    from torch import Tensor

RATES = (1, 5, 10)  # per cent of inliers
LEVEL = 0.95  # of every interval
_cent = partial(declared, kind="alarm", unit="%", digits=1, scale=100.0)


def _of_rate(rate: int) -> tuple[Metric, ...]:
    at = f"at {rate} %"
    shares = {
        f"flagged_{rate}": f"flagged {at}",
        f"right_flagged_{rate}": f"flagged {at}, of right answers",
        f"wrong_flagged_{rate}": f"flagged {at}, of wrong answers",
    }
    return (
        declared(f"threshold_{rate}", f"threshold {at}", kind="alarm", digits=4),
        *(
            _cent(f"{name}{end}", f"{label}{word}")
            for name, label in shares.items()
            for end, word in (("", ""), ("_low", ", low"), ("_high", ", high"))
        ),
        _cent(f"chance_{rate}_low", f"chance {at}, low"),
        _cent(f"chance_{rate}_high", f"chance {at}, high"),
    )


DECLARED = tuple(metric for rate in RATES for metric in _of_rate(rate))


class Threshold(NamedTuple):
    """A threshold of an uncertainty: the ``rank``-th smallest of ``n`` validation inliers."""

    value: float
    rank: int
    n: int

    def chance(self, m: int) -> tuple[float, float]:
        """Return the range of the share flagged of m further inliers in 95 % of draws.

        Beta-binomial: both the validation inliers and the m further ones are drawn. Ties lower
        what is flagged below it.
        """
        from scipy.stats import betabinom

        ends = betabinom.ppf([(1 - LEVEL) / 2, (1 + LEVEL) / 2], m, self.n + 1 - self.rank,
                             self.rank) / m  # fmt: skip
        return float(ends[0]), float(ends[1])


def needed(rate: float) -> int:
    """Return the fewest validation inliers that a threshold for a false-alarm rate needs."""
    return math.ceil(1 / rate - 1e-9) - 1


def check_rate(rate: float, n: int) -> None:
    """Refuse a false-alarm rate that n validation inliers cannot give.

    Raises:
        BenchError: the rate is not between 0 and 1, or there are too few inliers for it.
    """
    if not 0 < rate < 1:
        raise BenchError(f"a false-alarm rate lies between 0 and 1, and {rate:g} does not")
    if n < needed(rate):
        raise BenchError(
            f"a false-alarm rate of {rate:g} needs {needed(rate)} validation inliers, and there "
            f"are {n}: ask for {math.ceil(1e4 / (n + 1)) / 1e4:g} or more"
        )


def threshold(uncertainty: Tensor | NDArray, rate: float) -> Threshold:
    """Return the threshold that flags at most a share ``rate`` of inliers; uncertainties (N,).

    Raises:
        ValueError: an uncertainty is NaN or infinite, or there are none.
        BenchError: the rate is not between 0 and 1, or there are too few inliers for it.
    """
    values = np.sort(as_vector(uncertainty, "validation uncertainties"))
    n = len(values)
    check_rate(rate, n)
    rank = n + 1 - math.floor((n + 1) * rate + 1e-9)  # a product of floats may fall short
    return Threshold(float(values[rank - 1]), rank, n)


def share(hits: NDArray[np.bool_]) -> tuple[float, float, float]:
    """Return a share with both ends of its 95 % interval (Clopper and Pearson 1934); hits (N,)."""
    from scipy.stats import binomtest

    found, n = int(hits.sum()), len(hits)
    ends = binomtest(found, n).proportion_ci(LEVEL, "exact")
    return found / n, float(ends.low), float(ends.high)


def alarms(
    at: Threshold, rate: int, uncertainty: Tensor | NDArray, wrong: Tensor | NDArray | None = None
) -> dict[str, float]:
    """Return what a threshold for ``rate`` per cent flags of one view, with intervals.

    Args:
        at: the threshold.
        rate: the false-alarm rate that it was fixed for, in per cent.
        uncertainty: of each input, (N,).
        wrong: whether each answer is wrong, (N,), where that is known.
    """
    flagged = as_vector(uncertainty, "uncertainties") > at.value
    parts = {f"flagged_{rate}": flagged}
    if wrong is not None:
        errors = np.asarray(wrong, dtype=bool)
        parts |= {
            f"right_flagged_{rate}": flagged[~errors],
            f"wrong_flagged_{rate}": flagged[errors],
        }
    found = {}
    for name, hits in parts.items():
        if len(hits):
            found[name], found[f"{name}_low"], found[f"{name}_high"] = share(hits)
    return found
