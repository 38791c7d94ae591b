"""Differences from the reference: the same, within what seeds explain, or beyond it."""

import json

import numpy as np
import pytest
from click.testing import CliRunner

from bench.cli import main
from bench.commands import verify
from bench.commands.verify import summary
from bench.errors import UsageError

METHODS = ["standard", "ensemble", "redecnn", "bayes"]


def write(folder, shift=0.0, seeds=(0, 1, 2), dataset="toy", noise=0, key=""):
    for i, method in enumerate(METHODS):
        for seed in seeds:
            draw = np.random.default_rng([i, seed, noise])
            value = 0.8 + 0.02 * i + shift + 0.01 * draw.standard_normal()
            record = {
                "schema": 1, "method": method, "dataset": dataset, "scenario": "corruption",
                "seed": seed, "preset": "laptop", "status": "ok", "reason": "",
                "key": key or f"{shift} {noise}",
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


def test_a_reference_that_is_not_there_is_a_users_mistake(tmp_path):
    ours = write(tmp_path / "ours")
    done = CliRunner().invoke(
        main, ["verify", "--results", str(ours), "--reference", str(tmp_path / "nothere")]
    )
    assert done.exit_code == 2
    assert "nothere" in done.stderr
    with pytest.raises(UsageError, match=r"no results under .*empty"):
        summary(ours, tmp_path / "empty")


def test_an_installed_package_says_that_it_has_no_reference(tmp_path, monkeypatch):
    monkeypatch.setattr(verify, "CLONE", None)
    monkeypatch.setattr(verify, "REFERENCE", tmp_path / "none")
    text = summary(write(tmp_path / "ours"))
    assert (
        text == "an installed package has no reference to compare with; name one with --reference"
    )


def test_without_spread_nothing_can_be_said(tmp_path):
    reference = write(tmp_path / "reference", seeds=(0,))
    text = summary(write(tmp_path / "ours", seeds=(0,), shift=0.1, key="other"), reference)
    assert "of 4 nothing can be said: no spread over seeds" in text
    assert "within" not in text


def test_equal_keys_with_other_numbers_are_a_contradiction(tmp_path, reference):
    ours = write(tmp_path / "ours")
    path = ours / "rows" / "toy" / "corruption" / "bayes-s1.json"
    record = json.loads(path.read_text())
    record["rows"][0]["metrics"]["auroc"] += 0.001  # far less than seeds explain
    path.write_text(json.dumps(record))
    text = summary(ours, reference)
    assert "contradiction: equal keys, other numbers (corruption bayes seed 1)" in text
    path.write_text(json.dumps(record | {"key": "another"}))
    assert "contradiction" not in summary(ours, reference)


def test_what_cannot_be_read_is_named_and_the_rest_compared(tmp_path, reference):
    ours = write(tmp_path / "ours")
    (ours / "rows" / "toy" / "corruption" / "bayes-s1.json").write_text("{")
    (reference / "rows" / "toy" / "corruption" / "standard-s0.json").write_text("[]")
    text = summary(ours, reference)
    assert "numbers compared" in text
    assert "not compared: " in text
    assert "bayes-s1.json: damaged" in text
    assert "standard-s0.json: damaged" in text
