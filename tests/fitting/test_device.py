"""The processor's memory."""

import ctypes
import subprocess
import sys

import pytest

FREED = """
import ctypes, sys
import torch
from bench.fitting.device import keep_buffers

class Mallinfo2(ctypes.Structure):
    names = "arena ordblks smblks hblks hblkhd usmblks fsmblks uordblks fordblks keepcost"
    _fields_ = [(name, ctypes.c_size_t) for name in names.split()]

if sys.argv[1] == "kept":
    keep_buffers()
torch.zeros(5 << 20) + torch.ones(5 << 20)
mallinfo2 = ctypes.CDLL(None).mallinfo2
mallinfo2.restype = Mallinfo2
print(mallinfo2().fordblks)
"""


def kept_after_freeing(way):
    """Return how many bytes of freed memory the allocator holds after three tensors of 20 MiB."""
    command = [sys.executable, "-c", FREED, way]
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


@pytest.mark.skipif(
    sys.platform != "linux" or not hasattr(ctypes.CDLL(None), "mallinfo2"),
    reason="only glibc's allocator is told anything, and tells what it holds",
)
def test_memory_of_freed_tensors_is_used_again():
    assert kept_after_freeing("as it is") < 20 << 20 <= 60 << 20 <= kept_after_freeing("kept")
