"""Differences from the reference: the same, within what seeds explain, or beyond it."""

import json

import numpy as np
import pytest

from bench.commands.verify import summary

METHODS = ["standard", "ensemble", "redecnn", "bayes"]


def write(folder, shift: float = 0.0, seeds=(0, 1, 2), dataset: str = "toy", noise: int = 0):
    for i, method in enumerate(METHODS):
        for seed in seeds:
            draw = np.random.default_rng([i, seed, noise])
            value = 0.8 + 0.02 * i + shift + 0.01 * draw.standard_normal()
            record = {
                "schema": 1, "method": method, "dataset": dataset, "scenario": "corruption",
                "seed": seed, "preset": "laptop", "status": "ok", "reason": "", "key": "k",
                "answer": "samples", "device": "cpu", "fit_seconds": 1.0,
                "rows": [{"view": "fog", "n": 9, "score": "msp", "metrics": {"auroc": value}}],
            }  # fmt: skip
            path = folder / "rows" / dataset / "corruption" / f"{method}-s{seed}.json"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(record))
    return folder


@pytest.fixture
def reference(tmp_path):
    return write(tmp_path / "reference")


def test_equal_rows_are_the_same(tmp_path, reference):
    ours = write(tmp_path / "ours")
    assert "4 numbers compared" in summary(ours, reference)
    assert summary(ours, reference).endswith("the same")


def test_one_of_several_seeds_is_held_against_the_same_seed(tmp_path, reference):
    ours = write(tmp_path / "ours", seeds=(1,))
    assert summary(ours, reference).endswith("the same")
    assert "beyond" in summary(write(tmp_path / "far", seeds=(1,), shift=0.2), reference)


def test_other_seeds_are_within_what_seeds_explain(tmp_path, reference):
    ours = write(tmp_path / "ours", noise=1)
    assert "within what seeds explain" in summary(ours, reference)


def test_one_seed_is_held_against_the_spread_of_the_reference(tmp_path, reference):
    assert "within" in summary(write(tmp_path / "ours", seeds=(5,)), reference)
    assert "beyond" in summary(write(tmp_path / "far", seeds=(5,), shift=0.2), reference)


def test_a_shift_is_beyond_what_seeds_explain_and_located(tmp_path, reference):
    text = summary(write(tmp_path / "ours", shift=0.2), reference)
    assert "4 beyond what seeds explain" in text
    assert "largest difference 0.2" in text
    assert "corruption" in text
    assert "fog" in text


def test_other_data_has_nothing_in_common(tmp_path, reference):
    ours = write(tmp_path / "ours", dataset="other")
    assert "nothing in common with the reference" in summary(ours, reference)


def test_no_reference_is_said(tmp_path):
    assert "no reference" in summary(write(tmp_path / "ours"), tmp_path / "none")
