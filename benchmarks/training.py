"""Seconds of an epoch by our training loop and by a plain PyTorch loop over a DataLoader.

`python benchmarks/training.py` prints both and their ratio. On two cores of 2026 the ratio was 2.4
in float32, where only the data loading is saved, and more with bfloat16 units. It is no test: a
busy machine would fail it.
"""

import sys
import time
from dataclasses import replace

import torch
from PIL import Image
from torch.nn import functional
from torch.utils.data import DataLoader
from torchvision.transforms.functional import to_tensor

from bench.datasets.base import Split, Task
from bench.methods.standard import Standard

TASK = Task((1, 32, 32), ("digit",), tuple("0123456789"))
INPUTS = 20_000


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


def main() -> None:
    """Measure both loops on random images."""
    x = torch.randint(256, (INPUTS, *TASK.shape), dtype=torch.uint8)
    y = torch.randint(10, (INPUTS, 1))
    method = Standard(epochs=3, min_updates=0)
    part = Split(x, y, TASK, "random")
    fitted = method.fit_net(part, replace(part, x=x[:1000], y=y[:1000]), seed=0)
    ours = fitted.log.epoch_seconds if fitted.log else float("nan")
    plain = plain_epoch(method.build(TASK), Pictures(x, y), method.batch)
    sys.stdout.write(f"plain {plain:.2f} s, ours {ours:.2f} s, ratio {plain / ours:.1f}\n")


if __name__ == "__main__":
    main()
