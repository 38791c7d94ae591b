"""Mistakes a user can fix. The command line prints these in one line, without a traceback."""


class BenchError(Exception):
    """Base class: the message says what is wrong, where, and what to do about it."""


class DataError(BenchError):
    """A data set is missing, damaged, or not of the expected form."""
