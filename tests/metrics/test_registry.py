"""Metrics: each is declared once, found by itself, and better in the direction it says."""

import subprocess
import sys
from types import ModuleType

import numpy as np
import pytest
import torch

import bench
from bench import plugins
from bench.errors import BenchError
from bench.metrics import classification, detection, registry, selective
from bench.metrics.detection import Ranking
from bench.metrics.registry import declared, metric, of_kind, spec_of, specs
from bench.store.records import REFERENCE, read_all


def test_every_metric_that_was_ever_measured_is_described():
    emitted = {
        (record.scenario.partition(":")[0], name)
        for record in read_all(REFERENCE / "rows")[0]
        for row in record.rows
        for name in row.metrics
    }
    scenarios = {"clean", "corruption", "cost", "cross_dataset", "heldout", "protected", "speaker"}
    assert {scenario for scenario, _ in emitted} >= scenarios
    assert {name for _, name in emitted} <= specs().keys()


def better(name, good, bad):
    """Whether the good value is better, in the direction that the metric declares."""
    sign = {"higher": 1, "lower": -1}[specs()[name].better]
    return sign * good > sign * bad


@pytest.mark.parametrize("name", of_kind("detection"))
def test_a_detection_metric_prefers_a_better_ranking(name):
    metric = of_kind("detection")[name]
    low, high = np.arange(20.0), np.arange(15.0, 35.0)
    assert better(name, metric(Ranking.of(low, high)), metric(Ranking.of(high, low)))


@pytest.mark.parametrize("name", of_kind("answer"))
def test_a_metric_of_predictions_prefers_better_ones(name):
    y = torch.arange(60)[:, None] % 3
    right = torch.nn.functional.one_hot(y, 3) * 0.85 + 0.05
    metric = of_kind("answer")[name]
    assert better(name, metric(right, y), metric(right.roll(1, -1), y))


@pytest.mark.parametrize("name", of_kind("misclassification"))
def test_a_misclassification_metric_prefers_unsure_mistakes(name):
    metric, wrong = of_kind("misclassification")[name], np.array([0.0, 0, 0, 0, 0, 0, 1, 1])
    assert better(name, metric(wrong, wrong), metric(-wrong, wrong))


def test_specs_need_neither_torch_nor_what_computes_metrics():
    code = (
        "import sys; from bench.metrics import specs; specs(); "
        "bad = {'torch', 'scipy', 'sklearn', 'pandas'} & set(sys.modules); "
        "sys.exit(f'loaded {bad}' if bad else 0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=bench.ROOT, timeout=60)


@pytest.fixture
def plug_in(monkeypatch):
    """A module of a user's own, with one metric of each kind."""
    module = ModuleType("my_metrics")
    module.__file__ = "my_metrics.py"
    exec(
        """
from bench.metrics import metric

@metric(label="outliers above every inlier", better="higher", kind="detection")
def clear(ranking):
    return float(ranking.outliers[ranking.inliers.nonzero()[0].max() + 1:].sum()
                 / ranking.outliers.sum())

@metric(label="answers", better="", kind="answer", digits=0)
def answered(probs, y):
    return float(len(y))

@metric(label="nothing", better="lower", kind="misclassification")
def undefined(uncertainty, errors):
    return None
""",
        vars(module),
    )
    monkeypatch.setattr(plugins, "modules", lambda: (module,))
    return module


@pytest.mark.usefixtures("plug_in")
def test_a_metric_in_a_file_of_ones_own_is_measured_with_the_others():
    assert detection.detection(np.arange(4.0), np.arange(2.0, 6.0))["clear"] == 0.5
    probs, y = torch.full((5, 1, 2), 0.5), torch.zeros(5, 1, dtype=torch.int64)
    assert classification.judged(probs, y)["answered"] == 5
    assert "undefined" not in selective.misclassification(np.arange(3.0), np.array([0, 1, 1]))
    assert [spec.name for spec in registry.added()] == ["clear", "answered", "undefined"]
    assert specs()["clear"].label == "outliers above every inlier"


def test_two_metrics_of_one_name_are_an_error(plug_in):
    plug_in.again = declared("auroc", "another", kind="other")
    with pytest.raises(BenchError, match=r"two metrics are named 'auroc': .* and my_metrics.py"):
        specs()


def test_a_declared_metric_cannot_be_computed():
    with pytest.raises(TypeError, match="passes is worked out by its scenario alone"):
        registry.metrics()["passes"]()


def test_an_unknown_metric_is_called_by_its_name():
    found = spec_of("mean_auroc_gap", specs())
    assert (found.label, found.better, found.digits) == ("mean AUROC gap", "", 3)


def test_a_name_is_that_of_its_function():
    @metric(label="x", better="higher", kind="other")
    def some_name():
        return 1.0

    assert (some_name.spec.name, some_name()) == ("some_name", 1.0)
