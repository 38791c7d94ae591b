"""The files that docs/extending.md shows: plug-ins in a folder outside the clone."""

import os
import re
import subprocess
import sys

import pytest

import bench
from bench.store.records import read_all

DOCS = bench.ROOT / "docs"
EXAMPLES = re.compile(r"<!-- file: (\w+\.py) -->\n```python\n(.*?)```", re.DOTALL)


@pytest.fixture(scope="module")
def plugins(tmp_path_factory):
    """A folder outside the clone with every file that docs/extending.md shows."""
    folder = tmp_path_factory.mktemp("plugins")
    for name, code in EXAMPLES.findall((DOCS / "extending.md").read_text("utf-8")):
        (folder / name).write_text(code, "utf-8")
    return folder


def with_plugins(folder, *words: object) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "bench", *map(str, words)], cwd=folder, capture_output=True,
        text=True, check=False,
        env={**os.environ, "PYTHONPATH": str(bench.ROOT), "BENCH_PLUGINS": str(folder)},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_every_kind_of_extension_has_an_example(plugins):
    heads = re.findall(r"^## An? (.+)$", (DOCS / "extending.md").read_text("utf-8"), re.MULTILINE)
    assert heads == ["method", "data set", "scenario", "score", "metric", "backbone", "figure"]
    assert len(list(plugins.glob("*.py"))) == 10


@pytest.mark.slow
@pytest.mark.parametrize("name", ["label_smoothing", "nearest_mean", "standard:backbone=plain"])
def test_the_methods_of_the_docs_keep_the_contract(plugins, name):
    assert "FAILED" not in with_plugins(plugins, "check", name)


def test_the_examples_of_the_docs_are_run_ranked_and_drawn(plugins, tmp_path):
    methods = "chance,label_smoothing,nearest_mean,standard:backbone=plain"
    with_plugins(
        plugins, "run", "--methods", methods, "--datasets", "bars", "--preset", "smoke",
        "--scenarios", "clean,cross_dataset,rotation", "--seeds", "0", "--results", tmp_path,
    )  # fmt: skip
    records, problems = read_all(tmp_path / "rows")
    assert not problems
    assert {(r.scenario, r.status) for r in records} == {
        ("clean", "ok"), ("cross_dataset", "ok"), ("rotation", "ok")
    }  # fmt: skip
    (record,) = [r for r in records if (r.scenario, r.method) == ("cross_dataset", "nearest_mean")]
    assert "gradients" in {row.view for row in record.rows}
    (record,) = [r for r in records if (r.scenario, r.method) == ("rotation", "label_smoothing")]
    scores = {row.score: row.metrics for row in record.rows if "auroc" in row.metrics}
    assert {"margin", "nearest_features"} <= set(scores)
    assert all(0 <= metrics["youden"] <= 1 for metrics in scores.values())
    board = (tmp_path / "README.md").read_text("utf-8")
    assert re.search(r"\| rank .*rotation", board)
    assert re.search(r"\d.*\| nearest\\?_mean", board)
    assert list((tmp_path / "figures").glob("seconds*.png"))
