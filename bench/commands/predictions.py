"""``bench export --predictions``: kept predictions as files that other tools, and ours, read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench.commands.score import EXTRA, INLIERS
from bench.datasets.base import View
from bench.fitting.console import Console
from bench.fitting.evaluator import Evaluator
from bench.fitting.prediction import Prediction
from bench.running.plan import Job
from bench.running.run import Settings, fitter_for
from bench.scenarios.base import ShiftScenario
from bench.store.files import draft, slug

Array = NDArray[np.generic]


def export(jobs: Sequence[Job], settings: Settings, console: Console, out: Path) -> Iterator[Path]:
    """Write one .npz for each method, data set and seed, as docs/score.md describes; yield them.

    What is not in the cache is fitted and predicted first.
    """
    out.mkdir(parents=True, exist_ok=True)
    for job in jobs:
        evaluator = Evaluator(job.label, job.method, job.seed, fitter_for(job, settings, console))
        path = out / f"{slug(job.data.label)}-{slug(job.label)}-s{job.seed}.npz"
        with draft(path) as unfinished, unfinished.open("wb") as stream:
            np.savez(stream, allow_pickle=False, **dict(_arrays(job, evaluator)))
        yield path


def _arrays(job: Job, evaluator: Evaluator) -> Iterator[tuple[str, Array]]:
    clean = evaluator.predict(evaluator.clean)
    yield from _outputs(INLIERS, clean)
    yield f"{INLIERS}/labels", evaluator.test.y.numpy()
    yield f"{INLIERS}/answer", np.array(job.method.point_prediction)
    yield f"{INLIERS}/seed", np.array(job.seed)
    for part, evidence in evaluator.training.parts().items():
        if evidence is not None and evidence.labels is not None:
            yield f"{part}/logits", evidence.logits.float().numpy()
            yield f"{part}/features", evidence.features.float().numpy()
            yield f"{part}/labels", evidence.labels.numpy()
            if evidence.linear is not None:
                yield f"{part}/weight", evidence.linear.weight.float().numpy()
                yield f"{part}/bias", evidence.linear.bias.float().numpy()
    for scenario in job.scenarios:
        if isinstance(scenario, ShiftScenario):
            for view in scenario.views(evaluator).found:
                yield from _view(scenario.name, view, evaluator.predict(view))


def _view(scenario: str, view: View, made: Prediction) -> Iterator[tuple[str, Array]]:
    which = f"{scenario}/{view.name}@{view.severity:g}"
    yield from _outputs(which, made)
    if view.y is not None:
        yield f"{which}/labels", view.y.numpy()
    about = {"scenario": scenario, "view": view.name, "group": view.group}
    for field, value in {**about, "severity": view.severity}.items():
        yield f"{which}/{field}", np.array(value)


def _outputs(which: str, made: Prediction) -> Iterator[tuple[str, Array]]:
    yield f"{which}/probs", made.probs.numpy()
    if made.logits is not None and made.features is not None:
        yield f"{which}/logits", made.logits.numpy()
        yield f"{which}/features", made.features.numpy()
    for name, values in made.extras.items():
        yield f"{which}/{EXTRA}{name}", values.numpy()
