"""Mistakes a user can fix. The command line prints these in one line and exits with 2."""

from bench.datasets.errors import BenchError, DataError

__all__ = [
    "BenchError",
    "CodeChangedError",
    "DataError",
    "MethodError",
    "SkippedError",
    "UnknownNameError",
    "UsageError",
    "WriteError",
]


class UnknownNameError(BenchError):
    """A method, data set, scenario or parameter was asked for that does not exist."""


class UsageError(BenchError):
    """What was asked for exists but cannot be done."""


class WriteError(BenchError):
    """A file cannot be written: the disk is full, or the folder is not writable."""


class MethodError(BenchError):
    """A method broke its contract: it changed its data, ended the process, or gave no prediction.

    The message names the method.
    """


class SkippedError(BenchError):
    """A scenario has no meaning for a method; its record is skipped, with the message as reason."""


class CodeChangedError(BenchError):
    """Source was edited during a run, so that what the old code made cannot be kept."""
