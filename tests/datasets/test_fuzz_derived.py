"""Slow: derived arrays and their descriptions damaged byte by byte and by kind: made again.

``BENCH_FUZZ_SEED`` chooses the bits that are turned.
"""

import json
import os
import random
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch

from bench.datasets.base import Split, Task
from bench.datasets.described import described
from bench.datasets.errors import DataError
from bench.datasets.store import Store
from tests.damage import changed, instead, not_allowed, remove

pytestmark = [pytest.mark.fuzz, pytest.mark.timeout(3600)]
DRAW = random.Random(int(os.environ.get("BENCH_FUZZ_SEED", "0")))
ARRAY = torch.arange(60, dtype=torch.uint8).reshape(3, 20)
OTHERS = [None, True, -1, 10**400, 0.5, "", "../x", "x" * 5000, [], {}, [[]], 1e999]


def turned(content: bytes, place: int) -> bytes:
    return content[:place] + bytes([content[place] ^ 1 << DRAW.randrange(8)]) + content[place + 1 :]


def kept(folder: Path, name: str = "toy", key: str = "key") -> torch.Tensor:
    return Store(folder).kept(name, key, ARRAY.clone)


def array_damage(path: Path):
    """Yield the kind of damage and what does it to a kept array."""
    sound = path.read_bytes()
    for place in range(len(sound)):
        yield "bit turned", lambda p=place: path.write_bytes(turned(sound, p))
        yield "cut", lambda p=place: path.write_bytes(sound[:p])
    for kind, content in changed(sound, DRAW, 100):
        yield kind, lambda c=content: path.write_bytes(c)
    for content in (sound + b"x", b"\x93NUMPY" * 20):
        yield "other bytes", lambda c=content: path.write_bytes(c)
    for kind, place in instead(path):
        yield kind, lambda p=place: (path.unlink(), p())
    yield "other array", lambda: np.save(path, ARRAY.numpy()[::-1])
    yield "pickle", lambda: np.save(path, np.array([{}], dtype=object), allow_pickle=True)
    other = path.parents[2] / "other"
    for name, key in (("toy", "another"), ("another", "key")):
        Store(other).kept(name, key, lambda: ARRAY + 1)
        yield (
            "another's content",
            lambda n=name, k=key: shutil.copy(other / f"derived/{n}/{k}.npy", path),
        )


def test_a_damaged_array_is_never_believed(tmp_path):
    path, tried = tmp_path / "derived/toy/key.npy", Counter()
    kept(tmp_path)
    sound = path.read_bytes()
    for kind, harm in array_damage(path):
        harm()
        assert torch.equal(kept(tmp_path), ARRAY), kind
        tried[kind] += 1
        if not path.is_file() or path.read_bytes() != sound:  # no draft takes a folder's place
            assert "folder" in kind, kind
            assert torch.equal(kept(tmp_path), ARRAY), kind
            remove(path)
            kept(tmp_path)
    with not_allowed(path):
        assert torch.equal(kept(tmp_path), ARRAY)
    print(f"\n{sum(tried.values()) + 1} damaged arrays: {dict(tried)}, may not be read: 1")


def description_damage(note: Path):
    """Yield the kind of damage and what does it to a description."""
    sound = note.read_bytes()
    about = json.loads(sound)
    for place in range(len(sound)):
        yield "bit turned", lambda p=place: note.write_bytes(turned(sound, p))
        yield "cut", lambda p=place: note.write_bytes(sound[:p])
    for kind, content in changed(sound, DRAW, 50):
        yield kind, lambda c=content: note.write_bytes(c)
    others = OTHERS + [{**about, field: other} for field in about for other in OTHERS]
    others += [{k: v for k, v in about.items() if k != field} for field in about]
    for other in others:
        yield "other value", lambda o=other: note.write_text(json.dumps(o))
    for kind, place in instead(note):
        yield kind, lambda p=place: (note.unlink(), p())


def test_a_damaged_description_is_made_again_or_refused(tmp_path):
    split = Split(ARRAY[:, None, None], torch.zeros(3, 1), Task((1, 1, 20), ("c",), ("a",)), "mark")
    store, note, tried = Store(tmp_path), tmp_path / "derived/toy/key.json", Counter()
    described(store, "toy", "key", lambda: split)
    for kind, harm in description_damage(note):
        remove(note)
        note.touch()
        harm()
        again = described(store, "toy", "key", lambda: split)
        try:
            assert again.load() is split
        except DataError:  # it read as a description, of other inputs: it is gone now
            again = described(store, "toy", "key", lambda: split)
            assert again.load() is split
        assert (again.fingerprint, again.n) == ("mark", 3)
        tried[kind] += 1
    with not_allowed(note):
        assert described(store, "toy", "key", lambda: split).fingerprint == "mark"
    print(f"\n{sum(tried.values()) + 1} damaged descriptions: {dict(tried)}, may not be read: 1")
