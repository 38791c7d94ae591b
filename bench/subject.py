"""A fitted method and its data: each view is predicted once and the answer is kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from datasets.base import Dataset, Split, View, as_floats, derive_seed
from datasets.named import Value
from methods.base import Ingredient, Method

from .cache import Cache, Key
from .code import code_digest
from .fits import Fitted, Fitter
from .scores import Score

BATCH = 500


@dataclass(frozen=True)
class Prediction:
    """What a method says of N inputs, on the CPU.

    Args:
        probs: probabilities (N, S, T, K).
        logits: of the single classifier, (N, T, K), where the method has one.
    """

    probs: Tensor
    logits: Tensor | None
    _scores: dict[str, Tensor] = field(default_factory=dict, compare=False)

    def score(self, score: Score) -> Tensor:
        """Return the uncertainty of each input, (N,), float64; computed once."""
        if score.name not in self._scores:
            values = self.probs if score.needs == "samples" else self.logits
            if values is None:
                raise ValueError(f"score {score.name} needs logits, and the method left none")
            self._scores[score.name] = score(values)
        return self._scores[score.name]

    @property
    def by_samples(self) -> Tensor:
        """Probabilities averaged over samples, never logits; float64, (N, T, K)."""
        return self.probs.double().mean(dim=1)

    @property
    def by_single(self) -> Tensor | None:
        """Probabilities of the single classifier; float64, (N, T, K)."""
        return None if self.logits is None else self.logits.double().softmax(dim=-1)


class Subject:
    """A fitted method, the data it was fitted on, and its answers to every view so far."""

    def __init__(self, label: str, method: Method, seed: int, fitter: Fitter) -> None:
        self.label = label
        self.method = method  # unfitted, until `fitted` is asked for
        self.seed = seed
        self.fitter = fitter
        self._seen: dict[str, Prediction] = {}

    @property
    def data(self) -> Dataset:
        """The data set it was, or is to be, fitted on."""
        return self.fitter.data

    @property
    def cache(self) -> Cache:
        """Where its fit and its answers are kept."""
        return self.fitter.cache

    def fitted(self) -> Fitted:
        """Return the fitted method, fitting it if need be."""
        return self.fitter.obtain(self.method, self.seed)

    def key(self) -> Key:
        """Return what the fit depends on, without fitting."""
        return self.fitter.key(self.method, self.seed)

    def reference(self, name: str, **params: Value) -> Subject:
        """Return another method on the same data and seed, such as `standard`."""
        other = self.fitter.build(Ingredient(name, (self.seed,), params))
        return self if other.name == self.label else Subject(name, other, self.seed, self.fitter)

    @property
    def test(self) -> Split:
        """The test part of its data."""
        return self.fitter.splits.test

    @property
    def clean(self) -> View:
        """The whole test part, unshifted: the inliers of every comparison."""
        test = self.test
        return View("clean", test.fingerprint, len(test), lambda: test.x, test.y)

    def predict(self, view: View) -> Prediction:
        """Return what the method says of a view; the networks run only the first time."""
        if view.fingerprint not in self._seen:
            self._seen[view.fingerprint] = self._load_or_run(view)
        return self._seen[view.fingerprint]

    def _load_or_run(self, view: View) -> Prediction:
        kind, key = f"predictions/{self.data.label}/{self.label}-s{self.seed}", self._key(view)
        entry = None if self.fitter.force else self.cache.load(kind, view.name, key)
        if entry is not None:
            return Prediction(entry.payload["probs"], entry.payload["logits"])
        method = self.fitted().method
        seed = derive_seed("predict", self.method.name, self.data.label, self.seed)
        found = run_network(method, view.load(), seed=seed, device=self.fitter.device)
        self._must_be_finite(found, view)
        self.cache.keep(kind, view.name, key, {"probs": found.probs, "logits": found.logits})
        return found

    def _key(self, view: View) -> Key:
        spec = {
            "fit": self.key().digest,
            "params": self.method.params(),
            "view": view.fingerprint,
            "code": code_digest("bench.subject"),
        }
        return Key(spec)

    def _must_be_finite(self, found: Prediction, view: View) -> None:
        for name, values in (("probabilities", found.probs), ("logits", found.logits)):
            if values is not None and (bad := int((~values.isfinite()).sum())):
                raise ValueError(
                    f"{self.label} gave {bad} {name} that are not finite on view {view.name}"
                )


@torch.no_grad()
def run_network(
    method: Method, x: Tensor, *, seed: int, device: torch.device | str = "cpu", batch: int = BATCH
) -> Prediction:
    """Run a fitted method over inputs (N, C, H, W), batch by batch, on ``device``.

    The global generator is set alike before every batch and restored afterwards, so that a
    method draws the same classifiers for each and neither batch size nor order matters.
    """
    probs: list[Tensor] = []
    logits: list[Tensor] = []
    cuda = [torch.device(device)] if torch.device(device).type == "cuda" else []
    with torch.random.fork_rng(devices=cuda):
        for part in x.split(batch):
            inputs = as_floats(part.to(device))
            torch.manual_seed(seed)
            probs.append(method.predict_proba(inputs).float().cpu())
            single = method.logits_and_features(inputs)
            if single is not None:
                logits.append(single.logits.float().cpu())
    return Prediction(torch.cat(probs), _joined(logits))


def _joined(parts: Sequence[Tensor]) -> Tensor | None:
    return torch.cat(list(parts)) if parts else None
