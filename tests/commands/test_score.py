"""Rows from saved outputs."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from click.testing import CliRunner
from scipy.special import entr
from sklearn.metrics import accuracy_score, average_precision_score, log_loss, roc_auc_score

from bench.cli import main
from bench.commands import score as module
from bench.errors import BenchError, UsageError
from bench.metrics.detection import detection
from bench.store import records


def score(files, results, *, name="mine", dataset="own"):
    return module.score(files, results, name=name, dataset=dataset, preset="laptop")


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
    written, left_out = score((file,), tmp_path)
    clean, shifted = map(records.parsed, written)
    assert any("features" in reason for reason in left_out)
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
    assert (shifted.method, shifted.place) == ("mine:from=mine.npz", ("own", "laptop", "cpu"))
    assert row.family == "far"


FEATURES = {f"{which}/features": np.ones((40, 4), "f4") for which in ("inliers", "far/other")}
TRAINING = {"training/logits": np.ones((9, 3), "f4"), "training/features": np.ones((9, 4), "f4")}
TRAINING |= {"training/labels": np.zeros(9, int)}
BAD = [
    ({"far/other/logits": np.zeros((4, 5), "f4")}, "classes"),
    ({"inliers/labels": np.full(40, 3)}, "not among the classes 0 to 2"),
    ({"inliers/labels": np.zeros(39, int)}, "rows"),
    ({"far/other/logits": np.full((4, 3), np.nan, "f4")}, "not finite"),
    ({"inliers/probs": np.full((40, 3), 0.5, "f4")}, "sum to 1"),
    ({"far/other/logits": np.zeros((0, 3), "f4")}, "empty"),
    ({"inliers/labels": np.array([{}] * 40, dtype=object)}, "cannot be read"),
    ({"nonsense": np.zeros(3)}, "SET/FIELD"),
    ({"inliers/labels": np.array(1)}, "rows"),
    ({"inliers/extra:mine": np.array(["a"] * 40)}, "not floats"),
    ({"inliers/extra:mine": np.zeros((39, 2), "f4")}, "rows"),
    ({"far/other/severity": np.array("strong")}, "not one float"),
    ({"far/other/scenario": np.array(["corruption", "cross_dataset"])}, "not one str"),
    ({"far/other/scenario": np.array("corruptoin")}, "corruption"),
    ({"inliers/answer": np.array("both")}, "samples, or single"),
    (
        {"training/logits": np.zeros((9, 3), "f4"), "training/features": np.ones((8, 2), "f4")},
        "rows",
    ),
    ({"far/other/features": np.ones((40, 2, 2), "f4")}, "2 axes"),
    ({"inliers/features": np.ones((40, 4), "f4")}, "far/other: features .* missing, .* inliers"),
    (FEATURES | {"far/other/features": np.ones((40, 5), "f4")}, "features of an input are"),
    (FEATURES | TRAINING | {"training/features": np.ones((9, 7), "f4")}, "training: features"),
    (FEATURES | TRAINING | {"training/logits": np.ones((9, 5), "f4")}, "training: logits"),
    (FEATURES | {"inliers/extra:mine": np.ones(40, "f4")}, "extra:"),
    ({"inliers/logits": np.zeros((40, 1), "f4")}, "one class alone"),
    ({"inliers/seed": np.array(-1)}, "seed is -1"),
]


@pytest.mark.parametrize(("change", "words"), BAD)
def test_bad_arrays_are_one_line(tmp_path, change, words):
    file = tmp_path / "mine.npz"
    np.savez(file, **(outputs() | change))
    with pytest.raises(BenchError, match=words) as caught:
        score((file,), tmp_path)
    assert "mine.npz: " in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "rows").exists()


@pytest.mark.parametrize("names", [{"dataset": "../own"}, {"name": ""}, {"name": "a\nb"}])
def test_names_that_are_none_are_refused(tmp_path, names):
    np.savez(tmp_path / "mine.npz", **outputs())
    with pytest.raises(UsageError, match=r"--(name|dataset) takes a name of letters and digits"):
        score((tmp_path / "mine.npz",), tmp_path / "r", **names)
    assert not (tmp_path / "r").exists()


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 cut", b"text"])
def test_a_damaged_file_is_one_line(tmp_path, content):
    file = tmp_path / "mine.npz"
    file.write_bytes(content)
    with pytest.raises(UsageError, match="cannot be read"):
        score((file,), tmp_path)


def test_a_truncated_file_is_one_line(tmp_path):
    file = tmp_path / "mine.npz"
    np.savez(file, **outputs())
    file.write_bytes(file.read_bytes()[:300])
    with pytest.raises(UsageError, match="cannot be read"):
        score((file,), tmp_path)


def test_outputs_that_a_run_exports_give_the_rows_of_the_run(tmp_path):
    """Every score and metric: of one network, of samples, and of a method with decodings."""
    run = CliRunner().invoke
    methods = "standard,mc_dropout,decnn"
    asked = ["--methods", methods, "--preset", "smoke", "--seeds", "1"]
    asked += ["--scenarios", "clean,cross_dataset,corruption", "--results", str(tmp_path / "r")]
    assert run(main, ["run", "-q", *asked]).exit_code == 0
    made = run(main, ["export", "--predictions", "-o", str(tmp_path / "out"), *asked])
    assert made.exit_code == 0, made.output
    for path in sorted((tmp_path / "out").iterdir()):
        written, _ = module.score(
            (path,), tmp_path / "s", name="mine", dataset="digits", preset="smoke"
        )
        scored = {record.scenario: record for record in map(records.parsed, written)}
        method = path.name.removeprefix("digits-").removesuffix("-s1.npz")
        for scenario in ("clean", "cross_dataset", "corruption"):
            place = tmp_path / "r" / "rows" / "digits" / scenario / f"{method}-s1.json"
            wanted, found = records.parsed(place).rows, scored[scenario].rows
            assert len(wanted) == len(found) > 5
            for one, other in zip(wanted, found, strict=True):
                assert (one.view, one.score, one.n) == (other.view, other.score, other.n)
                assert one.metrics == pytest.approx(other.metrics, abs=2e-6), (method, one)
        assert scored["clean"].answer == ("single" if method == "decnn" else "samples")
    assert len(list((tmp_path / "out").iterdir())) == 3


def test_scikit_learn_finds_the_numbers_of_the_rows_in_exported_predictions(tmp_path):
    run = CliRunner().invoke
    asked = ["--methods", "standard", "--seeds", "0", "--preset", "smoke", "--results"]
    asked = [*asked, str(tmp_path / "own"), "--scenarios", "clean,cross_dataset"]
    run(main, ["run", *asked, "--quiet"])
    run(main, ["export", "--predictions", "-o", str(tmp_path / "out"), *asked])
    (file,) = (tmp_path / "out").glob("*.npz")
    found = {r.scenario: r.rows for r in records.read_all(tmp_path / "own" / "rows")[0]}
    with np.load(file) as made:
        p, y = made["inliers/probs"].mean(1, dtype=float)[:, 0], made["inliers/labels"][:, 0]
        p /= p.sum(1, keepdims=True)
        (clean,) = (row.metrics for row in found["clean"] if row.score == "samples")
        assert clean["accuracy"] == pytest.approx(accuracy_score(y, p.argmax(1)), abs=1e-6)
        assert clean["nll"] == pytest.approx(log_loss(y, p), abs=1e-6)
        shifted = [r for r in found["cross_dataset"] if r.score == "predictive_entropy"]
        assert len({row.view for row in shifted}) > 2
        for row in shifted:
            q = made[f"cross_dataset/{row.view}@0/probs"].mean(1, dtype=float)[:, 0]
            q /= q.sum(1, keepdims=True)
            unsure = entr(np.concatenate([p, q])).sum(1)
            new = np.arange(len(unsure)) >= len(p)
            numbers = row.metrics["auroc"], row.metrics["aupr_out"], row.metrics["aupr_in"]
            theirs = (
                roc_auc_score(new, unsure), average_precision_score(new, unsure),
                average_precision_score(~new, -unsure),
            )  # fmt: skip
            assert numbers == pytest.approx(theirs, abs=2e-6)


def test_a_table_of_parquet_is_read_as_arrays(tmp_path):
    pytest.importorskip("pyarrow")
    made = outputs()
    lines = [
        {"set": which, "logits": list(map(float, row)), "labels": label}
        for which, labels in (("inliers", made["inliers/labels"]), ("far/other", [None] * 40))
        for row, label in zip(made[f"{which}/logits"], labels, strict=True)
    ]
    table = pd.DataFrame(lines)
    table["labels"] = table["labels"].astype("Int64")
    table.to_parquet(tmp_path / "mine.parquet")
    np.savez(tmp_path / "mine.npz", **made)
    rows = [
        [records.parsed(path).rows for path in score((tmp_path / name,), tmp_path / name[-3:])[0]]
        for name in ("mine.parquet", "mine.npz")
    ]
    assert rows[0] == rows[1]


def test_a_mistake_at_the_command_line_is_one_line_and_exit_code_2(tmp_path):
    np.savez(tmp_path / "mine.npz", **outputs() | {"inliers/labels": np.zeros(39, int)})
    asked = ["score", str(tmp_path / "mine.npz"), "--results", str(tmp_path / "r")]
    done = CliRunner().invoke(main, asked)
    assert done.exit_code == 2
    assert done.output.count("\n") == 1
    assert not (tmp_path / "r").exists()


@pytest.mark.parametrize("option", [["--methods", "standard"], ["--seeds", "1"]])
def test_a_table_refuses_what_chooses_predictions(tmp_path, option):
    done = CliRunner().invoke(main, ["export", "-o", str(tmp_path / "rows.csv"), *option])
    assert done.exit_code == 2
    assert f"{option[0]} choose predictions: add --predictions" in done.output
