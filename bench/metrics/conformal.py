"""Conformal sets of labels: what belongs to a set, and how often the label is in it.

A class belongs to the set of an input where its score is at most a threshold: the conservative
quantile (`bench.metrics.operating`) of the scores of the true labels of validation inputs. Then a
set holds the label of an input like those of validation with the asked probability or more.
Probabilities are (N, K) of one target, float64.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from bench.metrics.registry import declared

if TYPE_CHECKING:
    from torch import Tensor

_cent = partial(declared, kind="other", unit="%", digits=1, scale=100.0)
DECLARED = (
    *(
        _cent(f"coverage{end}", f"coverage{word}")
        for end, word in (("", ""), ("_low", ", low"), ("_high", ", high"))
    ),
    _cent("chance_coverage_low", "chance, low"),
    _cent("chance_coverage_high", "chance, high"),
    declared("set_size", "labels in a set", kind="other", better="lower", digits=2),
    _cent("empty_sets", "empty sets"),
)


def lac(probs: Tensor) -> Tensor:
    """One minus the probability of each class, (N, K) (Sadinle et al. 2019, arXiv:1609.00451).

    As the sum of the others, so that confident answers do not tie. The smallest sets on average;
    where answers are right more often than asked for, some sets are empty.
    """
    import torch

    others = 1 - torch.eye(probs.shape[-1], dtype=probs.dtype)
    return probs @ others


def aps(probs: Tensor, u: Tensor) -> Tensor:
    """Mass of the likelier classes and a random share of each class itself, (N, K).

    Σ_{likelier j} p_j + u p_k with u (N,) uniform in [0, 1] (Romano et al. 2020,
    arXiv:2006.02544): without u, coverage would be too large.
    """
    ranked, order = probs.sort(dim=-1, descending=True, stable=True)
    mass = ranked.cumsum(-1) - ranked + u[:, None] * ranked
    return mass.gather(-1, order.argsort(-1))


def raps(probs: Tensor, u: Tensor, *, penalty: float, free: int) -> Tensor:
    """`aps` with a ``penalty`` for each class behind the ``free`` likeliest, (N, K).

    Angelopoulos et al. 2021, arXiv:2009.14193.
    """
    order = probs.argsort(dim=-1, descending=True, stable=True).argsort(-1)
    return aps(probs, u) + penalty * (order + 1 - free).clamp_min(0)
