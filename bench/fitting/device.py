"""Where networks run, and in which type."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import get_args

import torch

from bench.errors import UsageError
from bench.methods.base import Method
from bench.methods.training import Precision, resolve_precision

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # of malloc.h


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
    here = device.type == "cuda" and torch.cuda.is_available()  # or on a cluster's workers alone
    return torch.cuda.get_device_name(device) if here else device.type


@contextmanager
def threads(count: int | None) -> Iterator[None]:
    """Use ``count`` CPU threads in the block, or as many as before for None."""
    before = torch.get_num_threads()
    torch.set_num_threads(count or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def keep_buffers() -> None:
    """Let the allocator of the C library keep the memory of freed tensors, up to 256 MiB.

    By default glibc hands buffers back to the system and asks for them again, page by page: 14 000
    page faults in a step of `decnn` at batch 512, a quarter of its time. Elsewhere nothing is done.
    """
    if sys.platform == "linux" and hasattr(libc := ctypes.CDLL(None), "mallopt"):
        libc.mallopt(M_TRIM_THRESHOLD, 256 << 20)
        libc.mallopt(M_MMAP_THRESHOLD, 32 << 20)  # the most that glibc sets by itself


def is_out_of_memory(error: RuntimeError) -> bool:
    """Return whether torch raised this because a device, or the machine, has too little memory."""
    said = str(error).lower()
    return isinstance(error, torch.OutOfMemoryError) or any(
        words in said for words in ("out of memory", "can't allocate memory", "not enough memory")
    )


def precision(method: Method, device: torch.device) -> str:
    """Return the type of matrix products in training: "float32", "bfloat16", or "" for no network.

    ``precision=auto`` asks the hardware, so the same parameters give other numbers elsewhere.
    """
    wanted = method.params().get("precision")
    if wanted not in get_args(Precision):
        return ""
    return str(resolve_precision(wanted, device)).removeprefix("torch.")  # type: ignore[arg-type]


def environment(method: Method, device: torch.device) -> dict[str, str]:
    """Return what the hardware decides, for records: ``precision`` and ``cpu_capability``.

    The capability is the instruction set of torch's kernels, such as "AVX512": sums are grouped
    by its width, so numbers differ between sets in their last digits.
    """
    capability = torch.backends.cpu.get_cpu_capability()
    return {"precision": precision(method, device), "cpu_capability": capability}
