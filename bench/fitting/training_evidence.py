"""What scores learn from: one deterministic pass of a fitted method over parts of its data."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from bench.datasets.base import Split, fingerprint, generator
from bench.errors import MethodError
from bench.fitting.fits import Fitter
from bench.fitting.prediction import check_pass, single_pass
from bench.methods.base import Method
from bench.scores import Evidence, Score, Unavailable
from bench.scores.base import Head
from bench.store.cache import Key
from bench.store.code import code_digest

Layer = tuple[Tensor, Tensor]  # weights (T K, F) and biases (T K,)
# Logits (N, T, K), features (N, F), and the last layer where the method knows it.
Pass = tuple[Tensor | None, Tensor | None, Layer | None]
FIELDS = ("logits", "features", "head")
MOST = 20_000  # training inputs that a score is fitted on, drawn by seed
LINEAR = 1e-3  # largest error of logits, in units of their spread, at which they count as linear


class Learner:
    """What each score has learned from the parts of one method's data.

    Args:
        evidence_of: returns the evidence of the part "training" or "validation"; None: it has
            none.
    """

    def __init__(self, evidence_of: Callable[[str], Evidence | None]) -> None:
        self._evidence_of = evidence_of
        self._fitted_scores: dict[Score, Any] = {}
        self._unavailable: dict[Score, Unavailable] = {}
        self._parts: dict[str, Evidence | None] = {}

    def fit_score(self, score: Score) -> Any:
        """Return what a score learns from the part it is fitted on, learned once.

        Raises:
            Unavailable: the method has no features, or the score cannot be fitted on them.
        """
        if score in self._unavailable:
            raise self._unavailable[score]
        if score not in self._fitted_scores and score.fit is not None:
            evidence = self._fitted_on(score)
            try:
                with torch.no_grad():
                    self._fitted_scores[score] = score.fit(evidence)
            except Exception as error:  # whatever a score of the user's raises
                why = " ".join(f"cannot be fitted: {error}".split())
                self._unavailable[score] = Unavailable(why)
                raise self._unavailable[score] from error
        return self._fitted_scores.get(score)

    def _fitted_on(self, score: Score) -> Evidence:
        """Return the evidence of the part that a score is fitted on; the last parts are kept."""
        if score.fit_on not in self._parts:
            self._parts[score.fit_on] = self._evidence_of(score.fit_on)
        evidence = self._parts[score.fit_on]
        if evidence is None:
            raise Unavailable("needs features, and the method gives none")
        return evidence


class TrainingEvidence:
    """Logits and features of one fitted method, and what each score has learned from them.

    It holds no predictions, so that a prediction can refer to it without a circle.
    """

    def __init__(self, label: str, method: Method, seed: int, fitter: Fitter) -> None:
        self.label = label
        self.method = method
        self.seed = seed
        self.fitter = fitter
        self.fit_score = Learner(self._part).fit_score

    def _part(self, name: str) -> Evidence | None:
        return self.of(self.fitter.splits.val if name == "validation" else self._training_part())

    def parts(self) -> dict[str, Evidence | None]:
        """Return the evidence of the parts that scores are fitted on, by name."""
        return {name: self._part(name) for name in ("training", "validation")}

    def of(self, part: Split) -> Evidence | None:
        """Return logits and features of a part with its labels, in float64; None: it has none.

        One deterministic pass, whatever the number of samples of the method; kept.
        """
        kind, name = (
            f"evidence/{self.fitter.data.label}/{self.label}-s{self.seed}",
            part.fingerprint,
        )
        key, cache = prediction_key(self.fitter, self.method, self.seed, name), self.fitter.cache

        def read(payload: Any, note: Mapping[str, Any]) -> Pass:
            known = payload["logits"], payload["features"]
            check_pass(*known, len(part), part.task)
            return *known, payload["head"]

        known = None if self.fitter.force else cache.load(kind, name, key, read)
        if known is None:
            known = self._run(part)
            cache.keep(kind, name, key, dict(zip(FIELDS, known, strict=True)))
        logits, features, layer = known
        if logits is None or features is None:
            return None
        features, logits = features.double(), logits.double()
        return Evidence(features, logits, part.y, linear_head(features, logits, layer))

    def _run(self, part: Split) -> Pass:
        method = self.fitter.obtain(self.method, self.seed).method
        made = single_pass(method, part.x, device=self.fitter.device)
        try:
            check_pass(*made, len(part), part.task)
        except ValueError as error:
            raise MethodError(f"{self.label} gave {error} on its training data") from error
        layer = None if made[1] is None else method.linear_head()
        if layer is None:
            return *made, None
        weight, bias = (values.detach().cpu().clone() for values in layer)
        return *made, (weight, bias)

    def _training_part(self) -> Split:
        """Return at most `MOST` training inputs, the same for every method."""
        train = self.fitter.splits.train
        if len(train) <= MOST:
            return train
        order = torch.randperm(len(train), generator=generator("evidence", self.fitter.data.label))
        rows = order[:MOST].sort().values
        mark = fingerprint(train.fingerprint, rows)
        return Split(train.x[rows], train.y[rows], train.task, mark)


def prediction_key(fitter: Fitter, method: Method, seed: int, mark: str) -> Key:
    """Return what the outputs of a fitted method on inputs with this fingerprint depend on."""
    spec = {
        "fit": fitter.key(method, seed).digest,
        "params": method.params(),
        "view": mark,
        "method": code_digest(*method.code_modules()),  # the fit's leaves out what only reads it
        "code": code_digest("bench.fitting.prediction"),
    }
    return Key(spec)


def linear_head(features: Tensor, logits: Tensor, layer: Layer | None) -> Head | None:
    """Return the last layer of a method, or None if its logits are no linear map of its features.

    It is what `Method.linear_head` said, if that gives the logits; else the least-squares solution
    of logits (N, T, K) = W features (N, F) + b, which is the layer itself in every direction that
    the features have, and zero in all others.
    """
    targets = logits.shape[1:]
    if layer is not None:
        weight, bias = (values.double() for values in layer)
        if weight.shape == (targets.numel(), features.shape[1]) and bias.shape == weight.shape[:1]:
            head = Head(weight.unflatten(0, targets), bias.unflatten(0, targets))
            if _gives(head, features, logits):
                return head
    mean, middle = features.mean(0), logits.mean(0)
    spread = torch.linalg.lstsq(features - mean, (logits - middle).flatten(1), driver="gelsd")
    weight = spread.solution.T.unflatten(0, targets)
    head = Head(weight, middle - weight @ mean)
    return head if _gives(head, features, logits) else None


def _gives(head: Head, features: Tensor, logits: Tensor) -> bool:
    error = (head(features) - logits).abs().max()
    return bool(error <= LINEAR * logits.std(correction=0))
