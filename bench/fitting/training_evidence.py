"""What scores learn from: one deterministic pass of a fitted method over parts of its data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from bench.datasets.base import Split, fingerprint, generator
from bench.errors import MethodError
from bench.fitting.fits import Fitter
from bench.fitting.prediction import check_pass, single_pass
from bench.methods.base import Method
from bench.scores import Evidence, Score
from bench.store.cache import Key
from bench.store.code import code_digest

Pass = tuple[Tensor | None, Tensor | None]  # logits (N, T, K) and features (N, F)
MOST = 20_000  # training inputs that a score is fitted on, drawn by seed


class TrainingEvidence:
    """Logits and features of one fitted method, and what each score has learned from them.

    It holds no predictions, so that a prediction can refer to it without a circle.
    """

    def __init__(self, label: str, method: Method, seed: int, fitter: Fitter) -> None:
        self.label = label
        self.method = method
        self.seed = seed
        self.fitter = fitter
        self._fitted_scores: dict[Score, Any] = {}

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
            return known

        known = None if self.fitter.force else cache.load(kind, name, key, read)
        if known is None:
            known = self._run(part)
            cache.keep(kind, name, key, {"logits": known[0], "features": known[1]})
        logits, features = known
        if logits is None or features is None:
            return None
        return Evidence(features.double(), logits.double(), part.y)

    def _run(self, part: Split) -> Pass:
        method = self.fitter.obtain(self.method, self.seed).method
        made = single_pass(method, part.x, device=self.fitter.device)
        try:
            check_pass(*made, len(part), part.task)
        except ValueError as error:
            raise MethodError(f"{self.label} gave {error} on its training data") from error
        return made

    def fit_score(self, score: Score) -> Any:
        """Return what a score learns from the training part, learned once.

        Raises:
            ValueError: the method has no features, or the score cannot be fitted on them.
        """
        if score not in self._fitted_scores and score.fit is not None:
            evidence = self.of(self._training_part())
            if evidence is None:
                raise ValueError(f"score {score.name} needs features, and {self.label} has none")
            try:
                with torch.no_grad():
                    self._fitted_scores[score] = score.fit(evidence)
            except Exception as error:
                raise ValueError(
                    f"{self.label}: score {score.name} cannot be fitted: {error}"
                ) from error
        return self._fitted_scores.get(score)

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
        "code": code_digest("bench.fitting.prediction"),
    }
    return Key(spec)
