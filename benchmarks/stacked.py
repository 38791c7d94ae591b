"""Seconds of a step of M networks trained one after another, and stacked in one network.

`python benchmarks/stacked.py [STEPS]` prints, for batches of 64, 128 and 512 in each precision, the
median of both and their ratio, in wall time and in seconds of the processor, on one thread. The
loop is the harness's own step. The stack has the same layers over weights with a leading dimension
of members: `torch.baddbmm`, a norm whose gains and shifts are each member's own, gradients clipped
member by member, one fused AdamW. It is no test: a busy machine would fail it.
"""

import sys
import time
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from statistics import median

import torch
from torch import Tensor, nn
from torch.nn import functional

from bench.datasets.base import Task
from bench.methods.standard import Standard
from bench.methods.training import Batch, Precision, Step

MEMBERS = 8
TASK = Task((1, 32, 32), ("digit",), tuple("0123456789"))


class StackedLinear(nn.Module):
    """A linear layer of M members, (M, n, inputs) to (M, n, outputs)."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(MEMBERS, outputs, inputs) / inputs**0.5)
        self.bias = nn.Parameter(torch.zeros(MEMBERS, 1, outputs))

    def forward(self, x: Tensor) -> Tensor:
        weight, bias = self.weight, self.bias
        if torch.is_autocast_enabled("cpu"):  # which knows nothing of the bias of baddbmm
            x, weight, bias = x.bfloat16(), weight.bfloat16(), bias.bfloat16()
        return torch.baddbmm(bias, x, weight.transpose(1, 2))


class StackedNorm(nn.Module):
    """LayerNorm with gains and shifts of each member, (M, n, F) alike."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(MEMBERS, 1, features))
        self.bias = nn.Parameter(torch.zeros(MEMBERS, 1, features))

    def forward(self, h: Tensor) -> Tensor:
        weight, bias = self.weight.to(h.dtype), self.bias.to(h.dtype)
        return torch.addcmul(bias, functional.layer_norm(h, h.shape[-1:]), weight)


def stacked(blocks: int, width: int) -> nn.Sequential:
    """Return M classifiers as one network, (M, n, pixels) to (M, n, K)."""
    sizes = [TASK.shape[1] * TASK.shape[2]] + [width] * blocks
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise(sizes):
        layers += [StackedLinear(inputs, outputs), StackedNorm(outputs), nn.ReLU()]
    return nn.Sequential(*layers, StackedLinear(width, len(TASK.classes)))


class StackedStep:
    """One update of all members."""

    def __init__(self, net: nn.Module, method: Standard) -> None:
        self.net, self.clip = net, method.clip
        self.parameters = list(net.parameters())
        self.optimizer = torch.optim.AdamW(self.parameters, lr=1e-3, fused=True)
        self.autocast = torch.autocast(
            "cpu", torch.bfloat16, enabled=method.precision == "bfloat16"
        )

    def __call__(self, x: Tensor, y: Tensor) -> None:
        """Update from a batch of its own for each member, (M, n, pixels) and (M, n)."""
        with self.autocast:
            logits = self.net(x).float().flatten(0, 1)
        loss = functional.cross_entropy(logits, y.flatten(), reduction="sum") / y.shape[1]
        self.optimizer.zero_grad()
        loss.backward()
        gradients = [p.grad for p in self.parameters if p.grad is not None]
        norms = torch.stack([torch.linalg.vector_norm(g, dim=(1, 2)) for g in gradients])
        factor = (self.clip / (torch.linalg.vector_norm(norms, dim=0) + 1e-6)).clamp(max=1)
        torch._foreach_mul_(gradients, [factor[:, None, None]] * len(gradients))
        self.optimizer.step()


def compare(batch: int, precision: Precision, steps: int) -> str:
    """Return both medians and their ratio, from steps that take turns."""
    method = Standard(precision=precision)
    x, y = torch.rand(MEMBERS, batch, *TASK.shape), torch.randint(10, (MEMBERS, batch, 1))
    nets = [method.build(TASK) for _ in range(MEMBERS)]
    each = [Step(net, partial(method.loss, net), method.recipe(), x.device) for net in nets]
    at_once = StackedStep(stacked(method.blocks, method.width), method)

    def loop() -> None:
        for i, step in enumerate(each):
            step(Batch(x[i], y[i], y[i, :, :0], 0.5, batch))

    ways: dict[str, Callable[[], None]] = {
        "one by one": loop,
        "stacked": lambda: at_once(x.flatten(2), y[..., 0]),
    }
    wall: dict[str, list[float]] = {name: [] for name in ways}
    cpu: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(steps + 1):
        for name, way in ways.items():
            start, used = time.perf_counter(), time.process_time()
            way()
            cpu[name].append(time.process_time() - used)
            wall[name].append(time.perf_counter() - start)
    one, all_ = ((median(wall[name][1:]), median(cpu[name][1:])) for name in ways)
    return (
        f"batch {batch}, {precision}: one by one {1e3 * one[0]:.0f} ms, stacked "
        f"{1e3 * all_[0]:.0f} ms, ratio {one[0] / all_[0]:.2f} (processor {one[1] / all_[1]:.2f})"
    )


def main(steps: int = 20) -> None:
    """Print one line for each size and precision."""
    torch.set_num_threads(1)
    precisions: tuple[Precision, ...] = ("float32", "bfloat16")
    for batch in (64, 128, 512):
        for precision in precisions:
            sys.stdout.write(compare(batch, precision, steps) + "\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
