"""Scores of methods that model inputs: the likelihood, and what is said to repair it.

All are in bits for each of the D dimensions of an input; a bit b stands for p(x) = 2^(-D b).
"""

from __future__ import annotations

from torch import Tensor

from bench.scores.base import Evidence, score


@score(label="likelihood", source="Bishop 1994, doi:10.1049/ip-vis:19941330", needs="bits_per_dim")
def likelihood(evidence: Evidence, fitted: None) -> Tensor:
    """Bits per dimension, -1/D log2 p(x); (N,) -> (N,)."""
    return evidence.extras["bits_per_dim"]


@score(
    label="likelihood less complexity", source="Serrà et al. 2020, arXiv:1909.11480",
    needs="bits_per_dim+png_bits",
)  # fmt: skip
def complexity_corrected(evidence: Evidence, fitted: None) -> Tensor:
    """Bits per dimension beyond those of the image as a PNG file; (N,) -> (N,)."""
    return evidence.extras["bits_per_dim"] - evidence.extras["png_bits"]


@score(
    label="likelihood ratio", source="Ren et al. 2019, arXiv:1906.02845",
    needs="bits_per_dim+background_bits",
)  # fmt: skip
def likelihood_ratio(evidence: Evidence, fitted: None) -> Tensor:
    """Bits per dimension beyond those of a model of mutated inputs; (N,) -> (N,)."""
    return evidence.extras["bits_per_dim"] - evidence.extras["background_bits"]


@score(label="atypicality", source="Nalisnick et al. 2019, arXiv:1906.02994", needs="typicality")
def atypicality(evidence: Evidence, fitted: None) -> Tensor:
    """|bits per dimension - their mean over training inputs|; (N,) -> (N,)."""
    return evidence.extras["typicality"]


@score(label="WAIC", source="Choi, Jang and Alemi 2018, arXiv:1810.01392", needs="waic")
def waic(evidence: Evidence, fitted: None) -> Tensor:
    """Mean bits per dimension of several models, and the variance of their nats; (N,) -> (N,)."""
    return evidence.extras["waic"]
