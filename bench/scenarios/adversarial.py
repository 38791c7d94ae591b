"""Inputs changed slightly to be misclassified: adversarial examples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor

from bench.datasets.base import Dataset, View, fingerprint
from bench.datasets.named import Value
from bench.fitting.attacks import fgsm_direction, perturbed
from bench.fitting.evaluator import Evaluator
from bench.scenarios.base import ShiftScenario, Views
from bench.store.cache import Key
from bench.store.code import code_digest
from bench.store.schema import Headline


class Adversarial(ShiftScenario):
    """FGSM on the method's own single classifier, and once more as transfer from `standard`.

    Args:
        eps: strengths in units of the pixel range [0, 1].
    """

    name = "adversarial"
    source = "Goodfellow et al. 2014, arXiv:1412.6572"
    question = "Is it less sure of inputs made to fool it?"
    tags: ClassVar[frozenset[str]] = frozenset({"ood", "adversarial", "paper"})
    references = ("standard",)
    presets: ClassVar[Mapping[str, Mapping[str, Value]]] = {"smoke": {"eps": (0.1, 0.3)}}

    def __init__(self, *, eps: tuple[float, ...] = (0.05, 0.1, 0.2, 0.3), **inherited: int) -> None:
        super().__init__(**inherited)
        self.eps = eps

    def skip(self, data: Dataset) -> str | None:
        if data.modality == "table":
            return f"small changes of images and sounds; {data.name} holds answers"
        return super().skip(data)

    def headlines(self) -> Sequence[Headline]:
        return [
            Headline("FGSM", view="fgsm", order=30),
            Headline("FGSM transfer", view="fgsm_transfer", order=30),
        ]

    def family(self, view: View) -> str:
        return "attack"

    def views(self, evaluator: Evaluator) -> Views:
        rows = self.drawn(len(evaluator.test), len(evaluator.test), evaluator.data.name, self.name)
        victims = {"fgsm": evaluator, "fgsm_transfer": evaluator.reference("standard")}
        views = [
            self._view(name, victim, rows, eps)
            for name, victim in victims.items()
            for eps in self.eps
        ]
        return Views(views, {})

    def _view(self, name: str, victim: Evaluator, rows: Tensor, eps: float) -> View:
        test, attack = victim.test, self._key(victim, rows).digest

        def load() -> Tensor:
            x = test.floats(rows).contiguous()
            return perturbed(x, self._direction(victim, rows), eps)

        return View(name, fingerprint(attack, eps), len(rows), load, test.y[rows], eps)

    def _key(self, victim: Evaluator, rows: Tensor) -> Key:
        spec = {
            "fit": victim.key().digest,
            "view": fingerprint(victim.test.fingerprint, rows),
            "code": code_digest("bench.fitting.attacks"),
        }
        return Key(spec)

    def _direction(self, victim: Evaluator, rows: Tensor) -> Tensor:
        """Return the gradient's sign; one gradient serves every strength and every method."""
        kind, key = f"attacks/{victim.data.label}", self._key(victim, rows)
        name = f"fgsm-{victim.label}-s{victim.seed}"
        shape = (len(rows), *victim.test.x.shape[1:])

        def read(payload: Any, note: Mapping[str, Any]) -> Tensor:
            direction = payload["direction"]
            if direction.shape != shape or direction.dtype != torch.int8:
                raise ValueError("it holds no direction of these inputs")
            return direction.clamp(-1, 1)

        known = None if victim.fitter.force else victim.cache.load(kind, name, key, read)
        if known is not None:
            return known
        device = victim.fitter.device
        classifier = victim.fitted().method.single_classifier()
        x, y = victim.test.floats(rows).to(device), victim.test.y[rows].to(device)
        direction = fgsm_direction(classifier, x.contiguous(), y).cpu()
        victim.cache.keep(kind, name, key, {"direction": direction})
        return direction
