"""Attacks on what is ranked, and attacks of many steps: do masked gradients pass as robustness?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

import torch
from torch import Tensor

from bench.datasets.base import Dataset, View, derive_seed, fingerprint
from bench.datasets.named import Value
from bench.errors import UsageError
from bench.fitting.attacks import fgsm_direction, perturbed
from bench.fitting.evaluator import Evaluator
from bench.fitting.isolation import isolated
from bench.fitting.strong_attacks import BATCH, MeanOfSamples, pgd
from bench.scenarios.adversarial import Adversarial
from bench.scenarios.base import ShiftScenario, Views
from bench.store.cache import Key
from bench.store.code import code_digest
from bench.store.schema import Headline

TITLES = {"fgsm": "FGSM", "pgd": "PGD"}
TARGETS = {"single": "", "samples": " on samples"}


class StrongAttacks(ShiftScenario):
    """FGSM and PGD on the single classifier, and on the mean of the samples, which is ranked.

    The loss of the mean prediction is followed through all samples, drawn as for a prediction. A
    gradient costs a forward and a backward pass of every sample, so neither
    "ood" nor "all" contains it: ask for it by name, or for "attacks".

    Args:
        attack: fgsm: one step of the gradient's sign; pgd: several, from a random start.
        target: single: the deterministic classifier; samples: the mean of `predict_proba`.
        eps: largest changes of a pixel, in units of the pixel range [0, 1].
        steps: number of gradients of pgd.
    """

    name = "strong_attacks"
    source = "Madry et al. 2018, arXiv:1706.06083; Athalye et al. 2018, arXiv:1802.00420"
    question = "Is it robust to FGSM only because its gradients are masked?"
    tags: ClassVar[frozenset[str]] = frozenset({"attacks"})
    asked_for = "it takes ten gradients through every sample"
    presets: ClassVar[Mapping[str, Mapping[str, Value]]] = {
        "smoke": {"eps": (0.1,), "steps": 2},
        "laptop": {"cap": 500},
        "paper": {"cap": 2000},
    }
    minimum: ClassVar[Mapping[str, float]] = {"steps": 1}

    def __init__(
        self, *, attack: tuple[str, ...] = ("fgsm", "pgd"),
        target: tuple[str, ...] = ("single", "samples"), eps: tuple[float, ...] = (0.1, 0.2),
        steps: int = 10, **inherited: int,
    ) -> None:  # fmt: skip
        super().__init__(**inherited)
        self.attack = attack
        self.target = target
        self.eps = eps
        self.steps = steps

    @classmethod
    def choices(cls, parameter: str) -> tuple[str, ...]:
        known = {"attack": tuple(TITLES), "target": tuple(TARGETS)}
        return known.get(parameter) or super().choices(parameter)

    def skip(self, data: Dataset) -> str | None:
        """Return why not, as ever.

        Raises:
            UsageError: a strength is not in (0, 1].
        """
        if bad := [eps for eps in self.eps if not 0 < eps <= 1]:
            raise UsageError(f"{self.name}: eps is above 0 and at most 1, not {bad[0]:g}")
        return Adversarial().skip(data)

    def headlines(self) -> Sequence[Headline]:
        return [
            Headline(TITLES[attack] + TARGETS[target], view=f"{attack}_{target}", order=35)
            for attack in self.attack
            for target in self.target
        ]

    def family(self, view: View) -> str:
        return "attack"

    def views(self, evaluator: Evaluator) -> Views:
        rows = self.drawn(len(evaluator.test), len(evaluator.test), evaluator.data.name, self.name)
        attacks = [
            Attack(evaluator, rows, attack, target, self.steps)
            for attack in self.attack
            for target in self.target
        ]
        return Views([attack.view(eps) for attack in attacks for eps in self.eps], {})


@dataclass(frozen=True, eq=False)
class Attack:
    """One attack on one fitted method and some of its test inputs, at any strength."""

    evaluator: Evaluator
    rows: Tensor
    name: str
    target: str
    steps: int

    def view(self, eps: float) -> View:
        """Return the attacked inputs as a view; nothing is computed before it is loaded."""
        mark, y = fingerprint(self._key(eps).digest, eps), self.evaluator.test.y[self.rows]
        name = f"{self.name}_{self.target}"
        return View(name, mark, len(self.rows), partial(self.inputs, eps), y, eps)

    def inputs(self, eps: float) -> Tensor:
        """Return the attacked inputs, float32 (n, C, H, W)."""
        made = self._kept(eps)
        return perturbed(self._x, made, eps) if self.name == "fgsm" else made

    @property
    def _x(self) -> Tensor:
        return self.evaluator.test.floats(self.rows).contiguous()

    def _key(self, eps: float) -> Key:
        evaluator = self.evaluator
        one_gradient_serves_all = self.name == "fgsm"
        return Key({
            "fit": evaluator.key().digest,
            "params": evaluator.method.params() if self.target == "samples" else {},
            "view": fingerprint(evaluator.test.fingerprint, self.rows),
            "code": code_digest("bench.fitting.strong_attacks"),
            "attack": [self.name, self.target],
            "steps": [] if one_gradient_serves_all else [eps, self.steps],
        })  # fmt: skip

    def _kept(self, eps: float) -> Tensor:
        """Return what the attack keeps: of fgsm the gradient's sign, of pgd the inputs."""
        evaluator, key = self.evaluator, self._key(eps)
        kind = f"attacks/{evaluator.data.label}"
        strength = "" if self.name == "fgsm" else f"-{eps:g}"
        name = f"{self.name}-{self.target}{strength}-{evaluator.label}-s{evaluator.seed}"
        like = self._x.to(torch.int8 if self.name == "fgsm" else torch.float32)

        def read(payload: Any, note: Mapping[str, Any]) -> Tensor:
            made = payload["made"]
            if made.shape != like.shape or made.dtype != like.dtype:
                raise ValueError("it holds no attack on these inputs")
            return made.clamp(-1, 1)

        known = None if evaluator.fitter.force else evaluator.cache.load(kind, name, key, read)
        if known is not None:
            return known
        made = self._made(eps)
        evaluator.cache.keep(kind, name, key, {"made": made})
        return made

    def _made(self, eps: float) -> Tensor:
        evaluator = self.evaluator
        method, device = evaluator.fitted().method, evaluator.fitter.device
        x, y = self._x.to(device), evaluator.test.y[self.rows].to(device)
        with isolated(method.name, device):
            victim = (
                MeanOfSamples(method, evaluator.prediction_seed)
                if self.target == "samples" else method.single_classifier()
            )  # fmt: skip
            if self.name == "fgsm":
                return fgsm_direction(victim, x, y, batch=BATCH).cpu()
            seed = derive_seed("pgd", evaluator.data.label, evaluator.seed)
            return pgd(victim, x, y, eps=eps, steps=self.steps, seed=seed).cpu()
