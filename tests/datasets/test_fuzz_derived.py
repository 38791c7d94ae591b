"""Slow: derived arrays and their descriptions damaged byte by byte and by kind: made again.

``BENCH_FUZZ_SEED`` chooses the bits that are turned.
"""

import json
import os
import random
from pathlib import Path

import numpy as np
import pytest
import torch

from bench.datasets.base import Split, Task
from bench.datasets.described import described
from bench.datasets.errors import DataError
from bench.datasets.store import Store

pytestmark = [pytest.mark.fuzz, pytest.mark.timeout(3600)]
DRAW = random.Random(int(os.environ.get("BENCH_FUZZ_SEED", "0")))
ARRAY = torch.arange(60, dtype=torch.uint8).reshape(3, 20)
OTHERS = [None, True, -1, 10**400, 0.5, "", "../x", "x" * 5000, [], {}, [[]], 1e999]


def turned(content: bytes, place: int) -> bytes:
    return content[:place] + bytes([content[place] ^ 1 << DRAW.randrange(8)]) + content[place + 1 :]


def instead(path: Path):
    """Yield things that are no file, put in a file's place."""
    yield from {
        "gone": lambda: None,
        "folder": path.mkdir,
        "full folder": lambda: (path / "x").mkdir(parents=True),
        "link": lambda: path.symlink_to("nowhere"),
        "circle": lambda: path.symlink_to(path.name),
        "pipe": lambda: os.mkfifo(path),
        "other array": lambda: np.save(path, ARRAY.numpy()[::-1]),
        "pickle": lambda: np.save(path, np.array([{}], dtype=object), allow_pickle=True),
    }.items()


def test_a_damaged_array_is_never_believed(tmp_path):
    tried = 0

    def kept(folder: Path) -> torch.Tensor:
        return Store(folder).kept("toy", "key", ARRAY.clone)

    kept(tmp_path / "0")
    sound = (tmp_path / "0/derived/toy/key.npy").read_bytes()
    contents = [turned(sound, place) for place in range(len(sound))]
    contents += [sound[:place] for place in range(len(sound))]
    contents += [sound + b"x", sound * 2, b"\x93NUMPY" * 20]
    for content in contents:
        path = tmp_path / "1/derived/toy/key.npy"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        assert torch.equal(kept(tmp_path / "1"), ARRAY)
        assert path.read_bytes() == sound  # made again
        tried += 1
    for i, (name, _) in enumerate(instead(path)):
        path = tmp_path / name / "derived/toy/key.npy"
        path.parent.mkdir(parents=True)
        dict(instead(path))[name]()
        assert torch.equal(kept(tmp_path / name), ARRAY), (i, name)
        assert torch.equal(kept(tmp_path / name), ARRAY), (i, name)
        tried += 1
    print(f"{tried} damaged arrays")


def test_a_damaged_description_is_made_again_or_refused(tmp_path):
    split = Split(ARRAY[:, None, None], torch.zeros(3, 1), Task((1, 1, 20), ("c",), ("a",)), "mark")
    store, note, tried = Store(tmp_path), tmp_path / "derived/toy/key.json", 0
    described(store, "toy", "key", lambda: split)
    sound = note.read_text()
    about = json.loads(sound)
    texts = [sound[:i] for i in range(len(sound))]
    texts += [turned(sound.encode(), i).decode(errors="replace") for i in range(len(sound))]
    texts += [json.dumps(other) for other in OTHERS]
    for field in about:
        texts += [json.dumps({**about, field: other}) for other in OTHERS]
        texts.append(json.dumps({k: v for k, v in about.items() if k != field}))
    for text in texts:
        note.write_text(text)
        again = described(store, "toy", "key", lambda: split)
        try:
            assert again.load() is split
        except DataError:  # it read as a description, of other inputs: it is gone now
            again = described(store, "toy", "key", lambda: split)
            assert again.load() is split
        assert (again.fingerprint, again.n) == ("mark", 3)
        tried += 1
    print(f"{tried} damaged descriptions")
