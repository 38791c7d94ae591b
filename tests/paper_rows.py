"""Row files that say of every cell of the paper's tables what the paper says."""

import json
from collections import defaultdict

import numpy as np

from bench.report.wu2021.observed import METRICS
from bench.report.wu2021.published import with_ratios

STAND_INS = {"celeba": "celeba-10k", "audiomnist": "fsdd", "fluent": "speechcommands"}
OUTLIERS = {"audiomnist": "speechcommands", "fluent": "fsdd"}
ANSWER, SCORE = "samples", "vote_entropy"
HALF = 2**-0.5  # two numbers that lie s / sqrt(2) off their mean have the standard deviation s


def write(results, seeds=(0, 1, 2), keep=lambda cell: True):
    """Write the rows of the cells to ``keep``; seeds differ in the sixth digit."""
    draw = np.random.default_rng(0)
    files = defaultdict(dict)  # (data set, scenario, method, seed) -> (view, score) -> metrics
    for cell, stdev in _cells(keep):
        metric = METRICS[cell.column.metric]
        view, score = _place(cell.column, metric)
        variant = metric.variant.format(view=cell.column.view)
        data = STAND_INS.get(cell.column.dataset, cell.column.dataset)
        label = f"{data}~{variant}" if variant else data
        for seed in seeds:
            value = cell.value / metric.scale + draw.normal(scale=2e-6)
            views = {view: value}
            if metric.scenario == "corruption":
                views = {"fog": value - HALF * stdev, "blur": value + HALF * stdev}
            rows = files[label, metric.scenario, cell.row, seed]
            for name, number in views.items():
                rows.setdefault((name, score), {})[metric.metric] = round(number, 6)
    for place, rows in files.items():
        _save(results, *place, rows)


def _cells(keep):
    """Each cell once, as the last table prints it, with the spread over corruptions."""
    wanted = [cell for cell in with_ratios() if keep(cell)]
    stdevs = {
        (c.row, c.column.dataset): c.value for c in wanted if c.column.metric == "corruption_stdev"
    }
    unique = {(c.row, c.column): c for c in wanted if c.column.metric != "corruption_stdev"}
    return [(c, stdevs.get((c.row, c.column.dataset), 0.05)) for c in unique.values()]


def _place(column, metric):
    score = {"auroc": SCORE, "misclassification_auroc": SCORE}.get(metric.metric, ANSWER)
    if column.metric == "probe_f1":
        score = "features"
    if metric.scenario == "cost":
        score = None
    view = metric.view.format(view=column.view) or "clean"
    if column.metric == "speech_ood":
        view = OUTLIERS[column.dataset]
    return (STAND_INS.get(view, view) if column.metric == "ood" else view), score


def _save(results, dataset, scenario, method, seed, rows):
    record = {
        "schema": 1, "method": method, "dataset": dataset, "scenario": scenario, "seed": seed,
        "preset": "laptop", "answer": ANSWER, "score": SCORE, "fit_seconds": 60.0, "device": "cpu",
        "status": "ok", "reason": "", "missing": {},
        "rows": [
            {"view": view, "metrics": metrics, "n": 100} | ({"score": score} if score else {})
            for (view, score), metrics in rows.items()
        ],
    }  # fmt: skip
    path = results / "rows" / dataset / scenario / f"{method.replace(':', '_')}-s{seed}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(record))
