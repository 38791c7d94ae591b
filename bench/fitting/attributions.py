"""Attribution maps: how much each value of an input counts for the mean prediction of a class.

Integrated gradients are Captum's. The causal effect of a feature is worked out here: it depends on
an input through one value at a time, so that one table serves every input.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from importlib.util import find_spec

import torch
from torch import Tensor, nn

from bench.fitting.strong_attacks import TINY
from bench.methods import draws
from bench.methods.base import Method

MISSING = "integrated gradients need captum: pip install 'bench[attributions]'"
BATCH = 400  # inputs to differentiate, or to run, at a time

Watched = Callable[[Sequence[Tensor]], Iterator[Tensor]]


def installed() -> bool:
    """Return whether Captum is there."""
    return find_spec("captum") is not None


class LogOdds(nn.Module):
    """Log odds of each class by a method of one target, (n, C, H, W) to (n, K).

    log p_k - log sum_{j != k} p_j, which does not saturate where p_k is near 1. It is one function
    of x: the generator is set before every batch, and all inputs share the draws
    that elsewhere belong to an input's bytes. Else two maps would differ by their draws, and
    neither would a path integral telescope nor a second derivative exist.

    Args:
        method: a fitted method.
        seed: of its draws.
        target: samples: p is the mean of `predict_proba`; single: of the deterministic classifier.
    """

    def __init__(self, method: Method, seed: int, target: str = "samples") -> None:
        super().__init__()
        self.method, self.seed = method, seed
        self.single = method.single_classifier() if target == "single" else None

    def forward(self, x: Tensor) -> Tensor:
        torch.manual_seed(self.seed)
        with draws.alike():
            if self.single is None:
                probs = self.method.predict_proba(x).float().mean(dim=1)
            else:
                probs = self.single(x).float().softmax(-1)
        logs = probs.clamp_min(TINY).log()[:, 0]
        itself = torch.eye(logs.shape[1], dtype=torch.bool, device=x.device)
        others = logs[:, None].masked_fill(itself, -torch.inf).logsumexp(-1)
        return logs - others

    def has_gradient(self, x: Tensor) -> bool:
        """Return whether it can be differentiated at x and is not constant around all of it."""
        with torch.enable_grad():
            x = x.clone().requires_grad_()
            said = self(x)[:, 0].sum()
            return said.requires_grad and bool(torch.autograd.grad(said, x)[0].any())


def integrated_gradients(f: nn.Module, x: Tensor, classes: Tensor, *, steps: int) -> Tensor:
    """Return x_i times the mean of df_k/dx_i on the way from a black image to x, (n, C, H, W).

    Sundararajan et al. 2017, arXiv:1703.01365, by Gauss and Legendre's rule. The maps of an input
    sum to f_k(x) - f_k(0) up to the error of the rule.

    Args:
        f: inputs (n, C, H, W) to outputs (n, K).
        x: inputs.
        classes: the output k to attribute of each, (n,).
        steps: number of gradients.
    """
    from captum.attr import IntegratedGradients  # optional, and seconds to import

    attribute = IntegratedGradients(f).attribute
    parts = zip(*(values.split(max(1, BATCH // steps)) for values in (x, classes)), strict=True)
    with torch.enable_grad():
        maps = [attribute(one, torch.zeros_like(one), k, n_steps=steps) for one, k in parts]
    return torch.cat(maps).detach()


@torch.no_grad()
def interventional_expectation(
    f: nn.Module, x: Tensor, *, values: int, directions: int, reach: float = 0.0,
    watched: Watched = iter,
) -> Tensor:  # fmt: skip
    """Return E[f_k | do(x_i = a)] for every feature i and values a from 0 to 1, (D, A, K).

    Chattopadhyay et al. 2019, arXiv:1902.02302: features do not cause each other, so that the
    others keep their mean and covariance C. With m the mean but for m_i = a, to second order,

        E[f_k | do(x_i = a)] = f_k(m) + 1/2 tr(H_k(m) C'),  C' = C without row and column i.

    The trace is a sum of second derivatives along the R principal directions v_r of C, each as long
    as its standard deviation and with coordinate i set to 0. They are taken from central
    differences, f(m + h v_r) + f(m - h v_r) - 2 f(m) over h^2, which need no derivative and serve
    all classes at once. As h goes to 0 this is the expansion itself. With h = sqrt(R) it is the
    mean of f over the 2 R points m ± h v_r, the cubature rule of third degree: the same for any
    quadratic f, and never beyond the values that f takes.

    Args:
        f: inputs (n, C, H, W) to outputs (n, K).
        x: the inputs whose mean and covariance count, (N, C, H, W); training inputs.
        values: number A of values a.
        directions: number R of principal directions, of largest variance; 0: f_k(m) alone.
        reach: h; 0: sqrt(R).
        watched: wraps the batches, to show how far it is.
    """
    flat = x.flatten(1)
    mean, axes = flat.double().mean(0).to(x.dtype), principal(flat, directions)
    h = reach or max(1, len(axes)) ** 0.5
    levels = torch.linspace(0, 1, values, dtype=x.dtype, device=x.device)
    size = flat.shape[1]
    points = torch.cartesian_prod(torch.arange(size), torch.arange(values)).to(x.device)
    found = []
    for part in watched(points.split(max(1, BATCH // (2 * len(axes) + 1)))):
        feature, level = part.T
        centre = mean.repeat(len(part), 1).scatter(1, feature[:, None], levels[level][:, None])
        moves = h * axes.repeat(len(part), 1, 1)
        moves[torch.arange(len(part)), :, feature] = 0
        centre = centre[:, None]
        inputs = torch.cat([centre, centre + moves, centre - moves], dim=1)  # (n, 2 R + 1, D)
        said = f(inputs.reshape(-1, *x.shape[1:])).double().unflatten(0, inputs.shape[:2])
        curved = (said[:, 1:] - said[:, :1]).sum(1) / h**2
        found.append(said[:, 0] + curved / 2)
    return torch.cat(found).unflatten(0, (size, values))


@torch.no_grad()
def contrast_by_force(f: nn.Module, x: Tensor) -> Tensor:
    """Return the mean over inputs of f_k with x_i = 1 less that with x_i = 0, (D, K); float64.

    It is E[f_k | do(x_i = 1)] - E[f_k | do(x_i = 0)] over the empirical distribution of the others,
    by as many passes: what `interventional_expectation` is checked by.
    """
    found = []
    for i in range(x[0].numel()):
        ends = x.flatten(1).repeat(2, 1, 1)
        ends[0, :, i], ends[1, :, i] = 0, 1
        low, high = f(ends.reshape(-1, *x.shape[1:])).double().chunk(2)
        found.append((high - low).mean(0))
    return torch.stack(found)


def principal(flat: Tensor, directions: int) -> Tensor:
    """Return the directions of largest variance of (N, D), by standard deviations long, (R, D)."""
    covariance = flat.double().T.cov(correction=0)
    variance, vectors = torch.linalg.eigh(covariance)  # lowest first
    scaled = vectors * variance.clamp_min(0).sqrt()
    return scaled.T.flip(0)[:directions].to(flat.dtype)


def causal_effect(expected: Tensor, x: Tensor, classes: Tensor) -> Tensor:
    """Return E[f_k | do(x_i = its value)] minus its mean over all values, (n, C, H, W); float64.

    Args:
        expected: `interventional_expectation`, (D, A, K); linear between its values.
        x: inputs in [0, 1], (n, C, H, W).
        classes: the output k of each, (n,).
    """
    effects = (expected - expected.mean(1, keepdim=True)).permute(2, 0, 1)[classes]  # (n, D, A)
    place = x.flatten(1).double().clamp(0, 1) * (expected.shape[1] - 1)
    below = place.long().clamp_max(expected.shape[1] - 2)
    share = place - below
    low, high = (effects.gather(2, (below + i)[..., None])[..., 0] for i in (0, 1))
    return (low + share * (high - low)).reshape(x.shape)


def importance(maps: Tensor) -> Tensor:
    """Return the magnitude of every pixel of maps (n, C, H, W), summed over channels, (n, H W)."""
    return maps.abs().sum(1).flatten(1)
