"""Keep one method's code from changing the results of the next.

A method runs in this process, so it can change torch's global settings, the data it is given, or
end the process. `isolated` undoes the first and turns the last into an error; `content` is what
the data is compared by.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch

from bench.datasets.base import Split, fingerprint
from bench.errors import MethodError

Setting = tuple[Callable[[], Any], Callable[[Any], Any]]
SETTINGS: dict[str, Setting] = {
    "gradient mode": (torch.is_grad_enabled, torch.set_grad_enabled),
    "default dtype": (torch.get_default_dtype, torch.set_default_dtype),
    "default device": (torch.get_default_device, torch.set_default_device),
    "number of threads": (torch.get_num_threads, torch.set_num_threads),
    "deterministic mode": (
        torch.get_deterministic_debug_mode, torch.set_deterministic_debug_mode,
    ),
    "precision of matrix products": (
        torch.get_float32_matmul_precision, torch.set_float32_matmul_precision,
    ),
    "anomaly detection": (torch.is_anomaly_enabled, torch.autograd.set_detect_anomaly),
    "cuDNN benchmark": (
        lambda: torch.backends.cudnn.benchmark,
        lambda value: setattr(torch.backends.cudnn, "benchmark", value),
    ),
}  # fmt: skip


def settings() -> dict[str, Any]:
    """Return torch's global settings by name."""
    return {name: read() for name, (read, _) in SETTINGS.items()}


@contextmanager
def isolated(name: str, device: torch.device | str = "cpu") -> Iterator[None]:
    """Run code of the method ``name``; torch's settings and random states are restored after it.

    Raises:
        MethodError: the code tried to end the process, as `sys.exit` does.
    """
    before = settings()
    cuda = [torch.device(device)] if torch.device(device).type == "cuda" else []
    with torch.random.fork_rng(devices=cuda):
        try:
            yield
        except (Exception, KeyboardInterrupt):
            raise
        except BaseException as error:
            kind = type(error).__name__
            raise MethodError(f"{name} tried to end the process ({kind}: {error})") from error
        finally:
            for key, (read, restore) in SETTINGS.items():
                if read() != before[key]:
                    restore(before[key])


def content(*parts: Split) -> str:
    """Return a digest of all inputs, labels and attributes of some splits."""
    return fingerprint(*(values for part in parts for values in (part.x, part.y, part.attributes)))
