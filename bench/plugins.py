"""Methods, data sets, scenarios, scores and metrics from a user's own files."""

from __future__ import annotations

from functools import cache
from types import ModuleType


@cache
def modules() -> tuple[ModuleType, ...]:
    """Import every plug-in that was named, and return the modules."""
    return ()
