"""Sets of labels that hold the right one as often as asked, and what a shift leaves of that."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any, ClassVar

import torch
from torch import Tensor

from bench.datasets.base import View, generator
from bench.errors import BenchError, UsageError
from bench.fitting.evaluator import Evaluator
from bench.metrics.conformal import aps, lac, raps
from bench.metrics.operating import Threshold, needed, share, threshold
from bench.scenarios.base import Views
from bench.scenarios.shifted import CLEAN, Shifted, point
from bench.store.schema import Headline, Row


class Conformal(Shifted):
    """Conformal sets by LAC, APS and RAPS, calibrated on the validation part.

    Their size and how many are empty, on the test part and on every shifted view; how often they
    hold the label where there is one, with the interval of Clopper and Pearson. On the test part
    also the range in which that share lies in 95 % of draws of validation and test part.

    Args:
        level: the share of sets that shall hold the label.
        penalty: of RAPS, for each class behind those that are free.
        free: of RAPS, the number of likeliest classes without a penalty.
    """

    name = "conformal"
    source = "Sadinle et al. 2019; Romano et al. 2020; Angelopoulos et al. 2021, arXiv:2009.14193"
    question = "Which labels must a set hold so that the right one is among them as often as asked?"
    tags: ClassVar[frozenset[str]] = frozenset({"calibration", "product"})
    minimum: ClassVar[Mapping[str, float]] = {"level": 0, "penalty": 0, "free": 0}

    def __init__(
        self, *, level: float = 0.9, penalty: float = 0.1, free: int = 2, **inherited: Any
    ) -> None:
        super().__init__(**inherited)
        self.level = level
        self.penalty = penalty
        self.free = free

    def headlines(self) -> Sequence[Headline]:
        return [
            Headline(
                f"{kind.upper()} {label}: {where.replace('_', ' ')}", metric, group=where,
                score=kind, board=False, order=83,
            )
            for kind in ("lac", "aps", "raps")
            for where in (CLEAN, "corruption", "speech_corruption")
            for metric, label in (("coverage", "coverage"), ("set_size", "size"))
        ]  # fmt: skip

    def views(self, evaluator: Evaluator) -> Views:
        if not 0 < self.level < 1:
            raise UsageError(f"conformal: level lies between 0 and 1, and {self.level:g} does not")
        return super().views(evaluator)

    def measure(self, evaluator: Evaluator, views: Sequence[View]) -> Iterator[Row]:
        fixed = self._fixed(evaluator)
        for view, prediction in self.each(evaluator, views):
            scores = self._scores(point(evaluator, prediction), evaluator, view)
            for kind, values in scores.items():
                inside = values <= torch.tensor([at.value for at in fixed[kind]])[:, None]
                metrics = _sizes(inside)
                if view.y is not None:
                    metrics |= _coverage(_of_labels(inside, view.y))
                if view.name == CLEAN and len(fixed[kind]) == 1:
                    missed, most = fixed[kind][0].chance(view.n)
                    metrics |= {"chance_coverage_low": 1 - most, "chance_coverage_high": 1 - missed}
                yield Row(view.name, view.n, metrics, kind, view.severity, view.group)

    def _fixed(self, evaluator: Evaluator) -> dict[str, list[Threshold]]:
        """Return the threshold of each target, by kind of sets.

        Raises:
            BenchError: there are too few validation inputs for the level.
        """
        validation, y = evaluator.validation, evaluator.fitter.splits.val.y
        if len(y) < (least := needed(1 - self.level)):
            raise BenchError(
                f"sets that hold the label with probability {self.level:g} need {least} "
                f"validation inputs, and there are {len(y)}"
            )
        probs = point(evaluator, evaluator.predict(validation))
        scores = self._scores(probs, evaluator, validation)
        return {
            kind: [threshold(of, 1 - self.level) for of in _of_labels(values, y).T]
            for kind, values in scores.items()
        }

    def _scores(self, probs: Tensor, evaluator: Evaluator, view: View) -> dict[str, Tensor]:
        """Return the scores of every class, (N, T, K), by kind of sets."""
        names = view.name, view.severity, evaluator.data.label, evaluator.seed
        draw = generator("conformal", *names)
        u = torch.rand(probs.shape[:2], generator=draw, dtype=torch.float64)
        regular = partial(raps, penalty=self.penalty, free=self.free)
        each = [(probs[:, t].double(), u[:, t]) for t in range(probs.shape[1])]
        return {
            "lac": torch.stack([lac(p) for p, _ in each], 1),
            "aps": torch.stack([aps(p, v) for p, v in each], 1),
            "raps": torch.stack([regular(p, v) for p, v in each], 1),
        }


def _of_labels(scores: Tensor, y: Tensor) -> Tensor:
    """Return the scores of the labels; (N, T, K) and (N, T) -> (N, T)."""
    return scores.gather(-1, y[..., None])[..., 0]


def _sizes(inside: Tensor) -> dict[str, float]:
    """Return the mean size of sets (N, T, K), and the share of empty ones."""
    size = inside.sum(-1).double()
    return {"set_size": size.mean().item(), "empty_sets": (size == 0).double().mean().item()}


def _coverage(holds: Tensor) -> dict[str, float]:
    """Return how often sets hold the label, (N, T); with an interval where there is one target."""
    if holds.shape[1] > 1:  # the targets of one input are not independent
        return {"coverage": holds.double().mean().item()}
    found, low, high = share(holds[:, 0].numpy())
    return {"coverage": found, "coverage_low": low, "coverage_high": high}
