"""Seconds of an epoch by our loop and by a plain PyTorch loop; and DecNN and ReDecNN over standard.

`python benchmarks/training.py` prints the seconds of both loops and their ratio. On two cores of
2026 it was 2.4 in float32, where only the data loading is saved, and more with bfloat16 units. Of
eight networks it says how long plain loops take, one after the other on all cores, and fits side by
side, one a core. Then it prints what a step of `decnn` and `redecnn` costs over one of `standard`,
of equal batches that take turns: at full depth, and over a whole training, in which the depth
rises; and which share of the rate of a plain matrix product a step of each reaches. It is no test:
a busy machine would fail it.
"""

import sys
import time
from dataclasses import replace
from functools import partial
from statistics import fmean, median

import torch
from joblib import Parallel, delayed
from PIL import Image
from torch.nn import functional
from torch.utils.data import DataLoader
from torch.utils.flop_counter import FlopCounterMode
from torchvision.transforms.functional import to_tensor

from bench.datasets.base import Split, Task
from bench.fitting.device import keep_buffers
from bench.methods.bayes import Bayes
from bench.methods.decnn import DecNN
from bench.methods.dropout import Dropout
from bench.methods.neural import DeepMethod
from bench.methods.redecnn import ReDecNN
from bench.methods.standard import Standard
from bench.methods.training import Batch, Precision, Step, resolve_precision

TASK = Task((1, 32, 32), ("digit",), tuple("0123456789"))
INPUTS = 20_000
WIDTH = 256  # of a block
MEMBERS, SMALL = 8, 128  # networks side by side, and the size of their batches
PRODUCTS = 50  # between two steps
STEPS = 20  # of each method, from the first to the last of a training


class Pictures(torch.utils.data.Dataset):
    """Images as torchvision's data sets give them: a PIL image turned into a tensor each time."""

    def __init__(self, x: torch.Tensor, y: torch.Tensor) -> None:
        self.x, self.y = x, y

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, i: int) -> tuple[torch.Tensor, int]:
        return to_tensor(Image.fromarray(self.x[i, 0].numpy())), int(self.y[i, 0])


def plain_epoch(net: torch.nn.Module, pictures: Pictures, batch: int) -> float:
    """Return the seconds of one epoch of the loop that tutorials teach."""
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)
    start = time.perf_counter()
    for x, y in DataLoader(pictures, batch_size=batch, shuffle=True, drop_last=True):
        optimizer.zero_grad()
        functional.cross_entropy(net(x).squeeze(1), y).backward()
        optimizer.step()
    return time.perf_counter() - start


def epoch_of(part: Split, seed: int, precision: Precision) -> None:
    """Fit one network for an epoch on one thread."""
    torch.set_num_threads(1)
    keep_buffers()
    method = Standard(epochs=1, min_updates=0, batch=SMALL, precision=precision)
    method.fit(part, replace(part, x=part.x[:SMALL], y=part.y[:SMALL]), seed=seed)


def eight(part: Split) -> str:
    """Return the seconds of an epoch of eight networks by plain loops and by fits side by side."""
    pictures = Pictures(part.x, part.y)
    nets = [Standard().build(TASK) for _ in range(MEMBERS)]
    plain = sum(plain_epoch(net, pictures, SMALL) for net in nets)
    found = []
    precisions: tuple[Precision, ...] = ("float32", "bfloat16")
    with Parallel(n_jobs=-1) as together:
        few = replace(part, x=part.x[:SMALL], y=part.y[:SMALL])
        together(delayed(epoch_of)(few, seed, "float32") for seed in range(MEMBERS))  # imports
        for precision in precisions:
            start = time.perf_counter()
            together(delayed(epoch_of)(part, seed, precision) for seed in range(MEMBERS))
            seconds = time.perf_counter() - start
            found.append(f"{precision} {seconds:.1f} s, ratio {plain / seconds:.1f}")
    return f"eight networks, batch {SMALL}: plain {plain:.1f} s; {'; '.join(found)}"


def ratios(batch: int) -> str:
    """Return what a step of `decnn` and of `redecnn` costs over one of `standard`.

    In seconds of the processor on one thread, which bear other programs.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    x, y = torch.rand(batch, *TASK.shape), torch.randint(10, (batch, 1))
    methods: list[DeepMethod] = [Standard(), DecNN(), ReDecNN()]
    nets = [method.build(TASK) for method in methods]
    steps = [
        Step(net, partial(method.loss, net), method.recipe(), x.device)
        for method, net in zip(methods, nets, strict=True)
    ]
    seconds: list[list[float]] = [[] for _ in steps]
    for i in range(-1, STEPS):  # the first step is slower
        for step, found in zip(steps, seconds, strict=True):
            start = time.process_time()
            step(Batch(x, y, y[:, :0], (max(i, 0) + 0.5) / STEPS, INPUTS))
            found.append(time.process_time() - start)
    torch.set_num_threads(before)
    deep = [median(found[1 + STEPS // 2 :]) for found in seconds]
    whole = [fmean(found[1:]) for found in seconds]
    return f"batch {batch}, over standard ({1e3 * deep[0]:.1f} ms): " + "; ".join(
        f"{method.name} {deep[i] / deep[0]:.1f}, over a training {whole[i] / whole[0]:.1f}"
        for i, method in enumerate(methods)
        if i
    )


def shares(batch: int) -> str:
    """Return the share of a matrix product's rate that steps of each method reach.

    The product is that of a block, (batch, 256) x (256, 256), in the precision of the method.
    Operations are those that torch counts: products alone, forward and backward.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    x, y = torch.rand(batch, *TASK.shape), torch.randint(10, (batch, 1))
    found = []
    for method in (Standard(), Dropout(), Bayes(), DecNN(), ReDecNN()):
        net = method.build(TASK)
        step = Step(net, partial(method.loss, net), method.recipe(), x.device)
        data = Batch(x, y, y[:, :0], 1.0, INPUTS)
        with FlopCounterMode(display=False) as counted:
            step(data)
        dtype = resolve_precision(method.precision, x.device)
        h, w = torch.rand(batch, WIDTH, dtype=dtype), torch.rand(WIDTH, WIDTH, dtype=dtype)
        ours, products = [], []
        for _ in range(STEPS):
            start = time.process_time()
            step(data)
            ours.append(time.process_time() - start)
            start = time.process_time()
            for _ in range(PRODUCTS):
                h @ w
            products.append(time.process_time() - start)
        rate = counted.get_total_flops() / median(ours)
        best = 2 * batch * WIDTH * WIDTH * PRODUCTS / median(products)
        found.append(f"{method.name} {rate / best:.2f}")
    torch.set_num_threads(before)
    return f"batch {batch}, share of the rate of a product ({best / 1e9:.0f} G/s): " + "; ".join(
        found
    )


def main() -> None:
    """Measure both loops on random images, and the steps of methods."""
    keep_buffers()
    x = torch.randint(256, (INPUTS, *TASK.shape), dtype=torch.uint8)
    y = torch.randint(10, (INPUTS, 1))
    method = Standard(epochs=3, min_updates=0)
    part = Split(x, y, TASK, "random")
    fitted = method.fit_net(part, replace(part, x=x[:1000], y=y[:1000]), seed=0)
    ours = fitted.log.epoch_seconds if fitted.log else float("nan")
    plain = plain_epoch(method.build(TASK), Pictures(x, y), method.batch)
    sys.stdout.write(f"plain {plain:.2f} s, ours {ours:.2f} s, ratio {plain / ours:.1f}\n")
    sys.stdout.write(eight(part) + "\n")
    for batch in (64, method.batch):
        sys.stdout.write(ratios(batch) + "\n")
    for batch in (128, method.batch):
        sys.stdout.write(shares(batch) + "\n")


if __name__ == "__main__":
    main()
