"""Where networks run."""

from __future__ import annotations

import torch

from bench.errors import UsageError


def resolve(name: str) -> torch.device:
    """Return the device of that name; "auto" takes a GPU if there is one."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise UsageError(
            f"device '{name}' is not usable here ({reason}); try --device cpu"
        ) from None
    return device


def describe(device: torch.device) -> str:
    """Return a device as rows name it: a GPU by its model."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
