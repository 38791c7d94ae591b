"""Attribution maps of inputs that were damaged, attacked, decoded or hardly changed at all."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, ClassVar, Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor

from bench.datasets.base import Dataset, View, as_floats, fingerprint, generator
from bench.datasets.corruptions import CORRUPTIONS
from bench.datasets.named import Value
from bench.errors import SkippedError
from bench.fitting import attributions
from bench.fitting.attributions import (
    BATCH,
    LogOdds,
    causal_effect,
    contrast_by_force,
    importance,
    integrated_gradients,
    interventional_expectation,
)
from bench.fitting.evaluator import Evaluator
from bench.fitting.isolation import isolated
from bench.methods.decnn import DecodableMethod
from bench.metrics.attribution import kendall, top_overlap
from bench.metrics.classification import errors
from bench.metrics.detection import Vector, detection
from bench.metrics.selective import misclassification
from bench.scenarios.base import ShiftScenario, Views, answers
from bench.scenarios.corruption import Corruption
from bench.scenarios.strong_attacks import Attack
from bench.scores import all_scores
from bench.store.code import code_digest
from bench.store.schema import RANKED_BY, Headline, Row

CLEAN, NOISE, DECODED = "clean", "noise", "decoded"
ALL = "all together"  # the view of what is measured over the inputs and all their damaged versions
OF_X, OWN = "for the class of the plain input", "for its own class"
ENTROPY, ERROR = "entropy", "squared_error"
CHANGES = (NOISE, DECODED)  # small changes of an input that can be made of any input at test time
GROUPS = {"corruption": "corruption", "attack": "FGSM", DECODED: "decoding", NOISE: "noise"}
TITLES = {"ig": "IG", "ace": "ACE", "pixels": "pixel"}
TRAINING = 20_000  # most training inputs whose mean and covariance count
FORCED = 50  # of them that ace is checked by

Asked = Mapping[tuple[str, str], tuple[Tensor, Tensor]]  # inputs and classes by name of the maps
Drawn = Mapping[tuple[str, str], Vector]  # importance of every pixel (n, P) by the same names


class Said(NamedTuple):
    """One version of the inputs, and what the method says of it.

    Args:
        x: inputs (n, C, H, W), float32.
        classes: that are answered, (n,).
        wrong: whether that is wrong, (n,).
        entropy: predictive, (n,).
    """

    x: Tensor
    classes: Tensor
    wrong: Vector
    entropy: Vector


class Attribution(ShiftScenario):
    """Maps of the class predicted on an input, and of the same class on its other versions.

    What is attributed are the log odds of the mean prediction, through all samples of the method,
    whose draws all inputs share; or those of the single classifier. `ig` are integrated gradients
    from a black image, `ace` the average causal effect of every pixel;
    `bench.fitting.attributions` says what is computed. Maps are compared by magnitude: Kendall's
    tau-b over all pixels, and the share of the top ones in common.

    An agreement that can be had at test time, without the original: between the maps of any input
    and of its decoding g(h_L), or of itself with a little noise, for the class predicted on it.
    1 - tau and 1 - overlap then serve as uncertainties: of damage (clean inputs against damaged
    versions of the same) and of wrong answers. On the same inputs stand beside them predictive
    entropy, the squared error of the decoding and, if asked for, the agreement of the inputs
    themselves, `pixels`.

    Args:
        maps: ig, ace, and pixels, the inputs as if they were maps.
        target: samples: the mean of `predict_proba`; single: the deterministic classifier.
        corruptions: of MNIST-C.
        eps: strength of FGSM on the single classifier.
        noise: standard deviation of the noise, in units of the pixel range [0, 1].
        top: share of pixels that are the top.
        steps: gradients for one map of ig.
        values: of a pixel, from 0 to 1, between which ace is linear.
        directions: principal directions of training inputs that ace takes into account; 0: none.
        reach: of ace's differences, in standard deviations; towards 0 they become the derivatives
            of the paper's expansion; 0 itself stands for the square root of `directions`.
    """

    name = "attribution"
    source = (
        "Sarkar, Sarkar and Balasubramanian 2021, arXiv:2012.14395; "
        "Chattopadhyay et al. 2019, arXiv:1902.02302"
    )
    question = "Does it look at the same pixels under shift, and if not, does that tell?"
    detects = False
    tags: ClassVar[frozenset[str]] = frozenset({"neighbours"})
    asked_for = "it takes 32 gradients through every sample for a map"
    presets: ClassVar[Mapping[str, Mapping[str, Value]]] = {
        "smoke": {"cap": 12, "steps": 4, "values": 2, "directions": 2, "corruptions": ("fog",)},
        "laptop": {"cap": 100},
        "paper": {"cap": 1000},
    }
    minimum: ClassVar[Mapping[str, float]] = {
        "cap": 2, "noise": 0, "top": 0, "steps": 1, "values": 2, "directions": 0,
        "reach": 0,
    }  # fmt: skip

    def __init__(
        self, *, maps: tuple[str, ...] = ("ig", "ace"),
        target: Literal["samples", "single"] = "samples",
        corruptions: tuple[str, ...] = ("shot_noise", "motion_blur", "rotate", "fog"),
        eps: float = 0.1, noise: float = 0.05, top: float = 0.1, steps: int = 32, values: int = 5,
        directions: int = 16, reach: float = 0.0, **inherited: Any,
    ) -> None:  # fmt: skip
        super().__init__(**inherited)
        self.maps = maps
        self.target = target
        self.corruptions = corruptions
        self.eps = eps
        self.noise = noise
        self.top = top
        self.steps = steps
        self.values = values
        self.directions = directions
        self.reach = reach

    @classmethod
    def choices(cls, parameter: str) -> tuple[str, ...]:
        known = {"maps": tuple(TITLES), "corruptions": tuple(CORRUPTIONS)}
        return known.get(parameter) or super().choices(parameter)

    def headlines(self) -> Sequence[Headline]:
        agreed = [
            Headline(f"{TITLES[m]} tau, {label}", "tau", group=g, score=m, board=False, order=49)
            for m in self.maps
            for g, label in GROUPS.items()
        ]
        scores = [(f"{TITLES[m]} tau, {c}", f"{m}_tau_{c}") for m in self.maps for c in CHANGES]
        told = [
            Headline(f"{what} told by {label}", metric, view=ALL, score=s, board=False, order=49)
            for what, metric in (("damage", "auroc"), ("errors", "misclassification_auroc"))
            for label, s in [*scores, (ENTROPY, ENTROPY), ("squared error", ERROR)]
        ]
        return [*agreed, *told]

    def skip(self, data: Dataset) -> str | None:
        if "ig" in self.maps and not attributions.installed():
            return f"{attributions.MISSING}, or ask for {self.name}:maps=ace"
        if len(data.task.targets) > 1:
            return f"a map is of one class, and {data.name} has {len(data.task.targets)} targets"
        return Corruption().skip(data)

    def views(self, evaluator: Evaluator) -> Views:
        test, rows = evaluator.test, self._rows(evaluator)
        whole = {v.name: v for v in Corruption(cap=len(test)).views(evaluator).found}
        found = [part(evaluator.clean, rows, CLEAN)]
        found += [part(whole[name], rows, "corruption") for name in self.corruptions]
        attack = Attack(evaluator, rows, "fgsm", "single", 1).view(self.eps)
        found.append(replace(attack, name="fgsm", group="attack"))
        return Views([*found, *self._changed(evaluator, rows)], {})

    def _rows(self, evaluator: Evaluator) -> Tensor:
        n = len(evaluator.test)
        return self.drawn(n, n, evaluator.data.name, self.name)

    def _changed(self, evaluator: Evaluator, rows: Tensor) -> Iterator[View]:
        """Yield the inputs after each small change, as a view."""
        test, code = evaluator.test, code_digest("bench.scenarios.attribution")
        by = {NOISE: self.noise, DECODED: evaluator.key().digest}
        for change in changes(evaluator):
            mark = fingerprint(test.fingerprint, rows, change, by[change], code)
            load = partial(self._after, change, evaluator, test.floats(rows))
            yield View(change, mark, len(rows), load, test.y[rows], group=change)

    def _after(self, change: str, evaluator: Evaluator, x: Tensor) -> Tensor:
        """Return inputs (n, C, H, W) after a small change, float32 in [0, 1]."""
        if change == NOISE:
            noise = torch.randn(x.shape, generator=generator(self.name, evaluator.data.name))
            return (x + self.noise * noise).clamp_(0, 1)
        return decoding(evaluator, x)

    def measure(self, evaluator: Evaluator, views: Sequence[View]) -> Iterator[Row]:
        said = {view.name: self._heard(evaluator, view) for view in views}
        damaged = [view for view in views if view.group not in CHANGES]  # the plain ones first
        asked = {(OF_X, name): (one.x, said[CLEAN].classes) for name, one in said.items()}
        for x, classes, name in ((*said[v.name][:2], v.name) for v in damaged):
            asked[OWN, name] = x, classes
            for change in changes(evaluator):
                after = said[change].x if name == CLEAN else self._after(change, evaluator, x)
                asked[change, name] = after, classes
        with isolated(evaluator.label, evaluator.fitter.device):
            drawn, checks = self._drawn(evaluator, asked)
        for kind, maps in drawn.items():
            if checks[kind]:
                yield self._row(views[0], kind, checks[kind])
            for view in views[1:]:
                agreed = self._agreement(maps[OF_X, CLEAN], maps[OF_X, view.name])
                metrics = {name: float(values.mean()) for name, values in agreed.items()}
                yield self._row(view, kind, metrics)
        unsure = self._unsure(evaluator, damaged, said, drawn)
        if DECODED in said:
            decoded = {view.name: asked[DECODED, view.name][0] for view in damaged}
            unsure[ERROR] = {n: squared_error(said[n].x, x) for n, x in decoded.items()}
        yield from self._alarms(unsure, damaged, said)

    def _heard(self, evaluator: Evaluator, view: View) -> Said:
        """Return the inputs of a view and what is answered to them."""
        said = evaluator.predict(view)
        probs = answers(said).get(self.target)
        if probs is None:
            raise SkippedError(f"{evaluator.label} has no single classifier")
        assert view.y is not None
        entropy = all_scores()[RANKED_BY](probs[:, None])
        wrong = errors(probs, view.y)[:, 0].double()
        x = as_floats(view.load()).cpu()
        return Said(x, probs[:, 0].argmax(-1), wrong.numpy(), entropy.numpy())

    def _agreement(self, first: Vector, second: Vector) -> dict[str, Vector]:
        """Return how far each pair of maps (n, P) agrees, (n,) by measure."""
        shared = top_overlap(first, second, self.top)
        return {"tau": kendall(first, second), "overlap": shared}

    def _drawn(
        self, evaluator: Evaluator, asked: Asked
    ) -> tuple[dict[str, Drawn], dict[str, dict[str, float]]]:
        """Return the maps of each kind and its check; what is asked for twice is drawn once.

        Raises:
            SkippedError: the method has no gradient.
        """
        device = evaluator.fitter.device
        f = LogOdds(evaluator.fitted().method, evaluator.prediction_seed, self.target)
        inputs = torch.cat([x for x, _ in asked.values()])
        classes = torch.cat([k for _, k in asked.values()])
        if not f.has_gradient(inputs[:BATCH].to(device)):
            raise SkippedError(f"{evaluator.label} has no gradient to attribute its answers by")
        both = torch.cat([inputs.flatten(1), classes[:, None].float()], dim=1)
        once, where = both.unique(dim=0, return_inverse=True)
        x = once[:, :-1].reshape(-1, *inputs.shape[1:]).to(device)
        k = once[:, -1].long().to(device)
        draw = {"ig": self._integrated, "ace": self._causal, "pixels": itself}
        found: dict[str, Drawn] = {}
        checks: dict[str, dict[str, float]] = {}
        for kind in self.maps:
            maps, checks[kind] = draw[kind](f, evaluator, x, k)
            values = importance(maps).double().cpu()[where].numpy()
            parts = np.split(values, len(asked))  # of equal sizes: views are versions of one draw
            found[kind] = dict(zip(asked, parts, strict=True))
        return found, checks

    def _integrated(
        self, f: LogOdds, evaluator: Evaluator, x: Tensor, classes: Tensor
    ) -> tuple[Tensor, dict[str, float]]:
        """Return integrated gradients (n, C, H, W), and what their sums miss of f(x) - f(0)."""
        batches = [*zip(x.split(BATCH), classes.split(BATCH), strict=True)]
        maps, ends = [], []
        for one, k in watch(evaluator, f"{evaluator.label} {TITLES['ig']}", batches):
            maps.append(integrated_gradients(f, one, k, steps=self.steps))
            with torch.no_grad():
                change = f(one) - f(torch.zeros_like(one))
            ends.append(change.double().gather(1, k[:, None])[:, 0])
        sums, change = torch.cat(maps).double().flatten(1).sum(1), torch.cat(ends)
        gap = (sums - change).abs().mean() / change.abs().mean()
        return torch.cat(maps), {"completeness_gap": float(gap)}

    def _causal(
        self, f: LogOdds, evaluator: Evaluator, x: Tensor, classes: Tensor
    ) -> tuple[Tensor, dict[str, float]]:
        """Return causal effects (n, C, H, W), and how they rank beside those by brute force."""
        from scipy.stats import spearmanr  # most of a second that a listing does not need

        train = evaluator.fitter.splits.train
        draw = generator(self.name, "training", evaluator.data.name, evaluator.seed)
        rows = torch.randperm(len(train), generator=draw)[:TRAINING]
        inputs = train.floats(rows).to(x.device)
        expected = interventional_expectation(
            f, inputs, values=self.values, directions=self.directions, reach=self.reach,
            watched=partial(watch, evaluator, f"{evaluator.label} {TITLES['ace']}"),
        )  # fmt: skip
        contrast = expected[:, -1] - expected[:, 0]
        forced = contrast_by_force(f, inputs[:FORCED])
        pairs = zip(contrast.T.cpu().numpy(), forced.T.cpu().numpy(), strict=True)
        alike = np.nan_to_num([spearmanr(*pair).statistic for pair in pairs]).mean()
        return causal_effect(expected, x, classes), {"ace_rank_correlation": float(alike)}

    def _unsure(
        self, evaluator: Evaluator, views: Sequence[View], said: Mapping[str, Said],
        drawn: Mapping[str, Drawn],
    ) -> dict[str, dict[str, Vector]]:  # fmt: skip
        """Return entropy and every disagreement, by score and view, (n,)."""
        found = {ENTROPY: {view.name: said[view.name].entropy for view in views}}
        for kind, maps in drawn.items():
            for change in changes(evaluator):
                for view in views:
                    agreed = self._agreement(maps[OWN, view.name], maps[change, view.name])
                    for measure, values in agreed.items():
                        by_view = found.setdefault(f"{kind}_{measure}_{change}", {})
                        by_view[view.name] = 1 - values
        return found

    def _alarms(
        self, unsure: Mapping[str, Mapping[str, Vector]], views: Sequence[View],
        said: Mapping[str, Said],
    ) -> Iterator[Row]:  # fmt: skip
        """Yield how well each score tells damage and wrong answers, view by view and together."""
        for score, by_view in unsure.items():
            plain = by_view[CLEAN]
            for view in views:
                metrics = misclassification(by_view[view.name], said[view.name].wrong)
                if view.name != CLEAN:
                    metrics |= detection(plain, by_view[view.name])
                yield self._row(view, score, metrics)
            everything = np.concatenate([by_view[view.name] for view in views])
            wrong = np.concatenate([said[view.name].wrong for view in views])
            metrics = misclassification(everything, wrong)
            metrics |= detection(plain, everything[len(plain) :])
            yield Row(ALL, len(everything), metrics, score, family=self.name)


def changes(evaluator: Evaluator) -> Sequence[str]:
    """Return the small changes that can be made of an input: decoding takes a decoder."""
    return CHANGES if isinstance(evaluator.method, DecodableMethod) else (NOISE,)


def part(view: View, rows: Tensor, group: str) -> View:
    """Return some inputs of a view as one of the group."""
    y = None if view.y is None else view.y[rows]
    mark = fingerprint(view.fingerprint, rows)
    return View(view.name, mark, len(rows), lambda: view.load()[rows], y, group=group)


@torch.no_grad()
def decoding(evaluator: Evaluator, x: Tensor) -> Tensor:
    """Return g(h_L) of inputs (n, C, H, W), float32 in [0, 1], on the CPU."""
    method = evaluator.fitted().method
    assert isinstance(method, DecodableMethod)
    net = method.fitted(method.net)
    return net.decoder(net.classifier.last(x.to(evaluator.fitter.device))).float().cpu()


def squared_error(x: Tensor, decoded: Tensor) -> Vector:
    """Return |x - g(h_L)|^2 of inputs (n, C, H, W), summed over pixels, (n,)."""
    return (x - decoded).double().square().flatten(1).sum(1).numpy()


def itself(
    f: LogOdds, evaluator: Evaluator, x: Tensor, classes: Tensor
) -> tuple[Tensor, dict[str, float]]:
    """Return the inputs as if they were maps: what any map should be better than."""
    return x, {}


def watch(evaluator: Evaluator, name: str, batches: Sequence[Any]) -> Iterator[Any]:
    """Yield batches and show how many there are."""
    with evaluator.fitter.console.predicting(name, len(batches)) as count:
        for _, batch in zip(count, batches, strict=True):
            yield batch
