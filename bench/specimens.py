"""Inputs to look at: a few of the test part, changed in every way we measure, and a few foreign.

None is chosen by what looks well: the first of each class, the first mistakes, the first outliers.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

import bench.scenarios
from datasets.base import Split, View, as_bytes, fingerprint

from .attacks import fgsm_direction, perturbed
from .discover import subclasses
from .errors import UsageError
from .prediction import Prediction
from .run import headline_score
from .scenarios.base import ShiftScenario
from .scenarios.cross_dataset import foreign, outlier_sources
from .scores import Score, all_scores
from .subject import Subject


@dataclass(frozen=True)
class Specimens:
    """Inputs of one group: what happened to them, and to which of the test part.

    Args:
        group: "clean", "mistakes", "corrupted", "adversarial" or "outliers".
        name: the view they come from, such as "fog", "fgsm 0.2" or "letters".
        x: bytes (n, C, H, W).
        y: labels (n, T), or None where no class applies.
        rows: which test inputs they are or were, (n,), or None.
    """

    group: str
    name: str
    x: Tensor
    y: Tensor | None = None
    rows: Tensor | None = None

    @property
    def view(self) -> View:
        """These inputs as a view that a subject can predict."""
        mark = fingerprint("specimens", self.x)
        return View(self.name, mark, len(self.x), lambda: self.x, self.y)


def one_of_each_class(test: Split, most: int) -> Tensor:
    """Return the first test input of each class, (n,) with n <= ``most``.

    Of many targets there is no one of each: then these are the first test inputs.
    """
    if test.y.shape[1] > 1:
        return torch.arange(min(most, len(test)))
    y = test.y[:, 0]
    return torch.stack([(y == c).nonzero()[0, 0] for c in y.unique()[:most]])


def clean(test: Split, rows: Tensor, group: str = "clean") -> Specimens:
    """Return test inputs as they are."""
    return Specimens(group, group, as_bytes(test.x[rows]), test.y[rows], rows)


def mistakes(subject: Subject, most: int) -> Specimens:
    """Return the first test inputs that the method's answer gets wrong, at the first target."""
    said = answer(subject, subject.predict(subject.clean))
    wrong = said[:, 0].argmax(-1) != subject.test.y[:, 0]
    return clean(subject.test, wrong.nonzero()[:most, 0], "mistakes")


def answer(subject: Subject, said: Prediction) -> Tensor:
    """Return the probabilities (N, T, K) that are a method's answer, float64."""
    single = said.by_single if subject.method.answers_with == "single" else None
    return said.by_samples if single is None else single


def headline(subject: Subject) -> Score:
    """Return the score the method is ranked by."""
    name = headline_score(subject)
    if name is None:
        raise UsageError(f"{subject.label} gave no probabilities on the clean test part")
    return all_scores()[name]


def corruption_views(subject: Subject) -> Iterator[View]:
    """Yield every corruption of the whole test part, each kind at its greatest severity."""
    strongest: dict[str, View] = {}
    for cls in subclasses(bench.scenarios, ShiftScenario).values():
        scenario = cls(**cls.defaults() | {"cap": len(subject.test)})  # type: ignore[arg-type]
        if "corruption" not in cls.name or scenario.skip(subject.data):
            continue
        for view in scenario.views(subject).found:
            known = strongest.get(view.name)
            if known is None or view.severity > known.severity:
                strongest[view.name] = view
    yield from (view for view in strongest.values() if view.n == len(subject.test))


def corrupted(subject: Subject, rows: Tensor, most: int | None = None) -> list[Specimens]:
    """Return the given test inputs under every corruption, or under ``most`` of them."""
    views = list(corruption_views(subject))
    if most is not None and len(views) > most:
        views = [views[i * len(views) // most] for i in range(most)]
    y = subject.test.y[rows]
    return [Specimens("corrupted", v.name, as_bytes(v.load()[rows]), y, rows) for v in views]


def adversarial(subject: Subject, rows: Tensor, strengths: tuple[float, ...]) -> list[Specimens]:
    """Return the given test inputs after FGSM on the method's own classifier."""
    classifier, device = subject.fitted().method.single_classifier(), subject.fitter.device
    x, y = subject.test.floats(rows).contiguous(), subject.test.y[rows]
    direction = fgsm_direction(classifier, x.to(device), y.to(device)).cpu()
    return [
        Specimens("adversarial", f"fgsm {eps:g}", as_bytes(perturbed(x, direction, eps)), y, rows)
        for eps in strengths
    ]


def outliers(subject: Subject, most: int) -> list[Specimens]:
    """Return inputs spread over every outlier source; none shows a person."""
    found = []
    for source in outlier_sources(subject.data):
        split = foreign(subject.data, source) if source.kind != "face" else "shows people"
        if isinstance(split, Split):
            rows = torch.linspace(0, len(split) - 1, most + 2)[1:-1].long()
            found.append(Specimens("outliers", source.name, as_bytes(split.x[rows])))
    return found
