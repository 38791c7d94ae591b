"""A checksum within a JSON file: a digit that turned into another one is valid JSON as well."""

from __future__ import annotations

import hashlib

MARK = b',"sha256":"'
END = b'"}\n'


def sealed(content: bytes) -> bytes:
    """Return a JSON object as one line that ends in the SHA-256 of all that stands before it.

    Args:
        content: an object of one field or more without spaces, as msgspec encodes it.
    """
    body = content.removesuffix(b"}")
    return body + MARK + _digest(body) + END


def check_seal(content: bytes) -> None:
    """Check that nothing has changed since the file was sealed.

    A file without a seal passes: one of before there were seals, or one that somebody formatted.

    Raises:
        ValueError: something has.
    """
    body, mark, seal = content.rpartition(MARK)
    if mark and seal.rstrip() != (_digest(body) + END).rstrip():
        raise ValueError("its checksum is wrong")


def _digest(body: bytes) -> bytes:
    return hashlib.sha256(body).hexdigest().encode()
