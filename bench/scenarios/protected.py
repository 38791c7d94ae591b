"""One attribute predicted, another that should not matter to it."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from bench.datasets.base import Dataset, Split, View, derive_seed
from bench.datasets.errors import DataError
from bench.datasets.single_attribute import SingleAttribute, single_attribute
from bench.fitting.evaluator import Evaluator
from bench.metrics import fairness
from bench.metrics.classification import accuracy
from bench.metrics.fairness import Binary
from bench.scenarios.base import Scenario, Views, answers
from bench.store.schema import PROBED, Headline, Row, protected_headlines


class Protected(Scenario):
    """How well it predicts ``target`` for inputs with a protected attribute and for the others.

    Views: a group ("Bald", "not Bald"); "gap Bald", by how much the first is served worse, with
    intervals from a bootstrap within the groups, and how that gap differs from `standard`'s;
    "probe Bald", how well a linear head on the frozen last hidden layer finds the attribute.

    Args:
        target: the attribute to predict.
        protect: the attributes that should not matter.
        neighbours: inputs whose answers consistency compares with each input's own.
    """

    name = "protected"
    source = "Wu et al. 2021, tables 7 and 8; Raff and Sylvester 2018, arXiv:1807.00199"
    question = "Does it serve two groups alike, and can the group be read from its features?"
    tags: ClassVar[frozenset[str]] = frozenset({"fairness", "paper"})
    references = ("standard",)

    def __init__(
        self, *, target: str = "Beard", protect: tuple[str, ...] = ("Bald",), neighbours: int = 5
    ) -> None:
        self.target = target
        self.protect = protect
        self.neighbours = neighbours

    def headlines(self) -> Sequence[Headline]:
        return protected_headlines(self.protect)

    def skip(self, data: Dataset) -> str | None:
        return None if len(data.task.targets) > 1 else f"{data.label} tells of no attributes"

    def training(self, data: Dataset) -> Sequence[Dataset]:
        asked = SingleAttribute(data, self.target)
        for name in self.protect:
            single_attribute(asked, name)  # raises where there is no such attribute
        return [asked]

    def views(self, evaluator: Evaluator) -> Views:
        return Views([], {})

    def measure(self, evaluator: Evaluator, views: Sequence[View]) -> Iterator[Row]:
        test, answer = evaluator.test, evaluator.method.point_prediction
        predicted, standard = binary(evaluator), binary(evaluator.reference("standard"))
        near = nearest(test, self.neighbours)
        overall = {
            "accuracy": accuracy(answers(evaluator.predict(evaluator.clean))[answer], test.y),
            "consistency": fairness.consistency(predicted.p, near),
        }
        overall |= fairness.by_group(predicted)
        yield Row("clean", len(test), overall, answer)
        for name in self.protect:
            member = test.attribute(name).bool().numpy()
            self._must_have_both(name, member, predicted.y)
            for view, group in ((name, member), (f"not {name}", ~member)):
                metrics = fairness.by_group(part(predicted, group)) | shares(predicted, group)
                yield Row(view, int(group.sum()), metrics, answer)
            seed = derive_seed(self.name, test.fingerprint, name)
            gap = compared(predicted, standard, member, seed)
            gap["discrimination"] = fairness.discrimination(predicted.p, member)
            gap["accuracy_minus_discrimination"] = overall["accuracy"] - gap["discrimination"]
            yield Row(f"gap {name}", len(test), gap, answer)
            if metrics := probe(evaluator, name):
                yield Row(f"probe {name}", len(test), metrics, PROBED)

    def _must_have_both(self, name: str, member: NDArray[np.bool_], y: NDArray) -> None:
        for group, who in ((member, name), (~member, f"not {name}")):
            positives = int(y[group].sum())
            if not 0 < positives < group.sum():
                raise DataError(
                    f"of the {int(group.sum())} test inputs that are {who}, {positives} are "
                    f"{self.target}; both kinds are needed to measure anything"
                )


def binary(evaluator: Evaluator) -> Binary:
    """Return the point predictions and the labels of the clean test part."""
    probs = answers(evaluator.predict(evaluator.clean))[evaluator.method.point_prediction]
    return Binary(probs[:, 0, 1].numpy(), evaluator.test.y[:, 0].numpy().astype(float))


def part(predicted: Binary, group: NDArray[np.bool_]) -> Binary:
    """Return the predictions and labels of a group."""
    return Binary(predicted.p[group], predicted.y[group])


def shares(predicted: Binary, group: NDArray[np.bool_]) -> dict[str, float]:
    """Return which share of a group is positive, by its labels and by the predictions."""
    return {
        "positives": float(predicted.y[group].mean()),
        "answered_positive": float((predicted.p[group] > 0.5).mean()),
    }


def compared(
    predicted: Binary, standard: Binary, member: NDArray[np.bool_], seed: int
) -> dict[str, float]:
    """Return each gap and its change against `standard`'s gap, both with an interval.

    Both methods are judged on the same resamples, so the change is a paired comparison.
    """
    sizes = int(member.sum()), int((~member).sum())
    once = tuple(np.ones((1, n)) for n in sizes)
    often = fairness.resamples(sizes, seed=seed)
    found = {}
    both = [(part(one, member), part(one, ~member)) for one in (predicted, standard)]
    plain, plain_standard = (fairness.gaps(*pair, once) for pair in both)  # type: ignore[arg-type]
    drawn, drawn_standard = (fairness.gaps(*pair, often) for pair in both)
    for metric in plain:
        name = f"{metric}_gap"
        found[name] = float(plain[metric][0])
        found[f"{name}_low"], found[f"{name}_high"] = fairness.interval(drawn[metric])
        found[f"{name}_change"] = float((plain[metric] - plain_standard[metric])[0])
        change = fairness.interval(drawn[metric] - drawn_standard[metric])
        found[f"{name}_change_low"], found[f"{name}_change_high"] = change
    return found


@lru_cache(maxsize=4)
def nearest(test: Split, k: int) -> NDArray[np.int64]:
    """Return the rows of the k nearest other test inputs of each, by their pixels, (N, k)."""
    return fairness.nearest(test.floats().flatten(1).numpy(), k)


def probe(evaluator: Evaluator, name: str) -> dict[str, float]:
    """Return how well a linear head on the frozen features finds an attribute; {}: no features.

    The head is scikit-learn's logistic regression on standardised features of the training part.
    Its F1 is at the threshold that is best on the validation part: a threshold of 1/2 predicts a
    rare attribute for nobody.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import roc_auc_score
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    splits = evaluator.fitter.splits
    learned = [evaluator.training.of(split) for split in (splits.train, splits.val)]
    features = evaluator.predict(evaluator.clean).features
    if features is None or None in learned:
        return {}
    train, val = (one.features.float().numpy() for one in learned if one is not None)
    test = features.numpy()
    head = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    with warnings.catch_warnings():  # the unseparable last digits do not matter here
        warnings.simplefilter("ignore", ConvergenceWarning)
        head.fit(train, splits.train.attribute(name).numpy())

    def predictions(features: NDArray, split: Split) -> Binary:
        truth = split.attribute(name).numpy().astype(float)
        return Binary(head.predict_proba(features)[:, 1], truth)

    threshold = fairness.best_threshold(predictions(val, splits.val))
    predicted = predictions(test, splits.test)
    f1 = fairness.f1(predicted, np.ones((1, len(predicted.y))), threshold)
    return fairness.by_group(predicted) | {
        "f1": float(f1[0]),
        "threshold": threshold,
        "auroc": roc_auc_score(predicted.y, predicted.p),
    }
