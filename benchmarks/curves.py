"""How seconds grow with inputs, seeds, depth and samples, and the exponents that fit them.

`python benchmarks/curves.py [NAME...]` prints them for the curves named, or for all. An exponent of
1 is time in proportion. Each point is the median of a few, all from one process.
"""

import sys
import time
from collections.abc import Callable
from statistics import median

import numpy as np
import torch

from bench.datasets.base import Split, Task
from bench.fitting.prediction import run_network
from bench.methods.neural import NeuralMethod
from bench.methods.redecnn import ReDecNN
from bench.methods.standard import Standard

TASK = Task((1, 32, 32), ("digit",), tuple("0123456789"))
SHORT = {"epochs": 2, "min_updates": 0}


def pictures(n: int) -> Split:
    """Return n random images with random labels."""
    x = torch.randint(256, (n, *TASK.shape), dtype=torch.uint8)
    return Split(x, torch.randint(10, (n, 1)), TASK, "random")


def epoch(method: NeuralMethod, n: int) -> float:
    """Return the seconds of an epoch over n inputs."""
    method.fit(pictures(n), pictures(100), seed=0)
    assert method.log is not None
    return method.log.epoch_seconds


def seeds(n: int) -> float:
    """Return the seconds of fits of `standard` from n seeds on 10 000 inputs, in one call."""
    part, val = pictures(10_000), pictures(100)
    start = time.perf_counter()
    Standard(**SHORT).fit_many(part, val, seeds=range(n))
    return time.perf_counter() - start


def samples(n: int) -> float:
    """Return the seconds in which `redecnn` predicts 2 000 inputs with n samples."""
    method = ReDecNN(samples=n, **SHORT).fit(pictures(100), pictures(100), seed=0)
    x = pictures(2000).x
    start = time.perf_counter()
    run_network(method, x, seed=0)
    return time.perf_counter() - start


CURVES: dict[str, tuple[Callable[[int], float], tuple[int, ...]]] = {
    "inputs, standard": (lambda n: epoch(Standard(**SHORT), n), (1000, 10_000, 60_000)),
    "inputs, redecnn": (lambda n: epoch(ReDecNN(**SHORT), n), (1000, 10_000)),
    "depth, redecnn": (lambda n: epoch(ReDecNN(depth=n, **SHORT), 2000), (2, 4, 8, 16)),
    "samples, redecnn": (samples, (1, 4, 16, 64)),
    "seeds, standard": (seeds, (1, 2, 4, 8)),
}


def main(wanted: list[str]) -> None:
    """Measure curves and print them."""
    for name, (seconds, sizes) in CURVES.items():
        if wanted and not any(word in name for word in wanted):
            continue
        seconds(sizes[0])  # the first call of a kernel is slower
        times = [median(seconds(n) for _ in range(3)) for n in sizes]
        exponent = np.polyfit(np.log(sizes), np.log(times), 1)[0]
        points = ", ".join(f"{n}: {t:.2f} s" for n, t in zip(sizes, times, strict=True))
        sys.stdout.write(f"{name}: {points}; exponent {exponent:.2f}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1:])
