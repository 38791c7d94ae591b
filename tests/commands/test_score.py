"""Rows from saved outputs."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from bench.commands.score import score
from bench.errors import UsageError
from bench.metrics.detection import detection
from bench.store import records


def outputs(n=40, k=3):
    numbers = np.random.default_rng(0)
    return {
        "inliers/logits": numbers.normal(size=(n, k)).astype("float32"),
        "inliers/labels": numbers.integers(0, k, n),
        "far/other/logits": numbers.normal(size=(n, k)).astype("float32"),
    }


def test_rows_are_those_of_the_metrics(tmp_path):
    made = outputs()
    file = tmp_path / "mine.npz"
    np.savez(file, **made)
    clean, shifted = map(records.parsed, score((file,), tmp_path, name="mine", dataset="own"))
    right = made["inliers/logits"].argmax(1) == made["inliers/labels"]
    single = next(row for row in clean.rows if row.score == "single")
    assert single.metrics["accuracy"] == pytest.approx(right.mean(), abs=1e-6)
    unsure = [
        1 - torch.from_numpy(made[f"{which}/logits"]).double().softmax(-1).max(-1).values
        for which in ("inliers", "far/other")
    ]
    row = next(row for row in shifted.rows if row.score == "one_minus_max_mean_prob")
    assert (row.view, row.group) == ("other", "far")
    assert row.metrics == pytest.approx(detection(*unsure), abs=1e-5)
    assert shifted.device == "scored from mine.npz"


BAD = [
    ({"far/other/logits": np.zeros((4, 5), "f4")}, "5 classes"),
    ({"inliers/labels": np.full(40, 3)}, "outside 0 to 2"),
    ({"inliers/labels": np.zeros(39, int)}, "rows"),
    ({"far/other/logits": np.full((4, 3), np.nan, "f4")}, "not finite"),
    ({"inliers/probs": np.full((40, 3), 0.5, "f4")}, "sum to 1"),
    ({"far/other/logits": np.zeros((0, 3), "f4")}, "shape"),
    ({"inliers/labels": np.array([{}] * 40, dtype=object)}, "cannot be read"),
    ({"nonsense": np.zeros(3)}, "SET/FIELD"),
]


@pytest.mark.parametrize(("change", "words"), BAD)
def test_bad_arrays_are_one_line(tmp_path, change, words):
    file = tmp_path / "mine.npz"
    np.savez(file, **(outputs() | change))
    with pytest.raises(UsageError, match=words) as caught:
        score((file,), tmp_path, name="mine", dataset="own")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "rows").exists()


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 cut", b"text"])
def test_a_damaged_file_is_one_line(tmp_path, content):
    file = tmp_path / "mine.npz"
    file.write_bytes(content)
    with pytest.raises(UsageError, match="cannot be read"):
        score((file,), tmp_path, name="mine", dataset="own")


def test_a_truncated_file_is_one_line(tmp_path):
    file = tmp_path / "mine.npz"
    np.savez(file, **outputs())
    file.write_bytes(file.read_bytes()[:300])
    with pytest.raises(UsageError, match="cannot be read"):
        score((file,), tmp_path, name="mine", dataset="own")
