"""BatchEnsemble: members that share every weight but for a factor a row and one a column."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Unpack

import torch
from torch import Tensor, nn
from torch.nn import functional

from bench.datasets.base import Task

from .members import Members, MembersMethod, Tiled
from .nets import Layers
from .neural import DeepParams


class Factors(nn.Module):
    """What is a member's own in a layer: y = r_m W(s_m x) + b_m; r_m and s_m start as signs.

    Inputs and outputs are (M n, features, …), the members one after another.
    """

    def __init__(self, inputs: int, outputs: int, members: int) -> None:
        super().__init__()
        self.members = members
        self.of_inputs = nn.Parameter(signs(members, inputs))
        self.of_outputs = nn.Parameter(signs(members, outputs))
        self.bias = nn.Parameter(torch.zeros(members, outputs))

    def forward(self, x: Tensor, shared: Callable[[Tensor], Tensor]) -> Tensor:
        y = shared(x * self._each(self.of_inputs, x))
        return y * self._each(self.of_outputs, y) + self._each(self.bias, y)

    def _each(self, values: Tensor, x: Tensor) -> Tensor:
        """Return the members' values (M, F) for each of (M n, F, …)."""
        each = values.repeat_interleave(len(x) // self.members, dim=0)
        return each.reshape(*each.shape, *[1] * (x.dim() - 2))


def signs(*shape: int) -> Tensor:
    """Return 1 and -1 with even chances."""
    return 2.0 * torch.randint(2, shape) - 1


class SharedLinear(nn.Linear):
    """A linear layer of M members; see `Factors`."""

    def __init__(self, inputs: int, outputs: int, *, members: int) -> None:
        super().__init__(inputs, outputs, bias=False)
        self.own = Factors(inputs, outputs, members)

    def forward(self, x: Tensor) -> Tensor:
        return self.own(x, partial(functional.linear, weight=self.weight))


class SharedConvolution(nn.Conv2d):
    """A convolution 3 x 3, which keeps the size of maps, of M members; see `Factors`."""

    def __init__(self, inputs: int, outputs: int, *, members: int) -> None:
        super().__init__(inputs, outputs, 3, padding=1, bias=False)
        self.own = Factors(inputs, outputs, members)

    def forward(self, x: Tensor) -> Tensor:
        return self.own(x, super().forward)


class BatchEnsemble(MembersMethod):
    """M members with weights W * r_m s_m^T: p(y|x) = 1/M sum_m softmax f_m(x).

    W is shared, r_m and s_m are vectors that start as random signs, and biases are each member's
    own. Every member sees every batch, which takes M times as long as `standard`; the authors
    divide a batch among members and train longer. M = 4 and random signs are theirs. They decay
    W alone; here all is decayed. The gains and shifts of norms are shared.

    Claim of the paper: accuracy and uncertainty of a typical ensemble, at a third of its memory
    (abstract).

    Args:
        size: number M of members.
    """

    name = "batch_ensemble"
    source = "Wen, Tran and Ba 2020, arXiv:2002.06715"
    tuned = "published"
    claims = (
        {
            "text": "is as accurate as an ensemble",
            "metric": "accuracy",
            "scenario": "clean",
            "than": "ensemble",
            "least": -0.005,
        },
        {"text": "tells outliers as well as an ensemble", "than": "ensemble", "least": -0.01},
    )

    def __init__(self, *, size: int = 4, **inherited: Unpack[DeepParams]) -> None:
        super().__init__(size=size, **inherited)

    def build(self, task: Task) -> Members:
        layers = Layers(
            partial(SharedLinear, members=self.size), partial(SharedConvolution, members=self.size)
        )
        return Tiled(self.classifier(task, layers=layers), self.size)
